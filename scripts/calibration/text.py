"""What calibration has found, as docs/calibration.md with its figures. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from scripts.calibration import false_alarms, stacks
from scripts.calibration.campaign import (
    CalibrationSession,
    Case,
    Effect,
    Noise,
    fit_priors,
    interval,
    measure_noise,
    pair_effects,
    round_effects,
    session_share,
    summarize_effects,
)
from scripts.calibration.certainty import SESSION_S, Certainty, compare_settings
from scripts.config import Comparison
from scripts.model import METRICS, Block, Direction, Run
from scripts.report import charts
from scripts.statistics import simulate, spread
from scripts.statistics.spread import Prior
from scripts.verdict.judgement import judge_backend, looks, undecided
from scripts.verdict.noise import Setting, setting_of

POWER_SIZES = (0.0, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05)
MODELLED = ("throughput_rps", "cpu_ms_per_request")
FALSE_ALARMS = 0.01
"""Share of A/A sessions that may say a change."""
WANTED = {"django_asgi": {0.03: 0.99, 0.02: 0.80}}
WANTED_ELSEWHERE = {0.02: 0.99, 0.01: 0.80}
"""Which share of sessions should find a slow-down of which size."""


def one_line(session: CalibrationSession, comparison: Comparison, priors: Mapping[str, Prior]) -> str:
    """What one session says, for the terminal."""
    verdict = judge_backend(session.run, session.backend, comparison, priors)
    parts = [
        f"{METRICS[f.metric].label} {100 * (f.ratio - 1):+.2f}% ({100 * (f.low - 1):+.2f} to {100 * (f.high - 1):+.2f})"
        for f in verdict.findings
        if f.metric in MODELLED and f.level is None and f.ratio and f.low and f.high
    ]
    return f"{verdict.outcome.value} after {verdict.rounds} rounds: {', '.join(parts)}"


def render(
    sessions: Sequence[CalibrationSession],
    others: Sequence[CalibrationSession],
    comparison: Comparison,
    path: Path,
    wanted: Sequence[Case] = (),
) -> dict[Path, bytes]:
    """The document and its figures, by path.

    ``others``: sessions that were measured in other settings; ``wanted``: what the campaign is to have.
    """
    effects = summarize_effects(sessions, comparison)
    noise = measure_noise(sessions, comparison)
    planned = looks(sessions[0].run.profile, comparison)
    drawn = draw(sessions, comparison, max(planned[-1], *false_alarms.ROUNDS), false_alarms.SESSIONS)
    recorded = {backend: one.recorded for backend, one in drawn.items()}
    priors = {backend: one.priors for backend, one in drawn.items()}
    curves = false_alarms.curves(recorded, priors, comparison, planned)
    planted = {backend: one.planted for backend, one in drawn.items() if one.planted}
    unseen = false_alarms.curves(planted, priors, comparison, planned, "all; noise that no prior was fitted to")
    powers = {backend: power(one.recorded, one.priors, comparison, planned) for backend, one in drawn.items()}
    modelled = {backend: power(one.modelled, one.priors, comparison, planned) for backend, one in drawn.items()}
    figure = charts.Figure(
        title="Sessions that say a change, against the true slow-down",
        unit="% of simulated sessions",
        x_title="slow-down of throughput and CPU per request, in thousandths",
        series={
            backend: {round(1000 * size): 100 * one.changed for size, one in found.items()}
            for backend, found in powers.items()
        },
    )
    lines = [
        "# Calibration: how often a verdict is wrong, and what it can see",
        "",
        "Made by `nox -s calibrate -- --report` from the sessions under `history/calibration/`. "
        "Nothing here is claimed beyond the machine and the stack that it names.",
        "",
        _conditions(sessions[0].run),
        "",
        "## What was wanted, and what is",
        "",
        *_targets_table(sessions, comparison, effects, powers, modelled),
        "",
        "## Real sessions",
        "",
        *_effects_table(effects),
        "",
        f"**False alarms: {_share(*_alarms(effects))} of the A/A sessions.** "
        f"Of the 95% intervals of all metrics of equal versions, {_share(*_covered(effects))} contain equality. "
        "CPU time that is planted costs at least itself: threads that wait for the interpreter's lock meanwhile cost a "
        f"little, too. {_unfinished(sessions, comparison)}",
        "",
        "## The noise",
        "",
        "Standard deviations of the log ratio candidate / baseline when both are the same code. `process` is what two "
        "starts of the same code differ by; `session` is what two arms differ by for a whole session, which more "
        "rounds cannot show; `sessions alike` is the probability of so different sessions if rounds alone differed; "
        "`position` is the arm that came first against the other one; `place` is one of the two places (port, "
        "control group, folder, database account), which the arms exchange after each round, against the other one; it "
        "is taken out of `round`, `process` and `session`.",
        "",
        *_noise_table(noise),
        "",
        "What the machine did meanwhile, in the same sessions:",
        "",
        *_machine_table(sessions),
        "",
        *_scales([*curves, *unseen, *false_alarms.uncalibrated(recorded, comparison)], comparison),
        *stacks.sections(sessions, others, comparison, wanted),
        *_settings(sessions, [one for one in others if one.beside is None]),
        "## Simulated sessions",
        "",
        f"{false_alarms.SESSIONS} sessions each, judged by the same rules with their early ends: rounds drawn from the "
        "recorded A/A rounds (with either sign), and from a normal model with the recorded covariance; in both a "
        f"session has a normal offset of its own, of {_percent(session_share(sessions, noise), 1)} of a round's "
        "variance (what all backends and metrics of the table of the noise show together). A slow-down of x makes "
        "throughput lower, and latencies and CPU per request higher, by x. `cover`: 95% intervals, as they are when "
        "the session ends, that "
        "contain the truth.",
        "",
        *_simulated_table(drawn, comparison, planned, powers, modelled),
        "",
        "![Sessions that say a change](calibration_power.svg)",
        "",
    ]
    figures = {
        "calibration_power.svg": figure,
        "calibration_alarms.svg": false_alarms.figure(curves, comparison.false_alarms),
    }
    drawings = {path.with_name(name): charts.standalone(charts.draw(one)).encode() for name, one in figures.items()}
    return {path: "\n".join(lines).encode(), **drawings}


def recorded_rounds(
    sessions: Iterable[CalibrationSession], backend: str, metrics: Sequence[str], *, planted: bool = False
) -> simulate.Drawn:
    """The rounds of a backend, shape (rounds, metrics): log ratios less their session's mean, and the pairs' part.

    Of A/A sessions, or of those in which something was ``planted``, whose mean it is.

    The log ratios are stretched by ``sqrt(n / (n - 1))``, as rounds lie closer to their own mean than to the true one.
    """
    rounds, within = [], []
    for session in sessions:
        if session.backend == backend and (session.planted.kind != "none") == planted:
            own = np.array([round_effects(session, metric)[0] for metric in metrics], dtype=np.float64).T
            if len(own) >= 2:
                pairs = np.array([pair_effects(session, metric) for metric in metrics]).T
                paired = np.isfinite(pairs).all(axis=1)
                rounds.append(((own - own.mean(axis=0)) * math.sqrt(len(own) / (len(own) - 1)))[paired])
                within.append(pairs[paired])
    return simulate.Drawn(np.concatenate(rounds), np.concatenate(within))


class Drawn(NamedTuple):
    """A backend's simulated sessions without any change, by where their noise is from.

    ``planted``: from sessions in which something was planted, which the priors were not fitted to; None without any.
    """

    priors: Mapping[str, Prior]
    recorded: simulate.Drawn
    modelled: simulate.Drawn
    planted: simulate.Drawn | None


def draw(sessions: Sequence[CalibrationSession], comparison: Comparison, length: int, number: int) -> dict[str, Drawn]:
    """So many sessions of ``length`` rounds by backend, for all that have A/A sessions."""
    fitted, metrics = fit_priors(sessions, comparison), list(comparison.metrics)
    noise = measure_noise(sessions, comparison)
    share = session_share(sessions, noise)
    others = {session.backend for session in sessions if session.planted.kind != "none"}
    found = {}
    for backend in sorted({session.backend for session in sessions if session.planted.kind == "none"}):
        rounds = recorded_rounds(sessions, backend, metrics)
        session_sd = math.sqrt(share) * np.array([one.round_sd for one in noise if one.backend == backend])
        covariance, within = np.cov(rounds.rounds.T), rounds.within.mean(axis=0)
        found[backend] = Drawn(
            priors={metric: fitted[key] for metric in metrics if (key := f"{backend}/{metric}") in fitted},
            recorded=simulate.resample(rounds, session_sd, number, length, np.random.default_rng(1)),
            modelled=simulate.draw(covariance, within, session_sd, number, length, np.random.default_rng(2)),
            planted=simulate.resample(
                recorded_rounds(sessions, backend, metrics, planted=True),
                session_sd,
                number,
                length,
                np.random.default_rng(3),
            )
            if backend in others
            else None,
        )
    return found


def slow_down(comparison: Comparison, size: float) -> simulate.Floats:
    """The log ratio of each metric where the candidate needs ``size`` more CPU and time."""

    def truth(name: str) -> float:
        if name in ("database_cpu_ms_per_request", "peak_memory_mb"):
            return 0.0
        return math.log1p(-size) if METRICS[name].direction is Direction.HIGHER else math.log1p(size)

    return np.array([truth(name) for name in comparison.metrics])


def power(
    values: simulate.Drawn,
    priors: Mapping[str, Prior],
    comparison: Comparison,
    planned: Sequence[int],
    *,
    backends: int = 1,
) -> dict[float, simulate.Simulated]:
    """What sessions of one backend out of ``backends`` say, by true slow-down (0: what they say is a false alarm)."""
    found = {}
    for size in POWER_SIZES:
        truth = slow_down(comparison, size)
        found[size] = simulate.say(
            values + truth, list(comparison.metrics), comparison, planned, backends, priors, truth
        )
    return found


def _percent(value: float, digits: int = 2) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.{digits}f}%"


def _offset(value: float, error: float) -> str:
    return "-" if math.isnan(error) else f"{100 * value:+.2f}% ± {_percent(error)}"


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


def _alarms(effects: Iterable[Effect]) -> tuple[int, int]:
    """How many A/A sessions say a change, of how many."""
    same = [e for e in effects if e.planted.kind == "none"]
    return sum(e.wrong for e in same), sum(e.sessions for e in same)


def _unfinished(sessions: Sequence[CalibrationSession], comparison: Comparison) -> str:
    """How many sessions ended, by the rules of their time, where those of now would go on."""
    priors = fit_priors(sessions, comparison)
    number = sum(bool(undecided(session.run, comparison, priors)) for session in sessions)
    return (
        f"{number} of the sessions ended by earlier rules where these would go on: they are judged by what they have."
    )


def _covered(effects: Sequence[Effect]) -> tuple[int, int]:
    """How many 95% intervals of equal versions contain equality, of how many."""
    same = [e for e in effects if e.planted.kind == "none"]
    return sum(e.covered for e in same), sum(e.intervals for e in same)


def _noise_table(noise: Iterable[Noise]) -> list[str]:
    lines = [
        "| backend | metric | sessions | rounds | round | pair | process | session | sessions alike | position | "
        "place |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    return lines + [
        f"| {n.backend} | {METRICS[n.metric].label} | {n.sessions} | {n.rounds} | {_percent(n.round_sd)} | "
        f"{_percent(n.pair_sd)} | {_percent(n.process_sd)} | {_percent(n.session_sd)} | {_probability(n.session_p)} | "
        f"{_offset(n.position, n.position_error)} | {_offset(n.place, n.place_error)} |"
        for n in noise
    ]


def _simulated_table(
    drawn: Mapping[str, Drawn],
    comparison: Comparison,
    planned: Sequence[int],
    powers: Mapping[str, Mapping[float, simulate.Simulated]],
    modelled: Mapping[str, Mapping[float, simulate.Simulated]],
) -> list[str]:
    sizes = [size for size in POWER_SIZES if size]
    head = " | ".join(f"{100 * size:g}% found" for size in sizes)
    lines = [
        f"| backend | sessions from | false alarms | {head} | cover | rounds without / with 1% |",
        f"|---|---|---:|{'---:|' * len(sizes)}---:|---:|",
    ]
    for backend, found in powers.items():
        one = drawn[backend]
        sources = {
            "recorded rounds": found,
            "recorded rounds, one backend of four": power(one.recorded, one.priors, comparison, planned, backends=4),
            "normal model": modelled[backend],
        }
        for source, by_size in sources.items():
            cells = " | ".join(_percent(by_size[size].changed, 1) for size in sizes)
            cover = sum(said.covered for said in by_size.values()) / len(by_size)
            lines.append(
                f"| {backend} | {source} | {_percent(by_size[0.0].changed)} | {cells} | {_percent(cover, 1)} | "
                f"{by_size[0.0].rounds:.1f} / {by_size[0.01].rounds:.1f} |"
            )
    return lines


def _conditions(run: Run) -> str:
    environment, profile = run.environment, run.profile
    return (
        f"{environment.cpu_model}, {environment.cpu_count} CPUs, {environment.stack} stack, {environment.database} "
        f"{environment.database_version}, k6 {environment.k6}; layout {run.layout}, at most {profile.rounds} rounds of "
        f"{profile.pairs} x {profile.duration_s:g} s at {', '.join(map(str, profile.levels))} users."
    )


def _targets_table(
    sessions: Sequence[CalibrationSession],
    comparison: Comparison,
    effects: Sequence[Effect],
    powers: Mapping[str, Mapping[float, simulate.Simulated]],
    modelled: Mapping[str, Mapping[float, simulate.Simulated]],
) -> list[str]:
    """Each target beside the real sessions and the resampled ones; false alarms by the normal model, too."""
    resampled, normal = (max(found[0.0].changed for found in source.values()) for source in (powers, modelled))
    few = max(resampled, normal) <= FALSE_ALARMS
    lines = [
        "| target | real sessions (95% interval) | resampled | |",
        "|---|---:|---:|---|",
        f"| at most {_percent(FALSE_ALARMS, 0)} of A/A sessions say a change | {_share(*_alarms(effects))} | "
        f"{_percent(resampled)} at most; normal model {_percent(normal)} | {_met(few)} |",
    ]
    for backend, found in powers.items():
        for size, share in WANTED.get(backend, WANTED_ELSEWHERE).items():
            real = [e for e in effects if e.backend == backend and e.planted.kind == "cpu" and e.planted.size == size]
            seen = _share(real[0].found, real[0].sessions) if real else "-"
            lines.append(
                f"| {backend}: {100 * size:g}% slower is found in at least {_percent(share, 0)} | {seen} | "
                f"{_percent(found[size].changed, 1)} | {_met(found[size].changed >= share)} |"
            )
    minutes = max(session.run.wall_s for session in sessions) / 60
    mean = sum(session.run.wall_s for session in sessions) / len(sessions) / 60
    lines.append(
        f"| one backend is decided in {SESSION_S / 60:g} minutes | {mean:.1f} in the mean, {minutes:.1f} at most | | "
        f"{_met(minutes <= SESSION_S / 60)} |"
    )
    cover = [one.covered for found in powers.values() for one in found.values()]
    low, high = interval(*_covered(effects))
    lines.append(
        f"| 95% intervals of equal versions contain equality | {_share(*_covered(effects))} | "
        f"{_percent(min(cover), 1)} to {_percent(max(cover), 1)} | {_met(low <= 0.95 <= high or low > 0.95)} |"
    )
    return lines


def _scales(curves: Sequence[false_alarms.Curve], comparison: Comparison) -> list[str]:
    """False alarms against how noisy the machine is, over everything that a session says."""
    return [
        "## False alarms, however noisy the machine is",
        "",
        "No variance is carried from calibration to a session: a machine has a noise of its own, and another one ten "
        "minutes later. What is carried over is how variances stand to each other: that of rounds to the part of it "
        "that the session's own pairs explain. So a metric's noise is known from its rounds and its pairs. Where the "
        "rounds of a backend's metrics spread more than their pairs say (in the median), all of them are expected to. "
        "What pairs say only ever widens what rounds say, and their ratio counts as known from "
        f"{spread.MOST_DEGREES:g} rounds at most. Any other setting (levels, windows, pairs, transactions, layout, "
        "stack, database) has no prior: it is judged by the t test of its own rounds.",
        "",
        f"Promised: {_percent(comparison.false_alarms, 1)} of sessions at most, over all metrics and looks. "
        f"{false_alarms.SESSIONS} simulated sessions of one backend each, drawn from the recorded A/A rounds with "
        "their pairs and with the offsets of sessions, spread so many times as much as recorded: all alike; rounds "
        "without their pairs; pairs, and rounds by what that explains; and, far from anything recorded, the rounds of "
        "CPU per request alone, where it does not hold. The rules were chosen on these rounds. The noise of sessions "
        "in which something was planted (less what it did; a few dozen rounds) was judged by them; it had been looked "
        "at while the rules were chosen, so it is a check and no blind trial.",
        "",
        *false_alarms.table(curves),
        "",
        "![Sessions without any change that say one](calibration_alarms.svg)",
        "",
    ]


def _met(condition: bool) -> str:
    return "met" if condition else "**not met**"


def _machine_table(sessions: Iterable[CalibrationSession]) -> list[str]:
    """What may make rounds differ and is not the code: generator, database, hypervisor, other processes."""
    lines = [
        "| backend | blocks | invalid | k6 CPUs | database CPUs | stolen CPUs: mean, worst | foreign CPUs: mean, "
        "worst |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    by_backend: dict[str, list[Block]] = {}
    for session in sessions:
        by_backend.setdefault(session.backend, []).extend(session.run.blocks)
    for backend, blocks in by_backend.items():
        generator, steal, foreign = (
            [getattr(block.resources, name) for block in blocks]
            for name in ("generator_cpus", "steal_cpus", "foreign_cpus")
        )
        database = [block.resources.database_cpu_s / block.resources.wall_s for block in blocks]
        lines.append(
            f"| {backend} | {len(blocks)} | {sum(not block.valid for block in blocks)} | {np.mean(generator):.2f} | "
            f"{np.mean(database):.2f} | {np.mean(steal):.3f}, {max(steal):.2f} | "
            f"{np.mean(foreign):.3f}, {max(foreign):.2f} |"
        )
    return lines


def _settings(sessions: Sequence[CalibrationSession], others: Sequence[CalibrationSession]) -> list[str]:
    """Layouts, levels and sizes of work side by side; nothing where only one was measured."""
    if not others:
        return []
    lines = [
        "## Layout, level and size of work by evidence",
        "",
        f"What one gets from {SESSION_S / 60:g} minutes in each setting: the standard error of a session's mean log "
        "ratio, from the spread of A/A rounds and the time that a round takes. The first row of a backend is the "
        "setting that is used.",
        "",
        "| backend | setting | sessions | rounds | seconds a round | throughput: round, error | "
        "CPU per request: round, error |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    used = setting_of(sessions[0].run)
    found: dict[tuple[str, Setting], dict[str, Certainty]] = {}
    for one in compare_settings([*sessions, *others], MODELLED):
        found.setdefault((one.backend, one.setting), {})[one.metric] = one
    measured_elsewhere = {backend for backend, setting in found if setting != used}
    for (backend, setting), metrics in sorted(found.items(), key=lambda item: (item[0][0], item[0][1] != used)):
        if backend in measured_elsewhere and len(metrics) == len(MODELLED):
            one = metrics[MODELLED[0]]
            cells = " | ".join(f"{_percent(metrics[m].round_sd)}, {_percent(metrics[m].error)}" for m in MODELLED)
            lines.append(
                f"| {backend} | {_setting(setting)} | {one.sessions} | {one.rounds} | {one.round_s:.1f} | {cells} |"
            )
    return [*lines, ""]


def _setting(setting: Setting) -> str:
    chance = ", memory layout left to chance" if setting.randomised else ""
    return (
        f"{setting.stack}, {setting.layout}, {', '.join(map(str, setting.levels))} users, {setting.transactions} "
        f"transactions, {setting.pairs} x {setting.window_s:g} s{chance}"
    )
