"""What each series shows by itself: how surely, how much and where it changes. Pure."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import scipy  # loads `stats` when it is asked for: that takes a second or more

from scripts.checkout import Revision
from scripts.history.series import Moment, Series
from scripts.model import Struct
from scripts.statistics.changepoints import SHORTEST, autocorrelation, change_points
from scripts.statistics.intervals import Effect

CLIP = 3.0
"""A value further from its regime's median than so many robust standard deviations is moved to that distance."""
PLAUSIBLE = 2 * math.log(20)
"""A place counts as possible while its likelihood is at least a twentieth of the best one's."""
RUNS = 100
"""False alarms are counted for so many runs."""
AGREES = 0.01
"""The level at which a series is said to move at a place where a change is already known."""
FEWEST = 2
"""Values on each side that an effect needs."""
SMALLEST_NOISE = 1e-6


class Judged:
    """A series of positive values with the places at which it changes, and the noise between them.

    ``logs``: logarithms with outliers clipped; ``places``: the index of the first value of each new regime. A place is
    proposed by the search, or is one of ``edges``; the weakest goes until the p-value of each is at most ``level``. The
    noise is pooled over all regimes, as one regime has too few values to know its own: standard deviation ``noise``,
    lag-1 autocorrelation ``phi``, ``degrees`` of freedom.
    """

    def __init__(self, values: Sequence[float], edges: Sequence[int] = (), level: float = 1.0) -> None:
        self._raw = np.log(np.asarray(values, dtype=np.float64))
        searched = [p for p in change_points(values) if all(abs(p - edge) >= SHORTEST for edge in edges)]
        self._fit(sorted([*searched, *edges]))
        while self.places:
            effects = {place: effect for place in self.places if (effect := self.effect(place)) is not None}
            weakest = min(effects, key=lambda place: abs(effects[place].log_ratio) / effects[place].error)
            if p_value(effects[weakest]) <= level:
                break
            self._fit([place for place in self.places if place != weakest])

    def _fit(self, places: list[int]) -> None:
        self.places = places
        parts = np.split(self._raw, places)
        middles = np.concatenate([np.full(part.size, np.median(part)) for part in parts])
        rest = self._raw - middles
        self.degrees = max(self._raw.size - len(parts), 1)
        scale = float(np.median(np.abs(rest))) / float(scipy.stats.norm.ppf(0.75))
        reach = CLIP * scale * self._raw.size / self.degrees  # a median takes more than its part from a short regime
        self.logs = middles + np.clip(rest, -reach, reach) if reach else self._raw
        residuals = [part - part.mean() for part in np.split(self.logs, places)]
        squares = math.fsum(float(part @ part) for part in residuals)
        lagged = math.fsum(float(part[1:] @ part[:-1]) for part in residuals)
        self.noise = max(math.sqrt(squares / self.degrees), SMALLEST_NOISE)
        self.phi = autocorrelation(squares, lagged)

    def around(self, place: int) -> tuple[int, int]:
        """Where the regimes on both sides of a place begin and end, given the other places."""
        near = [other for other in self.places if abs(other - place) < SHORTEST]
        others = [other for other in self.places if other not in near]
        start = max((other for other in others if other < place), default=0)
        return start, min((other for other in others if other > place), default=self.logs.size)

    def effect(self, place: int) -> Effect | None:
        """The step at a place, as a log ratio; None where a side has fewer than FEWEST values.

        The error is that of a difference of means under AR(1) noise: ``n`` values count as ``n (1 - phi) / (1 + phi)``
        (Wilks, "Statistical methods in the atmospheric sciences", 5.2.4).
        """
        start, stop = self.around(place)
        before, after = self.logs[start:place], self.logs[place:stop]
        if min(before.size, after.size) < FEWEST:
            return None
        kept = (1 - self.phi) / (1 + self.phi)
        return Effect(
            log_ratio=float(after.mean() - before.mean()),
            error=self.noise * math.sqrt((1 / before.size + 1 / after.size) / kept),
            degrees=max(self.degrees * kept, 1.0),
            rounds=before.size + after.size,
        )

    def possible(self, place: int) -> tuple[int, ...]:
        """The places where the step at ``place`` may be instead, ascending, by their likelihood; itself among them."""
        start, stop = self.around(place)
        indexes = np.arange(start + 1, stop)
        values = self.logs[start:stop]
        total, left = values.sum(), np.cumsum(values)[:-1]
        sizes = indexes - start
        between = left**2 / sizes + (total - left) ** 2 / (values.size - sizes)
        loss = (between.max() - between) / (self.noise**2 * (1 + self.phi) / (1 - self.phi))
        return tuple(sorted({place, *indexes[loss <= PLAUSIBLE].tolist()}))


