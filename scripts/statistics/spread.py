"""What says how much a metric's rounds spread, beside the few rounds themselves: their pairs, and other metrics. Pure.

How noisy a machine is differs from machine to machine and from hour to hour, so no variance is carried from one session
to another. What calibration carries over is how variances stand to each other: a `Prior` is that of a round's log ratio
to the part of it that the spread of pairs within the rounds explains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
import scipy
from msgspec import Meta

from scripts.model import Struct
from scripts.statistics.intervals import Floats

MOST_DEGREES = 16.0
"""A prior is worth at most so many degrees of freedom, however sure calibration is: on another machine processes may
differ by more, and pairs by no more."""
SESSION_SHARE = 0.018
"""The variance by which two arms differ for a whole session, as a share of that of a round: over all metrics and
backends of 40 sessions 0.018, with a standard error of 0.012 (`scripts.calibration.campaign.session_share`)."""


class Prior(Struct):
    """How the variance of a round's log ratio stands to the part that its pairs explain, on the calibrated machine.

    ``ratio``: of the whole to that part, 1 at least. ``between``: what is left of it, which is what two starts of the
    same code differ by; a machine with quieter pairs than the calibrated one need not have less of it. ``degrees``:
    what the ratio is worth.
    """

    ratio: Annotated[float, Meta(ge=1, le=1e6)]
    between: Annotated[float, Meta(ge=0, le=100)]
    degrees: Annotated[float, Meta(gt=0, le=1e6)]


class Rounds(NamedTuple):
    """A variance of rounds and the degrees of freedom behind it, by metric or for many sessions at once.

    ``within``: the part of it that pairs explain, with degrees of freedom of its own.
    """

    variance: Floats
    degrees: Floats
    within: Floats
    within_degrees: Floats

    @classmethod
    def of(cls, *values: float) -> Rounds:
        """Of a single metric and session."""
        return cls(*(np.array(value, dtype=np.float64) for value in values))


def lend(rounds: Rounds, priors: Sequence[Prior]) -> tuple[Floats, Floats]:
    """What variance each metric's rounds should have, and what that is worth in degrees of freedom.

    All of shape (..., metrics). Pairs grow with what happens on the machine, and what two starts of the same code
    differ by may grow without them. So where the rounds of the session's metrics spread more than their pairs say, in
    the median, all of them are expected to. The median of the ratios is divided by that of their distribution, F.
    """
    ratio, between, known = (np.array([getattr(p, name) for p in priors]) for name in ("ratio", "between", "degrees"))
    expected = rounds.within + np.maximum((ratio - 1) * rounds.within, between)
    with np.errstate(divide="ignore", invalid="ignore"):
        fit = rounds.variance / expected / scipy.special.fdtri(rounds.degrees, rounds.within_degrees, 0.5)
    told = np.where(np.isfinite(fit) & (rounds.variance > 0), fit, np.nan)
    some = np.isfinite(told).any(axis=-1)
    factor = np.ones(told.shape[:-1])
    factor[some] = np.maximum(1.0, np.nanmedian(told[some], axis=-1))
    return expected * factor[..., np.newaxis], np.where(expected > 0, 1 / (1 / rounds.within_degrees + 1 / known), 0.0)


def fit_prior(sessions: Sequence[Rounds]) -> Prior | None:
    """The prior of one metric from sessions that were measured alike; None where they do not tell.

    ``degrees``: how alike the sessions' own ratios are, as the variance of their logarithms beyond what samples of
    their sizes have (Smyth, "Linear models and empirical Bayes methods for assessing differential expression", Stat.
    Appl. Genet. Mol. Biol. 3, 2004, section 6.2).
    """
    usable = [one for one in sessions if min(one) > 0]
    if len(usable) < 3:
        return None
    variance, within = (
        sum(float(one[place] * one[place + 1]) for one in usable) / sum(float(one[place + 1]) for one in usable)
        for place in (0, 2)
    )
    special = scipy.special
    excess = float(np.var([_centred(one) for one in usable], ddof=1)) - float(
        np.mean(
            [special.polygamma(1, one.degrees / 2) + special.polygamma(1, one.within_degrees / 2) for one in usable]
        )
    )
    return Prior(
        ratio=max(1.0, variance / within),
        between=max(0.0, variance - within),
        degrees=min(MOST_DEGREES, 2 / excess) if excess > 0 else MOST_DEGREES,
    )


def _centred(one: Rounds) -> float:
    """The logarithm of a session's ratio, without what its degrees of freedom bring with them."""
    half, within_half = one.degrees / 2, one.within_degrees / 2
    digamma = scipy.special.digamma
    return float(
        math.log(one.variance / one.within)
        - (digamma(half) - np.log(half))
        + (digamma(within_half) - np.log(within_half))
    )
