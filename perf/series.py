"""Synthetic load-test series whose change points are known, from a seed.

Values are positive and multiplicative, as throughputs and latencies are: ``level * exp(steps + drift + noise)``. The
recipe was fixed before any detector was tuned; tuning used other seeds than the published tables (`perf.detect`).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from scripts.model import Struct

Noise = Literal[
    "independent", "heavy-tailed", "outliers", "AR(1)", "drift", "wander", "random walk", "two states", "three states",
    "sticky states", "bad runs together", "growing spread", "rounded",
]  # fmt: skip
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
WANDER = 0.98
WALK = 0.1
STATES = (0.14, 0.70)
SHARE = (0.2, 0.5)
LASTING = (2.0, 6.0)
TOGETHER = (0.03, 0.15)
GROWTH = (2.0, 5.0)
TICK = (1.0, 3.0)

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
    of half to one and a half periods, over `DRIFT_RANGE` from lowest to highest. *wander*: an AR(1) with coefficient
    `WANDER`, with the standard deviation of the noise. *random walk*: of steps `WALK` times the noise. *two states*,
    *three states*: every run is in one of so many speeds, a ratio in `STATES` (a logarithm) between the first and the
    last, the first in a share in `SHARE`. *sticky states*: two, which last `LASTING` runs in the mean. *bad runs
    together*: a share in `TOGETHER` of the runs is slower, in groups of `LASTING`. *growing spread*: `GROWTH` times
    from first to last. *rounded*: to ticks of `TICK` times the noise.
    """
    normal = noise_cv * rng.standard_normal(length)
    if noise == "heavy-tailed":
        return np.asarray(noise_cv * rng.standard_t(TAIL_DEGREES, length) / np.sqrt(TAIL_DEGREES / (TAIL_DEGREES - 2)))
    if noise == "outliers":
        hit = rng.random(length) < rng.uniform(*OUTLIER_SHARE)
        size = np.log1p(rng.uniform(*OUTLIER_SIZE, length)) * np.where(rng.random(length) < 0.75, 1.0, -1.0)
        return np.asarray(normal + hit * size)
    if noise == "AR(1)":
        return noise_cv * autoregressive(normal / noise_cv, rng.uniform(*AUTOCORRELATION))
    if noise == "drift":
        return normal + _drift(rng, length)
    if noise == "wander":
        return normal + autoregressive(noise_cv * rng.standard_normal(length), WANDER)
    if noise == "random walk":
        return normal + WALK * noise_cv * np.cumsum(rng.standard_normal(length))
    if noise in ("two states", "three states"):
        speeds = np.linspace(0.0, 1.0, 2 if noise == "two states" else 3)
        share = rng.uniform(*SHARE)
        shares = np.concatenate(([share], np.full(speeds.size - 1, (1 - share) / (speeds.size - 1))))
        return np.asarray(normal + rng.uniform(*STATES) * rng.choice(speeds, length, p=shares))
    if noise == "sticky states":
        return normal + rng.uniform(*STATES) * _sticky(rng, length, rng.uniform(*SHARE))
    if noise == "bad runs together":
        return normal + rng.uniform(*STATES) * _sticky(rng, length, rng.uniform(*TOGETHER)) * rng.uniform(
            0.3, 1, length
        )
    if noise == "growing spread":
        return np.asarray(normal * np.geomspace(1.0, rng.uniform(*GROWTH), length))
    if noise == "rounded":
        tick = noise_cv * rng.uniform(*TICK)
        return np.asarray(np.round(normal / tick + rng.random()) * tick)
    return normal


def autoregressive(normal: Floats, coefficient: float) -> Floats:
    """AR(1) with the standard deviation of the independent values that it is made of."""
    correlated = normal.copy()
    for index in range(1, normal.size):
        correlated[index] = coefficient * correlated[index - 1] + np.sqrt(1 - coefficient**2) * normal[index]
    return correlated


def _drift(rng: np.random.Generator, length: int) -> Floats:
    time = np.linspace(0.0, 1.0, length)
    shape = time if rng.random() < 0.5 else np.sin(2 * np.pi * (rng.uniform(0.5, 1.5) * time + rng.random()))
    return np.asarray((shape - shape.min()) / np.ptp(shape) * rng.uniform(*DRIFT_RANGE) * rng.choice((-1.0, 1.0)))


def _sticky(rng: np.random.Generator, length: int, share: float) -> Floats:
    """1 for runs of `LASTING` values in the mean, which take about ``share`` of the time, else 0."""
    lasting = rng.uniform(*LASTING)
    leave, enter = 1 / lasting, min(1.0, share / (1 - share) / lasting)
    state, states = rng.random() < share, np.zeros(length)
    for index in range(length):
        states[index] = state
        state = (rng.random() >= leave) if state else (rng.random() < enter)
    return states
