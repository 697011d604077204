"""Cages of the v1 hierarchies (the kernel's Documentation/admin-guide/cgroup-v1)."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.model import Limits
from scripts.stack.cage import MIB, PERIOD_US, Cage, enter, read_number, remove_group


class V1Cage(Cage):
    """One group in each of the v1 hierarchies ``cpu``, ``cpuacct`` and ``memory``.

    ``paths``: by controller; made by `create`, or there already (a container's).
    """

    def __init__(self, name: str, cpus: str, limits: Limits | None, paths: Mapping[str, Path]) -> None:
        super().__init__(name, cpus, limits)
        self._paths = dict(paths)
        self._peak_is_ours = True

    def create(self) -> V1Cage:
        """Make the groups and set their limits (needs root or a delegated parent)."""
        for path in self._paths.values():
            path.mkdir(parents=True, exist_ok=True)
        self.enforce(self.limits)
        return self

    def enforce(self, limits: Limits | None) -> None:
        super().enforce(limits)
        if limits is not None:
            (self._paths["cpu"] / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (self._paths["cpu"] / "cpu.cfs_quota_us").write_text(str(int(limits.cpus * PERIOD_US)))
            memory, size = self._paths["memory"], str(limits.memory_mb * MIB)
            with contextlib.suppress(OSError):  # only where the kernel counts swap; it may never be less than memory
                (memory / "memory.memsw.limit_in_bytes").write_text("-1")
            (memory / "memory.limit_in_bytes").write_text(size)
            with contextlib.suppress(OSError):
                (memory / "memory.memsw.limit_in_bytes").write_text(size)

    def wrap(self, argv: Sequence[str]) -> list[str]:
        return enter([path / "cgroup.procs" for path in set(self._paths.values())], self._pinned(argv))

    def pids(self) -> list[int]:
        return [int(pid) for pid in (self._paths["cpuacct"] / "cgroup.procs").read_text().split()]

    def cpu_s(self) -> float:
        return self._counter(self._paths["cpuacct"] / "cpuacct.usage") / 1e9

    def throttled_s(self) -> float:
        return self._counter(self._paths["cpu"] / "cpu.stat", "throttled_time") / 1e9

    def memory_mb(self) -> float:
        return self._counter(self._paths["memory"] / "memory.stat", "total_rss") / MIB

    def peak_memory_mb(self) -> float | None:
        memory = self._paths["memory"]
        cache = self._counter(memory / "memory.stat", "total_cache")
        peak = max(0, self._counter(memory / "memory.max_usage_in_bytes") - cache) / MIB
        return peak if self._peak_is_ours else None

    def reset_peak(self) -> None:
        try:
            (self._paths["memory"] / "memory.max_usage_in_bytes").write_text("0")
        except PermissionError:  # a container's group is the engine's: without root its peak is that of its whole life
            self._peak_is_ours = False

    def limits_in_force(self) -> Limits | None:
        quota = read_number(self._paths["cpu"] / "cpu.cfs_quota_us")
        memory = read_number(self._paths["memory"] / "memory.limit_in_bytes")
        if quota <= 0 or memory >= 1 << 60:
            return None
        period = read_number(self._paths["cpu"] / "cpu.cfs_period_us")
        return Limits(cpus=quota / period, memory_mb=memory // MIB)

    def close(self) -> None:
        for path in set(self._paths.values()):
            remove_group(path)
