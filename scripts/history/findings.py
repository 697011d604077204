"""Series -> changes: evidence is pooled, so that one real change is one finding. Pure.

1. *Seeds*: each series is searched by itself, and each edge between two commits with several runs is tried besides.
   What is found counts where its p-value stands Bonferroni's correction for all series of its frame and 100 places in
   each. Half of the error rate is for means over levels, half for single levels. A count that differs is certain.
2. *Environment*: where all backends of a frame move together, the environment has changed.
3. *Clusters*: seeds of a backend whose possible places overlap, or lie fewer runs apart than a regime needs, are one
   change; the surest come first, and each narrows the range of commits.
4. *Shown*: every other series of the backend is asked whether it moves at that place, too.

A code change of one backend that falls on a change of the environment is seen in the ratio to a baseline only.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import takewhile

import msgspec

from scripts.checkout import Revision
from scripts.config import Detection
from scripts.history.changes import SCHEMA_VERSION, Cause, Change, Changes, Shown, Tier
from scripts.history.evidence import AGREES, Evidence, Seed, p_value
from scripts.history.series import Frame, Moment, Series
from scripts.model import METRICS, Direction, Event
from scripts.statistics.changepoints import SHORTEST

INTERVAL = 0.05


class _Cluster:
    """Seeds that show one change; ``owner``: a backend, or the frame in which all backends change.

    The first, ``founder``, is the surest, and lies apart from all clusters that its series could have joined. ``low``
    and ``high`` are never outside of its range.
    """

    def __init__(self, owner: str | Frame, seed: Seed) -> None:
        self.owner, self.founder, self.seeds, self.low, self.high = owner, seed, [seed], seed.low, seed.high

    def overlaps(self, seed: Seed) -> bool:
        low, high = max(self.low, seed.low), min(self.high, seed.high)
        return low < high or (low, high) == (seed.low, seed.high) == (self.low, self.high)

    def add(self, seed: Seed) -> None:
        self.seeds.append(seed)
        if self.overlaps(seed):
            self.low, self.high = max(self.low, seed.low), min(self.high, seed.high)


def find(
    series: Sequence[Series],
    line: Sequence[Revision],
    terms: Detection,
    events: Sequence[Event],
    as_of: str,
    left_out: int,
) -> Changes:
    """All changes of the series, in the order of the line.

    ``line``: the commits that the series' positions count; ``as_of`` and ``left_out`` go into the record as they are.
    """
    evidence = Evidence(series, line, terms.false_alarms)
    clusters = _clusters(evidence, evidence.seeds())
    changes = [_change(evidence, cluster, clusters, terms, events) for cluster in clusters]
    changes.sort(key=lambda change: (change.after.position, change.before.position, change.backends))
    return Changes(
        schema_version=SCHEMA_VERSION,
        as_of=as_of,
        runs=len({moment.run for one in series for moment in one.moments}),
        left_out=left_out,
        series=len(series),
        false_alarms=terms.false_alarms,
        changes=tuple(changes),
    )


def _clusters(evidence: Evidence, seeds: Sequence[Seed]) -> list[_Cluster]:
    """What all backends show first, then counts, then the rest; each part the surest first."""
    common = [seed for seed in seeds if evidence.common(seed)]
    rest = [seed for seed in seeds if seed not in common]
    rest.sort(key=lambda seed: not evidence.series[seed.series].counted)
    clusters: list[_Cluster] = []
    for seed in [*common, *rest]:
        series = evidence.series[seed.series]
        owners: list[str | Frame] = [series.frame] if seed in common else [series.backend, series.frame]
        homes = sorted((c for c in clusters if c.owner in owners), key=lambda c: owners.index(c.owner))
        home = next((cluster for cluster in homes if cluster.overlaps(seed)), None)
        if home is None and not series.counted:
            home = next((cluster for cluster in homes if _near(series, seed, cluster)), None)
        if home is None:
            clusters.append(_Cluster(owners[0], seed))
        else:
            home.add(seed)
    return clusters


def _near(series: Series, seed: Seed, cluster: _Cluster) -> bool:
    """Whether fewer values lie between than a regime needs."""
    return series.before(cluster.high) - SHORTEST < seed.place < series.until(cluster.low) + SHORTEST


def _change(
    evidence: Evidence, cluster: _Cluster, clusters: Sequence[_Cluster], terms: Detection, events: Sequence[Event]
) -> Change:
    """The record of a cluster."""
    seeded = {seed.series for seed in cluster.seeds}
    shown = {n: one for n in _asked(evidence, cluster, clusters) if (one := _shown(evidence, n, cluster)) is not None}
    shown = {n: _ranked(one, terms) if n in seeded else one for n, one in shown.items()}
    order = sorted(shown, key=lambda n: _order(shown[n], list(terms.worth_reporting)))
    backends = tuple(dict.fromkeys(shown[n].backend for n in order))
    before, after = _edges(evidence, cluster, order)
    between = evidence.line[cluster.low + 1 : cluster.high + 1]
    everybody = isinstance(cluster.owner, Frame)
    commits = () if everybody else tuple(revision for revision in between if backends[0] in revision.reaches)
    noted = _concerning(events, between, shown.values())
    return Change(
        id=f"{'environment' if everybody else backends[0]}-{after.commit[:12]}",
        backends=backends,
        cause=Cause.ENVIRONMENT if everybody else Cause.CODE if commits else Cause.UNEXPLAINED,
        tier=shown[order[0]].tier or Tier.DETECTED,
        confidence=1 - min(seed.p for seed in cluster.seeds),
        before=before,
        after=after,
        shown=tuple(shown[n] for n in order),
        commits=commits,
        events=noted,
        accepted=any(event.kind == "accepted" for event in noted),
    )


def _asked(evidence: Evidence, cluster: _Cluster, clusters: Sequence[_Cluster]) -> list[int]:
    """The series that may show a change: not those in whose frame the environment changed at the same place.

    The founder's series is always one of them: had the environment of its frame changed where it lies, it had joined
    that cluster. What joined later may reach further, over other changes of its own frame.
    """
    frames = {
        other.owner
        for other in clusters
        if isinstance(other.owner, Frame) and other.owner != cluster.owner and other.overlaps(cluster.founder)
    }
    return [
        number
        for number, one in enumerate(evidence.series)
        if cluster.owner in (one.backend, one.frame) and one.frame not in frames
    ]


def _edges(evidence: Evidence, cluster: _Cluster, shown: Sequence[int]) -> tuple[Moment, Moment]:
    """The last run before a change and the first after it."""
    first = cluster.founder
    if cluster.low == cluster.high:  # within the runs of one commit
        moments = evidence.series[first.series].moments
        return moments[first.place - 1], moments[first.place]
    moments_of = [evidence.series[number].moments for number in {first.series, *shown}]
    runs = {(m.position, m.run): m for moments in moments_of for m in moments}
    return (
        runs[max(key for key in runs if key[0] <= cluster.low)],
        runs[min(key for key in runs if key[0] >= cluster.high)],
    )


def _concerning(events: Sequence[Event], between: Sequence[Revision], shown: Collection[Shown]) -> tuple[Event, ...]:
    commits = {revision.sha for revision in between}
    return tuple(
        event
        for event in events
        if event.commit in commits and any(event.concerns(one.backend, one.metric) for one in shown)
    )


def _ranked(shown: Shown, terms: Detection) -> Shown:
    """With its tier; a count's change is always worth reporting."""
    gate = terms.worth_reporting.get(shown.metric)
    large = gate is None or shown.ratio is None or abs(math.log(shown.ratio)) >= math.log1p(gate)
    return msgspec.structs.replace(shown, tier=Tier.WORTH_REPORTING if large else Tier.DETECTED)


