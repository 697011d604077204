"""Steps in one series: where they are, and how large. Pure numbers, no I/O.

What a step has to stand out from is the noise of load tests: it is multiplicative (so positive values are compared as
logarithms), has single bad runs and heavy tails, is autocorrelated, drifts, and switches between speeds. The search has
five parts:

1. *Clean*: a point far from its running median is moved nearer, and one that is very far, onto it (Hampel's three-part
   function), which leaves steps alone and makes sums robust.
2. *Propose*: seeded binary segmentation (Kovacs, Buehlmann, Li and Munk, Biometrika 110(1), 2023) with a low threshold.
3. *Prune*: the weakest proposal goes until every one is significant against AR(1) noise, and in ranks against noise of
   any shape: cleaning makes regimes of what switches between two speeds, and ranks know nothing of it.
4. *Steps or drift*: an information criterion decides between steps alone, fewer of them, none, and a slow curve with
   those steps that it leaves.
5. *Place*: each step that is left goes to the middle of where it may be.

The likelihood in 3 and 4 is averaged over the noise's autocorrelation rather than taken at the most likely one: in a
short series, a few steps and a large autocorrelation explain the same.

Proposing and pruning are sums over ranges, so that a test costs a few differences of cumulative sums.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SHORTEST = 4
"""Points of the shortest regime; what lasts fewer is a bad run, not a regime."""

NEAR, FAR, ABSURD = 2.5, 4.0, 6.0
"""Standard deviations from the running median: up to the first a value stays, up to the second it counts as the first,
and from there on it counts ever less, to nothing at the third."""

PROPOSED = 2.7
"""A place is looked at when the standardised difference of two ranges around it is above this."""

SIGNIFICANT = 8.0
"""Evidence (twice the log-likelihood ratio) that a step between two halves of a series needs."""

SCARCE = 3.2
"""Evidence needed besides for each e-fold by which a regime is shorter than that: there are as many more places for it
(the scale penalty of Duembgen and Spokoiny, Annals of Statistics 29(1), 2001)."""

MOST_CORRELATED = 0.95

BORROWED = 100
"""So many points' worth of the whole series' noise are added to the noise around one step."""

DEGREE = 5
"""Of the polynomial that stands for a slow drift."""

CURVED = 3.0
"""By how much the criterion has to be better for any curve at all: most series do not drift."""

ANY = 11.2
"""By how much it has to be better for any steps at all: most series have none."""

WEAKEST = 0.25
"""The share of the weakest step's margin that counts towards `ANY`: the criterion is a sum over all steps, and noise
taken for steps gives several of which none is strong."""

ROUNDING = 1e-9
"""A variance, in units of the noise, below which differences are rounding errors."""

LEAST_WITHIN = 0.5
"""Of the sum of squares of normal scores within two regimes: ties may leave none."""

AUTOCORRELATIONS = np.linspace(0.0, 0.9, 10)
"""Over which the likelihood is averaged, each as likely beforehand."""


def change_points(values: Sequence[float | None] | Floats) -> list[int]:
    """The index of the first point of each new regime, ascending.

    ``values``: any numbers in order of time; None, NaN and infinities are missing and keep their indexes. One setting
    serves every series, and no answer looks ahead: that for a prefix is what would have been said then.
    """
    raw = np.array(values, dtype=np.float64)
    present = np.flatnonzero(np.isfinite(raw))
    if present.size < 2 * SHORTEST:
        return []
    compared = comparable(raw[present])
    cleaned = without_spikes(standardised(compared))
    sums = Sums(cleaned)
    cuts = prune(propose(cleaned), partial(margin, sums))
    cuts = prune(relocate(cleaned, cuts), partial(margin, sums))
    cuts = prune(cuts, lambda cuts: np.minimum(margin(sums, cuts), margin_in_ranks(compared, cuts)))
    cuts, straight = steps_or_drift(cleaned, cuts)
    cuts = relocate(straight, cuts, middle)
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
    floor = ROUNDING * max(float(np.abs(values).max()), ROUNDING)
    return max((median or trimmed) / (0.6745 * math.sqrt(2)), floor)


def standardised(values: Floats) -> Floats:
    """Values in units of the noise, around 0."""
    return np.asarray((values - np.median(values)) / noise_scale(values))


def without_spikes(values: Floats) -> Floats:
    """Values less far from the median of the seven around them (at an end, of the seven there): what lasts `SHORTEST`
    points stays, what lasts fewer does not."""
    around = np.lib.stride_tricks.sliding_window_view(values, 2 * SHORTEST - 1)
    usual = np.pad(np.median(around, axis=1), SHORTEST - 1, mode="edge")
    distance = values - usual
    believed = np.interp(np.abs(distance), (0.0, NEAR, FAR, ABSURD), (0.0, NEAR, NEAR, 0.0))
    return np.asarray(usual + np.sign(distance) * believed)


def propose(values: Floats) -> Ints:
    """Indexes where a step may be, ascending; too many rather than too few.

    The highest place of all intervals, the highest of those that do not contain it, and so on.
    """
    total = np.concatenate(([0.0], np.cumsum(values)))
    starts, stops, places, heights = (np.concatenate(parts) for parts in zip(*_layers(total), strict=True))
    order = np.argsort(-heights, kind="stable")
    order = order[heights[order] > PROPOSED]
    chosen: list[int] = []
    for start, stop, place in zip(starts[order].tolist(), stops[order].tolist(), places[order].tolist(), strict=True):
        following = bisect_right(chosen, start)
        if following == len(chosen) or chosen[following] >= stop:
            insort(chosen, place)
    return np.array(chosen, dtype=np.int64)


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
    """Cumulative sums of a series ``y``: over any range, what a level with AR(1) noise needs."""

    def __init__(self, values: Floats) -> None:
        def cumulative(terms: Floats) -> Floats:
            return np.concatenate(([0.0], np.cumsum(terms)))

        self.size = values.size
        self.values = values
        self.level = cumulative(values)
        self.square = cumulative(values * values)
        self.lagged = cumulative(values[:-1] * values[1:])

    def spread(self, start: Ints, stop: Ints) -> tuple[Floats, Floats]:
        """Sums of squares and of lag-1 products of the residuals around the mean, for each range."""
        count = stop - start
        total = self.level[stop] - self.level[start]
        mean = total / count
        squares = self.square[stop] - self.square[start] - total * mean
        products = self.lagged[stop - 1] - self.lagged[start]
        ends = self.values[start] + self.values[stop - 1]
        lagged = products - mean * (2 * total - ends) + (count - 1) * mean**2
        return np.maximum(squares, 0.0), lagged


def prune(cuts: Ints, margins_of: Callable[[Ints], Floats]) -> Ints:
    """Leave out the weakest cuts until every one stands; ``margins_of`` them are below 0 for what falls."""
    while cuts.size:
        weak = weakest(margins_of(cuts))
        if not weak.any():
            break
        cuts = cuts[~weak]
    return cuts


def weakest(margins: Floats) -> npt.NDArray[np.bool_]:
    """Which cuts may go at once: those below 0 that are weaker than both neighbours, as each leans on these alone."""
    among = np.concatenate(([np.inf], margins, [np.inf]))
    return np.asarray((margins <= 0) & (among[1:-1] <= among[:-2]) & (among[1:-1] < among[2:]))


def margin(sums: Sums, cuts: Ints) -> Floats:
    """By how much the evidence for each cut, given its neighbours, is above what is needed; below 0 it falls.

    The evidence is twice the log-likelihood ratio of two levels against one in the regimes on either side, to whose
    residuals `BORROWED` points of the whole series' residuals are added.
    """
    edges = np.concatenate(([0], cuts, [sums.size]))
    start, stop = edges[:-2], edges[2:]
    squares, lagged = sums.spread(edges[:-1], edges[1:])
    borrowed = np.minimum(BORROWED, sums.size - (stop - start))
    elsewhere = borrowed / sums.size
    more, further = elsewhere * squares.sum(), elsewhere * lagged.sum()
    count = (stop - start + borrowed).astype(np.float64)
    squares, lagged = squares[:-1] + squares[1:] + more, lagged[:-1] + lagged[1:] + further
    whole, whole_lagged = sums.spread(start, stop)
    ratio = likelihood(squares, lagged, count) - likelihood(whole + more, whole_lagged + further, count)
    return np.asarray(2 * ratio - needed(edges))


def margin_in_ranks(values: Floats, cuts: Ints) -> Floats:
    """As `margin`, with normal scores of the ranks among the points of both regimes, as if they were independent.

    So it knows of no distances, and where two or more speeds take turns, neither of their order by chance."""
    edges = np.concatenate(([0], cuts, [values.size]))
    pairs = zip(edges[:-2].tolist(), cuts.tolist(), edges[2:].tolist(), strict=True)
    evidence = [gain_in_ranks(values[start:stop], cut - start) for start, cut, stop in pairs]
    return np.asarray(evidence - needed(edges))


def gain_in_ranks(values: Floats, cut: int) -> float:
    """Twice the log-likelihood ratio of two levels of normal scores against one. Equal values have equal scores."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    scores = special.ndtri(((np.cumsum(counts) - counts / 2) / values.size)[inverse])
    left = float(scores[:cut].sum())
    between = left**2 * values.size / (cut * (values.size - cut))
    within = float(scores @ scores) - between
    return values.size * math.log1p(between / max(within, LEAST_WITHIN))


