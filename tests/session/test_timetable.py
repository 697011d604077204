"""The time that a session takes, by a clock of the test's own: announced, kept to, counted down."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.model import Block, Profile, Run
from scripts.session.block import Place
from scripts.session.paired import PairedSession
from scripts.session.single import Session
from scripts.session.timetable import EXTRA, LATE, Timetable
from tests.factories import LIMITED_BY_K6, make_block, make_run
from tests.test_model import taken

PASSING = msgspec.structs.replace(LIMITED_BY_K6, rule="concurrency")


class Clock:
    """Seconds that pass only where the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Machine:
    """What a session asks of a recorder, on a machine that others disturb for a ``share`` of the time.

    A block takes what is expected of it, give or take ``error``. ``told``: what was left at each block, and whether it
    was measured again.
    """

    def __init__(self, profile: Profile, share: float, error: float, seed: int, layout: str = "") -> None:
        self.clock, self.profile, self.share, self.error = Clock(), profile, share, error
        self.chance = random.Random(seed)
        self.blocks: list[Block] = []
        self.told: list[tuple[float, float, bool]] = []
        self.waited_s = 0.0
        self.settled = 0
        arms = ("candidate", "baseline") if layout else ("candidate",)
        targets = [(arm, SimpleNamespace(name=name)) for name in ("fastapi", "django_wsgi") for arm in arms]
        self.progress: Any = SimpleNamespace(measured=lambda *_: None, settling=self.settle)
        self.stack: Any = SimpleNamespace(
            instances=[
                SimpleNamespace(target=SimpleNamespace(arm=a, backend=b), restart=self.started) for a, b in targets
            ],
            exchange=lambda *_: None,
        )

    def settle(self, number: int, why: str) -> None:
        assert why
        self.settled += number

    def started(self, _seed: int) -> None:
        self.clock.now += 1.5

    def warm_up(self, *_: object) -> None:
        self.clock.now += self.profile.warmup_s

    def settle_s(self, backend: str, level: int, share: float = 1.0) -> float:
        return 0.5 + 0.02 * level / share

    def drain_s(self, backend: str, level: int) -> float:
        return 0.02 * level

    def announce(self, ahead_s: float) -> None:
        self.timetable = Timetable(ahead_s, self.profile.patience_s, self.clock)
        self.began = self.clock.now

    def disturbed(self) -> bool:
        return self.chance.random() < self.share

    def measure(self, instances: list[Any], place: Place, finished: int, ahead_s: float) -> list[Block]:
        assert bool(place.again) == (place.attempt > 1), "why it is measured again is said"
        self.timetable.expect(ahead_s, again=bool(place.again))
        self.told.append((self.clock.now, self.timetable.left_s, bool(place.again) or self.timetable.late))
        expected_s = place.settle_s + place.window_s + self.drain_s(place.backend, place.level) * len(instances) + 0.7
        self.clock.now += expected_s * self.chance.uniform(1 - self.error, 1 + self.error)
        cpus = self.chance.uniform(0.11, 1.0) if self.disturbed() else 0.0
        violations = (PASSING,) if self.chance.random() < self.share / 4 else ()
        made = [
            msgspec.structs.replace(
                make_block(place.backend, place.level, place.round, index=place.index, attempt=place.attempt),
                arm=instance.target.arm,
                disturbances=taken(cpus),
                violations=violations,
            )
            for instance in instances
        ]
        self.blocks += made
        return made

    def await_calm(self, limit_s: float) -> bool:
        before = self.clock.now
        while self.clock.now - before < limit_s - 4:
            self.clock.now += 0.5
            if not self.disturbed():
                return True
            self.clock.now += 3.0
        self.waited_s += self.clock.now - before
        return False

    def record(self, **_: object) -> Run:
        return make_run()

    @property
    def took_s(self) -> float:
        return self.clock.now - self.began


profiles = st.builds(
    Profile,
    name=st.just("x"),
    levels=st.sampled_from([(5,), (5, 20), (10, 50, 100)]),
    rounds=st.integers(1, 4),
    duration_s=st.sampled_from([1.0, 3.0, 10.0]),
    warmup_s=st.just(2.0),
    patience_s=st.sampled_from([None, 0.0, 20.0, 600.0]),
)
errors = st.sampled_from([0.0, 0.05, 0.2])


def assert_counted_down(machine: Machine) -> None:
    for (before, left, _), (now, less, named) in zip(machine.told, machine.told[1:], strict=False):
        if not named:
            assert less <= max(left - (now - before), 0.0) + 1e-6, "the time left grew, and nobody said why"