def _order(shown: Shown, metrics: Sequence[str]) -> tuple[int, int, int, bool, float]:
    """What a change is called by comes first. It is not the smallest p-value, whose effect is the luckiest."""
    tier = (Tier.WORTH_REPORTING, Tier.DETECTED, None).index(shown.tier)
    metric = metrics.index(shown.metric) if shown.metric in metrics else len(metrics)
    return tier, metric, -len(shown.levels), not shown.baseline, shown.p_value


def _shown(evidence: Evidence, number: int, cluster: _Cluster) -> Shown | None:
    """What a series shows of a change, or None where it shows nothing of it."""
    series = evidence.series[number]
    place = _place(evidence, number, cluster)
    if not 0 < place < len(series.values):
        return None
    if series.counted:
        before, after = series.values[place - 1], series.values[place]
        if before == after:
            return None
        runs = (_same(series.values[:place][::-1]), _same(series.values[place:]))
        return _record(series, before, after, (after / before if before else None, None, None), 0.0, runs)
    judged = evidence.judged[number]
    effect = judged.effect(place)
    if effect is None or p_value(effect) >= AGREES:
        return None
    start, stop = judged.around(place)
    before = math.exp(float(judged.logs[start:place].mean()))
    after = math.exp(float(judged.logs[place:stop].mean()))
    numbers = (math.exp(effect.log_ratio), *effect.interval(INTERVAL))
    return _record(series, before, after, numbers, p_value(effect), (place - start, stop - place))


def _place(evidence: Evidence, number: int, cluster: _Cluster) -> int:
    """The index of a series' first value after a change."""
    for seed in cluster.seeds:
        if seed.series == number:
            return seed.place
    if cluster.low == cluster.high:  # within the runs of one commit
        first = cluster.founder
        return evidence.series[number].index(evidence.series[first.series].moments[first.place])
    return evidence.series[number].before(cluster.high)


def _same(values: Sequence[float]) -> int:
    """How many values at the start are equal."""
    return sum(1 for _ in takewhile(lambda value: value == values[0], values))


def _record(
    series: Series,
    before: float,
    after: float,
    numbers: tuple[float | None, float | None, float | None],
    p: float,
    runs: tuple[int, int],
) -> Shown:
    higher = not series.counted and METRICS[series.metric].direction is Direction.HIGHER
    ratio, low, high = numbers
    return Shown(
        backend=series.backend,
        metric=series.metric,
        levels=series.levels,
        environment=series.frame.environment,
        baseline=series.frame.baseline,
        layout=series.frame.layout,
        before=before,
        after=after,
        ratio=ratio,
        low=low,
        high=high,
        p_value=p,
        runs=runs,
        better=(after > before) == higher,
        tier=None,
    )
