"""Steps that several series show at once: one finding for one real change. Pure numbers, no I/O.

Series of the same runs share their noise (a slow machine is slow in every metric), so their evidence cannot just be
added up. For a range of runs, each series has a standardised difference for each split (CUSUM), and two statistics
ask for a step: the sum of their squares over series, for a change that most show, and the largest, for one that few
show. What either would be without a step is simulated from the series themselves: residuals around the best split,
whitened as AR(1), with random signs that all series of a run share, so that what they have in common stays. The
projection on the direction of the step (Wang and Samworth, "High dimensional change point estimation via sparse
projection", JRSS B 80(1), 2018) then tells steps from drift.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import signal

from scripts.changepoints import (
    MOST_CORRELATED,
    SHORTEST,
    Floats,
    Ints,
    comparable,
    standardised,
    steps_or_drift,
    without_spikes,
)
from scripts.effect import Estimate, estimate
from scripts.model import Struct

SIMULATIONS = 199
MEMORY = 2_000_000
"""Numbers that are simulated at once."""

DOUBT = 0.002
"""A finding's p-value is at most this."""

Bools = npt.NDArray[np.bool_]


class Finding(Struct):
    """A step in several series. ``index``: the first run of the new regime. ``confidence``: 1 - p-value.

    ``effects``: by number of the series, its own step there; a series without `SHORTEST` values on both sides has none.
    """

    index: int
    confidence: float
    effects: dict[int, Estimate]

    @property
    def shown_by(self) -> tuple[int, ...]:
        """The series whose own interval leaves out "no change"."""
        return tuple(number for number, effect in self.effects.items() if effect.separated)


def pooled_change_points(series: Floats, seed: int = 0) -> tuple[Finding, ...]:
    """The steps of ``series``, an array of series by runs, NaN where a run has no value; ascending by index.

    Nothing is looked ahead: the answer for the first runs is what would have been said then. ``seed`` is that of the
    simulation. Raises ValueError where ``series`` is not two-dimensional.
    """
    if series.ndim != 2:
        raise ValueError(f"expected an array of series by runs, not one of {series.ndim} dimensions")
    present = np.isfinite(series)
    usable = present.sum(axis=1) >= 2 * SHORTEST
    if not usable.any():
        return ()
    there = present[usable]
    values = np.zeros(there.shape)
    for row, (line, known) in enumerate(zip(series[usable], there, strict=True)):
        values[row, known] = without_spikes(standardised(comparable(line[known])))
    doubts = _search(values, there, seed)
    cuts = np.array(sorted(doubts), dtype=np.int64)
    findings = []
    for number, cut in enumerate(cuts):
        if cut not in _beside_drift(values, there, cuts, number):
            continue
        start = int(cuts[number - 1]) if number else 0
        stop = int(cuts[number + 1]) if number + 1 < cuts.size else series.shape[1]
        effects = {row: estimate(line[start:stop], int(cut) - start) for row, line in enumerate(series)}
        known_effects = {row: effect for row, effect in effects.items() if effect is not None}
        findings.append(Finding(index=int(cut), confidence=1 - doubts[int(cut)], effects=known_effects))
    return tuple(findings)


def _search(values: Floats, there: Bools, seed: int) -> dict[int, float]:
    """Binary segmentation: the p-value of each accepted split."""
    accepted: dict[int, float] = {}
    ranges = [(0, values.shape[1])]
    while ranges:
        start, stop = ranges.pop()
        if stop - start < 2 * SHORTEST:
            continue
        place, doubt = _split(values[:, start:stop], there[:, start:stop], seed)
        if doubt <= DOUBT:
            accepted[start + place] = doubt
            ranges += [(start, start + place), (start + place, stop)]
    return accepted


