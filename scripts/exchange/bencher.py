"""Bencher Metric Format, of one moment, no more.

Version 0: ``{benchmark: {measure: {value, lower_value?, upper_value?}}}``. Version 1: ``{benchmark: [{parameters?,
measures: {measure: {name: number}}}]}``, where each name (p99) is a metric of its own.

Source: Bencher's reference, "Bencher Metric Format", and its json adapter. Commit and time are not in it: Bencher has
them from its command line. Nor is the direction; its own measures have one by what they are, as they have a unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from scripts.exchange.collection import by_environment, distinct
from scripts.exchange.files import Files, Origin, decode_json, encode_json, number, only, wrong
from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.model import Direction

BENCHER = "bencher"
BOUNDS = {"lower_value": "lower", "upper_value": "upper"}
UNITS = {"latency": "ns", "throughput": "ops/s", "build-time": "s", "file-size": "bytes", "sys-cpu-time": "ns"}
HIGHER = {"throughput", "l1-hits", "l1-hit-rate"}
LOWER = {
    *("latency", "build-time", "file-size", "instructions", "estimated-cycles", "total-read-write"),
    *("l1-accesses", "l2-accesses", "ram-accesses", "ram-hits", "ram-hit-rate", "global-bus-events"),
    *("dr", "dw", "i1mr", "d1mr", "d1mw", "ilmr", "dlmr", "dlmw", "ildmr", "dldmr", "dldmw", "bc", "bcm", "bi", "bim"),
    *("i1-miss-rate", "lli-miss-rate", "d1-miss-rate", "lld-miss-rate", "ll-miss-rate"),
    *("sys-count", "sys-time", "sys-cpu-time", "accost1", "accost2", "sploss1", "sploss2"),
    *("total-bytes", "total-blocks", "at-t-gmax-bytes", "at-t-gmax-blocks", "at-t-end-bytes", "at-t-end-blocks"),
    *("reads-bytes", "writes-bytes", "total-lifetimes", "maximum-bytes", "maximum-blocks"),
    *(f"{tool}-{what}" for tool in ("memcheck", "helgrind", "drd") for what in ("errors", "contexts")),
}
"""Slugs of Bencher's measures whose direction their names say; hits further out than the first cache are neither."""
HINT = "give JSON in Bencher Metric Format"


class _Given(NamedTuple):
    """One measure of one benchmark: numbers by their names."""

    suite: str
    measure: str
    numbers: dict[str, int | float | None]


def decode(files: Files, origin: Origin) -> Collection:
    """A suite for each benchmark with its parameters, in which each measure, and each named number of it, is one."""
    name, data = only(files)
    document = decode_json(name, data)
    if not isinstance(document, dict):
        raise wrong(name, "is not an object of benchmarks", HINT)
    newer = bool(document) and all(isinstance(given, list) for given in document.values())
    suites: dict[str, dict[str, dict[str, int | float | None]]] = {} if newer else {name: {} for name in document}
    for given in _version_1(name, document) if newer else _version_0(name, document):
        suites.setdefault(given.suite, {}).setdefault(given.measure, {}).update(given.numbers)
    return Collection(
        format=BENCHER,
        suites=tuple(Suite(name=suite, snapshots=(_snapshot(measures, origin),)) for suite, measures in suites.items()),
    )


def encode(collection: Collection) -> Files:
    """The newest snapshot of each suite."""
    document: dict[str, dict[str, dict[str, float]]] = {}
    for suite in by_environment(collection):
        measures = document.setdefault(suite.name, {})
        for m in distinct(suite).snapshots[-1].measurements if suite.snapshots else ():
            if m.value is None:
                continue
            bounds = {theirs: value for theirs, ours in BOUNDS.items() if (value := getattr(m, ours)) is not None}
            measures[m.benchmark] = {"value": m.value, **bounds}
    return {"bencher.json": encode_json(document)}


def _version_0(name: str, document: dict[str, Any]) -> Iterator[_Given]:
    for benchmark, measures in document.items():
        where = f"{name}: {benchmark!r}"
        if not isinstance(measures, dict):
            raise wrong(name, f"{benchmark!r} is not an object of measures", HINT)
        for measure, figures in measures.items():
            if not isinstance(figures, dict) or "value" not in figures or not figures.keys() <= {"value", *BOUNDS}:
                raise wrong(where, f"{measure!r} is not {{value, lower_value?, upper_value?}}", "mend that measure")
            yield _Given(benchmark, measure, _numbers(where, measure, figures))


def _version_1(name: str, document: dict[str, Any]) -> Iterator[_Given]:
    for benchmark, entries in document.items():
        for index, entry in enumerate(entries):
            where = f"{name}: {benchmark!r}[{index}]"
            if not isinstance(entry, dict) or not {"measures"} <= entry.keys() <= {"parameters", "measures"}:
                raise wrong(where, "is not {parameters?, measures}", HINT)
            suite = benchmark + _parameters(where, entry.get("parameters", {}))
            for measure, figures in _object(where, "measures", entry["measures"]).items():
                yield _Given(suite, measure, _numbers(where, measure, _object(where, measure, figures)))


def _parameters(where: str, parameters: Any) -> str:
    """`` (op=read, size_mb=16)``, the same however they are ordered and their numbers written; nothing without any."""
    pairs = []
    for key, value in sorted(_object(where, "parameters", parameters).items()):
        if not isinstance(value, str | int | float):
            raise wrong(where, f"parameters: {key!r} is no text, number or truth", HINT)
        pairs.append(f"{key}={int(value) if isinstance(value, float) and value.is_integer() else value}")
    return f" ({', '.join(pairs)})" if pairs else ""


def _object(where: str, what: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(where, f"{what!r} is not an object", HINT)
    return value


def _numbers(where: str, measure: str, figures: dict[str, Any]) -> dict[str, int | float | None]:
    for key, value in figures.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(where, f"{measure!r}: {key} is not a number", "mend that number")
    return {key: number(value) for key, value in figures.items()}


def _snapshot(measures: dict[str, dict[str, int | float | None]], origin: Origin) -> Snapshot:
    found = []
    for measure, numbers in measures.items():
        slug = measure.lower().replace("+", "-").replace(" ", "-")
        own = Direction.HIGHER if slug in HIGHER else Direction.LOWER if slug in LOWER else None
        bounds: dict[str, Any] = (
            {ours: numbers.get(theirs) for theirs, ours in BOUNDS.items()} if "value" in numbers else {}
        )
        for name, value in numbers.items():
            if name in BOUNDS and bounds:
                continue
            found.append(
                Measurement(
                    benchmark=measure if name == "value" else f"{measure} {name}",
                    value=value,
                    unit=UNITS.get(slug),
                    direction=own or origin.direction,
                    **(bounds if name == "value" else {}),
                )
            )
    return Snapshot(commit=origin.commit, time_ms=origin.time_ms, measurements=tuple(found))
