"""Cages for users who are not root: transient systemd scopes (systemd-run(1))."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from scripts.model import Limits
from scripts.stack.cgroup_v2 import V2Cage

UNIFIED = Path("/sys/fs/cgroup")
NOWHERE = Path("/nonexistent")


class ScopeCage(V2Cage):
    """A transient systemd scope of the user's own manager: limits for users who are not root."""

    def __init__(self, name: str, cpus: str, limits: Limits | None) -> None:
        super().__init__(name, cpus, limits, NOWHERE)
        self._unit = name.replace("/", "-") + ".scope"

    @property
    def path(self) -> Path:
        """The scope's group: systemd says where, once the scope has its process."""
        if self._path == NOWHERE:
            show = ["systemctl", "--user", "show", "--property=ControlGroup", "--value", self._unit]
            group = subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip()
            if group:
                self._path = UNIFIED / group.lstrip("/")
        return self._path

    def wrap(self, argv: Sequence[str]) -> list[str]:
        properties = []
        if self.limits is not None:
            properties = [
                f"--property=CPUQuota={self.limits.cpus:.0%}",
                f"--property=MemoryMax={self.limits.memory_mb}M",
                "--property=MemorySwapMax=0",
            ]
        accounting = ["--property=CPUAccounting=yes", "--property=MemoryAccounting=yes"]
        scope = ["systemd-run", "--user", "--scope", "--quiet", "--collect", f"--unit={self._unit}"]
        return [*scope, *accounting, *properties, "--", *self._pinned(argv)]

    def enforce(self, limits: Limits | None) -> None:
        """They are the next scope's: the last one went with its processes."""
        self.limits = limits

    def close(self) -> None:
        """systemd removes the scope with its last process."""


def scope_works() -> bool:
    if shutil.which("systemd-run") is None:
        return False
    try:
        command = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "true"]
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
