"""Apache Otava: a CSV file for each test (time, attributes, metrics), and an ``otava.yaml`` that describes them.

Facts from Otava's sources (otava/importer.py, otava/test_config.py) and docs/CSV.md: every cell of a metric has to be a
number; ``direction`` is 1 where more is better, which is the default, and -1 where less is; time is kept in seconds.
The ``otava.yaml`` that is written here is JSON, which is YAML too.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from scripts.exchange.collection import by_environment, distinct, to_iso, to_ms
from scripts.exchange.files import Files, Origin, decode_json, encode_json, wrong
from scripts.model import Collection, Direction, Measurement, PipelineError, Snapshot, Suite

OTAVA = "otava"
CONFIGURATION = "otava.yaml"
SIGNS = {Direction.HIGHER: 1, Direction.LOWER: -1}
ATTRIBUTES = ("commit", "branch", "version", "run", "run_id", "environment")
"""Columns that are never metrics, even if they look like numbers."""
TIME_FORMATS = ("%Y.%m.%d %H:%M:%S %z", "%Y.%m.%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M:%S %z")


def encode(collection: Collection) -> Files:
    """A test for each suite and environment.

    Otava takes no empty cells: metrics that some snapshots lack are tests of their own, with those that they have.
    """
    files: dict[str, bytes] = {}
    tests: dict[str, Any] = {}
    for suite in by_environment(collection):
        snapshots = distinct(suite).snapshots
        present: dict[str, list[int]] = {}
        for number, snapshot in enumerate(snapshots):
            for m in snapshot.measurements:
                if m.value is not None:
                    present.setdefault(m.benchmark, []).append(number)
        together: dict[tuple[int, ...], list[str]] = {}
        for benchmark, where in present.items():
            together.setdefault(tuple(where), []).append(benchmark)
        for part, (chosen, benchmarks) in enumerate(sorted(together.items(), key=lambda pair: -len(pair[0])), 1):
            test = suite.name if part == 1 else f"{suite.name} part {part}"
            file = _unused(re.sub(r"[^A-Za-z0-9._-]+", "_", test).lstrip("."), files)
            rows = [snapshots[number] for number in chosen]
            files[file] = _table(rows, benchmarks).encode()
            tests[test] = _test(file, rows[0], benchmarks)
    return {CONFIGURATION: encode_json({"tests": tests}), **files}


def _unused(stem: str, files: Files) -> str:
    name, number = f"{stem}.csv", 1
    while name.lower() in {other.lower() for other in files}:
        number += 1
        name = f"{stem}-{number}.csv"
    return name


def _table(snapshots: Sequence[Snapshot], benchmarks: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time", "commit", *benchmarks])
    for snapshot in snapshots:
        values = {m.benchmark: m.value for m in snapshot.measurements}
        writer.writerow([to_iso(snapshot.time_ms or 0), snapshot.commit, *(repr(values[name]) for name in benchmarks)])
    return text.getvalue()


def _test(file: str, snapshot: Snapshot, benchmarks: Sequence[str]) -> dict[str, Any]:
    found = {m.benchmark: m for m in snapshot.measurements}
    metrics = {}
    for name in benchmarks:
        direction, unit = found[name].direction, found[name].unit
        metrics[name] = {"column": name} | ({"direction": SIGNS[direction]} if direction else {})
        metrics[name] |= {"unit": unit} if unit is not None else {}  # Otava has no units and leaves the key alone
    return {"type": "csv", "file": file, "time_column": "time", "attributes": ["commit"], "metrics": metrics}


def decode(files: Files, origin: Origin) -> Collection:
    """A suite for each CSV file.

    Without an ``otava.yaml`` (as JSON) that describes the file, the column ``time`` or else the first is the time, and
    the columns with nothing but numbers are metrics, except those of `ATTRIBUTES`.
    """
    tests: dict[str, Any] = {}
    if CONFIGURATION in files:
        try:
            tests = decode_json(CONFIGURATION, files[CONFIGURATION])["tests"]
        except (PipelineError, KeyError, TypeError) as error:
            raise wrong(
                CONFIGURATION, "is not the JSON that `export otava` writes", "import the CSV file itself, with --better"
            ) from error
    described = {test["file"]: (name, test) for name, test in tests.items()}
    suites = []
    for file, data in files.items():
        if not file.endswith(".csv"):
            continue
        name, test = described.get(file, (PurePosixPath(file).stem, {}))
        rows = list(csv.reader(io.StringIO(data.decode(errors="surrogateescape"), newline="")))
        if not rows or not rows[0]:
            raise wrong(file, "is empty", "give a CSV file with a line of column names")
        suites.append(Suite(name=name, snapshots=_snapshots(file, rows, test, origin)))
    if not suites:
        raise wrong("otava", "no CSV file found", "give a CSV file, or a folder of them")
    return Collection(format=OTAVA, suites=tuple(suites))


def _snapshots(file: str, rows: Sequence[list[str]], test: dict[str, Any], origin: Origin) -> tuple[Snapshot, ...]:
    header, body = rows[0], [row for row in rows[1:] if row]
    for number, row in enumerate(body, 2):
        if len(row) != len(header):
            raise wrong(file, f"row {number} has {len(row)} cells instead of {len(header)}", "mend that row")
    time_column = test.get("time_column", "time" if "time" in header else header[0])
    columns = {name: [row[index] for row in body] for index, name in enumerate(header)}
    metrics = test.get("metrics") or {
        name: {"column": name}
        for name, cells in columns.items()
        if name not in (time_column, *ATTRIBUTES) and cells and all(_is_number(cell) for cell in cells)
    }
    if not metrics and body:
        raise wrong(file, "has no column of numbers", "give a CSV file with at least one metric")
    used = {time_column, "commit", *(metric["column"] for metric in metrics.values())}
    return tuple(
        Snapshot(
            commit=columns["commit"][number] if "commit" in columns else origin.commit,
            time_ms=_parse_time(file, number + 2, columns[time_column][number]),
            measurements=tuple(
                _measurement(name, metric, columns[metric["column"]][number], origin)
                for name, metric in metrics.items()
            ),
            extra={name: cells[number] for name, cells in columns.items() if name not in used},
        )
        for number in range(len(body))
    )


def _measurement(name: str, metric: dict[str, Any], cell: str, origin: Origin) -> Measurement:
    signs = {sign: direction for direction, sign in SIGNS.items()}
    direction = signs.get(metric.get("direction", 0), origin.direction)
    value = float(cell)
    return Measurement(
        benchmark=name,
        value=int(cell) if re.fullmatch(r"-?\d{1,15}", cell.strip()) else value,
        unit=metric.get("unit"),
        direction=direction,
    )


def _is_number(cell: str) -> bool:
    try:
        return json.loads(json.dumps(float(cell), allow_nan=False)) is not None
    except ValueError:
        return False


def _parse_time(file: str, row: int, cell: str) -> int:
    """Milliseconds since 1970 from ISO 8601, Otava's own examples, or seconds; without a time zone it is UTC."""
    text = cell.strip()
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        return to_ms(datetime.fromtimestamp(float(text), UTC))
    try:
        return to_ms(datetime.fromisoformat(text))
    except ValueError:
        for form in TIME_FORMATS:
            try:
                return to_ms(datetime.strptime(text, form))
            except ValueError:
                continue
    raise wrong(file, f"row {row}: {cell!r} is not a time", "use ISO 8601, e.g. 2026-11-23T12:00:00+00:00")
