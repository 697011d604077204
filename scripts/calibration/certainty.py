"""Which way of measuring gives the most certainty in a given time: A/A sessions of several settings, compared. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime

from scripts.calibration.campaign import CalibrationSession, round_effects
from scripts.model import Run, Struct
from scripts.statistics.intervals import pooled_variance
from scripts.verdict.noise import Setting, setting_of

SESSION_S = 180.0
"""The time for which settings are compared: what a pull request has for one backend."""


class Certainty(Struct):
    """What ``rounds`` A/A rounds in one setting say of a backend's metric.

    ``round_s``: seconds from one round to the next, with the restart of the processes and repeated blocks.
    ``round_sd``: of a round's log ratio. ``error``: the standard error of a session of `SESSION_S` seconds, so what a
    setting has to make small.
    """

    setting: Setting
    backend: str
    metric: str
    sessions: int
    rounds: int
    round_s: float
    round_sd: float

    @property
    def error(self) -> float:
        return self.round_sd * math.sqrt(self.round_s / SESSION_S)


def compare_settings(sessions: Iterable[CalibrationSession], metrics: Sequence[str]) -> list[Certainty]:
    """One for each setting, backend and metric that has A/A sessions; best setting of a backend and metric first."""
    groups: dict[tuple[Setting, str], list[CalibrationSession]] = {}
    for session in sessions:
        if session.planted.kind == "none":
            groups.setdefault((setting_of(session.run), session.backend), []).append(session)
    found = []
    for (setting, backend), same in groups.items():
        for metric in metrics:
            effects = [values for session in same if len(values := round_effects(session, metric)[0]) >= 2]
            lengths = [length for session in same if (length := round_s(session.run)) is not None]
            if effects and lengths:
                found.append(
                    Certainty(
                        setting=setting,
                        backend=backend,
                        metric=metric,
                        sessions=len(effects),
                        rounds=sum(map(len, effects)),
                        round_s=math.fsum(lengths) / len(lengths),
                        round_sd=math.sqrt(pooled_variance(effects)),
                    )
                )
    return sorted(found, key=lambda c: (c.backend, c.metric, c.error))


def round_s(run: Run) -> float | None:
    """Mean seconds from the start of one round's load to that of the next; None with fewer than two rounds."""
    starts: dict[int, datetime] = {}
    for block in run.blocks:
        started = datetime.fromisoformat(block.started)
        starts[block.round] = min(started, starts.get(block.round, started))
    if len(starts) < 2:
        return None
    return (starts[max(starts)] - starts[min(starts)]).total_seconds() / (max(starts) - min(starts))
