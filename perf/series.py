"""Synthetic load-test series whose change points are known, from a seed.

Values are positive and multiplicative, as throughputs and latencies are: ``level * exp(steps + drift + noise)``. The
recipe was fixed before any detector was tuned; tuning used other seeds than the published tables (`perf.detect`).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from scripts.model import Struct

Noise = Literal["independent", "heavy-tailed", "outliers", "AR(1)", "drift"]
NOISES: tuple[Noise, ...] = get_args(Noise)

SIZES = (0.03, 0.05, 0.10, 0.20)
"""Relative sizes of steps, up or down."""

LENGTHS = (30, 500)
NOISE_CV = (0.01, 0.10)
MOST_STEPS = 4
CLOSEST = 10
"""Points between two steps, and between a step and an end, at least."""

TAIL_DEGREES = 3
OUTLIER_SHARE = (0.01, 0.05)
OUTLIER_SIZE = (0.2, 1.0)
AUTOCORRELATION = (0.2, 0.6)
DRIFT_RANGE = (0.02, 0.08)

Floats = npt.NDArray[np.float64]


class Labelled(Struct):
    """A series and the truth about it. ``steps``: the size of each step (a member of `SIZES`), by its index.

    An index is that of the first point of the new regime.
    """

    values: tuple[float, ...]
    noise: Noise
    noise_cv: float
    steps: dict[int, float]


def labelled_series(seed: int, count: int, noise: Noise, *, with_steps: bool = True) -> tuple[Labelled, ...]:
    """``count`` series with one kind of noise; with ``with_steps``, 0 to `MOST_STEPS` steps in each, else none.

    Lengths are log-uniform in `LENGTHS`, so is the noise's coefficient of variation in `NOISE_CV`; numbers, sizes,
    signs and places of steps are uniform, as far as `CLOSEST` allows. The same arguments give the same series.
    """
    rng = np.random.default_rng([seed, NOISES.index(noise), with_steps])
    return tuple(_one(rng, noise, with_steps=with_steps) for _ in range(count))


def _one(rng: np.random.Generator, noise: Noise, *, with_steps: bool) -> Labelled:
    length = int(np.exp(rng.uniform(*np.log(LENGTHS))))
    noise_cv = float(np.exp(rng.uniform(*np.log(NOISE_CV))))
    logs = np.full(length, rng.uniform(np.log(5.0), np.log(5000.0)))
    steps: dict[int, float] = {}
    if with_steps:
        count = int(rng.integers(0, min(MOST_STEPS, length // (2 * CLOSEST)) + 1))
        for index in _places(rng, length, count):
            size = float(rng.choice(SIZES))
            steps[index] = size
            logs[index:] += rng.choice((-1.0, 1.0)) * np.log1p(size)
    logs += disturbance(rng, noise, noise_cv, length)
    return Labelled(values=tuple(np.exp(logs).tolist()), noise=noise, noise_cv=noise_cv, steps=steps)


def _places(rng: np.random.Generator, length: int, count: int) -> list[int]:
    """``count`` indexes at least `CLOSEST` from each other and from both ends, all such sets equally likely."""
    free = length - (count + 1) * CLOSEST
    chosen = np.sort(rng.choice(free + count, size=count, replace=False))
    return [int(place) + CLOSEST * (rank + 1) - rank for rank, place in enumerate(chosen)]


def disturbance(rng: np.random.Generator, noise: Noise, noise_cv: float, length: int) -> Floats:
    """What is added to the logarithms: noise with standard deviation ``noise_cv`` and what its kind brings along.

    *heavy-tailed*: Student t with `TAIL_DEGREES` degrees of freedom. *outliers*: single bad runs, three in four of them
    upwards. *AR(1)*: a coefficient in `AUTOCORRELATION`. *drift*: half of the series drift in a line, half in a sine
    of half to one and a half periods, over `DRIFT_RANGE` from lowest to highest.
    """
    normal = rng.standard_normal(length)
    if noise == "independent":
        return np.asarray(noise_cv * normal)
    if noise == "heavy-tailed":
        return np.asarray(noise_cv * rng.standard_t(TAIL_DEGREES, length) / np.sqrt(TAIL_DEGREES / (TAIL_DEGREES - 2)))
    if noise == "outliers":
        hit = rng.random(length) < rng.uniform(*OUTLIER_SHARE)
        size = np.log1p(rng.uniform(*OUTLIER_SIZE, length)) * np.where(rng.random(length) < 0.75, 1.0, -1.0)
        return np.asarray(noise_cv * normal + hit * size)
    if noise == "AR(1)":
        coefficient = rng.uniform(*AUTOCORRELATION)
        correlated = normal.copy()
        for index in range(1, length):
            innovation = np.sqrt(1 - coefficient**2) * normal[index]
            correlated[index] = coefficient * correlated[index - 1] + innovation
        return noise_cv * correlated
    time = np.linspace(0.0, 1.0, length)
    shape = time if rng.random() < 0.5 else np.sin(2 * np.pi * (rng.uniform(0.5, 1.5) * time + rng.random()))
    drift = (shape - shape.min()) / np.ptp(shape) * rng.uniform(*DRIFT_RANGE) * rng.choice((-1.0, 1.0))
    return np.asarray(noise_cv * normal + drift)
