"""Both stacks side by side, sessions by what was beside them, and what is still to be measured, as Markdown. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from scripts import words
from scripts.calibration.campaign import (
    CHANGED,
    CalibrationSession,
    Case,
    Noise,
    fit_priors,
    measure_noise,
    minutes_left,
    missing,
    summarize_effects,
)
from scripts.config import Comparison
from scripts.model import METRICS
from scripts.session.plant import Planted
from scripts.statistics.spread import Prior
from scripts.verdict.judgement import judge_backend
from scripts.verdict.noise import setting_of

SHOWN = ("throughput_rps", "cpu_ms_per_request", "latency_p50_ms", "latency_p95_ms")


def is_contained(session: CalibrationSession, native: CalibrationSession) -> bool:
    """Whether a session was measured as a native one, but in containers, and with nothing beside it."""
    own, other = setting_of(session.run), setting_of(native.run)
    return (own.stack, own.layout, own.levels, own.transactions, own.pairs, own.window_s, own.randomised) == (
        *("compose", other.layout, other.levels, other.transactions, other.pairs, other.window_s, False),
    ) and session.beside is None


def sections(
    sessions: Sequence[CalibrationSession],
    others: Sequence[CalibrationSession],
    comparison: Comparison,
    wanted: Sequence[Case],
) -> list[str]:
    """``sessions``: of the native stack as it is used; ``others``: all others; ``wanted``: those of the campaign."""
    contained = [one for one in others if is_contained(one, sessions[0])]
    used = setting_of(sessions[0].run).layout
    apart = [one for one in others if one.beside is None and setting_of(one.run).layout != used]
    return [
        *_side_by_side(sessions, contained, comparison),
        *_planted([*sessions, *contained, *apart], comparison),
        *_neighbours([one for one in others if one.beside], sessions, contained, comparison),
        *_missing(wanted, [*sessions, *(one for one in others if _counts(one, sessions[0]))]),
    ]


def _counts(session: CalibrationSession, used: CalibrationSession) -> bool:
    """Whether the campaign counts a session: its load is that which is used, and its arms lay alike in memory."""
    own, other = setting_of(session.run), setting_of(used.run)
    return (own.levels, own.transactions, own.randomised) == (other.levels, other.transactions, False)


def _side_by_side(
    native: Sequence[CalibrationSession], contained: Sequence[CalibrationSession], comparison: Comparison
) -> list[str]:
    """The noise of each backend in both stacks."""
    lines = [
        "## Natively and in containers",
        "",
        "The spread of log ratios of the same code, as above. In containers the arms exchange port, folder and "
        "database account, each round has new containers and databases, and both arms' processes get one hash seed and "
        "one memory layout, as natively.",
        "",
    ]
    if not contained:
        return [*lines, "**Nothing has been measured in containers in this setting.**", ""]
    spread = {"native": _by_metric(native, comparison), "compose": _by_metric(contained, comparison)}
    lines += [
        "| backend | metric | native: sessions, rounds | round | pair | containers: sessions, rounds | round | pair |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for key in sorted(spread["compose"]):
        if key[1] in SHOWN:
            cells = [_spread(spread[stack].get(key)) for stack in ("native", "compose")]
            lines.append(f"| {key[0]} | {METRICS[key[1]].label} | {' | '.join(cells)} |")
    return [*lines, ""]


def _by_metric(sessions: Sequence[CalibrationSession], comparison: Comparison) -> dict[tuple[str, str], Noise]:
    return {(one.backend, one.metric): one for one in measure_noise(sessions, comparison) if one.rounds}


def _spread(noise: Noise | None) -> str:
    if noise is None:
        return "- | - | -"
    return f"{noise.sessions}, {noise.rounds} | {_percent(noise.round_sd)} | {_percent(noise.pair_sd)}"


def _planted(sessions: Sequence[CalibrationSession], comparison: Comparison) -> list[str]:
    """What was planted and found, by stack and layout."""
    groups: dict[tuple[str, str], list[CalibrationSession]] = {}
    for one in sessions:
        setting = setting_of(one.run)
        if not setting.randomised:
            groups.setdefault((setting.stack, setting.layout), []).append(one)
    lines = [
        "| stack, layout | planted | sessions | backends | found | wrong |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for (stack, layout), same in sorted(groups.items(), reverse=True):
        effects = summarize_effects(same, comparison)
        for planted in dict.fromkeys(one.planted for one in effects):
            some = [one for one in effects if one.planted == planted]
            found = "-" if planted.kind == "none" else str(sum(one.found for one in some))
            lines.append(
                f"| {stack}, {layout} | {planted.text} | {sum(one.sessions for one in some)} | {len(some)} | {found} | "
                f"{sum(one.wrong for one in some)} |"
            )
    return ["What was planted, over all backends:", "", *lines, ""]


def _neighbours(
    sessions: Sequence[CalibrationSession],
    native: Sequence[CalibrationSession],
    contained: Sequence[CalibrationSession],
    comparison: Comparison,
) -> list[str]:
    """Sessions by what was put beside them."""
    lines = [
        "## Beside a neighbour",
        "",
        "Something outside the session takes CPU, on the backend's core, the other one, or both: a share of a core all "
        "the time, in bursts of 0.2 to 5 s with a whole core, or by walking through more memory than caches hold. "
        "`took`: CPUs in the mean, as the kernel counted. `spread`: of a round's CPU per request and throughput, as a "
        "multiple of the same backend's without a neighbour.",
        "",
    ]
    if not sessions:
        return [*lines, "**No session has had a neighbour so far.**", ""]
    priors = {"native": fit_priors(native, comparison), "compose": fit_priors(contained, comparison)}
    quiet = {
        stack: {key: noise.round_sd for key, noise in _by_metric(some, comparison).items()}
        for stack, some in (("native", native), ("compose", contained))
    }
    groups: dict[tuple[str, str, str], list[CalibrationSession]] = {}
    for one in sessions:
        assert one.beside is not None
        key = (one.beside.neighbour.text, one.run.environment.stack, one.planted.text)
        groups.setdefault(key, []).append(one)
    lines += [
        "| neighbour | stack | planted | backends | sessions | took | say a change | spread: CPU, throughput | "
        "minutes |",
        "|---|---|---|---|---:|---:|---:|---:|---:|",
    ]
    for (text, stack, planted), some in sorted(groups.items()):
        changed = sum(_says_a_change(one, comparison, priors[stack]) for one in some)
        took = np.mean([one.beside.cpus for one in some if one.beside])
        names = ", ".join(sorted({one.backend for one in some}))
        spread = ", ".join(
            _times(some, quiet[stack], metric, comparison) for metric in ("cpu_ms_per_request", "throughput_rps")
        )
        minutes = np.mean([one.run.wall_s for one in some]) / 60
        lines.append(
            f"| {text} | {stack} | {planted} | {names} | {len(some)} | {took:.2f} | {changed} | {spread} | "
            f"{minutes:.1f} |"
        )
    same = [one for one in sessions if one.planted.kind == "none"]
    alarms = sum(_says_a_change(one, comparison, priors[one.run.environment.stack]) for one in same)
    return [*lines, "", f"**{alarms} of {len(same)} sessions of the same code beside a neighbour say a change.**", ""]


def _says_a_change(session: CalibrationSession, comparison: Comparison, fitted: Mapping[str, Prior]) -> bool:
    verdict = judge_backend(session.run, session.backend, comparison, fitted)
    return any(finding.outcome in CHANGED for finding in verdict.findings)


def _times(
    sessions: Sequence[CalibrationSession],
    quiet: Mapping[tuple[str, str], float],
    metric: str,
    comparison: Comparison,
) -> str:
    """How many times as much as without a neighbour the rounds spread, whatever was planted; the backends' mean."""
    found = []
    for backend in {one.backend for one in sessions}:
        same = [_unplanted(one) for one in sessions if one.backend == backend]
        now = [one.round_sd for one in measure_noise(same, comparison) if one.metric == metric and one.rounds]
        if now and (usual := quiet.get((backend, metric))):
            found.append(now[0] / usual)
    return f"x {math.fsum(found) / len(found):.1f}" if found else "-"


