"""Thousands of sessions from the noise of a few: the same rules, on many drawn sessions at once. Pure numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import scipy  # loads `stats` when it is asked for: that takes a second or more

from scripts.config import Comparison
from scripts.model import Struct
from scripts.statistics.intervals import level_slots, moderated, spend
from scripts.statistics.spread import SESSION_SHARE, Prior, Rounds, lend

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

SMOOTH = 0.3
"""How far a drawn round lies from the recorded one that it was drawn from, in standard deviations."""


class Drawn(NamedTuple):
    """Sessions, of shape (sessions, rounds, metrics).

    ``rounds``: log ratios. ``within``: the variance of each that its own pairs explain, of one degree of freedom.
    """

    rounds: Floats
    within: Floats

    def __add__(self, truth: Floats) -> Drawn:  # type: ignore[override]
        """With a true log ratio for each metric."""
        return Drawn(self.rounds + truth, self.within)

    def scaled(self, rounds: Floats | float, pairs: Floats | float) -> Drawn:
        """With rounds and pairs that spread so many times as much."""
        return Drawn(self.rounds * rounds, self.within * np.square(pairs))


class Simulated(Struct):
    """Of ``sessions`` drawn ones: the share that says any change, and the mean number of rounds that they took.

    ``covered``: the share of the 95% intervals, as they are when a session ends, that contain the true effect.
    """

    sessions: int
    changed: float
    rounds: float
    covered: float


def resample(recorded: Drawn, session_sd: Floats, sessions: int, length: int, rng: np.random.Generator) -> Drawn:
    """Sessions of ``length`` rounds drawn with replacement from recorded A/A rounds.

    ``recorded``: log ratios less their session's mean and what their pairs explain, each of shape (rounds, metrics).
    Nothing distinguishes the arms of an A/A session, so each round counts with either sign, which also makes the truth
    exactly zero. Each session gets a normal offset of its own, by metric of standard deviation ``session_sd``.

    A recorded round that is drawn twice into a session would spread less than any two rounds do, so each draw is moved
    a little (smoothed bootstrap, with the recorded variance: Silverman and Young, "The bootstrap: to smooth or not to
    smooth?", Biometrika 74, 1987).
    """
    picked = rng.integers(0, len(recorded.rounds), (sessions, length))

    def smooth(values: Floats) -> Floats:
        moved = values[picked] + SMOOTH * values.std(axis=0) * rng.standard_normal((*picked.shape, values.shape[1]))
        return np.asarray(moved / np.sqrt(1 + SMOOTH**2))

    signs = rng.choice([-1.0, 1.0], (sessions, length, 1))
    offsets = rng.standard_normal((sessions, 1, recorded.rounds.shape[1])) * session_sd
    pairs = np.sqrt(recorded.within) * rng.choice([-1.0, 1.0], recorded.within.shape)
    return Drawn(smooth(recorded.rounds) * signs + offsets, smooth(pairs) ** 2)


def draw(
    covariance: Floats, within: Floats, session_sd: Floats, sessions: int, length: int, rng: np.random.Generator
) -> Drawn:
    """Sessions of normal rounds with this ``covariance`` (metrics, metrics), of which pairs explain ``within``.

    Offsets of sessions are those of `resample`.
    """
    metrics = len(covariance)
    rounds = rng.multivariate_normal(np.zeros(metrics), covariance, (sessions, length))
    offsets = rng.standard_normal((sessions, 1, metrics)) * session_sd
    return Drawn(rounds + offsets, within * rng.standard_normal((sessions, length, metrics)) ** 2)


def say(
    drawn: Drawn,
    metrics: Sequence[str],
    comparison: Comparison,
    looks: Sequence[int],
    backends: int,
    priors: Mapping[str, Prior],
    truth: Floats | None = None,
) -> Simulated:
    """Apply the verdict's rules (`scripts.verdict.judgement`) to sessions of one backend out of ``backends``.

    ``priors``: by metric; without one, its rounds stand alone. ``truth``: the true log ratio of each metric; without
    it, none differs.
    """
    truth = np.zeros(len(metrics)) if truth is None else truth
    total = sum(terms.share for terms in comparison.metrics.values())
    sessions = len(drawn.rounds)
    running = np.ones(sessions, dtype=bool)
    changed = np.zeros(sessions, dtype=bool)
    taken = np.full(sessions, looks[-1], dtype=float)
    covered = np.zeros(sessions)
    levels = {
        name: spend(
            tuple(look / looks[-1] for look in looks),
            comparison.false_alarms * comparison.metrics[name].share / total / backends,
        )
        for name in metrics
    }
    for index, look in enumerate(looks):
        clear = np.ones(sessions, dtype=bool)
        hits = np.zeros(sessions)
        means, errors, degrees = _effects(drawn, look, metrics, priors)
        for column, name in enumerate(metrics):
            mean, error, freedom = means[:, column], errors[:, column], degrees[column]
            terms = comparison.metrics[name]
            differs = np.abs(mean) > error * scipy.stats.t.isf(levels[name][index] / 2, freedom)
            differs &= np.abs(mean) >= np.log1p(terms.matters) / 2
            changed |= differs & running
            reach = error * scipy.stats.t.isf(0.025, freedom)
            hits += np.abs(mean - truth[column]) <= reach
            if terms.decides:
                inside = (mean - reach > -np.log1p(terms.matters)) & (mean + reach < np.log1p(terms.matters))
                clear &= differs | inside
        ended = running & (clear | changed | (look == looks[-1]))
        taken[ended] = look
        covered[ended] = hits[ended] / len(metrics)
        running &= ~ended
    return Simulated(
        sessions=sessions,
        changed=float(changed.mean()),
        rounds=float(taken.mean()),
        covered=float(covered.mean()),
    )


def _effects(
    drawn: Drawn, look: int, metrics: Sequence[str], priors: Mapping[str, Prior]
) -> tuple[Floats, Floats, Floats]:
    """Means and errors (sessions, metrics) and degrees of freedom (metrics) after so many rounds."""
    rounds = np.moveaxis(drawn.rounds[:, :look], 1, 2)
    levelled, taken = level_slots(rounds, [number % 2 for number in range(look)])
    expected, worth = np.zeros(rounds.shape[:2]), np.zeros(len(metrics))
    known = [column for column, name in enumerate(metrics) if name in priors]
    if known:
        own = levelled[:, known].var(axis=-1, ddof=1)
        within = drawn.within[:, :look, known].mean(axis=1)
        together = Rounds(own, np.array(float(look - 1 - taken)), within, np.array(float(look)))
        expected[:, known], lent = lend(together, [priors[metrics[column]] for column in known])
        worth[known] = lent[0]
    means, errors, degrees = moderated(levelled, taken, expected, worth, SESSION_SHARE)
    return means, errors, degrees[0]
