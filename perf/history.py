"""A long history from a seed: runs as large as recorded ones, with noise, drift, steps, upgrades and new machines."""

from __future__ import annotations

import hashlib
import math
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from scripts import config
from scripts.config import Config
from scripts.history import store
from scripts.model import (
    SCHEMA_VERSION,
    Arm,
    Block,
    Commit,
    Environment,
    Latency,
    Load,
    ParitySummary,
    Profile,
    Resources,
    Run,
    Violation,
)
from scripts.pages.workers import spread

LEVELS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
RATES_RPS = (66.0, 20.0, 24.0, 69.0)
STEP_EVERY, UPGRADE_EVERY, MACHINE_EVERY = 100, 40, 2500
ANCHOR = "a" * 40
ANCHOR_COMMIT = Commit(
    sha=ANCHOR, subject="The anchor", committed_at="1999-12-31T00:00:00+00:00", branch="", dirty=False
)
FOREIGN = Violation(rule="foreign", detail="others used 0.12 CPUs of at most 0.05", passing=True)
CHUNK = 100
ENVIRONMENT = Environment(
    stack="compose", cpu_model="AMD EPYC 7763 64-Core Processor", cpu_count=4, memory_mb=15988,
    kernel="6.8.0-1036-azure", os="Ubuntu 24.04.3 LTS", virtualization="microsoft",
    runner_image="ubuntu-24.04 20261110.1", cgroup="v2", python="3.11.7", k6="1.1.0",
    database="mysql", database_version="8.4.6", durability="memory", backend_cpus="3", database_cpus="0-1",
    generator_cpus="2",
)  # fmt: skip


def write(folder: Path, seed: int, first: int, count: int, line: Sequence[str] = ()) -> None:
    """Runs ``first`` to ``first + count`` of the history of a seed, a day apart, beneath a root of a history.

    ``line``: the hashes of their commits, from the first run on, where they are in a repository (`commits`).
    """

    def some(at: int) -> None:
        for number in range(at, min(at + CHUNK, first + count)):
            run = make(seed, number, line[number] if line else "")
            path = folder / store.locate(run.id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=1) + b"\n")

    for _ in spread(some, range(first, first + count, CHUNK)):
        pass


