"""How well a detector did: matching what it found with the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from perf.series import Labelled
from scripts.model import Struct

MARGIN = 5
"""A found point counts when it is at most this many points from a true one (van den Burg and Williams 2020)."""


class Score(Struct):
    """Counts over many series. ``steps`` and ``hits``: true steps, and those found, by size."""

    points: int
    found: int
    steps: dict[float, int]
    hits: dict[float, int]

    @property
    def precision(self) -> float:
        """The share of found points that are true; 1 where nothing was found."""
        return sum(self.hits.values()) / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """The share of true steps that were found; 1 where there is none."""
        steps = sum(self.steps.values())
        return sum(self.hits.values()) / steps if steps else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, over all series together."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    @property
    def recalls(self) -> dict[float, float]:
        """Recall by size of step."""
        return {size: self.hits.get(size, 0) / count for size, count in self.steps.items()}

    @property
    def false_alarms(self) -> float:
        """Points found that match no true one, for each 100 points of series."""
        return 100 * (self.found - sum(self.hits.values())) / self.points


def matches(truth: Iterable[int], found: Iterable[int], margin: int = MARGIN) -> dict[int, int]:
    """The largest one-to-one matching of true and found indexes at most ``margin`` apart, found by true index.

    In order, each true index takes the first free found one that is near enough: as all reach equally far, no other
    choice leaves more for those that follow.
    """
    pairs: dict[int, int] = {}
    rest = sorted(found)
    for index in sorted(truth):
        near = next((place for place in rest if abs(place - index) <= margin), None)
        if near is not None:
            pairs[index] = near
            rest = rest[rest.index(near) + 1 :]
    return pairs


def score(series: Sequence[Labelled], found: Sequence[Sequence[int]]) -> Score:
    """One score for all series together. ``found``: what the detector said, in the order of ``series``."""
    steps: Counter[float] = Counter()
    hits: Counter[float] = Counter()
    for one, places in zip(series, found, strict=True):
        steps.update(one.steps.values())
        hits.update(one.steps[index] for index in matches(one.steps, places))
    return Score(
        points=sum(len(one.values) for one in series),
        found=sum(len(places) for places in found),
        steps=dict(sorted(steps.items())),
        hits=dict(sorted(hits.items())),
    )
