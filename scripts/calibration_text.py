"""What calibration has found, as docs/calibration.md with its figures. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from scripts import charts, simulate
from scripts.calibration import (
    CalibrationSession,
    Effect,
    Noise,
    fit_priors,
    interval,
    measure_noise,
    round_effects,
    summarize_effects,
)
from scripts.model import METRICS, Comparison
from scripts.stats import Prior
from scripts.verdict import judge_backend, looks

SIMULATED = 4000
POWER_SIZES = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)
MODELLED = ("throughput_rps", "cpu_ms_per_request")


def one_line(session: CalibrationSession, comparison: Comparison) -> str:
    """What one session says, for the terminal."""
    verdict = judge_backend(session.run, session.backend, comparison, {})
    parts = [
        f"{METRICS[f.metric].label} {100 * (f.ratio - 1):+.2f}% ({100 * (f.low - 1):+.2f} to {100 * (f.high - 1):+.2f})"
        for f in verdict.findings
        if f.metric in MODELLED and f.level is None and f.ratio and f.low and f.high
    ]
    return f"{verdict.outcome.value} after {verdict.rounds} rounds: {', '.join(parts)}"


def render(sessions: Sequence[CalibrationSession], comparison: Comparison, path: Path) -> dict[Path, bytes]:
    """The document and its figures, by path."""
    effects = summarize_effects(sessions, comparison)
    noise = measure_noise(sessions, comparison)
    powers = {backend: power(sessions, comparison, backend) for backend in dict.fromkeys(n.backend for n in noise)}
    figure = charts.Figure(
        title="Sessions that say a change, against the true slow-down",
        unit="% of simulated sessions",
        x_title="slow-down of throughput and CPU per request, in thousandths",
        series={
            backend: {round(1000 * size): 100 * share for size, share in found.items()}
            for backend, found in powers.items()
        },
    )
    environment = sessions[0].run.environment
    profile = sessions[0].run.profile
    layout = sessions[0].run.layout
    lines = [
        "# Calibration: how often a verdict is wrong, and what it can see",
        "",
        "Made by `nox -s calibrate -- --report` from the sessions under `history/calibration/`. "
        "Nothing here is claimed beyond the machine and the stack that it names.",
        "",
        f"{environment.cpu_model}, {environment.cpu_count} CPUs, {environment.stack} stack, {environment.database} "
        f"{environment.database_version}, k6 {environment.k6}; layout {layout}, at most {profile.rounds} rounds of "
        f"{profile.pairs} x {profile.duration_s:g} s at {', '.join(map(str, profile.levels))} users.",
        "",
        "## Real sessions",
        "",
        *_effects_table(effects),
        "",
        *_conclusions(effects),
        "",
        "## The noise",
        "",
        "Standard deviations of the log ratio candidate / baseline when both are the same code. `process` is what two "
        "starts of the same code differ by; `sessions alike` is the probability of so different sessions if rounds "
        "alone differed; `position` is the arm that came first against the other one.",
        "",
        *_noise_table(noise),
        "",
        "## Simulated sessions",
        "",
        f"{SIMULATED} sessions each, judged by the same rules with their early ends: rounds drawn from the recorded "
        "A/A rounds (with either sign), and from a normal model with the recorded covariance and a spread of its own "
        "for each session. A slow-down of x makes throughput lower and CPU per request higher by x.",
        "",
        *_simulated_table(sessions, comparison, powers),
        "",
        "![Sessions that say a change](calibration_power.svg)",
        "",
    ]
    svg = charts.standalone(charts.draw(figure))
    return {path: "\n".join(lines).encode(), path.with_name("calibration_power.svg"): svg.encode()}


def matrix(sessions: Iterable[CalibrationSession], backend: str) -> simulate.Floats:
    """The A/A rounds of a backend: log ratios of the metrics that decide, shape (rounds, 2)."""
    rows = []
    for session in sessions:
        if session.backend == backend and session.planted.kind == "none":
            rows += list(zip(*(round_effects(session, metric) for metric in MODELLED), strict=True))
    return np.array(rows, dtype=np.float64).reshape(-1, len(MODELLED))


def power(
    sessions: Sequence[CalibrationSession], comparison: Comparison, backend: str, *, backends: int = 1
) -> dict[float, float]:
    """Share of resampled sessions that say a change, by true slow-down (0: false alarms)."""
    rounds = matrix(sessions, backend)
    priors = _priors(sessions, comparison, backend)
    planned = looks(sessions[0].run.profile, comparison)
    found = {}
    for size in POWER_SIZES:
        drawn = simulate.resample(rounds, SIMULATED, planned[-1], np.random.default_rng(1))
        shifted = drawn + np.array([math.log1p(-size), math.log1p(size)])
        found[size] = simulate.say(shifted, MODELLED, comparison, planned, backends, priors).changed
    return found


def _priors(sessions: Iterable[CalibrationSession], comparison: Comparison, backend: str) -> dict[str, Prior]:
    found = fit_priors(sessions, comparison)
    return {metric: found[key] for metric in MODELLED if (key := f"{backend}/{metric}") in found}


def _percent(value: float, digits: int = 2) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.{digits}f}%"


def _probability(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}"


def _share(count: int, total: int) -> str:
    low, high = interval(count, total)
    return f"{count} of {total} ({100 * low:.1f} to {100 * high:.1f}%)"


def _effects_table(effects: Iterable[Effect]) -> list[str]:
    lines = [
        "| backend | planted | sessions | found (95% interval) | wrong (95% interval) | 95% intervals that cover | "
        "rounds | minutes |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for e in effects:
        found = "-" if e.planted.kind == "none" else _share(e.found, e.sessions)
        lines.append(
            f"| {e.backend} | {e.planted.text} | {e.sessions} | {found} | {_share(e.wrong, e.sessions)} | "
            f"{e.covered} of {e.intervals} | {e.rounds:.1f} | {e.minutes:.1f} |"
        )
    return lines


def _conclusions(effects: Sequence[Effect]) -> list[str]:
    same = [e for e in effects if e.planted.kind == "none"]
    alarms, total = sum(e.wrong for e in same), sum(e.sessions for e in same)
    covered, intervals = sum(e.covered for e in effects), sum(e.intervals for e in effects)
    return [
        f"**False alarms: {_share(alarms, total)} of the A/A sessions.** "
        f"Of all 95% intervals whose truth is known, {_share(covered, intervals)} cover it.",
    ]


def _noise_table(noise: Iterable[Noise]) -> list[str]:
    lines = [
        "| backend | metric | sessions | rounds | round | pair | process | sessions alike | position |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return lines + [
        f"| {n.backend} | {METRICS[n.metric].label} | {n.sessions} | {n.rounds} | {_percent(n.round_sd)} | "
        f"{_percent(n.pair_sd)} | {_percent(n.process_sd)} | {_probability(n.session_p)} | {100 * n.position:+.2f}% ± "
        f"{_percent(n.position_error)} |"
        for n in noise
    ]


def _simulated_table(
    sessions: Sequence[CalibrationSession], comparison: Comparison, powers: dict[str, dict[float, float]]
) -> list[str]:
    sizes = [size for size in POWER_SIZES if size]
    head = " | ".join(f"{100 * size:g}% found" for size in sizes)
    lines = [
        f"| backend | sessions from | false alarms | {head} |",
        f"|---|---|---:|{'---:|' * len(sizes)}",
    ]
    planned = looks(sessions[0].run.profile, comparison)
    for backend, found in powers.items():
        rounds, priors = matrix(sessions, backend), _priors(sessions, comparison, backend)
        degrees = min((prior.degrees for prior in priors.values()), default=20.0)
        model = {}
        for size in POWER_SIZES:
            drawn = simulate.draw(
                np.cov(rounds.T), max(degrees, 3.0), SIMULATED, planned[-1], np.random.default_rng(2)
            ) + np.array([math.log1p(-size), math.log1p(size)])
            model[size] = simulate.say(drawn, MODELLED, comparison, planned, 1, priors).changed
        for source, shares in (("recorded rounds", found), ("normal model", model)):
            cells = " | ".join(_percent(shares[size], 1) for size in sizes)
            lines.append(f"| {backend} | {source} | {_percent(shares[0.0])} | {cells} |")
    return lines
