"""Steps whose truth is known are found, and what is no step is not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perf.scoring import Score, score
from perf.series import NOISES, Noise, labelled_series
from scripts.statistics import changepoints
from scripts.statistics.changepoints import (
    DEGREE,
    SHORTEST,
    change_points,
    fit,
    gain_in_ranks,
    middle,
    relocate,
    standardised,
    weakest,
    without_spikes,
)

FIRST = NOISES[:5]
"""Those that the bounds were chosen on, with other seeds."""


def noisy(rng: np.random.Generator, *regimes: tuple[int, float], spread: float = 0.02) -> list[float]:
    """Regimes of so many points around such a level, with log-normal noise."""
    logs = np.concatenate([np.full(count, math.log(level)) for count, level in regimes])
    return [float(value) for value in np.exp(logs + rng.normal(0, spread, logs.size))]


def test_steps_up_and_down_are_dated() -> None:
    values = noisy(np.random.default_rng(1), (40, 100), (30, 115), (50, 100), (25, 80))
    assert change_points(values) == pytest.approx([40, 70, 120], abs=1)


@pytest.mark.parametrize("values", [[], [1.0], [None] * 9, [5.0] * 50, [0.0] * 50, [1.0, 2.0], list(range(1, 60))])
def test_no_step(values: list[float | None]) -> None:
    assert change_points(values) == []


def test_noiseless_step() -> None:
    assert change_points([3.0] * 20 + [4.0] * 20) == [20]
    assert change_points([0.0] * 20 + [-4.0] * 20) == [20]


@pytest.mark.parametrize("lasting", range(1, SHORTEST))
def test_bad_runs_are_no_regime(lasting: int) -> None:
    values = noisy(np.random.default_rng(2), (40, 100), (lasting, 300), (40, 100))
    assert change_points(values) == []


def test_missing_values_keep_their_indexes() -> None:
    values: list[float | None] = list(noisy(np.random.default_rng(3), (30, 100), (30, 120)))
    found = change_points(values)
    assert found == [30]
    values[10:10] = [None, math.nan, math.inf]
    assert change_points(values) == [33]


def test_a_slow_drift_is_no_step_and_hides_none() -> None:
    rng = np.random.default_rng(4)
    drift = np.linspace(1, 1.3, 200)
    assert change_points(np.array(noisy(rng, (200, 100))) * drift) == []
    assert change_points(np.linspace(1, 2, 500) * noisy(rng, (500, 100), spread=0.001)) == []
    assert change_points(np.array(noisy(rng, (90, 100), (110, 120))) * drift) == pytest.approx([90], abs=1)


@pytest.mark.parametrize(("distance", "left"), [(2, 2), (3, 2.5), (5, 1.25), (6, 0), (60, 0)])
def test_what_is_far_from_its_neighbours_counts_less(distance: float, left: float) -> None:
    values = np.zeros(21)
    values[10] = distance
    assert without_spikes(values)[10] == left
    assert without_spikes(-values)[10] == -left


def alarms(noise: Noise, count: int = 150) -> float:
    """For each 100 points of series without steps. The seed is no other's."""
    series = labelled_series(7, count, noise, with_steps=False)
    return score(series, [change_points(one.values) for one in series]).false_alarms


def searched() -> Score:
    """How well the steps of a hundred series of each of the first kinds of noise are found."""
    series = [one for noise in FIRST for one in labelled_series(7, 100, noise)]
    return score(series, [change_points(one.values) for one in series])


@pytest.fixture(scope="module")
def whole() -> Score:
    """How well they are found with every part in its place."""
    return searched()


KNOWN: dict[Noise, float] = {
    "AR(1)": 0.03, "drift": 0.15, "wander": 0.75, "random walk": 0.35, "sticky states": 0.85,
    "bad runs together": 0.65, "growing spread": 0.15,
}  # fmt: skip
"""Alarms that noise raises which looks like steps, as docs/detect.md tells; what else there is, hardly raises any."""


@pytest.mark.parametrize("noise", NOISES)
def test_noise_is_no_step(noise: Noise) -> None:
    assert alarms(noise) < KNOWN.get(noise, 0.02)


