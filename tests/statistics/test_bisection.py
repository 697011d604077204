"""The search finds the culprit although sessions are noisy, mislead, or fail: against oracles whose truth is known."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Collection

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.statistics.bisection import Ending, Found, Session, likely, odds, pooled, posterior, search
from scripts.statistics.intervals import Effect

Oracle = Callable[[int, int], Effect | None]


def oracle(
    culprits: dict[int, float],
    seed: int,
    *,
    error: float = 0.004,
    misleading: float = 0.0,
    broken: Collection[int] = (),
) -> Oracle:
    """Sessions of a history in which each culprit multiplies the metric; their error varies by a factor of about two.

    With probability ``misleading`` a session measures the opposite of what is there.
    """
    rng = random.Random(seed)

    def measure(first: int, last: int) -> Effect | None:
        if last in broken:
            return None
        true = sum(math.log(factor) for commit, factor in culprits.items() if first < commit <= last)
        if rng.random() < misleading and (first, last) != (0, 16):
            true = math.log(next(iter(culprits.values()))) - true
        spread = error * rng.uniform(0.7, 1.4)
        return Effect(log_ratio=rng.gauss(true, spread), error=spread, degrees=12, rounds=10)

    return measure


def run(measure: Oracle, count: int = 16, most: int = 25) -> Found:
    return search(count, measure, level=0.01, confidence=0.95, most=most)


@settings(max_examples=60)
@given(count=st.integers(1, 64), data=st.data())
def test_a_clear_change_costs_about_as_many_sessions_as_halving(count: int, data: st.DataObject) -> None:
    culprit = data.draw(st.integers(1, count))
    found = run(oracle({culprit: 1.1}, data.draw(st.integers(0, 999))), count)
    assert (found.ending, found.commits) == (Ending.FOUND, (culprit,))
    assert found.own
    assert abs(found.own.log_ratio - math.log(1.1)) < 0.03
    assert len(found.sessions) <= math.log2(count) + 5, "GOOD against BAD, halving, and the culprit by itself"


def test_noisy_sessions_cost_repeats_and_not_the_result() -> None:
    """Of 5%, with a session's error at 1.2%: about one answer in fifty is on the wrong side."""
    results = [run(oracle({1 + seed % 16: 1.05}, seed, error=0.012)) for seed in range(150)]
    found = [result for result in results if result.ending is Ending.FOUND]
    right = [1 + seed % 16 in result.commits for seed, result in enumerate(results) if result.ending is Ending.FOUND]
    assert len(found) >= 140
    assert np.mean(right) >= 0.95
    assert np.mean([len(result.sessions) for result in found]) < 13


def test_a_session_that_misleads_is_outvoted() -> None:
    results = [run(oracle({1 + seed % 16: 1.1}, seed, misleading=0.05)) for seed in range(150)]
    right = [result.commits == (1 + seed % 16,) for seed, result in enumerate(results)]
    assert np.mean(right) >= 0.95


def test_no_difference_is_said() -> None:
    endings = [run(oracle({}, seed)).ending for seed in range(100)]
    assert endings.count(Ending.NO_DIFFERENCE) >= 98
    assert len(run(oracle({}, 1)).sessions) == 3


def test_commits_that_do_not_run_are_gone_around() -> None:
    found = run(oracle({9: 1.1}, 1, broken=(4, 8, 12)))
    assert found.commits == (8, 9), "nothing can tell these apart"
    assert found.ending is Ending.FOUND
    found = run(oracle({10: 1.1}, 1, broken=(4, 8, 12)))
    assert found.commits == (10,)
    assert run(oracle({9: 1.1}, 1, broken=(16,))).ending is Ending.BAD_FAILS


def test_two_changes_end_at_one_of_them_or_unsure() -> None:
    for seed in range(20):
        found = run(oracle({4: 1.05, 12: 1.05}, seed))
        assert len(found.sessions) <= 25
        if found.ending is Ending.FOUND:
            assert set(found.commits) & {4, 12}
            assert found.own
            assert found.whole
            assert found.own.log_ratio < 0.75 * found.whole.log_ratio, "the report can say that there is more"


def test_the_end_of_patience_is_said() -> None:
    found = run(oracle({9: 1.1}, 1), most=3)
    assert found.ending is Ending.EXHAUSTED
    assert 9 in found.commits
    assert len(found.sessions) == 3
    with pytest.raises(ValueError, match="cannot search 0 commits"):
        run(oracle({}, 1), count=0)


def test_one_commit_needs_no_search() -> None:
    found = run(oracle({1: 1.1}, 1), count=1)
    assert (found.ending, found.commits, len(found.sessions)) == (Ending.FOUND, (1,), 1)


def test_odds_are_bounded_and_even_between() -> None:
    whole = Effect(log_ratio=0.1, error=0.005, degrees=12, rounds=10)
    sessions = [Session(first=0, last=2, effect=whole)]
    for log_ratio, expected in ((0.1, 99.0), (0.0, 1 / 99), (0.5, 99.0)):
        effect = Effect(log_ratio=log_ratio, error=0.005, degrees=12, rounds=10)
        assert math.exp(odds(effect, whole)) == pytest.approx(expected)
        chances = posterior(2, [*sessions, Session(first=0, last=1, effect=effect)])
        assert chances[0] / chances[1] == pytest.approx(expected)
    between = Effect(log_ratio=0.05, error=0.05, degrees=12, rounds=10)
    assert 0.8 < math.exp(odds(between, whole)) < 1.25


def test_sessions_of_the_same_commits_are_pooled() -> None:
    effects = [Effect(log_ratio=value, error=0.01, degrees=5, rounds=6) for value in (0.1, 0.2)]
    sessions = [Session(first=0, last=3, effect=effect) for effect in effects]
    both = pooled([*sessions, Session(first=0, last=3, effect=None)], 0, 3)
    assert both
    assert (both.degrees, both.rounds) == (10, 12)
    assert both.log_ratio == pytest.approx(0.15)
    assert both.error == pytest.approx(0.01 / math.sqrt(2))
    assert pooled(sessions, 1, 3) is None
    assert likely(np.array([0.5, 0.1, 0.4]), 0.9) == [1, 3]
