"""Every shared type, frozen, and the table of metrics.

A *run* is the record of one session; its unit of measurement is the *block*: one uninterrupted k6 load on one
backend at one level. Units are in the names: ``_s`` seconds, ``_ms`` milliseconds, ``_mb`` mebibytes, ``_rps``
requests per second, ``_cpus`` CPU seconds per second of wall time.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Annotated, Literal, dataclass_transform

import msgspec
from msgspec import Meta

from scripts.bounds import (
    Amount,
    AtLeastASecond,
    Count,
    CpuList,
    Difference,
    Name,
    Seconds,
    Seed,
    Sha,
    Times,
    Users,
)

SCHEMA_VERSION = 3

ENOUGH = 2
"""So many quiet rounds of a level, and disturbed ones are not needed."""

Arm = Literal["candidate", "baseline"]
"""The code being measured, and in a paired session what it is compared with."""

Layout = Literal["duet", "alternating"]
"""How the two blocks of a pair lie: both arms loaded at once, or one after the other."""

BROKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for what somebody else wrote: wrong syntax, types or values, not UTF-8, nested too deeply."""


class PipelineError(Exception):
    """Something the user can act on: what went wrong, and what to do about it.

    Raised where it is known what to do; caught in one place (``scripts/__main__.py``).
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass_transform(frozen_default=True, kw_only_default=True)  # tells type checkers that subclasses are frozen
class Struct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every type here: immutable, named arguments only, and strict about unknown keys when decoded."""


# --- what is asked for: bench.toml ------------------------------------------------------------------------------


class Workload(Struct):
    """How much one request to the io-intensive endpoint does (apps/README.md)."""

    file_operations: Annotated[int, Meta(ge=0, le=10_000)] = 2
    transactions: Annotated[int, Meta(ge=0, le=10_000)] = 8
    rows_inserted: Annotated[int, Meta(ge=1, le=10_000)] = 10
    rows_updated: Annotated[int, Meta(ge=0, le=10_000)] = 5
    rows_deleted: Annotated[int, Meta(ge=0, le=10_000)] = 5

    @property
    def statements(self) -> int:
        """Data statements of one request: INSERT, UPDATE and single DELETE one by one, one DELETE for the rest."""
        rest = 1 if self.rows_inserted > self.rows_deleted else 0
        return self.transactions * (self.rows_inserted + self.rows_updated + self.rows_deleted + rest)

    @property
    def environment(self) -> dict[str, str]:
        """The variables through which the counts reach a backend: ``WORKLOAD_TRANSACTIONS`` and so on."""
        return {f"WORKLOAD_{name.upper()}": str(getattr(self, name)) for name in self.__struct_fields__}

    @property
    def answer(self) -> dict[str, int]:
        """The counts that a right answer contains."""
        return {
            "file_operations": self.file_operations,
            "db_operations": self.transactions,
            "rows_created": self.transactions * self.rows_inserted,
            "rows_updated": self.transactions * self.rows_updated,
            "rows_deleted": self.transactions * self.rows_inserted,
        }


class Limits(Struct):
    """What each backend may use."""

    cpus: Annotated[float, Meta(gt=0, le=4096)] = 1.0
    memory_mb: Annotated[int, Meta(ge=64, le=10**9)] = 2048


class Profile(Struct):
    """A named size of session. Each level is loaded for ``duration_s`` in each of ``rounds`` rounds.

    A block that was disturbed, or is invalid for what may pass, is measured up to ``attempts`` times; that, and waiting
    for calm, may take ``patience_s`` more than was announced, or half as much again (None). ``pairs``: how often a
    paired session measures each level between two starts of the processes.
    """

    name: str
    levels: Annotated[tuple[Users, ...], Meta(min_length=1)]
    rounds: Times
    duration_s: AtLeastASecond
    warmup_s: AtLeastASecond
    gap_s: Seconds = 0.0
    pairs: Times = 1
    attempts: Times = 4
    patience_s: Seconds | None = None


StackChoice = Literal["auto", "compose", "native"]


class Workflows(Struct):
    """What GitHub's runners do. It holds for forks' pull requests, too, which see no variables of the repository."""

    stack: StackChoice = "compose"


# --- where it ran -----------------------------------------------------------------------------------------------


class Commit(Struct):
    """The code that was measured. ``dirty``: the working tree had changes that the commit does not contain."""

    sha: Sha
    subject: str
    committed_at: str
    branch: str
    dirty: bool


class Environment(Struct):
    """What the numbers depend on beside the code."""

    stack: Literal["native", "compose"]
    cpu_model: str
    cpu_count: Count
    memory_mb: Count
    kernel: str
    os: str
    virtualization: str
    runner_image: str
    cgroup: Literal["v1", "v2", "none"]
    python: str
    k6: str
    database: str
    database_version: str
    durability: Literal["memory", "disk"]
    backend_cpus: CpuList
    database_cpus: CpuList
    generator_cpus: CpuList
    randomised: bool = False
    """Whether how the arms' processes lie in memory was left to chance, since the stack could not decide it."""


# --- proof of equal work ----------------------------------------------------------------------------------------


class ParitySummary(Struct):
    """What of a trace is kept in a run: counts, nearly free of noise and independent of the machine."""

    backend: Name
    statements_per_request: Count
    rows_per_request: Count
    control_per_request: dict[str, Count]
    connections_per_request: Amount
    file_operations: Count
    answer_bytes: Count
    differences: tuple[str, ...]
    arm: Arm = "candidate"


# --- what was measured ------------------------------------------------------------------------------------------


class Latency(Struct):
    """Latency of the successful requests of a block's window, in milliseconds."""

    mean_ms: Amount
    p50_ms: Amount
    p90_ms: Amount
    p95_ms: Amount
    p99_ms: Amount
    max_ms: Amount


class Load(Struct):
    """What k6 saw in one block.

    The load runs for ``settle_s`` (not measured: every user gets through its first request), then the window of
    ``window_s`` that is measured, then no request is started any more and those in flight are drained.
    ``requests`` and ``failed`` count the whole block; ``window_requests`` is the number of requests in the window,
    a request that crosses its edge counting with the share of its duration that lies inside.
    """

    settle_s: Amount
    window_s: Amount
    load_s: Amount
    requests: Count
    failed: Count
    failures: dict[str, Count]
    window_requests: Amount
    throughput_rps: Amount
    concurrency: Amount
    latency: Latency | None


class Resources(Struct):
    """What a block cost, from counters read at its boundaries; it covers settle, window and drain.

    Where two arms are loaded at once, ``database_cpu_s`` is for both of them, and ``database_cpu_ms_per_request`` is
    what the database's threads used that served this arm's connections.
    """

    wall_s: Amount
    cpu_s: Difference
    cpu_ms_per_request: Amount | None
    throttled_s: Difference
    peak_memory_mb: Amount
    mean_memory_mb: Amount
    database_cpu_s: Difference
    database_cpu_ms_per_request: Amount | None
    generator_cpus: Difference
    steal_cpus: Difference
    foreign_cpus: Difference


class Violation(Struct):
    """Why a block's numbers do not mean what they say. ``passing``: trying again may help."""

    rule: str
    detail: str
    passing: bool


class Disturbance(Struct):
    """Who took how much CPU during a block, beyond the bound: its numbers are right, but noisier."""

    rule: str
    detail: str
    cpus: Amount


class Block(Struct):
    """One uninterrupted k6 load on one backend of one arm at one level.

    In a duet two blocks have the same ``index``: both arms were loaded at once. ``position``: which arm the generator
    started first (0), or which was loaded first. ``generation`` counts the starts of the processes. ``slot``: which of
    the two places that the arms exchange (port, control group, folder, database account) this arm had.
    """

    index: Count
    round: Count
    backend: Name
    level: Users
    attempt: Count
    started: str
    load: Load
    resources: Resources
    raw: str
    arm: Arm = "candidate"
    position: Count = 0
    generation: Count = 1
    slot: Count = 0
    violations: tuple[Violation, ...] = ()
    disturbances: tuple[Disturbance, ...] = ()

    @property
    def valid(self) -> bool:
        return not self.violations

    @property
    def disturbed_cpus(self) -> float:
        """What others took, where it was more than the bound; 0 for a quiet block."""
        return math.fsum(disturbance.cpus for disturbance in self.disturbances)


class Run(Struct, dict=True):  # dict: which blocks count is asked often, and kept
    """The record of one session: the only thing that reports, history and the site read.

    ``complete`` is false when the session was interrupted: the finished blocks are there, the others are not.
    ``load_s`` is the time during which a block's load was active, out of ``wall_s``, of which ``waited_s`` went by
    waiting for others to leave the machine alone. ``baseline``: in a paired session, the commit of that arm,
    and ``layout``: how its pairs lie.
    """

    schema_version: int
    id: str
    started: str
    profile: Profile
    scenario: Literal["stepped", "arrival", "mixed"]
    seed: Seed
    commit: Commit
    environment: Environment
    workload: Workload | None
    limits: Limits
    limited: bool
    labels: Annotated[dict[Name, str], Meta(min_length=1)]
    packages: dict[str, dict[str, str]]
    parity: tuple[ParitySummary, ...]
    blocks: tuple[Block, ...]
    wall_s: Amount
    load_s: Amount
    waited_s: Amount
    complete: bool
    stopped_by: str = ""
    baseline: Commit | None = None
    layout: Layout | None = None

    @property
    def backends(self) -> tuple[str, ...]:
        """Names of the backends, in the order of bench.toml."""
        return tuple(self.labels)

    @property
    def levels(self) -> tuple[int, ...]:
        """Every level that has a block, ascending."""
        return tuple(sorted({block.level for block in self.blocks}))

    @property
    def lacking(self) -> tuple[str, ...]:
        """The backends of which nothing counts: no block is valid, or in a paired session no pair in both its arms."""
        usable = {block.backend for block in self.counting}
        return tuple(name for name in self.backends if name not in usable)

    @cached_property
    def counting(self) -> tuple[Block, ...]:
        """The blocks that every figure is made of: the best attempt at each block, or at each pair.

        That is, of the attempts that are valid (in both arms) the one that was disturbed least. Of a level of one arm,
        rounds in which somebody's best was disturbed are left out where there are two others, which show a spread. Both
        arms of a pair suffer at once: of a paired session every pair counts.
        """
        places: dict[tuple[str, int, int, int], dict[int, list[Block]]] = {}
        for block in self.blocks:
            place = (block.backend, block.level, block.round, block.index)
            places.setdefault(place, {}).setdefault(block.attempt, []).append(block)
        arms = 2 if self.baseline else 1
        found: list[Block] = []
        for attempts in places.values():
            whole = [some for some in attempts.values() if len(some) >= arms and all(block.valid for block in some)]
            found += min(whole, key=lambda some: sum(block.disturbed_cpus for block in some), default=[])
        return tuple(found) if self.baseline else _quiet_where_enough(found)

    def select(self, backend: str, level: int) -> tuple[Block, ...]:
        """The blocks of one backend at one level that count, by round."""
        chosen = [b for b in self.counting if b.backend == backend and b.level == level]
        return tuple(sorted(chosen, key=lambda block: block.round))


def _quiet_where_enough(blocks: list[Block]) -> tuple[Block, ...]:
    """The blocks, without disturbed rounds of a level that has `ENOUGH` quiet ones."""
    rounds = {(block.level, block.round) for block in blocks}
    disturbed = {(block.level, block.round) for block in blocks if block.disturbances}
    quiet = Counter(level for level, _ in rounds - disturbed)
    return tuple(b for b in blocks if (b.level, b.round) not in disturbed or quiet[b.level] < ENOUGH)


# --- what people say of the history -----------------------------------------------------------------------------


class Event(Struct):
    """A note pinned to a commit (history/events.toml). ``backends`` and ``metrics`` say what it is about; empty: all.

    ``fix``: a mistake was mended; ``dependency``: something that is used changed; ``accepted``: what became worse here
    is known and wanted, and is no longer alerted about; ``note``: anything else.
    """

    commit: str
    kind: Literal["fix", "dependency", "accepted", "note"]
    text: str
    backends: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    def concerns(self, backend: str, metric: str) -> bool:
        """Whether the event is about this metric of this backend."""
        return (not self.backends or backend in self.backends) and (not self.metrics or metric in self.metrics)


# --- series that other tools recorded ---------------------------------------------------------------------------


# --- metrics ----------------------------------------------------------------------------------------------------


class Direction(enum.Enum):
    """Which way is better."""

    HIGHER = "higher is better"
    LOWER = "lower is better"


class Metric(Struct):
    """One number that a block yields. ``source`` is the dotted path from the block to it."""

    name: str
    label: str
    unit: str
    direction: Direction
    source: str

    def of(self, block: Block) -> float | None:
        """The metric's value for a block, or None where the block has none (an invalid block never has one)."""
        if not block.valid:
            return None
        value: object = block
        for part in self.source.split("."):
            value = getattr(value, part, None)
            if value is None:
                return None
        return float(value)  # type: ignore[arg-type]

    def mean(self, blocks: Iterable[Block]) -> float | None:
        """The mean over blocks (geometric for rates and times, as ratios are what is compared), or None."""
        values = [value for block in blocks if (value := self.of(block)) is not None]
        if not values:
            return None
        if min(values) <= 0:
            return math.fsum(values) / len(values)
        return math.exp(math.fsum(math.log(value) for value in values) / len(values))


def _metric(name: str, label: str, unit: str, direction: Direction, source: str) -> Metric:
    return Metric(name=name, label=label, unit=unit, direction=direction, source=source)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        _metric("throughput_rps", "Throughput", "requests/s", Direction.HIGHER, "load.throughput_rps"),
        _metric("latency_mean_ms", "Mean latency", "ms", Direction.LOWER, "load.latency.mean_ms"),
        _metric("latency_p50_ms", "Latency p50", "ms", Direction.LOWER, "load.latency.p50_ms"),
        _metric("latency_p95_ms", "Latency p95", "ms", Direction.LOWER, "load.latency.p95_ms"),
        _metric("latency_p99_ms", "Latency p99", "ms", Direction.LOWER, "load.latency.p99_ms"),
        _metric("cpu_ms_per_request", "CPU per request", "ms", Direction.LOWER, "resources.cpu_ms_per_request"),
        _metric(
            "database_cpu_ms_per_request",
            "Database CPU per request",
            "ms",
            Direction.LOWER,
            "resources.database_cpu_ms_per_request",
        ),
        _metric("peak_memory_mb", "Peak memory", "MiB", Direction.LOWER, "resources.peak_memory_mb"),
    )
}
