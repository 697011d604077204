"""Pure numbers: intervals for ratios. No I/O, no knowledge of runs.

Throughputs and latencies are positive and their noise is multiplicative, so they are compared as logarithms and a
comparison is a ratio (Fleming and Wallace, "How not to lie with statistics", CACM 29(3), 1986).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from scripts.model import Struct

FEW_ROUNDS = 6
"""Below this many rounds a level's own spread is too uncertain, and the spread of all levels is used."""

Rounds = Mapping[int, float]
"""Positive values of one backend at one level, by round."""


class Ratio(Struct):
    """The ratio of two backends and its interval; ``low`` and ``high`` are None where nothing shows the spread.

    ``pairs``: rounds in which both were measured. ``degrees``: degrees of freedom behind the spread, 0 without one.
    """

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    pairs: int
    degrees: int

    @property
    def separated(self) -> bool | None:
        """Whether the interval leaves out 1, that is, equality; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return not self.low <= 1 <= self.high


def log_ratio_interval(
    first: Mapping[int, Rounds], second: Mapping[int, Rounds], level: int, confidence: float = 0.95
) -> Ratio | None:
    """The ratio ``first / second`` at one level, with a Student t interval; None where no round has both.

    ``first`` and ``second`` hold, for each level, one positive value for each round. Rounds are paired: the blocks of
    one round lie close together in time, so that what slows a whole round down cancels in
    ``d[l, r] = log(first[l][r]) - log(second[l][r])``. With ``n`` pairs at the level,

        log ratio = mean_r d[l, r],    interval = log ratio +- t(1 - (1 - confidence) / 2, degrees) * s / sqrt(n)

    With ``FEW_ROUNDS`` or more pairs, ``s`` is the standard deviation of the level's own ``d`` and ``degrees = n - 1``.
    With fewer it is pooled over all levels: ``s**2 = sum_l sum_r (d[l, r] - mean_r d[l, r])**2 / degrees`` and
    ``degrees = sum_l (n_l - 1)``, the within-group mean square of a one-way analysis of variance. Two rounds of ten
    levels so have 10 degrees of freedom. One round has none, and gives no interval.

    Assumptions: the ``d`` of different rounds and levels are independent and about normal, and where the spread is
    pooled, equally spread at all levels. The interval covers the noise between rounds of this run; it does not cover
    what all rounds share (this machine, these processes), and is for one pair of backends at one level: of twenty
    95% intervals one is expected to miss.

    Sources: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2 (confidence limits for the mean) and 7.4.3
    (pooled within-group variance); Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013 (ratios).

    Raises ValueError for values that are not positive and finite, or a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    differences = {key: _differences(first[key], second[key]) for key in first.keys() & second.keys()}
    own = differences.get(level, np.empty(0))
    if not own.size:
        return None
    mean = float(np.mean(own))
    groups = [own] if own.size >= FEW_ROUNDS else list(differences.values())
    degrees = sum(max(group.size - 1, 0) for group in groups)
    if not degrees:
        return Ratio(ratio=float(np.exp(mean)), low=None, high=None, confidence=confidence, pairs=own.size, degrees=0)
    squares = sum(float(np.sum((group - np.mean(group)) ** 2)) for group in groups if group.size > 1)
    error = np.sqrt(squares / degrees / own.size)
    reach = float(stats.t.ppf(0.5 + confidence / 2, degrees) * error)
    low, centre, high = np.exp([mean - reach, mean, mean + reach]).tolist()
    return Ratio(ratio=centre, low=low, high=high, confidence=confidence, pairs=own.size, degrees=degrees)


def _differences(first: Rounds, second: Rounds) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """``log(first / second)`` for each round that both have, by round."""
    rounds = sorted(first.keys() & second.keys())
    values = np.array([[first[key], second[key]] for key in rounds], dtype=np.float64).reshape(-1, 2)
    if not np.all(np.isfinite(values) & (values > 0)):
        raise ValueError("only positive, finite values have a ratio")
    logs = np.log(values)
    return np.asarray(logs[:, 0] - logs[:, 1])