def likelihood(squares: Floats | float, lagged: Floats | float, count: Floats | float) -> Floats:
    """The log-likelihood of residuals with AR(1) noise, up to a constant: the most likely variance, and the mean over
    `AUTOCORRELATIONS`. ``squares``, ``lagged``: sums of their squares and lag-1 products; ``count``: how many they are.
    """
    floor = ROUNDING * count
    phi = AUTOCORRELATIONS[:, None]
    innovations = np.maximum(squares * (1 + phi**2) - 2 * phi * lagged, floor)
    return np.asarray(np.logaddexp.reduce(0.5 * np.log(1 - phi**2) - count / 2 * np.log(innovations)))


def autocorrelation(squares: float, lagged: float) -> float:
    """Of residuals, from sums of their squares and lag-1 products; 0 where it is negative or there are no residuals."""
    return min(max(lagged / squares, 0.0), MOST_CORRELATED) if squares else 0.0


def needed(edges: Ints) -> Floats:
    """The evidence that each cut needs; ``edges``: 0, the cuts and the size."""
    lengths = np.diff(edges)
    shorter = np.minimum(lengths[:-1], lengths[1:])
    return np.asarray(SIGNIFICANT + SCARCE * np.log(edges[-1] / (2 * shorter)))


def relocate(values: Floats, cuts: Ints, choose: Callable[[Floats], np.intp] = np.argmax) -> Ints:
    """Each cut at the place between its neighbours that ``choose`` finds in the standardised differences there."""
    total = np.concatenate(([0.0], np.cumsum(values)))
    moved = [0, *cuts.tolist(), values.size]
    for number in range(1, len(moved) - 1):
        start, stop = moved[number - 1], moved[number + 1]
        places = np.arange(start + SHORTEST, stop - SHORTEST + 1)
        left = (total[places] - total[start]) - (places - start) / (stop - start) * (total[stop] - total[start])
        heights = np.abs(left) / np.sqrt((places - start) * (stop - places) / (stop - start))
        moved[number] = int(places[choose(heights)])
    return np.array(moved[1:-1], dtype=np.int64)


