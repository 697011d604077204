"""Pure numbers: intervals for ratios and effects. No I/O, no knowledge of runs.

Throughputs and latencies are positive and their noise is multiplicative, so they are compared as logarithms and a
comparison is a ratio (Fleming and Wallace, "How not to lie with statistics", CACM 29(3), 1986).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
import numpy as np
import scipy  # loads `special` when it is asked for: most of what imports this module never does

from scripts.model import Struct

FEW_ROUNDS = 6
"""Below this many rounds a level's own spread is too uncertain, and the spread of all levels is used."""

SPENDING_POWER = 4.0
"""Few rounds say little, so a first look at half of a session gets a sixteenth of the error."""
REPRESENTABLE = 700.0
"""The logarithm of about the largest number; two rounds can give an interval without an end."""
Floats = np.ndarray[Any, np.dtype[np.float64]]

Rounds = Mapping[int, float]
"""Positive values of one backend at one level, by round."""


class Ratio(Struct):
    """The ratio of two backends and its interval; ``low`` and ``high`` are None where nothing shows the spread.

    ``pairs``: rounds in which both were measured. ``degrees``: degrees of freedom behind the spread, 0 without one.
    """

    ratio: float
    low: float | None
    high: float | None
    confidence: float
    pairs: int
    degrees: int

    @property
    def separated(self) -> bool | None:
        """Whether the interval leaves out 1, that is, equality; None without an interval."""
        if self.low is None or self.high is None:
            return None
        return not self.low <= 1 <= self.high


def log_ratio_interval(
    first: Mapping[int, Rounds], second: Mapping[int, Rounds], level: int, confidence: float = 0.95
) -> Ratio | None:
    """The ratio ``first / second`` at one level, with a Student t interval; None where no round has both.

    ``first`` and ``second`` hold, for each level, one positive value for each round. Rounds are paired: the blocks of
    one round lie close together in time, so that what slows a whole round down cancels in
    ``d[l, r] = log(first[l][r]) - log(second[l][r])``. With ``n`` pairs at the level,

        log ratio = mean_r d[l, r],    interval = log ratio +- t(1 - (1 - confidence) / 2, degrees) * s / sqrt(n)

    With ``FEW_ROUNDS`` or more pairs, ``s`` is the standard deviation of the level's own ``d`` and ``degrees = n - 1``.
    With fewer it is pooled over all levels: ``s**2 = sum_l sum_r (d[l, r] - mean_r d[l, r])**2 / degrees`` and
    ``degrees = sum_l (n_l - 1)``, the within-group mean square of a one-way analysis of variance. Two rounds of ten
    levels so have 10 degrees of freedom. One round has none, and gives no interval.

    Assumptions: the ``d`` of different rounds and levels are independent and about normal, and where the spread is
    pooled, equally spread at all levels. The interval covers the noise between rounds of this run; it does not cover
    what all rounds share (this machine, these processes), and is for one pair of backends at one level: of twenty
    95% intervals one is expected to miss.

    Sources: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.5.2 (confidence limits for the mean) and 7.4.3
    (pooled within-group variance); Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013 (ratios).

    Raises ValueError for values that are not positive and finite, or a confidence outside (0, 1).
    """
    return ratio_at(differences(first, second), level, confidence)


def differences(first: Mapping[int, Rounds], second: Mapping[int, Rounds]) -> dict[int, list[float]]:
    """``log(first / second)`` at each level of both, for each round that both have: what `ratio_at` takes."""
    return {key: _differences(first[key], second[key]) for key in first.keys() & second.keys()}


def ratio_at(differences: Mapping[int, Sequence[float]], level: int, confidence: float = 0.95) -> Ratio | None:
    """`log_ratio_interval`, for whoever asks for several levels."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    own = differences.get(level, [])
    if not own:
        return None
    mean, pairs = math.fsum(own) / len(own), len(own)
    groups = [own] if pairs >= FEW_ROUNDS else [group for group in differences.values() if group]
    degrees = sum(len(group) - 1 for group in groups)
    if not degrees:
        return Ratio(ratio=math.exp(mean), low=None, high=None, confidence=confidence, pairs=pairs, degrees=0)
    squares = math.fsum(_squares(group) for group in groups)
    reach = _student(confidence, degrees) * math.sqrt(squares / degrees / pairs)
    low, high = math.exp(max(mean - reach, -REPRESENTABLE)), math.exp(min(mean + reach, REPRESENTABLE))
    return Ratio(ratio=math.exp(mean), low=low, high=high, confidence=confidence, pairs=pairs, degrees=degrees)


def widened(ratio: Ratio, below: float, above: float) -> Ratio:
    """The ratio, whose logarithm may be up to ``below`` lower or up to ``above`` higher than what was measured."""
    if ratio.low is None or ratio.high is None:
        return ratio
    return msgspec.structs.replace(ratio, low=ratio.low * math.exp(-below), high=ratio.high * math.exp(above))


def mean_interval(rounds: Mapping[int, Rounds], level: int, confidence: float = 0.95) -> Ratio | None:
    """The geometric mean of a level's rounds with its interval: as `log_ratio_interval`, against nothing but ones."""
    return log_ratio_interval(
        rounds, {key: dict.fromkeys(found, 1.0) for key, found in rounds.items()}, level, confidence
    )


