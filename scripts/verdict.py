"""What a paired session says: its run -> a verdict for each backend, metric and level. Pure.

The effect on a metric is the mean over rounds of ``log(candidate / baseline)``, each round's being the mean over its
pairs. All tests of a session together raise a false alarm with probability ``false_alarms`` at most, by Bonferroni's
inequality: the error rate is divided over backends, then over metrics by their shares, then half of it for all levels
pooled and half for the levels one by one, then over looks. A change of less than half of what matters is never said:
so small a difference may be one between two places on a machine, however sure it is.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scripts.bounds import Amount, Count, Label, Name, Probability, Ratio, Users
from scripts.model import (
    METRICS,
    Arm,
    Backend,
    Block,
    Commit,
    Comparison,
    Direction,
    Environment,
    Layout,
    Metric,
    Profile,
    Run,
    Struct,
)
from scripts.stats import Effect, Prior, paired_effect, spend

SCHEMA_VERSION = 1
INTERVAL = 0.05
"""Effects are shown with their 95% interval; a change is said only where the stricter test of the family agrees."""


class Outcome(enum.Enum):
    """What is said of a metric, a backend or a session; the first that applies to a part applies to the whole."""

    REGRESSION = "regression"
    INCOMPARABLE = "cannot be compared"
    INVALID = "invalid"
    INCONCLUSIVE = "inconclusive"
    IMPROVEMENT = "improvement"
    NO_CHANGE = "no change"


class Finding(Struct):
    """One metric of one backend, over all levels (``level`` None) or at one.

    ``ratio`` is candidate to baseline with its 95% interval ``low`` to ``high``. ``test_level``: the error rate of its
    test at the last look. ``smallest_seen``: the relative effect that the test finds with 80% probability.
    ``matters``: the relative effect below which a difference is called no change. All numbers of the effect are None
    where too few rounds are valid; ``reason`` says so then.
    """

    metric: str
    level: Users | None
    outcome: Outcome
    rounds: Count
    matters: Ratio
    ratio: Ratio | None = None
    low: Ratio | None = None
    high: Ratio | None = None
    test_level: Probability | None = None
    smallest_seen: Ratio | None = None
    reason: str = ""


class BackendVerdict(Struct):
    """One backend. ``statements``: data statements of a request, baseline then candidate, None where not traced.

    ``reason``: why nothing could be said, in words.
    """

    backend: Name
    label: Label
    outcome: Outcome
    findings: tuple[Finding, ...] = ()
    statements: tuple[Count | None, Count | None] = (None, None)
    failed: tuple[Count, Count] = (0, 0)
    requests: tuple[Count, Count] = (0, 0)
    rounds: Count = 0
    reason: str = ""


class Verdict(Struct):
    """The record of a paired session and the only input of `comment`, read by `scripts.verdict_record`."""

    schema_version: int
    run_id: str
    started: str
    outcome: Outcome
    baseline: Commit
    candidate: Commit
    backends: tuple[BackendVerdict, ...]
    environment: Environment | None
    profile: Profile | None
    layout: Layout
    false_alarms: Probability
    invalid_blocks: Mapping[str, Count]
    blocks: Count
    wall_s: Amount
    command: str
    stopped_by: str = ""


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """What is said of the whole."""
    found = set(outcomes)
    return next((outcome for outcome in Outcome if outcome in found), Outcome.NO_CHANGE)


def looks(profile: Profile, comparison: Comparison) -> tuple[int, ...]:
    """After how many rounds a session is looked at; the last is the profile's number of rounds."""
    first = min(comparison.first_look, profile.rounds)
    return (*range(first, profile.rounds, comparison.look_every), profile.rounds)


def log_ratios(blocks: Iterable[Block], metric: Metric, backend: str) -> dict[int, dict[int, list[float]]]:
    """``{level: {round: [log(candidate / baseline) of each pair]}}`` of the pairs that are valid in both arms."""
    pairs: dict[tuple[int, int], dict[str, Block]] = {}
    for block in blocks:
        if block.backend == backend and block.valid:
            pairs.setdefault((block.index, block.attempt), {})[block.arm] = block
    found: dict[int, dict[int, list[float]]] = {}
    for arms in pairs.values():
        if len(arms) == 2:
            candidate, baseline = metric.of(arms["candidate"]), metric.of(arms["baseline"])
            if candidate and baseline:  # a ratio needs both above zero
                block = arms["candidate"]
                rounds = found.setdefault(block.level, {})
                rounds.setdefault(block.round, []).append(math.log(candidate / baseline))
    return found


