"""The page of the method: how it is measured, how often it is wrong, and what is not claimed. Pure.

Every number on it comes from bench.toml or from stored calibration sessions; where there are none, it says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from scripts import words
from scripts.config import Comparison, Config
from scripts.model import METRICS, Struct
from scripts.pages.catalog import Catalog
from scripts.pages.shell import Page, Shell
from scripts.session.validity import DISTURBING, RULES
from scripts.templates import Row, Table

if TYPE_CHECKING:  # it imports much of scipy, and a build that finds its results in the cache needs none of it
    from scripts.calibration.campaign import CalibrationSession, Effect, Noise

PATH = "method.html"


class Calibrated(Struct):
    """What stored calibration sessions of one stack and layout say: text for the page, and its tables.

    ``alarms`` of ``same`` sessions without any change said one, with the exact 95% interval of that proportion.
    """

    environment: str
    profile: str
    sessions: int
    same: int
    alarms: int
    low: float
    high: float
    effects: Table
    noise: Table


def calibrated(sessions: Sequence[CalibrationSession], comparison: Comparison) -> Calibrated | None:
    """What sessions of one stack and layout say; None where there are none."""
    if not sessions:
        return None
    from scripts.calibration.campaign import interval, measure_noise, summarize_effects

    run = sessions[0].run
    effects = summarize_effects(sessions, comparison)
    same = [effect for effect in effects if effect.planted.kind == "none"]
    total, alarms = sum(effect.sessions for effect in same), sum(effect.wrong for effect in same)
    low, high = interval(alarms, total)
    env = run.environment
    return Calibrated(
        environment=f"{env.cpu_model}, {words.count_cpus(env.cpu_count)}, {env.stack} stack, {env.database} "
        f"{env.database_version}, k6 {env.k6}, layout {run.layout}",
        profile=f"at most {words.count(run.profile.rounds, 'round')} of {run.profile.pairs} x "
        f"{run.profile.duration_s:g} s at {words.listing([str(level) for level in run.profile.levels])} users",
        sessions=len(sessions),
        same=total,
        alarms=alarms,
        low=low,
        high=high,
        effects=_effects_table(effects),
        noise=_noise_table(measure_noise(sessions, comparison)),
    )


def render(catalog: Catalog, shell: Shell, calibrations: Mapping[str, Calibrated]) -> str:
    """The page; ``calibrations`` by stack and layout, as the folders beneath history/calibration/ are called."""
    settings = catalog.config
    return shell.render(
        "method.html",
        Page(path=PATH, title="Method", section="method", description="How it is measured, and how often it is wrong"),
        settings=settings,
        rules=tuple(RULES.items()),
        disturbing=tuple(DISTURBING.items()),
        calibrations=tuple(calibrations.items()),
        terms=_terms_table(settings),
        environments=tuple(catalog.environments.values()),
        years=tuple(catalog.years),
    )


def _effects_table(effects: Iterable[Effect]) -> Table:
    from scripts.calibration.campaign import interval as exact

    def share(count: int, total: int) -> str:
        low, high = exact(count, total)
        return f"{count} of {total} ({100 * low:.0f} to {100 * high:.0f}%)"

    rows: list[Row] = [
        (
            f"{one.backend}, {_planted(one)}",
            str(one.sessions),
            words.NOTHING if one.planted.kind == "none" else share(one.found, one.sessions),
            share(one.wrong, one.sessions),
            f"{one.covered} of {one.intervals}",
            f"{one.rounds:.1f}",
            f"{one.minutes:.1f}",
        )
        for one in effects
    ]
    header = ("backend and what was planted", "sessions", "found", "wrong", "intervals that cover", "rounds", "minutes")
    return Table(header=header, rows=tuple(rows))


def _planted(effect: Effect) -> str:
    from scripts.session.plant import UNITS

    planted = effect.planted
    if planted.kind == "none":
        return UNITS["none"]
    size = f"{100 * planted.size:g}%" if planted.kind in ("cpu", "quota") else f"{planted.size:g}"
    return f"{planted.kind} {size}"


def _noise_table(noise: Iterable[Noise]) -> Table:
    header = ("backend and metric", "sessions", "rounds", "spread of rounds", "of pairs", "of processes")
    rows = [
        (
            f"{one.backend}, {METRICS[one.metric].label}",
            str(one.sessions),
            str(one.rounds),
            *map(_spread, (one.round_sd, one.pair_sd, one.process_sd)),
        )
        for one in noise
    ]
    return Table(header=header, rows=tuple(rows))


def _spread(value: float) -> str:
    return words.NOTHING if math.isnan(value) else words.percent(value)


def _terms_table(settings: Config) -> Table:
    """What a comparison and the search over the history care about, by metric."""
    rows = []
    for name, metric in METRICS.items():
        terms, worth = settings.compare.metrics.get(name), settings.detect.worth_reporting.get(name)
        rows.append(
            (
                metric.label,
                metric.direction.value.removesuffix(" is better"),
                f"{100 * terms.matters:g}%" if terms else words.NOTHING,
                f"{100 * worth:g}%" if worth is not None else words.NOTHING,
            )
        )
    return Table(
        header=("metric", "better", "matters in a comparison", "worth reporting in the history"), rows=tuple(rows)
    )
