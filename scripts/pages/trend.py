"""The trend of one backend: the newest runs as figures that need no script, and all runs to explore with one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from scripts import words
from scripts.model import METRICS, Metric, Struct
from scripts.pages import gaps
from scripts.pages.catalog import Catalog, RunCard
from scripts.pages.marks import KINDS, marks_of, numbered
from scripts.pages.shell import Page, Shell, day
from scripts.templates import Picture, Table

NEWEST = 30
"""Runs that the figures without script show."""
OUT_OF_ORDER = 0.05
"""Share of runs of an older commit than the run before, from which on a history counts as measured afterwards."""
MAIN = ("throughput_rps", "latency_p95_ms", "cpu_ms_per_request", "peak_memory_mb")
SCRIPTS = tuple(f"static/{name}.js" for name in ("data", "uPlot.iife.min", "marker", "scale", "axis", "chart", "trend"))


class Placed(Struct):
    """A run at its place on the axis, and what tells whether a line may join it (`gaps`)."""

    x: int
    step: gaps.Step
    card: RunCard


def render(catalog: Catalog, backend: str, shell: Shell) -> str:
    """The page ``trend/<backend>.html``."""
    label = catalog.labels[backend]
    cards = [card for card in catalog.cards if backend in card.labels]
    paired = [card for card in cards if card.baseline]
    newest = placed(catalog, backend, NEWEST)
    page = Page(
        path=f"trend/{backend}.html",
        title=f"Trend of {label}",
        section="trend",
        scripts=SCRIPTS if cards else (),
        description=f"Every metric of {label} over all recorded runs, at every number of users.",
    )
    return shell.render(
        "trend.html",
        page,
        backend=backend,
        labels=catalog.labels,
        cards=cards,
        metrics=tuple(METRICS.values()),
        levels=sorted({level for card in cards for level in card.levels}),
        paired=bool(paired),
        first=sorted({level for card in paired or cards for level in card.levels}),
        lines=len({_group(card) for card in paired or cards}),
        backfilled=is_backfilled(cards),
        anchor=catalog.anchor.commit[:7] if catalog.anchor else "the anchor",
        marks=tuple(enumerate(marks_of(catalog, backend), 1)),
        kinds=KINDS,
        pictures=tuple(picture(catalog, backend, METRICS[name], newest) for name in MAIN) if cards else (),
        newest=len(newest),
    )


def is_backfilled(cards: Sequence[RunCard]) -> bool:
    """Whether commits were not measured as they came, so that only their own order shows what each changed."""
    older = sum(after < before for before, after in pairwise([card.committed for card in cards]))
    return older > OUT_OF_ORDER * len(cards)


def _group(card: RunCard) -> object:
    """What makes a line of its own over all levels: as static/trend.js has it."""
    return card.levels, card.baseline.sha if card.baseline else card.fingerprint


def placed(catalog: Catalog, backend: str, newest: int) -> list[Placed]:
    """The runs of the newest commits, in the order of commits: one place after the other, and one between where commits
    were left out.
    """
    steps, cards = gaps.steps(catalog, backend), catalog.in_order(backend)[-newest:]
    found: list[Placed] = []
    for card in cards:
        step = steps[catalog.order[card.commit.sha]]
        last = found[-1] if found else Placed(x=0, step=step, card=card)
        found.append(Placed(x=last.x + 1 + gaps.skipped(last.step, step), step=step, card=card))
    return found


def picture(catalog: Catalog, backend: str, metric: Metric, runs: Sequence[Placed], *, title: str = "") -> Picture:
    """A metric over all levels, run by run; what cannot be compared is a line of its own. ``title``: not the metric."""
    from scripts.report import charts  # pygal takes time to import, and not every build draws

    numbers = numbered(catalog)
    series: dict[str, dict[int, float | None]] = {}
    names: dict[int, str] = {}
    last: dict[str, gaps.Step] = {}
    rows = []
    for run in runs:
        x, step, card = run.x, run.step, run.card
        value = card.value(backend, metric.name)
        levels = words.count(len(card.levels), "level")
        name = f"environment {numbers[card.fingerprint]}, {levels}{', paired' if card.baseline else ''}"
        line = series.setdefault(name, {})
        if name in last and gaps.skipped(last[name], step):
            line[x - 1] = None
        line[x], last[name] = value, step
        names[x] = card.commit.sha[:7] or day(card.started)
        rows.append((names[x], day(card.started), name, words.figure(value)))
    title, colour = title or metric.label, list(catalog.labels).index(backend)
    figure = charts.Figure(
        title=title,
        unit=metric.unit,
        x_title="commits in their order",
        series=series,
        names=names,
        looks=tuple((colour, shape) for shape in range(len(series))),
    )
    return Picture(
        name=metric.name,
        title=title,
        svg=Markup(charts.draw(figure)),  # escaped by charts.py
        table=Table(header=("commit", "measured", "what", metric.unit), rows=tuple(reversed(rows))),
    )
