"""Recorded A/A history: series in which no code changes, from the sessions of ``calibrate`` whose arms are the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from perf.scoring import Score
from scripts.calibration import campaign
from scripts.config import Comparison
from scripts.model import METRICS

Kind = Literal["ratio of the arms", "as measured"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def recorded_series(folder: Path, comparison: Comparison) -> dict[Kind, list[list[float]]]:
    """For each backend and metric, oldest first: candidate / baseline of each round, and the baseline of each pair.

    The second is of one machine over hours, whose own changes are in it. Raises PipelineError naming a damaged file.
    """
    sessions = [one for one in campaign.read_sessions(folder) if one.planted.kind == "none"]
    found: dict[Kind, list[list[float]]] = {kind: [] for kind in KINDS}
    for backend in sorted({session.backend for session in sessions}):
        same = [session for session in sessions if session.backend == backend]
        for metric in comparison.metrics:
            rounds = [value for session in same for value in campaign.round_effects(session, metric)[0]]
            blocks = [block for session in same for block in session.run.blocks if block.arm == "baseline"]
            values = [METRICS[metric].of(block) for block in blocks]
            found["ratio of the arms"].append(np.exp(rounds).tolist())
            found["as measured"].append([value for value in values if value is not None])
    return found


def score_without_steps(series: Sequence[Sequence[float]], found: Sequence[Sequence[int]]) -> Score:
    """As `perf.scoring.score`, of series in which there is no step: whatever was found is false."""
    return Score(points=sum(map(len, series)), found=sum(map(len, found)), steps={}, hits={})
