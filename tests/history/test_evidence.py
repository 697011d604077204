"""How surely a series changes: intervals that hold what they say, and places that may be meant."""

from __future__ import annotations

import math

import numpy as np
import pytest

from scripts.history.evidence import Judged, edges, p_value
from scripts.history.series import Moment


def noisy(*parts: tuple[int, float], cv: float = 0.01, seed: int = 1, phi: float = 0.0) -> list[float]:
    """Values with AR(1) noise around ``(number, level)``."""
    rng = np.random.default_rng(seed)
    levels = np.repeat([math.log(level) for _, level in parts], [number for number, _ in parts])
    noise = np.zeros(levels.size)
    shocks = rng.normal(0, cv * math.sqrt(1 - phi**2), levels.size)
    last = rng.normal(0, cv)
    for place, shock in enumerate(shocks):
        noise[place] = last = phi * last + shock
    return [float(value) for value in np.exp(levels + noise)]


def test_a_step_with_its_size() -> None:
    judged = Judged(noisy((20, 100), (20, 110)))
    assert judged.places == [20]
    effect = judged.effect(20)
    assert effect
    low, high = effect.interval(0.05)
    assert low < 1.1 < high
    assert high - low < 0.03
    assert p_value(effect) < 1e-9
    assert judged.possible(20) == (20,)


def test_the_interval_holds_the_true_step_as_often_as_it_says() -> None:
    """Of a place that is known; the noise is autocorrelated."""
    held = 0
    for seed in range(400):
        judged = Judged(noisy((30, 100), (30, 110), cv=0.02, seed=seed, phi=0.3))
        effect = judged.effect(30)
        assert effect
        low, high = effect.interval(0.05)
        held += low <= 1.1 <= high
    assert 0.89 <= held / 400 <= 0.99


def test_outliers_do_not_hide_a_step() -> None:
    values = noisy((15, 100), (15, 105))
    values[3] *= 3
    values[20] /= 3
    effect = Judged(values).effect(15)
    assert effect
    assert effect.log_ratio == pytest.approx(math.log(1.05), abs=0.012)
    assert p_value(effect) < 1e-6


def test_a_small_step_may_be_at_several_places() -> None:
    sizes = [len(Judged(noisy((30, 100), (30, 101), seed=seed)).possible(30)) for seed in range(30)]
    assert np.median(sizes) > 5
    hit = [30 in Judged(noisy((30, 100), (30, 103), seed=s)).possible(p) for s in range(200) for p in (29, 31)]
    assert np.mean(hit) > 0.95


def test_other_places_bound_a_step() -> None:
    judged = Judged(noisy((15, 100), (15, 120), (15, 100)))
    assert judged.places == [15, 30]
    assert judged.around(15) == (0, 30)
    assert judged.around(31) == (15, 45), "a place beside a known one is that one"
    effect = judged.effect(30)
    assert effect
    assert math.exp(effect.log_ratio) == pytest.approx(1 / 1.2, abs=0.02)


def test_too_few_values_show_nothing() -> None:
    assert Judged([1.0, 2.0, 3.0]).effect(1) is None
    assert Judged([5.0]).places == []
    constant = Judged([5.0] * 20)
    effect = constant.effect(10)
    assert effect
    assert p_value(effect) == 1.0


def test_edges_between_commits_are_asked_where_the_search_proposes_nothing() -> None:
    values = noisy((5, 100), (5, 130), (5, 180), (5, 130), (10, 80), cv=0.003)
    wanted = [5, 10, 15, 20]
    assert Judged(values, [5, 10, 15, 20, 25], 1e-6).places == wanted
    assert Judged(noisy((30, 100)), [5, 10, 15, 20, 25], 1e-3).places == []


def test_an_edge_needs_several_runs_on_both_sides() -> None:
    places = [0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 3, 3, 3, 3]
    assert edges([Moment(run=str(n), commit="", position=place) for n, place in enumerate(places)]) == [4]
    assert edges([]) == []
