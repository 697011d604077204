"""What calibration has learnt of noise: how variances stand to each other, for the setting that it was learnt in.

Kept in history/noise/, by stack. What was learnt with other levels, windows, pairs, another layout or database says
nothing about a run: that one is judged by its own rounds alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from scripts.config import PROJECT
from scripts.model import BROKEN, Layout, PipelineError, Run, Struct
from scripts.records import read_bytes, replace
from scripts.statistics.spread import Prior

FOLDER = PROJECT / "history" / "noise"


class Setting(Struct):
    """How a session was measured, as far as that can be chosen."""

    stack: str
    layout: Layout
    database: str
    durability: str
    levels: tuple[int, ...]
    transactions: int
    pairs: int
    window_s: float
    randomised: bool = False


class Noise(Struct):
    """``priors``: by ``backend/metric``, of sessions that were measured in this ``setting``."""

    setting: Setting
    priors: dict[str, Prior]


class _Stored(Struct):
    """A `Noise` whose priors are decoded one by one, so that an error can name the one that is wrong."""

    setting: Setting
    priors: dict[str, msgspec.Raw]


def setting_of(run: Run) -> Setting:
    """How a paired run was measured. Raises ValueError for one without a baseline."""
    if run.layout is None:
        raise ValueError(f"{run.id} is not a paired run")
    return Setting(
        stack=run.environment.stack,
        layout=run.layout,
        database=run.environment.database,
        durability=run.environment.durability,
        levels=run.profile.levels,
        transactions=run.workload.transactions if run.workload else 0,
        pairs=run.profile.pairs,
        window_s=run.profile.duration_s,
        randomised=run.environment.randomised,
    )


def priors_for(run: Run, folder: Path = FOLDER) -> dict[str, Prior]:
    """By ``backend/metric``, what is known of a paired run's noise; empty where its setting was not calibrated.

    Raises PipelineError naming a file that is none.
    """
    path = folder / f"{run.environment.stack}.json"
    if not os.path.lexists(path):
        return {}
    key = ""
    try:
        noise = msgspec.json.decode(read_bytes(path), type=_Stored)
        priors = {}
        for key, entry in noise.priors.items():
            priors[key] = msgspec.json.decode(entry, type=Prior)
    except (OSError, *BROKEN) as error:
        where = f"{path}: {key}" if key else str(path)
        raise PipelineError(f"{where}: {error}", "make it anew: nox -s calibrate -- --report") from error
    return priors if run.layout and noise.setting == setting_of(run) else {}


def write_priors(setting: Setting, priors: Mapping[str, Prior], folder: Path = FOLDER) -> Path:
    """Keep the priors of a setting, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{setting.stack}.json"
    data = msgspec.json.encode(Noise(setting=setting, priors=dict(priors)), order="sorted")
    replace(path, msgspec.json.format(data, indent=1) + b"\n")
    return path
