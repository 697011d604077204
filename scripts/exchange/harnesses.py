"""Results of benchmark harnesses and load tests, one moment each: hyperfine, pytest-benchmark, JMH, Locust.

Facts from their sources and documentation: hyperfine's ``--export-json`` and pytest-benchmark's ``--benchmark-json``
are in seconds; JMH's ``-rf json`` has a score with its unit and error, and more in ``secondaryMetrics``; Locust's
``--csv`` writes ``_stats.csv``, times in milliseconds, a row for each endpoint and one for all.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from scripts.exchange import units
from scripts.exchange.collection import to_ms
from scripts.exchange.files import Files, Origin, cell_number, decode_json, decode_text, number, only, wrong
from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.model import Direction

HYPERFINE = "hyperfine"
PYTEST = "pytest-benchmark"
JMH = "jmh"
LOCUST = "locust"
LOCUST_HIGHER = {"Requests/s"}
LOCUST_COUNTS = {"Request Count", "Average Content Size"}
HINT = "give the file as the tool wrote it"


def decode_hyperfine(files: Files, origin: Origin) -> Collection:
    """The mean of each command, with the least and the greatest time."""
    name, data = only(files)
    found = []
    for at, result in _objects(name, decode_json(name, data), "results"):
        found.append(
            Measurement(
                benchmark=_text(name, at, result, "command") + _parameters(result.get("parameters")),
                value=_value(name, at, result, "mean"),
                unit="s",
                direction=Direction.LOWER,
                lower=number(result.get("min")),
                upper=number(result.get("max")),
                extra={key: result[key] for key in ("median", "stddev", "user", "system") if key in result},
            )
        )
    return _collection(HYPERFINE, found, origin)


def decode_pytest(files: Files, origin: Origin) -> Collection:
    """The mean of each benchmark, with the least and the greatest time; commit and time are in the file."""
    name, data = only(files)
    document = decode_json(name, data)
    found = []
    for at, given in _objects(name, document, "benchmarks"):
        stats = given.get("stats")
        if not isinstance(stats, dict):
            raise wrong(name, f"{at} has no stats", HINT)
        found.append(
            Measurement(
                benchmark=str(given.get("fullname") or _text(name, at, given, "name")),
                value=_value(name, at, stats, "mean"),
                unit="s",
                direction=Direction.LOWER,
                lower=number(stats.get("min")),
                upper=number(stats.get("max")),
                extra={key: stats[key] for key in ("median", "stddev", "rounds", "iterations") if key in stats},
            )
        )
    commit, moment = document.get("commit_info"), document.get("datetime")
    said = str(commit.get("id") or "") if isinstance(commit, dict) else ""
    try:
        time_ms = to_ms(datetime.fromisoformat(moment)) if isinstance(moment, str) else None
    except ValueError as error:
        raise wrong(name, f"datetime: {error}", HINT) from error
    return _collection(PYTEST, found, origin, said, time_ms)


def decode_jmh(files: Files, origin: Origin) -> Collection:
    """The score of each benchmark with its parameters, and its secondary metrics; the unit says which way is better."""
    name, data = only(files)
    found = []
    for at, given in _objects(name, decode_json(name, data), None):
        benchmark = _text(name, at, given, "benchmark") + _parameters(given.get("params"))
        secondary = given.get("secondaryMetrics") or {}
        for suffix, metric in {"": given.get("primaryMetric"), **secondary}.items():
            if not isinstance(metric, dict):
                raise wrong(name, f"{at} has no primaryMetric", HINT)
            unit = str(metric.get("scoreUnit") or "") or None
            bounds = metric.get("scoreConfidence")
            lower, upper = bounds if isinstance(bounds, list) and len(bounds) == 2 else (None, None)
            found.append(
                Measurement(
                    benchmark=f"{benchmark} {suffix}".strip(),
                    value=number(metric.get("score")),
                    unit=unit,
                    direction=units.better(unit) or origin.direction,
                    lower=number(lower),
                    upper=number(upper),
                    extra={"mode": given["mode"]} if "mode" in given else {},
                )
            )
    return _collection(JMH, found, origin)


def decode_locust(files: Files, origin: Origin) -> Collection:
    """Every number of every row: ``GET /shop 95%``."""
    name, data = only(files)
    try:
        rows = list(csv.DictReader(io.StringIO(decode_text(name, data, "CSV"), newline="")))
    except csv.Error as error:
        raise wrong(name, f"not CSV: {error}", HINT) from error
    if not rows or not {"Type", "Name", "Request Count"} <= rows[0].keys():
        raise wrong(name, "is not Locust's _stats.csv, or has no rows", "give the file that ends with _stats.csv")
    found = []
    for line, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise wrong(name, f"row {line} has not as many cells as there are columns", HINT)
        endpoint = f"{row.pop('Type')} {row.pop('Name')}".strip()
        for column, cell in row.items():
            try:
                value = cell_number(cell)
            except ValueError as error:
                raise wrong(name, f"row {line}: {column}: {cell!r} is not a number", HINT) from error
            found.append(_locust(endpoint, column, value, origin))
    return _collection(LOCUST, found, origin)


def _locust(endpoint: str, column: str, value: int | float | None, origin: Origin) -> Measurement:
    failures = column.startswith("Failure")
    own = None if column in LOCUST_COUNTS else Direction.HIGHER if column in LOCUST_HIGHER else Direction.LOWER
    rate = column.endswith("/s")
    return Measurement(
        benchmark=f"{endpoint} {column}",
        value=value,
        unit=f"{column.removesuffix('/s').lower()}/s" if rate else None if failures or own is None else "ms",
        direction=own or origin.direction,
    )


def _collection(
    format: str, found: list[Measurement], origin: Origin, commit: str = "", time_ms: int | None = None
) -> Collection:
    snapshot = Snapshot(
        commit=origin.commit or commit,
        time_ms=time_ms if origin.time_ms is None else origin.time_ms,
        measurements=tuple(found),
    )
    return Collection(format=format, suites=(Suite(name=format, snapshots=(snapshot,)),))


def _objects(name: str, document: Any, key: str | None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a list, each with where it is: ``results[0]``."""
    listed = document if key is None else document.get(key) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise wrong(name, f"{key or '$'} is not a list of objects", HINT)
    yield from ((f"{key or '$'}[{index}]", one) for index, one in enumerate(listed))


def _text(name: str, at: str, given: Mapping[str, Any], key: str) -> str:
    if not isinstance(given.get(key), str) or not given[key]:
        raise wrong(name, f"{at} has no {key}", HINT)
    return str(given[key])


def _value(name: str, at: str, given: Mapping[str, Any], key: str) -> int | float | None:
    if key not in given:
        raise wrong(name, f"{at} has no {key}", HINT)
    return number(given[key])


def _parameters(given: Any) -> str:
    """`` (size=10)``"""
    return (
        f" ({', '.join(f'{key}={value}' for key, value in given.items())})" if isinstance(given, dict) and given else ""
    )
