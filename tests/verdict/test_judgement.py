"""What a paired session says, on sessions whose truth is known."""

from __future__ import annotations

import msgspec
import pytest

from scripts import config
from scripts.config import Comparison
from scripts.model import PipelineError, Run
from scripts.statistics.spread import Prior
from scripts.verdict.judgement import (
    BackendVerdict,
    Finding,
    Outcome,
    broken_backend,
    judge,
    judge_backend,
    looks,
    undecided,
    worst,
)
from scripts.verdict.record import decode_verdict, encode_verdict
from tests.factories import FAILED, make_paired_run

SETTINGS = config.load()
TERMS: Comparison = msgspec.structs.replace(SETTINGS.compare, first_look=6, look_every=2)


def said(run: Run, priors: dict[str, Prior] | None = None) -> BackendVerdict:
    return judge_backend(run, run.backends[0], TERMS, priors or {})


def finding(verdict: BackendVerdict, metric: str, level: int | None = None) -> Finding:
    return next(f for f in verdict.findings if (f.metric, f.level) == (metric, level))


def test_a_slower_candidate_is_a_regression_and_a_quicker_one_an_improvement() -> None:
    slower = said(make_paired_run(slower=0.05))
    assert slower.outcome is Outcome.REGRESSION
    rate, cost = finding(slower, "throughput_rps"), finding(slower, "cpu_ms_per_request")
    assert (rate.outcome, cost.outcome) == (Outcome.REGRESSION, Outcome.REGRESSION)
    assert rate.ratio == pytest.approx(1 / 1.05, abs=0.006)
    assert cost.ratio == pytest.approx(1.05, abs=0.006)
    assert said(make_paired_run(slower=-0.05)).outcome is Outcome.IMPROVEMENT


def test_no_difference_is_no_change_when_it_is_sure_and_inconclusive_when_not() -> None:
    assert said(make_paired_run(noise=0.004)).outcome is Outcome.NO_CHANGE
    unsure = said(make_paired_run(noise=0.05))
    assert unsure.outcome is Outcome.INCONCLUSIVE
    seen = finding(unsure, "throughput_rps").smallest_seen
    assert seen is not None
    assert seen > 0.05, "the smallest effect that such a session could have seen"


def test_a_difference_too_small_to_matter_is_not_said_however_sure_it_is() -> None:
    tiny = finding(said(make_paired_run(slower=0.004, noise=0.0005)), "cpu_ms_per_request")
    assert tiny.low is not None
    assert tiny.low > 1, "it is there"
    assert tiny.outcome is Outcome.NO_CHANGE
    assert (
        finding(said(make_paired_run(slower=0.008, noise=0.0005)), "cpu_ms_per_request").outcome is Outcome.REGRESSION
    )


def test_a_change_is_said_even_where_another_metric_is_not_clear() -> None:
    run = make_paired_run(slower=-0.03, noise=0.002)
    noisy = make_paired_run(2, noise=0.05)
    rates = {(b.index, b.arm): b.load.throughput_rps for b in noisy.blocks}
    blocks = [
        msgspec.structs.replace(b, load=msgspec.structs.replace(b.load, throughput_rps=rates[b.index, b.arm]))
        for b in run.blocks
    ]
    verdict = said(msgspec.structs.replace(run, blocks=tuple(blocks)))
    assert finding(verdict, "throughput_rps").outcome is Outcome.INCONCLUSIVE
    assert verdict.outcome is Outcome.IMPROVEMENT


def test_nothing_is_said_before_the_first_look() -> None:
    assert looks(make_paired_run().profile, TERMS) == (6, 8, 10, 12)
    assert said(make_paired_run(slower=0.2, rounds=5)).outcome is Outcome.INCONCLUSIVE
    assert said(make_paired_run(slower=0.2, rounds=6)).outcome is Outcome.REGRESSION


def test_a_session_goes_on_until_it_is_sure() -> None:
    assert undecided(make_paired_run(slower=0.2, rounds=5), TERMS, {}) == ["fastapi"]
    assert undecided(make_paired_run(slower=0.2, rounds=6), TERMS, {}) == []
    assert undecided(make_paired_run(noise=0.05, rounds=6), TERMS, {}) == ["fastapi"]
    assert undecided(make_paired_run(noise=0.001, rounds=6), TERMS, {}) == []
    assert undecided(make_paired_run(noise=0.05, rounds=12), TERMS, {}) == [], "the profile's rounds are over"


def test_one_backend_decided_does_not_end_the_others() -> None:
    run = make_paired_run(backends=("fastapi", "django_wsgi"), rounds=6, noise=0.001)
    noisy = make_paired_run(backends=("fastapi", "django_wsgi"), rounds=6, noise=0.05)
    blocks = [b for b in run.blocks if b.backend == "fastapi"] + [b for b in noisy.blocks if b.backend != "fastapi"]
    assert undecided(msgspec.structs.replace(run, blocks=tuple(blocks)), TERMS, {}) == ["django_wsgi"]


def test_invalid_blocks_are_never_numbers() -> None:
    verdict = said(make_paired_run(invalid_rounds=range(1, 13)))
    assert verdict.outcome is Outcome.INVALID
    assert "k6 used 0.93 CPUs" in verdict.reason
    assert finding(verdict, "throughput_rps").ratio is None
    some = said(make_paired_run(invalid_rounds=(3, 4)))
    assert finding(some, "throughput_rps").rounds == 10


