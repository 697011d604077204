"""Child processes that never outlive the session: started in a cage, frozen and thawed, stopped by their own id."""

from __future__ import annotations

import concurrent.futures
import contextlib
import fcntl
import functools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from scripts.model import PipelineError
from scripts.stack.cage import Cage

F_SETSIG = 10  # fcntl(2); Python has no name for it
POLL_S = 0.1
_abandoned = threading.Event()


def spawn(
    argv: Sequence[str],
    *,
    stdout: int | IO[bytes],
    stderr: int = subprocess.STDOUT,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own, which the kernel kills when this process ends, however it ends.

    A group of its own, so that a terminal's Ctrl-C reaches this process alone. The kernel is told twice, and both times
    to send SIGKILL, since a process that is stopped gets no other signal. The parent-death signal (prctl(2)) is the
    first process's alone, and it is sent when the *thread* that started it ends: start it from one that lives as long
    as it must. The rest of the group is the owner of a pipe that nobody writes to (fcntl(2), F_SETOWN, F_SETSIG): it
    gets the pipe's signal when the writing end goes with this process.
    """
    reading = os.open(_lifeline(), os.O_RDONLY)
    try:
        child = subprocess.Popen(
            # One that is no longer our child when it has asked for the signal would never get it.
            ["setpriv", "--pdeathsig", "KILL", "sh", "-c", '[ $PPID = "$0" ] && exec "$@"', str(os.getpid()), *argv],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=cwd,
            env=None if env is None else dict(env),
            start_new_session=True,
            pass_fds=(reading,),
        )
        fcntl.fcntl(reading, F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(reading, fcntl.F_SETOWN, -child.pid)
        fcntl.fcntl(reading, fcntl.F_SETFL, fcntl.fcntl(reading, fcntl.F_GETFL) | os.O_ASYNC)
    finally:
        os.close(reading)
    return child


@functools.cache
def _lifeline() -> str:
    """A pipe whose writing end only this process has; each opening of this path has an owner of its own."""
    reading, _ = os.pipe()
    return f"/proc/self/fd/{reading}"


@contextlib.contextmanager
def preparing() -> Iterator[concurrent.futures.Executor]:
    """Threads that provide what a session needs; an error or a Ctrl-C inside ends `run` and `await_turn` in them."""
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            try:
                yield pool
            except BaseException:
                _abandoned.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    finally:
        _abandoned.clear()


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout_s: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and read what it prints; with it ends whatever it has started and left running.

    Raises subprocess.TimeoutExpired. The code of what is no program is 126 or 127, as a shell's.
    """
    child = spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, env=env)
    deadline = time.monotonic() + (timeout_s or float("inf"))
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                texts = [text.decode(errors="replace") for text in child.communicate(timeout=POLL_S)]
                return subprocess.CompletedProcess(list(argv), child.returncode, *texts)
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(list(argv), timeout_s or 0)
            _refuse_abandoned()
    finally:
        end_group(child)
        for stream in (child.stdout, child.stderr):
            if stream:
                stream.close()


def await_turn(lock: IO[str], say: Callable[[], None], patience_s: float = 1.0) -> None:
    """Lock an open file for this process; where that takes longer than ``patience_s``, ``say`` once what is waited for.

    Source: flock(2).
    """
    began, said = time.monotonic(), False
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if not said and time.monotonic() - began >= patience_s:
            said = True
            say()
        _refuse_abandoned()
        time.sleep(POLL_S)


def _refuse_abandoned() -> None:
    if _abandoned.is_set():
        raise PipelineError("abandoned: something else has gone wrong, or the session was interrupted")


def end_group(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a child's process group, and wait for the child."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


class Process:
    """A program in a cage, with a log, that can be frozen and thawed; it ends when this process does (`spawn`)."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        cage: Cage,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.cage = cage
        with log.open("ab") as output:
            self._popen = spawn(cage.wrap(argv), stdout=output, cwd=cwd, env=env)
        self._frozen = False

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._popen.poll()

    @property
    def alive(self) -> bool:
        return self.returncode is None

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def freeze(self) -> None:
        """Stop the whole group from running, so that it costs nothing until `thaw`."""
        if not self._frozen and self.alive:
            os.killpg(self.pid, signal.SIGSTOP)
            self._frozen = True

    def thaw(self) -> None:
        if self._frozen:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGCONT)
            self._frozen = False

    def wait(self, timeout_s: float) -> int | None:
        """Its exit code, or None if it still runs after ``timeout_s``."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, timeout_s: float = 10.0, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end, wait, and kill whatever is left of the group and of the cage."""
        self.thaw()
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            self.wait(timeout_s)
        end_group(self._popen)
        for pid in self.cage.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let no second Ctrl-C cut short what cleans up after the first. Only the main thread may use it."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def wait_until(condition: Callable[[], bool], timeout_s: float, interval_s: float = 0.05) -> bool:
    """Whether ``condition()`` became true within ``timeout_s``."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(interval_s)
    return True
