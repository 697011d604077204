"""What a block cost, from counters read at its boundaries (proc(5), getrusage(2), the cages' control groups)."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.model import Resources
from scripts.stack import clock
from scripts.stack.cage import Cage

SAMPLE_S = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")


class Machine(NamedTuple):
    """CPU seconds since boot over all CPUs: used by anybody, and taken away by the hypervisor."""

    busy_s: float
    steal_s: float


def parse_machine(stat: str) -> Machine:
    """The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, ... in clock ticks."""
    fields = [int(field) for field in stat.split("\n", 1)[0].split()[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return Machine((user + nice + system + irq + softirq) / _TICKS, steal / _TICKS)


class Disturbance(NamedTuple):
    """CPUs that others had while all CPUs that we may use were kept busy."""

    steal_cpus: float
    foreign_cpus: float


def probe(seconds: float) -> Disturbance:
    """Keep every CPU busy for ``seconds`` and see what others take of them: without demand nothing is taken."""

    def reading() -> tuple[Machine, float]:
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return parse_machine(Path("/proc/stat").read_text()), sum(u.ru_utime + u.ru_stime for u in usage)

    (machine, own_s), began = reading(), time.monotonic()
    burners = [
        subprocess.Popen(["taskset", "--cpu-list", str(cpu), "timeout", str(seconds), "yes"], stdout=subprocess.DEVNULL)
        for cpu in range(os.cpu_count() or 1)
    ]
    for burner in burners:
        burner.wait()
    after, own_after_s = reading()
    wall_s = time.monotonic() - began
    busy_s = after.busy_s - machine.busy_s - (own_after_s - own_s)
    return Disturbance((after.steal_s - machine.steal_s) / wall_s, max(0.0, busy_s / wall_s))


Threads = Mapping[int, tuple[str, float]]
"""By the database's threads: the user whose connection a thread serves, "" for none, and its CPU seconds so far."""


def spent_for(user: str, first: Threads, last: Threads) -> float:
    """CPU seconds of the threads that serve ``user`` at the end; a thread may have served another one before."""
    return sum(used - first.get(thread, ("", 0.0))[1] for thread, (owner, used) in last.items() if owner == user)


class _Reading(NamedTuple):
    time_s: float
    backends_s: tuple[float, ...]
    throttled_s: tuple[float, ...]
    database_s: float
    threads_s: Threads
    generator_s: float
    own_s: float
    machine: Machine


class Meter:
    """Reads the counters when it is made and again at `stop`; samples memory between, for its mean, and the clocks.

    ``backends``: the cages under load. ``session_cpu_s`` gives the CPU seconds of everything that the session runs in
    cages, without the generator, which is a direct child that has ended at `stop` and is counted through getrusage(2).
    ``threads_s`` gives the CPU seconds of the database's threads with the user that each serves, and ``users`` names
    the backends' users; without it, the one backend has all that the database used. ``clocks`` reads the clocks.
    """

    def __init__(
        self,
        backends: Sequence[Cage],
        database: Cage,
        session_cpu_s: Callable[[], float],
        users: Sequence[str] = (),
        threads_s: Callable[[], Threads] = dict,
        clocks: Callable[[], clock.Reading] = clock.read,
    ) -> None:
        self._backends, self._database, self._session_cpu_s = backends, database, session_cpu_s
        self._users, self._threads_s = users, threads_s
        self._clocks, self._readings = clocks, [clocks()]
        self._memory_mb: list[list[float]] = [[] for _ in backends]
        for cage in backends:
            cage.reset_peak()
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._first = self._read()
        self._sampler.start()

    def _read(self) -> _Reading:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        own = resource.getrusage(resource.RUSAGE_SELF)
        generator_s = children.ru_utime + children.ru_stime
        return _Reading(
            time_s=time.monotonic(),
            backends_s=tuple(cage.cpu_s() for cage in self._backends),
            throttled_s=tuple(cage.throttled_s() for cage in self._backends),
            database_s=self._database.cpu_s(),
            threads_s=self._threads_s(),
            generator_s=generator_s,
            own_s=self._session_cpu_s() + generator_s + own.ru_utime + own.ru_stime,
            machine=parse_machine(Path("/proc/stat").read_text()),
        )

    def _sample(self) -> None:
        while True:
            for cage, samples in zip(self._backends, self._memory_mb, strict=True):
                samples.append(cage.memory_mb())
            self._readings.append(self._clocks())
            if self._done.wait(SAMPLE_S):
                return

    def cancel(self) -> None:
        """Read no more."""
        self._done.set()
        self._sampler.join()

    def clock_error_s(self, span_s: float) -> float:
        """By how much the wall clock was wrong, at most, over any ``span_s`` seconds until `stop`."""
        return clock.error_s(self._readings, span_s)

    def stop(self) -> Callable[[int, int], Resources]:
        """Read the counters now; the answer makes the resources of a backend, by its index, from its requests."""
        last = self._read()
        self.cancel()
        self._readings.append(self._clocks())
        first = self._first
        wall_s = last.time_s - first.time_s
        peaks_mb = [
            cage.peak_memory_mb() or max(samples) for cage, samples in zip(self._backends, self._memory_mb, strict=True)
        ]
        busy_s = last.machine.busy_s - first.machine.busy_s

        def resources(index: int, requests: int) -> Resources:
            cpu_s = last.backends_s[index] - first.backends_s[index]
            database_s = last.database_s - first.database_s
            share_s = spent_for(self._users[index], first.threads_s, last.threads_s) if self._users else database_s
            samples = self._memory_mb[index]
            return Resources(
                wall_s=wall_s,
                cpu_s=cpu_s,
                cpu_ms_per_request=cpu_s * 1000 / requests if requests else None,
                throttled_s=last.throttled_s[index] - first.throttled_s[index],
                peak_memory_mb=peaks_mb[index],
                mean_memory_mb=sum(samples) / len(samples),
                database_cpu_s=database_s,
                database_cpu_ms_per_request=share_s * 1000 / requests if requests else None,
                generator_cpus=(last.generator_s - first.generator_s) / wall_s,
                steal_cpus=(last.machine.steal_s - first.machine.steal_s) / wall_s,
                foreign_cpus=max(0.0, (busy_s - (last.own_s - first.own_s)) / wall_s),
            )

        return resources
