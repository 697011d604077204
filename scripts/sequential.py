"""Looking at a growing session more than once without more false alarms: group-sequential boundaries. Pure numbers.

Sources: Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70 (1983), for spending the
error rate; Kim and DeMets, Biometrika 74 (1987), for the power family; Armitage, McPherson and Rowe, JRSS A 132 (1969),
for the recursive integration; Jennison and Turnbull, "Group sequential methods" (2000), sections 4.4 (Student t at the
nominal levels of the normal boundary) and 9.2 (repeated confidence intervals).
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import optimize, stats

SPENDING_POWER = 2.0
"""alpha(t) = alpha * t**2: between Pocock's (even) and O'Brien and Fleming's (late) spending."""
GRID = 600

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]


@functools.cache
def nominal_levels(looks: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """The two-sided level at which each look is to be tested, so that all looks together err with ``alpha`` at most.

    ``looks``: when they happen, as shares of the largest possible session, ascending, the last at most 1. A session
    that ends at its last look has spent all of ``alpha`` only if that look is at 1. Raises ValueError for others.
    """
    if not looks or not 0 < alpha < 1 or list(looks) != sorted(set(looks)) or looks[0] <= 0 or looks[-1] > 1:
        raise ValueError(f"looks must ascend within (0, 1] and alpha lie in (0, 1), not {looks} and {alpha}")
    levels: list[float] = []
    spent = 0.0
    points: Floats = np.empty(0)
    mass: Floats = np.empty(0)
    for index, look in enumerate(looks):
        budget = alpha * look**SPENDING_POWER - spent
        spent += budget
        step = np.sqrt(look - (looks[index - 1] if index else 0.0))

        bound = _bound(budget, step, points, mass)
        levels.append(float(2 * stats.norm.sf(bound / np.sqrt(look))))
        nodes, node_weights = np.polynomial.legendre.leggauss(GRID)
        inside = nodes * bound
        if points.size:
            density = (stats.norm.pdf((inside[:, None] - points[None, :]) / step) / step) @ mass
        else:
            density = stats.norm.pdf(inside / step) / step
        points, mass = inside, density * node_weights * bound
    return tuple(levels)


def _bound(budget: float, step: float, points: Floats, mass: Floats) -> float:
    """Where the sum, spread as ``mass`` over ``points``, leaves +-bound at this look with probability ``budget``."""

    def crossing(bound: float) -> float:
        if not points.size:
            return float(2 * stats.norm.sf(bound / step))
        outside = stats.norm.sf((bound - points) / step) + stats.norm.cdf((-bound - points) / step)
        return float(mass @ outside)

    return float(optimize.brentq(lambda bound: crossing(bound) - budget, 0.0, 12.0, xtol=1e-10))
