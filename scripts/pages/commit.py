"""The page of a commit: the runs that measured it, the changes that may be its own, and what people say of it."""

from __future__ import annotations

from collections.abc import Sequence

from scripts import words
from scripts.history.changes import Change
from scripts.model import METRICS, Event, Metric, Struct
from scripts.pages import changes as changes_page
from scripts.pages.catalog import Catalog, RunCard
from scripts.pages.shell import Page, Shell, day
from scripts.templates import Table

SHOWN = ("throughput_rps", "cpu_ms_per_request")


class CommitFacts(Struct):
    """What the page shows beside the runs themselves. ``before`` and ``after``: the nearest measured commits of the
    line.
    """

    sha: str
    subject: str
    committed_at: str
    branch: str
    changes: tuple[Change, ...]
    events: tuple[Event, ...]
    reaches: tuple[str, ...]
    before: tuple[str, str] | None
    after: tuple[str, str] | None
    anchor: str


def path(sha: str) -> str:
    """Where the page of a commit is in the site."""
    return f"commit/{sha}.html"


def facts(sha: str, catalog: Catalog) -> CommitFacts:
    """All that the page of one commit needs to know beside its runs."""
    cards = catalog.by_commit.get(sha, ())
    revision = catalog.line[catalog.places[sha]] if sha in catalog.places else None
    newest = cards[-1].commit if cards else None
    before, after = catalog.measured_beside(sha)
    return CommitFacts(
        sha=sha,
        subject=newest.subject if newest else revision.subject if revision else "",
        committed_at=newest.committed_at if newest else "",
        branch=newest.branch if newest else "",
        changes=catalog.changes_in.get(sha, ()),
        events=catalog.events_at.get(sha, ()),
        reaches=revision.reaches if revision else (),
        before=before,
        after=after,
        anchor=catalog.anchor.reason if catalog.anchor and catalog.anchor.commit == sha else "",
    )


def render(runs: Sequence[RunCard], facts: CommitFacts, shell: Shell) -> str:
    """The page; ``runs``: those of the commit, newest first."""
    return shell.render(
        "commit.html",
        Page(path=path(facts.sha), title=f"Commit {facts.sha[:7]}"),
        runs=runs,
        facts=facts,
        changes=changes_page.entries(facts.changes, shell.backends),
        tables=tuple(_table(runs, shell, METRICS[name]) for name in SHOWN) if runs else (),
        reaches=words.listing([shell.backends.get(name, name) for name in facts.reaches]) if facts.reaches else "",
    )


def _table(runs: Sequence[RunCard], shell: Shell, metric: Metric) -> Table:
    """A row for each run, over all levels; a column for each backend that any of them has."""
    backends = [backend for backend in shell.backends if any(backend in run.labels for run in runs)]
    rows = [
        (
            f"{day(run.started)}, {run.profile}",
            *(words.figure(run.value(backend, metric.name)) for backend in backends),
        )
        for run in runs
    ]
    return Table(
        header=(f"{metric.label} ({metric.unit})", *(shell.backends[backend] for backend in backends)), rows=tuple(rows)
    )
