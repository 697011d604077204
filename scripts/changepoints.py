"""Steps in one series: where they are, and how large. Pure numbers, no I/O.

What a step has to stand out from is the noise of load tests: it is multiplicative (so positive values are compared as
logarithms), has single bad runs and heavy tails, is autocorrelated, and drifts. The search has three parts:

1. *Clean*: a point further than `CLIP` standard deviations from its running median is moved to that distance
   (Hampel's filter), which leaves steps alone and makes sums robust.
2. *Propose*: seeded binary segmentation (Kovacs, Buehlmann, Li and Munk, Biometrika 110(1), 2023) with a low threshold.
3. *Prune*: the weakest proposal goes until every one is significant against AR(1) noise.
4. *Steps or drift*: the likelihood decides between steps alone and a slow curve with those steps that it leaves.

Everything after cleaning is sums over ranges, so that a test costs a few differences of cumulative sums.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHORTEST = 4
"""Points of the shortest regime; what lasts one or two points is a bad run, not a regime."""

CLIP = 2.0
PROPOSED = 3.0
SIGNIFICANT = 10.0
SCARCE = 3.0
CORRELATED = 12.0
BORROWED = 30.0
MOST_CORRELATED = 0.95
DEGREE = 5
CURVED = 8.0
COEFFICIENT = 3.0
MOST_STEPS = 12


def change_points(values: Sequence[float | None] | Floats) -> list[int]:
    """The index of the first point of each new regime, ascending.

    ``values``: any numbers in order of time; None, NaN and infinities are missing and keep their indexes. One setting
    serves every series, and no answer looks ahead: that for a prefix is what would have been said then.
    """
    raw = np.array(values, dtype=np.float64)
    present = np.flatnonzero(np.isfinite(raw))
    if present.size < 2 * SHORTEST:
        return []
    cleaned = without_spikes(standardised(comparable(raw[present])))
    sums = Sums(cleaned)
    cuts = prune(sums, propose(cleaned))
    cuts = prune(sums, relocate(cleaned, cuts))
    cuts = steps_or_drift(cleaned, cuts)
    return [int(present[cut]) for cut in cuts]


def comparable(values: Floats) -> Floats:
    """Logarithms where all values are positive, else the values, scaled so that sums of squares stay finite."""
    if values.min() > 0:
        return np.asarray(np.log(values))
    return np.asarray(values / max(float(np.abs(values).max()), np.finfo(np.float64).tiny))


def noise_scale(values: Floats) -> float:
    """The standard deviation of independent noise around steps, from differences of neighbours; robust.

    The median of absolute differences; where more than half of them are 0, the mean of the lower 90%; where these are 0
    too, the values hardly vary, and any step counts that is above rounding.
    """
    differences = np.sort(np.abs(np.diff(values)))
    median = float(np.median(differences))
    trimmed = float(np.mean(differences[: max(1, int(0.9 * differences.size))]))
    floor = 1e-9 * max(float(np.abs(values).max()), 1e-9)
    return max((median or trimmed) / (0.6745 * math.sqrt(2)), floor)


def standardised(values: Floats) -> Floats:
    """Values in units of the noise, around 0."""
    return np.asarray((values - np.median(values)) / noise_scale(values))


def without_spikes(values: Floats) -> Floats:
    """Values clipped to `CLIP` from the median of the seven around them: what lasts `SHORTEST` points stays."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, SHORTEST - 1, mode="reflect"), 2 * SHORTEST - 1)
    middle = np.median(around, axis=1)
    return np.asarray(np.clip(values, middle - CLIP, middle + CLIP))