def by_round(ratios: Mapping[int, Mapping[int, Sequence[float]]], levels: Sequence[int]) -> dict[int, float]:
    """One log ratio a round: the mean over levels of the mean over pairs; rounds that lack a level are left out."""
    rounds = set.intersection(*(set(ratios.get(level, {})) for level in levels)) if levels else set()
    return {
        number: math.fsum(math.fsum(ratios[level][number]) / len(ratios[level][number]) for level in levels)
        / len(levels)
        for number in sorted(rounds)
    }


def slots_of(blocks: Iterable[Block]) -> dict[int, int]:
    """By round, the slot that one backend's candidate had."""
    return {block.round: block.slot for block in blocks if block.arm == "candidate"}


def session_effect(slots: Mapping[int, int], rounds: Mapping[int, float], prior: Prior | None) -> Effect:
    """The effect that one backend's rounds show, without what the slots of the arms (`slots_of`) differ by."""
    return paired_effect(list(rounds.values()), prior, [slots[number] for number in rounds])


def broken_backend(backend: Backend, arm: Arm, message: str) -> BackendVerdict:
    """A backend of which one arm does not run at all. That is the candidate's regression, or no baseline to compare."""
    outcome = Outcome.REGRESSION if arm == "candidate" else Outcome.INCOMPARABLE
    return BackendVerdict(
        backend=backend.name, label=backend.label, outcome=outcome, reason=f"the {arm} does not run: {message}"
    )


def judge(
    run: Run | None,
    baseline: Commit,
    candidate: Commit,
    comparison: Comparison,
    priors: Mapping[str, Prior],
    command: str,
    broken: Sequence[BackendVerdict] = (),
) -> Verdict:
    """What a session says; ``run`` is None where nothing was measured. ``command`` repeats the session."""
    measured = [judge_backend(run, backend, comparison, priors) for backend in run.backends] if run else []
    backends = (*broken, *measured)
    violations = [violation.rule for block in run.blocks for violation in block.violations] if run else []
    return Verdict(
        schema_version=SCHEMA_VERSION,
        run_id=run.id if run else "",
        started=run.started if run else "",
        outcome=worst(verdict.outcome for verdict in backends),
        baseline=baseline,
        candidate=candidate,
        backends=backends,
        environment=run.environment if run else None,
        profile=run.profile if run else None,
        layout=comparison.layout,
        false_alarms=comparison.false_alarms,
        invalid_blocks=dict(Counter(violations)),
        blocks=len(run.blocks) if run else 0,
        wall_s=run.wall_s if run else 0.0,
        command=command,
        stopped_by=run.stopped_by if run else "",
    )


def judge_backend(run: Run, backend: str, comparison: Comparison, priors: Mapping[str, Prior]) -> BackendVerdict:
    """What a run says of one backend. ``priors``: of the variance of a round's log ratio, by ``backend/metric``."""
    blocks = [block for block in run.blocks if block.backend == backend]
    reached = max((block.round for block in blocks), default=0)
    slots = slots_of(blocks)
    levels = sorted({block.level for block in blocks})
    total_share = math.fsum(metric.share for metric in comparison.metrics.values())
    findings = []
    for name, terms in comparison.metrics.items():
        alpha = comparison.false_alarms * terms.share / total_share / len(run.backends)
        ratios = log_ratios(blocks, METRICS[name], backend)
        scopes: list[tuple[int | None, float]] = [(None, alpha)]
        if len(levels) > 1:
            scopes = [(None, alpha / 2), *((level, alpha / 2 / len(levels)) for level in levels)]
        for level, share in scopes:
            rounds = by_round(ratios, levels if level is None else [level])
            prior = priors.get(f"{backend}/{name}") if level is None else None
            findings.append(_find(run.profile, comparison, name, level, slots, rounds, reached, share, prior))
    statements = _statements(run, backend)
    failed = _sum(blocks, "failed")
    requests = _sum(blocks, "requests")
    outcome, reason = _overall(findings, comparison, blocks, reached)
    if statements[0] is not None and statements[1] is not None and statements[0] != statements[1]:
        more = statements[1] > statements[0]
        outcome = worst([outcome, Outcome.REGRESSION if more else Outcome.IMPROVEMENT])
    if failed[1] and _more_failures(failed, requests, comparison.false_alarms / len(run.backends)):
        outcome, reason = Outcome.REGRESSION, f"{failed[1]} of {requests[1]} requests failed"
    return BackendVerdict(
        backend=backend,
        label=run.labels[backend],
        outcome=outcome,
        findings=tuple(findings),
        statements=statements,
        failed=failed,
        requests=requests,
        rounds=reached,
        reason=reason,
    )


