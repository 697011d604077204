"""How large a step is, with its interval. Pure numbers, no I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from scripts.changepoints import MOST_CORRELATED, Floats
from scripts.model import Struct

HUBER = 2.0
"""Standard deviations from a regime's median beyond which a value counts as if it were there."""


class Estimate(Struct):
    """The size of a step: the ratio ``after / before`` where ``relative``, else the difference ``after - before``.

    ``low`` and ``high`` are its confidence interval; ``before`` and ``after`` count the values on either side.
    """

    relative: bool
    effect: float
    low: float
    high: float
    confidence: float
    before: int
    after: int

    @property
    def separated(self) -> bool:
        """Whether the interval leaves out "no change"."""
        return not self.low <= (1.0 if self.relative else 0.0) <= self.high


def estimate(values: Sequence[float | None] | Floats, index: int, confidence: float = 0.95) -> Estimate | None:
    """How large the step at ``index`` is, when ``values`` are the two regimes around it and nothing else.

    A ratio where all values are positive. The level of a regime is Huber's one-step estimate from the median (Huber,
    "Robust Statistics", 1981, 6.7), the interval is Student's with the degrees of freedom and the variance that AR(1)
    noise leaves. None where either regime has fewer than two values. Raises ValueError for a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    raw = np.array(values, dtype=np.float64)
    sides = [side[np.isfinite(side)] for side in (raw[:index], raw[index:])]
    if min(side.size for side in sides) < 2:
        return None
    relative = all(side.min() > 0 for side in sides)
    sides = [np.log(side) for side in sides] if relative else sides
    middles = [float(np.median(side)) for side in sides]
    rest = np.concatenate([side - middle for side, middle in zip(sides, middles, strict=True)])
    reach = HUBER * 1.4826 * float(np.median(np.abs(rest))) or math.inf
    clipped = [np.clip(side - middle, -reach, reach) for side, middle in zip(sides, middles, strict=True)]
    inside = float(np.mean(np.abs(rest) < reach))
    levels = [middle + float(np.mean(part)) / inside for middle, part in zip(middles, clipped, strict=True)]
    centred = [part - np.mean(part) for part in clipped]
    count = rest.size
    squares = sum(float(part @ part) for part in centred)
    lagged = sum(float(part[1:] @ part[:-1]) for part in centred)
    phi = lagged / squares if squares else 0.0
    phi = min(max(phi + 2 * (1 + 3 * phi) / count, 0.0), MOST_CORRELATED)  # bias of two regimes: Kendall 1954
    inflation = (1 + phi) / (1 - phi)
    variance = squares / (count - 2) / inside**2 * inflation * (1 / sides[0].size + 1 / sides[1].size)
    degrees = max((count - 2) / inflation, 1.0)
    reach_ = float(stats.t.ppf(0.5 + confidence / 2, degrees)) * math.sqrt(variance)
    bounds = [levels[1] - levels[0] + sign * reach_ for sign in (0, -1, 1)]
    effect, low, high = np.exp(bounds).tolist() if relative else bounds
    return Estimate(
        relative=relative, effect=effect, low=low, high=high, confidence=confidence,
        before=sides[0].size, after=sides[1].size,
    )  # fmt: skip
