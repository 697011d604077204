"""A run condensed to what people ask: who wins at each level, by how much, how surely, and what does not count.

Only the candidate arm is summarized; comparing arms is the business of a paired session.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from scripts.escape import plain
from scripts.model import METRICS, Block, Run, Struct
from scripts.statistics.intervals import Ratio, log_ratio_interval

THROUGHPUT = METRICS["throughput_rps"]


class Invalid(Struct):
    """A block that does not count, with the reasons; ``repeated``: a later attempt took its place."""

    block: Block
    reasons: tuple[str, ...]
    repeated: bool


class Cell(Struct):
    """One backend at one level. Every number is None where no block is valid.

    ``metrics``: by name, the mean over valid rounds (METRICS). Sums over valid rounds: ``duration_s`` (wall time
    under load), ``requests``, ``failed``. ``error_rate``: failed of all requests, a fraction. ``cpu_percent``: of one
    CPU, over the blocks. ``rounds``: how many are valid. ``ratio``: the winner's throughput divided by this one's;
    None for the winner itself and where a block is missing. ``reasons``: of the invalid blocks not repeated.
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
    rates = {name: _by_level(block for block in blocks if block.backend == name) for name in run.backends}
    return Summary(
        levels=tuple(_level(run, blocks, rates, level, confidence, reference) for level in run.levels),
        invalid=tuple(_invalid(block, blocks) for block in blocks if not block.valid),
        differences=tuple(text for entry in run.parity for text in entry.differences),
        confidence=confidence,
    )


def _reasons(block: Block) -> tuple[str, ...]:
    return tuple(f"{plain(violation.rule)}: {plain(violation.detail)}" for violation in block.violations)


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
    here = {name: [b for b in blocks if (b.backend, b.level) == (name, level)] for name in run.backends}
    means = {name: mean for name in here if (mean := THROUGHPUT.mean(here[name])) is not None}
    winner = max(means, key=lambda name: means[name], default=None)
    top = reference or winner

    def ratio(name: str) -> Ratio | None:
        if top is None or name == top:
            return None
        return log_ratio_interval(rates[top], rates[name], level, confidence)

    return Level(
        level=level,
        winner=winner,
        cells=tuple(_cell(name, level, here[name], ratio(name)) for name in run.backends),
    )


def _cell(backend: str, level: int, blocks: list[Block], ratio: Ratio | None) -> Cell:
    valid = [block for block in blocks if block.valid]
    lost = [entry for block in blocks if not block.valid and not (entry := _invalid(block, blocks)).repeated]
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
        reasons=tuple(dict.fromkeys(reason for entry in lost for reason in entry.reasons)),
    )