def hashes(repository: Path) -> list[str]:
    """The commits of a repository that `commits` made, in order."""
    command = ["git", "-C", str(repository), "rev-list", "--reverse", "main"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def commits(repository: Path, count: int) -> list[str]:
    """Make a repository with so many commits, of which each touches a backend, and return their hashes in order."""
    names = [backend.name for backend in _settings().backends]
    stream = "".join(
        f"commit refs/heads/main\ncommitter P <p@example.org> {946_684_800 + number} +0000\n"
        f"data <<E\nChange {number}\nE\nM 100644 inline apps/{names[number % len(names)]}/n\ndata <<E\n{number}\nE\n\n"
        for number in range(count)
    )
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", repository], check=True)
    importing = ["git", "-C", str(repository), "fast-import", "--quiet"]
    subprocess.run(importing, input=stream, text=True, check=True)
    return hashes(repository)


def make(seed: int, number: int, sha: str = "") -> Run:
    """One run of 80 blocks: of one arm and two rounds when ``number`` is even, else paired with the anchor.

    ``sha``: of its commit; without it, it is one of no repository.
    """
    rng = np.random.default_rng([seed, number])
    started = datetime(2000, 1, 1, 3, 30, tzinfo=UTC) + timedelta(days=number)
    sha = sha or _sha(seed, number)
    paired = number % 2 == 1
    settings = _settings()
    labels = {backend.name: backend.label for backend in settings.backends}
    rounds = 1 if paired else 2
    arms: tuple[Arm, ...] = ("candidate", "baseline") if paired else ("candidate",)
    noise = rng.normal(0, 0.02, (len(labels), len(LEVELS), 2, 6))
    places = [(k, s, b) for k in range(rounds) for s in range(len(LEVELS)) for b in range(len(labels))]
    blocks = [
        _block(
            name, b, LEVELS[s], k, arm, index, _true(seed, b, 0 if arm == "baseline" else number), noise[b, s, k + a]
        )
        for index, (k, s, b) in enumerate(places)
        for a, arm in enumerate(arms)
        for name in (list(labels)[b],)
    ]
    machine = number // MACHINE_EVERY
    return Run(
        schema_version=SCHEMA_VERSION,
        id=f"{started:%Y%m%dT%H%M%SZ}-{sha[:7]}-{sha[7:13]}",
        started=f"{started:%Y-%m-%dT%H:%M:%SZ}",
        profile=Profile(name="full", levels=LEVELS, rounds=rounds, duration_s=10.0, warmup_s=5.0, gap_s=0.5),
        scenario="stepped",
        seed=number,
        commit=Commit(
            sha=sha,
            subject=f"Change {number}: what a commit's subject says in about so many words",
            committed_at=f"{started - timedelta(hours=5):%Y-%m-%dT%H:%M:%S+00:00}",
            branch="main",
            dirty=False,
        ),
        environment=msgspec.structs.replace(ENVIRONMENT, kernel=f"6.{8 + machine}.0-1036-azure"),
        workload=settings.workload,
        limits=settings.limits,
        limited=True,
        labels=labels,
        packages={
            backend.name: {
                package: f"{1 + number // UPGRADE_EVERY}.0.{i}" for i, package in enumerate(backend.packages)
            }
            for backend in settings.backends
        },
        parity=tuple(_parity(name, arm) for arm in arms for name in labels),
        blocks=tuple(blocks),
        wall_s=2000.0,
        load_s=1000.0,
        waited_s=0.0,
        complete=True,
        baseline=ANCHOR_COMMIT if paired else None,
        layout="alternating" if paired else None,
    )


@cache
def _settings() -> Config:
    return config.load()


def _sha(seed: int, number: int) -> str:
    return hashlib.sha1(f"{seed}/{number}".encode(), usedforsecurity=False).hexdigest()


def _true(seed: int, backend: int, number: int) -> float:
    """The backend's rate at a run: steps of up to 5% at every hundredth, and a slow wave."""
    steps = np.random.default_rng([seed, 1_000_000, backend]).normal(0, 0.03, 1 + number // STEP_EVERY)
    return RATES_RPS[backend % len(RATES_RPS)] * math.exp(0.02 * math.sin(number / 90) + float(np.sum(steps[1:])) / 4)


def _block(
    backend: str, place: int, level: int, round_: int, arm: Arm, index: int, rate: float, noise: Sequence[float]
) -> Block:
    rps = float(rate * (1 - 0.0005 * level) * math.exp(noise[0]))
    mean_ms = 1000 * level / rps
    wall_s = 10 + 2 * mean_ms / 1000
    requests = round(rps * wall_s)
    slow = noise[5] > 0.05  # one in 160
    return Block(
        index=index,
        round=round_,
        backend=backend,
        level=level,
        attempt=1,
        started="2026-11-24T03:30:00Z",
        load=Load(
            settle_s=mean_ms / 1000,
            window_s=10.0,
            load_s=wall_s,
            requests=requests,
            failed=0,
            failures={},
            window_requests=rps * 10,
            throughput_rps=rps,
            concurrency=level - 0.01,
            latency=Latency(
                mean_ms=mean_ms,
                p50_ms=mean_ms * 0.97,
                p90_ms=mean_ms * 1.2,
                p95_ms=mean_ms * 1.3 * math.exp(noise[1]),
                p99_ms=mean_ms * 1.6 * math.exp(noise[2]),
                max_ms=mean_ms * 2.3,
            ),
        ),
        resources=Resources(
            wall_s=wall_s,
            cpu_s=0.97 * wall_s,
            cpu_ms_per_request=970 / rps * math.exp(noise[3] / 2),
            throttled_s=0.1 * place,
            peak_memory_mb=60.0 + level / 10 + 20 * place,
            mean_memory_mb=58.0 + level / 10 + 20 * place,
            database_cpu_s=0.4 * wall_s,
            database_cpu_ms_per_request=400 / rps * math.exp(noise[4] / 2),
            generator_cpus=0.11,
            steal_cpus=0.0,
            foreign_cpus=0.003,
        ),
        raw=f"raw/{backend}-{level}-{round_}-{arm}.ndjson.gz",
        arm=arm,
        violations=(FOREIGN,) if slow else (),
    )


def _parity(backend: str, arm: Arm) -> ParitySummary:
    return ParitySummary(
        backend=backend,
        statements_per_request=168,
        rows_per_request=168,
        control_per_request={"BEGIN": 8, "COMMIT": 8},
        connections_per_request=0.0,
        file_operations=2,
        answer_bytes=312,
        differences=(),
        arm=arm,
    )
