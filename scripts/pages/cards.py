"""From runs to cards: the numbers of one run, and the catalog of all. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import attrgetter

import numpy as np

from scripts.history import dependencies, fingerprint
from scripts.history.dependencies import DependencyChange
from scripts.model import METRICS, Block, Run
from scripts.pages.catalog import METRIC_NAMES, RunCard, Upgrade
from scripts.statistics.intervals import Floats, mean_ratios

_LATENCY = [place for place, name in enumerate(METRIC_NAMES) if METRICS[name].source.startswith("load.latency.")]
_whole = attrgetter(*(METRICS[name].source for name in METRIC_NAMES))
_without_latency = attrgetter(
    *(METRICS[name].source for place, name in enumerate(METRIC_NAMES) if place not in _LATENCY)
)


def card_of(run: Run) -> RunCard:
    """The card of a run."""
    levels = tuple(sorted(set(run.profile.levels)))
    invalid = [block for block in run.blocks if not block.valid]
    made_good = {_place(block) for block in run.blocks if block.valid}
    candidates = [entry for entry in run.parity if entry.arm == "candidate"]
    limits = run.limits if run.limited else None
    return RunCard(
        id=run.id,
        started=run.started,
        time=_seconds(run),
        commit=run.commit,
        baseline=run.baseline,
        layout=run.layout,
        scenario=run.scenario,
        profile=run.profile.name,
        levels=levels,
        labels=run.labels,
        environment=run.environment,
        fingerprint=fingerprint.of(run),
        place=fingerprint.describe(run.environment, limits),
        workload=run.workload,
        packages=run.packages,
        statements={entry.backend: entry.statements_per_request for entry in candidates},
        unequal=tuple(entry.backend for entry in candidates if entry.differences),
        blocks=len(run.blocks),
        invalid=len(invalid),
        disturbed=sum(bool(block.disturbances) for block in run.counting),
        lost=sum(_place(block) not in made_good for block in invalid),
        complete=run.complete,
        numbers=memoryview(numbers(run, levels).astype("<f4").tobytes()),
    )


def numbers(run: Run, levels: Sequence[int]) -> Floats:
    """Shape (backends, 1 + levels, metrics, columns), NaN where there is no number; the first scope is all levels.

    The columns are `scripts.pages.catalog.COLUMNS` of a paired run, and its first one of a run of one arm.
    """
    logs = _logs(run, levels)
    means = _means(logs)
    if not run.baseline:
        return np.asarray(np.exp(means[0])[..., np.newaxis])
    with np.errstate(invalid="ignore"):
        ratios = _rounds(logs[0] - logs[1])
    every = np.mean(ratios, axis=1, keepdims=True)  # rounds that lack a level count in none of the whole
    found = mean_ratios(np.concatenate([every, ratios], axis=1))
    return np.stack([np.exp(means[0]), np.exp(means[1]), *found], axis=-1)


def _logs(run: Run, levels: Sequence[int]) -> Floats:
    """Logarithms of what the blocks measured: shape (arms, backends, levels, metrics, rounds, pairs).

    Blocks of one pair have the same index and attempt; those of a level and round follow in the order of their index.
    """
    scopes = {(backend, level): (b, s) for b, backend in enumerate(run.labels) for s, level in enumerate(levels)}
    arms = ("candidate", "baseline") if run.baseline else ("candidate",)
    chosen = [block for block in run.counting if block.arm in arms and (block.backend, block.level) in scopes]
    rounds = {number: place for place, number in enumerate(sorted({block.round for block in chosen}))}
    cells: dict[tuple[int, int, int], dict[tuple[int, int], int]] = {}
    places = []
    for block in chosen:
        cell = (*scopes[block.backend, block.level], rounds[block.round])
        pairs = cells.setdefault(cell, {})
        places.append((arms.index(block.arm), *cell, pairs.setdefault((block.index, block.attempt), len(pairs))))
    depth = max(map(len, cells.values()), default=1)
    table = np.full((len(arms), len(run.labels), len(levels), max(len(rounds), 1), depth, len(METRICS)), np.nan)
    if chosen:
        table[tuple(np.array(places).T)] = np.array([measured(block) for block in chosen], dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(table)
    logs[~np.isfinite(logs)] = np.nan
    return np.moveaxis(logs, 5, 3)


def measured(block: Block) -> Sequence[float | None]:
    """The metrics of a block, by their order in METRICS."""
    if block.load.latency is not None:
        return _whole(block)
    values = list(_without_latency(block))
    for place in _LATENCY:
        values.insert(place, None)
    return values


def _means(logs: Floats) -> Floats:
    """Means over rounds and pairs, that over all levels first: (arms, backends, 1 + levels, metrics)."""
    with np.errstate(invalid="ignore"):
        each = np.nansum(logs, axis=(4, 5)) / np.sum(np.isfinite(logs), axis=(4, 5))
    return np.concatenate([np.mean(each, axis=2, keepdims=True), each], axis=2)


def _rounds(ratios: Floats) -> Floats:
    """The mean over the pairs of a round: (backends, levels, metrics, rounds)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(ratios, axis=4) / np.sum(np.isfinite(ratios), axis=4))


def _place(block: Block) -> tuple[str, str, int, int]:
    """What a repetition of a block repeats (`scripts.report.summary`)."""
    return block.arm, block.backend, block.level, block.round


def _seconds(run: Run) -> int:
    """When a run started, from its time or else from its id, which is checked where it is stored."""
    try:
        return round(datetime.fromisoformat(run.started).timestamp())
    except ValueError:
        return round(datetime.strptime(run.id[:16] + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp())


def labels_of(cards: Iterable[RunCard], configured: dict[str, str]) -> dict[str, str]:
    """Label by backend: those of bench.toml in its order, then those that only runs know, by the newest."""
    found = dict(configured)
    for card in cards:
        found |= {name: label for name, label in card.labels.items() if name not in configured}
    return found


def upgrades_of(cards: Sequence[RunCard]) -> tuple[Upgrade, ...]:
    """Where packages changed: each run against the run before it that notes the backend's packages."""
    last: dict[str, dict[str, str]] = {}
    found = []
    for card in cards:
        changed: list[DependencyChange] = []
        for backend, packages in card.packages.items():
            before = last.get(backend)
            if before is not None and before != packages:
                both = before.keys() & packages.keys()  # which packages are noted is a choice of bench.toml
                changed += dependencies.compare(
                    backend, {name: before[name] for name in both}, {name: packages[name] for name in both}
                )
            last[backend] = packages
        if changed:
            found.append(Upgrade(run=card.id, packages=tuple(changed)))
    return tuple(found)
