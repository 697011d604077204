"""github-action-benchmark: its input files (one run), and its store ``data.js`` (the whole history).

Facts from the action's sources (src/extract.ts, src/write.ts): an input is a list of ``{name, unit, value, range?,
extra?}``; the store is JavaScript, ``window.BENCHMARK_DATA = {...}``, an object of suites of entries; the direction of
an entry follows from its ``tool``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from scripts.exchange import units
from scripts.exchange.collection import by_environment, distinct, to_iso, to_ms
from scripts.exchange.files import Files, Origin, decode_json, encode_json, number, only, wrong
from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.model import Direction

STORE = "github-action-benchmark"
INPUT = "github-action-benchmark-input"
PREFIX = "window.BENCHMARK_DATA"
CUSTOM = {Direction.HIGHER: "customBiggerIsBetter", Direction.LOWER: "customSmallerIsBetter"}
HIGHER = {"benchmarkjs", "pytest", CUSTOM[Direction.HIGHER]}
"""Tools whose numbers are better when they are higher, those of others when lower, where their unit does not say it."""


def decode_store(files: Files, origin: Origin) -> Collection:
    """From ``data.js`` or the same as plain JSON (the action's ``external-data-json-path``), without loss.

    What has no place of its own here, or is of another type, is in ``extra``.
    """
    name, data = only(files)
    text = data.decode(errors="surrogateescape").strip("\ufeff \r\n\t")
    start, _, body = ("", "", text) if text.startswith("{") else text.partition("=")
    if (start and start.strip() != PREFIX) or not text:
        raise wrong(name, f"does not begin with `{PREFIX} = `", "give the action's data.js")
    document = _object(decode_json(name, body.strip().removesuffix(";").encode(errors="surrogateescape")), name, "$")
    rest = dict(document)
    entries = _object(rest.pop("entries", None), name, "entries")
    suites = []
    for suite, listed in entries.items():
        if not isinstance(listed, list):
            raise wrong(name, f"entries[{suite!r}] is not a list", "give the action's data.js")
        places = [f"entries[{suite!r}][{index}]" for index in range(len(listed))]
        snapshots = [_snapshot(_object(entry, name, at)) for at, entry in zip(places, listed, strict=True)]
        for at, snapshot in zip(places, snapshots, strict=True):
            if snapshot.extra.get("benches", []) != []:
                origin.warn(f"{name}: {at}: its benches are not a list of objects, so none of their numbers is read")
        suites.append(Suite(name=suite, snapshots=tuple(snapshots)))
    return Collection(format=STORE, suites=tuple(suites), extra=rest)


def encode_store(collection: Collection) -> Files:
    """``data.js``: of a store that was imported the same JSON value, of other collections what the action would write.

    The action's page reads a commit's message, address and committer, so that they are there, empty where unknown.
    """
    if collection.format == STORE:
        entries = {suite.name: [_entry(snapshot) for snapshot in suite.snapshots] for suite in collection.suites}
        document = {**collection.extra, "entries": entries}
    else:
        entries = {}
        for suite in map(distinct, by_environment(collection)):
            for direction, tool in CUSTOM.items():
                found = [_foreign_entry(snapshot, direction, tool) for snapshot in suite.snapshots]
                if chosen := [entry for entry in found if entry["benches"]]:
                    entries.setdefault(f"{suite.name}, {direction.value}", []).extend(chosen)
        newest = max((entry["date"] for listed in entries.values() for entry in listed), default=0)
        document = {"lastUpdate": newest, "repoUrl": "", "entries": entries}
    return {"data.js": f"{PREFIX} = ".encode() + encode_json(document)}


def decode_input(files: Files, origin: Origin) -> Collection:
    """From one or both input files; a file's name says its direction, else ``origin.direction`` does."""
    measurements: list[Measurement] = []
    for name, data in files.items():
        named = [direction for direction, tool in CUSTOM.items() if tool in name]
        direction = named[0] if named else origin.direction
        if direction is None:
            raise wrong(name, "nothing says which way is better", "give --better higher or --better lower")
        document = decode_json(name, data)
        if not isinstance(document, list):
            raise wrong(name, "is not a list of {name, unit, value}", "give what the action takes as input")
        for index, bench in enumerate(document):
            measurement = _measurement(_object(bench, name, f"$[{index}]"), direction)
            if measurement.value is None or not measurement.benchmark:
                raise wrong(name, f"$[{index}] has no name or no value", "give what the action takes as input")
            measurements.append(measurement)
    snapshot = Snapshot(commit=origin.commit, time_ms=origin.time_ms, measurements=tuple(measurements))
    return Collection(format=INPUT, suites=(Suite(name="Benchmark", snapshots=(snapshot,)),))


def encode_input(collection: Collection) -> Files:
    """The newest snapshot of each suite, as one file for each direction."""
    lists: dict[Direction, list[dict[str, Any]]] = {}
    for suite in by_environment(collection):
        for m in suite.snapshots[-1].measurements if suite.snapshots else ():
            if m.value is None or m.direction is None:
                continue
            bench = _bench(m)
            if len(collection.suites) > 1:
                bench["name"] = f"{suite.name}: {m.benchmark}"
            lists.setdefault(m.direction, []).append(bench)
    return {f"{CUSTOM[direction]}.json": encode_json(benches) for direction, benches in lists.items()}


def _snapshot(entry: dict[str, Any]) -> Snapshot:
    """An entry of the store; ``extra`` is the entry without what has been taken out of it."""
    rest = dict(entry)
    commit = ""
    if isinstance(rest.get("commit"), dict):
        rest["commit"] = dict(rest["commit"])
        commit = _take(rest["commit"], "id", str, "")
    tool = rest.get("tool")
    measurements: tuple[Measurement, ...] = ()
    benches = rest.get("benches")
    if isinstance(benches, list) and benches and all(isinstance(bench, dict) for bench in benches):
        del rest["benches"]
        measurements = tuple(_measurement(bench, _direction(tool, bench.get("unit"))) for bench in benches)
    time_ms: int | None = _take(rest, "date", int, None)
    if time_ms is None:
        time_ms = _time(rest.get("date"))
    return Snapshot(commit=commit, time_ms=time_ms, measurements=measurements, extra=rest)


def _direction(tool: object, unit: object) -> Direction | None:
    """The tool's own names say it, else the unit (JMH has times and rates), else what the tool mostly gives."""
    if not isinstance(tool, str):
        return None
    said = next((direction for direction, name in CUSTOM.items() if name == tool), None)
    usual = Direction.HIGHER if tool in HIGHER else Direction.LOWER
    return said or units.better(unit if isinstance(unit, str) else None) or usual


def _time(date: object) -> int | None:
    """Milliseconds of a date that is a string, or a number with a fraction."""
    if isinstance(date, str):
        try:
            return to_ms(datetime.fromisoformat(date))
        except ValueError:
            return None
    found = number(date)
    return None if found is None else round(found)


def _entry(snapshot: Snapshot) -> dict[str, Any]:
    """The inverse of `_snapshot`."""
    entry = dict(snapshot.extra)
    if isinstance(entry.get("commit"), dict) and "id" not in entry["commit"] and snapshot.commit:
        entry["commit"] = {**entry["commit"], "id": snapshot.commit}
    if snapshot.time_ms is not None and "date" not in entry:
        entry["date"] = snapshot.time_ms
    if snapshot.measurements:
        entry["benches"] = [_bench(m) for m in snapshot.measurements]
    return entry


def _foreign_entry(snapshot: Snapshot, direction: Direction, tool: str) -> dict[str, Any]:
    """An entry of the measurements of one direction, with what the action's page needs."""
    time_ms = snapshot.time_ms or 0
    said = {"message": "", "timestamp": to_iso(time_ms), "url": ""}
    said |= {key: value for key, value in snapshot.extra.items() if key in said}
    people = {role: {"name": "", "username": "", "email": ""} for role in ("author", "committer")}
    chosen = [m for m in snapshot.measurements if m.direction == direction and m.value is not None]
    return {
        "commit": {"id": snapshot.commit, **said, **people},
        "date": time_ms,
        "tool": tool,
        "benches": [_bench(m) for m in chosen],
    }


def _measurement(bench: Mapping[str, Any], direction: Direction | None) -> Measurement:
    rest = dict(bench)
    value = number(rest.get("value"))
    if not isinstance(rest.get("value"), str) and value is not None:
        del rest["value"]  # what was a string is one again when it goes out
    return Measurement(
        benchmark=_take(rest, "name", str, ""),
        value=value,
        unit=_take(rest, "unit", str, None),
        direction=direction,
        extra=rest,
    )


def _bench(m: Measurement) -> dict[str, Any]:
    """The inverse of `_measurement`; a range that another format gave becomes the action's words for one."""
    bench: dict[str, Any] = {}
    if m.benchmark and "name" not in m.extra:
        bench["name"] = m.benchmark
    if m.value is not None:
        bench["value"] = m.value
    if m.unit is not None:
        bench["unit"] = m.unit
    if m.lower is not None and m.upper is not None:
        bench["range"] = f"{m.lower:g} to {m.upper:g}"
    return {**bench, **m.extra}


def _take(document: dict[str, Any], key: str, kind: type, otherwise: Any) -> Any:
    """Take a value out of a document if it is what it should be (a JSON true is no number); else leave it there."""
    value = document.get(key)
    if isinstance(value, kind) and not isinstance(value, bool) and value != "":
        del document[key]
        return value
    return otherwise


def _object(value: object, name: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(name, f"{where} is not an object", "give what the action reads or writes")
    return value
