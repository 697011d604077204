"""Collections of series: made from recorded runs, kept beneath ``history/imported/``, and seen as points."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import msgspec

from scripts import records
from scripts.exchange import units
from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.history import fingerprint
from scripts.model import BROKEN, METRICS, Block, Direction, Metric, PipelineError, Run

RUN = "run"
"""The format of collections that are made from this project's own runs."""
LARGE = 5_000_000
"""Bytes of JSON above which a collection is kept compressed."""
ENDS = (".json", ".json.gz")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Point(NamedTuple):
    """One number with all that is known of it: the row of a table. ``snapshot`` counts the snapshots of a suite."""

    suite: str
    snapshot: int
    environment: str
    commit: str
    time_ms: int | None
    benchmark: str
    value: int | float | None
    unit: str | None
    direction: Direction | None
    lower: int | float | None
    upper: int | float | None
    extra: dict[str, object]
    snapshot_extra: dict[str, object]


class Key(NamedTuple):
    """What makes points one series."""

    suite: str
    environment: str
    benchmark: str


def from_runs(runs: Iterable[Run]) -> Collection:
    """Every metric at every level of the runs' valid candidate blocks: a suite a backend, a snapshot a run.

    A value is the mean over a run's rounds, ``lower`` and ``upper`` are the least and the greatest of them.
    """
    suites: dict[str, list[Snapshot]] = {}
    for run in runs:
        for backend in run.backends:
            suites.setdefault(backend, []).append(_snapshot(run, backend))
    return Collection(
        format=RUN, suites=tuple(Suite(name=name, snapshots=tuple(chosen)) for name, chosen in suites.items())
    )


def _snapshot(run: Run, backend: str) -> Snapshot:
    measurements = []
    for level in run.levels:
        blocks = [block for block in run.select(backend, level) if block.arm == "candidate"]
        measurements += [m for metric in METRICS.values() if (m := _measurement(metric, level, blocks)) is not None]
    return Snapshot(
        commit=run.commit.sha,
        time_ms=to_ms(datetime.fromisoformat(run.started)),
        environment=fingerprint.of(run),
        measurements=tuple(measurements),
        extra={"run": run.id, "message": run.commit.subject, "committed_at": run.commit.committed_at},
    )


def _measurement(metric: Metric, level: int, blocks: Sequence[Block]) -> Measurement | None:
    values = [value for block in blocks if (value := metric.of(block)) is not None]
    mean = metric.mean(blocks)
    if mean is None:
        return None
    return Measurement(
        benchmark=f"{metric.name} at {level} users",
        value=mean,
        unit=metric.unit,
        direction=metric.direction,
        lower=min(values),
        upper=max(values),
    )


def points(collection: Collection) -> Iterator[Point]:
    """Every measurement, in the collection's order."""
    for suite in collection.suites:
        for number, snapshot in enumerate(suite.snapshots):
            for m in snapshot.measurements:
                yield Point(
                    suite.name, number, snapshot.environment, snapshot.commit, snapshot.time_ms,
                    m.benchmark, m.value, m.unit, m.direction, m.lower, m.upper, m.extra, snapshot.extra,
                )  # fmt: skip


def from_points(rows: Iterable[Point], format: str) -> Collection:
    """The collection that has these points; what has no point (an empty suite) cannot be in it."""
    suites: dict[str, dict[int, list[Point]]] = {}
    for row in rows:
        suites.setdefault(row.suite, {}).setdefault(row.snapshot, []).append(row)
    return Collection(
        format=format,
        suites=tuple(
            Suite(name=name, snapshots=tuple(_regroup(rows) for _, rows in sorted(numbered.items())))
            for name, numbered in suites.items()
        ),
    )


def _regroup(rows: Sequence[Point]) -> Snapshot:
    first = rows[0]
    measurements = tuple(
        Measurement(
            benchmark=row.benchmark,
            value=row.value,
            unit=row.unit,
            direction=row.direction,
            lower=row.lower,
            upper=row.upper,
            extra=row.extra,
        )
        for row in rows
    )
    return Snapshot(
        commit=first.commit,
        time_ms=first.time_ms,
        environment=first.environment,
        measurements=measurements,
        extra=first.snapshot_extra,
    )


def series(collection: Collection) -> dict[Key, tuple[Point, ...]]:
    """The points that have a value, by series, in the source's order.

    A benchmark that occurs several times in a snapshot is several series: ``name``, ``name (2)``, ...
    """
    found: dict[Key, list[Point]] = {}
    for suite in collection.suites:
        for row in points(msgspec.structs.replace(collection, suites=(distinct(suite),))):
            if row.value is not None:
                found.setdefault(Key(row.suite, row.environment, row.benchmark), []).append(row)
    return {key: tuple(rows) for key, rows in found.items()}


def distinct(suite: Suite) -> Suite:
    """The suite with every benchmark's name only once in a snapshot, and each in one unit, its first.

    A benchmark that has units of two kinds (seconds and operations a second) is two: ``name``, ``name [ops/s]``.
    """
    known: dict[str, list[str]] = {}
    snapshots = []
    for snapshot in suite.snapshots:
        measurements = _distinct([_in_known_unit(m, known.setdefault(m.benchmark, [])) for m in snapshot.measurements])
        snapshots.append(msgspec.structs.replace(snapshot, measurements=measurements))
    return Suite(name=suite.name, snapshots=tuple(snapshots))


