"""Recorded runs as series: one metric of one backend, run after run along a line of commits. Pure.

A run of one arm gives absolute values, which are compared within one environment. A paired run gives the ratio
candidate / baseline, which does not depend on the machine: such series join environments. Counts depend on neither.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from scripts.checkout import Revision
from scripts.history import fingerprint
from scripts.model import METRICS, Layout, ParitySummary, Run, Struct, Workload
from scripts.verdict.rounds import by_round, log_ratios

COUNTS: Mapping[str, tuple[str, Callable[[ParitySummary], int]]] = {
    "statements_per_request": ("Statements a request", lambda p: p.statements_per_request),
    "rows_per_request": ("Rows a request", lambda p: p.rows_per_request),
    "control_per_request": ("Transaction control a request", lambda p: sum(p.control_per_request.values())),
    "connections_per_request": ("Connections a request", lambda p: round(p.connections_per_request)),
    "file_operations": ("File operations a request", lambda p: p.file_operations),
}
"""What is counted and not measured: label and count, by name. All are better when lower."""


class Frame(Struct):
    """Within what values are compared: an environment's fingerprint, or a baseline's hash and the layout of pairs.

    Counts have neither. Where the workload differs, so do all numbers.
    """

    workload: Workload | None
    environment: str = ""
    baseline: str = ""
    layout: Layout | None = None


class Moment(Struct):
    """A recorded run: its id, the commit that it measured, and where that commit is in the line."""

    run: str
    commit: str
    position: int


class Series(Struct):
    """``values`` of a metric at ``moments``, in the order of the line and then of time.

    ``levels``: those that a value is the mean over, one or all of a run's; none for a count.
    """

    backend: str
    metric: str
    levels: tuple[int, ...]
    frame: Frame
    moments: tuple[Moment, ...]
    values: tuple[float, ...]

    @property
    def counted(self) -> bool:
        return self.metric in COUNTS

    def index(self, moment: Moment) -> int:
        """How many moments are before a run."""
        return bisect_left(self.moments, (moment.position, moment.run), key=lambda other: (other.position, other.run))

    def until(self, position: int) -> int:
        """How many moments are at commits up to ``position``."""
        return bisect_right(self.moments, position, key=lambda moment: moment.position)

    def before(self, position: int) -> int:
        """How many moments are at commits before ``position``."""
        return bisect_left(self.moments, position, key=lambda moment: moment.position)


Key = tuple[str, str, tuple[int, ...], Frame]


def gather(runs: Iterable[Run], line: Sequence[Revision], metrics: Iterable[str]) -> tuple[tuple[Series, ...], int]:
    """The series of ``metrics`` and of every count, and how many runs are left out: those of commits off the line.

    Of each run only numbers are kept, so ``runs`` may be read one after the other.
    """
    places = {revision.sha: position for position, revision in enumerate(line)}
    names = list(metrics)
    found: dict[Key, list[tuple[Moment, float]]] = {}
    left_out = 0
    for run in runs:
        position = places.get(run.commit.sha)
        if position is None or run.commit.dirty:
            left_out += 1
            continue
        moment = Moment(run=run.id, commit=run.commit.sha, position=position)
        for key, value in _samples(run, names):
            found.setdefault(key, []).append((moment, value))
    return tuple(_series(key, points) for key, points in found.items()), left_out


def _series(key: Key, points: list[tuple[Moment, float]]) -> Series:
    backend, metric, levels, frame = key
    points.sort(key=lambda point: (point[0].position, point[0].run))
    moments, values = zip(*points, strict=True)
    return Series(backend=backend, metric=metric, levels=levels, frame=frame, moments=moments, values=values)


def _samples(run: Run, metrics: Sequence[str]) -> Iterator[tuple[Key, float]]:
    for summary in run.parity:
        if summary.arm == "candidate":
            for name, (_, count) in COUNTS.items():
                yield (summary.backend, name, (), Frame(workload=run.workload)), float(count(summary))
    frame = Frame(workload=run.workload, environment=fingerprint.of(run))
    if run.baseline:
        frame = Frame(workload=run.workload, baseline=run.baseline.sha, layout=run.layout)
    for backend in run.backends:
        for name in metrics:
            logs = _ratios(run, backend, name) if run.baseline else _absolutes(run, backend, name)
            for levels, value in logs.items():
                yield (backend, name, levels, frame), math.exp(value)


def _ratios(run: Run, backend: str, metric: str) -> dict[tuple[int, ...], float]:
    """Logarithms of candidate / baseline, at each level and over all."""
    ratios = log_ratios(run.counting, METRICS[metric], backend)
    found = {}
    for levels in _scopes(run):
        rounds = by_round(ratios, levels)
        if rounds:
            found[levels] = math.fsum(rounds.values()) / len(rounds)
    return found


def _absolutes(run: Run, backend: str, metric: str) -> dict[tuple[int, ...], float]:
    """Logarithms of the values at each level, and their mean over all levels where every one has a value."""
    logs = {}
    for level in run.profile.levels:
        value = METRICS[metric].mean(run.select(backend, level))
        if value is not None and value > 0:
            logs[level] = math.log(value)
    return {
        levels: math.fsum(logs[level] for level in levels) / len(levels)
        for levels in _scopes(run)
        if logs.keys() >= set(levels)
    }


def _scopes(run: Run) -> list[tuple[int, ...]]:
    """Each level, and all of the profile's; a run that lacks one is in the series of the others."""
    levels = tuple(sorted(run.profile.levels))
    return [levels, *((level,) for level in levels if len(levels) > 1)]
