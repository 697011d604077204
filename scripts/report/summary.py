"""A run condensed to what people ask: who leads at each level, by how much, how surely, and what does not count.

Only the candidate arm is summarized, as comparing arms is the business of a verdict; of both, what is invalid is named.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from scripts.escape import plain
from scripts.model import METRICS, Block, Run, Struct
from scripts.report.standing import Standing, is_unequal, standings
from scripts.statistics.intervals import Ratio, mean_interval

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

    All numbers are of the blocks that count (`Run.counting`). ``metrics``: by name, the mean over rounds (METRICS), and
    ``spread``: the interval of each that has one. Sums over rounds: ``duration_s`` (wall time under load),
    ``requests``, ``failed``. ``error_rate``: failed of all requests, a fraction. ``cpu_percent``: of one CPU, over the
    blocks. ``rounds``: how many count. ``ratio``: the throughput of the backend with the most divided by this one's;
    None for that one itself and where a block is missing. ``reasons``: of the invalid blocks not repeated;
    ``disturbances``: of the blocks that count and were disturbed.
    """

    backend: str
    level: int
    metrics: dict[str, float | None]
    spread: dict[str, tuple[float, float]]
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
    """All backends at one level, and what can be said of it."""

    level: int
    standing: Standing
    cells: tuple[Cell, ...]


class Summary(Struct):
    """What the report, the terminal and the site show of a run."""

    levels: tuple[Level, ...]
    invalid: tuple[Invalid, ...]
    disturbed: tuple[Disturbed, ...]
    differences: tuple[str, ...]
    unequal: bool
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
    def standings(self) -> tuple[Standing, ...]:
        return tuple(level.standing for level in self.levels)


def summarize(run: Run, confidence: float = 0.95) -> Summary:
    """The summary of a run."""
    blocks = [block for block in run.blocks if block.arm == "candidate"]
    used = [block for block in run.counting if block.arm == "candidate"]
    spreads = {name: _spreads([b for b in used if b.backend == name], confidence) for name in run.backends}
    return Summary(
        levels=tuple(_level(run, blocks, standing, spreads) for standing in standings(run, confidence)),
        invalid=tuple(_invalid(block, run.blocks) for block in run.blocks if not block.valid),
        disturbed=tuple(
            Disturbed(block=block, reasons=_reasons(block), used=block in used)
            for block in blocks
            if block.valid and block.disturbances
        ),
        differences=tuple(text for entry in run.parity for text in entry.differences),
        unequal=is_unequal(run),
        confidence=confidence,
    )


def _spreads(blocks: list[Block], confidence: float) -> dict[int, dict[str, tuple[float, float]]]:
    """By level and metric, the interval of one backend's mean over rounds, where anything shows one."""
    found: dict[int, dict[str, tuple[float, float]]] = {}
    for name, metric in METRICS.items():
        values: dict[int, dict[int, float]] = {}
        for block in blocks:
            value = metric.of(block)
            if value is not None and value > 0:
                values.setdefault(block.level, {})[block.round] = value
        for level in values:
            interval = mean_interval(values, level, confidence)
            if interval and interval.low is not None and interval.high is not None:
                found.setdefault(level, {})[name] = (interval.low, interval.high)
    return found


def _reasons(block: Block) -> tuple[str, ...]:
    return tuple(f"{plain(one.rule)}: {plain(one.detail)}" for one in block.violations or block.disturbances)


def _invalid(block: Block, blocks: Sequence[Block]) -> Invalid:
    place = (block.arm, block.backend, block.level, block.round)
    repeated = any(b.valid and (b.arm, b.backend, b.level, b.round) == place for b in blocks)
    return Invalid(block=block, reasons=_reasons(block), repeated=repeated)


def _level(
    run: Run, blocks: list[Block], standing: Standing, spreads: dict[str, dict[int, dict[str, tuple[float, float]]]]
) -> Level:
    level = standing.level
    used = [block for block in run.counting if block.arm == "candidate" and block.level == level]
    lost = [
        block for block in blocks if block.level == level and not block.valid and not _invalid(block, blocks).repeated
    ]
    return Level(
        level=level,
        standing=standing,
        cells=tuple(
            _cell(
                name,
                level,
                [block for block in used if block.backend == name],
                [block for block in lost if block.backend == name],
                standing.ratios.get(name),
                spreads[name].get(level, {}),
            )
            for name in run.backends
        ),
    )


def _cell(
    backend: str,
    level: int,
    valid: list[Block],
    lost: list[Block],
    ratio: Ratio | None,
    spread: dict[str, tuple[float, float]],
) -> Cell:
    requests = sum(block.load.requests for block in valid)
    failed = sum(block.load.failed for block in valid)
    wall_s = math.fsum(block.resources.wall_s for block in valid)
    cpu_s = math.fsum(block.resources.cpu_s for block in valid)
    memory_mb = [block.resources.mean_memory_mb for block in valid]
    return Cell(
        backend=backend,
        level=level,
        metrics={name: metric.mean(valid) for name, metric in METRICS.items()},
        spread=spread,
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
