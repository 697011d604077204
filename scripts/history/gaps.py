"""What of a line of commits has no run yet, and the commits at which a backend cannot be measured.

``history/unmeasured/<commit>-<backend>.json`` says that a backend is not there at a commit, or does not build or start,
and why: one file each, so that the absence of a run is known to be no oversight, and nobody tries it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from scripts import records
from scripts.bounds import Name, Sha
from scripts.checkout import Revision
from scripts.escape import plain
from scripts.model import BROKEN, METRICS, PipelineError, Run, Struct
from scripts.verdict.rounds import log_ratios

FOLDER = "unmeasured"
SCHEMA_VERSION = 1

Place = tuple[str, str]
"""The hash of a commit, and a backend."""


class Unmeasured(Struct):
    """A backend that could not be measured at a commit; ``noted``: when, and ``stack``: on which kind of stack."""

    schema_version: int
    commit: Sha
    subject: str
    backend: Name
    reason: str
    noted: str
    stack: str


class Gap(Struct):
    """The next to be measured: ``backends`` at ``commit``, of which each has ``runs`` so far."""

    commit: str
    backends: tuple[str, ...]
    runs: int


def wanted(line: Iterable[Revision], backends: Collection[str]) -> list[Place]:
    """Every commit with the backends that it reaches, of those that are asked for."""
    return [(revision.sha, name) for revision in line for name in revision.reaches if name in backends]


def have(runs: Iterable[Run], baseline: str) -> Counter[Place]:
    """How many recorded runs there are against a baseline, of each backend at each commit."""
    return Counter(place for run in runs for place in places(run, baseline))


def places(run: Run, baseline: str) -> list[Place]:
    """What a run says something of: the backends with a valid pair."""
    if run.baseline is None or run.baseline.sha != baseline or run.commit.dirty:
        return []
    metric = METRICS["throughput_rps"]
    return [(run.commit.sha, name) for name in run.backends if log_ratios(run.counting, metric, name)]


def next_gap(places: Sequence[Place], done: Mapping[Place, int], unable: Collection[Place], times: int) -> Gap | None:
    """Where the fewest runs are, the oldest commit first; None where all ``places`` have been measured ``times`` times.

    So a campaign that ends early has covered everything alike.
    """
    open_ = [place for place in places if place not in unable and done.get(place, 0) < times]
    if not open_:
        return None
    fewest = min(done.get(place, 0) for place in open_)
    commit = next(sha for sha, name in open_ if done.get((sha, name), 0) == fewest)
    names = tuple(name for sha, name in open_ if sha == commit and done.get((sha, name), 0) == fewest)
    return Gap(commit=commit, backends=names, runs=fewest)


def read_unmeasured(root: Path, warn: Callable[[str], None]) -> tuple[Unmeasured, ...]:
    """All that is noted beneath a root of the history. ``warn`` is told of each file that is none and so left out."""
    found = []
    for path in sorted((root / FOLDER).glob("*.json")):
        try:
            found.append(_read(path))
        except PipelineError as error:
            warn(f"{plain(error.message)}; it is left out: {error.hint}")
    return tuple(found)


def note(entry: Unmeasured, root: Path) -> Path:
    """Write one down; a newer note takes the place of an older one."""
    path = root / FOLDER / f"{entry.commit}-{entry.backend}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    records.replace(path, msgspec.json.format(msgspec.json.encode(entry), indent=1) + b"\n")
    return path


def forget(place: Place, root: Path) -> None:
    """Remove a note: the backend could be measured after all."""
    (root / FOLDER / f"{place[0]}-{place[1]}.json").unlink(missing_ok=True)


def _read(path: Path) -> Unmeasured:
    try:
        entry = msgspec.json.decode(records.read_bytes(path), type=Unmeasured)
    except (OSError, *BROKEN) as error:
        raise PipelineError(f"{path}: not a valid note: {error}", "remove it; it is made again where needed") from error
    if entry.schema_version != SCHEMA_VERSION:
        raise PipelineError(f"{path}: schema_version {entry.schema_version}", f"this version reads {SCHEMA_VERSION}")
    return entry
