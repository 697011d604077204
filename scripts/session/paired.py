"""A paired session: two versions of each backend measured against each other in one session on one machine.

A *pair* is a block of each arm at one level, close together in time: in the layout ``duet`` both arms are loaded at
once, on the same core; in the layout ``alternating`` one after the other. Processes of the same code differ for as long
as they live (hash seed, memory layout), so every round starts both arms anew: the round is the unit of statistics, and
the pairs within it only make it more exact (Kalibera and Jones, "Rigorous benchmarking in reasonable time", ISMM 2013).
Which arm comes first alternates from pair to pair, and from round to round. In every second round the arms have changed
places: port, folder, control group and database account of one arm differ from the other's too, and the same code was
measured 0.3% slower in one place than in the other.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence

from scripts.model import Block, Layout, Run, Struct
from scripts.session.block import Place
from scripts.session.recorder import Recorder, finish, may_pass, reasons
from scripts.stack import Instance

RESTART_S = 1.5
"""About how long one arm takes to start; only for the time that is shown as left."""

Undecided = Callable[[], Collection[str]]
"""The backends that need another round, by what has been measured so far."""


class Pair(Struct):
    """A pair to be measured; ``candidate_first`` also says which arm is started first."""

    round: int
    backend: str
    level: int
    candidate_first: bool


def schedule_round(
    number: int, backends: Sequence[str], levels: Sequence[int], pairs: int, seed: int
) -> Iterator[tuple[str, list[Pair]]]:
    """For each backend, in an order drawn from ``seed``, its pairs of the round: each level ``pairs`` times, shuffled.

    Over a backend's pairs in all rounds, the arms take turns in being first: exactly balanced after every second
    round, and as nearly as can be in between.
    """
    chance = random.Random(f"{seed}/{number}")
    for backend in chance.sample(list(backends), len(backends)):
        places = [level for level in levels for _ in range(pairs)]
        chance.shuffle(places)
        flip = bool(random.Random(f"{seed}/{backend}").getrandbits(1)) ^ bool(number % 2)
        yield (
            backend,
            [
                Pair(round=number, backend=backend, level=level, candidate_first=bool(index % 2) ^ flip)
                for index, level in enumerate(places)
            ],
        )


class PairedSession:
    """Measures round after round, each with new processes, until nothing is undecided or the profile's rounds are over.

    The stack must have both arms of each backend. `measure` returns the run, complete or not.
    """

    def __init__(self, recorder: Recorder, seed: int, layout: Layout, undecided: Undecided) -> None:
        self._recorder, self._seed, self._layout, self._undecided = recorder, seed, layout, undecided
        self._profile = recorder.profile
        self._arms: dict[str, dict[str, Instance]] = {}
        for instance in recorder.stack.instances:
            self._arms.setdefault(instance.target.backend.name, {})[instance.target.arm] = instance
        self._order = list(self._arms)
        self._index = self._done = 0

    def measure(self) -> Run:
        return finish(self._recorder, self._measure_all)

    def _measure_all(self) -> None:
        profile = self._profile
        for arms in self._arms.values():
            self._recorder.warm_up(arms["candidate"], profile.levels[0])
        self._recorder.announce(self._ahead_s(1))
        for number in range(1, profile.rounds + 1):
            backends = self._undecided() if number > 1 else list(self._arms)
            if not backends:
                return
            self._order, self._done = [name for name in self._arms if name in backends], 0
            for backend, pairs in schedule_round(number, self._order, profile.levels, profile.pairs, self._seed):
                if number > 1:
                    self._recorder.stack.exchange(*self._arms[backend].values())
                self._restart(backend, number, candidate_first=pairs[0].candidate_first)
                for count, pair in enumerate(pairs):
                    self._measure_pair(pair, fresh=count == 0)

    def _restart(self, backend: str, number: int, *, candidate_first: bool) -> None:
        """New processes and databases. Both arms get one seed: what a memory layout does to one it does to both."""
        seed = random.Random(f"{self._seed}/{backend}/{number}").randrange(1, 2**32)
        for instance in self._in_order(backend, candidate_first=candidate_first):
            instance.restart(seed)

    def _in_order(self, backend: str, *, candidate_first: bool) -> list[Instance]:
        arms = self._arms[backend]
        return [arms[arm] for arm in (("candidate", "baseline") if candidate_first else ("baseline", "candidate"))]

    def _measure_pair(self, pair: Pair, *, fresh: bool) -> None:
        """Measure a pair; ``fresh`` processes are loaded for a while before it counts.

        It is measured again, as long as the time allows, where it is invalid for what may pass, or where what disturbed
        one arm did not disturb the other: a duet's arms suffer at once, so that their ratio is as good as any.
        """
        recorder, profile = self._recorder, self._profile
        instances = self._in_order(pair.backend, candidate_first=pair.candidate_first)
        self._index += 1
        together = [instances] if self._layout == "duet" else [[instance] for instance in instances]
        again = ""
        for attempt in range(1, profile.attempts + 1):
            settle_s = recorder.settle_s(pair.backend, pair.level, share=1 / len(together[0]))
            if fresh and attempt == 1:
                settle_s += profile.warmup_s
            blocks: list[Block] = []
            for part, some in enumerate(together):
                place = Place(
                    index=self._index,
                    round=pair.round,
                    backend=pair.backend,
                    level=pair.level,
                    attempt=attempt,
                    settle_s=settle_s,
                    window_s=profile.duration_s,
                    generation=pair.round,
                    part=part,
                    again=again,
                )
                blocks += recorder.measure(some, place, self._index - 1, self._ahead_s(pair.round))
            recorder.progress.measured(blocks, self._index)
            recorder.record(complete=False, stopped_by="unfinished")
            time.sleep(profile.gap_s)
            again = reasons(blocks)
            apart = self._layout == "alternating" and all(block.valid for block in blocks)
            share = pair.round / profile.rounds
            if (
                not (may_pass(blocks) or (apart and again))
                or recorder.timetable.allowance_s(self._ahead_s(pair.round), share) < 0
            ):
                break
        self._done += 1

    def _ahead_s(self, round_: int) -> float:
        """About how long the rest takes if every round is needed, for the backends that this one is for."""
        profile = self._profile
        parts = 1 if self._layout == "duet" else 2
        per_pair = sum(
            parts * (profile.duration_s + self._recorder.settle_s(name, level, parts / 2))
            + 2 * self._recorder.drain_s(name, level)
            for name in self._order
            for level in profile.levels
        )
        per_round = profile.pairs * per_pair + len(self._order) * (profile.warmup_s + 2 * RESTART_S)
        done = self._done / (profile.pairs * len(self._order) * len(profile.levels))
        return per_round * (profile.rounds - round_ + 1 - done)
