"""What calibration has learnt of a stack's noise: the prior of each variance, kept in history/noise/."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from scripts.config import PROJECT
from scripts.history import replace
from scripts.model import PipelineError
from scripts.stats import Prior

FOLDER = PROJECT / "history" / "noise"


def read_priors(stack: str, folder: Path = FOLDER) -> dict[str, Prior]:
    """By ``backend/metric``, the prior of the variance of a round's log ratio; empty where nothing was calibrated."""
    path = folder / f"{stack}.json"
    if not path.exists():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Prior])
    except (OSError, msgspec.DecodeError) as error:
        raise PipelineError(f"{path}: {error}", "make it anew: nox -s calibrate -- report") from error


def write_priors(stack: str, priors: Mapping[str, Prior], folder: Path = FOLDER) -> Path:
    """Keep the priors, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stack}.json"
    replace(path, msgspec.json.format(msgspec.json.encode(dict(priors), order="sorted"), indent=1) + b"\n")
    return path
