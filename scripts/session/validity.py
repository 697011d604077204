"""Whether a block's numbers mean what they say. Pure: every rule looks at what was measured, none measures."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.config import ValidityBounds
from scripts.model import Disturbance, Load, Resources, Violation

RULES = {
    "generator": "k6 used so much CPU that it may itself have been the limit",
    "dropped": "k6 could not start iterations that were due",
    "failed": "requests failed",
    "wrong": "answers did not have the contract's counts",
    "empty": "no request was answered inside the window",
    "concurrency": "requests x latency does not give the active users (Little's law)",
    "limits": "the backend's limits or CPUs were not in force",
    "shared": "database and generator used up the CPUs that they share",
    "clock": "the wall clock, by which k6 stamps requests, was set or drifted",
}
"""What can be wrong, in words for people."""
PASSING = ("dropped", "concurrency", "clock")
"""What may have come from outside: measured again, a block may be valid."""
DISTURBING = {
    "foreign": "processes outside the session took CPU",
    "steal": "the hypervisor took CPU away",
}
"""What makes numbers noisier and not wrong, in words for people."""


def judge(
    bounds: ValidityBounds,
    *,
    level: int,
    load: Load,
    resources: Resources,
    wrong_answers: int,
    dropped_iterations: int,
    missing_limits: tuple[str, ...],
    other_cpus: int,
    clock_error_s: float,
) -> tuple[Violation, ...]:
    """Every reason why a block does not count.

    ``missing_limits`` says in words what was not in force; ``other_cpus`` is how many CPUs the database and the
    generator have between them; ``clock_error_s``: by how much the wall clock was wrong over a window.
    """

    def violations() -> Iterator[Violation]:
        def say(rule: str, detail: str) -> Violation:
            return Violation(rule=rule, detail=detail, passing=rule in PASSING)

        for missing in missing_limits:
            yield say("limits", missing)
        if load.failed:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in sorted(load.failures.items()))
            yield say("failed", f"{load.failed} of {load.requests} requests failed: {reasons}")
        if wrong_answers:
            yield say("wrong", f"{wrong_answers} of {load.requests} answers were wrong")
        if dropped_iterations:
            yield say("dropped", f"{dropped_iterations} iterations dropped")
        if load.latency is None:
            yield say("empty", f"no request was answered inside the window of {load.window_s:g} s")
        elif not _close(load.throughput_rps * load.latency.mean_ms / 1000, level, bounds.concurrency_tolerance):
            seen = load.throughput_rps * load.latency.mean_ms / 1000
            yield say(
                "concurrency",
                f"{load.throughput_rps:.1f} requests/s x {load.latency.mean_ms:.1f} ms = {seen:.1f} users in flight, "
                f"not {level} within {bounds.concurrency_tolerance:.0%}",
            )
        if resources.generator_cpus > bounds.generator_cpus:
            yield say("generator", f"k6 used {resources.generator_cpus:.2f} CPUs (bound {bounds.generator_cpus:g})")
        used = resources.generator_cpus + resources.database_cpu_s / resources.wall_s
        if used > bounds.shared_cpus * other_cpus:
            bound = bounds.shared_cpus * other_cpus
            yield say("shared", f"database and k6 used {used:.2f} of their {other_cpus} CPUs (bound {bound:.2f})")

        bound_ms = 1000 * bounds.clock_tolerance * load.window_s
        if abs(clock_error_s) * 1000 > bound_ms:
            moved = f"the wall clock moved by {1000 * clock_error_s:+.1f} ms against the steady one"
            yield say("clock", f"{moved} within a window (bound {bound_ms:.1f} ms)")

    return tuple(violations())


def disturbances(bounds: ValidityBounds, resources: Resources) -> tuple[Disturbance, ...]:
    """Who took more CPU than the bounds allow while a block was measured."""
    taken = {
        "foreign": (resources.foreign_cpus, bounds.foreign_cpus, "others used"),
        "steal": (resources.steal_cpus, bounds.steal_cpus, "the hypervisor took"),
    }
    return tuple(
        Disturbance(rule=rule, detail=f"{who} {cpus:.2f} CPUs (bound {bound:g})", cpus=cpus)
        for rule, (cpus, bound, who) in taken.items()
        if cpus > bound
    )


def _close(value: float, wanted: float, tolerance: float) -> bool:
    return abs(value - wanted) <= tolerance * wanted