def _unplanted(session: CalibrationSession) -> CalibrationSession:
    """The same rounds: what was planted moves all of them, and how they spread is asked of the same code's."""
    return msgspec.structs.replace(session, planted=Planted(kind="none"))


def _missing(wanted: Sequence[Case], sessions: Iterable[CalibrationSession]) -> list[str]:
    """What the campaign still lacks, in few words."""
    stored = list(sessions)
    open_ = missing(wanted, stored)
    lines = ["## What has not been measured yet", ""]
    if not open_:
        return [*lines, "Nothing: the campaign is complete.", ""]
    number: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for case in wanted:
        total[_kind(case), case.stack] += case.sessions
    for case, done in open_:
        number[_kind(case), case.stack] += case.sessions - done
    left = minutes_left(wanted, stored, {}) / 60
    lines += [
        f"`nox -s calibrate -- --missing` measures what is missing, what tells most first: "
        f"{words.count(sum(number.values()), 'session')}, about {left:.0f} hours; it can be ended and goes on later.",
        "",
        "| sessions | stack | missing | wanted |",
        "|---|---|---:|---:|",
    ]
    return [*lines, *(f"| {kind} | {stack} | {n} | {total[kind, stack]} |" for (kind, stack), n in number.items()), ""]


def _kind(case: Case) -> str:
    return f"{case.planted.text}{', beside a neighbour' if case.neighbour else ''}, {case.layout}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.2f}%"
