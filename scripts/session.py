"""A session: the schedule of its blocks, warm-up, measuring, repeating, interruption. It yields a run."""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import time
import urllib.request
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import msgspec

from scripts import history, k6
from scripts.model import (
    SCHEMA_VERSION,
    Block,
    Commit,
    Config,
    ParitySummary,
    PipelineError,
    Profile,
    Resources,
    Run,
    Struct,
)
from scripts.stack import Instance, Stack, check_alive
from scripts.stack.limits import parse_cpu_list
from scripts.stack.meter import Meter, probe
from scripts.stack.process import Process, uninterrupted
from scripts.validity import judge

INTERRUPTED = "interrupted"
SETTLE_S = (0.5, 25.0)
"""Least and most seconds before the window."""
SETTLE_LATENCIES = 1.2
"""The window opens when every user has had time for this many requests at the rate seen before."""
K6_GRACE_S = 15.0
DISK_NEEDED_MB = 64
CALM_PROBE_S = 0.5
CALM_PAUSE_S = 3.0
GIVE_UP_AFTER = 15
"""So many disturbed blocks in a row when patience is at its end, and the session stops: the machine is not fit."""


class Planned(Struct):
    """A block to be measured."""

    index: int
    round: int
    backend: str
    level: int


class Progress(Protocol):
    """What a session tells while it goes on."""

    def warming(self, backend: str) -> None: ...

    def measuring(self, planned: Planned, attempt: int, finished: int, remaining_s: float) -> None: ...

    def measured(self, block: Block, finished: int) -> None: ...

    def waiting(self) -> None: ...


def schedule(profile: Profile, backends: Sequence[str], seed: int) -> list[Planned]:
    """All blocks of a session: in each round every backend at every level once, in an order drawn from ``seed``."""
    chance = random.Random(seed)
    order: list[tuple[int, str, int]] = []
    for number in range(1, profile.rounds + 1):
        blocks = [(number, backend, level) for backend in backends for level in profile.levels]
        chance.shuffle(blocks)
        order += blocks
    return [
        Planned(index=index, round=number, backend=backend, level=level)
        for index, (number, backend, level) in enumerate(order, 1)
    ]


