"""A session of one arm: the schedule of its blocks, warm-up, measuring, repeating, interruption. It yields a run."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Sequence

from scripts.model import Profile, Run, Struct
from scripts.session.block import Place
from scripts.session.recorder import CALM_PROBE_S, Recorder, finish, may_pass, reasons
from scripts.stack import Instance

BLOCK_OVERHEAD_S = 0.7


class Planned(Struct):
    """A block to be measured."""

    index: int
    round: int
    backend: str
    level: int


class Again(Struct):
    """A block to be measured once more, and why. ``usable``: it has a number, which only was disturbed."""

    planned: Planned
    attempt: int
    reason: str
    usable: bool


def schedule(profile: Profile, backends: Sequence[str], seed: int) -> list[Planned]:
    """All blocks of a session: in each round every backend at every level once, in an order drawn from ``seed``."""
    chance = random.Random(seed)
    order: list[tuple[int, str, int]] = []
    for number in range(1, profile.rounds + 1):
        blocks = [(number, backend, level) for backend in backends for level in profile.levels]
        chance.shuffle(blocks)
        order += blocks
    return [
        Planned(index=index, round=number, backend=backend, level=level)
        for index, (number, backend, level) in enumerate(order, 1)
    ]


class Session:
    """Measures every block of the recorder's profile on its stack; ``seed`` gives their order.

    `measure` returns the run, complete or not; whatever stops it, the finished blocks are in it.
    """

    def __init__(self, recorder: Recorder, seed: int) -> None:
        self._recorder, self._profile = recorder, recorder.profile
        self._instances: dict[str, Instance] = {i.target.backend.name: i for i in recorder.stack.instances}
        self._finished: set[int] = set()
        self._again: list[Again] = []
        self._plan = schedule(self._profile, list(self._instances), seed)

    def measure(self) -> Run:
        """Warm up, measure every block, and return the run."""
        return finish(self._recorder, self._measure_all)

    def _measure_all(self) -> None:
        middle = sorted(self._profile.levels)[len(self._profile.levels) // 2]
        for instance in self._instances.values():
            self._recorder.warm_up(instance, middle)
        self._recorder.announce(self._ahead_s())
        for number, planned in itertools.groupby(self._plan, key=lambda planned: planned.round):
            for one in planned:
                self._measure(one)
            self._measure_again(number / self._profile.rounds)

    def _measure_again(self, share: float) -> None:
        """At the end of a round, as long as the time allows: what is invalid, then what was disturbed, once it is calm.

        ``share``: of the session that is over. What cannot be measured again stays as it is.
        """
        recorder = self._recorder
        while self._again:
            self._again.sort(key=lambda again: again.usable)  # an invalid block is a hole
            again = self._again[0]
            others_s = sum(self._block_s(planned) for planned in self._plan if planned.index not in self._finished)
            allowance_s = recorder.timetable.allowance_s(others_s + self._block_s(again.planned), share)
            if allowance_s < CALM_PROBE_S or (again.usable and not recorder.await_calm(allowance_s)):
                over = allowance_s < CALM_PROBE_S
                why = "the time is over (--patience MINUTES)" if over else "the machine is not calm"
                recorder.progress.settling(len(self._again), why)
                self._again.clear()
                return
            del self._again[0]
            self._measure(again.planned, again.attempt, again.reason)

    def _measure(self, planned: Planned, attempt: int = 1, reason: str = "") -> None:
        """Measure a block; where it was disturbed or may become valid, it is put off to the end of its round."""
        recorder = self._recorder
        place = Place(
            index=planned.index,
            round=planned.round,
            backend=planned.backend,
            level=planned.level,
            attempt=attempt,
            settle_s=recorder.settle_s(planned.backend, planned.level),
            window_s=self._profile.duration_s,
            again=reason,
        )
        ahead_s = self._ahead_s() + (self._block_s(planned) if attempt > 1 else 0.0)
        blocks = recorder.measure([self._instances[planned.backend]], place, len(self._finished), ahead_s)
        self._finished.add(planned.index)
        usable = all(block.valid for block in blocks)
        if (may_pass(blocks) or (usable and reasons(blocks))) and attempt < self._profile.attempts:
            self._again.append(Again(planned=planned, attempt=attempt + 1, reason=reasons(blocks), usable=usable))
        recorder.progress.measured(blocks, len(self._finished))
        recorder.record(complete=False, stopped_by="unfinished")
        time.sleep(self._profile.gap_s)

    def _ahead_s(self) -> float:
        """About how long the blocks take that are not measured yet, and those to be measured again."""
        first = [planned for planned in self._plan if planned.index not in self._finished]
        return sum(map(self._block_s, (*first, *(again.planned for again in self._again))))

    def _block_s(self, planned: Planned) -> float:
        """About how long a block takes, with all that is around its window."""
        profile, place = self._profile, (planned.backend, planned.level)
        edges_s = self._recorder.settle_s(*place) + self._recorder.drain_s(*place)
        return edges_s + profile.duration_s + profile.gap_s + BLOCK_OVERHEAD_S
