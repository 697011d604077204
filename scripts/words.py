"""Words and number formats that terminal, Markdown and HTML share. Pure; the text is plain and not yet escaped."""

from __future__ import annotations

from collections.abc import Sequence

NOTHING = "–"
"""What stands in an empty cell of a table."""


def figure(value: float | None) -> str:
    """A number with about three significant digits, never in exponent form."""
    if value is None:
        return NOTHING
    size = abs(value)  # three formats take half the time of one with its digits put in, and a page has 500 figures
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def percent(fraction: float | None) -> str:
    """A fraction as percent with two digits, as in the study."""
    return NOTHING if fraction is None else f"{100 * fraction:.2f}%"


def sure(probability: float) -> str:
    """How sure something is: ``97.2%``, and ``over 99.9%`` for what rounds to all, as nothing measured is certain."""
    return "over 99.9%" if probability > 0.999 else f"{100 * probability:.1f}%"


def listing(names: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def count(number: int, noun: str) -> str:
    """``1 block``, ``2 blocks``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def count_cpus(number: float) -> str:
    """``1 CPU``, ``1.5 CPUs``"""
    return f"{number:g} CPU{'' if number == 1 else 's'}"
