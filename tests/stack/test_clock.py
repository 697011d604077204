"""A wall clock that steps or drifts is noticed; one that goes as it should is left alone."""

from __future__ import annotations

import time

import pytest

from scripts.stack import clock
from scripts.stack.clock import Reading

READINGS = [Reading(number / 4, 0.0) for number in range(40)]


def moved(since: float, until: float, by: float) -> list[Reading]:
    """The readings of ten seconds, with the wall clock ahead for some of them."""
    return [Reading(at, by if since <= at < until else 0.0) for at, _ in READINGS]


@pytest.mark.parametrize(
    ("readings", "error_s"),
    [
        (READINGS, 0.0),
        ([], 0.0),
        (moved(5, 99, 0.14), 0.14),
        (moved(5, 99, -0.14), -0.14),
        (moved(5, 6, 3600), 3600),
        ([Reading(at, 0.08 * at) for at, _ in READINGS], 0.24),
        ([Reading(at, -0.0005 * at) for at, _ in READINGS], -0.0015),
    ],
)
def test_what_is_wrong_over_a_window_of_three_seconds(readings: list[Reading], error_s: float) -> None:
    """A step, there and back; a slew of 8% as chrony's, and of 0.05% as the kernel's."""
    assert abs(clock.error_s(readings, 3.0)) == pytest.approx(abs(error_s))
    if readings and readings[-1].ahead_s:
        assert clock.error_s(readings, 3.0) == pytest.approx(error_s)


def test_a_step_between_two_readings_that_lie_far_apart_is_seen() -> None:
    """A window may be shorter than what lies between two readings."""
    assert clock.error_s([Reading(0, 0), Reading(2, 0.1)], 1.0) == pytest.approx(0.1)


def test_waiting_between_the_two_clocks_is_no_step() -> None:
    """The process loses its CPU for 50 ms in four of five tries."""
    now = [100.0]
    waits = iter([0.05, 0, 0, 0.05, 0, 0, 0, 0, 0, 0.05, 0, 0, 0, 0.05, 0])

    def tick() -> float:
        now[0] += next(waits)
        return now[0]

    assert clock.read(lambda: tick() + 1e9, tick).ahead_s == pytest.approx(1e9, abs=1e-6)


def test_this_machines_clocks_agree() -> None:
    readings = []
    for _ in range(20):
        readings.append(clock.read())
        time.sleep(0.01)
    assert abs(clock.error_s(readings, 1.0)) < 0.001
