"""How often sessions without any change say one, against how noisy the machine is: simulated with the rules. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from scripts.config import Comparison
from scripts.model import Profile, Struct
from scripts.report import charts
from scripts.statistics import simulate
from scripts.statistics.spread import Prior
from scripts.verdict.judgement import looks

SESSIONS = 20_000
SCALES = (0.2, 0.5, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0)
"""Standard deviations, as multiples of those that calibration recorded."""
ROUNDS = (2, 4, 8, 12)
"""Of sessions; those that are drawn have the most of them, and shorter ones are their beginnings."""
ONE = "cpu_ms_per_request"


class Curve(Struct):
    """The share of sessions that say a change, by scale. ``spread``: what of the noise was scaled, in words."""

    backend: str
    spread: str
    changed: dict[float, float]


def curves(
    recorded: Mapping[str, simulate.Drawn],
    priors: Mapping[str, Mapping[str, Prior]],
    comparison: Comparison,
    planned: Sequence[int],
    alike: str = "",
) -> list[Curve]:
    """By backend, where all of the noise grows, or only that of rounds, of pairs, or of the rounds of one metric.

    With ``alike``, under that name, only where all of it grows.
    """
    metrics = list(comparison.metrics)

    def one(scale: float) -> simulate.Floats:
        return np.array([scale if name == ONE else 1.0 for name in metrics])

    kinds: dict[str, Callable[[simulate.Drawn, float], simulate.Drawn]] = {
        "all": lambda drawn, scale: drawn.scaled(scale, scale),
        "rounds, not their pairs": lambda drawn, scale: drawn.scaled(scale, 1.0),
        "pairs, and rounds by that": _pairs_grow,
        "rounds of CPU per request alone": lambda drawn, scale: drawn.scaled(one(scale), 1.0),
    }
    kinds = {alike: kinds["all"]} if alike else kinds
    return [
        Curve(
            backend=backend,
            spread=kind,
            changed={
                scale: simulate.say(grow(drawn, scale), metrics, comparison, planned, 1, priors[backend]).changed
                for scale in SCALES
            },
        )
        for backend, drawn in recorded.items()
        for kind, grow in kinds.items()
    ]


def _pairs_grow(drawn: simulate.Drawn, scale: float) -> simulate.Drawn:
    """With pairs that spread so many times as much, and rounds by as much more as that explains."""
    within = drawn.within.mean(axis=(0, 1))
    variance = drawn.rounds.var(axis=(0, 1))
    grown = np.maximum(variance - within, 0) + within * scale**2
    now = np.maximum(variance, within)
    return drawn.scaled(np.sqrt(np.divide(grown, now, out=np.ones_like(now), where=now > 0)), scale)


def uncalibrated(recorded: Mapping[str, simulate.Drawn], comparison: Comparison) -> list[Curve]:
    """The same for sessions without a prior, of several lengths: how every setting but the calibrated one is judged."""
    metrics = list(comparison.metrics)
    return [
        Curve(
            backend=backend,
            spread=f"all; no prior, {rounds} rounds",
            changed={
                scale: simulate.say(
                    drawn.scaled(scale, scale), metrics, comparison, _looks(rounds, comparison), 1, {}
                ).changed
                for scale in SCALES
            },
        )
        for rounds in ROUNDS
        for backend, drawn in recorded.items()
    ]


def _looks(rounds: int, comparison: Comparison) -> tuple[int, ...]:
    return looks(Profile(name="", levels=(1,), rounds=rounds, duration_s=1.0, warmup_s=0.0), comparison)


def table(found: Iterable[Curve]) -> list[str]:
    """As lines of Markdown, a column for each scale."""
    lines = [
        f"| backend | what spreads more | {' | '.join(f'x {scale:g}' for scale in SCALES)} |",
        f"|---|---|{'---:|' * len(SCALES)}",
    ]
    for curve in found:
        cells = " | ".join(f"{100 * curve.changed[scale]:.2f}%" for scale in SCALES)
        lines.append(f"| {curve.backend} | {curve.spread} | {cells} |")
    return lines


def figure(found: Iterable[Curve], promised: float) -> charts.Figure:
    """Of all noise growing alike, with what is promised."""
    series: dict[str, dict[int, float | None]] = {
        curve.backend: {round(100 * scale): 100 * share for scale, share in curve.changed.items()}
        for curve in found
        if curve.spread == "all"
    }
    return charts.Figure(
        title="Sessions without any change that say one, against the scale of the noise",
        unit="% of simulated sessions",
        x_title="standard deviations, in percent of the calibrated ones",
        series={"promised at most": {round(100 * scale): 100 * promised for scale in SCALES}, **series},
    )