STATES = {
    "even": ((1.0, 2.0), (0.5, 0.5)),
    "mostly the first": ((1.0, 2.0), (0.8, 0.2)),
    "mostly the second": ((1.0, 2.0), (0.2, 0.8)),
    "near": ((1.0, 1.15), (0.5, 0.5)),
    "three": ((1.0, 1.12, 1.35), (0.4, 0.35, 0.25)),
    "far": ((1.0, 5.0), (0.6, 0.4)),
}


@pytest.mark.parametrize("size", [60, 100, 300])
def test_code_that_runs_at_several_speeds_does_not_change(size: int) -> None:
    """At most 1% of series for each 100 points, over all kinds; in no kind many more than that."""
    found = {}
    for kind, (speeds, shares) in STATES.items():
        for spread in (0.0, 0.02):
            rng = np.random.default_rng(8)
            series = [rng.choice(speeds, size, p=shares) * np.exp(rng.normal(0, spread, size)) for _ in range(100)]
            found[kind, spread] = sum(bool(change_points(values)) for values in series)
    assert sum(found.values()) <= size / 100 * len(found), found
    assert max(found.values()) <= 3 * size / 100 + 1, found


def test_two_speeds_are_no_change() -> None:
    assert change_points([101, 97, 99, 99, 100, 98, 205, 98, 196, 201, 96, 196, 202, 97, 98, 102]) == []


@pytest.mark.parametrize("spread", [0.0, 0.02])
def test_two_speeds_hide_no_large_step(spread: float) -> None:
    """Where both speeds change, and where one of them is no longer met."""
    rng = np.random.default_rng(9)
    slow = rng.random(200) < 0.3
    values = np.where(slow, 1.5, 1.0) * np.exp(rng.normal(0, spread, 200))
    both = values * np.repeat([1.0, 2.0], 100)
    assert change_points(both) == pytest.approx([100], abs=2)


def test_ranks_know_of_no_distances() -> None:
    """A new level of four points stands out, from whatever distance; values that take turns do not."""
    near, far = np.arange(44.0), np.arange(44.0)
    far[40:] *= 1e6
    assert gain_in_ranks(near, 40) == gain_in_ranks(far, 40) > 15
    assert gain_in_ranks(np.tile([1.0, 2.0], 20), 20) == pytest.approx(0, abs=1e-9)
    assert gain_in_ranks(np.ones(40), 20) == 0


def unbounded(_values: object, cuts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.full(cuts.size, np.inf)


@pytest.mark.parametrize(
    ("name", "value", "noise"),
    [
        ("AUTOCORRELATIONS", np.zeros(1), "AR(1)"),  # as if noise were independent
        ("ANY", -1e9, "drift"),  # as if there had to be steps
        ("DEGREE", 0, "drift"),  # as if nothing drifted
        ("margin_in_ranks", unbounded, "sticky states"),  # as if amounts were all there is
    ],
)
def test_each_part_keeps_false_alarms_away(
    name: str, value: object, noise: Noise, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = alarms(noise)
    monkeypatch.setattr(changepoints, name, value)
    assert alarms(noise) > 1.5 * before


def test_most_steps_are_found(whole: Score) -> None:
    assert whole.f1 > 0.8


def test_single_bad_runs_hide_steps(whole: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changepoints, "without_spikes", np.asarray)  # as if every value counted
    assert searched().recall < whole.recall - 0.05


def test_short_regimes_need_more(whole: Score, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changepoints, "SCARCE", 0.0)
    assert searched().precision < whole.precision - 0.03


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WEAKEST", 0.0),  # as if a single clear step were worth no more than several doubtful ones
        ("CURVED", 0.0),  # as if most series drifted
    ],
)
def test_each_part_finds_steps(whole: Score, name: str, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changepoints, name, value)
    assert searched().recall < whole.recall - 0.01


def test_a_step_is_put_in_the_middle_of_where_it_may_be() -> None:
    assert middle(np.array([0, 5, 5, 5, 5, 5, 0])) == 3
    assert middle(np.array([0, 9, 0, 1, 1, 1, 1, 1])) == 1
    rng = np.random.default_rng(1)
    series = [standardised(np.array(noisy(rng, (40, 100), (40, 103), spread=0.03))) for _ in range(500)]

    def distance(choose: Callable[[npt.NDArray[np.float64]], np.intp]) -> float:
        return float(np.mean([abs(relocate(values, np.array([40]), choose) - 40) for values in series]))

    assert distance(middle) < 0.95 * distance(np.argmax)


