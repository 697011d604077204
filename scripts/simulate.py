"""Thousands of sessions from the noise of a few: the same rules, on many drawn sessions at once. Pure numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from scripts.model import Comparison, Struct
from scripts.stats import Prior, level_slots, moderated, spend

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class Simulated(Struct):
    """Of ``sessions`` drawn ones: the share that says any change, and the mean number of rounds that they took.

    ``covered``: the share of the 95% intervals, as they are when a session ends, that contain the true effect.
    """

    sessions: int
    changed: float
    rounds: float
    covered: float


def resample(rounds: Floats, session_sd: Floats, sessions: int, length: int, rng: np.random.Generator) -> Floats:
    """Sessions of ``length`` rounds drawn with replacement from recorded A/A rounds; shape (sessions, length, metrics).

    ``rounds``: log ratios less their session's mean, shape (rounds, metrics). Nothing distinguishes the arms of an A/A
    session, so each round counts with either sign, which also makes the truth exactly zero. Each session gets a normal
    offset of its own, by metric of standard deviation ``session_sd``.
    """
    picked = rounds[rng.integers(0, len(rounds), (sessions, length))]
    offsets = rng.normal(0.0, 1.0, (sessions, 1, rounds.shape[1])) * session_sd
    return np.asarray(picked * rng.choice([-1.0, 1.0], (sessions, length, 1)) + offsets)


def draw(
    covariance: Floats, session_sd: Floats, prior_degrees: float, sessions: int, length: int, rng: np.random.Generator
) -> Floats:
    """Sessions of normal rounds with this ``covariance`` (metrics, metrics); shape (sessions, length, metrics).

    Sessions differ in how noisy they are: each one's covariance is scaled by an inverse chi-square variable of
    ``prior_degrees``, the distribution behind `scripts.stats.fit_prior`. Offsets of sessions are those of `resample`.
    """
    values = rng.multivariate_normal(np.zeros(len(covariance)), covariance, (sessions, length))
    scale = np.sqrt(prior_degrees / rng.chisquare(prior_degrees, (sessions, 1, 1)))
    offsets = rng.normal(0.0, 1.0, (sessions, 1, len(covariance))) * session_sd
    return np.asarray(values * scale + offsets)


def say(
    values: Floats,
    metrics: Sequence[str],
    comparison: Comparison,
    looks: Sequence[int],
    backends: int,
    priors: Mapping[str, Prior],
    truth: Floats | None = None,
) -> Simulated:
    """Apply the verdict's rules (`scripts.verdict`) to sessions of one backend out of ``backends``.

    ``values``: shape (sessions, rounds, metrics). ``priors``: by metric. ``truth``: the true log ratio of each metric;
    without it, none differs.
    """
    truth = np.zeros(len(metrics)) if truth is None else truth
    total = sum(terms.share for terms in comparison.metrics.values())
    sessions = len(values)
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
        for column, name in enumerate(metrics):
            levelled, degrees_taken = level_slots(values[:, :look, column], [number % 2 for number in range(look)])
            mean, error, degrees = moderated(levelled, priors.get(name), degrees_taken)
            terms = comparison.metrics[name]
            differs = np.abs(mean) > error * stats.t.isf(levels[name][index] / 2, degrees)
            differs &= np.abs(mean) >= np.log1p(terms.matters) / 2
            changed |= differs & running
            reach = error * stats.t.isf(0.025, degrees)
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
