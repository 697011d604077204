"""asv (airspeed velocity): ``benchmarks.json`` beside ``MACHINE/machine.json`` and ``MACHINE/HASH-ENVIRONMENT.json``.

Facts from asv's sources (asv/results.py, asv/machine.py, asv/benchmarks.py): version 2 of a result file has, for each
benchmark, a row of ``result_columns`` without its empty end; ``result`` and the statistics have an item for each
combination of ``params``; ``date`` is the commit's, in milliseconds; a failed benchmark is null, a skipped one NaN.
To asv less is always better, so a direction of our own goes into ``benchmarks.json``, where asv leaves it alone.
"""

from __future__ import annotations

import itertools
import json
import re
import statistics
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from scripts.exchange.collection import distinct
from scripts.exchange.files import Files, Origin, encode_json, number, wrong
from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.model import Direction, PipelineError

ASV = "asv"
VERSION = 2
COLUMNS = ("result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b", "stats_q_25",
           "stats_q_75", "stats_number", "stats_repeat", "samples", "profile")  # fmt: skip
HINT = "give asv's results folder; `asv update` renews old ones"


def decode(files: Files, origin: Origin) -> Collection:
    """A suite for each first part of benchmarks' names, a snapshot for each result file that has some of it.

    A file that cannot be read costs no other: it is named to ``origin.warn``. Raises PipelineError where none can.
    """
    results = {PurePosixPath(name): data for name, data in sorted(files.items()) if name.endswith(".json")}
    benchmarks: dict[str, Any] = {}
    for path in list(results):
        if path.name == "benchmarks.json":
            document = _load(str(path), results[path])
            benchmarks = {name: entry for name, entry in document.items() if isinstance(entry, dict)}
        if path.name in ("benchmarks.json", "machine.json"):
            del results[path]
    suites: dict[str, list[Snapshot]] = {}
    errors: list[PipelineError] = []
    for path, data in results.items():
        try:
            found = list(_snapshots(path, _load(str(path), data), benchmarks))
        except PipelineError as error:
            errors.append(error)
            continue
        for suite, snapshot in found:
            suites.setdefault(suite, []).append(snapshot)
    if not suites:
        raise errors[0] if errors else wrong("asv", "no results found", HINT)
    for left_out in errors:
        origin.warn(f"{left_out}: left out")
    ordered = {name: sorted(found, key=lambda s: s.time_ms or 0) for name, found in suites.items()}
    return Collection(format=ASV, suites=tuple(Suite(name=n, snapshots=tuple(found)) for n, found in ordered.items()))


def _snapshots(path: PurePosixPath, document: Any, benchmarks: dict[str, Any]) -> Iterator[tuple[str, Snapshot]]:
    name = str(path)
    try:
        if document["version"] == 1:
            document = _renewed(document)
        if document["version"] != VERSION:
            raise wrong(name, f"is of version {document['version']} (this reads 1 and {VERSION})", HINT)
        machine, environment = document["params"].get("machine", path.parent.name), document["env_name"]
        columns: list[str] = document["result_columns"]
        groups: dict[str, list[Measurement]] = {}
        for benchmark, row in document["results"].items():
            suite, dot, rest = benchmark.partition(".")
            described = benchmarks.get(benchmark, {})
            cells = dict(zip(columns, row or (), strict=False))
            found = _measurements(rest if dot else benchmark, cells, described)
            groups.setdefault(suite if dot else "", []).extend(found)
        said = {key: document[key] for key in ("python", "requirements", "env_vars") if key in document}
        for suite, measurements in groups.items():
            yield (
                suite,
                Snapshot(
                    commit=document["commit_hash"],
                    time_ms=document["date"],
                    environment=f"{machine}/{environment}" if environment else machine,
                    measurements=tuple(measurements),
                    extra={**said, "params": document["params"]},
                ),
            )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise wrong(name, f"is not a result file of asv: {error!r}", HINT) from error


def _renewed(document: dict[str, Any]) -> dict[str, Any]:
    """A document of version 1 as one of version 2, as asv/results.py has it."""
    results = {}
    others = {"version": "benchmark_version", "started_at": "started_at", "duration": "duration"}
    for name, given in document["results"].items():
        row = given if isinstance(given, dict) else {"result": [given]}
        params, result, stats = row.get("params") or [], row["result"], row.get("stats")
        listed = [stat or {} for stat in (stats if isinstance(stats, list) else [stats])]
        cells = {
            "result": result if isinstance(result, list) else [result],
            "params": params,
            "stats_ci_99_a": [stat.get("ci_99", (None, None))[0] for stat in listed],
            "stats_ci_99_b": [stat.get("ci_99", (None, None))[1] for stat in listed],
            **{f"stats_{key}": [stat.get(key) for stat in listed] for key in ("q_25", "q_75", "number", "repeat")},
            **{column: document.get(key, {}).get(name) for column, key in others.items()},
        }
        results[name] = [cells.get(column) for column in COLUMNS]
    requirements = (f"{key}{value or ''}" for key, value in sorted(document["requirements"].items()))
    environment = "-".join((f"py{document['python']}", *requirements))
    return {"env_name": environment, **document, "result_columns": COLUMNS, "results": results, "version": VERSION}


