"""What separates series: runs are put into one series when their environments have the same fingerprint.

`PARTS` is the rule, part by part. What is left out of it is not lost: `differences` names every change of the
environment between two runs, so that a step in a series can be seen beside it. docs/environment.md says why each
part is in or out.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping

from scripts.cpus import parse_cpu_list
from scripts.model import Environment, Limits, Run

DIGITS = 8


def _series(version: str) -> str:
    """``9.7.4`` -> ``9.7``: the release series, in which only mistakes are mended."""
    found = re.match(r"\D*(\d+(?:\.\d+)?)", version)
    return found[1] if found else version


def _major(version: str) -> str:
    return _series(version).partition(".")[0]


def _os(name: str) -> str:
    """``Ubuntu 24.04.3 LTS`` -> ``Ubuntu 24.04``, ``Debian GNU/Linux 12 (bookworm)`` -> ``Debian GNU/Linux 12``."""
    found = re.match(r".*?\d+(?:\.\d+)?", name)
    return found[0] if found else name


def _cpu(model: str) -> str:
    """The CPU's name without trade marks, which differ between hypervisors for the same model."""
    return " ".join(re.sub(r"\((?:R|TM|r|tm)\)|\bCPU\b", " ", model).split())


def _placement(environment: Environment) -> str:
    """How many CPUs each has, and who shares; which ones they are does not matter."""
    backend, database, generator = (
        parse_cpu_list(cpus) if cpus else set()
        for cpus in (environment.backend_cpus, environment.database_cpus, environment.generator_cpus)
    )
    alone = "shared" if backend & (database | generator) else "alone"
    shared = len(database & generator)
    return f"backend {len(backend)} {alone}, database {len(database)}, generator {len(generator)}, {shared} for both"


PARTS: Mapping[str, Callable[[Environment], str]] = {
    "stack": lambda e: e.stack,
    "cpu_model": lambda e: _cpu(e.cpu_model),
    "cpu_count": lambda e: str(e.cpu_count),
    "kernel": lambda e: _series(e.kernel),
    "os": lambda e: _os(e.os),
    "virtualization": lambda e: e.virtualization,
    "runner_image": lambda e: e.runner_image.partition(" ")[0],
    "cgroup": lambda e: e.cgroup,
    "python": lambda e: _series(e.python),
    "k6": lambda e: _major(e.k6),
    "database": lambda e: e.database,
    "database_version": lambda e: _series(e.database_version),
    "durability": lambda e: e.durability,
    "backend_cpus, database_cpus, generator_cpus": _placement,
}
"""Fields of `Environment` -> what of them is in the fingerprint. ``limits`` are in it besides, ``memory_mb`` and
``randomised`` are not."""


def parts(environment: Environment, limits: Limits | None) -> dict[str, str]:
    """All that is in the fingerprint, in words; ``limits`` is None where none were in force."""
    named = {name: part(environment) for name, part in PARTS.items()}
    return {**named, "limits": f"{limits.cpus:g} CPU, {limits.memory_mb} MB" if limits else "none"}


def fingerprint(environment: Environment, limits: Limits | None) -> str:
    """`parts` as 8 hexadecimal digits, the same on every machine. It is computed on reading and stored nowhere, so that
    a better rule holds for the whole history at once.
    """
    canonical = json.dumps(parts(environment, limits), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:DIGITS]


def of(run: Run) -> str:
    """The fingerprint of a run's environment."""
    return fingerprint(run.environment, run.limits if run.limited else None)


def describe(environment: Environment, limits: Limits | None) -> str:
    """What people call it: ``AMD EPYC 7763 x 4, native, mysql 8.4 (memory), limits: 1 CPU, 2048 MB``.

    It says less than the fingerprint: environments that differ in the rest have the same name, so show both.
    """
    said = parts(environment, limits)
    database = f"{said['database']} {said['database_version']} ({said['durability']})"
    image = [said["runner_image"]] if said["runner_image"] else []
    limited = f"limits: {said['limits']}"
    return ", ".join([f"{said['cpu_model']} x {said['cpu_count']}", said["stack"], *image, database, limited])


def differences(before: Environment, after: Environment) -> dict[str, tuple[str, str]]:
    """Every field that differs, in the fingerprint or not: ``{"python": ("3.11.7", "3.11.9")}``."""
    pairs = {field: (getattr(before, field), getattr(after, field)) for field in Environment.__struct_fields__}
    return {field: (str(old), str(new)) for field, (old, new) in pairs.items() if old != new}
