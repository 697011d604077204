"""What runs on this machine, as /proc shows it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path


def running(text: str) -> Sequence[int]:
    """The processes that have a text in their command line. One that is killed is there for another moment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def stopped(pid: int) -> bool:
    """Whether no thread of a process runs any more, which is some time after SIGSTOP was sent."""
    stats = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    return {stat.rpartition(")")[2].split()[0] for stat in stats} == {"T"}
