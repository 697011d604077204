"""Group-sequential boundaries: known values, the error rate they keep, and Student t at their levels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scripts.sequential import nominal_levels


def test_one_look_spends_everything() -> None:
    assert nominal_levels((1.0,), 0.01) == pytest.approx((0.01,))


def test_two_even_looks_against_a_bivariate_normal() -> None:
    """P(|Z1| > c1 or |Z2| > c2) from scipy's bivariate normal: an independent way to the same number."""
    first, last = nominal_levels((0.5, 1.0), 0.05)
    assert first == pytest.approx(0.05 * 0.25), "a quarter is spent at half time"
    bounds = stats.norm.isf(np.array([first, last]) / 2)
    cover = stats.multivariate_normal(cov=[[1, 0.5**0.5], [0.5**0.5, 1]])  # corr = sqrt(t1 / t2)

    def box(low: float, high: float) -> float:
        return float(cover.cdf([low, high]))

    a, b = bounds
    inside = box(a, b) - box(-a, b) - box(a, -b) + box(-a, -b)
    assert 1 - inside == pytest.approx(0.05, abs=1e-5)


@given(
    st.lists(st.integers(1, 12), min_size=1, max_size=6, unique=True),
    st.sampled_from([0.05, 0.01, 0.0005]),
)
@settings(max_examples=25, deadline=None)
def test_no_look_has_more_than_all_of_alpha(looks: list[int], alpha: float) -> None:
    planned = tuple(look / max(looks) for look in sorted(looks))
    levels = nominal_levels(planned, alpha)
    assert all(0 < level <= alpha * (1 + 1e-6) for level in levels)
    first = sorted(looks)[0] / max(looks)
    assert levels[0] == pytest.approx(alpha * first**2, rel=1e-6), "the share of alpha that is spent by then"


def test_sessions_without_change_err_as_often_as_allowed() -> None:
    """Student t at the nominal levels, rounds of unknown variance, looks after 6, 8, 10 and 12 rounds."""
    rng = np.random.default_rng(1)
    looks = (6, 8, 10, 12)
    levels = nominal_levels(tuple(look / 12 for look in looks), 0.05)
    values = rng.standard_normal((40_000, 12))
    wrong = np.zeros(len(values), dtype=bool)
    for look, level in zip(looks, levels, strict=True):
        part = values[:, :look]
        t = part.mean(axis=1) / (part.std(axis=1, ddof=1) / look**0.5)
        wrong |= np.abs(t) > stats.t.isf(level / 2, look - 1)
    assert wrong.mean() == pytest.approx(0.05, abs=0.004)


@pytest.mark.parametrize("looks", [(), (0.5, 0.5), (0.0, 1.0), (0.5, 1.1)])
def test_looks_that_make_no_sense(looks: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="looks must ascend"):
        nominal_levels(looks, 0.05)
