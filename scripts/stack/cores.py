"""Which CPUs the backend under load, the database and the generator run on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.cpus import parse_cpu_list


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
