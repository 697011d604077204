"""All runs and commits in one list: what each backend has now and how it changed last, the newest runs as they are, and
with a script all of them, sorted and filtered. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from scripts import words
from scripts.history.changes import Change, Shown
from scripts.model import METRICS, Struct
from scripts.pages import changes as changes_page
from scripts.pages.catalog import Catalog, RunCard
from scripts.pages.shell import Page, Shell

PATH = "runs.html"
NEWEST = 100
"""Runs that are listed without a script."""
NOW = ("throughput_rps", "latency_p95_ms", "cpu_ms_per_request", "peak_memory_mb")
SCRIPTS = ("static/data.js", "static/runs.js")


class Latest(Struct):
    """A metric of a backend, over all levels of the newest run that has it, and the last change that shows in it."""

    backend: str
    label: str
    metric: str
    name: str
    value: str
    run: RunCard
    change: tuple[str, str] | None
    """Identity and size of the change."""


class Row(Struct):
    """A run in the list, with the first metric of the first backend."""

    card: RunCard
    value: str


def render(catalog: Catalog, shell: Shell) -> str:
    """The page ``runs.html``."""
    newest = catalog.cards[-NEWEST:][::-1]
    first = next(iter(catalog.labels), "")
    return shell.render(
        "runs.html",
        Page(
            path=PATH,
            title="All runs",
            section="runs",
            scripts=SCRIPTS if catalog.cards else (),
            description="Every recorded run and commit, with its latest value and last change.",
        ),
        runs=len(catalog.cards),
        commits=len(catalog.by_commit),
        latest=tuple(_latest(catalog)),
        rows=tuple(Row(card=card, value=words.figure(card.value(first, NOW[0]))) for card in newest),
        labels=catalog.labels,
        metrics=tuple(METRICS.values()),
        profiles=tuple(dict.fromkeys(card.profile for card in catalog.cards)),
        environments=tuple(card.place for card in catalog.environments.values()),
    )


def _latest(catalog: Catalog) -> Iterator[Latest]:
    for backend, label in catalog.labels.items():
        changed = _last_changes(catalog, backend)
        for name in NOW:
            found = next((card for card in reversed(catalog.cards) if card.value(backend, name) is not None), None)
            if found is None:
                continue
            change = changed.get(name)
            yield Latest(
                backend=backend,
                label=label,
                metric=name,
                name=METRICS[name].label,
                value=f"{words.figure(found.value(backend, name))} {METRICS[name].unit}",
                run=found,
                change=(changes_page.anchor(change[0]), changes_page.size_of(change[1])) if change else None,
            )


def _last_changes(catalog: Catalog, backend: str) -> dict[str, tuple[Change, Shown]]:
    """By metric, the last change in which it shows."""
    return {
        shown.metric: (change, shown)
        for change in catalog.changes_of(backend)
        for shown in reversed(change.shown)
        if shown.backend == backend
    }