def undecided(run: Run, comparison: Comparison, priors: Mapping[str, Prior]) -> list[str]:
    """The backends about which another round could say more; all of them between two looks."""
    found = []
    for backend in run.backends:
        blocks = [block for block in run.blocks if block.backend == backend]
        reached = max((block.round for block in blocks), default=0)
        if reached in looks(run.profile, comparison):
            verdict = judge_backend(run, backend, comparison, priors)
            deciding = [f for f in verdict.findings if f.level is None and comparison.metrics[f.metric].decides]
            clear = (Outcome.REGRESSION, Outcome.IMPROVEMENT, Outcome.NO_CHANGE)
            if verdict.outcome in clear[:2] or all(f.outcome in clear for f in deciding):
                continue
        elif reached and not any(block.valid for block in blocks):
            continue
        if reached < run.profile.rounds:
            found.append(backend)
    return found


def _find(
    profile: Profile,
    comparison: Comparison,
    metric: str,
    level: int | None,
    slots: Mapping[int, int],
    rounds: Mapping[int, float],
    reached: int,
    alpha: float,
    prior: Prior | None,
) -> Finding:
    """Test one metric at each look that was reached; a change that one of them shows is said."""
    matters = comparison.metrics[metric].matters
    planned = looks(profile, comparison)
    levels = spend(tuple(look / planned[-1] for look in planned), alpha)
    outcome = None
    effect: Effect | None = None
    test_level = levels[0]
    for look, test_level in zip(planned, levels, strict=True):
        until = {number: value for number, value in rounds.items() if number <= look}
        if look > reached or len(until) < 2:
            break
        effect = session_effect(slots, until, prior)
        if outcome is None and effect.differs(test_level) and abs(effect.log_ratio) >= math.log1p(matters) / 2:
            better = (effect.log_ratio > 0) == (METRICS[metric].direction is Direction.HIGHER)
            outcome = Outcome.IMPROVEMENT if better else Outcome.REGRESSION
    if len(rounds) >= 2:
        effect = session_effect(slots, rounds, prior)
    if effect is None:
        reason = f"{len(rounds)} of {reached} rounds are valid"
        return Finding(
            metric=metric, level=level, outcome=Outcome.INVALID, rounds=len(rounds), matters=matters, reason=reason
        )
    low, high = effect.interval(INTERVAL)
    if outcome is None:
        inside = 1 / (1 + matters) < low and high < 1 + matters
        outcome = Outcome.NO_CHANGE if inside else Outcome.INCONCLUSIVE
    return Finding(
        metric=metric,
        level=level,
        outcome=outcome,
        rounds=effect.rounds,
        ratio=math.exp(effect.log_ratio),
        low=low,
        high=high,
        test_level=test_level,
        smallest_seen=effect.smallest_seen(test_level),
        matters=matters,
    )


def _overall(
    findings: Sequence[Finding], comparison: Comparison, blocks: Sequence[Block], reached: int
) -> tuple[Outcome, str]:
    """A change anywhere is a change; without one, the metrics that decide say how sure "no change" is."""
    changes = [f.outcome for f in findings if f.outcome in (Outcome.REGRESSION, Outcome.IMPROVEMENT)]
    deciding = [f.outcome for f in findings if f.level is None and comparison.metrics[f.metric].decides]
    outcome = worst(changes or deciding)
    if outcome is not Outcome.INVALID:
        return outcome, ""
    reasons = dict.fromkeys(violation.detail for block in blocks for violation in block.violations)
    return outcome, "; ".join(list(reasons)[:3]) or f"only {reached} rounds were measured"


def _statements(run: Run, backend: str) -> tuple[int | None, int | None]:
    counts = {p.arm: p.statements_per_request for p in run.parity if p.backend == backend}
    return counts.get("baseline"), counts.get("candidate")


def _sum(blocks: Iterable[Block], name: str) -> tuple[int, int]:
    """Of baseline and candidate."""
    sums = {"baseline": 0, "candidate": 0}
    for block in blocks:
        sums[block.arm] += getattr(block.load, name)
    return sums["baseline"], sums["candidate"]


def _more_failures(failed: tuple[int, int], requests: tuple[int, int], alpha: float) -> bool:
    """Whether the candidate fails more often than the baseline (Fisher's exact test, one-sided)."""
    from scipy import stats  # here, as it takes a second to load and few need it

    table = np.array([[failed[1], requests[1] - failed[1]], [failed[0], requests[0] - failed[0]]])
    return float(stats.fisher_exact(table, alternative="greater").pvalue) < alpha
