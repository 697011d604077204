"""Cages limit, pin and count real processes; parsers read what other machines look like."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.cpus import parse_cpu_list
from scripts.model import Limits, PipelineError
from scripts.stack import cage, limits, scope
from scripts.stack.cage import OpenCage
from scripts.stack.cgroup_v2 import V2Cage
from scripts.stack.cores import allot_cpus, read_cores
from scripts.stack.limits import Cages, read_cgroup_mounts
from scripts.stack.process import Process, wait_until
from scripts.stack.scope import ScopeCage

BUSY = "import time\nwhile time.process_time() < {seconds}: pass"
"""Uses so many seconds of CPU, however long that takes."""


@pytest.fixture
def cages() -> Iterator[Cages]:
    with Cages(f"bench-test-{os.getpid()}") as made:
        yield made


def python(cage: cage.Cage, code: str, tmp_path: Path) -> Process:
    return Process("python", [sys.executable, "-c", code], log=tmp_path / "log", cage=cage)


def test_a_quota_limits_and_counts(cages: Cages, tmp_path: Path) -> None:
    cpu = str(max(os.sched_getaffinity(0)))
    cage = cages.make("half", cpu, Limits(cpus=0.5, memory_mb=256))
    began = time.monotonic()
    with python(cage, BUSY.format(seconds=1), tmp_path) as process:
        time.sleep(0.3)
        assert cage.missing() == []
        assert process.pid in cage.pids()
        assert process.wait(30) == 0
    assert time.monotonic() - began > 1.7, "one second of CPU takes two at half a CPU"
    assert 0.95 < cage.cpu_s() < 1.4
    assert cage.throttled_s() > 0, "how much depends on what else wants this CPU"


def test_memory_is_limited_and_its_peak_counted(cages: Cages, tmp_path: Path) -> None:
    cage = cages.make("small", "0", Limits(cpus=1, memory_mb=64))
    cage.reset_peak()
    with python(cage, "x = bytearray(30 << 20); import time; time.sleep(0.5)", tmp_path) as process:
        time.sleep(0.4)
        assert 30 < cage.memory_mb() < 64
        assert process.wait(10) == 0
    peak = cage.peak_memory_mb()
    assert peak is not None
    assert 30 < peak <= 64
    with python(cage, "x = bytearray(300 << 20)", tmp_path) as process:
        assert process.wait(10) == -9, "the kernel ends what goes over its limit"


def test_what_is_not_in_force_is_named(cages: Cages, tmp_path: Path) -> None:
    cage = cages.make("open", "0", None)
    with python(cage, "import time; time.sleep(5)", tmp_path) as process:
        time.sleep(0.3)
        cage.limits = Limits(cpus=1, memory_mb=2048)
        assert any("limits are" in text for text in cage.missing())
        if len(os.sched_getaffinity(0)) > 1:
            os.sched_setaffinity(process.pid, {1})
            assert any(f"process {process.pid} may run on CPUs [1]" in text for text in cage.missing())


def test_nothing_is_left(tmp_path: Path) -> None:
    name = f"bench-test-{os.getpid()}-gone"
    with Cages(name) as cages:
        cage = cages.make("one", "0", Limits())
        process = python(cage, "import time; time.sleep(60)", tmp_path)
        process.stop()
    assert not list(Path("/sys/fs/cgroup").glob(f"**/{name}"))


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    """A harness that is killed outright leaves no process behind."""
    code = f"""
