"""A backend's environment is made once; who waits for another session to make it knows, and can be interrupted."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from scripts.config import ROOT
from scripts.model import PipelineError
from scripts.stack import environments
from scripts.stack.process import preparing, run, wait_until
from tests.processes import running as processes_with

HOLDER = """
import sys, time
from pathlib import Path
from scripts.stack import environments
environments._make = lambda folder, lock: (print("making", flush=True), time.sleep(60))
environments.provide(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "requirements.txt").touch()
    return folder


@pytest.mark.parametrize("stopped", [False, True])
def test_what_is_waited_for_is_said_and_can_be_interrupted(app: Path, tmp_path: Path, stopped: bool) -> None:
    command = [sys.executable, "-c", HOLDER, str(app), str(tmp_path)]
    said: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "making\n"
        if stopped:
            holder.send_signal(signal.SIGSTOP)
        with contextlib.suppress(KeyboardInterrupt), preparing() as pool:
            waiting = pool.submit(environments.provide, app, tmp_path, said.append)
            assert wait_until(lambda: bool(said), 10)
            interrupted = time.monotonic()
            raise KeyboardInterrupt
        assert time.monotonic() - interrupted < 1
        holder.kill()
    assert said == [f"waiting for the environment of app: process {holder.pid} ({ROOT}) is making it"]
    assert isinstance(waiting.exception(), PipelineError)


def test_when_the_other_is_gone_the_environment_is_made(
    monkeypatch: pytest.MonkeyPatch, app: Path, tmp_path: Path
) -> None:
    """Killed in the middle, it has left half of one."""
    made: list[Path] = []
    monkeypatch.setattr(environments, "_make", lambda folder, _: made.append(folder))
    key = hashlib.sha256(sys.version.encode()).hexdigest()[:12]
    half = tmp_path / "environments" / f"app-{key}"
    half.mkdir(parents=True)
    with half.with_name(f"{half.name}.lock").open("w") as lock:
        lock.write("process 7 (elsewhere)")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        said: list[str] = []
        thread = threading.Thread(target=environments.provide, args=(app, tmp_path, said.append))
        thread.start()
        assert wait_until(lambda: bool(said), 10)
        assert "process 7 (elsewhere) is making it" in said[0]
        assert not made
    thread.join(10)
    assert made == [half]


def test_a_lock_that_is_free_is_not_spoken_of(monkeypatch: pytest.MonkeyPatch, app: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(environments, "_make", lambda folder, lock: folder.mkdir())
    said: list[str] = []
    for _ in range(2):
        environments.provide(app, tmp_path, said.append)
    assert said == []


def test_a_program_that_provides_something_ends_with_what_wants_it(tmp_path: Path) -> None:
    """uv, apt or the server that makes its data directory: with all that it has started."""
    mark = tmp_path / "mark"
    program = ["sh", "-c", f"touch {mark}; sleep 60.375 & sleep 60.375"]
    with contextlib.suppress(KeyboardInterrupt), preparing() as pool:
        running = pool.submit(run, program)
        assert wait_until(mark.exists, 10)
        raise KeyboardInterrupt
    assert isinstance(running.exception(), PipelineError)
    assert wait_until(lambda: not processes_with("60.375"), 10)
    with preparing() as pool:
        assert pool.submit(run, ["echo", "again"]).result().stdout == "again\n"


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_uv_needs_no_home(monkeypatch: pytest.MonkeyPatch, home: str | None) -> None:
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.delenv("HOME")
    if home:
        monkeypatch.setenv("HOME", home)
    seen: list[dict[str, str]] = []

    def run_nothing(argv: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        seen.append(env)
        return subprocess.CompletedProcess(argv, 0, "", "")

    monkeypatch.setattr(environments, "run", run_nothing)
    environments._uv("cache", "dir", what="nothing")
    assert seen[0]["UV_CACHE_DIR"] == str(ROOT / ".cache" / "uv")