@settings(deadline=None)
@given(profiles, st.floats(0, 1), errors, st.integers(0, 2**32))
def test_a_session_ends_in_time_with_every_block(profile: Profile, share: float, error: float, seed: int) -> None:
    machine = Machine(profile, share, error, seed)
    Session(machine, seed)._measure_all()  # type: ignore[arg-type]
    timetable = machine.timetable
    assert machine.took_s <= timetable.most_s + error * timetable.most_s + 1e-6
    assert timetable.most_s == pytest.approx(
        timetable.announced_s + (EXTRA * timetable.announced_s if profile.patience_s is None else profile.patience_s)
    )
    places = {(block.backend, block.level, block.round) for block in machine.blocks}
    assert len(places) == 2 * len(profile.levels) * profile.rounds
    assert max(block.attempt for block in machine.blocks) <= profile.attempts
    assert_counted_down(machine)
    if not share:
        assert len(machine.blocks) == len(places)
        assert machine.told[-1][1] <= machine.took_s


def test_where_nobody_rests_the_time_is_used_to_wait_and_every_block_is_there() -> None:
    profile = Profile(name="x", levels=(10, 50), rounds=2, duration_s=3.0, warmup_s=2.0)
    machine = Machine(profile, 1.0, 0.0, 1)
    machine.chance.random = lambda: 0.99  # type: ignore[method-assign]  # never calm, never invalid
    Session(machine, 1)._measure_all()  # type: ignore[arg-type]
    assert {block.attempt for block in machine.blocks} == {1}
    assert machine.settled == 8
    assert machine.waited_s > 0
    assert machine.took_s <= 1.5 * machine.timetable.announced_s


def test_what_is_invalid_is_measured_again_before_what_was_disturbed() -> None:
    profile = Profile(name="x", levels=(10,), rounds=1, duration_s=3.0, warmup_s=2.0, patience_s=60.0)
    machine = Machine(profile, 0.0, 0.0, 1)
    outcomes = [(taken(0.3), ()), ((), (PASSING,)), ((), ()), ((), ())]
    measure = machine.measure

    def scripted(*arguments: Any) -> list[Block]:
        disturbances, violations = outcomes.pop(0)
        made = measure(*arguments)
        machine.blocks[-1:] = [msgspec.structs.replace(made[0], disturbances=disturbances, violations=violations)]
        return machine.blocks[-1:]

    machine.measure = scripted  # type: ignore[assignment,method-assign]
    Session(machine, 1)._measure_all()  # type: ignore[arg-type]
    first, second, third, fourth = machine.blocks
    assert (third.backend, fourth.backend) == (second.backend, first.backend)
    assert {third.attempt, fourth.attempt} == {2}


@settings(deadline=None, max_examples=50)
@given(profiles, st.floats(0, 1), st.sampled_from(["duet", "alternating"]), st.integers(0, 2**32))
def test_a_duet_repeats_nothing_that_only_was_disturbed(profile: Profile, share: float, layout: Any, seed: int) -> None:
    machine = Machine(profile, share, 0.05, seed, layout)
    PairedSession(machine, seed, layout, lambda: ["fastapi", "django_wsgi"])._measure_all()  # type: ignore[arg-type]
    again = {(block.index, block.attempt) for block in machine.blocks if block.attempt > 1}
    if layout == "duet":
        invalid = {(b.index, b.attempt + 1) for b in machine.blocks if not b.valid}
        assert again <= invalid
    assert len({block.index for block in machine.blocks}) == 2 * len(profile.levels) * profile.rounds
    assert_counted_down(machine)


def test_what_is_left_runs_with_the_clock_and_grows_only_where_it_is_said_why() -> None:
    clock = Clock()
    times = Timetable(100.0, None, clock)
    assert (times.announced_s, times.most_s, times.left_s) == (100.0, 150.0, 100.0)
    clock.now += 10
    assert times.left_s == 90
    times.expect(95.0)  # a little slower than thought: it goes on counting down
    assert (times.left_s, times.late) == (90.0, False)
    times.expect(80.0)
    assert times.left_s == 80
    times.expect(88.0, again=True)
    assert (times.left_s, times.late) == (88.0, False)
    times.expect(88.0 + 100 * LATE + 1)  # much slower: that is said
    assert times.late
    assert times.left_s == 99
    clock.now += 200
    assert times.left_s == 0
    assert times.allowance_s(0.0, 1.0) == 150 - 210


def test_the_first_round_does_not_take_all_that_there_is() -> None:
    times = Timetable(100.0, 40.0, Clock())
    assert [times.allowance_s(100.0, share) for share in (0.25, 0.5, 1.0)] == [10.0, 20.0, 40.0]
