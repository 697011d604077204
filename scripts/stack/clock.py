"""How far the wall clock goes astray: k6 stamps its points with it, so its steps move requests in or out of a window.

It is compared with the one clock that nobody sets, slows down or speeds up (``CLOCK_MONOTONIC_RAW``, clock_gettime(2)):
a daemon that slews moves ``CLOCK_MONOTONIC`` together with the wall clock, by up to 0.05% (adjtimex(2)), and chrony by
up to 8%.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

TRIES = 5

Clock = Callable[[], float]
"""Seconds since whenever."""


class Reading(NamedTuple):
    """Both clocks at one moment: the steady one, and by how much the wall clock is ahead of it."""

    steady_s: float
    ahead_s: float


def steady_s() -> float:
    """Seconds of the clock that nobody touches."""
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)


def read(wall: Clock = time.time, steady: Clock = steady_s) -> Reading:
    """Both clocks at once: the closest of some tries, as this program may have to wait between two readings."""
    tries = [(steady(), wall(), steady()) for _ in range(TRIES)]
    before_s, wall_s, after_s = min(tries, key=lambda each: each[2] - each[0])
    return Reading(after_s, wall_s - (before_s + after_s) / 2)


def error_s(readings: Sequence[Reading], span_s: float) -> float:
    """By how much the wall clock was wrong at most over any ``span_s`` seconds: too long (positive) or too short."""
    pairs = itertools.combinations(enumerate(readings), 2)
    moves = (
        later.ahead_s - sooner.ahead_s
        for (first, sooner), (last, later) in pairs
        if last == first + 1 or later.steady_s - sooner.steady_s <= span_s  # nothing is known between neighbours
    )
    return max(moves, key=abs, default=0.0)