class Session:
    """Measures blocks on a stack and keeps the run's record on disk whole after each of them.

    ``directory`` receives ``run.json`` and ``raw/*.ndjson.gz``; ``began`` is the `time.monotonic` from which the run's
    wall time counts, with bringing up the stack and proving parity. `measure` returns the run, complete or not;
    whatever stops it, the finished blocks are in it.
    """

    def __init__(
        self,
        stack: Stack,
        config: Config,
        profile: Profile,
        commit: Commit,
        run_id: str,
        seed: int,
        directory: Path,
        progress: Progress,
        parity: tuple[ParitySummary, ...],
        began: float,
    ) -> None:
        self._stack, self._config, self._profile, self._directory = stack, config, profile, directory
        self._progress = progress
        self._instances: dict[str, Instance] = {i.target.name: i for i in stack.instances}
        self._rate_rps: dict[str, float] = {}
        self._blocks: list[Block] = []
        self._finished: set[int] = set()
        self._disturbed = 0
        self._waited_s = 0.0
        self._began = began
        self._plan = schedule(profile, list(self._instances), seed)
        self._run = Run(
            schema_version=SCHEMA_VERSION,
            id=run_id,
            started=_now(),
            profile=profile,
            scenario="stepped",
            seed=seed,
            commit=commit,
            environment=stack.environment,
            workload=config.workload,
            limits=config.limits,
            limited=stack.limited,
            labels={name: instance.target.backend.label for name, instance in self._instances.items()},
            packages={name: dict(instance.packages) for name, instance in self._instances.items()},
            parity=parity,
            blocks=(),
            wall_s=0.0,
            load_s=0.0,
            waited_s=0.0,
            complete=False,
        )
        (directory / "raw").mkdir(parents=True, exist_ok=True)

    def measure(self) -> Run:
        """Warm up, measure every block, and return the run."""
        try:
            for name in self._instances:
                self._warm_up(name)
            for _, planned in itertools.groupby(self._plan, key=lambda planned: planned.round):
                self._measure_round(planned)
        except KeyboardInterrupt:
            with uninterrupted():
                return self._record(complete=False, stopped_by=INTERRUPTED)
        except PipelineError as error:
            return self._record(complete=False, stopped_by=f"{error.message}\n{error.hint}".strip())
        return self._record(complete=True)

    def _record(self, *, complete: bool, stopped_by: str = "") -> Run:
        """Write the run as it is now. On a full disk the record that was written after the last block stays."""
        run = msgspec.structs.replace(
            self._run,
            blocks=tuple(self._blocks),
            wall_s=time.monotonic() - self._began,
            load_s=sum(block.load.load_s for block in self._blocks),
            waited_s=self._waited_s,
            complete=complete,
            stopped_by=stopped_by,
        )
        try:
            history.write_run(run, self._directory / "run.json")
        except PipelineError:
            if complete or not self._blocks:
                raise
        return run

    def _warm_up(self, name: str) -> None:
        """Load a backend without measuring, which also shows about how fast it is."""
        self._progress.warming(name)
        level = sorted(self._profile.levels)[len(self._profile.levels) // 2]
        planned = Planned(index=0, round=0, backend=name, level=level)
        raw = self._directory / "raw" / f"warmup-{name}.ndjson.gz"
        with self._only(name) as instance:
            self._load(instance, planned, self._profile.warmup_s, raw)
        result = k6.read(raw, 0.0, self._profile.warmup_s)
        raw.unlink()
        self._rate_rps[name] = result.load.requests / max(result.load.load_s, 0.1)

    def _measure_round(self, round_: Iterable[Planned]) -> None:
        """Measure the blocks of a round; one that is invalid for reasons that may pass is put off to its end."""
        queue = deque((planned, 1) for planned in round_)
        while queue:
            planned, attempt = queue.popleft()
            self._progress.measuring(planned, attempt, len(self._finished), self._remaining_s())
            block = self._measure(planned, attempt)
            self._blocks.append(block)
            if block.valid:
                self._rate_rps[planned.backend] = block.load.throughput_rps
            may_pass = bool(block.violations) and all(violation.passing for violation in block.violations)
            if may_pass and attempt < self._profile.attempts:
                queue.append((planned, attempt + 1))
            else:
                self._finished.add(planned.index)
            self._progress.measured(block, len(self._finished))
            self._record(complete=False, stopped_by="unfinished")
            self._disturbed = self._disturbed + 1 if may_pass else 0
            self._pause(block)

    def _pause(self, block: Block) -> None:
        """Between blocks: the profile's gap, or after a disturbed block until the machine is calm again."""
        if self._disturbed >= GIVE_UP_AFTER and 0 < self._profile.patience_s <= self._waited_s:
            details = "; ".join(violation.detail for violation in block.violations)
            raise PipelineError(
                f"the last {self._disturbed} blocks were all disturbed, at last because {details}",
                "stop what else runs on this machine, or measure on a quieter one (bounds: bench.toml [validity])",
            )
        time.sleep(self._profile.gap_s)
        if self._disturbed:
            began = time.monotonic()
            deadline = began + self._profile.patience_s - self._waited_s
            while time.monotonic() < deadline and not self._is_calm():
                self._progress.waiting()
                time.sleep(CALM_PAUSE_S)
            self._waited_s += time.monotonic() - began

    def _is_calm(self) -> bool:
        """Whether nobody takes CPU away just now; asked with all CPUs busy, since else nothing would be missed."""
        bounds = self._config.validity
        disturbance = probe(CALM_PROBE_S)
        return disturbance.steal_cpus <= bounds.steal_cpus / 2 and disturbance.foreign_cpus <= bounds.foreign_cpus

    def _remaining_s(self) -> float:
        """About how long the blocks that are not finished will take."""
        profile = self._profile
        ahead = [planned for planned in self._plan if planned.index not in self._finished]
        edges = sum(self._settle_s(p) + p.level / self._rate_rps[p.backend] for p in ahead)
        return edges + len(ahead) * (profile.duration_s + profile.gap_s + 0.7)

    def _settle_s(self, planned: Planned) -> float:
        rate_rps = self._rate_rps[planned.backend]
        latency_s = planned.level / rate_rps if rate_rps else SETTLE_S[1]
        return round(min(max(SETTLE_LATENCIES * latency_s, SETTLE_S[0]), SETTLE_S[1]), 3)

    def _measure(self, planned: Planned, attempt: int) -> Block:
        stem = f"{planned.index:03}-{planned.backend}-{planned.level}-{attempt}"
        raw = self._directory / "raw" / f"{stem}.ndjson.gz"
        settle_s, window_s = self._settle_s(planned), self._profile.duration_s
        started = _now()
        with self._only(planned.backend) as instance:
            self._reset(instance)
            missing = tuple(instance.cage.missing()) if self._stack.limited else ()
            meter = Meter(instance.cage, self._stack.database_cage, self._stack.cpu_s)
            try:
                self._load(instance, planned, settle_s + window_s, raw)
            except BaseException:
                raw.unlink(missing_ok=True)
                raise
            finally:
                resources = meter.stop()
        result = k6.read(raw, settle_s, window_s)
        used: Resources = resources(result.load.requests)
        environment = self._stack.environment
        others = parse_cpu_list(environment.database_cpus) | parse_cpu_list(environment.generator_cpus)
        return Block(
            index=planned.index,
            round=planned.round,
            backend=planned.backend,
            level=planned.level,
            attempt=attempt,
            started=started,
            load=result.load,
            resources=used,
            raw=f"raw/{raw.name}",
            arm=instance.target.arm,
            violations=judge(
                self._config.validity,
                level=planned.level,
                load=result.load,
                resources=used,
                wrong_answers=result.wrong_answers,
                dropped_iterations=result.dropped_iterations,
                missing_limits=missing,
                other_cpus=len(others),
            ),
        )

    @contextlib.contextmanager
    def _only(self, name: str) -> Iterator[Instance]:
        """Let this backend alone run."""
        instance = self._instances[name]
        instance.thaw()
        try:
            yield instance
        finally:
            instance.freeze()

    def _reset(self, instance: Instance) -> None:
        """Bring the backend's database back to its seeded state, through its own endpoint."""
        request = urllib.request.Request(instance.url + instance.target.backend.reset, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                response.read()
        except OSError as error:
            check_alive(self._stack)
            raise PipelineError(
                f"backend {instance.target.backend.name}: POST {instance.target.backend.reset} failed: {error}\n{instance.tail()}",
                "its log is above; run `nox -s parity`",
            ) from error

    def _load(self, instance: Instance, planned: Planned, duration_s: float, raw: Path) -> None:
        """Run k6 until it ends by itself, watching that everything else stays alive."""
        free_mb = shutil.disk_usage(self._directory).free // (1024 * 1024)
        if free_mb < DISK_NEEDED_MB:
            raise _disk_full(self._directory, free_mb)
        log = raw.with_suffix(".log")
        url = instance.url + instance.target.backend.io_intensive
        with Process(
            "k6",
            k6.command(self._stack.generator, "stepped", raw),
            log=log,
            cage=self._stack.generator_cage,
            env=k6.environment(url, planned.level, duration_s, self._config.workload),
        ) as process:
            deadline = time.monotonic() + duration_s + k6.DRAIN_S + K6_GRACE_S
            while process.wait(0.2) is None:
                check_alive(self._stack)
                if time.monotonic() > deadline:
                    raise PipelineError(f"k6 did not end within {deadline:.0f} s", f"its log: {process.tail()}")
            check_alive(self._stack)
            if process.returncode:
                free_mb = shutil.disk_usage(self._directory).free // (1024 * 1024)
                if free_mb < 1:
                    raise _disk_full(self._directory, free_mb)
                raise PipelineError(f"k6 ended with code {process.returncode}:\n{process.tail()}", "see k6's message")
        log.unlink()


def _disk_full(directory: Path, free_mb: int) -> PipelineError:
    return PipelineError(
        f"the disk under {directory} is full ({free_mb} MB free; a session needs {DISK_NEEDED_MB} MB)",
        "free some space or choose another folder with --output; the finished blocks are kept",
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
