"""The page of changes: those to look at, and all others, each with the series that show it."""

from __future__ import annotations

from collections.abc import Mapping

from scripts import words
from scripts.checkout import Revision
from scripts.history.changes import Cause, Change, Shown, Tier
from scripts.history.dependencies import describe
from scripts.history.series import COUNTS
from scripts.history.text import MOST_COMMITS, headline, size
from scripts.model import METRICS, Event, Struct
from scripts.pages.catalog import Catalog
from scripts.pages.shell import Page, Shell
from scripts.templates import Row, Table
from scripts.verdict.text import percent

PATH = "changes.html"
CAUSES = {
    Cause.CODE: "",
    Cause.ENVIRONMENT: "All backends changed at once: the environment did, and no commit is blamed.",
    Cause.UNEXPLAINED: "No commit in between reaches this backend.",
}


class Entry(Struct):
    """A change as pages show it. ``commits`` are at most `MOST_COMMITS`, of which ``more`` were left out.

    ``tags``: tone (of style sheets) and word. ``trend``: path and fragment of the chart that shows it, empty for none.
    """

    change: Change
    anchor: str
    title: str
    effect: str
    tags: tuple[tuple[str, str], ...]
    cause: str
    commits: tuple[Revision, ...]
    more: int
    notes: tuple[str, ...]
    trend: tuple[str, str] | None
    evidence: Table


def anchor(change: Change) -> str:
    """The fragment of a change on its page."""
    return change.id


def entry(change: Change, labels: Mapping[str, str]) -> Entry:
    """What pages show of a change; ``labels`` are the backends'."""
    lead = change.shown[0]
    effect, interval = (text.replace("->", "→") for text in size(lead))
    who = "All backends" if change.cause is Cause.ENVIRONMENT else labels.get(lead.backend, lead.backend)
    certainty = "a count, so certain" if lead.ratio is None or lead.low is None else f"95% interval {interval}"
    return Entry(
        change=change,
        anchor=anchor(change),
        title=f"{who}: {_name(lead.metric)} {effect}",
        effect=f"{_scope(lead)}; {certainty}; shown by {words.count(len(change.shown), 'series').rstrip('s')}s",
        tags=_tags(change),
        cause=CAUSES[change.cause],
        commits=change.commits[:MOST_COMMITS],
        more=max(0, len(change.commits) - MOST_COMMITS),
        notes=(
            *(f"{event.kind}: {event.text}" for event in change.events),
            *(f"{labels.get(d.backend, d.backend)}: {describe(d)}" for d in change.dependencies),
            *(f"{d.field.replace('_', ' ')}: {d.before or words.NOTHING} → {d.after or words.NOTHING}"
              for d in change.environment),
        ),
        trend=_trend(lead, labels),
        evidence=_evidence(change, labels),
    )  # fmt: skip


def entries(changes: tuple[Change, ...], labels: Mapping[str, str]) -> tuple[Entry, ...]:
    """Changes as pages show them, newest first."""
    return tuple(entry(change, labels) for change in reversed(changes))


def render(catalog: Catalog, shell: Shell) -> str:
    """The page."""
    found = entries(catalog.all_changes, catalog.labels)
    return shell.render(
        "changes.html",
        Page(path=PATH, title="Changes", section="changes", description="What changed over the history, and where"),
        found=catalog.changes,
        headline=headline(catalog.changes) if catalog.changes else "",
        alerts=tuple(one for one in found if one.change.alert),
        others=tuple(one for one in found if not one.change.alert),
        events=tuple(reversed(catalog.events)),
        subjects={revision.sha: revision.subject for revision in catalog.line},
        about=lambda event: about(event, catalog.labels),
    )


def about(event: Event, labels: Mapping[str, str]) -> str:
    """What an event concerns: ``Django ASGI: Throughput and Latency p95``, ``all backends``."""
    backends = words.listing([labels.get(name, name) for name in event.backends]) if event.backends else "all backends"
    metrics = f": {words.listing([_name(name) for name in event.metrics])}" if event.metrics else ""
    return backends + metrics


def _name(metric: str) -> str:
    """A metric's or a count's label; changes.json may have been made by a version with others."""
    if metric in COUNTS:
        return COUNTS[metric][0]
    return METRICS[metric].label if metric in METRICS else metric


def _scope(shown: Shown) -> str:
    """``Over 10 levels, ratio to 35156e6``"""
    if not shown.levels:
        return "Each request"
    levels = f"At {shown.levels[0]} users" if len(shown.levels) == 1 else f"Over {len(shown.levels)} levels"
    return f"{levels}, ratio to {shown.baseline[:7]}" if shown.baseline else levels


def _tags(change: Change) -> tuple[tuple[str, str], ...]:
    lead = change.shown[0]
    if change.accepted:
        state = ("", "accepted")
    elif change.alert:
        state = ("bad", "to look at")
    elif change.tier is Tier.DETECTED:
        state = ("", "small")
    else:
        state = ("", "known")
    tone = ("good", "better") if lead.better else ("bad", "worse")
    cause = () if change.cause is Cause.CODE else (("note", change.cause.value),)
    sure = words.sure(change.confidence)
    return (tone, state, *cause, ("", f"confidence {sure}"))


def size_of(shown: Shown) -> str:
    """How much a metric changed: ``-20.9%``, ``29 → 24``."""
    return size(shown)[0].replace("->", "→")


def _trend(shown: Shown, labels: Mapping[str, str]) -> tuple[str, str] | None:
    if shown.backend not in labels or shown.metric not in METRICS:
        return None
    level = str(shown.levels[0]) if len(shown.levels) == 1 else "all"
    scale = "ratio" if shown.baseline else "absolute"
    return f"trend/{shown.backend}.html", f"metric={shown.metric}&level={level}&scale={scale}"


def _evidence(change: Change, labels: Mapping[str, str]) -> Table:
    header = ("series", "before", "after", "effect", "95% interval", "runs before", "runs after", "p", "size")
    return Table(header=header, rows=tuple(_row(shown, labels) for shown in change.shown))


def _row(shown: Shown, labels: Mapping[str, str]) -> Row:
    name = f"{labels.get(shown.backend, shown.backend)}, {_name(shown.metric)}, {_scope(shown).lower()}"
    effect, interval = ("", "certain") if shown.ratio is None else (percent(shown.ratio), "certain")
    if shown.low is not None and shown.high is not None:
        interval = f"{percent(shown.low)} to {percent(shown.high)}"
    certain = shown.metric in COUNTS
    before, after = (f"{value:g}" if certain else words.figure(value) for value in (shown.before, shown.after))
    tier = "agrees" if shown.tier is None else shown.tier.value
    p_value = words.NOTHING if certain else f"{shown.p_value:.1g}"
    return (name, before, after, effect, interval, *map(str, shown.runs), p_value, tier)
