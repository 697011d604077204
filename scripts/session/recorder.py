"""What every kind of session does with its blocks: measure them, wait for calm, and keep the run whole on disk."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from scripts import records
from scripts.config import Config
from scripts.load import k6
from scripts.model import SCHEMA_VERSION, Block, Commit, Load, ParitySummary, PipelineError, Profile, Run
from scripts.session.block import Place, load, measure, running
from scripts.session.timetable import Timetable
from scripts.stack import Instance, Stack
from scripts.stack.meter import probe
from scripts.stack.process import uninterrupted

Measured = TypeVar("Measured")
INTERRUPTED = "interrupted"
LOADS = 3
"""So many times at most is k6 started for a block, or to warm up, where something ends it from outside."""
SETTLE_S = (0.5, 25.0)
"""Least and most seconds before the window."""
SETTLE_LATENCIES = 1.2
"""The window opens when every user has had time for this many requests at the rate seen before."""
CALM_PROBE_S = 0.5
CALM_PAUSE_S = 3.0


class Progress(Protocol):
    """What a session tells while it goes on."""

    def warming(self, backend: str) -> None: ...

    def announced(self, timetable: Timetable) -> None: ...

    def measuring(self, place: Place, finished: int) -> None: ...

    def measured(self, blocks: Sequence[Block], finished: int) -> None: ...

    def waiting(self, taken_cpus: float, limit_s: float) -> None: ...

    def settling(self, number: int, why: str) -> None: ...

    def repeating(self, reason: str) -> None: ...


class Recorder:
    """Holds the run of a session while it grows.

    ``directory`` receives ``run.json`` and ``raw/*.ndjson.gz``; ``began`` is the `time.monotonic` from which the run's
    wall time counts, with bringing up the stack and proving parity.
    """

    def __init__(
        self,
        stack: Stack,
        config: Config,
        profile: Profile,
        commits: tuple[Commit, Commit | None],
        run_id: str,
        seed: int,
        directory: Path,
        progress: Progress,
        parity: tuple[ParitySummary, ...],
        began: float,
    ) -> None:
        self.stack, self.config, self.profile, self.progress = stack, config, profile, progress
        self.blocks: list[Block] = []
        self._directory, self._began = directory, began
        self._rate_rps: dict[str, float] = {}
        self._waited_s = 0.0
        candidates = [i for i in stack.instances if i.target.arm == "candidate"]
        self._run = Run(
            schema_version=SCHEMA_VERSION,
            id=run_id,
            started=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            profile=profile,
            scenario="stepped",
            seed=seed,
            commit=commits[0],
            baseline=commits[1],
            layout=config.compare.layout if commits[1] else None,
            environment=stack.environment,
            workload=config.workload,
            limits=config.limits,
            limited=stack.limited,
            labels={i.target.backend.name: i.target.backend.label for i in candidates},
            packages={i.target.name: dict(i.packages) for i in stack.instances},
            parity=parity,
            blocks=(),
            wall_s=0.0,
            load_s=0.0,
            waited_s=0.0,
            complete=False,
        )
        (directory / "raw").mkdir(parents=True, exist_ok=True)

    def record(self, *, complete: bool, stopped_by: str = "") -> Run:
        """Write the run as it is now. On a full disk the record that was written after the last block stays."""
        run = self.snapshot(complete=complete, stopped_by=stopped_by)
        try:
            records.write_run(run, self._directory / "run.json")
        except PipelineError:
            if complete or not self.blocks:
                raise
        return run

    def note_fault(self, error: Exception) -> str:
        """Keep the traceback of an error that nobody has foreseen, and show it; returns what to say of it."""
        text = "".join(traceback.format_exception(error))
        sys.stderr.write(text)
        with contextlib.suppress(OSError):  # the disk may be what is at fault
            (self._directory / "logs").mkdir(exist_ok=True)
            (self._directory / "logs" / "traceback.log").write_text(text)
        return (
            f"what this program does not expect: {type(error).__name__}: {error}\n"
            "its traceback, logs/traceback.log in the session's folder, is needed to mend it"
        )

    def snapshot(self, *, complete: bool = False, stopped_by: str = "") -> Run:
        """The run as it is now."""
        load_s = {  # by the steady clock where the wall clock stepped
            (block.index, block.attempt, block.started): min(block.load.load_s, block.resources.wall_s)
            for block in self.blocks
        }
        return msgspec.structs.replace(
            self._run,
            blocks=tuple(self.blocks),
            wall_s=time.monotonic() - self._began,
            load_s=sum(load_s.values()),
            waited_s=self._waited_s,
            complete=complete,
            stopped_by=stopped_by,
        )

    def warm_up(self, instance: Instance, level: int) -> None:
        """Load an instance without measuring, which also shows about how fast it is."""
        name = instance.target.backend.name
        self.progress.warming(name)
        raw = self._directory / "raw" / f"warmup-{instance.target.name}.ndjson.gz"

        def warm() -> Load:
            with running([instance]):
                load(self.stack, self.config, [instance], level, self.profile.warmup_s, raw)
            return k6.read(raw, 0.0, self.profile.warmup_s)["candidate"].load

        seen = self._insist(warm)
        raw.unlink()
        self._rate_rps[name] = seen.requests / max(seen.load_s, self.profile.warmup_s)

    def settle_s(self, backend: str, level: int, share: float = 1.0) -> float:
        """Seconds in which every user gets through its first request, with a ``share`` of the CPU."""
        rate_rps = share * self._rate_rps.get(backend, 0.0)
        latency_s = level / rate_rps if rate_rps else SETTLE_S[1]
        return round(min(max(SETTLE_LATENCIES * latency_s, SETTLE_S[0]), SETTLE_S[1]), 3)

    def drain_s(self, backend: str, level: int) -> float:
        """About how long the requests in flight take when no more are started."""
        return level / max(self._rate_rps.get(backend, 0.0), 0.1)

    def announce(self, ahead_s: float) -> None:
        """Say how long everything takes, once the warm-up has shown how fast the backends are."""
        self.timetable = Timetable(ahead_s, self.profile.patience_s)
        self.progress.announced(self.timetable)

    def measure(self, instances: Sequence[Instance], place: Place, finished: int, ahead_s: float) -> list[Block]:
        """Measure a block of every instance at once, and keep it. ``ahead_s``: what the rest takes, with this."""
        self.timetable.expect(ahead_s, again=bool(place.again))
        self.progress.measuring(place, finished)
        blocks = self._insist(lambda: measure(self.stack, self.config, instances, place, self._directory))
        self.blocks += blocks
        if all(block.valid for block in blocks):
            self._rate_rps[place.backend] = sum(block.load.throughput_rps for block in blocks)
        return blocks

    def _insist(self, measure: Callable[[], Measured]) -> Measured:
        """What ``measure`` finds. It is repeated where k6 was ended from outside, a few times in a row."""
        for _ in range(LOADS - 1):
            try:
                return measure()
            except k6.UnfinishedError as error:
                self.progress.repeating(error.message)
        try:
            return measure()
        except k6.UnfinishedError as error:
            raise PipelineError(f"{error.message}\n{LOADS} times in a row", error.hint) from error

    def await_calm(self, limit_s: float) -> bool:
        """Wait until others leave the CPUs alone, for ``limit_s`` at most; returns whether they do.

        It is asked with all CPUs busy, since else nothing would be missed.
        """
        began = time.monotonic()
        bounds = self.config.validity
        try:
            while (left_s := limit_s - (time.monotonic() - began)) > CALM_PROBE_S:
                taken = probe(CALM_PROBE_S)
                if taken.steal_cpus <= bounds.steal_cpus and taken.foreign_cpus <= bounds.foreign_cpus:
                    return True
                if left_s <= CALM_PAUSE_S + 2 * CALM_PROBE_S:
                    return False
                self.progress.waiting(taken.steal_cpus + taken.foreign_cpus, left_s)
                time.sleep(CALM_PAUSE_S)
            return False
        finally:
            self._waited_s += time.monotonic() - began


def may_pass(blocks: Sequence[Block]) -> bool:
    """Whether blocks measured at once are invalid, and for passing reasons only: then they are measured again."""
    violations = [violation for block in blocks for violation in block.violations]
    return bool(violations) and all(violation.passing for violation in violations)


def reasons(blocks: Sequence[Block]) -> str:
    """Why blocks measured at once are invalid or disturbed, in words; empty for good ones."""
    invalid = [violation.detail for block in blocks for violation in block.violations]
    disturbed = [disturbance.detail for block in blocks for disturbance in block.disturbances]
    return "; ".join(dict.fromkeys(invalid + disturbed))


def finish(recorder: Recorder, measure_all: Callable[[], None]) -> Run:
    """Let a session measure until it is done or something stops it; the finished blocks are kept in either case."""
    try:
        measure_all()
    except KeyboardInterrupt:
        with uninterrupted():
            return recorder.record(complete=False, stopped_by=INTERRUPTED)
    except PipelineError as error:
        return recorder.record(complete=False, stopped_by=f"{error.message}\n{error.hint}".strip())
    except Exception as error:
        return recorder.record(complete=False, stopped_by=recorder.note_fault(error))
    return recorder.record(complete=True)
