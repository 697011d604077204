"""Where series that another tool recorded change: found in each for itself, and in words."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from scripts.exchange import collection
from scripts.exchange.collection import Key, Point
from scripts.exchange.model import Collection
from scripts.model import Direction
from scripts.statistics.changepoints import change_points
from scripts.words import count


class Step(NamedTuple):
    """A step of one series: the last point before it and the first after, and the medians of both sides."""

    key: Key
    last: Point
    first: Point
    before: float
    after: float

    @property
    def better(self) -> bool | None:
        """None where nothing says which way is better."""
        direction = self.first.direction
        return None if direction is None else (self.after > self.before) == (direction is Direction.HIGHER)


def steps(kept: Collection) -> Iterator[Step]:
    """The steps of every series, series by series. Points are in the order of time where all of them have one."""
    for key, points in collection.series(kept).items():
        ordered = _ordered(points)
        values = [float(point.value) for point in ordered if point.value is not None]
        places = change_points(values)
        for start, place, end in zip([0, *places], places, [*places[1:], len(values)], strict=False):
            before, after = statistics.median(values[start:place]), statistics.median(values[place:end])
            yield Step(key, ordered[place - 1], ordered[place], before, after)


def render(found: Sequence[Step], kept: Collection) -> str:
    """A line for each step, and one that counts them."""
    lines = [_line(step) for step in found]
    series = len(collection.series(kept))
    return "\n".join([*lines, f"{count(len(found), 'change')} in {series} series"])


def _ordered(points: Sequence[Point]) -> Sequence[Point]:
    if any(point.time_ms is None for point in points):
        return points
    return sorted(points, key=lambda point: point.time_ms or 0)


def _line(step: Step) -> str:
    verdict = {True: "better", False: "worse", None: "changed"}[step.better]
    size = f" by {step.after / step.before - 1:+.1%}" if step.before else ""
    name = ": ".join(part for part in (step.key.suite, step.key.environment, step.key.benchmark) if part)
    when = "" if step.first.time_ms is None else f", {collection.to_iso(step.first.time_ms)[:10]}"
    unit = f" {step.first.unit}" if step.first.unit else ""
    commits = f"after {_short(step.last.commit)}, at {_short(step.first.commit)}{when}"
    return f"{name}: {verdict}{size}, from {step.before:.6g} to {step.after:.6g}{unit}, {commits}"


def _short(commit: str) -> str:
    return commit[:10] or "an unnamed commit"
