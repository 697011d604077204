"""Cages: control groups (v1, v2, or a systemd scope for users who are not root) with limits, CPUs and counters.

Sources: the kernel's Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst, systemd-run(1), sched_setaffinity(2).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from scripts.cpus import parse_cpu_list
from scripts.model import Limits, PipelineError

PERIOD_US = 100_000
MIB = 1024 * 1024
UNIFIED = Path("/sys/fs/cgroup")
NOWHERE = Path("/nonexistent")
MARK = "BENCH_CAGE"
"""The variable that a process without control groups has its cage's name in."""
Kind = Literal["v1", "v2", "scope", "none"]


class Cpus(NamedTuple):
    """Which CPUs (as in taskset(1): ``0,2-3``) the backend under load, the database and the generator run on."""

    backend: str
    database: str
    generator: str


def read_cores(allowed: set[int], root: Path = Path("/sys/devices/system/cpu")) -> list[list[int]]:
    """The CPUs that we may use, grouped by physical core (two threads of one core are not two cores)."""
    cores: dict[frozenset[int], list[int]] = {}
    for cpu in sorted(allowed):
        path = root / f"cpu{cpu}/topology/thread_siblings_list"
        siblings = parse_cpu_list(path.read_text()) if path.exists() else {cpu}
        cores.setdefault(frozenset(siblings), []).append(cpu)
    return list(cores.values())


def allot_cpus(cores: Sequence[Sequence[int]]) -> Cpus:
    """Give the backend a core of its own, and the generator too where there are three; the database has the rest.

    The backend gets one thread of its core and nobody gets the other, since two threads of a core share its units.
    """
    backend = str(cores[-1][0])
    if len(cores) == 1:
        rest = ",".join(map(str, cores[0][1:])) or backend
        return Cpus(backend, rest, rest)
    others = [",".join(map(str, core)) for core in cores[:-1]]
    if len(others) == 1:
        return Cpus(backend, others[0], others[0])
    return Cpus(backend, ",".join(others[:-1]), others[-1])


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
            self._seen[path, key] = _number(path, key)
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise
        return self._seen.get((path, key), 0)

    def _pinned(self, argv: Sequence[str]) -> list[str]:
        return ["taskset", "--cpu-list", self.cpus, *argv]


def _enter(files: Sequence[Path], argv: Sequence[str]) -> list[str]:
    """A shell that writes its own id into each ``cgroup.procs`` and becomes ``argv``."""
    script = 'while [ "$1" != -- ]; do echo $$ >"$1" || exit 125; shift; done; shift; exec "$@"'
    return ["sh", "-c", script, "sh", *map(str, files), "--", *argv]


