"""A neighbour: something outside a session that takes CPU beside it, as others do on a shared machine.

``python -m scripts.calibration.neighbour HOW SHARE SEED SECONDS`` is one such program; it is pinned to a core by who
starts it (`beside`). It ends by itself after its time, and the kernel kills it with the session, however that ends
(`scripts.stack.process.spawn`).
"""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

from scripts.config import PROJECT
from scripts.cpus import parse_cpu_list
from scripts.model import Environment, PipelineError, Struct
from scripts.stack.process import end_group, spawn

Where = Literal["backend", "other", "both"]
How = Literal["steady", "bursts", "caches"]
HOWS: dict[How, str] = {
    "steady": "all the time, a few milliseconds at once",
    "bursts": "a whole core for 0.2 to 5 s, then nothing",
    "caches": "all the time, walking through more memory than caches hold",
}
BURST_S = (0.2, 5.0)
TICK_S = 0.004
BEHIND_S = 0.05
"""So much of what it could not get it takes later; the rest it has lost, as any program that is not let run."""
LONGEST_S = 3600.0
MEMORY_BYTES = 128 << 20


class Neighbour(Struct):
    """On which core it is, how much of it (of each, on ``both``) it takes in the mean, and how."""

    where: Where
    share: float
    how: How = "steady"

    @property
    def text(self) -> str:
        """``backend:0.3:bursts``, as on the command line."""
        return f"{self.where}:{self.share:g}:{self.how}"


class Beside(Struct):
    """A neighbour that a session had. ``cpus``: what it really took on all its cores, in the mean, by the kernel."""

    neighbour: Neighbour
    seed: int
    cpus: float


def kinds() -> list[Neighbour]:
    """Every kind that calibration looks at, such that the first few already tell most."""
    wheres: tuple[Where, ...] = ("backend", "both", "other")
    found = [Neighbour(where=w, share=s, how=h) for s in (0.3, 0.5, 0.1) for h in ("steady", "bursts") for w in wheres]
    caches = [Neighbour(where=w, share=0.3, how="caches") for w in ("other", "backend", "both")]
    return [*found[:6], *caches, *found[6:]]


def parse(text: str) -> Neighbour:
    """The reverse of `Neighbour.text`; without HOW it is ``steady``. Raises PipelineError for what is none."""
    where, share, how = [*text.split(":"), "", ""][:3]
    neighbour = None
    if text.count(":") <= 2:
        with contextlib.suppress(ValueError, msgspec.ValidationError):
            neighbour = msgspec.convert({"where": where, "share": float(share), "how": how or "steady"}, Neighbour)
    if neighbour is None or not 0 < neighbour.share < 1:
        raise PipelineError(
            f"--neighbour {text!r}: no neighbour",
            "write WHERE:SHARE:HOW, such as backend:0.3:bursts. WHERE: backend (its core), other, both; SHARE: of a "
            f"core, more than 0, less than 1; HOW: {', '.join(f'{how} ({words})' for how, words in HOWS.items())}",
        )
    return neighbour


def parse_all(text: str) -> list[Neighbour]:
    """Several, separated by commas."""
    return [parse(part) for part in text.split(",")]


def cores(where: Where, environment: Environment) -> list[int]:
    """The CPUs that it runs on: that of the backend, the first of those that the database has, or both."""
    backend = min(parse_cpu_list(environment.backend_cpus))
    others = sorted(parse_cpu_list(environment.database_cpus) - {backend}) or [backend]
    found = {"backend": [backend], "other": others[:1], "both": [backend, others[0]]}[where]
    return list(dict.fromkeys(found))


@contextlib.contextmanager
def beside(
    neighbour: Neighbour, seed: int, environment: Environment, longest_s: float = LONGEST_S
) -> Iterator[Callable[[], Beside]]:
    """The neighbour is there inside, and gone outside; what is given tells what it has taken until then.

    Raises PipelineError where it has ended before its time: then not all of the session had it. It must be started from
    a thread that lives as long as it (`spawn`).
    """
    began = time.monotonic()
    children: list[subprocess.Popen[bytes]] = []
    try:
        for number, cpu in enumerate(cores(neighbour.where, environment)):
            what = [neighbour.how, f"{neighbour.share:g}", str(seed + number), f"{longest_s:g}"]
            command = [sys.executable, "-m", "scripts.calibration.neighbour", *what]
            pinned = ["taskset", "--cpu-list", str(cpu), *command]
            children.append(spawn(pinned, stdout=subprocess.DEVNULL, cwd=PROJECT))

        def taken() -> Beside:
            cpu_s = sum(_cpu_s(child.pid) for child in children)
            return Beside(neighbour=neighbour, seed=seed, cpus=round(cpu_s / (time.monotonic() - began), 3))

        yield taken
        for child in children:
            if child.poll() is not None:
                raise PipelineError(
                    f"the neighbour {neighbour.text} has ended with code {child.returncode} before the session did",
                    f"it runs {longest_s:g} s at most; see whether something else ends processes (dmesg)",
                )
    finally:
        for child in children:
            end_group(child)


def _cpu_s(pid: int) -> float:
    """CPU seconds of a process of one thread. Source: proc(5), schedstat."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except OSError:
        return 0.0


def bursts(share: float, seed: int) -> Iterator[tuple[float, float]]:
    """Seconds of taking a whole core, and seconds of nothing after it, without end; ``share`` in the mean."""
    chance = random.Random(seed)
    low, high = BURST_S
    while True:
        busy_s = low * (high / low) ** chance.random()
        yield busy_s, busy_s * (1 - share) / share


def take(how: How, share: float, seed: int, seconds: float) -> None:
    """Take CPU for so long."""
    work = _walk() if how == "caches" else _count
    end = time.monotonic() + seconds
    if how == "bursts":
        for busy_s, idle_s in bursts(share, seed):
            until = min(time.monotonic() + busy_s, end)
            while time.monotonic() < until:
                work()
            if time.monotonic() + idle_s >= end:
                time.sleep(max(0.0, end - time.monotonic()))
                return
            time.sleep(idle_s)
    due_s, last, spent_s = 0.0, time.monotonic(), time.process_time()
    while (now := time.monotonic()) < end:
        due_s = min(due_s + share * (now - last), BEHIND_S)
        last = now
        while (used_s := time.process_time() - spent_s) < due_s:
            work()
        due_s, spent_s = due_s - used_s, spent_s + used_s
        time.sleep(TICK_S)


def _count() -> None:
    for _ in range(2000):
        pass


def _walk() -> Callable[[], None]:
    """Copies a piece of a large array to its other half; the next call copies the next piece."""
    import numpy as np

    half, piece = MEMORY_BYTES // 2, 1 << 19
    memory = np.ones(MEMORY_BYTES, dtype=np.uint8)
    at = 0

    def copy() -> None:
        nonlocal at
        memory[half + at : half + at + piece] = memory[at : at + piece]
        at = (at + piece) % half

    return copy


if __name__ == "__main__":
    _how, _share, _seed, _seconds = sys.argv[1:]
    take(_how, float(_share), int(_seed), float(_seconds))  # type: ignore[arg-type]
