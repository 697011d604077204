"""Measuring one block: k6 loads one instance, or two arms at once, and everything is metered and judged."""

from __future__ import annotations

import contextlib
import shutil
import signal
import time
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from scripts.config import Config
from scripts.cpus import parse_cpu_list
from scripts.load import k6
from scripts.model import Arm, Block, PipelineError, Struct
from scripts.session.validity import disturbances, judge
from scripts.stack import Instance, Stack, check_alive
from scripts.stack.meter import Meter
from scripts.stack.process import Process

DISK_NEEDED_MB = 64


class Place(Struct):
    """Where a block stands in its session, and what it is to do.

    ``generation`` counts the starts of the processes that are loaded. ``settle_s`` seconds are not measured, then
    ``window_s`` are. ``again``: why it is not the first attempt. ``part``: 1 for the second block of a pair whose arms
    are loaded one after the other.
    """

    index: int
    round: int
    backend: str
    level: int
    attempt: int
    settle_s: float
    window_s: float
    generation: int = 1
    part: int = 0
    again: str = ""


def measure(stack: Stack, config: Config, instances: Sequence[Instance], place: Place, directory: Path) -> list[Block]:
    """Load the instances at once, in the given order, and return a block for each; k6's output stays in ``raw/``."""
    stem = f"{place.index:03}-{place.backend}-{place.level}-{place.attempt}{'b' * place.part}"
    raw = directory / "raw" / f"{stem}.ndjson.gz"
    accounts = [instance.account for instance in instances] if len(instances) > 1 else []
    started = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    with running(instances):
        for instance in instances:
            _reset(stack, instance)
        missing = [tuple(instance.cage.missing()) if stack.limited else () for instance in instances]
        cages = [instance.cage for instance in instances]
        threads_s = partial(stack.database.thread_cpu_s, stack.database_cage.pids()) if accounts else dict
        meter = Meter(cages, stack.database_cage, stack.cpu_s, accounts, threads_s)
        try:
            load(stack, config, instances, place.level, place.settle_s + place.window_s, raw)
        except BaseException:
            meter.cancel()
            raw.unlink(missing_ok=True)
            raise
        resources = meter.stop()
    results = k6.read(raw, place.settle_s, place.window_s, [instance.target.arm for instance in instances])
    environment = stack.environment
    others = parse_cpu_list(environment.database_cpus) | parse_cpu_list(environment.generator_cpus)
    blocks = []
    for position, (instance, lacks) in enumerate(zip(instances, missing, strict=True)):
        arm = instance.target.arm
        result = results[arm]
        used = resources(position, result.load.requests)
        blocks.append(
            Block(
                index=place.index,
                round=place.round,
                backend=place.backend,
                level=place.level,
                attempt=place.attempt,
                started=started,
                load=result.load,
                resources=used,
                raw=f"raw/{raw.name}",
                arm=arm,
                position=position + place.part,
                generation=place.generation,
                slot=instance.slot_number,
                violations=judge(
                    config.validity,
                    level=place.level,
                    load=result.load,
                    resources=used,
                    wrong_answers=result.wrong_answers,
                    dropped_iterations=result.dropped_iterations,
                    missing_limits=lacks,
                    other_cpus=len(others),
                    clock_error_s=meter.clock_error_s(place.window_s),
                ),
                disturbances=disturbances(config.validity, used),
            )
        )
    return blocks


@contextlib.contextmanager
def running(instances: Sequence[Instance]) -> Iterator[None]:
    """Let these instances alone run."""
    try:
        for instance in instances:
            instance.thaw()
        yield
    finally:
        for instance in instances:
            instance.freeze()


def load(stack: Stack, config: Config, instances: Sequence[Instance], level: int, duration_s: float, raw: Path) -> None:
    """Run k6 until it ends by itself, watching that everything else stays alive."""
    free_mb = _free_mb(raw.parent)
    if free_mb < DISK_NEEDED_MB:
        raise _disk_full(raw.parent, free_mb)
    log = raw.parent.parent / "logs" / f"k6-{raw.name.partition('.')[0]}.log"
    log.parent.mkdir(exist_ok=True)
    urls: dict[Arm, str] = {i.target.arm: i.url + i.target.backend.endpoint for i in instances}
    with Process(
        "k6",
        k6.command(stack.generator, "stepped", raw),
        log=log,
        cage=stack.generator_cage,
        env=k6.environment(urls, level, duration_s, config.workload, instances[0].target.backend.method),
    ) as process:
        limit_s = duration_s + k6.DRAIN_S + k6.GRACE_S
        deadline = time.monotonic() + limit_s
        while process.wait(0.2) is None:
            check_alive(stack)
            if time.monotonic() > deadline:
                raise PipelineError(f"k6 did not end within {limit_s:.0f} s:\n{process.tail()}".strip(), _see(log))
        check_alive(stack)
        if process.returncode:
            free_mb = _free_mb(raw.parent)
            if free_mb < 1:
                raise _disk_full(raw.parent, free_mb)
            raise _ended(process)
    log.unlink()


def _ended(process: Process) -> PipelineError:
    """What to say of a k6 that ended otherwise than well: by itself, or by a signal (also to a shell around it)."""
    code, said = process.returncode or 0, process.tail()
    number = -code if code < 0 else code - 128
    if code != k6.ABORTED and number <= 0:
        return PipelineError(f"k6 ended with code {code}:\n{said}".strip(), _see(process.log))
    how = signal.Signals(number).name if number in set(signal.Signals) else "a signal"
    return k6.UnfinishedError(
        f"k6 was ended by {how} before its load was over\n{said}".strip(),
        f"see what ends it: too little memory is the usual reason (dmesg). {_see(process.log)}",
    )


def _see(log: Path) -> str:
    return f"k6's log is {log.parent.name}/{log.name} in the session's folder"


def _reset(stack: Stack, instance: Instance) -> None:
    """Bring the instance's database back to its seeded state, through its own endpoint."""
    backend = instance.target.backend
    request = urllib.request.Request(instance.url + backend.reset, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            response.read()
    except OSError as error:
        check_alive(stack)
        stack.database.check_answers()
        raise PipelineError(
            f"backend {instance.target.name}: POST {backend.reset} failed: {error}\n{instance.tail()}",
            "its log is above; run `nox -s parity`",
        ) from error


def _free_mb(directory: Path) -> int:
    return shutil.disk_usage(directory).free // (1024 * 1024)


def _disk_full(directory: Path, free_mb: int) -> PipelineError:
    return PipelineError(
        f"the disk under {directory} is full ({free_mb} MB free; a session needs {DISK_NEEDED_MB} MB)",
        "free some space or choose another folder with --output; the finished blocks are kept",
    )
