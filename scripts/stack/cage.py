"""A cage: a set of processes with limits and CPUs, whose use is counted; and one without a control group."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from scripts.cpus import parse_cpu_list
from scripts.model import Limits

PERIOD_US = 100_000
MIB = 1024 * 1024
MARK = "BENCH_CAGE"
"""The variable that a process without control groups has its cage's name in."""


class Cage(ABC):
    """A set of processes with limits, pinned to CPUs, whose use is counted by the kernel."""

    def __init__(self, name: str, cpus: str, limits: Limits | None) -> None:
        self.name = name
        self.cpus = cpus
        self.limits = limits
        self._seen: dict[tuple[Path, str | None], int] = {}

    @abstractmethod
    def wrap(self, argv: Sequence[str]) -> list[str]:
        """The command that enters the cage and then becomes ``argv``."""

    @abstractmethod
    def pids(self) -> list[int]: ...

    @abstractmethod
    def cpu_s(self) -> float:
        """CPU seconds used so far by every process that was ever in the cage."""

    @abstractmethod
    def throttled_s(self) -> float:
        """Seconds so far during which the quota kept a runnable process waiting."""

    @abstractmethod
    def memory_mb(self) -> float:
        """Memory that the cage's processes have of their own now.

        The kernel charges a file's pages to whoever reads them first, so page cache would tell who came first.
        """

    def peak_memory_mb(self) -> float | None:
        """The most since `reset_peak`, page cache left out; None where the kernel keeps no peak that can be reset.

        (Unified hierarchies have ``memory.peak``, but before Linux 6.12 it cannot be reset.)
        """
        return None

    def reset_peak(self) -> None:  # noqa: B027  not abstract: most kernels keep no peak that could be reset
        """Let the kernel's peak begin at what is used now."""

    @abstractmethod
    def limits_in_force(self) -> Limits | None:
        """The limits as the kernel has them now; None where there are none."""

    def enforce(self, limits: Limits | None) -> None:
        """Set limits for the processes that start in it from now on."""
        self.limits = limits

    @abstractmethod
    def close(self) -> None:
        """Remove the group; the processes must have ended."""

    def missing(self) -> list[str]:
        """What of the intended limits and CPUs is not in force, in words."""
        found = []
        in_force = self.limits_in_force()
        if self.limits is not None and in_force != self.limits:
            found.append(f"limits are {in_force}, not {self.limits}")
        wanted = parse_cpu_list(self.cpus)
        for pid in self.pids():
            with contextlib.suppress(OSError):
                cpus = os.sched_getaffinity(pid)
                if cpus != wanted:
                    found.append(f"process {pid} may run on CPUs {sorted(cpus)}, not {sorted(wanted)}")
        return found

    def _counter(self, path: Path, key: str | None = None) -> int:
        """A number of the group; of one that is gone (a scope or a container takes it along) the last that was seen."""
        try:
            self._seen[path, key] = read_number(path, key)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise
        return self._seen.get((path, key), 0)

    def _pinned(self, argv: Sequence[str]) -> list[str]:
        return ["taskset", "--cpu-list", self.cpus, *argv]


def enter(files: Sequence[Path], argv: Sequence[str]) -> list[str]:
    """A shell that writes its own id into each ``cgroup.procs`` and becomes ``argv``."""
    script = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 125; shift; done; shift; exec "$@"'
    return ["sh", "-c", script, "sh", *map(str, files), "--", *argv]


def read_number(path: Path, key: str | None = None) -> int:
    text = path.read_text()
    if key is None:
        return int(text)
    found = re.search(rf"^{key} (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def remove_group(path: Path) -> None:
    """Remove a control group as soon as the kernel has let go of its last process."""
    for _ in range(50):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return


class OpenCage(Cage):
    """No control group at all: no limits, and counters summed over the processes of one session (``setsid``)."""

    def __init__(self, name: str, cpus: str, limits: Limits | None) -> None:
        super().__init__(name, cpus, limits)
        self._leader: int | None = None
        self._marker = f"{MARK}={name}-{os.getpid()}"
        self._cpu_s = 0.0

    def wrap(self, argv: Sequence[str]) -> list[str]:
        return ["env", self._marker, *self._pinned(argv)]

    def pids(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._marker.encode() in (path / "environ").read_bytes().split(b"\0"):
                    found.append(int(path.name))
        return found

    def cpu_s(self) -> float:
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += sum(int(field) for field in fields[11:15])
        self._cpu_s = max(self._cpu_s, total / os.sysconf("SC_CLK_TCK"))
        return self._cpu_s

    def throttled_s(self) -> float:
        return 0.0

    def memory_mb(self) -> float:
        pages = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def limits_in_force(self) -> Limits | None:
        return None

    def close(self) -> None:
        pass
