"""A run condensed to what people ask: who wins at each level, by how much, how surely, and what does not count.

Only the candidate arm is summarized; comparing arms is the business of a paired session.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from scripts.escape import plain
from scripts.model import METRICS, Block, Run, Struct
from scripts.statistics.intervals import Ratio, log_ratio_interval, widened

THROUGHPUT = METRICS["throughput_rps"]


class Invalid(Struct):
    """A block that does not count, with the reasons; ``repeated``: a later attempt took its place."""

    block: Block
    reasons: tuple[str, ...]
    repeated: bool


class Disturbed(Struct):
    """A block whose numbers are right but noisier, with the reasons; ``used``: no better attempt took its place."""

    block: Block
    reasons: tuple[str, ...]
    used: bool


class Cell(Struct):
    """One backend at one level. Every number is None where no block is valid.

    All numbers are of the blocks that count (`Run.counting`). ``metrics``: by name, the mean over rounds (METRICS).
    Sums over rounds: ``duration_s`` (wall time under load), ``requests``, ``failed``. ``error_rate``: failed of all
    requests, a fraction. ``cpu_percent``: of one CPU, over the blocks. ``rounds``: how many count. ``ratio``: the
    winner's throughput divided by this one's; None for the winner itself and where a block is missing. ``reasons``: of
    the invalid blocks not repeated; ``disturbances``: of the blocks that count and were disturbed.
    """

    backend: str
    level: int
    metrics: dict[str, float | None]
    duration_s: float | None
    requests: int | None
    failed: int | None
    error_rate: float | None
    cpu_percent: float | None
    mean_memory_mb: float | None
    max_memory_mb: float | None
    rounds: int
    ratio: Ratio | None
    reasons: tuple[str, ...]
    disturbances: tuple[str, ...] = ()

    @property
    def throughput_rps(self) -> float | None:
        return self.metrics[THROUGHPUT.name]


class Level(Struct):
    """All backends at one level; ``winner`` has the highest mean throughput, None where nothing is valid."""

    level: int
    winner: str | None
    cells: tuple[Cell, ...]

    @property
    def rivals(self) -> tuple[str, ...]:
        """Backends that the intervals do not separate from the winner."""
        return tuple(c.backend for c in self.cells if c.ratio is not None and c.ratio.separated is False)


class Summary(Struct):
    """What the report, the terminal and the site show of a run."""

    levels: tuple[Level, ...]
    invalid: tuple[Invalid, ...]
    disturbed: tuple[Disturbed, ...]
    differences: tuple[str, ...]
    confidence: float

    @property
    def lost(self) -> tuple[Invalid, ...]:
        """Invalid blocks that no later attempt replaced: holes in the result."""
        return tuple(entry for entry in self.invalid if not entry.repeated)

    @property
    def intervals(self) -> bool:
        """Whether any ratio has an interval."""
        return any(c.ratio is not None and c.ratio.low is not None for level in self.levels for c in level.cells)

    @property
    def wins(self) -> dict[str, int]:
        """At how many levels each backend has the highest throughput, most first."""
        names = [level.winner for level in self.levels if level.winner is not None]
        return {name: names.count(name) for name in sorted(set(names), key=lambda name: (-names.count(name), name))}


def summarize(run: Run, confidence: float = 0.95, reference: str | None = None) -> Summary:
    """The summary of a run; ratios are the winner's throughput, or the ``reference`` backend's, to each other one's."""
    blocks = [block for block in run.blocks if block.arm == "candidate"]
    used = [block for block in run.counting if block.arm == "candidate"]
    rates = {name: _by_level(block for block in used if block.backend == name) for name in run.backends}
    return Summary(
        levels=tuple(_level(run, blocks, rates, level, confidence, reference) for level in run.levels),
        invalid=tuple(_invalid(block, blocks) for block in blocks if not block.valid),
        disturbed=tuple(
            Disturbed(block=block, reasons=_reasons(block), used=block in used)
            for block in blocks
            if block.valid and block.disturbances
        ),
        differences=tuple(text for entry in run.parity for text in entry.differences),
        confidence=confidence,
    )