def test_a_first_look_without_valid_rounds_leaves_the_others() -> None:
    verdict = said(make_paired_run(slower=0.2, rounds=12, invalid_rounds=range(1, 6)))
    assert finding(verdict, "throughput_rps").outcome is Outcome.REGRESSION


def test_a_pair_needs_both_arms() -> None:
    run = make_paired_run()
    lost = [b for b in run.blocks if not (b.arm == "baseline" and b.round > 8)]
    assert finding(said(msgspec.structs.replace(run, blocks=tuple(lost))), "throughput_rps").rounds == 8


def test_counts_are_certain() -> None:
    more, fewer = said(make_paired_run(statements=(168, 169))), said(make_paired_run(statements=(168, 88)))
    assert (more.outcome, more.statements) == (Outcome.REGRESSION, (168, 169))
    assert fewer.outcome is Outcome.IMPROVEMENT


def test_a_candidate_that_fails_requests_is_a_regression() -> None:
    run = make_paired_run()
    blocks = [
        msgspec.structs.replace(
            b, violations=(FAILED,), load=msgspec.structs.replace(b.load, failed=12, failures={"HTTP 500": 12})
        )
        if b.arm == "candidate"
        else b
        for b in run.blocks
    ]
    verdict = said(msgspec.structs.replace(run, blocks=tuple(blocks)))
    assert verdict.outcome is Outcome.REGRESSION
    assert "requests failed" in verdict.reason


def test_levels_are_pooled_and_shown_one_by_one() -> None:
    verdict = said(make_paired_run(levels=(10, 50), slower=0.05))
    assert {f.level for f in verdict.findings} == {None, 10, 50}
    pooled, alone = finding(verdict, "throughput_rps"), finding(verdict, "throughput_rps", 50)
    assert pooled.test_level is not None
    assert alone.test_level is not None
    assert pooled.test_level == pytest.approx(2 * alone.test_level, rel=0.05), "half of the error rate for the whole"


def test_the_error_rate_is_divided_over_everything_that_is_said() -> None:
    one, four = (
        make_paired_run(),
        make_paired_run(backends=("fastapi", "django_wsgi", "django_asgi", "fast_django_asgi")),
    )
    levels = [finding(said(run), "throughput_rps").test_level for run in (one, four)]
    assert levels[0] is not None
    assert levels[1] == pytest.approx(levels[0] / 4, rel=0.1)


def test_sessions_without_change_say_one_as_seldom_as_promised() -> None:
    """150 simulated sessions at 5%, with their early ends."""
    terms = msgspec.structs.replace(TERMS, false_alarms=0.05)
    alarms = 0
    for seed in range(150):
        run = make_paired_run(seed, pairs=1, noise=0.01)
        verdict = judge_backend(run, "fastapi", terms, {})
        alarms += verdict.outcome in (Outcome.REGRESSION, Outcome.IMPROVEMENT)
    assert alarms <= 15, "binomial(150, 0.05) is above 15 less than once in 100 times"


def test_the_worst_of_the_parts_is_said_of_the_whole() -> None:
    assert worst([]) is Outcome.NO_CHANGE
    assert worst([Outcome.NO_CHANGE, Outcome.IMPROVEMENT]) is Outcome.IMPROVEMENT
    assert worst([Outcome.INVALID, Outcome.REGRESSION]) is Outcome.REGRESSION


def test_a_verdict_round_trips_and_hostile_ones_are_refused() -> None:
    run = make_paired_run()
    verdict = judge(run, run.commit, run.commit, TERMS, {}, "nox -s compare", ())
    assert decode_verdict(encode_verdict(verdict), "x") == verdict
    for data in (b"", b"[]", b'{"schema_version": 1}', encode_verdict(verdict).replace(b'"run_id"', b'"id"')):
        with pytest.raises(PipelineError, match="not a valid verdict"):
            decode_verdict(data, "verdict.json")
    newer = encode_verdict(msgspec.structs.replace(verdict, schema_version=99))
    with pytest.raises(PipelineError, match="schema_version 99"):
        decode_verdict(newer, "verdict.json")


def test_a_broken_arm_is_a_verdict_of_its_own() -> None:
    backend = SETTINGS.backends[0]
    assert broken_backend(backend, "baseline", "no lock").outcome is Outcome.INCOMPARABLE
    assert broken_backend(backend, "candidate", "no lock").outcome is Outcome.REGRESSION
    commit = make_paired_run().commit
    verdict = judge(None, commit, commit, TERMS, {}, "c", (broken_backend(backend, "baseline", "no lock"),))
    assert verdict.outcome is Outcome.INCOMPARABLE


def test_two_rounds_of_four_backends_have_a_verdict() -> None:
    """The strictest levels with one degree of freedom: the tests' intervals are wider than any number."""
    backends = tuple(backend.name for backend in SETTINGS.backends)
    run = make_paired_run(backends=backends, rounds=2, of=2, pairs=1, noise=1.0)
    verdict = judge(run, run.commit, run.commit, SETTINGS.compare, {}, "nox -s compare")
    assert {finding.outcome for b in verdict.backends for finding in b.findings} <= {
        Outcome.INCONCLUSIVE,
        Outcome.NO_CHANGE,
    }
    assert decode_verdict(encode_verdict(verdict), "x") == verdict