def middle(heights: Floats) -> np.intp:
    """The median of where a step may be, nearest to the truth in the mean. ``heights``: in units of the noise."""
    likely = np.cumsum(np.exp((heights**2 - heights.max() ** 2) / 2))
    return np.intp(np.searchsorted(likely, likely[-1] / 2))


class Fit(NamedTuple):
    """A curve and steps together.

    ``criterion``: larger is better. ``margins``: of each step; below 0 it is not needed. ``straight``: the values
    without the curve, in units of what is left.
    """

    criterion: float
    margins: Floats
    straight: Floats


def steps_or_drift(values: Floats, cuts: Ints) -> tuple[Ints, Floats]:
    """The cuts beside the slow curve that explains the series best, and the values without that curve.

    There may be no curve, and no cuts. Beside each curve (a polynomial of degree 1 to `DEGREE`) the weaker half of the
    cuts that are not needed is left out until all are needed, then the weaker half of all, to none; without a curve,
    where all have been pruned, only the latter.
    """
    if not cuts.size:
        return cuts, values
    time = np.linspace(-1.0, 1.0, values.size)
    curves, _ = np.linalg.qr(
        np.polynomial.legendre.legvander(time, DEGREE)
    )  # its first columns are curves of less degree
    with_steps: list[tuple[Fit, Ints]] = []
    without = -math.inf
    for degree in range(DEGREE + 1):
        left = cuts
        while left.size:
            one = fit(values, curves[:, : degree + 1], left)
            failing = int(np.count_nonzero(one.margins <= 0)) if degree else 0
            if not failing:
                with_steps.append((one, left))
            left = np.sort(left[np.argsort(one.margins)[((failing or left.size) + 1) // 2 :]])
        without = max(without, fit(values, curves[:, : degree + 1], left).criterion)
    believed = [(one, left) for one, left in with_steps if one.criterion + WEAKEST * one.margins.min() > without + ANY]
    if not believed:
        return cuts[:0], values
    best, kept = max(believed, key=lambda pair: pair[0].criterion)
    return kept, best.straight


def fit(values: Floats, curve: Floats, cuts: Ints) -> Fit:
    """Least squares of curve and steps; the margin of each step by Wald's statistic with the variance of AR(1) noise.

    The criterion is the doubled log-likelihood less ``log n`` for each coefficient of the curve, and twice that for a
    step, whose place is a parameter, too (Schwarz's criterion; Yao, Statistics & Probability Letters 6(3), 1988), and
    less `CURVED` for a curve.

    ``curve``: orthonormal columns, the first of them constant, which the regimes' levels stand for. The rest of them is
    fitted within the regimes (Frisch and Waugh, Econometrica 1(4), 1933), so that more steps cost no more.
    """
    size, degree, slow = values.size, curve.shape[1] - 1, curve[:, 1:]
    edges = np.concatenate(([0], cuts, [size]))
    lengths = np.diff(edges)
    centres = _means(slow, edges)
    inside = slow - np.repeat(centres, lengths, axis=0)
    inverse = np.linalg.inv(inside.T @ inside + ROUNDING * np.eye(degree))
    straight = values - slow @ (inverse @ (inside.T @ values))
    levels = _means(straight, edges)
    apart = np.diff(centres, axis=0)
    variances = 1 / lengths[:-1] + 1 / lengths[1:] + np.einsum("ij,jk,ik->i", apart, inverse, apart)
    rest = straight - np.repeat(levels, lengths)
    squares = max(float(rest @ rest), ROUNDING * size)
    lagged = float(rest[1:] @ rest[:-1])
    phi = autocorrelation(squares, lagged)
    (likely,) = likelihood(squares, lagged, size)
    price = (degree + 2 * cuts.size) * math.log(size) + (CURVED if degree else 0.0)
    wald = np.diff(levels) ** 2 / variances / (squares / size) * (1 - phi) / (1 + phi)
    return Fit(2 * float(likely) - price, np.asarray(wald - needed(edges)), straight / math.sqrt(squares / size))


def _means(columns: Floats, edges: Ints) -> Floats:
    """Of each column in each regime."""
    lengths = np.diff(edges).reshape(-1, *[1] * (columns.ndim - 1))
    return np.asarray(np.add.reduceat(columns, edges[:-1], axis=0) / lengths)
