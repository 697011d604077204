"""The detectors that are compared, all as one function from values to change points, each with its own defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata

import numpy as np
import ruptures
from asv import step_detect
from otava import analysis

from scripts.statistics import changepoints

Detector = Callable[[Sequence[float]], list[int]]

OURS = "this project"


def kcp(values: Sequence[float]) -> list[int]:
    """Kernel change points of logarithms, Gaussian kernel, penalty log n (Arlot, Celisse, Harchaoui, JMLR 20, 2019)."""
    signal = np.log(np.array(values))[:, None]
    ends = ruptures.KernelCPD(kernel="rbf").fit(signal).predict(pen=math.log(len(values)))
    return [int(end) for end in ends[:-1]]


def otava(values: Sequence[float]) -> list[int]:
    """Apache Otava (before: Hunter), windows of 50 and p below 0.001."""
    found, _ = analysis.compute_change_points(list(values))
    return sorted(int(point.index) for point in found)


def asv(values: Sequence[float]) -> list[int]:
    """Every step of asv's fit, not only the regressions that asv reports."""
    return [int(step[0]) for step in step_detect.detect_steps(list(values))[1:]]


DETECTORS: Mapping[str, Detector] = {
    OURS: changepoints.change_points,
    f"KCP (ruptures {metadata.version('ruptures')})": kcp,
    f"Apache Otava {metadata.version('apache-otava')}": otava,
    f"asv {metadata.version('asv')}": asv,
}