import os, sys, time
sys.path.insert(0, {str(Path(__file__).parent.parent.parent)!r})
from pathlib import Path
from scripts.stack.cage import OpenCage
from scripts.stack.process import Process, wait_until
p = Process("sleep", ["sleep", "60"], log=Path({str(tmp_path / "log")!r}), cage=OpenCage("orphan", "0", None))
print(p.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.kill()
    for _ in range(50):
        if not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the child is still there")


def test_freezing_stops_the_whole_group(cages: Cages, tmp_path: Path) -> None:
    cage = cages.make("frozen", "0", Limits())
    with python(cage, BUSY.format(seconds=30), tmp_path) as process:
        time.sleep(0.5)
        process.freeze()
        before = cage.cpu_s()
        time.sleep(0.5)
        assert cage.cpu_s() - before < 0.02
        process.thaw()
        assert wait_until(lambda: cage.cpu_s() - before > 0.2, 20)


def test_an_open_cage_counts_without_control_groups(tmp_path: Path) -> None:
    cage = OpenCage("free", "0", None)
    with python(cage, BUSY.format(seconds=1) + "\ntime.sleep(30)", tmp_path):
        assert wait_until(lambda: cage.cpu_s() >= 0.95, 20)
        assert cage.cpu_s() < 1.4
        assert cage.memory_mb() > 3
        assert cage.limits_in_force() is None


def test_no_way_to_limit_is_refused_unless_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cages, "_detect", lambda _: "none")
    with pytest.raises(PipelineError, match="no CPU and memory limit") as caught:
        Cages("x")
    assert "--allow-unlimited" in caught.value.hint
    assert Cages("x", allow_unlimited=True).kind == "none"


def test_v2_files(tmp_path: Path) -> None:
    """Written and read in the unified hierarchy's own formats (on a plain folder: this needs no such kernel)."""
    cage = V2Cage("x", "0", Limits(cpus=1.5, memory_mb=2048), tmp_path / "x").create()
    assert (tmp_path / "x/cpu.max").read_text() == "150000 100000"
    assert (tmp_path / "x/memory.max").read_text() == str(2048 << 20)
    assert cage.limits_in_force() == Limits(cpus=1.5, memory_mb=2048)
    (tmp_path / "x/cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\nnr_throttled 3\nthrottled_usec 750000\n")
    (tmp_path / "x/memory.stat").write_text(f"file {99 << 20}\nanon {10 << 20}\n")
    assert (cage.cpu_s(), cage.throttled_s(), cage.memory_mb(), cage.peak_memory_mb()) == (2.5, 0.75, 10.0, None)
    (tmp_path / "x/cpu.max").write_text("max 100000\n")
    assert cage.limits_in_force() is None
    (tmp_path / "x/cpu.max").unlink()
    assert cage.limits_in_force() is None, "systemd makes no controller where no limit was asked for"


def test_a_scope_is_asked_for_and_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words for systemd, and where its answer leads (on a stand-in: this needs no user session of systemd)."""
    cage = ScopeCage("bench-7/fastapi", "3", Limits(cpus=1.0, memory_mb=2048))
    command = cage.wrap(["gunicorn"])
    assert command[:3] == ["systemd-run", "--user", "--scope"]
    assert {"--property=CPUQuota=100%", "--property=MemoryMax=2048M", "--unit=bench-7-fastapi.scope"} <= set(command)
    assert command[-4:] == ["taskset", "--cpu-list", "3", "gunicorn"]

    systemctl = tmp_path / "systemctl"
    systemctl.write_text('#!/bin/sh\n[ "$5" = bench-7-fastapi.scope ] && echo /user.slice/bench-7-fastapi.scope\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(scope, "UNIFIED", tmp_path)
    group = tmp_path / "user.slice/bench-7-fastapi.scope"
    group.mkdir(parents=True)
    (group / "cgroup.procs").write_text("")
    (group / "cpu.max").write_text("100000 100000\n")
    (group / "memory.max").write_text(f"{2048 << 20}\n")
    (group / "cpu.stat").write_text("usage_usec 1500000\n")
    assert cage.missing() == []
    assert cage.cpu_s() == 1.5
    (group / "cpu.stat").unlink()
    assert cage.cpu_s() == 1.5, "what it had used when it ended"


@pytest.mark.parametrize(
    ("cores", "backend", "database", "generator"),
    [
        ([[0]], "0", "0", "0"),
        ([[0, 1]], "0", "1", "1"),
        ([[0], [1]], "1", "0", "0"),
        ([[0, 1], [2, 3]], "2", "0,1", "0,1"),
        ([[0], [1], [2]], "2", "0", "1"),
        ([[0, 4], [1, 5], [2, 6], [3, 7]], "3", "0,4,1,5", "2,6"),
    ],
)
def test_cpus_are_given_out(cores: list[list[int]], backend: str, database: str, generator: str) -> None:
    assert allot_cpus(cores) == (backend, database, generator)


def test_threads_of_a_core_are_one_core(tmp_path: Path) -> None:
    for cpu, siblings in enumerate(["0,2", "1,3", "0,2", "1,3"]):
        (tmp_path / f"cpu{cpu}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}/topology/thread_siblings_list").write_text(siblings + "\n")
    assert read_cores({0, 1, 2, 3}, tmp_path) == [[0, 2], [1, 3]]
    assert read_cores({1, 2}, tmp_path) == [[1], [2]]


def test_cpu_lists() -> None:
    assert parse_cpu_list("0-2,5\n") == {0, 1, 2, 5}


def test_mounts_of_other_machines(tmp_path: Path) -> None:
    (tmp_path / "memory/outer").mkdir(parents=True)
    v1 = f"""cgroup {tmp_path}/cpu cgroup rw,relatime,cpu,cpuacct 0 0
