"""What calibration has learnt of a stack's noise: the prior of each variance, kept in history/noise/."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from scripts.config import PROJECT
from scripts.history import read_bytes, replace
from scripts.model import BROKEN, PipelineError
from scripts.stats import Prior

FOLDER = PROJECT / "history" / "noise"


def read_priors(stack: str, folder: Path = FOLDER) -> dict[str, Prior]:
    """By ``backend/metric``, the prior of the variance of a round's log ratio; empty where nothing was calibrated."""
    path = folder / f"{stack}.json"
    if not os.path.lexists(path):
        return {}
    key = ""
    try:
        priors = {}
        for key, entry in msgspec.json.decode(read_bytes(path), type=dict[str, msgspec.Raw]).items():
            priors[key] = msgspec.json.decode(entry, type=Prior)
    except (OSError, *BROKEN) as error:
        where = f"{path}: {key}" if key else str(path)
        raise PipelineError(f"{where}: {error}", "make it anew: nox -s calibrate -- --report") from error
    return priors


def write_priors(stack: str, priors: Mapping[str, Prior], folder: Path = FOLDER) -> Path:
    """Keep the priors, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stack}.json"
    replace(path, msgspec.json.format(msgspec.json.encode(dict(priors), order="sorted"), indent=1) + b"\n")
    return path
