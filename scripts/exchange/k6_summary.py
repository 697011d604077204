"""k6's end-of-test summaries, one moment each: ``--summary-export``, ``handleSummary``'s data as JSON, and both in the
machine-readable shape (``--new-machine-readable-summary``).

Facts from k6 1.1's own output and k6's documentation: an export has the numbers of a metric beside its thresholds, with
``value`` for a rate; ``handleSummary`` has them under ``values``, with the metric's type and what it contains; the
machine-readable shape has a list of the same under ``results``. Times are in milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from scripts.exchange.collection import to_ms
from scripts.exchange.files import Files, Origin, decode_json, number, wrong
from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.model import Direction

K6 = "k6-summary"
HINT = "give what k6 writes with --summary-export, or handleSummary's data as JSON"
TIMES = ("http_req_", "iteration_duration", "group_duration", "ws_connecting", "ws_session_duration", "ws_ping",
         "grpc_req_duration", "browser_http_req_duration", "browser_web_vital_")  # fmt: skip
"""k6's own metrics of time, by how they begin: an export does not say what a metric contains."""
BETTER = {
    **dict.fromkeys(("checks rate", "http_reqs rate", "iterations rate"), Direction.HIGHER),
    **dict.fromkeys(("http_req_failed rate", "browser_http_req_failed rate", "checks fails"), Direction.LOWER),
    **dict.fromkeys(("dropped_iterations count", "dropped_iterations rate"), Direction.LOWER),
}


class _Metric(NamedTuple):
    """``kind`` and ``contains`` are empty where the file does not say them."""

    name: str
    kind: str
    contains: str
    numbers: Mapping[str, Any]


def decode(files: Files, origin: Origin) -> Collection:
    """A suite, ``k6``, with a snapshot for each file in the order of their names; ``http_req_duration p(95)``."""
    snapshots = []
    for name, data in sorted(files.items()):
        document = decode_json(name, data)
        metrics = list(_metrics(name, document))
        measurements = tuple(m for metric in metrics for m in _measurements(name, metric, origin))
        if not measurements:
            raise wrong(name, "has no metrics", HINT)
        extra = {"file": PurePosixPath(name).name} if len(files) > 1 else {}
        snapshots.append(
            Snapshot(
                commit=origin.commit,
                time_ms=origin.time_ms if origin.time_ms is not None else _time(document),
                measurements=measurements,
                extra=extra,
            )
        )
    return Collection(format=K6, suites=(Suite(name="k6", snapshots=tuple(snapshots)),))


def matches(document: object) -> bool:
    """Whether a JSON document looks like a summary."""
    if not isinstance(document, dict):
        return False
    results = document.get("results")
    return isinstance(document.get("metrics"), dict) or (isinstance(results, dict) and "metrics" in results)


def _metrics(name: str, document: Any) -> Iterator[_Metric]:
    if not matches(document):
        raise wrong(name, "is not a summary of k6", HINT)
    given = document["metrics"] if "metrics" in document else document["results"]["metrics"]
    entries = given.items() if isinstance(given, dict) else [(_named(name, entry), entry) for entry in given]
    for metric, entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("values", {}), dict):
            raise wrong(name, f"the metric {metric!r} is not an object", HINT)
        numbers = entry.get("values", {key: value for key, value in entry.items() if key != "thresholds"})
        yield _Metric(str(metric), str(entry.get("type", "")), str(entry.get("contains", "")), numbers)


def _named(name: str, entry: Any) -> str:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise wrong(name, "a metric has no name", HINT)
    return str(entry["name"])


def _measurements(name: str, metric: _Metric, origin: Origin) -> Iterator[Measurement]:
    base = metric.name.partition("{")[0]
    trend = metric.kind == "trend" or "avg" in metric.numbers
    time = trend and (metric.contains == "time" or (not metric.contains and base.startswith(TIMES)))
    rate = metric.kind == "rate" or "passes" in metric.numbers
    data = metric.contains == "data" or base in ("data_sent", "data_received")
    for key, value in metric.numbers.items():
        if number(value) is None and isinstance(value, dict | list | str | bool):
            raise wrong(name, f"the metric {metric.name!r}: {key} is not a number", HINT)
        statistic = "rate" if rate and key == "value" else key
        unit = "ms" if time and key != "count" else "bytes" if data and key != "rate" else "bytes/s" if data else None
        own = Direction.LOWER if unit == "ms" else BETTER.get(f"{base} {statistic}")
        yield Measurement(
            benchmark=f"{metric.name} {statistic}", value=number(value), unit=unit, direction=own or origin.direction
        )


def _time(document: Any) -> int | None:
    metadata = document.get("metadata")
    try:
        return to_ms(datetime.fromisoformat(metadata["generatedAt"])) if isinstance(metadata, dict) else None
    except (KeyError, TypeError, ValueError):
        return None
