"""Sessions without any change say one as seldom as promised, however noisy the machine is, and still find 1%."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from scripts import config
from scripts.calibration import false_alarms
from scripts.calibration import text as calibration_text
from scripts.calibration.campaign import read_sessions
from scripts.model import METRICS as METRICS_OF
from scripts.model import Run
from scripts.statistics import simulate
from scripts.steps.calibrate import STORE
from scripts.verdict import noise
from scripts.verdict.judgement import Outcome, judge_backend, looks
from scripts.verdict.rounds import by_round, log_ratios, pairs_part
from tests.factories import make_paired_run

TERMS = config.load().compare
METRICS = list(TERMS.metrics)
SESSIONS = read_sessions(STORE / "native-duet")
DRAWN = calibration_text.draw(SESSIONS, TERMS, 12, 10_000)
PLANNED = looks(SESSIONS[0].run.profile, TERMS)
MOST = TERMS.false_alarms + 3 * (TERMS.false_alarms / 10_000) ** 0.5
"""Three standard errors above what is promised."""


def alarms(drawn: simulate.Drawn, backend: str, planned: tuple[int, ...] = PLANNED, *, prior: bool = True) -> float:
    priors = DRAWN[backend].priors if prior else {}
    return simulate.say(drawn, METRICS, TERMS, planned, 1, priors).changed


@pytest.mark.parametrize("scale", false_alarms.SCALES)
@pytest.mark.parametrize("backend", DRAWN)
def test_the_rate_holds_at_every_scale(backend: str, scale: float) -> None:
    for source in (DRAWN[backend].recorded, DRAWN[backend].modelled):
        assert alarms(source.scaled(scale, scale), backend) <= MOST
        assert alarms(source.scaled(1.0, scale), backend) <= MOST, "of pairs alone"


@pytest.mark.parametrize("backend", DRAWN)
def test_rounds_that_grow_without_their_pairs_are_noticed(backend: str) -> None:
    """By the other metrics: one alone would err nine times as often."""
    for scale in (1.5, 2.0, 3.0, 5.0):
        assert alarms(DRAWN[backend].recorded.scaled(scale, 1.0), backend) <= 0.01


@pytest.mark.parametrize("rounds", false_alarms.ROUNDS)
def test_the_rate_holds_without_a_prior(rounds: int) -> None:
    planned = (*(look for look in (4, 8) if look < rounds), rounds)
    for backend, one in DRAWN.items():
        for scale in (0.2, 1.0, 5.0):
            assert alarms(one.modelled.scaled(scale, scale), backend, planned, prior=False) <= MOST


@pytest.mark.parametrize("backend", ["django_wsgi", "fast_django_asgi", "fastapi"])
def test_one_percent_is_found_at_the_calibrated_noise_and_nothing_wrong_at_twice_of_it(backend: str) -> None:
    truth = calibration_text.slow_down(TERMS, 0.01)
    one = DRAWN[backend]
    found = simulate.say(one.recorded + truth, METRICS, TERMS, PLANNED, 1, one.priors, truth)
    assert found.changed >= 0.8
    assert found.covered >= 0.94
    twice = simulate.say(one.recorded.scaled(2, 2) + truth, METRICS, TERMS, PLANNED, 1, one.priors, truth)
    assert twice.covered >= 0.94


def test_a_short_session_of_another_profile_is_judged_by_its_own_rounds() -> None:
    """The suite's own: two rounds of two windows of a second, of a machine noisier than any that was calibrated."""
    said = 0
    for seed in range(150):
        run = make_paired_run(seed, levels=(2,), rounds=2, of=2, noise=0.01)
        run = msgspec.structs.replace(run, layout="duet", profile=msgspec.structs.replace(run.profile, duration_s=1.0))
        assert noise.priors_for(run) == {}
        said += judge_backend(run, "fastapi", TERMS, {}).outcome in (Outcome.REGRESSION, Outcome.IMPROVEMENT)
    assert said <= 4, "binomial(150, 0.005) is above 4 less than once in 1000 times"


def test_the_simulated_rules_are_those_of_verdicts() -> None:
    """The same sessions, judged as runs and as arrays."""
    runs = [make_paired_run(seed, rounds=8, of=8, noise=0.004, slower=0.01, slots_differ=0.001) for seed in range(60)]
    priors = noise.priors_for(SESSIONS[0].run)
    assert {key.partition("/")[0] for key in priors} == set(DRAWN)
    metrics = [name for name in METRICS if name not in ("peak_memory_mb", "database_cpu_ms_per_request")]
    terms = msgspec.structs.replace(TERMS, metrics={name: TERMS.metrics[name] for name in metrics})
    known = {key: prior for key, prior in priors.items() if key.partition("/")[2] in metrics}
    judged = [judge_backend(run, "fastapi", terms, known) for run in runs]
    share = np.mean([one.outcome in (Outcome.REGRESSION, Outcome.IMPROVEMENT) for one in judged])
    assert 0 < share < 1
    own = {metric: prior for metric in metrics if (prior := known.get(f"fastapi/{metric}"))}
    found = simulate.say(_arrays(runs, metrics), metrics, terms, PLANNED, 1, own)
    assert share == pytest.approx(found.changed)


def _arrays(runs: Sequence[Run], metrics: Sequence[str]) -> simulate.Drawn:
    """Log ratios of rounds and what pairs explain of them, shape (runs, rounds, metrics)."""
    parts: tuple[list[list[list[float]]], list[list[list[float]]]] = ([], [])
    for run in runs:
        ratios = [log_ratios(run.counting, METRICS_OF[name], "fastapi") for name in metrics]
        numbers = sorted(ratios[0][10])
        parts[0].append([[by_round(one, [10])[number] for one in ratios] for number in numbers])
        parts[1].append([[pairs_part(one, [10], [number])[0] for one in ratios] for number in numbers])
    return simulate.Drawn(*map(np.array, parts))
