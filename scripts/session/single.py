"""A session of one arm: the schedule of its blocks, warm-up, measuring, repeating, interruption. It yields a run."""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterable, Sequence

from scripts.model import Profile, Run, Struct
from scripts.session.block import Place
from scripts.session.recorder import Recorder, finish, may_pass
from scripts.stack import Instance

BLOCK_OVERHEAD_S = 0.7


class Planned(Struct):
    """A block to be measured."""

    index: int
    round: int
    backend: str
    level: int


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
        self._plan = schedule(self._profile, list(self._instances), seed)

    def measure(self) -> Run:
        """Warm up, measure every block, and return the run."""
        return finish(self._recorder, self._measure_all)

    def _measure_all(self) -> None:
        middle = sorted(self._profile.levels)[len(self._profile.levels) // 2]
        for instance in self._instances.values():
            self._recorder.warm_up(instance, middle)
        for _, planned in itertools.groupby(self._plan, key=lambda planned: planned.round):
            self._measure_round(planned)

    def _measure_round(self, round_: Iterable[Planned]) -> None:
        """Measure the blocks of a round; one that is invalid for reasons that may pass is put off to its end."""
        queue = deque((planned, 1) for planned in round_)
        while queue:
            planned, attempt = queue.popleft()
            place = Place(
                index=planned.index,
                round=planned.round,
                backend=planned.backend,
                level=planned.level,
                attempt=attempt,
                settle_s=self._recorder.settle_s(planned.backend, planned.level),
                window_s=self._profile.duration_s,
            )
            instance = self._instances[planned.backend]
            blocks = self._recorder.measure([instance], place, len(self._finished), self._remaining_s())
            if may_pass(blocks) and attempt < self._profile.attempts:
                queue.append((planned, attempt + 1))
            else:
                self._finished.add(planned.index)
            self._recorder.progress.measured(blocks, len(self._finished))
            self._recorder.record(complete=False, stopped_by="unfinished")
            self._recorder.pause(blocks)

    def _remaining_s(self) -> float:
        """About how long the blocks that are not finished will take."""
        ahead = [planned for planned in self._plan if planned.index not in self._finished]
        edges = sum(
            self._recorder.settle_s(p.backend, p.level) + self._recorder.drain_s(p.backend, p.level) for p in ahead
        )
        return edges + len(ahead) * (self._profile.duration_s + self._profile.gap_s + BLOCK_OVERHEAD_S)
