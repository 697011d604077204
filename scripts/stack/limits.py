"""Which kind of cage works here, and making and removing them: a session's own, and those of containers."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from scripts.model import Limits, PipelineError
from scripts.stack.cage import Cage, OpenCage, remove_group
from scripts.stack.cgroup_v1 import V1Cage
from scripts.stack.cgroup_v2 import V2Cage
from scripts.stack.scope import ScopeCage, scope_works

Kind = Literal["v1", "v2", "scope", "none"]


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
                remove_group(root / self.session)
        elif self.kind == "v2":
            remove_group(self._roots["unified"])

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
        if unified is not None and scope_works():
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
            remove_group(group)
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
                    remove_group(child)


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