def _number(path: Path, key: str | None = None) -> int:
    text = path.read_text()
    if key is None:
        return int(text)
    found = re.search(rf"^{key} (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _remove(path: Path) -> None:
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
        return _enter([path / "cgroup.procs" for path in set(self._paths.values())], self._pinned(argv))

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
        quota = _number(self._paths["cpu"] / "cpu.cfs_quota_us")
        memory = _number(self._paths["memory"] / "memory.limit_in_bytes")
        if quota <= 0 or memory >= 1 << 60:
            return None
        period = _number(self._paths["cpu"] / "cpu.cfs_period_us")
        return Limits(cpus=quota / period, memory_mb=memory // MIB)

    def close(self) -> None:
        for path in set(self._paths.values()):
            _remove(path)


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
        return _enter([self.path / "cgroup.procs"], self._pinned(argv))

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
        _remove(self.path)


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


class Cages:
    """Makes cages of the one kind that works here, under a name of this session, and removes them all."""

    def __init__(self, session: str, *, allow_unlimited: bool = False) -> None:
        self.session = session
        self._cages: list[Cage] = []
        self._roots: dict[str, Path] = {}
        self.kind: Kind = self._detect()
        if self.kind == "none" and not allow_unlimited:
            raise PipelineError(
                "no CPU and memory limit can be set on this machine",
                "run as root, or as a user with a systemd session (cgroup v2, `systemd-run --user --scope`); or pass "
                "--allow-unlimited, and the run will say that the backends had no limit",
            )

    def make(self, name: str, cpus: str, limits: Limits | None = None) -> Cage:
        """A new cage named ``name`` on ``cpus``; ``limits`` None means that it is only counted."""
        full_name = f"{self.session}/{name}"
        cage: Cage
        if self.kind == "v1":
            cage = V1Cage(
                full_name, cpus, limits, {kind: root / full_name for kind, root in self._roots.items()}
            ).create()
        elif self.kind == "v2":
            cage = V2Cage(name, cpus, limits, self._roots["unified"] / name).create()
        elif self.kind == "scope":
            cage = ScopeCage(full_name, cpus, limits)
        else:
            cage = OpenCage(full_name, cpus, limits)
        self._cages.append(cage)
        return cage

    def cpu_s(self) -> float:
        """CPU seconds of everything that the session started."""
        return sum(cage.cpu_s() for cage in self._cages)

    def close(self) -> None:
        for cage in self._cages:
            cage.close()
        if self.kind == "v1":
            for root in set(self._roots.values()):
                _remove(root / self.session)
        elif self.kind == "v2":
            _remove(self._roots["unified"])

    def __enter__(self) -> Cages:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _detect(self) -> Kind:
        mounts = read_cgroup_mounts(Path("/proc/self/mounts").read_text(), Path("/proc/self/cgroup").read_text())
        v1 = {name: path for name, path in mounts.items() if name != "unified"}
        if len(v1) == 3 and all(os.access(path, os.W_OK) for path in v1.values()):
            self._roots = v1
            return "v1"
        unified = mounts.get("unified")
        if unified is not None and os.geteuid() == 0 and self._open_unified(unified):
            return "v2"
        if unified is not None and _scope_works():
            return "scope"
        return "none"

    def _open_unified(self, mount: Path) -> bool:
        """Make the session's own group with the cpu and memory controllers; False where that is not allowed."""
        group = mount / self.session
        try:
            (mount / "cgroup.subtree_control").write_text("+cpu +memory")
            group.mkdir()
            (group / "cgroup.subtree_control").write_text("+cpu +memory")
        except OSError:
            _remove(group)
            return False
        self._roots = {"unified": group}
        return True


def cage_of(pid: int, name: str, cpus: str, limits: Limits | None, proc: Path = Path("/proc")) -> V1Cage | V2Cage:
    """The group that process ``pid`` is in already: that of the container whose first process it is.

    Raises PipelineError where its counters cannot be read from here.
    """
    with contextlib.suppress(OSError, KeyError):
        membership = (proc / f"{pid}/cgroup").read_text()
        groups = read_cgroup_mounts((proc / "self/mounts").read_text(), membership)
        v1 = {controller: path for controller, path in groups.items() if controller != "unified"}
        cage: V1Cage | V2Cage
        if len(v1) == 3:
            cage = V1Cage(name, cpus, limits, v1)
        else:
            below = dict(line.split("::", 1) for line in membership.splitlines() if "::" in line)["0"]
            cage = V2Cage(name, cpus, limits, groups["unified"] / below.lstrip("/"))
        if pid in cage.pids():
            return cage
    raise PipelineError(
        f"{name}: the control group of its process {pid} cannot be read from here",
        "measure on the machine that the containers run on, and not inside one of them (or use --stack native)",
    )


def remove_groups(prefix: str, is_gone: Callable[[str], bool]) -> None:
    """Remove the empty groups of sessions whose names begin with ``prefix`` and that are gone."""
    mounts = read_cgroup_mounts(Path("/proc/self/mounts").read_text(), Path("/proc/self/cgroup").read_text())
    for mount in set(mounts.values()):
        for group in mount.glob(f"{prefix}*"):
            if group.is_dir() and is_gone(group.name):
                for child in (*(path for path in group.iterdir() if path.is_dir()), group):
                    _remove(child)


def read_cgroup_mounts(mounts: str, membership: str) -> dict[str, Path]:
    """Where each v1 controller, and ``unified`` (v2), lets this process make groups.

    ``mounts`` is /proc/self/mounts, ``membership`` /proc/self/cgroup. For v1 a new group goes below the one that this
    process is in, so that limits already on it stay in force.
    """
    own = {}
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller or "unified"] = path.lstrip("/")
    found: dict[str, Path] = {}
    for line in mounts.splitlines():
        _, where, kind, options, *_ = line.split()
        if kind == "cgroup2":
            found["unified"] = Path(where)
        elif kind == "cgroup":
            for controller in set(options.split(",")) & {"cpu", "cpuacct", "memory"}:
                below = Path(where) / own.get(controller, "")
                found[controller] = below if below.is_dir() else Path(where)
    return found


def _scope_works() -> bool:
    if shutil.which("systemd-run") is None:
        return False
    try:
        command = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "true"]
        return subprocess.run(command, capture_output=True, timeout=10, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False