def _split(values: Floats, there: Bools, seed: int) -> tuple[int, float]:
    """The best split of a range and its p-value, by the statistic that is the more improbable without a step."""
    runs = values.shape[1]
    squared = cusum(values, there) ** 2
    places = SHORTEST + np.array([np.argmax(squared.sum(axis=0)), np.argmax(squared.max(axis=0))])
    rest = np.where(there, values - _means(values, there, int(places[0])), 0.0)
    squares = float(np.sum(rest**2))
    pairs = max(int(np.sum(there[:, 1:] & there[:, :-1])), 1)
    phi = float(np.sum(rest[:, 1:] * rest[:, :-1])) / pairs / (squares / there.sum()) if squares else 0.0
    phi = min(max(phi + (1 + 3 * phi) / runs, 0.0), MOST_CORRELATED)  # Kendall 1954: the estimate's bias
    innovations = rest.copy()
    innovations[:, 1:] -= phi * rest[:, :-1]
    innovations *= math.sqrt(runs / (runs - 2))
    signs = np.random.default_rng([seed, runs]).choice((-1.0, 1.0), size=(SIMULATIONS, runs))
    simulated = np.concatenate(
        [
            _statistics(cusum(signal.lfilter([1.0], [1.0, -phi], some[:, None] * innovations), there) ** 2)
            for some in np.array_split(signs, math.ceil(SIMULATIONS * values.size / MEMORY))
        ]
    )
    doubts = _tail(_statistics(squared), simulated)
    return int(places[np.argmin(doubts)]), min(1.0, 2 * float(doubts.min()))


def _means(values: Floats, there: Bools, place: int) -> Floats:
    """Each series' mean before and after ``place``, for each run."""
    result = np.empty_like(values)
    for part in (slice(None, place), slice(place, None)):
        total, count = values[:, part].sum(axis=1), there[:, part].sum(axis=1)
        result[:, part] = (total / np.maximum(count, 1))[:, None]
    return result


def cusum(values: Floats, there: Bools) -> Floats:
    """Standardised differences after - before for each split that leaves `SHORTEST` runs on both sides.

    ``values`` has shape (..., series, runs) with 0 where ``there`` (series, runs) is false; the answer's last axis is
    that of splits. A split with no value on one side of it gives 0.
    """
    inside = slice(SHORTEST - 1, values.shape[-1] - SHORTEST)
    total = np.cumsum(np.where(there, values, 0.0), axis=-1)
    count: Ints = np.cumsum(there, axis=-1)
    before, after = count[:, inside], count[:, -1:] - count[:, inside]
    left, whole = total[..., inside], total[..., -1:]
    both = np.maximum(before + after, 1)
    weight = np.sqrt(both / np.maximum(before * after, 1)) * ((before > 0) & (after > 0))
    return np.asarray((before / both * whole - left) * weight)


def _statistics(squared: Floats) -> Floats:
    """The largest sum over series, and the largest of one, over the splits: (..., 2) of (..., series, splits)."""
    return np.stack([squared.sum(axis=-2).max(axis=-1), squared.max(axis=(-2, -1))], axis=-1)


def _tail(observed: Floats, simulated: Floats) -> Floats:
    """How probable so large a statistic is, by the Gumbel distribution that has the simulated mean and variance."""
    scale = np.maximum(simulated.std(axis=0) * np.sqrt(6) / np.pi, 1e-12)
    place = simulated.mean(axis=0) - np.euler_gamma * scale
    return np.asarray(-np.expm1(-np.exp(-(observed - place) / scale)))


def _beside_drift(values: Floats, there: Bools, cuts: Ints, number: int) -> set[int]:
    """The cuts that the projection onto the direction of one of them needs beside a slow curve."""
    edges = [0, *cuts.tolist(), values.shape[1]]
    start, stop = edges[number], edges[number + 2]
    place = int(cuts[number]) - start - SHORTEST
    direction = cusum(values[:, start:stop], there[:, start:stop])[:, place]
    weight = np.abs(direction)[:, None] * there
    projected = (direction[:, None] * values).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-12)
    seen = weight.sum(axis=0) > 0
    line = projected[seen]
    if line.size < 2 * SHORTEST:
        return set()
    places = np.searchsorted(np.flatnonzero(seen), cuts)
    inside = np.unique(places[(places > 0) & (places < line.size)])
    kept = steps_or_drift(without_spikes(standardised(line)), inside)
    return set(cuts[np.isin(places, kept)].tolist())