def _reasons(block: Block) -> tuple[str, ...]:
    return tuple(f"{plain(one.rule)}: {plain(one.detail)}" for one in block.violations or block.disturbances)


def _invalid(block: Block, blocks: list[Block]) -> Invalid:
    place = (block.backend, block.level, block.round)
    repeated = any(b.valid and (b.backend, b.level, b.round) == place for b in blocks)
    return Invalid(block=block, reasons=_reasons(block), repeated=repeated)


def _by_level(blocks: Iterable[Block]) -> dict[int, dict[int, float]]:
    """Throughput by level and round, of valid blocks that answered anything."""
    found: dict[int, dict[int, float]] = {}
    for block in blocks:
        value = THROUGHPUT.of(block)
        if value is not None and value > 0:
            found.setdefault(block.level, {})[block.round] = value
    return found


def _level(
    run: Run,
    blocks: list[Block],
    rates: dict[str, dict[int, dict[int, float]]],
    level: int,
    confidence: float,
    reference: str | None,
) -> Level:
    used = [block for block in run.counting if block.arm == "candidate" and block.level == level]
    here = {name: [block for block in used if block.backend == name] for name in run.backends}
    lost = [
        block for block in blocks if block.level == level and not block.valid and not _invalid(block, blocks).repeated
    ]
    means = {name: mean for name in here if (mean := THROUGHPUT.mean(here[name])) is not None}
    winner = max(means, key=lambda name: means[name], default=None)
    top = reference or winner

    def ratio(name: str) -> Ratio | None:
        if top is None or name == top:
            return None
        ratio = log_ratio_interval(rates[top], rates[name], level, confidence)
        return ratio and widened(
            ratio, below=_missed(here[name], run.limits.cpus), above=_missed(here[top], run.limits.cpus)
        )

    return Level(
        level=level,
        winner=winner,
        cells=tuple(
            _cell(name, level, here[name], [block for block in lost if block.backend == name], ratio(name))
            for name in run.backends
        ),
    )


def _missed(blocks: Sequence[Block], cpus: float) -> float:
    """By how much the mean log throughput may be too low, for what others took of the backend's ``cpus``.

    Throughput falls as the CPU does that is left, at most; CPU for each request keeps what it is within a tenth.
    """
    missed = []
    for block in blocks:
        used = block.resources.cpu_s / block.resources.wall_s if block.resources.wall_s else 0.0
        taken = min(block.disturbed_cpus, max(cpus - used, 0.0))
        missed.append(math.log1p(taken / used) if used > 0 else 0.0)
    return math.fsum(missed) / len(missed) if missed else 0.0


def _cell(backend: str, level: int, valid: list[Block], lost: list[Block], ratio: Ratio | None) -> Cell:
    requests = sum(block.load.requests for block in valid)
    failed = sum(block.load.failed for block in valid)
    wall_s = math.fsum(block.resources.wall_s for block in valid)
    cpu_s = math.fsum(block.resources.cpu_s for block in valid)
    memory_mb = [block.resources.mean_memory_mb for block in valid]
    return Cell(
        backend=backend,
        level=level,
        metrics={name: metric.mean(valid) for name, metric in METRICS.items()},
        duration_s=math.fsum(block.load.load_s for block in valid) if valid else None,
        requests=requests if valid else None,
        failed=failed if valid else None,
        error_rate=failed / requests if requests else None,
        cpu_percent=100 * cpu_s / wall_s if wall_s > 0 else None,
        mean_memory_mb=math.fsum(memory_mb) / len(valid) if valid else None,
        max_memory_mb=max((block.resources.peak_memory_mb for block in valid), default=None),
        rounds=len(valid),
        ratio=ratio,
        reasons=tuple(dict.fromkeys(reason for block in lost for reason in _reasons(block))),
        disturbances=tuple(dict.fromkeys(reason for block in valid for reason in _reasons(block))),
    )
