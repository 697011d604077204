"""Sessions whose truth is known: how they are stored, which one is next, and what all of them say of the verdicts."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import scipy  # loads `stats` when it is asked for: that takes a second or more

from scripts import records
from scripts.calibration.neighbour import Beside, Neighbour
from scripts.config import Comparison
from scripts.escape import plain
from scripts.model import BROKEN, METRICS, Layout, Run, Struct
from scripts.session.plant import Planted
from scripts.statistics.intervals import level_slots, pooled_variance, session_variance
from scripts.statistics.spread import Prior, Rounds, fit_prior
from scripts.verdict.judgement import INTERVAL, Outcome, judge_backend
from scripts.verdict.rounds import by_round, levelled_variance, log_ratios, pairs_part, slots_of

SCHEMA_VERSION = 1
Stack = Literal["native", "compose"]
SESSION_MIN = 2.5
"""About how long a session takes where none of its kind has been measured."""
PEAK = "peak_memory_mb"
CHANGED = (Outcome.REGRESSION, Outcome.IMPROVEMENT)


class CalibrationSession(Struct):
    """A paired session of one backend in which the candidate differs from the baseline by what was planted only.

    ``beside``: what took CPU beside it, and was put there.
    """

    schema_version: int
    planted: Planted
    run: Run
    beside: Beside | None = None

    @property
    def backend(self) -> str:
        return self.run.backends[0]

    @property
    def neighbour(self) -> Neighbour | None:
        return self.beside.neighbour if self.beside else None


class Case(Struct):
    """One kind of session that a campaign wants: ``sessions`` of them for the backend."""

    backend: str
    planted: Planted
    sessions: int
    stack: Stack = "native"
    layout: Layout = "duet"
    neighbour: Neighbour | None = None

    @property
    def text(self) -> str:
        """``fastapi, cpu:0.02, beside backend:0.3:steady, compose duet``."""
        parts = [self.backend, self.planted.text, f"{self.stack} {self.layout}"]
        return ", ".join([*parts, f"beside {self.neighbour.text}"] if self.neighbour else parts)

    def count(self, sessions: Iterable[CalibrationSession]) -> int:
        """How many of these sessions are of its kind."""
        return sum(
            (one.backend, one.planted, one.run.environment.stack, one.run.layout, one.neighbour)
            == (self.backend, self.planted, self.stack, self.layout, self.neighbour)
            for one in sessions
        )


class Effect(Struct):
    """What the sessions of one backend and one slow-down say.

    ``found``: sessions that say a change in the right direction, in a metric that decides (of memory: the peak).
    ``wrong``: in the other one, or, with nothing planted, any in any metric. ``covered`` of ``intervals`` 95%
    intervals of the metrics whose true effect is known contain it.
    ``minutes``: mean wall time of a session, from bringing the stack up to its last block.
    """

    backend: str
    planted: Planted
    sessions: int
    found: int
    wrong: int
    covered: int
    intervals: int
    minutes: float
    rounds: float


class Noise(Struct):
    """Spread of log ratios of one backend and metric in A/A sessions, as fractions.

    ``round_sd``: of a round's mean; ``pair_sd``: of pairs within a round; ``process_sd``: what is left of the rounds'
    spread when the pairs' part is taken out (0 where it is smaller). ``session_sd``: of what two arms differ by for a
    whole session. ``session_p``: probability of so different
    sessions if only rounds differed (one-way analysis of variance). ``position``: mean log ratio of the arm that came
    first to the other one, with its standard error; ``place``: likewise of the first slot to the second, NaN where the
    arms do not exchange them.
    """

    backend: str
    metric: str
    sessions: int
    rounds: int
    round_sd: float
    pair_sd: float
    process_sd: float
    session_sd: float
    session_p: float
    position: float
    position_error: float
    place: float
    place_error: float


def warn(text: str) -> None:
    """Say what is left out where people see it."""
    print(text, file=sys.stderr)


def read_sessions(folder: Path, warn: Callable[[str], None] = warn) -> list[CalibrationSession]:
    """Every stored session, by name. ``warn`` is told of each file that is none and so left out."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            session = msgspec.json.decode(records.read_bytes(path), type=CalibrationSession)
            records.checked(session.run)
        except (OSError, *BROKEN) as error:
            warn(f"{plain(str(path))}: not a calibration session: {plain(str(error))}; it is left out")
        else:
            found.append(session)
    return found


