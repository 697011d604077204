"""Bencher Metric Format: ``{benchmark: {measure: {value, lower_value?, upper_value?}}}``, one moment, no more.

Source: Bencher's reference, "Bencher Metric Format". Commit, time and direction are not in it: Bencher has them from
its command line and from its own settings of the measure.
"""

from __future__ import annotations

from typing import Any

from scripts.exchange.collection import by_environment, distinct
from scripts.exchange.files import Files, Origin, decode_json, encode_json, only, wrong
from scripts.model import Collection, Measurement, Snapshot, Suite

BENCHER = "bencher"
BOUNDS = {"lower_value": "lower", "upper_value": "upper"}


def decode(files: Files, origin: Origin) -> Collection:
    """A suite for each benchmark, in which its measures are the benchmarks."""
    name, data = only(files)
    document = decode_json(name, data)
    if not isinstance(document, dict):
        raise wrong(name, "is not an object of benchmarks", "give JSON in Bencher Metric Format")
    suites = []
    for benchmark, measures in document.items():
        if not isinstance(measures, dict):
            raise wrong(name, f"{benchmark!r} is not an object of measures", "give JSON in Bencher Metric Format")
        measurements = tuple(
            _measurement(measure, figures, origin, f"{name}: {benchmark!r}") for measure, figures in measures.items()
        )
        snapshot = Snapshot(commit=origin.commit, time_ms=origin.time_ms, measurements=measurements)
        suites.append(Suite(name=benchmark, snapshots=(snapshot,)))
    return Collection(format=BENCHER, suites=tuple(suites))


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


def _measurement(measure: str, figures: Any, origin: Origin, where: str) -> Measurement:
    known = {"value", *BOUNDS}
    if not isinstance(figures, dict) or "value" not in figures or not figures.keys() <= known:
        raise wrong(where, f"{measure!r} is not {{value, lower_value?, upper_value?}}", "mend that measure")
    for key, value in figures.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong(where, f"{measure!r}: {key} is not a number", "mend that number")
    return Measurement(
        benchmark=measure,
        value=figures["value"],
        direction=origin.direction,
        lower=figures.get("lower_value"),
        upper=figures.get("upper_value"),
    )
