"""Units as other tools spell them: which way is better, and what a number is in another one."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from scripts.model import Direction

TIMES = {
    10**0: ("ns", "nsec", "nsecs", "nanosecond", "nanoseconds"),
    10**3: ("us", "usec", "usecs", "microsecond", "microseconds"),
    10**6: ("ms", "msec", "msecs", "millisecond", "milliseconds"),
    10**9: ("s", "sec", "secs", "second", "seconds"),
    60 * 10**9: ("min", "mins", "minute", "minutes"),
    3600 * 10**9: ("h", "hour", "hours"),
}
"""Nanoseconds."""
SIZES = {
    1: ("b", "byte", "bytes"),
    10**3: ("kb",),
    10**6: ("mb",),
    10**9: ("gb",),
    2**10: ("kib",),
    2**20: ("mib",),
    2**30: ("gib",),
}
"""Bytes."""
COUNTS = {"op": "op", "operation": "op", "iter": "op", "iteration": "op", "request": "req", "call": "op"}


class Unit(NamedTuple):
    """``factor`` times a number is in the base unit of its ``kind``."""

    kind: str
    factor: Fraction
    better: Direction | None


@lru_cache(maxsize=1024)  # a store repeats few units a million times
def parse(unit: str) -> Unit:
    """What a unit is; of an unknown one its own kind, with no direction."""
    text = unit.strip().replace("µ", "u").replace("μ", "u").lower().replace("_per_", "/").replace(" per ", "/")
    above, slash, below = (part.strip() for part in text.partition("/"))
    if time := _factor(TIMES, below):
        if size := _factor(SIZES, above):
            return Unit("size/time", size / time, Direction.HIGHER)
        return Unit(f"{_count(above)}/time", 1 / time, Direction.HIGHER)
    each = not slash or _count(below) == "op"
    for kind, factors in (("time", TIMES), ("size", SIZES)):
        if each and (factor := _factor(factors, above)):
            return Unit(kind, factor, Direction.LOWER)
    return Unit(text, Fraction(1), Direction.LOWER if slash and each else None)


def better(unit: str | None) -> Direction | None:
    """Rates are better when they are higher; times, sizes and what an operation takes when they are lower."""
    return None if unit is None else parse(unit).better


def factor(unit: str, into: str) -> Fraction | None:
    """What a number of one unit has to be multiplied by to be of another; None where they are of two kinds."""
    one, other = parse(unit), parse(into)
    return one.factor / other.factor if one.kind == other.kind else None


def _factor(units: dict[int, tuple[str, ...]], word: str) -> Fraction | None:
    return next((Fraction(number) for number, words in units.items() if word in words), None)


def _count(word: str) -> str:
    single = re.sub(r"s$", "", word)
    return COUNTS.get(single, single)
