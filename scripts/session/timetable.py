"""How long a session takes: what was announced, what repeats and waiting may add to it, and what is left."""

from __future__ import annotations

import time
from collections.abc import Callable

EXTRA = 0.5
"""The share of the announced time that repeats and waiting for calm may add, unless the profile has ``patience_s``."""
LATE = 0.1
"""A share of the announced time: where the rest takes so much longer than was thought, it is said."""


class Timetable:
    """Times are seconds; ``clock`` is one that only goes forward.

    What is left counts down with the clock. It grows only where the session has named why: a block is measured again,
    or everything is `late`. So it cannot stand still while nobody knows what is waited for.
    """

    def __init__(
        self, announced_s: float, patience_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.announced_s = announced_s
        self.most_s = announced_s + (EXTRA * announced_s if patience_s is None else patience_s)
        self.late = False
        self._clock, self._began = clock, clock()
        self._end = self._began + announced_s

    @property
    def left_s(self) -> float:
        """What is left of what was last expected; 0 where that is over."""
        return max(self._end - self._clock(), 0.0)

    def expect(self, ahead_s: float, *, again: bool = False) -> None:
        """The rest takes ``ahead_s``; ``again``: repeats are in it that have just been named."""
        end = self._clock() + ahead_s
        self.late = not again and end - self._end > LATE * self.announced_s
        self._end = end if again or self.late else min(self._end, end)

    def allowance_s(self, ahead_s: float, share: float) -> float:
        """How long repeats and waiting may still take just now, below 0 where the time is over.

        ``ahead_s``: what is planned and not measured yet. ``share``: how much of what may be added may be used up by
        now, so that the first round does not take all of it.
        """
        until_s = self.announced_s + share * (self.most_s - self.announced_s)
        return self._began + until_s - ahead_s - self._clock()
