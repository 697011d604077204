"""Changes in words, for the terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scripts import words
from scripts.escape import plain
from scripts.history.changes import Cause, Change, Changes, Shown, Tier
from scripts.history.dependencies import describe
from scripts.history.series import COUNTS
from scripts.model import METRICS
from scripts.verdict.text import percent

MOST_COMMITS = 5


def headline(changes: Changes) -> str:
    """How many changes, and whether anything is to be done."""
    alerts = sum(change.alert for change in changes.changes)
    if not changes.changes:
        return f"No change in {words.count(changes.runs, 'run')}. Nothing has to be done."
    to_do = f"{words.count(alerts, 'change')} to look at." if alerts else "Nothing has to be done."
    return f"{words.count(len(changes.changes), 'change')} in {words.count(changes.runs, 'run')}. {to_do}"


def render(changes: Changes, labels: Mapping[str, str]) -> RenderableType:
    """A row for each change, and beneath the table what lies in its range; ``labels`` are the backends'."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("", "commit", "backend", "what", "effect", "95% interval", "sure", "tier"):
        width = 10 if head == "what" else None
        table.add_column(head, justify="right" if head in ("effect", "sure") else "left", min_width=width)
    notes: list[Text] = []
    for number, change in enumerate(changes.changes, 1):
        style = "bold red" if change.alert else "" if change.tier is Tier.WORTH_REPORTING else "dim"
        table.add_row(str(number), *(Text(plain(cell)) for cell in _row(change, labels)), style=style)
        notes += [Text(plain(f"{number}  {line}")) for line in notes_on(change)]
    left_out = f"{words.count(changes.left_out, 'run')} of commits that are not on this line: left out."
    parts = [table] if changes.changes else []
    parts_notes = [*notes, *([Text(left_out, style="yellow")] if changes.left_out else [])]
    return Group(*parts, *parts_notes, Text(headline(changes), style="bold"))


def notes_on(change: Change) -> list[str]:
    """What a change may be blamed on, and what else lies in its range."""
    lines = []
    where = f"between {change.before.commit[:7]} and {change.after.commit[:7]}"
    match change.cause:
        case Cause.ENVIRONMENT:
            lines.append(f"all backends changed at once {where}: the environment did, and no commit")
        case Cause.UNEXPLAINED:
            lines.append(f"no commit {where} reaches this backend")
        case Cause.CODE:
            lines += [f"{c.sha[:7]} {c.subject}" for c in change.commits[:MOST_COMMITS]]
            more = len(change.commits) - MOST_COMMITS
            lines += [f"and {words.count(more, 'more commit')} {where}"] if more > 0 else []
    lines += [f"{event.kind}: {event.text}" for event in change.events]
    lines += [f"dependency: {describe(dependency)}" for dependency in change.dependencies]
    return [*lines, *(f"{d.field}: {d.before} -> {d.after}" for d in change.environment)]


def what(shown: Shown) -> str:
    """``Throughput, 10 users``: what a series is called."""
    if not shown.levels:
        return COUNTS[shown.metric][0]
    users = "all users" if len(shown.levels) > 1 else f"{shown.levels[0]} users"
    against = f", against {shown.baseline[:7]}" if shown.baseline else ""
    return f"{METRICS[shown.metric].label}, {users}{against}"


def size(shown: Shown) -> tuple[str, str]:
    """The effect and its interval."""
    if shown.ratio is None or shown.low is None or shown.high is None:
        return f"{shown.before:g} -> {shown.after:g}", "certain"
    return percent(shown.ratio), f"{percent(shown.low)} to {percent(shown.high)}"


def _row(change: Change, labels: Mapping[str, str]) -> tuple[str, ...]:
    lead = change.shown[0]
    backends = "all" if change.cause is Cause.ENVIRONMENT else labels.get(change.backends[0], change.backends[0])
    commit = "-" if change.cause is Cause.ENVIRONMENT else _range(change)
    better = "better" if lead.better else "worse"
    tier = "accepted" if change.accepted else change.tier.value
    return (commit, backends, f"{what(lead)}: {better}", *size(lead), words.sure(change.confidence), tier)


def _range(change: Change) -> str:
    if len(change.commits) == 1:
        return change.commits[0].sha[:7]
    return f"{change.before.commit[:7]}..{change.after.commit[:7]}"
