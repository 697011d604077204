"""What runs of the same code differ by: the spread that any two sides of a comparison are judged with. Pure.

A run is one unit: what all its rounds share (an hour of the day, a state of the machine) differs from run to run, and
its rounds cannot show it. Commits that were measured several times do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from scripts.model import Layout, Struct, Workload
from scripts.pages.catalog import METRIC_NAMES, RunCard
from scripts.statistics.intervals import Floats

VALUE, RATIO = 0, 2
"""Places in `scripts.pages.catalog.COLUMNS`."""


class Frame(Struct):
    """Within what runs are compared, as `scripts.history.series.Frame`, and their levels, as means are over all."""

    environment: str
    baseline: str
    layout: Layout | None
    workload: Workload | None
    levels: tuple[int, ...]


def frame_of(card: RunCard) -> Frame:
    """Ratios to a baseline are compared over environments, values within one."""
    return Frame(
        environment="" if card.baseline else card.fingerprint,
        baseline=card.baseline.sha if card.baseline else "",
        layout=card.layout,
        workload=card.workload,
        levels=card.levels,
    )


def logs(card: RunCard) -> Mapping[str, Floats]:
    """By backend, what a run says: logarithms of shape (1 + levels, metrics), of ratios where it has a baseline."""
    shape = (len(card.backends), 1 + len(card.levels), len(METRIC_NAMES), card.columns)
    column = RATIO if card.baseline else VALUE
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(np.frombuffer(card.numbers, dtype="<f4").reshape(shape)[..., column].astype(np.float64))
    found[~np.isfinite(found)] = np.nan
    return dict(zip(card.backends, found, strict=True))


def spread(cards: Iterable[RunCard]) -> list[dict[str, Any]]:
    """For each frame in which a commit was measured again: by backend, ``variance`` and ``degrees`` of freedom of a
    run, pooled over commits, as rows of scopes (all levels first) with a column for each metric; NaN for none.
    """
    groups: dict[tuple[Frame, str], list[RunCard]] = {}
    for card in cards:
        if card.commit.sha and not card.commit.dirty:
            groups.setdefault((frame_of(card), card.commit.sha), []).append(card)
    sums: dict[Frame, dict[str, list[Floats]]] = {}
    for (frame, _), several in groups.items():
        if len(several) > 1:
            for backend, (squares, degrees) in _within([logs(card) for card in several]).items():
                found = sums.setdefault(frame, {}).setdefault(backend, [np.zeros_like(squares), np.zeros_like(squares)])
                found[0] += squares
                found[1] += degrees
    return [{"frame": frame, "backends": _pooled(backends)} for frame, backends in sums.items()]


def _within(several: list[Mapping[str, Floats]]) -> dict[str, tuple[Floats, Floats]]:
    """By backend, the sum of squares of runs of one commit around their mean, and its degrees of freedom."""
    found = {}
    for backend in dict.fromkeys(name for one in several for name in one):
        values = np.stack([one[backend] for one in several if backend in one])
        counts = np.isfinite(values).sum(axis=0)
        means = np.nansum(values, axis=0) / np.maximum(counts, 1)
        found[backend] = np.nansum((values - means) ** 2, axis=0), np.maximum(counts - 1.0, 0.0)
    return found


def _pooled(backends: Mapping[str, list[Floats]]) -> dict[str, dict[str, Any]]:
    return {
        backend: {
            "variance": np.where(degrees > 0, squares / np.maximum(degrees, 1), np.nan).tolist(),
            "degrees": degrees.astype(int).tolist(),
        }
        for backend, (squares, degrees) in backends.items()
    }