def _in_known_unit(m: Measurement, known: list[str]) -> Measurement:
    """The measurement in that unit of those known for its benchmark which it can be in; else its own becomes known."""
    if m.unit is None or (known and m.unit == known[0]):
        return m
    unit, factor = next(
        ((unit, factor) for unit in known if (factor := units.factor(m.unit, unit)) is not None), (m.unit, Fraction(1))
    )
    if unit not in known:
        known.append(unit)
    numbers = {"value": m.value, "lower": m.lower, "upper": m.upper}
    return msgspec.structs.replace(
        m,
        benchmark=m.benchmark if unit == known[0] else f"{m.benchmark} [{unit}]",
        unit=unit,
        **{name: _times(value, factor) for name, value in numbers.items()},
    )


def _times(value: int | float | None, factor: Fraction) -> int | float | None:
    return value if value is None or factor == 1 else value * factor.numerator / factor.denominator


def _distinct(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    taken: set[str] = set()
    renamed = []
    for m in measurements:
        name, number = m.benchmark, 1
        while name in taken:
            number += 1
            name = f"{m.benchmark} ({number})"
        taken.add(name)
        renamed.append(m if name == m.benchmark else msgspec.structs.replace(m, benchmark=name))
    return tuple(renamed)


def by_environment(collection: Collection) -> list[Suite]:
    """The suites for formats that know no environment: one for each, ``fastapi on 5f3a9c01``."""
    suites = []
    for suite in collection.suites:
        for environment in dict.fromkeys(snapshot.environment for snapshot in suite.snapshots):
            chosen = tuple(snapshot for snapshot in suite.snapshots if snapshot.environment == environment)
            name = f"{suite.name} on {environment}" if environment else suite.name
            suites.append(Suite(name=name, snapshots=chosen))
    return suites


def to_ms(moment: datetime) -> int:
    """Milliseconds since 1970; a moment without a time zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)


def to_iso(time_ms: int) -> str:
    """``2026-11-23T12:00:00.000+00:00``."""
    seconds, rest = divmod(time_ms, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000).isoformat(timespec="milliseconds")


def directed(collection: Collection, better: Mapping[str, Direction]) -> Collection:
    """The collection with these directions of benchmarks, whatever it says itself.

    Raises PipelineError for a benchmark that is not there.
    """
    if not better:
        return collection
    known = {m.benchmark for suite in collection.suites for snapshot in suite.snapshots for m in snapshot.measurements}
    for name in better:
        if name not in known:
            raise PipelineError(
                f"--better {name}: no benchmark {name!r} there", f"there are: {', '.join(sorted(known))}"
            )
    suites = [
        msgspec.structs.replace(
            suite,
            snapshots=tuple(
                msgspec.structs.replace(
                    snapshot,
                    measurements=tuple(
                        msgspec.structs.replace(m, direction=better.get(m.benchmark, m.direction))
                        for m in snapshot.measurements
                    ),
                )
                for snapshot in suite.snapshots
            ),
        )
        for suite in collection.suites
    ]
    return msgspec.structs.replace(collection, suites=tuple(suites))


def joined(kept: Collection, added: Collection) -> Collection:
    """The collection with another's snapshots after its own. Raises PipelineError for what it has already."""
    if kept.format != added.format:
        raise PipelineError(f"a file of {added.format} cannot be added to {kept.format}", "give it another --name")
    suites = {suite.name: suite.snapshots for suite in kept.suites}
    for suite in added.suites:
        before = suites.get(suite.name, ())
        if any(snapshot in before for snapshot in suite.snapshots):
            raise PipelineError(f"{suite.name}: the same numbers of the same commit are there already", "leave it out")
        suites[suite.name] = before + suite.snapshots
    return msgspec.structs.replace(
        kept, suites=tuple(Suite(name=name, snapshots=snapshots) for name, snapshots in suites.items())
    )


def locate(root: Path, name: str) -> Path | None:
    """The file of an imported collection, None where there is none. Raises PipelineError for a wrong name."""
    if not NAME.fullmatch(name):
        raise PipelineError(f"--name {name}: not a file name", "use letters, digits, points, dashes and underscores")
    paths = [root / "imported" / f"{name}{end}" for end in ENDS]
    return next((path for path in paths if path.exists()), None)


def names(root: Path) -> list[str]:
    """What is imported beneath a root of the history."""
    files = (root / "imported").glob("*.json*")
    return sorted({re.sub(r"\.json(\.gz)?$", "", path.name) for path in files if path.name.endswith(ENDS)})


def read(root: Path, name: str) -> Collection:
    """An imported collection. Raises PipelineError naming the file, and what there is instead."""
    path = locate(root, name) or root / "imported" / f"{name}.json"
    try:
        data = path.read_bytes()
        return msgspec.json.decode(gzip.decompress(data) if path.suffix == ".gz" else data, type=Collection)
    except (*BROKEN, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise PipelineError(f"{path}: not an imported collection: {error}", "import it again with --replace") from error
    except OSError as error:
        known = ", ".join(names(root)) or "none yet"
        raise PipelineError(f"{path}: cannot be read: {error.strerror}", f"imported collections: {known}") from error


def write(root: Path, name: str, collection: Collection) -> Path:
    """Keep a collection beneath a root of the history, whole or not at all, in place of one of that name.

    What a diff can show to people is plain JSON; what it cannot is compressed, since git hosts take no large files.
    """
    before = locate(root, name)
    data = msgspec.json.format(msgspec.json.encode(collection), indent=1) + b"\n"
    path = root / "imported" / f"{name}{ENDS[len(data) > LARGE]}"
    path.parent.mkdir(parents=True, exist_ok=True)
    records.replace(path, gzip.compress(data, 6, mtime=0) if len(data) > LARGE else data)
    if before not in (None, path):
        before.unlink()
    return path
