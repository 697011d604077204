"""What is left of a session that is gone is found by what it is, ended and removed; what lives is left alone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.stack import leftovers, scope
from scripts.stack.cage import OpenCage
from scripts.stack.limits import Cages
from scripts.stack.process import wait_until

GONE = 2**22 + 7  # no process has an id beyond PID_MAX_LIMIT (proc(5))


def alive(pid: int) -> bool:
    return not leftovers.is_gone(f"bench-{pid}")


@contextlib.contextmanager
def stranger(argv: list[str], **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A process that nobody has tied to this one, as a killed session leaves them."""
    process = subprocess.Popen(argv, start_new_session=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_session_is_told_by_its_process_and_when_that_began() -> None:
    name = leftovers.session_name()
    assert name.startswith(f"bench-{os.getpid()}-")
    for own in (name, f"{name}-memory-ab_12", f"{name}.scope", f"{name}-database.scope"):
        assert not leftovers.is_gone(own)
    number, start = name.split("-")[1:]
    assert leftovers.is_gone(f"bench-{number}-{int(start) - 1}"), "another process had this id before"
    assert leftovers.is_gone(f"bench-{number}-{int(start) - 1}-memory-ab_12")
    assert leftovers.is_gone(f"bench-{GONE}-{start}")
    assert leftovers.is_gone(f"bench-{GONE}"), "so they were called once"
    assert leftovers.is_gone(f"bench-{GONE}-ab_12")
    for other in ("bench-tests-7", f"bench-x-{GONE}", "bench-", f"mysql-{GONE}", f"xbench-{GONE}", f"bench-{GONE}x"):
        assert not leftovers.is_gone(other)


def test_a_process_that_nobody_has_waited_for_is_gone() -> None:
    with stranger(["sleep", "60"]) as process:
        name = leftovers.name_of(process.pid)
        assert not leftovers.is_gone(name)
        process.send_signal(signal.SIGSTOP)
        assert not leftovers.is_gone(name), "a stopped session may go on"
        process.kill()
        assert wait_until(lambda: leftovers.is_gone(name), 5)
        assert process.returncode is None


@pytest.mark.parametrize("stopped", [False, True])
def test_processes_of_a_gone_session_are_ended(cages: Cages, tmp_path: Path, stopped: bool) -> None:
    """Those in its control groups, or with its mark where there are none; running or stopped."""
    if cages.kind not in ("v1", "v2"):
        pytest.skip("control groups cannot be made here")
    ours, theirs = f"{leftovers.session_name()}-x", f"bench-{GONE}-77"
    open_ours, open_theirs = (OpenCage(f"{name}/one", "0", None).wrap(["sleep", "60"]) for name in (ours, theirs))
    with contextlib.ExitStack() as stack:
        groups = {name: stack.enter_context(Cages(name)).make("one", "0") for name in (ours, theirs)}
        mine = [stack.enter_context(stranger(argv)) for argv in (groups[ours].wrap(["sleep", "60"]), open_ours)]
        left = [stack.enter_context(stranger(argv)) for argv in (groups[theirs].wrap(["sleep", "60"]), open_theirs)]
        for process in (*mine, *left):
            line = Path(f"/proc/{process.pid}/cmdline")
            assert wait_until(lambda line=line: line.read_bytes().startswith(b"sleep"), 5)  # type: ignore[misc]
            if stopped:
                process.send_signal(signal.SIGSTOP)
        said: list[str] = []
        leftovers.remove_leftovers(said.append)
        assert not any(alive(process.pid) for process in left)
        assert all(process.poll() is None for process in mine)
        assert said == ["ended 2 processes that a killed session had left"]
        assert not [path for path in Path("/sys/fs/cgroup").glob(f"*/**/{theirs}") if path.is_dir()]
        assert [path for path in Path("/sys/fs/cgroup").glob(f"*/**/{ours}") if path.is_dir()]


def test_a_systemd_scope_is_a_control_group_like_others(tmp_path: Path) -> None:
    """Without root a session's groups are scopes, deep below the user's own manager."""
    (tmp_path / "environ").write_bytes(b"A=B\0BENCH_CAGE=bench-7-8/fastapi-7\0")
    (tmp_path / "cgroup").write_text(
        "0::/user.slice/user-7.slice/user@7.service/app.slice/bench-5-6-database.scope\n1:cpu:/bench-3-4/fastapi\n"
    )
    found = list(leftovers._sessions_of(tmp_path))
    assert found == ["bench-5-6-database.scope", "bench-3-4", "bench-7-8"]
    unit = scope.ScopeCage(f"bench-{GONE}-7/database", "0", None)._unit
    assert leftovers.is_gone(unit)


def test_folders_of_a_gone_session_are_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    places = [tmp_path / name for name in ("memory", "cache", "temporary")]
    monkeypatch.setattr(leftovers, "MEMORY", places[0])
    monkeypatch.setattr(leftovers, "CACHE", places[1])
    monkeypatch.setattr(tempfile, "tempdir", str(places[2]))
    for place in places:
        (place / f"bench-{GONE}-7-memory-abc" / "database").mkdir(parents=True)
        (place / f"bench-{GONE}-abc").mkdir()
        (place / "bench-tests-abc").mkdir()
    with leftovers.session_folder("logs") as own, leftovers.session_folder("data", places[1]) as other:
        leftovers.remove_leftovers(lambda _: None)
        assert sorted(path.name for path in places[0].iterdir()) == ["bench-tests-abc"]
        assert Path(own).parent == places[2]
        assert Path(own).stat().st_mode & 0o77 == 0
        assert Path(other).is_dir()


HARNESS = """
import os, sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from scripts.stack.limits import OpenCage
from scripts.stack.process import Process
program = "sleep 60 & sleep 60 & setsid --fork sleep 0; wait"
p = Process("sleeps", ["sh", "-c", program], log=Path({log!r}), cage=OpenCage("orphan", "0", None))
time.sleep(0.3)
if {frozen}:
    p.freeze()
print(p.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("frozen", [False, True])
def test_a_killed_session_takes_along_all_that_its_processes_have_started(tmp_path: Path, frozen: bool) -> None:
    """A stopped process gets no signal but SIGKILL, and a parent's death is told to its children only."""
    code = HARNESS.format(root=str(Path(__file__).parent.parent.parent), log=str(tmp_path / "log"), frozen=frozen)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        group = int(parent.stdout.readline())
        members = [pid for pid in map(int, (p.name for p in Path("/proc").glob("[0-9]*"))) if _group(pid) == group]
        assert len(members) == 3
        parent.kill()
    assert wait_until(lambda: not any(map(alive, members)), 5)


def _group(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getpgid(pid)
    return 0


def test_what_ends_by_itself_leaves_nothing_open(tmp_path: Path) -> None:
    from scripts.stack.process import Process

    before = None
    for _ in range(3):
        with Process("true", ["true"], log=tmp_path / "log", cage=OpenCage("x", "0", None)) as process:
            assert process.wait(10) == 0
        opened = len(list(Path("/proc/self/fd").iterdir()))
        assert before in (None, opened)
        before = opened
