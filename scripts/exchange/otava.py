"""Apache Otava: a CSV file for each test (time, attributes, metrics), and an ``otava.yaml`` that describes them.

Facts from Otava's sources (otava/importer.py, otava/test_config.py) and docs/CSV.md: every cell of a metric has to be a
number; ``direction`` is 1 where more is better, which is the default, and -1 where less is; time is kept in seconds.
The ``otava.yaml`` that is written here is JSON, which is YAML too; `scripts.exchange.otava_yaml` reads it.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from scripts.exchange import otava_yaml
from scripts.exchange.collection import by_environment, distinct, to_iso, to_ms
from scripts.exchange.files import Files, Origin, cell_number, decode_text, encode_json, wrong
from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.exchange.otava_yaml import SIGNS, Metric, Test

OTAVA = "otava"
CONFIGURATION = "otava.yaml"
ATTRIBUTES = ("commit", "branch", "version", "run", "run_id", "environment")
"""Columns that are never metrics, even if they look like numbers."""
SEPARATE = ("environment", "branch")
"""Columns whose rows do not belong to one series."""
UNPRINTABLE = re.compile("[\x7f-\x84\x86-\x9f\ufffe\uffff]")
"""What JSON has as it is and YAML has not."""
DELIMITERS = ",;\t"
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
    configuration = UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", encode_json({"tests": tests}).decode())
    return {CONFIGURATION: configuration.encode(), **files}


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
    """A suite for each test that ``otava.yaml`` describes, and for each CSV file that none does.

    Of such a file the column ``time`` or else the first is the time, and the columns that have numbers are metrics,
    except those of `ATTRIBUTES`. Branches and environments are series of their own.
    """
    tables = {name: data for name, data in files.items() if name.lower().endswith((".csv", ".tsv"))}
    tests: list[Test] = []
    if CONFIGURATION in files:
        tests = otava_yaml.read(CONFIGURATION, files[CONFIGURATION], sorted(tables), origin.warn)
    described = {test.file for test in tests}
    tests += [Test(name=PurePosixPath(file).stem, file=file) for file in tables if file not in described]
    if not tests:
        raise wrong("otava", "no CSV file found", "give a CSV file, or a folder of them")
    return Collection(
        format=OTAVA,
        suites=tuple(Suite(name=test.name, snapshots=_snapshots(test, tables[test.file], origin)) for test in tests),
    )


class _Row(NamedTuple):
    """``number`` counts lines of the table from 1, as editors do where no cell has a line break."""

    number: int
    cells: dict[str, str]


def _rows(test: Test, data: bytes) -> tuple[list[str], list[_Row]]:
    """The columns' names, and the rows. Raises PipelineError naming the row that is wrong."""
    file, text = test.file, decode_text(test.file, data, "CSV")
    delimiter = test.delimiter or max(DELIMITERS, key=text.partition("\n")[0].count)
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=test.quote))
    except csv.Error as error:
        raise wrong(file, f"row {len(rows) + 1}: {error}", "mend that row") from error
    if not rows or not rows[0]:
        raise wrong(file, "is empty", "give a CSV file with a line of column names")
    header = rows[0]
    if twice := [name for name in header if header.count(name) > 1]:
        raise wrong(file, f"two columns are called {twice[0]!r}", "give each column a name of its own")
    body = [(number, row) for number, row in enumerate(rows[1:], 2) if row]
    for number, row in body:
        if len(row) != len(header):
            raise wrong(file, f"row {number} has {len(row)} cells instead of {len(header)}", "mend that row")
    return header, [_Row(number, dict(zip(header, row, strict=True))) for number, row in body]


def _snapshots(test: Test, data: bytes, origin: Origin) -> tuple[Snapshot, ...]:
    header, rows = _rows(test, data)
    time_column = test.time_column or ("time" if "time" in header else header[0])
    metrics = test.metrics or [
        Metric(name=name, column=name)
        for name in header
        if name not in (time_column, *ATTRIBUTES) and _is_metric([row.cells[name] for row in rows])
    ]
    if not metrics and rows:
        raise wrong(test.file, "has no column of numbers", "give a CSV file with at least one metric")
    for column in (time_column, *(metric.column for metric in metrics)):
        if column not in header:
            raise wrong(test.file, f"has no column {column!r}", f"its columns: {', '.join(header)}")
    used = {time_column, "commit", *(metric.column for metric in metrics)}
    return tuple(
        Snapshot(
            commit=row.cells.get("commit", origin.commit),
            time_ms=_parse_time(test.file, row.number, row.cells[time_column]),
            environment=", ".join(filter(None, map(row.cells.get, SEPARATE))),
            measurements=tuple(_measurement(test.file, metric, row, origin) for metric in metrics),
            extra={name: cell for name, cell in row.cells.items() if name not in used},
        )
        for row in rows
    )


def _measurement(file: str, metric: Metric, row: _Row, origin: Origin) -> Measurement:
    cell = row.cells[metric.column]
    try:
        value = cell_number(cell)
    except ValueError as error:
        raise wrong(
            file,
            f"row {row.number}: {cell!r} in the column {metric.column!r} is not a number",
            "leave the cell empty where there is none, or say in otava.yaml which columns are metrics",
        ) from error
    return Measurement(
        benchmark=metric.name,
        value=value if value is None or metric.scale == 1 else value * metric.scale,
        unit=metric.unit,
        direction=metric.direction or origin.direction,
    )


def _is_metric(cells: Sequence[str]) -> bool:
    """Whether more of the cells have a number than have other text: labels may look like numbers, too."""
    numbers = texts = 0
    for cell in cells:
        try:
            numbers += cell_number(cell) is not None
        except ValueError:
            texts += 1
    return numbers > texts


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
