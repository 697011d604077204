"""Cages of the unified hierarchy (the kernel's Documentation/admin-guide/cgroup-v2.rst)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from scripts.model import Limits
from scripts.stack.cage import MIB, PERIOD_US, Cage, enter, remove_group


class V2Cage(Cage):
    """One group of the unified hierarchy. ``path`` is made here, or exists already (a systemd scope)."""

    def __init__(self, name: str, cpus: str, limits: Limits | None, path: Path) -> None:
        super().__init__(name, cpus, limits)
        self._path = path

    @property
    def path(self) -> Path:
        return self._path

    def create(self) -> V2Cage:
        """Make the group and set its limits (needs root or a delegated parent)."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.enforce(self.limits)
        return self

    def enforce(self, limits: Limits | None) -> None:
        super().enforce(limits)
        if limits is not None:
            (self.path / "cpu.max").write_text(f"{int(limits.cpus * PERIOD_US)} {PERIOD_US}")
            (self.path / "memory.max").write_text(str(limits.memory_mb * MIB))
            with contextlib.suppress(OSError):  # only where the kernel counts swap
                (self.path / "memory.swap.max").write_text("0")

    def wrap(self, argv: Sequence[str]) -> list[str]:
        return enter([self.path / "cgroup.procs"], self._pinned(argv))

    def pids(self) -> list[int]:
        path = self.path / "cgroup.procs"
        return [int(pid) for pid in path.read_text().split()] if path.exists() else []

    def cpu_s(self) -> float:
        return self._counter(self.path / "cpu.stat", "usage_usec") / 1e6

    def throttled_s(self) -> float:
        return self._counter(self.path / "cpu.stat", "throttled_usec") / 1e6

    def memory_mb(self) -> float:
        return self._counter(self.path / "memory.stat", "anon") / MIB

    def limits_in_force(self) -> Limits | None:
        try:
            quota, period = (self.path / "cpu.max").read_text().split()
            memory = (self.path / "memory.max").read_text().strip()
        except FileNotFoundError:  # no such controller here, as in a scope that nobody asked a limit for
            return None
        if quota == "max" or memory == "max":
            return None
        return Limits(cpus=int(quota) / int(period), memory_mb=int(memory) // MIB)

    def close(self) -> None:
        remove_group(self.path)