def write_session(session: CalibrationSession, folder: Path) -> Path:
    """Store a session, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{session.run.id}.json"
    records.replace(path, msgspec.json.encode(session) + b"\n")
    return path


def next_case(cases: Sequence[Case], sessions: Sequence[CalibrationSession]) -> Case | None:
    """The case of which the smallest share is done, the first such one; None when the campaign is complete."""
    done = {case: case.count(sessions) for case in cases}
    open_ = [case for case in cases if done[case] < case.sessions]
    return min(open_, key=lambda case: done[case] / case.sessions, default=None)


def missing(cases: Iterable[Case], sessions: Sequence[CalibrationSession]) -> list[tuple[Case, int]]:
    """The cases that are not complete, and how many sessions of each are."""
    counted = [(case, case.count(sessions)) for case in cases]
    return [(case, done) for case, done in counted if done < case.sessions]


def minutes_left(
    cases: Iterable[Case], sessions: Sequence[CalibrationSession], spent_min: Mapping[str, Sequence[float]]
) -> float:
    """About how long what is missing takes: as long a session as those of its stack took, else `SESSION_MIN`.

    ``spent_min``: by stack, of sessions just measured, with what a run does not count (images that are built); where
    there are none, the stored ones tell.
    """
    lengths: dict[str, list[float]] = {}
    for one in sessions:
        lengths.setdefault(one.run.environment.stack, []).append(one.run.wall_s / 60)
    lengths |= {stack: list(spent) for stack, spent in spent_min.items() if spent}
    means = {stack: sum(some) / len(some) for stack, some in lengths.items()}
    return sum((c.sessions - done) * means.get(c.stack, SESSION_MIN) for c, done in missing(cases, sessions))


def round_effects(session: CalibrationSession, metric: str) -> tuple[list[float], int]:
    """One log ratio a round without what the arms' slots differ by, and the degrees of freedom that this takes."""
    rounds = _by_round(session, metric)
    slots = slots_of(session.run.blocks)
    levelled, taken = level_slots(np.array(list(rounds.values())), [slots[number] for number in rounds])
    return levelled.tolist(), taken


def pair_effects(session: CalibrationSession, metric: str) -> list[float]:
    """For each round of `round_effects`, the variance of its log ratio that its pairs explain."""
    ratios = log_ratios(session.run.counting, METRICS[metric], session.backend)
    return [pairs_part(ratios, sorted(ratios), [number])[0] for number in _by_round(session, metric)]


def _by_round(session: CalibrationSession, metric: str) -> dict[int, float]:
    levels = sorted({block.level for block in session.run.blocks})
    return by_round(log_ratios(session.run.counting, METRICS[metric], session.backend), levels)


def spread_of(session: CalibrationSession, metric: str) -> Rounds | None:
    """How much a session's rounds spread, and what its pairs explain of that; None where it has too few of them."""
    rounds = _by_round(session, metric)
    if len(rounds) < 3:
        return None
    slots = slots_of(session.run.blocks)
    ratios = log_ratios(session.run.counting, METRICS[metric], session.backend)
    within, degrees = pairs_part(ratios, sorted(ratios), rounds)
    own = levelled_variance(list(rounds.values()), [slots[number] for number in rounds])
    return Rounds.of(*own, within, degrees) if degrees else None


def fit_priors(sessions: Iterable[CalibrationSession], comparison: Comparison) -> dict[str, Prior]:
    """By ``backend/metric``, how variances stand to each other in the A/A sessions; without what too few show."""
    spreads: dict[str, list[Rounds]] = {}
    for session in sessions:
        if session.planted.kind == "none":
            for metric in comparison.metrics:
                if one := spread_of(session, metric):
                    spreads.setdefault(f"{session.backend}/{metric}", []).append(one)
    return {key: prior for key, found in spreads.items() if (prior := fit_prior(found))}


