"""Which of several commits changed a metric, from sessions each of which may mislead. Pure.

The commits ``1 .. count`` come after GOOD, which is 0; the last of them is BAD. Each could be the culprit; what is
known is a probability for each, and a session that compares commit ``first`` with ``last`` changes it by Bayes' rule:
where the culprit lies between, the effect should be the whole one, else none. The next session halves the probability
(Horstein, "Sequential transmission using noiseless feedback", IEEE Trans. Inf. Theory 9(3), 1963), so one wrong answer
costs some more sessions and not the result. No session is believed by more than `TRUST`.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import scipy  # loads `stats` when it is asked for: that takes a second or more

from scripts.model import Struct
from scripts.statistics.intervals import Effect

TRUST = 99.0
"""Odds that a single session gives at most: of a hundred, one may mislead in a way that its interval does not show."""

Measure = Callable[[int, int], Effect | None]
"""Compares two commits by their numbers, the first as baseline; None where the second cannot be measured."""


class Session(Struct):
    """Commit ``last`` measured against ``first``; ``effect`` is None where ``last`` does not run."""

    first: int
    last: int
    effect: Effect | None


class Ending(enum.Enum):
    """Why a search ended."""

    FOUND = "found"
    NO_DIFFERENCE = "no difference"
    BAD_FAILS = "BAD cannot be measured"
    EXHAUSTED = "not sure"


class Found(Struct):
    """What a search says: the culprit is one of ``commits`` with probability ``confidence``.

    ``whole``: of BAD against GOOD. ``own``: of the culprit against the commit before it, None where that was not
    measured. ``commits`` are several where the ones between cannot be measured, or where the search ended unsure.
    """

    ending: Ending
    commits: tuple[int, ...]
    confidence: float
    whole: Effect | None
    own: Effect | None
    sessions: tuple[Session, ...]


def search(count: int, measure: Measure, *, level: float, confidence: float, most: int) -> Found:
    """Find the culprit among ``count`` commits with at most ``most`` sessions.

    ``level``: the error rate at which GOOD and BAD must differ first. The last session measures the found commit
    against the one before it: that gives the size of its own effect, and where it contradicts, the search goes on.
    Raises ValueError where there is nothing to search.
    """
    if count < 1 or most < 1 or not 0 < confidence < 1:
        raise ValueError(f"cannot search {count} commits with {most} sessions for a confidence of {confidence}")
    sessions: list[Session] = []

    def ask(first: int, last: int) -> Effect | None:
        sessions.append(Session(first=first, last=last, effect=measure(first, last)))
        return sessions[-1].effect

    def ended(ending: Ending, commits: Sequence[int], sure: float, own: Effect | None = None) -> Found:
        return Found(
            ending=ending,
            commits=tuple(commits),
            confidence=sure,
            whole=pooled(sessions, 0, count),
            own=own,
            sessions=tuple(sessions),
        )

    everything = range(1, count + 1)
    while True:
        if ask(0, count) is None:
            return ended(Ending.BAD_FAILS, everything, 0.0)
        whole = pooled(sessions, 0, count)
        assert whole is not None
        if whole.differs(level / most):
            break
        if len(sessions) >= min(3, most):
            return ended(Ending.NO_DIFFERENCE, everything, 0.0)
    while True:
        chances = posterior(count, sessions)
        groups = testable(count, sessions)
        masses = [float(chances[group.start - 1 : group.stop - 1].sum()) for group in groups]
        best = int(np.argmax(masses))
        group = groups[best]
        own = pooled(sessions, group.start - 1, group.stop - 1)
        if masses[best] >= confidence and own is not None:
            return ended(Ending.FOUND, group, masses[best], own)
        if len(sessions) >= most:
            return ended(Ending.EXHAUSTED, likely(chances, confidence), confidence, None)
        if masses[best] >= confidence:
            ask(group.start - 1, group.stop - 1)
        else:
            middle = int(np.argmin(np.abs(np.cumsum(masses)[:-1] - 0.5)))
            ask(0, groups[middle].stop - 1)


def posterior(count: int, sessions: Sequence[Session]) -> npt.NDArray[np.float64]:
    """The probability of each commit to be the culprit, after GOOD and BAD were compared; they sum to 1."""
    whole = pooled(sessions, 0, count)
    assert whole is not None
    logs = np.zeros(count)
    for session in sessions:
        if session.effect is not None and (session.first, session.last) != (0, count):
            logs[session.first : session.last] += odds(session.effect, whole)
    chances = np.exp(logs - logs.max())
    return np.asarray(chances / chances.sum())


def odds(effect: Effect, whole: Effect) -> float:
    """The logarithm of how many times likelier an effect is where the culprit lies between than where it does not."""
    error = math.hypot(effect.error, whole.error)
    there = scipy.stats.t.logpdf((effect.log_ratio - whole.log_ratio) / error, min(effect.degrees, whole.degrees))
    absent = scipy.stats.t.logpdf(effect.log_ratio / effect.error, effect.degrees)
    difference = float(there - math.log(error) - absent + math.log(effect.error))
    return min(max(difference, -math.log(TRUST)), math.log(TRUST))


def testable(count: int, sessions: Sequence[Session]) -> list[range]:
    """Commits that no session can tell apart, because those between them cannot be measured, as groups."""
    broken = {session.last for session in sessions if session.effect is None}
    ends = [commit for commit in range(1, count + 1) if commit not in broken or commit == count]
    return [range(before + 1, end + 1) for before, end in zip([0, *ends], ends, strict=False)]


def pooled(sessions: Sequence[Session], first: int, last: int) -> Effect | None:
    """The effect between two commits over all sessions that compared them, weighted by their precision."""
    effects = [s.effect for s in sessions if (s.first, s.last) == (first, last) and s.effect is not None]
    if not effects:
        return None
    weights = [1 / effect.error**2 for effect in effects]
    total = math.fsum(weights)
    return Effect(
        log_ratio=math.fsum(w * effect.log_ratio for w, effect in zip(weights, effects, strict=True)) / total,
        error=1 / math.sqrt(total),
        degrees=math.fsum(effect.degrees for effect in effects),
        rounds=sum(effect.rounds for effect in effects),
    )


def likely(chances: npt.NDArray[np.float64], confidence: float) -> list[int]:
    """The fewest commits that together have this probability, ascending."""
    order = np.argsort(-chances, kind="stable")
    enough = int(np.searchsorted(np.cumsum(chances[order]), confidence)) + 1
    return sorted(int(place) + 1 for place in order[:enough])
