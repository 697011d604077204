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
from scripts.config import Backend, Comparison
from scripts.model import METRICS, Arm, Block, Commit, Direction, Environment, Layout, Profile, Run, Struct
from scripts.statistics.intervals import spend
from scripts.statistics.spread import Prior
from scripts.verdict.rounds import Measured

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
    test at the last look; the interval that errs as often, ``test_low`` to ``test_high``, decides whether there is a
    change. ``smallest_seen``: the relative effect that the test finds with 80% probability.
    ``matters``: the relative effect below which a difference is called no change. All numbers of the effect are None
    where too few rounds are valid; ``reason`` says so then, and where the session stopped before this was tested.
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
    test_low: Ratio | None = None
    test_high: Ratio | None = None
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

    @property
    def more_statements(self) -> bool:
        """Whether a request of the candidate has more of them: a regression by itself."""
        before, after = self.statements
        return before is not None and after is not None and after > before


class Verdict(Struct):
    """The record of a paired session and the only input of `comment`, read by `scripts.verdict.record`."""

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
    """What a run says of one backend. ``priors``: of this run's setting (`scripts.verdict.noise`), by
    ``backend/metric``."""
    blocks = [block for block in run.blocks if block.backend == backend]
    reached = max((block.round for block in blocks), default=0)
    measured = Measured.of(run, backend, priors)
    levels = measured.levels
    total_share = math.fsum(metric.share for metric in comparison.metrics.values())
    findings = []
    for name, terms in comparison.metrics.items():
        alpha = comparison.false_alarms * terms.share / total_share / len(run.backends)
        scopes: list[tuple[int | None, float]] = [(None, alpha)]
        if len(levels) > 1:
            scopes = [(None, alpha / 2), *((level, alpha / 2 / len(levels)) for level in levels)]
        findings += [_find(run.profile, comparison, measured, name, level, reached, share) for level, share in scopes]
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
    measured: Measured,
    metric: str,
    level: int | None,
    reached: int,
    alpha: float,
) -> Finding:
    """Test one metric at each look that was reached; a change that one of them shows is said."""
    matters = comparison.metrics[metric].matters
    planned = looks(profile, comparison)
    levels = spend(tuple(look / planned[-1] for look in planned), alpha)
    outcome = None
    test_level = levels[0]
    for look, test_level in zip(planned, levels, strict=True):
        if look > reached:
            break
        effect = measured.effect(metric, level, look)
        if effect is None or outcome is not None:
            continue
        if effect.differs(test_level) and abs(effect.log_ratio) >= math.log1p(matters) / 2:
            better = (effect.log_ratio > 0) == (METRICS[metric].direction is Direction.HIGHER)
            outcome = Outcome.IMPROVEMENT if better else Outcome.REGRESSION
    effect = measured.effect(metric, level, reached)
    if effect is None:
        valid = len(measured.rounds(metric, level, reached))
        reason = f"{valid} of {reached} rounds are valid"
        return Finding(
            metric=metric, level=level, outcome=Outcome.INVALID, rounds=valid, matters=matters, reason=reason
        )
    low, high = effect.interval(INTERVAL)
    test_low, test_high = effect.interval(test_level)
    reason = ""
    if outcome is None:
        inside = 1 / (1 + matters) < low and high < 1 + matters
        outcome = Outcome.NO_CHANGE if inside else Outcome.INCONCLUSIVE
        if not inside and reached not in planned and effect.differs(test_level):
            reason = f"stopped before the look after round {next(look for look in planned if look > reached)}"
    return Finding(
        metric=metric,
        level=level,
        outcome=outcome,
        rounds=effect.rounds,
        ratio=math.exp(effect.log_ratio),
        low=low,
        high=high,
        test_level=test_level,
        test_low=test_low,
        test_high=test_high,
        smallest_seen=effect.smallest_seen(test_level),
        matters=matters,
        reason=reason,
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