def propose(values: Floats) -> Ints:
    """Indexes where a step may be, ascending; too many rather than too few."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    starts, stops, places, heights = (np.concatenate(parts) for parts in zip(*_layers(total), strict=True))
    open_ = heights > PROPOSED
    chosen: list[int] = []
    while open_.any():
        best = int(np.argmax(np.where(open_, heights, 0.0)))
        place = int(places[best])
        chosen.append(place)
        open_ &= (stops <= place) | (starts >= place)
    return np.array(sorted(chosen), dtype=np.int64)


def _layers(total: Floats) -> list[tuple[Ints, Ints, Ints, Floats]]:
    """For layers of ever shorter intervals: starts, stops, the best split of each, and its standardised difference."""
    size = total.size - 1
    layers = []
    length = float(size)
    while length >= 2 * SHORTEST - 1e-9:
        width = int(np.ceil(length))
        count = max(1, int(np.ceil(2 * (size - width) / width)) + 1)
        starts = np.linspace(0, size - width, count).astype(np.int64)
        inside = np.arange(SHORTEST, width - SHORTEST + 1)
        left = total[starts[:, None] + inside] - total[starts][:, None]
        whole = (total[starts + width] - total[starts])[:, None]
        heights = np.abs(left - inside / width * whole) / np.sqrt(inside * (width - inside) / width)
        best = np.argmax(heights, axis=1)
        layers.append((starts, starts + width, starts + inside[best], heights[np.arange(count), best]))
        length /= np.sqrt(2)
    return layers


class Sums:
    """Cumulative sums of a series ``y``: over any range, what a level, a line and AR(1) noise need."""

    def __init__(self, values: Floats) -> None:
        def cumulative(terms: Floats) -> Floats:
            return np.concatenate(([0.0], np.cumsum(terms)))

        self.size = values.size
        self.values = values
        self.level = cumulative(values)
        self.square = cumulative(values * values)
        self.lagged = cumulative(values[:-1] * values[1:])

    def spread(self, start: Ints, stop: Ints) -> tuple[Floats, Floats, Floats]:
        """Mean, and sums of squares and of lag-1 products of the residuals around it, for each range."""
        count = stop - start
        total = self.level[stop] - self.level[start]
        mean = total / count
        squares = self.square[stop] - self.square[start] - total * mean
        products = self.lagged[stop - 1] - self.lagged[start]
        ends = self.values[start] + self.values[stop - 1]
        lagged = products - mean * (2 * total - ends) + (count - 1) * mean**2
        return mean, np.maximum(squares, 0.0), lagged


def prune(sums: Sums, cuts: Ints) -> Ints:
    """Leave out the weakest cut until every one stands."""
    while cuts.size:
        margins = margin(sums, cuts)
        weakest = int(np.argmin(margins))
        if margins[weakest] > 0:
            break
        cuts = np.delete(cuts, weakest)
    return cuts


def margin(sums: Sums, cuts: Ints) -> Floats:
    """By how much the evidence for each cut, given its neighbours, is above what is needed; below 0 it falls."""
    edges = np.concatenate(([0], cuts, [sums.size]))
    start, stop = edges[:-2], edges[2:]
    _, squares, lagged = sums.spread(edges[:-1], edges[1:])
    prior = np.array([squares.sum(), lagged.sum()]) / sums.size
    evidence, phi = _evidence(sums, start, cuts, stop, prior)
    scarce = SCARCE * np.log(sums.size / (2 * np.minimum(cuts - start, stop - cuts))) + CORRELATED * phi
    return evidence - SIGNIFICANT - scarce


def _evidence(sums: Sums, start: Ints, cut: Ints, stop: Ints, prior: Floats) -> tuple[Floats, Floats]:
    """Twice the log-likelihood ratio of a step at ``cut`` within ``[start, stop)`` against one level, both with AR(1)
    noise."""
    both = stop - start
    _, squares, lagged = sums.spread(start, cut)
    _, more, further = sums.spread(cut, stop)
    _, squares0, lagged0 = sums.spread(start, stop)
    borrowed = np.minimum(BORROWED, np.maximum(sums.size - both, 0))
    count = both + borrowed
    squares1 = np.maximum(squares + more + borrowed * prior[0], 1e-9 * count)
    lagged1 = lagged + further + borrowed * prior[1]
    squares0, lagged0 = squares0 + borrowed * prior[0], lagged0 + borrowed * prior[1]
    squares0 = np.maximum(squares0, squares1)
    phi0 = np.clip(lagged0 / squares0, 0.0, MOST_CORRELATED)
    phi1 = np.clip(lagged1 / squares1, 0.0, MOST_CORRELATED)
    return np.asarray(count * np.log(squares0 * (1 - phi0**2) / (squares1 * (1 - phi1**2)))), phi1


def steps_or_drift(values: Floats, cuts: Ints) -> Ints:
    """The cuts that are needed beside the slow curve that explains the series best, which may be none."""
    if not 0 < cuts.size <= MOST_STEPS:
        return cuts
    time = np.linspace(-1.0, 1.0, values.size)
    best, kept = -np.inf, cuts
    for degree in range(DEGREE + 1):
        basis, _ = np.linalg.qr(np.polynomial.legendre.legvander(time, degree))
        left = cuts
        while True:
            score, margins = _fit(values, basis, left)
            if not left.size or margins.min() > 0:
                break
            left = np.delete(left, int(np.argmin(margins)))
        if degree:
            score -= CURVED + degree * COEFFICIENT
        if score > best:
            best, kept = score, left
    return kept


def _fit(values: Floats, basis: Floats, cuts: Ints) -> tuple[float, Floats]:
    """The penalised likelihood of curve and steps together, and the evidence for each step given the rest."""
    size = values.size
    edges = np.concatenate(([0], cuts, [size]))
    shorter = np.minimum(np.diff(edges)[:-1], np.diff(edges)[1:])
    needed = SIGNIFICANT + SCARCE * np.log(size / (2 * shorter))
    inside = np.cumsum(basis[::-1], axis=0)[::-1][cuts]
    weights = basis.T @ values
    gram = size - np.maximum(cuts[:, None], cuts[None, :]) - inside @ inside.T
    inverse = np.linalg.inv(gram + 1e-9 * size * np.eye(cuts.size))
    height = inverse @ (np.cumsum(values[::-1])[::-1][cuts] - inside @ weights)
    levels = np.repeat(np.concatenate(([0.0], np.cumsum(height))), np.diff(edges))
    rest = values - levels
    rest = rest - basis @ (basis.T @ rest)
    squares = max(float(rest @ rest), 1e-9 * size)
    phi = float(np.clip(rest[1:] @ rest[:-1] / squares, 0.0, MOST_CORRELATED))
    score = -size * np.log(squares * (1 - phi**2)) - needed.sum()
    wald = height**2 / np.diag(inverse) / (squares / size) * (1 - phi) / (1 + phi)
    return float(score), wald - needed - CORRELATED * phi


def relocate(values: Floats, cuts: Ints) -> Ints:
    """Each cut at the best place between its neighbours."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    moved = [0, *cuts.tolist(), values.size]
    for number in range(1, len(moved) - 1):
        start, stop = moved[number - 1], moved[number + 1]
        places = np.arange(start + SHORTEST, stop - SHORTEST + 1)
        left = (total[places] - total[start]) - (places - start) / (stop - start) * (total[stop] - total[start])
        heights = np.abs(left) / np.sqrt((places - start) * (stop - places))
        moved[number] = int(places[np.argmax(heights)])
    return np.array(moved[1:-1], dtype=np.int64)
