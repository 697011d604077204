"""One finding for one change that many series show, none for noise that they share; effects that cover the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scripts.changepoints import SHORTEST, Floats
from scripts.effect import estimate
from scripts.pooled import cusum, pooled_change_points

ROWS, RUNS = 12, 60


def shared(rng: np.random.Generator, spread: float = 0.03, common: float = 0.03, phi: float = 0.0) -> Floats:
    """Logarithms of `ROWS` series: noise of each, and noise of each run that all have, which may be AR(1)."""
    together = rng.normal(0, common, RUNS)
    for run in range(1, RUNS):
        together[run] = phi * together[run - 1] + math.sqrt(1 - phi**2) * together[run]
    return np.asarray(rng.normal(0, spread, (ROWS, RUNS)) + together)


def test_one_change_is_one_finding_with_the_series_that_show_it() -> None:
    logs = shared(np.random.default_rng(1), common=0.01)
    logs[:8, 35:] += math.log(1.06)
    series = 100 * np.exp(logs)
    series[3, 10:20] = np.nan
    (finding,) = pooled_change_points(series)
    assert finding.index == pytest.approx(35, abs=1)
    assert finding.confidence > 0.998
    assert set(range(8)) <= set(finding.shown_by)
    assert len(finding.shown_by) <= 10  # of twelve; each of the other four is wrong once in twenty
    for row in range(8):
        assert finding.effects[row].effect == pytest.approx(1.06, abs=0.04)


def test_small_steps_that_no_series_shows_alone_are_seen_together() -> None:
    logs = shared(np.random.default_rng(2), spread=0.04, common=0.0)
    logs[:, 30:] += math.log(1.025)
    assert [finding.index for finding in pooled_change_points(np.exp(logs))] == pytest.approx([30], abs=3)
    assert not any(pooled_change_points(np.exp(logs[row : row + 1])) for row in range(3))


def test_a_change_that_one_series_shows_is_seen() -> None:
    logs = shared(np.random.default_rng(3), common=0.0)
    logs[5, 25:] -= 0.15
    (finding,) = pooled_change_points(np.exp(logs))
    assert finding.index == pytest.approx(25, abs=1)
    assert 5 in finding.shown_by


@pytest.mark.parametrize("phi", [0.0, 0.4])
def test_noise_that_all_share_is_no_change(phi: float) -> None:
    rng = np.random.default_rng(4)
    alarms = sum(bool(pooled_change_points(np.exp(shared(rng, phi=phi)))) for _ in range(60))
    assert alarms <= 2


def test_what_was_said_of_a_prefix_does_not_depend_on_what_follows() -> None:
    logs = shared(np.random.default_rng(5), common=0.01)
    logs[:, 20:] += math.log(1.1)
    early = pooled_change_points(np.exp(logs[:, :40]))
    assert early == pooled_change_points(np.exp(np.array(logs))[:, :40])
    assert [finding.index for finding in early] == [20]


def test_cusum_by_hand() -> None:
    values = np.array([[[0.0] * 4 + [2.0] * 4 + [0.0] * 2]])
    there = np.array([[True] * 8 + [False] * 2])
    assert cusum(values, there).shape == (1, 1, 10 - 2 * SHORTEST + 1)
    assert cusum(values, there)[0, 0, 0] == pytest.approx(2 * math.sqrt(4 * 4 / 8))


@pytest.mark.parametrize("series", [np.full((3, 20), np.nan), np.ones((2, 5)), np.ones((2, 40)), np.empty((0, 10))])
def test_nothing_to_see(series: Floats) -> None:
    assert pooled_change_points(series) == ()


def test_shape_is_checked() -> None:
    with pytest.raises(ValueError, match="series by runs"):
        pooled_change_points(np.ones(5))


@pytest.mark.parametrize("phi", [0.0, 0.4])
def test_an_effect_s_interval_covers_the_truth_as_often_as_it_says(phi: float) -> None:
    rng = np.random.default_rng(6)
    covered = 0
    for _ in range(500):
        noise = rng.normal(0, 0.03, 60)
        for run in range(1, 60):
            noise[run] = phi * noise[run - 1] + math.sqrt(1 - phi**2) * noise[run]
        noise[rng.integers(60)] += 1.0  # one bad run
        noise[25:] += math.log(1.1)
        effect = estimate(np.exp(noise), 25)
        assert effect is not None
        covered += effect.low <= 1.1 <= effect.high
    assert 0.92 < covered / 500 <= 0.99


def test_an_effect_is_a_ratio_or_a_difference() -> None:
    ratio = estimate([10.0, 10.1, 9.9, 20, 20.2, 19.8], 3)
    difference = estimate([-1.0, 0, 1, 4, None, 5, 6], 3)
    assert ratio is not None
    assert difference is not None
    assert ratio.relative
    assert ratio.effect == pytest.approx(2)
    assert ratio.separated
    assert not difference.relative
    assert difference.effect == pytest.approx(5)
    assert (difference.before, difference.after) == (3, 3)
    assert estimate([1.0, 2.0, 3.0], 1) is None
    with pytest.raises(ValueError, match="confidence"):
        estimate([1.0] * 9, 4, confidence=95)