cgroup {tmp_path}/memory cgroup rw,relatime,memory 0 0
cgroup2 {tmp_path}/unified cgroup2 rw 0 0
tmpfs /run tmpfs rw 0 0
"""
    membership = "4:memory:/outer\n1:cpu,cpuacct:/absent\n0::/\n"
    assert read_cgroup_mounts(v1, membership) == {
        "cpu": tmp_path / "cpu",
        "cpuacct": tmp_path / "cpu",
        "memory": tmp_path / "memory/outer",
        "unified": tmp_path / "unified",
    }


def test_the_group_of_a_running_process_is_found(cages: Cages, tmp_path: Path) -> None:
    """As a container's is; here that of a cage, whose numbers it must have."""
    limited = Limits(cpus=0.5, memory_mb=256)
    cage = cages.make("found", "0", limited)
    with python(cage, "import time; time.sleep(30)", tmp_path) as process:
        assert wait_until(lambda: process.pid in cage.pids(), 5)
        found = limits.cage_of(process.pid, "found", "0", limited)
        assert found.pids() == cage.pids()
        assert found.limits_in_force() == limited
        assert found.missing() == []
        assert found.cpu_s() == cage.cpu_s() > 0
    with pytest.raises(PipelineError, match="gone: the control group of its process"):
        limits.cage_of(process.pid, "gone", "0", None)


def test_the_group_of_a_process_in_the_unified_hierarchy(tmp_path: Path) -> None:
    """The kernel's formats on a plain folder: this needs no such kernel."""
    group = tmp_path / "system.slice/docker-1f.scope"
    for name, text in {
        group / "cgroup.procs": "77\n78\n",
        group / "cpu.stat": "usage_usec 1500000\n",
        tmp_path / "self/mounts": f"cgroup2 {tmp_path} cgroup2 rw 0 0\n",
        tmp_path / "77/cgroup": "0::/system.slice/docker-1f.scope\n",
        tmp_path / "78/cgroup": "0::/../elsewhere\n",
    }.items():
        name.parent.mkdir(parents=True, exist_ok=True)
        name.write_text(text)
    cage = limits.cage_of(77, "x", "0", None, proc=tmp_path)
    assert (cage.pids(), cage.cpu_s()) == ([77, 78], 1.5)
    with pytest.raises(PipelineError, match="x: the control group of its process 78"):
        limits.cage_of(78, "x", "0", None, proc=tmp_path)


def test_the_last_numbers_of_a_group_that_is_gone(tmp_path: Path) -> None:
    cage = V2Cage("x", "0", None, tmp_path / "x").create()
    (tmp_path / "x/cpu.stat").write_text("usage_usec 2500000\nthrottled_usec 750000\n")
    (tmp_path / "x/memory.stat").write_text(f"anon {10 << 20}\n")
    before = (cage.cpu_s(), cage.throttled_s(), cage.memory_mb())
    shutil.rmtree(tmp_path / "x")
    assert (cage.cpu_s(), cage.throttled_s(), cage.memory_mb()) == before == (2.5, 0.75, 10.0)