def cpu_ms_per_request(sessions: Iterable[CalibrationSession], backend: str) -> float | None:
    """What a request costs the backend in its A/A sessions; None where there is none."""
    blocks = [b for s in sessions if s.backend == backend and s.planted.kind == "none" for b in s.run.counting]
    return METRICS["cpu_ms_per_request"].mean(blocks)


def true_log_ratio(
    session: CalibrationSession, metric: str, sessions: Iterable[CalibrationSession] = ()
) -> float | None:
    """The effect on a metric, where what was planted determines it.

    CPU time is planted in milliseconds, as a share of what a request cost in the A/A ``sessions`` until then. What
    share that is in this session its baseline shows, as the machine may be faster or slower than it was.
    """
    planted = session.planted
    if planted.kind == "cpu" and metric == "cpu_ms_per_request":
        expected = cpu_ms_per_request([other for other in sessions if other.run.id < session.run.id], session.backend)
        cost = METRICS[metric].mean([b for b in session.run.counting if b.arm == "baseline"])
        return math.log1p(planted.size * expected / cost) if expected and cost else None
    if planted.kind == "none":
        return 0.0
    if planted.kind == "quota" and metric == "throughput_rps":
        return math.log1p(-planted.size)
    if planted.kind == "quota" and metric == "cpu_ms_per_request":
        return 0.0
    return None


def summarize_effects(sessions: Sequence[CalibrationSession], comparison: Comparison) -> list[Effect]:
    """What is found, by backend and slow-down. The prior of each session is fitted to the other sessions."""
    groups: dict[tuple[str, Planted], list[CalibrationSession]] = {}
    for session in sessions:
        groups.setdefault((session.backend, session.planted), []).append(session)
    found = []
    for (backend, planted), same in sorted(groups.items(), key=lambda item: (item[0][1].text, item[0][0])):
        counts: Counter[str] = Counter()
        alike = [session for session in sessions if session.backend == backend]
        for session in same:
            priors = fit_priors([other for other in alike if other is not session], comparison)
            counts.update(_judge(session, alike, comparison, priors))
        found.append(
            Effect(
                backend=backend,
                planted=planted,
                sessions=len(same),
                found=counts["found"],
                wrong=counts["wrong"],
                covered=counts["covered"],
                intervals=counts["intervals"],
                minutes=sum(s.run.wall_s for s in same) / len(same) / 60,
                rounds=sum(max(b.round for b in s.run.blocks) for s in same) / len(same),
            )
        )
    return found


def _judge(
    session: CalibrationSession,
    sessions: Sequence[CalibrationSession],
    comparison: Comparison,
    priors: Mapping[str, Prior],
) -> Counter[str]:
    verdict = judge_backend(session.run, session.backend, comparison, priors)
    nothing = session.planted.kind == "none"
    shows = (
        {PEAK} if session.planted.kind == "memory" else {n for n, terms in comparison.metrics.items() if terms.decides}
    )
    judged = [f for f in verdict.findings if nothing or f.metric in shows]
    regression = any(f.outcome is Outcome.REGRESSION for f in judged)
    improvement = any(f.outcome is Outcome.IMPROVEMENT for f in judged)
    counts: Counter[str] = Counter()
    counts["found"] = int(regression and not nothing)
    counts["wrong"] = int(improvement or (nothing and regression))
    for finding in verdict.findings:
        truth = true_log_ratio(session, finding.metric, sessions)
        if truth is not None and finding.level is None and finding.low is not None and finding.high is not None:
            counts["intervals"] += 1
            counts["covered"] += finding.low <= math.exp(truth) <= finding.high
    return counts


