"""Who leads at a level, and who cannot be told apart: the one place that decides it. Pure.

Backends are ahead of each other by their intervals and by nothing else: what has the highest mean of all leads only if
the interval of its ratio to every other backend leaves out equality. Nobody leads where somebody is missing, alone, or
where the backends did unequal work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Literal

from scripts.model import Block, Run, Struct
from scripts.statistics.intervals import Ratio, Rounds, differences, ratio_at, widened

Kind = Literal["leads", "alike", "open", "missing", "alone", "unequal", "nothing"]


class Standing(Struct):
    """What can be said of a level.

    ``kind``: one of ``ahead`` *leads* all others; or several are *alike*, and ahead of the rest; it is *open*, as
    nothing shows the spread; backends are *missing*, one was *alone*, the work was *unequal*, or *nothing* is valid.
    ``top`` has the highest mean, and ``ratios`` are its throughput divided by that of each other backend; ``ahead``:
    it, and those that it cannot be told apart from; ``missing``: those without a valid block.
    """

    level: int
    kind: Kind
    top: str | None
    ahead: tuple[str, ...]
    missing: tuple[str, ...]
    ratios: Mapping[str, Ratio]

    @property
    def leader(self) -> str | None:
        """Who leads, if anybody does."""
        return self.top if self.kind == "leads" else None


def standings(run: Run, confidence: float = 0.95) -> tuple[Standing, ...]:
    """What can be said of each level of the candidate arm."""
    rates, missed, unequal = throughputs(run.counting), _missed(run), is_unequal(run)

    @cache
    def against(top: str, name: str) -> dict[int, list[float]]:
        return differences(rates[top], rates[name])

    def ratio(top: str, name: str, level: int) -> Ratio | None:
        ratio = ratio_at(against(top, name), level, confidence)
        return ratio and widened(ratio, below=missed.get((name, level), 0.0), above=missed.get((top, level), 0.0))

    return tuple(_standing(run, rates, level, ratio, unequal=unequal) for level in run.levels)


def is_unequal(run: Run) -> bool:
    """Whether the backends are known to do unequal work."""
    candidates = [entry for entry in run.parity if entry.arm == "candidate"]
    return any(e.differences for e in candidates) or len({e.statements_per_request for e in candidates}) > 1


def throughputs(blocks: Iterable[Block]) -> dict[str, dict[int, dict[int, float]]]:
    """Of the candidate's blocks that count, by backend and level the throughput of each round."""
    found: dict[str, dict[int, dict[int, float]]] = {}
    for block in blocks:
        if block.arm == "candidate" and block.load.throughput_rps > 0:
            rounds = found.setdefault(block.backend, {}).setdefault(block.level, {})
            rounds[block.round] = block.load.throughput_rps
    return found


def _standing(
    run: Run,
    rates: Mapping[str, Mapping[int, Rounds]],
    level: int,
    ratio_of: Callable[[str, str, int], Ratio | None],
    *,
    unequal: bool,
) -> Standing:
    means = {name: _mean(rounds) for name in run.backends if (rounds := rates.get(name, {}).get(level))}
    top = max(means, key=means.__getitem__, default=None)
    ratios = {name: ratio for name in means if top and name != top and (ratio := ratio_of(top, name, level))}
    alike = [name for name in means if name != top and (name not in ratios or not ratios[name].separated)]
    missing = tuple(name for name in run.backends if name not in means)
    kind: Kind = "alike" if alike else "leads"
    if not means:
        kind = "nothing"
    elif unequal:
        kind = "unequal"
    elif len(means) == 1:
        kind = "alone"
    elif missing:
        kind = "missing"
    elif any(name not in ratios or ratios[name].separated is None for name in alike):
        kind = "open"
    ahead = tuple(name for name in run.backends if name == top or name in alike)
    return Standing(level=level, kind=kind, top=top, ahead=ahead, missing=missing, ratios=ratios)


def _missed(run: Run) -> dict[tuple[str, int], float]:
    """By backend and level, how much too low the mean log throughput may be, for what others took of its CPUs.

    Throughput falls as the CPU does that is left, at most; CPU for each request keeps what it is within a tenth.
    """
    missed: dict[tuple[str, int], list[float]] = {}
    for block in run.counting:
        if block.arm == "candidate":
            used = block.resources.cpu_s / block.resources.wall_s if block.resources.wall_s else 0.0
            taken = min(block.disturbed_cpus, max(run.limits.cpus - used, 0.0))
            here = missed.setdefault((block.backend, block.level), [])
            here.append(math.log1p(taken / used) if used > 0 else 0.0)
    return {place: math.fsum(here) / len(here) for place, here in missed.items()}


def _mean(rounds: Rounds) -> float:
    """The geometric mean, as `Metric.mean`."""
    return math.exp(math.fsum(map(math.log, rounds.values())) / len(rounds))