def test_the_weakest_go_together_where_none_leans_on_another() -> None:
    assert weakest(np.array([-2.0, -4.0, -3.0, 4.0, -1.0])).tolist() == [False, True, False, False, True]
    assert weakest(np.array([-1.0, -1.0])).tolist() == [False, True]
    assert not weakest(np.array([0.1, 6.0])).any()


@pytest.mark.parametrize("degree", [0, 1, DEGREE])
def test_steps_are_fitted_beside_a_curve_as_by_least_squares(degree: int) -> None:
    rng = np.random.default_rng(3)
    values, cuts = rng.normal(np.repeat([0.0, 3.0, 1.0], [40, 50, 30]), 1), np.array([40, 90])
    curve, _ = np.linalg.qr(np.vander(np.linspace(-1, 1, 120), degree + 1, increasing=True))
    design = np.column_stack([curve, *(np.arange(120) >= cut for cut in cuts)])
    weights, (left,), *_ = np.linalg.lstsq(design, values, rcond=None)
    straight = (values - curve[:, 1:] @ weights[1 : degree + 1]) / math.sqrt(left / 120)
    found = fit(values, curve, cuts).straight
    assert found == pytest.approx(straight, abs=1e-4)


@pytest.mark.parametrize("kind", ["independent", "walk", "steps"])
def test_a_long_series_takes_seconds(kind: str) -> None:
    """Several times what it takes on an idle machine."""
    rng = np.random.default_rng(1)
    logs = rng.normal(0, 0.03, 50_000)
    if kind == "walk":
        logs = np.cumsum(logs) / 10
    if kind == "steps":
        logs += np.repeat(rng.normal(0, 0.1, 500), 100)
    started = time.process_time()
    found = change_points(100 * np.exp(logs))
    assert time.process_time() - started < 5
    assert len(found) > 350 if kind == "steps" else len(found) < 500


def test_noise_that_alternates_does_not_move_a_step() -> None:
    values = 100 + (-1.0) ** np.arange(800) + np.random.default_rng(1).normal(0, 0.2, 800)
    values[100:] += 0.6
    assert change_points(values) == pytest.approx([100], abs=3)


@pytest.mark.parametrize("factor", [1.3, 3.0])
def test_bad_runs_at_an_end_are_no_regime(factor: float) -> None:
    found = {"first": 0, "last": 0, "four": 0}
    for seed in range(50):
        values = np.array(noisy(np.random.default_rng(seed), (44, 100)))
        for name, bad in (("first", slice(0, 3)), ("last", slice(41, 44)), ("four", slice(40, 44))):
            worse = values.copy()
            worse[bad] *= factor
            found[name] += bool(change_points(worse))
    assert found["first"] <= 2
    assert found["last"] <= 2
    assert found["four"] >= 48  # a regime, and new


def test_a_long_drift_is_no_staircase() -> None:
    rng = np.random.default_rng(1)
    assert change_points(np.linspace(1, 2, 10_000) * noisy(rng, (10_000, 1), spread=0.001)) == []
    levels = [(20, 100 + 10 * (number % 2)) for number in range(300)]
    assert len(change_points(noisy(rng, *levels))) == pytest.approx(299, abs=2)


@given(
    st.lists(st.floats(allow_nan=True, allow_infinity=True, width=64) | st.none(), max_size=60),
)
@settings(max_examples=300)
def test_any_numbers_get_an_answer(values: list[float | None]) -> None:
    found = change_points(values)
    assert found == sorted(set(found))
    assert all(SHORTEST <= index < len(values) for index in found)


@given(st.integers(0, 1000), st.floats(1e-6, 1e6))
@settings(max_examples=50)
def test_a_change_of_unit_changes_nothing(seed: int, scale: float) -> None:
    values = noisy(np.random.default_rng(seed), (30, 100), (30, 106), spread=0.03)
    assert change_points([value * scale for value in values]) == change_points(values)