def measure_noise(sessions: Iterable[CalibrationSession], comparison: Comparison) -> list[Noise]:
    """The spread in the A/A sessions, for each backend and metric."""
    groups: dict[str, list[CalibrationSession]] = {}
    for session in sessions:
        if session.planted.kind == "none":
            groups.setdefault(session.backend, []).append(session)
    return [_noise(backend, metric, same) for backend, same in sorted(groups.items()) for metric in comparison.metrics]


def session_share(sessions: Iterable[CalibrationSession], noise: Iterable[Noise]) -> float:
    """The variance by which the means of A/A sessions differ beyond their rounds, as a share of a round's; 0 at least.

    One for all backends and metrics, by `scripts.statistics.intervals.session_variance` of rounds in units of their own
    spread: ten sessions of one metric alone do not tell it from nothing.
    """
    scales = {(one.backend, one.metric): one.round_sd for one in noise}
    effects = [
        [value / scale for value in values]
        for session in sessions
        for (backend, metric), scale in scales.items()
        if backend == session.backend and session.planted.kind == "none" and scale > 0
        if len(values := round_effects(session, metric)[0]) >= 2
    ]
    return session_variance(effects) if effects else 0.0


def _noise(backend: str, metric: str, sessions: Sequence[CalibrationSession]) -> Noise:
    effects = [values for s in sessions if len(values := round_effects(s, metric)[0]) >= 2]
    rounds = sum(len(values) for values in effects)
    round_variance = pooled_variance(effects)
    pairs = [
        values
        for session in sessions
        for by_level in log_ratios(session.run.counting, METRICS[metric], backend).values()
        for values in by_level.values()
    ]
    pair_variance = pooled_variance(pairs)
    in_a_round = sum(len(values) for values in pairs) / max(rounds, 1)
    process = 0.0 if math.isnan(pair_variance) else max(0.0, round_variance - pair_variance / in_a_round)
    position, position_error = _mean([s * v for session in sessions for s, v in _by_position(session, metric)])
    place, place_error = _mean([s * v for session in sessions for s, v in _by_slot(session, metric)])
    return Noise(
        backend=backend,
        metric=metric,
        sessions=len(effects),
        rounds=rounds,
        round_sd=math.sqrt(round_variance),
        pair_sd=math.sqrt(pair_variance),
        process_sd=math.sqrt(process),
        session_sd=math.sqrt(session_variance(effects)) if effects else math.nan,
        session_p=float(scipy.stats.f_oneway(*effects).pvalue) if len(effects) > 1 else math.nan,
        position=position,
        position_error=position_error,
        place=place,
        place_error=place_error,
    )


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and its standard error."""
    if len(values) < 2:
        return math.nan, math.nan
    return float(np.mean(values)), float(np.std(values, ddof=1) / math.sqrt(len(values)))


def _by_slot(session: CalibrationSession, metric: str) -> list[tuple[int, float]]:
    """For each round: +1 where the candidate had the first slot or -1, and the round's log ratio; none in one slot."""
    rounds = _by_round(session, metric)
    slots = slots_of(session.run.blocks)
    used = {slots[number] for number in rounds}
    if len(used) < 2:
        return []
    return [(1 if slots[number] == min(used) else -1, value) for number, value in rounds.items()]


def _by_position(session: CalibrationSession, metric: str) -> list[tuple[int, float]]:
    """For each valid pair: +1 where the candidate came first or -1, and the pair's log ratio."""
    signs = {(b.index, b.attempt): 1 if b.position == 0 else -1 for b in session.run.counting if b.arm == "candidate"}
    found = []
    for key, sign in signs.items():
        blocks = [b for b in session.run.counting if (b.index, b.attempt) == key]
        for by_level in log_ratios(blocks, METRICS[metric], session.backend).values():
            found += [(sign, value) for values in by_level.values() for value in values]
    return found


def interval(count: int, total: int, level: float = INTERVAL) -> tuple[float, float]:
    """The exact interval of a proportion (Clopper and Pearson, Biometrika 26, 1934)."""
    if not total:
        return 0.0, 1.0
    found = scipy.stats.binomtest(count, total).proportion_ci(1 - level, method="exact")
    return float(found.low), float(found.high)
