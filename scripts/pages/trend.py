"""The trend of one backend: the newest runs as figures that need no script, and all runs to explore with one. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from scripts import words
from scripts.model import METRICS, Metric
from scripts.pages.catalog import Catalog, RunCard
from scripts.pages.marks import KINDS, marks_of, numbered
from scripts.pages.shell import Page, Shell, day
from scripts.templates import Picture, Table

NEWEST = 30
"""Runs that the figures without script show."""
OUT_OF_ORDER = 0.05
"""Share of runs of an older commit than the run before, from which on a history counts as measured afterwards."""
MAIN = ("throughput_rps", "latency_p95_ms", "cpu_ms_per_request", "peak_memory_mb")
SCRIPTS = ("static/data.js", "static/uPlot.iife.min.js", "static/marker.js", "static/chart.js", "static/trend.js")


def render(catalog: Catalog, backend: str, shell: Shell) -> str:
    """The page ``trend/<backend>.html``."""
    label = catalog.labels[backend]
    cards = [card for card in catalog.cards if backend in card.labels]
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
        paired=any(card.baseline for card in cards),
        backfilled=is_backfilled(cards),
        anchor=catalog.anchor.commit[:7] if catalog.anchor else "the anchor",
        marks=tuple(enumerate(marks_of(catalog, backend), 1)),
        kinds=KINDS,
        pictures=tuple(picture(catalog, backend, METRICS[name], cards[-NEWEST:]) for name in MAIN) if cards else (),
        newest=min(len(cards), NEWEST),
    )


def is_backfilled(cards: Sequence[RunCard]) -> bool:
    """Whether commits were not measured as they came, so that only their own order shows what each changed."""
    older = sum(after < before for before, after in pairwise([card.committed for card in cards]))
    return older > OUT_OF_ORDER * len(cards)


def picture(catalog: Catalog, backend: str, metric: Metric, cards: Sequence[RunCard], *, title: str = "") -> Picture:
    """A metric over all levels, run by run; what cannot be compared is a line of its own. ``title``: not the metric."""
    from scripts.report import charts  # pygal takes time to import, and not every build draws

    numbers = numbered(catalog)
    series: dict[str, dict[int, float | None]] = {}
    rows = []
    for card in cards:
        value = card.value(backend, metric.name)
        levels = words.count(len(card.levels), "level")
        name = f"environment {numbers[card.fingerprint]}, {levels}{', paired' if card.baseline else ''}"
        series.setdefault(name, {})[card.time] = value
        rows.append((day(card.started), card.commit.sha[:7], name, words.figure(value)))
    title = title or metric.label
    figure = charts.Figure(title=title, unit=metric.unit, x_title="measured on", series=series, dates=True)
    return Picture(
        name=metric.name,
        title=title,
        svg=Markup(charts.draw(figure)),  # escaped by charts.py
        table=Table(header=("measured", "commit", "what", metric.unit), rows=tuple(reversed(rows))),
    )