def p_value(effect: Effect) -> float:
    """The probability of so large an effect where there is none (two-sided Student t)."""
    return float(2 * scipy.stats.t.sf(abs(effect.log_ratio) / effect.error, effect.degrees))


def edges(moments: Sequence[Moment]) -> list[int]:
    """Where one commit's runs end and another's begin, if both have at least as many as a regime needs."""
    runs = [len(list(group)) for _, group in itertools.groupby(moment.position for moment in moments)]
    ends = itertools.accumulate(runs)
    return [
        end for end, (one, other) in zip(ends, itertools.pairwise(runs), strict=False) if min(one, other) >= SHORTEST
    ]


def _sign(value: float) -> float:
    return math.copysign(1.0, value) if value else 0.0


class Seed(Struct):
    """A place in series number ``series``: after position ``low`` of the line, at latest at ``high``.

    ``p``: adjusted for everything that is looked at; 0 for a count.
    """

    series: int
    place: int
    low: int
    high: int
    p: float


class Evidence:
    """All series, each judged by itself."""

    def __init__(self, series: Sequence[Series], line: Sequence[Revision], false_alarms: float) -> None:
        self.series, self.line, self._false_alarms = series, line, false_alarms
        kinds = Counter((one.frame, len(one.levels) > 1) for one in series if not one.counted)
        self._tests = {
            (frame, pooled): RUNS * number * (2 if (frame, not pooled) in kinds else 1)
            for (frame, pooled), number in kinds.items()
        }
        self.judged = {
            number: Judged(one.values, edges(one.moments), false_alarms / self._of(one))
            for number, one in enumerate(series)
            if not one.counted
        }

    def _of(self, series: Series) -> int:
        """How many tests a test of this series is one of."""
        return self._tests[series.frame, len(series.levels) > 1]

    def seeds(self) -> list[Seed]:
        """What each series shows by itself, the surest first."""
        found = [
            seed
            for number, one in enumerate(self.series)
            for seed in (self._counted(number) if one.counted else self._measured(number))
            if seed.p <= self._false_alarms
        ]
        return sorted(found, key=lambda seed: (seed.p, seed.low, seed.series))

    def _counted(self, number: int) -> Iterator[Seed]:
        values, moments = self.series[number].values, self.series[number].moments
        for place in range(1, len(values)):
            if values[place] != values[place - 1]:
                low, high = moments[place - 1].position, moments[place].position
                yield Seed(series=number, place=place, low=low, high=high, p=0.0)

    def _measured(self, number: int) -> Iterator[Seed]:
        """Code changes between commits only: a place within the runs of one commit is moved to an edge, if one may be
        meant."""
        series, judged = self.series[number], self.judged[number]
        moments = series.moments
        for proposed in judged.places:
            possible = judged.possible(proposed)
            between = [place for place in possible if moments[place - 1].position < moments[place].position]
            place = min(between or [proposed], key=lambda place: abs(place - proposed))
            effect = judged.effect(place)
            if effect is None:
                continue
            first, last = (between[0], between[-1]) if between else (place, place)
            yield Seed(
                series=number,
                place=place,
                low=moments[first - 1].position,
                high=moments[last].position,
                p=min(1.0, self._of(series) * p_value(effect)),
            )

    def common(self, seed: Seed) -> bool:
        """Whether every backend of the seed's frame moves in its direction there.

        In ratios and counts the environment cancels: a commit that reaches all the backends explains such a move.
        """
        own = self.series[seed.series]
        moves = {own.backend: self.move(seed.series, seed.place)}
        for number, one in enumerate(self.series):
            if (one.metric, one.levels, one.frame) == (own.metric, own.levels, own.frame) and one.backend not in moves:
                move = self.move(number, one.index(own.moments[seed.place]))
                if move is not None:
                    moves[one.backend] = move
        together = len(moves) > 1 and len(set(moves.values())) == 1 and 0.0 not in moves.values()
        between = self.line[seed.low + 1 : seed.high + 1]
        explained = not own.frame.environment and any(moves.keys() <= set(revision.reaches) for revision in between)
        return together and not explained

    def move(self, number: int, place: int) -> float | None:
        """+1 or -1, 0 where nothing moves, None where nobody can tell."""
        values = self.series[number].values
        if self.series[number].counted:
            if not 0 < place < len(values):
                return None
            return _sign(values[place] - values[place - 1])
        effect = self.judged[number].effect(place)
        if effect is None:
            return None
        return _sign(effect.log_ratio) if p_value(effect) < AGREES else 0.0
