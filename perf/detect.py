"""Benchmark ``detect``: this project's change detector and others on the same series, in one run."""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from perf.recorded import KINDS, Kind, recorded_series, score_without_steps
from perf.scoring import MARGIN, Score, score
from perf.series import NOISES, SIZES, Labelled, Noise, labelled_series
from scripts import config
from scripts.config import ROOT
from scripts.model import Struct
from scripts.report import charts

SEED = 20261124
"""Of the published tables. Tuning used 1000 to 1999."""

DOCUMENT = ROOT / "docs" / "detect.md"
FIGURE = ROOT / "docs" / "detect_recall.svg"
RECORDED = ROOT / "history" / "calibration" / "native-duet"
BEGIN, END = "<!-- measured: nox -s perf -- detect --write -->", "<!-- /measured -->"
LONG = (1_000, 10_000)
PATIENCE_S = 5.0


Detector = Callable[[Sequence[float]], list[int]]


class Result(Struct):
    """What one detector did.

    ``scores``: on series with steps, by noise; ``quiet``: on series without any; ``recorded``: on the A/A history.
    ``time_ms``: for each length of `LONG`, the shortest time for one series.
    """

    total: Score
    scores: dict[Noise, Score]
    quiet: dict[Noise, Score]
    recorded: dict[Kind, Score]
    time_ms: dict[int, float]


@functools.cache
def _recorded() -> dict[Kind, list[list[float]]]:
    """The A/A history, read once for all detectors."""
    return recorded_series(RECORDED, config.load().compare)


def measure(detector: Detector, seed: int, count: int) -> Result:
    """``count`` series of each noise with steps, and as many without; and the A/A history."""
    scores: dict[Noise, Score] = {}
    quiet: dict[Noise, Score] = {}
    series: list[Labelled] = []
    found: list[list[int]] = []
    for noise in NOISES:
        some = labelled_series(seed, count, noise)
        places = [detector(one.values) for one in some]
        scores[noise] = score(some, places)
        series += some
        found += places
        none = labelled_series(seed, count, noise, with_steps=False)
        quiet[noise] = score(none, [detector(one.values) for one in none])
    recorded = {
        kind: score_without_steps(several, [detector(values) for values in several])
        for kind, several in _recorded().items()
    }
    times = {length: timed(detector, seed, length) for length in LONG}
    return Result(total=score(series, found), scores=scores, quiet=quiet, recorded=recorded, time_ms=times)


def timed(detector: Detector, seed: int, length: int, repeats: int = 5) -> float:
    """The shortest of up to ``repeats`` times for a series with a step of 10% every 250 points, in milliseconds."""
    rng = np.random.default_rng([seed, length])
    levels = 100.0 * 1.1 ** (np.arange(length) // 250 % 2)
    values = (levels * np.exp(rng.normal(0, 0.05, length))).tolist()
    times: list[float] = []
    while len(times) < repeats and sum(times) < PATIENCE_S:
        started = time.perf_counter()
        detector(values)
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def rows(results: dict[str, Result]) -> list[list[str]]:
    """The table, its heading first: one column for each detector."""
    ours = next(iter(results.values()))

    def row(label: str, values: Sequence[float], digits: int) -> list[str]:
        return [label, *(f"{value:.{digits}f}" for value in values)]

    each = list(results.values())
    table = [
        ["", *results],
        row("F1", [one.total.f1 for one in each], 2),
        row("precision", [one.total.precision for one in each], 2),
        *(row(f"recall of steps of {size:.0%}", [one.total.recalls[size] for one in each], 2) for size in SIZES),
        *(row(f"F1, {noise}", [one.scores[noise].f1 for one in each], 2) for noise in NOISES),
        *(
            row(f"false alarms for each 100 points, {noise}", [one.quiet[noise].false_alarms for one in each], 3)
            for noise in NOISES
        ),
        *(
            row(
                f"false alarms for each 100 points, recorded A/A, {kind}",
                [one.recorded[kind].false_alarms for one in each],
                3,
            )
            for kind in KINDS
        ),
    ]
    for length in LONG:
        label = f"ms for {length:,} points (times ours)"
        times = [(one.time_ms[length], one.time_ms[length] / ours.time_ms[length]) for one in each]
        table.append([label, *(f"{time_ms:,.1f} ({ratio:,.1f})" for time_ms, ratio in times)])
    return table


def render(table: Sequence[Sequence[str]], seed: int, count: int) -> str:
    """The table as Markdown, with the command that gave it."""
    heading, *body = table
    lines = [
        BEGIN,
        f"`nox -s perf -- detect --write --seed {seed} --count {count}`: {count} series of each noise with steps "
        f"and as many without; a found point counts within {MARGIN} points of a true one.",
        "",
        "| " + " | ".join(heading) + " |",
        "|---" + "|---:" * (len(heading) - 1) + "|",
        *("| " + " | ".join(row) + " |" for row in body),
        END,
    ]
    return "\n".join(lines)


def draw(results: dict[str, Result]) -> str:
    """Recall by size of step, one line for each detector."""
    series = {
        name: {round(100 * size): 100 * result.total.recalls[size] for size in SIZES}
        for name, result in results.items()
    }
    figure = charts.Figure(title="Steps found", unit="%", x_title="size of step (%)", series=series)
    return charts.standalone(charts.draw(figure))


def write(document: Path, region: str, begin: str = BEGIN, end: str = END) -> None:
    """Put the region in place of the one that the document has."""
    text = document.read_text(encoding="utf-8")
    before, rest = text.split(begin)
    document.write_text(before + region + rest.split(end)[1], encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Returns 0."""
    parser = argparse.ArgumentParser(prog="nox -s perf -- detect", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="of the series (%(default)s)")
    parser.add_argument("--count", type=int, default=600, help="series of each kind of noise (%(default)s)")
    parser.add_argument("--write", action="store_true", help=f"write the table into {DOCUMENT.relative_to(ROOT)}")
    args = parser.parse_args(arguments)
    from perf.detectors import DETECTORS  # here, because only this benchmark's environment has them

    results = {
        name: measure(detector, args.seed, args.count)
        for name, detector in track(DETECTORS.items(), "measuring", console=Console(stderr=True), transient=True)
    }
    heading, *body = rows(results)
    table = Table(*heading)
    for row in body:
        table.add_row(*row)
    Console().print(table)
    if args.write:
        write(DOCUMENT, render([heading, *body], args.seed, args.count))
        FIGURE.write_text(draw(results), encoding="utf-8")
    return 0