def _measurements(name: str, cells: dict[str, Any], described: dict[str, Any]) -> Iterator[Measurement]:
    """One for each combination of parameters: ``time_keys(10, 'a')``."""
    combinations: list[Sequence[str]] = list(itertools.product(*(cells.get("params") or [])))
    direction = Direction(described["direction"]) if "direction" in described else Direction.LOWER

    def item(column: str, index: int) -> Any:
        cell = cells.get(column)
        return cell[index] if isinstance(cell, list) and index < len(cell) else None

    for column in ("result", "stats_ci_99_a"):
        if isinstance(cells.get(column), list) and len(cells[column]) > len(combinations):
            raise ValueError(f"{name}: more numbers than combinations of parameters")
    for index, combination in enumerate(combinations):
        whole = {key: cells[key] for key in ("version", "started_at", "duration") if cells.get(key) is not None}
        parts = {key: value for key in COLUMNS[7:12] if (value := item(key, index)) is not None}
        yield Measurement(
            benchmark=f"{name}({', '.join(combination)})" if combination else name,
            value=_number(item("result", index)),
            unit=described.get("unit"),
            direction=direction,
            lower=_number(item("stats_ci_99_a", index)),
            upper=_number(item("stats_ci_99_b", index)),
            extra=whole | parts,
        )


def encode(collection: Collection) -> Files:
    """A results folder that asv can publish.

    One file for each environment and commit; where that was measured several times, the median with the measured values
    as samples. Benchmarks are ``suite.name``; combinations of parameters stay part of the name. Confidence intervals
    are written only where they came from asv.
    """
    benchmarks: dict[str, dict[str, Any]] = {}
    found: dict[tuple[str, str], list[tuple[Snapshot, dict[str, Measurement]]]] = {}
    for suite in collection.suites:
        for snapshot in distinct(suite).snapshots:
            named = {f"{suite.name}.{m.benchmark}".removeprefix("."): m for m in snapshot.measurements}
            found.setdefault((snapshot.environment, snapshot.commit), []).append((snapshot, named))
            benchmarks |= {name: _described(name, m) for name, m in named.items()}
    files = {"benchmarks.json": encode_json({**benchmarks, "version": VERSION})}
    for (environment, commit), measured in found.items():
        machine, _, env_name = environment.partition("/")
        folder = _safe(machine or "unknown")
        files[f"{folder}/machine.json"] = encode_json({"machine": folder, "version": 1})
        document = _document(measured, commit, folder, env_name, own_intervals=collection.format == ASV)
        name = f"{folder}/{_safe(commit[:8] or 'unknown')}-{_safe(env_name)}.json"
        if name in files:
            raise wrong(
                name, "two commits begin with these 8 digits, which asv cannot tell apart", "export to another format"
            )
        files[name] = encode_json(document)
    return files


def _document(
    measured: Sequence[tuple[Snapshot, dict[str, Measurement]]],
    commit: str,
    machine: str,
    env_name: str,
    own_intervals: bool,
) -> dict[str, Any]:
    """One result file."""
    several: dict[str, list[Measurement]] = {}
    for _, named in measured:
        for name, m in named.items():
            several.setdefault(name, []).append(m)
    first = measured[0][0]
    return {
        "commit_hash": commit,
        "env_name": env_name,
        "date": first.time_ms or 0,
        "params": {**first.extra.get("params", {}), "machine": machine},
        "python": first.extra.get("python", ""),
        "requirements": first.extra.get("requirements", {}),
        "env_vars": first.extra.get("env_vars", {}),
        "result_columns": list(COLUMNS),
        "results": {name: _row(measurements, own_intervals) for name, measurements in several.items()},
        "durations": {},
        "version": VERSION,
    }


def _row(measurements: Sequence[Measurement], own_intervals: bool) -> list[Any]:
    values = [m.value for m in measurements if m.value is not None]
    first = measurements[0]
    cells: dict[str, Any] = {"result": [statistics.median(values)] if values else None, "params": []}
    if len(measurements) > 1:
        cells["samples"] = [values]
    else:
        cells |= {key: first.extra[key] for key in ("version", "started_at", "duration") if key in first.extra}
        cells |= {key: [first.extra[key]] for key in COLUMNS[7:12] if key in first.extra}
        if own_intervals:
            bounds = {"stats_ci_99_a": first.lower, "stats_ci_99_b": first.upper}
            cells |= {key: [value] for key, value in bounds.items() if value is not None}
    row = [cells.get(column) for column in COLUMNS]
    while row[-1] is None and len(row) > 2:
        row.pop()
    return row


def _described(name: str, m: Measurement) -> dict[str, Any]:
    """What benchmarks.json says of a benchmark: as much as asv needs to show it."""
    direction = {"direction": m.direction.value} if m.direction is not None else {}
    version = {"version": m.extra["version"]} if "version" in m.extra else {}
    return {
        **{"code": "", "name": name, "param_names": [], "params": [], "type": "track", "unit": m.unit or "unit"},
        **direction,
        **version,
    }


def _number(value: object) -> int | float | None:
    """A finite number; None of null, NaN and infinities. Raises TypeError for all else."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise TypeError(f"{value!r} is not a number")
    return number(value)


def _safe(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")


def _load(name: str, data: bytes) -> Any:
    """JSON as Python's json writes it: with NaN."""
    try:
        document = json.loads(data)
    except ValueError as error:
        raise wrong(name, f"not valid JSON: {error}", HINT) from error
    if not isinstance(document, dict):
        raise wrong(name, "is not an object", HINT)
    return document
