"""What a session is called after, and what is left of sessions that are gone: processes, control groups, folders.

A session that is killed cannot clean up. Most of its processes end with it (`scripts.stack.process`); the next session
ends and removes the rest. What belongs to a session is told by the control group that it is in, or by a variable of its
environment where there are no groups, never by what a program is called.

Sources: proc(5), cgroups(7), pidfd_open(2).
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.config import ROOT
from scripts.stack import cage, limits

CACHE = ROOT / ".cache"
MEMORY = Path("/dev/shm")
PREFIX = "bench-"
END_S = 10.0
_NAME = re.compile(PREFIX + r"(\d+)(?:-(\d+))?(?![^-./])")


def session_name() -> str:
    """``bench-PID-START``: what the session's folders, control groups and containers are named after."""
    return name_of(os.getpid())


def name_of(pid: int) -> str:
    """The name of the session whose process is ``pid``; its start tells it from a later process with that id."""
    return f"{PREFIX}{pid}-{_started(pid)}"


def is_gone(name: str) -> bool:
    """Whether ``bench-PID-START``, or what is named after it, belongs to a session whose process has ended."""
    found = _NAME.match(name)
    if found is None:
        return False
    started = _started(int(found[1]))
    return started is None or found[2] not in (None, str(started))


def _started(pid: int) -> int | None:
    """When a process began, in clock ticks since boot; None if it has ended, waited for or not."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(fields[18])


def session_folder(purpose: str, parent: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A folder of this session (in ``parent``, else where temporary files go) that others cannot enter."""
    return tempfile.TemporaryDirectory(prefix=f"{session_name()}-{purpose}-", dir=parent, ignore_cleanup_errors=True)


def remove_leftovers(say: Callable[[str], None]) -> None:
    """End and remove what is left of sessions that are gone: processes, then groups and folders."""
    ended = end_processes()
    if ended:
        say(f"ended {ended} process{'' if ended == 1 else 'es'} that a killed session had left")
    for parent in (MEMORY, CACHE, Path(tempfile.gettempdir())):
        for path in parent.glob(f"{PREFIX}*-*"):
            if is_gone(path.name):
                shutil.rmtree(path, ignore_errors=True)
    limits.remove_groups(PREFIX, is_gone)


def end_processes() -> int:
    """Kill the processes of sessions that are gone and wait until they have ended; returns how many there were.

    A descriptor is opened before anything is read, so that no other process can take the id in between.
    """
    with contextlib.ExitStack() as opened:
        descriptors = []
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has just ended, or is another user's
                descriptor = os.pidfd_open(int(path.name))
                opened.callback(os.close, descriptor)
                if any(map(is_gone, _sessions_of(path))):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    descriptors.append(descriptor)
        waiting, deadline = list(descriptors), time.monotonic() + END_S
        while waiting and time.monotonic() < deadline:
            ended, _, _ = select.select(waiting, [], [], 1)
            waiting = [descriptor for descriptor in waiting if descriptor not in ended]
    return len(descriptors)


def _sessions_of(process: Path) -> Iterator[str]:
    """The names of sessions in a process's control groups and in the mark of a cage without any."""
    yield from re.findall(rf"(?<=/){PREFIX}[^/\n]+", (process / "cgroup").read_text(errors="replace"))
    environment = (process / "environ").read_text(errors="replace")
    yield from re.findall(rf"(?:^|\0){cage.MARK}=({PREFIX}[^/\0]+)", environment)
