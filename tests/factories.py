"""Runs that look like real ones, from a seed (the sizes are those measured on a 2-core machine), and real git."""

from __future__ import annotations

import math
import random
import subprocess
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from scripts.checkout import Revision
from scripts.model import (
    SCHEMA_VERSION,
    Arm,
    Block,
    Commit,
    Environment,
    Latency,
    Limits,
    Load,
    ParitySummary,
    Profile,
    Resources,
    Run,
    Violation,
    Workload,
)

RUNS = 20
"""Runs of a history on this repository's own line of commits, one for each of the first (fixture ``line``)."""

LABELS = {
    "fastapi": "FastAPI",
    "django_wsgi": "Django WSGI",
    "django_asgi": "Django ASGI",
    "fast_django_asgi": "fast-django-asgi",
}
THROUGHPUT_RPS = {"fastapi": 45.0, "django_wsgi": 18.0, "django_asgi": 10.0, "fast_django_asgi": 50.0}
LEVELS = (10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
LIMITED_BY_K6 = Violation(rule="generator", detail="k6 used 0.93 CPUs of at most 0.80", passing=True)
FAILED = Violation(rule="failures", detail="12 of 310 requests failed: status 500 (12)", passing=False)

Place = tuple[str, int, int]
"""Backend, level, round."""


def make_block(
    backend: str = "fastapi",
    level: int = 10,
    round: int = 0,
    *,
    index: int = 0,
    attempt: int = 1,
    seed: int = 1,
    duration_s: float = 10.0,
    violations: tuple[Violation, ...] = (),
) -> Block:
    """One block with about the backend's usual throughput; the same arguments give the same block."""
    rng = random.Random(f"{seed}/{backend}/{level}/{round}/{attempt}")
    rate = THROUGHPUT_RPS.get(backend, 30.0) * rng.lognormvariate(0, 0.02) * (1 - 0.001 * level)
    mean_ms = 1000 * level / rate
    settle_s = max(1.0, mean_ms / 1000)
    drain_s = mean_ms / 1000
    requests = round_half(rate * (settle_s + duration_s + drain_s / 2))
    failed = 12 if FAILED in violations else 0
    wall_s = settle_s + duration_s + drain_s
    cpu_s = 0.97 * wall_s
    return Block(
        index=index,
        round=round,
        backend=backend,
        level=level,
        attempt=attempt,
        started="2026-11-23T12:00:00Z",
        load=Load(
            settle_s=settle_s,
            window_s=duration_s,
            load_s=wall_s,
            requests=requests,
            failed=failed,
            failures={"status 500": failed} if failed else {},
            window_requests=rate * duration_s,
            throughput_rps=rate,
            concurrency=float(level),
            latency=Latency(
                mean_ms=mean_ms,
                p50_ms=mean_ms * 0.97,
                p90_ms=mean_ms * 1.15,
                p95_ms=mean_ms * 1.25,
                p99_ms=mean_ms * 1.5,
                max_ms=mean_ms * 2,
            ),
        ),
        resources=Resources(
            wall_s=wall_s,
            cpu_s=cpu_s,
            cpu_ms_per_request=1000 * cpu_s / requests,
            throttled_s=0.1,
            peak_memory_mb=90 + level / 4,
            mean_memory_mb=85 + level / 5,
            database_cpu_s=0.3 * wall_s,
            database_cpu_ms_per_request=300 * wall_s / requests,
            generator_cpus=0.93 if LIMITED_BY_K6 in violations else 0.05,
            steal_cpus=0.0,
            foreign_cpus=0.01,
        ),
        raw=f"raw/{index:03d}-{backend}-{level}.ndjson.gz",
        violations=violations,
    )


def round_half(value: float) -> int:
    """``round`` under a name that ``make_block``'s argument does not hide."""
    return int(value + 0.5)


def make_parity(differences: tuple[str, ...] = ()) -> tuple[ParitySummary, ...]:
    """Equal work for all four; ``differences`` are those of django_asgi, which then does the study's 128 statements."""
    return tuple(
        ParitySummary(
            backend=name,
            statements_per_request=128 if differences and name == "django_asgi" else 168,
            rows_per_request=240,
            control_per_request={"BEGIN": 8, "COMMIT": 8},
            connections_per_request=1.0 if differences and name == "django_asgi" else 0.0,
            file_operations=2,
            answer_bytes=148,
            differences=differences if name == "django_asgi" else (),
        )
        for name in LABELS
    )


def make_run(
    seed: int = 1,
    *,
    levels: tuple[int, ...] = LEVELS,
    rounds: int = 2,
    labels: dict[str, str] | None = None,
    invalid: Collection[Place] = (),
    repeated: Collection[Place] = (),
    violation: Violation = LIMITED_BY_K6,
    differences: tuple[str, ...] = (),
    subject: str = "Make the four backends do equal work",
    complete: bool = True,
) -> Run:
    """A finished session. Places in ``invalid`` have only an invalid block; those in ``repeated`` an invalid block
    and then, as attempt 2, a valid one."""
    labels = labels or LABELS
    rng = random.Random(seed)
    blocks: list[Block] = []
    index = -1
    for number in range(rounds):
        places = [(backend, level, number) for level in levels for backend in labels]
        rng.shuffle(places)
        for place in places:
            index += 1
            first = (violation,) if place in invalid or place in repeated else ()
            blocks.append(make_block(*place, index=index, seed=seed, violations=first))
            if place in repeated:
                blocks.append(make_block(*place, index=index, attempt=2, seed=seed))
    load_s = sum(block.load.load_s for block in blocks)
    return Run(
        schema_version=SCHEMA_VERSION,
        id=f"20261123T120000Z-{seed:07x}-f0f0f0",
        started="2026-11-23T12:00:00Z",
        profile=Profile(name="full", levels=levels, rounds=rounds, duration_s=10.0, warmup_s=5.0, gap_s=0.5),
        scenario="stepped",
        seed=seed,
        commit=Commit(
            sha=f"{seed:040x}", subject=subject, committed_at="2026-11-23T11:00:00Z", branch="main", dirty=False
        ),
        environment=Environment(
            stack="native",
            cpu_model="AMD EPYC",
            cpu_count=2,
            memory_mb=7900,
            kernel="6.1.0",
            os="Debian GNU/Linux 12",
            virtualization="kvm",
            runner_image="",
            cgroup="v1",
            python="3.11.7",
            k6="1.1.0",
            database="MySQL",
            database_version="9.7.0",
            durability="memory",
            backend_cpus="0",
            database_cpus="1",
            generator_cpus="1",
        ),
        workload=Workload(),
        limits=Limits(),
        limited=True,
        labels=labels,
        packages={name: {"gunicorn": "27.0.1"} for name in labels} | {"fastapi": {"fastapi": "0.165.0"}},
        parity=make_parity(differences),
        blocks=tuple(blocks),
        wall_s=load_s / 0.9,
        load_s=load_s,
        waited_s=0.0,
        complete=complete,
        stopped_by="" if complete else "Ctrl-C",
    )


def make_paired_run(
    seed: int = 1,
    *,
    backends: tuple[str, ...] = ("fastapi",),
    levels: tuple[int, ...] = (10,),
    rounds: int = 12,
    of: int = 12,
    pairs: int = 2,
    noise: float = 0.005,
    slower: float = 0.0,
    slots_differ: float = 0.0,
    invalid_rounds: Collection[int] = (),
    violation: Violation = LIMITED_BY_K6,
    statements: tuple[int, int] = (168, 168),
) -> Run:
    """A paired session whose candidate needs ``slower`` (a fraction) more CPU and time; ``rounds`` done ``of`` so many.

    ``noise``: standard deviation of each round's log ratio. ``slots_differ``: by which fraction the first of two slots,
    which the arms exchange from round to round, costs more; 0: they stay where they are. The blocks of
    ``invalid_rounds`` have the ``violation``.
    """
    rng = random.Random(f"paired/{seed}")
    run = make_run(seed, levels=levels, labels={name: LABELS[name] for name in backends})
    blocks: list[Block] = []
    index = 0
    for number in range(1, rounds + 1):
        for backend in backends:
            away = bool(slots_differ) and number % 2 == 0
            ratio = math.log1p(slower) + rng.gauss(0, noise) + (-1 if away else 1) * math.log1p(slots_differ)
            for level in levels:
                for _ in range(pairs):
                    index += 1
                    base = make_block(backend, level, number, index=index, seed=seed, duration_s=4.0)
                    scale = math.exp(ratio + rng.gauss(0, noise / 3))
                    bad = (violation,) if number in invalid_rounds else ()
                    for arm, factor in (("candidate", scale), ("baseline", 1.0)):
                        block = _scaled(base, arm, factor, bad)  # type: ignore[arg-type]
                        slot = int((arm == "baseline") != away)
                        blocks.append(msgspec.structs.replace(block, slot=slot))
    parity = tuple(
        msgspec.structs.replace(summary, arm=arm, statements_per_request=count)
        for arm, count in zip(("baseline", "candidate"), statements, strict=True)
        for summary in make_parity()
        if summary.backend in backends
    )
    profile = Profile(name="pr", levels=levels, rounds=of, duration_s=4.0, warmup_s=1.5, pairs=pairs)
    return msgspec.structs.replace(
        run, blocks=tuple(blocks), parity=parity, profile=profile, baseline=run.commit, packages={}
    )


def _scaled(block: Block, arm: Arm, factor: float, violations: tuple[Violation, ...]) -> Block:
    """The block with times and CPU ``factor`` times as large."""
    latency = block.load.latency
    assert latency is not None
    used = block.resources
    return msgspec.structs.replace(
        block,
        arm=arm,
        violations=violations,
        load=msgspec.structs.replace(
            block.load,
            throughput_rps=block.load.throughput_rps / factor,
            latency=Latency(**{name: factor * getattr(latency, name) for name in latency.__struct_fields__}),
        ),
        resources=msgspec.structs.replace(
            used, cpu_s=factor * used.cpu_s, cpu_ms_per_request=factor * (used.cpu_ms_per_request or 0.0)
        ),
    )


def git(repository: Path, *arguments: str) -> str:
    """What git prints in a repository; an error is an error of the test."""
    command = ["git", "-C", str(repository), "-c", "user.name=Somebody", "-c", "user.email=some@body.org", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def make_line(number: int, reaches: Mapping[int, tuple[str, ...]] | None = None) -> list[Revision]:
    """Commits ``000...0``, ``000...1`` and so on; each reaches every backend, or what ``reaches`` says of it."""
    everybody = tuple(LABELS)
    return [
        Revision(sha=f"{place:040x}", subject=f"Change {place}", reaches=(reaches or {}).get(place, everybody))
        for place in range(number)
    ]


def make_history(
    commits: Sequence[int],
    steps: Mapping[tuple[str, int], float],
    *,
    seed: int = 1,
    levels: tuple[int, ...] = (10, 50),
    paired: bool = False,
    statements: Mapping[tuple[str, int], int] | None = None,
    backends: tuple[str, ...] = tuple(LABELS),
) -> list[Run]:
    """A run a minute, of the commits at these places of `make_line`; blocks vary by 2%, ratios of rounds by 0.5%.

    ``steps``: from which place on a backend needs how many times as much CPU and time, by ``(backend, place)``.
    ``statements``: likewise how many it sends from there on.
    """
    runs = []
    for minute, place in enumerate(commits):
        one = 1_000_003 * seed + minute
        if paired:
            run = make_paired_run(one, backends=backends, levels=levels, rounds=6)
        else:
            run = make_run(one, levels=levels, rounds=2, labels={name: LABELS[name] for name in backends})
        blocks = []
        for block in run.blocks:
            factor = math.prod(f for (name, since), f in steps.items() if name == block.backend and place >= since)
            blocks.append(_scaled(block, block.arm, factor, ()) if block.arm == "candidate" else block)
        parity = []
        for summary in run.parity:
            counts = [
                n for (name, since), n in (statements or {}).items() if name == summary.backend and place >= since
            ]
            if counts and summary.arm == "candidate":
                summary = msgspec.structs.replace(summary, statements_per_request=counts[-1])
            parity.append(summary)
        sha = f"{place:040x}"
        runs.append(
            msgspec.structs.replace(
                run,
                id=f"20261124T{minute // 60:02}{minute % 60:02}00Z-{sha[-7:]}-{seed:06x}",
                commit=msgspec.structs.replace(run.commit, sha=sha, subject=f"Change {place}"),
                baseline=msgspec.structs.replace(run.commit, sha="b" * 40) if paired else None,
                layout="duet" if paired else None,
                blocks=tuple(blocks),
                parity=tuple(parity),
            )
        )
    return runs
