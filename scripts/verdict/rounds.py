"""What a paired run shows of a backend, round by round: log ratios of its arms, their mean and its error. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from scripts.model import METRICS, Block, Metric, Run, Struct
from scripts.statistics.intervals import Effect, Lent, level_slots, paired_effect, pooled_variance
from scripts.statistics.spread import SESSION_SHARE, Prior, Rounds, lend

Ratios = Mapping[int, Mapping[int, Sequence[float]]]
"""By level and round, ``log(candidate / baseline)`` of each pair."""


def log_ratios(blocks: Iterable[Block], metric: Metric, backend: str) -> dict[int, dict[int, list[float]]]:
    """``{level: {round: [log(candidate / baseline) of each pair]}}``; ``blocks``: those that count (`Run.counting`)."""
    pairs: dict[tuple[int, int], dict[str, Block]] = {}
    for block in blocks:
        if block.backend == backend:
            pairs.setdefault((block.index, block.attempt), {})[block.arm] = block
    found: dict[int, dict[int, list[float]]] = {}
    for arms in pairs.values():
        if len(arms) == 2:
            candidate, baseline = metric.of(arms["candidate"]), metric.of(arms["baseline"])
            if candidate and baseline:  # a ratio needs both above zero
                block = arms["candidate"]
                rounds = found.setdefault(block.level, {})
                rounds.setdefault(block.round, []).append(math.log(candidate / baseline))
    return found


def by_round(ratios: Ratios, levels: Sequence[int]) -> dict[int, float]:
    """One log ratio a round: the mean over levels of the mean over pairs; rounds that lack a level are left out."""
    rounds = set.intersection(*(set(ratios.get(level, {})) for level in levels)) if levels else set()
    return {
        number: math.fsum(math.fsum(ratios[level][number]) / len(ratios[level][number]) for level in levels)
        / len(levels)
        for number in sorted(rounds)
    }


def slots_of(blocks: Iterable[Block]) -> dict[int, int]:
    """By round, the slot that one backend's candidate had."""
    return {block.round: block.slot for block in blocks if block.arm == "candidate"}


def pairs_part(ratios: Ratios, levels: Sequence[int], rounds: Iterable[int]) -> tuple[float, int]:
    """The variance of a round's log ratio that the spread of pairs within rounds explains, and its degrees of freedom.

    Of several levels, each adds its own; the degrees are those of the one with the fewest. (NaN, 0) without pairs.
    """
    parts, degrees = [], []
    for level in levels:
        groups = [ratios[level][number] for number in rounds]
        share = math.fsum(1 / len(group) for group in groups) / len(groups)
        parts.append(pooled_variance(groups) * share / len(levels) ** 2)
        degrees.append(sum(len(group) - 1 for group in groups))
    return math.fsum(parts), min(degrees)


def levelled_variance(values: Sequence[float], slots: Sequence[int]) -> tuple[float, int]:
    """The variance of rounds without what slots differ by, and its degrees of freedom."""
    levelled, taken = level_slots(np.array(values), slots)
    return float(levelled.var(ddof=1)), levelled.size - 1 - taken


class Measured(Struct):
    """What a session has of one backend: its log ratios by metric, the candidate's slots by round, and the priors.

    ``kept``: what was lent so far, by the round until which it was asked for.
    """

    ratios: Mapping[str, Ratios]
    slots: Mapping[int, int]
    levels: Sequence[int]
    priors: Mapping[str, Prior]
    kept: dict[int, dict[str, Lent]] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, backend: str, priors: Mapping[str, Prior]) -> Measured:
        """``priors``: by ``backend/metric``."""
        blocks = [block for block in run.blocks if block.backend == backend]
        return cls(
            ratios={name: log_ratios(run.counting, metric, backend) for name, metric in METRICS.items()},
            slots=slots_of(blocks),
            levels=sorted({block.level for block in blocks}),
            priors={name: prior for name in METRICS if (prior := priors.get(f"{backend}/{name}"))},
        )

    def rounds(self, metric: str, level: int | None, until: int) -> dict[int, float]:
        """The log ratios of the first rounds ``until`` this one, over all levels (None) or at one."""
        found = by_round(self.ratios[metric], self.levels if level is None else [level])
        return {number: value for number, value in found.items() if number <= until}

    def effect(self, metric: str, level: int | None, until: int) -> Effect | None:
        """What the rounds until this one show, without what slots differ by; None with fewer than two.

        Priors are of all levels together.
        """
        rounds = self.rounds(metric, level, until)
        if len(rounds) < 2:
            return None
        if level is None and until not in self.kept:
            self.kept[until] = self._lend(until)
        lent = self.kept[until].get(metric) if level is None else None
        return paired_effect(list(rounds.values()), lent, [self.slots[number] for number in rounds], SESSION_SHARE)

    def _lend(self, until: int) -> dict[str, Lent]:
        found: dict[str, Rounds] = {}
        for metric in self.priors:
            rounds = self.rounds(metric, None, until)
            if len(rounds) >= 2:
                one = levelled_variance(list(rounds.values()), [self.slots[number] for number in rounds])
                within, degrees = pairs_part(self.ratios[metric], self.levels, rounds)
                if degrees:
                    found[metric] = Rounds.of(*one, within, degrees)
        if not found:
            return {}
        together = Rounds(*np.array(list(found.values())).T)
        lent = lend(together, [self.priors[metric] for metric in found])
        return {metric: Lent(*map(float, values)) for metric, *values in zip(found, *lent, strict=True)}