@lru_cache(maxsize=1024)
def _student(confidence: float, degrees: int) -> float:
    """The t within which Student's distribution lies with this probability."""
    return float(scipy.special.stdtrit(degrees, 0.5 + confidence / 2))


def _squares(group: Sequence[float]) -> float:
    """The sum of squared deviations from the mean: without numpy, which takes longer for so few."""
    mean = math.fsum(group) / len(group)
    return math.fsum((value - mean) ** 2 for value in group)


def _differences(first: Rounds, second: Rounds) -> list[float]:
    """``log(first / second)`` for each round that both have, by round."""
    pairs = [(first[key], second[key]) for key in sorted(first.keys() & second.keys())]
    if not all(0 < one < math.inf and 0 < two < math.inf for one, two in pairs):
        raise ValueError("only positive, finite values have a ratio")
    return [math.log(one) - math.log(two) for one, two in pairs]


LARGEST = math.log(1e6)
"""Two rounds can leave everything open: ratios above this are given as this. Their exponential may be no number."""


class Effect(Struct):
    """How much the candidate differs from the baseline, as the mean of log ratios, one a round.

    ``log_ratio`` and ``error`` (its standard error) are natural logarithms; ``degrees``: degrees of freedom behind
    ``error``; ``rounds``: how many log ratios.
    """

    log_ratio: float
    error: float
    degrees: float
    rounds: int

    def interval(self, level: float) -> tuple[float, float]:
        """The ratio's interval that errs with probability ``level``: 0.05 gives the 95% interval."""
        reach = self._reach(level)
        return math.exp(self.log_ratio - reach), math.exp(min(self.log_ratio + reach, LARGEST))

    def differs(self, level: float) -> bool:
        """Whether the interval at ``level`` leaves out equality."""
        return abs(self.log_ratio) > self._reach(level)

    def smallest_seen(self, level: float, power: float = 0.8) -> float:
        """The smallest relative effect that a test at ``level`` finds with probability ``power``, as a fraction.

        Source: NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.2.2 (sample sizes).
        """
        reach = float(scipy.special.stdtrit(self.degrees, 1 - level / 2) + scipy.special.stdtrit(self.degrees, power))
        return math.expm1(min(self.error * reach, LARGEST))

    def _reach(self, level: float) -> float:
        """How far the interval at ``level`` goes to either side, as a logarithm."""
        return self.error * float(scipy.special.stdtrit(self.degrees, 1 - level / 2))


def level_slots(log_ratios: Floats, slots: Sequence[int]) -> tuple[Floats, int]:
    """Log ratios of shape (..., rounds) without what slots differ by, and the degrees of freedom that this takes.

    ``slots``: which of two slots the candidate had in each round. The arms exchange them, so that the means of a slot's
    rounds say what belongs to the slot, as in a crossover trial (Jones and Kenward, "Design and analysis of cross-over
    trials", 2014, chapter 2). The mean of the result is that of the slots' means, and its variance (of n - 1 degrees)
    the one within slots; with unequal slots that of the mean is a little more (5 and 3 rounds: by 7%). Where a slot has
    a single round, nothing is taken out.
    """
    where = np.asarray(slots)
    groups = [where == slot for slot in sorted(set(slots))]
    if len(groups) < 2 or min(int(group.sum()) for group in groups) < 2:
        return log_ratios, 0
    means = [log_ratios[..., group].mean(axis=-1, keepdims=True) for group in groups]
    overall, taken = sum(means) / len(means), len(groups) - 1
    stretch = math.sqrt((where.size - 1) / (where.size - 1 - taken))
    levelled = np.empty_like(log_ratios)
    for group, mean in zip(groups, means, strict=True):
        levelled[..., group] = overall + (log_ratios[..., group] - mean) * stretch
    return levelled, taken


class Lent(NamedTuple):
    """What else than the rounds themselves says their ``variance`` (`scripts.statistics.spread`), worth ``degrees`` of
    freedom."""

    variance: float
    degrees: float


def paired_effect(
    log_ratios: Sequence[float], lent: Lent | None = None, slots: Sequence[int] = (), share: float = 0.0
) -> Effect:
    """The mean of the rounds' log ratios and its standard error.

    Processes are started anew in each round, so that what differs between two processes of the same code is part of
    the spread between rounds, and the rounds are independent (Kalibera and Jones, "Rigorous benchmarking in reasonable
    time", ISMM 2013: the highest level that is repeated is the one to compute with).

    With ``slots``, one for each round, what these differ by is taken out first (`level_slots`). ``lent`` and ``share``:
    see `moderated`. Raises ValueError with fewer than two rounds, and for values that are not finite.
    """
    values = np.asarray(log_ratios, dtype=np.float64)
    if not values.size or not np.all(np.isfinite(values)):
        raise ValueError("an effect needs finite log ratios")
    values, taken = level_slots(values, slots)
    mean, error, degrees = moderated(values, taken, *(lent or (0.0, 0.0)), share)
    return Effect(log_ratio=float(mean), error=float(error), degrees=float(degrees), rounds=values.size)


