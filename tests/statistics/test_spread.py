"""What a session's own pairs and metrics say of the spread of its rounds."""

from __future__ import annotations

import numpy as np
import pytest

from scripts.statistics.spread import MOST_DEGREES, Prior, Rounds, fit_prior, lend

PRIOR = Prior(ratio=2.0, between=1e-4, degrees=8.0)


def rounds(variances: list[float], within: float) -> Rounds:
    return Rounds(np.array(variances), np.array(6.0), np.full(len(variances), within), np.array(8.0))


def test_noisy_pairs_make_noisy_rounds_and_calm_ones_leave_what_starts_differ_by() -> None:
    for within, expected in ((1e-4, 2e-4), (4e-4, 8e-4), (0.0, 1e-4), (1e-5, 1.1e-4)):
        variances, degrees = lend(rounds([1e-6, 1e-6, 1e-6], within), [PRIOR] * 3)
        assert variances == pytest.approx(expected), "rounds that are calm by chance take nothing away"
        assert degrees == pytest.approx(4.0), "8 of the pairs and 8 of the ratio, one beside the other"


def test_rounds_of_all_metrics_that_grow_without_their_pairs_are_expected_to() -> None:
    variances, _ = lend(rounds([1e-3, 1.8e-3, 2e-3, 2.2e-3, 1e-2], 1e-4), [PRIOR] * 5)
    assert variances == pytest.approx(2e-3, rel=0.2)
    one, _ = lend(rounds([1e-2, 2e-4, 2e-4, 2e-4, 2e-4], 1e-4), [PRIOR] * 5)
    assert one == pytest.approx(2e-4, rel=0.2), "one metric says nothing of the others"


def test_metrics_that_never_vary_say_nothing_and_hide_nothing() -> None:
    still = Prior(ratio=1.0, between=0.0, degrees=8.0)
    variances, degrees = lend(
        Rounds(np.array([0.0, 2e-4]), np.array(6.0), np.array([0.0, 1e-4]), np.array(8.0)), [still, PRIOR]
    )
    assert (variances[0], degrees[0]) == (0.0, 0.0)
    assert variances[1] == pytest.approx(2e-4, rel=0.2)


def sessions(number: int, ratio: float, apart: float, seed: int = 1) -> list[Rounds]:
    """With a scale of its own for each session, and ratios that differ by ``apart`` (of their logarithms)."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(number):
        scale, own = rng.lognormal(0, 1), ratio * rng.lognormal(0, apart)
        found.append(Rounds.of(own * scale * rng.chisquare(6) / 6 * 1e-4, 6, scale * rng.chisquare(8) / 8 * 1e-4, 8))
    return found


def test_a_ratio_is_found_again_whatever_the_scales_of_sessions_are() -> None:
    prior = fit_prior(sessions(4000, 2.0, 0.0))
    assert prior
    assert prior.ratio == pytest.approx(2.0, rel=0.1)
    assert prior.degrees == MOST_DEGREES
    unlike = fit_prior(sessions(4000, 2.0, 1.0))
    assert unlike
    assert unlike.degrees == pytest.approx(2.0, rel=0.2), "2 over the variance of their logarithms"


def test_too_few_sessions_tell_nothing_and_pairs_never_explain_more_than_all() -> None:
    assert fit_prior(sessions(2, 2.0, 0.0)) is None
    less = fit_prior(sessions(100, 0.5, 0.0))
    assert less
    assert (less.ratio, less.between) == (1.0, 0.0)
