"""Properties of the intervals, and their coverage on data whose truth is known."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from scripts.statistics.intervals import (
    FEW_ROUNDS,
    Lent,
    Ratio,
    log_ratio_interval,
    paired_effect,
    session_variance,
    spend,
)

positive = st.floats(min_value=1e-3, max_value=1e6)
values = st.dictionaries(
    st.integers(1, 5), st.dictionaries(st.integers(0, 8), positive, min_size=1, max_size=9), min_size=1, max_size=5
)


Values = dict[int, dict[int, float]]


def estimate(first: Values, second: Values, level: int, confidence: float = 0.95) -> Ratio:
    found = log_ratio_interval(first, second, level, confidence)
    assert found is not None
    return found


def bounds(found: Ratio) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def simulate(
    rng: np.random.Generator, levels: int, rounds: int, ratio: float, spread: float = 0.03
) -> tuple[Values, Values]:
    """Two backends whose true ratio is known; each round has a disturbance that both share."""
    first: Values = {}
    second: Values = {}
    for level in range(levels):
        shared = rng.normal(0, 0.2, rounds)
        noise = rng.normal(0, spread, (2, rounds))
        second[level] = dict(enumerate(np.exp(3 + shared + noise[1]).tolist()))
        first[level] = dict(enumerate((ratio * np.exp(3 + shared + noise[0])).tolist()))
    return first, second


@pytest.mark.parametrize(
    ("levels", "rounds", "confidence"), [(10, 2, 0.95), (3, 3, 0.95), (1, 3, 0.9), (2, FEW_ROUNDS, 0.95)]
)
def test_interval_covers_the_true_ratio_as_often_as_it_says(levels: int, rounds: int, confidence: float) -> None:
    rng = np.random.default_rng(20261123)
    trials = 1000
    covered = 0
    for _ in range(trials):
        first, second = simulate(rng, levels, rounds, ratio=2.5)
        low, high = bounds(estimate(first, second, 0, confidence))
        covered += low <= 2.5 <= high
    # Four standard errors of a proportion: about 0.03 at 95% and 1,000 trials.
    allowed = 4 * math.sqrt(confidence * (1 - confidence) / trials)
    assert covered / trials == pytest.approx(confidence, abs=allowed)


def test_two_rounds_of_ten_levels_have_ten_degrees_of_freedom() -> None:
    first, second = simulate(np.random.default_rng(1), levels=10, rounds=2, ratio=2)
    assert estimate(first, second, 0).degrees == 10


def test_many_rounds_use_their_own_spread() -> None:
    first, second = simulate(np.random.default_rng(1), levels=3, rounds=FEW_ROUNDS, ratio=2)
    first[2] = {key: value * 10 ** (key % 3) for key, value in first[2].items()}
    assert log_ratio_interval(first, second, 0) == log_ratio_interval({0: first[0]}, {0: second[0]}, 0)


def test_known_example_by_hand() -> None:
    """d = (log 2, log 8): mean log 4, s = log(4)/sqrt(2), so s/sqrt(2) = log 2, and t(0.975, 1) = 12.7062."""
    found = estimate({10: {0: 2.0, 1: 8.0}}, {10: {0: 1.0, 1: 1.0}}, 10)
    assert found.ratio == pytest.approx(4)
    low, high = bounds(found)
    assert math.log(high / found.ratio) == pytest.approx(12.7062 * math.log(2), rel=1e-5)
    assert math.log(found.ratio / low) == pytest.approx(12.7062 * math.log(2), rel=1e-5)
    assert found.separated is False


def test_one_round_has_a_ratio_and_no_interval() -> None:
    found = estimate({10: {0: 6.0}, 20: {0: 8.0}}, {10: {0: 2.0}, 20: {0: 2.0}}, 10)
    assert found.ratio == pytest.approx(3)
    assert (found.low, found.high) == (None, None)
    assert (found.pairs, found.degrees, found.separated) == (1, 0, None)


def test_level_that_lost_a_round_borrows_the_spread_of_the_others_and_is_wider() -> None:
    first, second = simulate(np.random.default_rng(7), levels=5, rounds=2, ratio=2)
    whole = estimate(first, second, 0)
    del first[0][1]
    lost = estimate(first, second, 0)
    assert (lost.pairs, lost.degrees) == (1, 4)
    assert bounds(lost)[1] / bounds(lost)[0] > bounds(whole)[1] / bounds(whole)[0]


def test_only_rounds_that_both_have_are_paired() -> None:
    first = {10: {0: 2.0, 1: 4.0, 2: 99.0}}
    second = {10: {0: 1.0, 1: 2.0, 3: 50.0}}
    assert estimate(first, second, 10).pairs == 2
    assert log_ratio_interval({10: {0: 2.0}}, {10: {1: 2.0}}, 10) is None
    assert log_ratio_interval({10: {0: 2.0}}, {20: {0: 2.0}}, 10) is None


@given(values, values, st.integers(1, 5))
def test_swapping_the_backends_gives_the_reciprocal(first: Values, second: Values, level: int) -> None:
    there = log_ratio_interval(first, second, level)
    back = log_ratio_interval(second, first, level)
    assert (there is None) == (back is None)
    if there is None or back is None:
        return
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert (there.low is None) == (back.low is None)
    if there.low is not None and there.low > 0 and there.high != math.inf:
        assert math.log(there.low) == pytest.approx(-math.log(bounds(back)[1]), abs=1e-6, rel=1e-6)


@given(values, values, st.integers(1, 5), st.floats(0.01, 100))
def test_a_change_of_unit_changes_nothing(first: Values, second: Values, level: int, scale: float) -> None:
    def scaled(by_level: Values) -> Values:
        return {key: {r: value * scale for r, value in rounds.items()} for key, rounds in by_level.items()}

    plain = log_ratio_interval(first, second, level)
    other = log_ratio_interval(scaled(first), scaled(second), level)
    assert (plain is None) == (other is None)
    if plain is None or other is None:
        return
    assert other.ratio == pytest.approx(plain.ratio)
    assert (other.pairs, other.degrees) == (plain.pairs, plain.degrees)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_values_without_a_ratio_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        log_ratio_interval({10: {0: value}}, {10: {0: 1.0}}, 10)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence"):
        log_ratio_interval({10: {0: 1.0}}, {10: {0: 1.0}}, 10, confidence)


# --- effects of paired sessions ---------------------------------------------------------------------------------


def test_an_effect_is_a_t_interval_over_rounds() -> None:
    values = [0.01, 0.03, 0.02, 0.04]
    effect = paired_effect(values)
    low, high = scipy.stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert effect.interval(0.05) == pytest.approx((math.exp(low), math.exp(high)))
    assert effect.differs(0.05)
    assert not effect.differs(0.001)
    assert (effect.rounds, effect.degrees) == (4, 3)


def test_what_is_lent_gives_degrees_and_widens_what_rounds_lie_close_by_chance() -> None:
    values = [0.009, 0.011, 0.010]
    effect = paired_effect(values, Lent(variance=1e-4, degrees=12))
    assert effect.degrees == 14
    assert effect.error**2 == pytest.approx((12 * 1e-4 + 2 * np.var(values, ddof=1)) / 14 / 3)


def test_what_arms_differ_by_for_a_whole_session_widens_the_interval() -> None:
    rounds = [0.01, 0.012, 0.008, 0.011]
    narrow, wide = (paired_effect(rounds, share=share) for share in (0.0, 0.25))
    assert wide.error == pytest.approx(math.sqrt(2) * narrow.error), "as much as four rounds do"
    assert wide.degrees == narrow.degrees


def test_rounds_that_lie_further_apart_than_expected_are_believed() -> None:
    values = [-0.2, 0.3, 0.1, -0.3, 0.25, 0.02]
    assert paired_effect(values, Lent(variance=1e-6, degrees=20)).error == paired_effect(values).error


def test_the_smallest_effect_seen_is_found_with_the_stated_power() -> None:
    """Simulated: sessions whose true effect is `smallest_seen` are found as often as it says."""
    rng = np.random.default_rng(2)
    sd, rounds, level, lent = 0.01, 8, 0.01, Lent(variance=1e-4, degrees=1e6)
    planned = paired_effect([sd, -sd] * (rounds // 2), lent)
    truth = math.log1p(planned.smallest_seen(level, 0.8))
    values = truth + sd * rng.standard_normal((3000, rounds))
    found = np.mean([paired_effect(list(row), lent).differs(level) for row in values])
    assert found == pytest.approx(0.8, abs=0.05)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda values: len(set(values)) > 1))
def test_swapping_the_arms_turns_the_effect_round(values: list[float]) -> None:
    one, other = paired_effect(values), paired_effect([-value for value in values])
    low, high = one.interval(0.05)
    assert other.interval(0.05) == pytest.approx((1 / high, 1 / low))


@pytest.mark.parametrize("values", [[], [0.1], [0.1, math.nan]])
def test_effects_that_cannot_be_told(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"effect needs finite|no spread"):
        paired_effect(values)


def test_what_slots_differ_by_is_not_in_the_effect_nor_in_its_error() -> None:
    rng = np.random.default_rng(4)
    values = rng.normal(0.01, 0.002, 8)
    slots = [0, 1] * 4
    apart = values + np.where(np.array(slots) == 0, 0.05, -0.05)
    one, other = paired_effect(values.tolist(), None, slots), paired_effect(apart.tolist(), None, slots)
    assert other.log_ratio == pytest.approx(one.log_ratio) == pytest.approx(values.mean())
    assert other.error == pytest.approx(one.error)
    assert one.degrees == 6
    assert paired_effect(apart.tolist()).error > 5 * other.error
    by_hand = np.concatenate([group - group.mean() for group in (apart[::2], apart[1::2])])
    assert other.error == pytest.approx(math.sqrt(float(np.sum(by_hand**2)) / 6 / 8))


def test_slots_that_were_not_exchanged_often_enough_take_nothing_out() -> None:
    values = [0.01, 0.02, 0.03]
    assert paired_effect(values, None, [0, 0, 0]) == paired_effect(values)
    assert paired_effect(values, None, [0, 1, 0]) == paired_effect(values)


def test_exchanged_slots_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(5)
    slots = [0, 1] * 4
    signs = np.where(np.array(slots) == 0, 1, -1)
    inside = 0
    for _ in range(3000):
        ratios = rng.normal(0, 0.01, 8) + signs * rng.normal(0, 0.02)
        effect = paired_effect(ratios.tolist(), None, slots)
        low, high = effect.interval(0.05)
        inside += low <= 1 <= high
    assert inside / 3000 == pytest.approx(0.95, abs=0.012)


def test_all_looks_together_spend_alpha() -> None:
    assert spend((1.0,), 0.01) == pytest.approx((0.01,))
    levels = spend((0.5, 1.0), 0.01)
    assert levels == pytest.approx((0.000625, 0.009375))
    assert sum(spend((0.25, 0.5), 0.01)) == pytest.approx(0.000625), "a session that ends at its half"


def test_sessions_without_change_err_no_more_often_than_allowed() -> None:
    """Student t over rounds of unknown variance, looks after 6, 10 and 14 rounds."""
    rng = np.random.default_rng(1)
    looks = (6, 10, 14)
    levels = spend([look / 14 for look in looks], 0.05)
    values = rng.standard_normal((40_000, 14))
    wrong = np.zeros(len(values), dtype=bool)
    for look, level in zip(looks, levels, strict=True):
        part = values[:, :look]
        t = part.mean(axis=1) / (part.std(axis=1, ddof=1) / look**0.5)
        wrong |= np.abs(t) > scipy.stats.t.isf(level / 2, look - 1)
    assert 0.035 < wrong.mean() < 0.05


@pytest.mark.parametrize("looks", [(), (0.5, 0.5), (0.0, 1.0), (0.5, 1.1)])
def test_looks_that_make_no_sense(looks: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="looks must ascend"):
        spend(looks, 0.05)


def test_what_sessions_differ_by_is_told_from_what_rounds_differ_by() -> None:
    rng = np.random.default_rng(8)
    alike = [rng.normal(0, 0.01, 8).tolist() for _ in range(400)]
    apart = [(rng.normal(0, 0.005) + rng.normal(0, 0.01, 8)).tolist() for _ in range(400)]
    assert session_variance(alike) == pytest.approx(0, abs=3e-6)
    assert session_variance(apart) == pytest.approx(0.005**2, rel=0.25)
    with pytest.raises(ValueError, match="two rounds"):
        session_variance([[0.1]])


def test_two_rounds_that_leave_everything_open() -> None:
    """One degree of freedom and a strict level: the interval's end is no number any more."""
    effect = paired_effect([0.0, 0.5])
    assert not effect.differs(1e-7)
    low, high = effect.interval(1e-7)
    assert (low, round(high)) == (0.0, 1_000_000)
    assert effect.smallest_seen(1e-7) == pytest.approx(1e6, rel=1e-5)