def moderated(
    log_ratios: Floats,
    taken: int = 0,
    expected: Floats | float = 0.0,
    worth: Floats | float = 0.0,
    share: float = 0.0,
) -> tuple[Floats, Floats, Floats]:
    """Means, their standard errors and degrees of freedom, from log ratios of shape (..., rounds).

    ``taken``: degrees of freedom that `level_slots` has used. With ``n`` rounds of variance ``s**2``, so of
    ``d = n - 1 - taken`` degrees, and one of ``s0**2`` that is ``expected`` of them, ``worth`` ``d0`` degrees,

        variance = max(s**2, (d0 * s0**2 + d * s**2) / (d0 + d)),    degrees = d0 + d

    This is the moderated variance of Smyth ("Linear models and empirical Bayes methods for assessing differential
    expression", Stat. Appl. Genet. Mol. Biol. 3, 2004) where rounds happen to lie closer together than was expected,
    which is what a t test of few rounds errs by. Where they lie further apart, they are believed.

    What the two arms differ by for a whole session no number of rounds shows: its variance, as a ``share`` of that of a
    round, is added to that of the mean. Raises ValueError for one round.
    """
    count = log_ratios.shape[-1]
    own_degrees = count - 1 - taken
    if not own_degrees:
        raise ValueError("one round shows no spread")
    own = log_ratios.var(axis=-1, ddof=1)
    degrees = own_degrees + np.asarray(worth)
    variance = np.maximum(own, (own_degrees * own + worth * np.asarray(expected)) / degrees)
    return log_ratios.mean(axis=-1), np.sqrt(variance * (1 / count + share)), np.broadcast_to(degrees, own.shape)


def mean_ratios(log_ratios: Floats, level: float = 0.05) -> tuple[Floats, Floats, Floats]:
    """Ratios with the ends of their intervals, from log ratios of shape (..., rounds), NaN where there is none.

    What `paired_effect` (without a prior) and `Effect.interval` say of each row, for many rows at once. NaN: a ratio
    without any round, and an interval with fewer than two.
    """
    counts = np.sum(np.isfinite(log_ratios), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.nansum(log_ratios, axis=-1) / counts
        squares = np.nansum((log_ratios - means[..., np.newaxis]) ** 2, axis=-1)
        degrees = np.where(counts > 1, counts - 1.0, np.nan)
        reach = np.sqrt(squares / degrees / counts) * scipy.special.stdtrit(degrees, 1 - level / 2)
    return np.exp(means), np.exp(means - reach), np.exp(means + reach)


def session_variance(sessions: Sequence[Sequence[float]]) -> float:
    """What the means of A/A sessions, of two or more rounds each, differ by beyond the spread of their rounds.

    The method of moments for a one-way random effect whose mean is known, as the true effect is 0: with ``k`` sessions
    of ``n`` rounds with mean ``m`` and the pooled variance ``s**2`` within them,

        variance = max(0, (sum n * m**2 - k * s**2) / sum n)

    (Searle, Casella and McCulloch, "Variance components", 1992, section 3.6). Raises ValueError without sessions.
    """
    if not sessions or min(map(len, sessions)) < 2:
        raise ValueError("every session needs two rounds")
    squares = sum(len(values) * float(np.mean(values)) ** 2 for values in sessions)
    return max(0.0, (squares - len(sessions) * pooled_variance(sessions)) / sum(map(len, sessions)))


def pooled_variance(groups: Iterable[Sequence[float]]) -> float:
    """The variance within groups, over all of them (within-group mean square); NaN where no group has two values."""
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    degrees = sum(array.size - 1 for array in arrays)
    return sum(float(np.sum((array - array.mean()) ** 2)) for array in arrays) / degrees if degrees else math.nan


def spend(looks: Sequence[float], alpha: float) -> tuple[float, ...]:
    """The level at which each look at a growing session is tested, so that all looks together err with ``alpha``.

    ``looks``: when they happen, as shares of the longest session, ascending, the last at most 1. By a look at the
    share ``t``, ``alpha * t**SPENDING_POWER`` of the error is spent (Kim and DeMets, Biometrika 74, 1987), and by
    Bonferroni's inequality no assumption is needed on how looks hang together: boundaries that count on it (Lan and
    DeMets, 1983) hold for normal sums, and with Student t over six rounds they err with 5.4% where 5% is meant.
    Raises ValueError for other looks.
    """
    if not looks or not 0 < alpha < 1 or list(looks) != sorted(set(looks)) or looks[0] <= 0 or looks[-1] > 1:
        raise ValueError(f"looks must ascend within (0, 1] and alpha lie in (0, 1), not {looks} and {alpha}")
    spent = [alpha * look**SPENDING_POWER for look in looks]
    return tuple(now - before for before, now in zip([0.0, *spent], spent, strict=False))
