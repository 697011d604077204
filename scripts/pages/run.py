"""The page of a run. Newest runs and those at changes have the whole report; the others are brief: tables from their
card, of which a script draws the curves, and to which it adds most of the rest of the report from the run's data.
"""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

from scripts import words
from scripts.escape import plain
from scripts.history.changes import Change
from scripts.history.dependencies import DependencyChange
from scripts.history.fingerprint import differences
from scripts.model import METRICS, Event, Metric, Run, Struct
from scripts.pages import changes as changes_page
from scripts.pages.catalog import Catalog, Estimate, RunCard
from scripts.pages.shell import Page, Shell, moment
from scripts.report import sentences
from scripts.report.standing import standings
from scripts.templates import Table

NEWEST, AT_CHANGES = 20, 500
"""So many of the newest runs, and of those at changes, have the whole report; a figure takes 5 ms to draw and 10 kB."""


class Neighbour(Struct):
    """Another run, as a link names it."""

    id: str
    started: str
    commit: str


class RunFacts(Struct):
    """What the page of a run shows beside the run itself.

    ``older`` and ``newer``: of any commit; ``previous``: the one before it in its environment, with which it can
    be compared. ``changes`` begin or end at this run. ``environment``: what differs from that of ``older``.
    """

    detailed: bool
    older: Neighbour | None
    newer: Neighbour | None
    previous: Neighbour | None
    changes: tuple[Change, ...]
    events: tuple[Event, ...]
    packages: tuple[DependencyChange, ...]
    environment: dict[str, tuple[str, str]]


def path(run_id: str) -> str:
    """Where the page of a run is in the site."""
    return f"run/{run_id}.html"


def facts(card: RunCard, catalog: Catalog) -> RunFacts:
    """All that the page of one run needs to know of the others."""
    older, newer = catalog.neighbours(card)
    previous = catalog.previous(card)
    at = catalog.changes_at.get(card.id, ())
    return RunFacts(
        detailed=card == catalog.featured or catalog.rank(card) < (AT_CHANGES if at else NEWEST),
        older=_neighbour(older),
        newer=_neighbour(newer),
        previous=_neighbour(previous),
        changes=at,
        events=catalog.events_at.get(card.commit.sha, ()),
        packages=catalog.upgrades_at.get(card.id, ()),
        environment=differences(older.environment, card.environment)
        if older and older.environment != card.environment
        else {},
    )


def render(run: Run, card: RunCard, facts: RunFacts, shell: Shell) -> str:
    """The page: of the whole report, or brief."""
    page = Page(
        path=path(card.id),
        title=f"Run of {moment(card.started)}",
        crumbs=_crumbs(card),
        scripts=() if facts.detailed else ("static/data.js", "static/marker.js", "static/run.js"),
    )
    shown = {
        "card": card,
        "facts": facts,
        "changes": changes_page.entries(facts.changes, shell.backends),
        "profile": f"{run.profile.name}: {run.profile.rounds} x {run.profile.duration_s:g} s at each level",
        "paired": _paired(card),
    }
    if facts.detailed:
        from scripts.report import rendering  # figures and frames take half a second to import, and few pages need them
        from scripts.report.summary import summarize

        return shell.render("run.html", page, **shown, **rendering.context(run, summarize(run), shell.places))
    shown |= {
        "headline": sentences.headline(run, standings(run)),
        "tables": tuple(_tables(card)),
        "command": sentences.command(run),
        "looks": ",".join(str(shell.places.get(name, place)) for place, name in enumerate(card.backends)),
    }
    return shell.render("run_brief.html", page, **shown)


def _crumbs(card: RunCard) -> tuple[tuple[str, str], ...]:
    if not card.commit.sha:
        return ()
    return ((f"commit/{card.commit.sha}.html", f"Commit {card.commit.sha[:7]}"),)


def _neighbour(card: RunCard | None) -> Neighbour | None:
    return Neighbour(id=card.id, started=card.started, commit=card.commit.sha) if card else None


def _paired(card: RunCard) -> Table | None:
    """Candidate / baseline over all levels, a row for each metric; None for a run of one arm."""
    if card.baseline is None:
        return None
    rows = [
        (metric.label, *(_ratio(card.ratio(backend, name)) for backend in card.backends))
        for name, metric in METRICS.items()
    ]
    return Table(header=("candidate / baseline", *card.labels.values()), rows=tuple(rows))


def _ratio(found: Estimate | None) -> str:
    """``0.978 (0.970 to 0.986)``: paired arms differ by percents, so with three digits."""
    if found is None:
        return words.NOTHING
    if found.low is None or found.high is None:
        return f"{found.ratio:.3f}"
    return f"{found.ratio:.3f} ({found.low:.3f} to {found.high:.3f})"


def _tables(card: RunCard) -> Iterable[Markup]:
    """A table for each metric, a row for each level. Put together here: Jinja would take ten times as long."""
    heads = "".join(f'<th scope="col">{escape(plain(label))}' for label in card.labels.values())
    for name, values in card.curves().items():
        if any(value is not None for row in values for value in row):
            yield _table(METRICS[name], heads, card.levels, values)


def _table(metric: Metric, heads: str, levels: tuple[int, ...], values: list[list[float | None]]) -> Markup:
    """Without the end tags that HTML lets out: of 10,000 runs they take 25 MB."""
    title = f"{metric.label} ({metric.unit})"
    rows = "\n".join(
        f'<tr><th scope="row">{level}{"".join(f"<td>{words.figure(value)}" for value in row)}'
        for level, row in zip(levels, values, strict=True)
    )
    return Markup(  # all that is put in is ours: numbers, labels of METRICS, and heads, which are escaped
        f'<div class="scroll" role="region" aria-label="{title}">'
        f'<table class="numeric" data-metric="{metric.name}">\n'
        f'<caption>{title}</caption>\n<thead><tr><th scope="col">users{heads}</thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )
