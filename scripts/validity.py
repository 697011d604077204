"""Whether a block's numbers mean what they say. Pure: every rule looks at what was measured, none measures."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.model import Load, Resources, ValidityBounds, Violation

RULES = {
    "generator": "k6 used so much CPU that it may itself have been the limit",
    "dropped": "k6 could not start iterations that were due",
    "failed": "requests failed",
    "wrong": "answers did not have the contract's counts",
    "empty": "no request was answered inside the window",
    "concurrency": "requests x latency does not give the active users (Little's law)",
    "foreign": "processes outside the session took CPU",
    "steal": "the hypervisor took CPU away",
    "limits": "the backend's limits or CPUs were not in force",
    "shared": "database and generator used up the CPUs that they share",
}
"""What can be wrong, in words for people."""


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
) -> tuple[Violation, ...]:
    """Every reason why a block does not count.

    ``missing_limits`` says in words what was not in force; ``other_cpus`` is how many CPUs the database and the
    generator have between them.
    """

    def violations() -> Iterator[Violation]:
        def say(rule: str, detail: str, *, passing: bool = False) -> Violation:
            return Violation(rule=rule, detail=detail, passing=passing)

        for missing in missing_limits:
            yield say("limits", missing)
        if load.failed:
            reasons = ", ".join(f"{count} x {reason}" for reason, count in sorted(load.failures.items()))
            yield say("failed", f"{load.failed} of {load.requests} requests failed: {reasons}")
        if wrong_answers:
            yield say("wrong", f"{wrong_answers} of {load.requests} answers were wrong")
        if dropped_iterations:
            yield say("dropped", f"{dropped_iterations} iterations dropped", passing=True)
        if load.latency is None:
            yield say("empty", f"no request was answered inside the window of {load.window_s:g} s")
        elif not _close(load.throughput_rps * load.latency.mean_ms / 1000, level, bounds.concurrency_tolerance):
            seen = load.throughput_rps * load.latency.mean_ms / 1000
            yield say(
                "concurrency",
                f"{load.throughput_rps:.1f} requests/s x {load.latency.mean_ms:.1f} ms = {seen:.1f} users in flight, "
                f"not {level} within {bounds.concurrency_tolerance:.0%}",
                passing=True,
            )
        if resources.generator_cpus > bounds.generator_cpus:
            yield say("generator", f"k6 used {resources.generator_cpus:.2f} CPUs (bound {bounds.generator_cpus:g})")
        if resources.foreign_cpus > bounds.foreign_cpus:
            detail = f"others used {resources.foreign_cpus:.2f} CPUs (bound {bounds.foreign_cpus:g})"
            yield say("foreign", detail, passing=True)
        if resources.steal_cpus > bounds.steal_cpus:
            detail = f"the hypervisor took {resources.steal_cpus:.2f} CPUs (bound {bounds.steal_cpus:g})"
            yield say("steal", detail, passing=True)
        used = resources.generator_cpus + resources.database_cpu_s / resources.wall_s
        if used > bounds.shared_cpus * other_cpus:
            bound = bounds.shared_cpus * other_cpus
            yield say("shared", f"database and k6 used {used:.2f} of their {other_cpus} CPUs (bound {bound:.2f})")

    return tuple(violations())


def _close(value: float, wanted: float, tolerance: float) -> bool:
    return abs(value - wanted) <= tolerance * wanted
