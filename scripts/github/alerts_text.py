"""An issue about a regression of the history, in words. Pure; everything is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from scripts import words
from scripts.escape import code, markdown, plain
from scripts.github.alerts import CLOSED_BY_ITSELF, Close, Place, place_of
from scripts.history import text as changes_text
from scripts.history.changes import Change, Shown
from scripts.verdict.text import fitted

TITLE_LIMIT = 200
MOST_ROWS = 30
KEPT = (
    "This issue is kept up to date by every recorded run. It closes by itself when the figures have recovered, or when "
    "an `accepted` event with the commit and the backend stands in `history/events.toml`. "
    "Closed by hand it stays closed."
)
HEADS = ("metric", "", "effect", "95% interval", "before", "after", "runs before, after")


def title(change: Change, labels: Mapping[str, str]) -> str:
    """``Regression in FastAPI: Throughput, 10 users -8.1% since 1a2b3c4``"""
    lead = _lead(change)
    since = change.commits[0].sha[:7] if len(change.commits) == 1 else change.after.commit[:7]
    what = f"{changes_text.what(lead)} {changes_text.size(lead)[0]}"
    return plain(f"Regression in {_label(change, labels)}: {what} since {since}", TITLE_LIMIT)


def body(change: Change, labels: Mapping[str, str], *, line: str = "") -> str:
    """Markdown whose first line identifies the change; ``line`` says how it ended."""
    shown = [one for one in change.shown if one.tier]
    between = f"between {code(change.before.commit[:10])} and {code(change.after.commit[:10])}"
    to_do = "" if line else " It has to be looked at."
    lines = [
        f"<!-- benchmark change {_hidden(place_of(change))} -->",
        *([f"**{line}**", ""] if line else []),
        f"**{markdown(_label(change, labels))} became worse {between}; {words.sure(change.confidence)} sure.{to_do}**",
        "",
        f"| {' | '.join(HEADS)} |",
        "|---|---|---:|---:|---:|---:|---:|",
        *(f"| {' | '.join(markdown(cell) for cell in _row(one))} |" for one in shown[:MOST_ROWS]),
        "",
        *(f"- {markdown(note)}" for note in changes_text.notes_on(change)),
    ]
    if not line:
        lines += [*_search(change), "", KEPT]
    return fitted("\n".join(lines) + "\n")


def _hidden(place: Place) -> str:
    """JSON for within a comment of HTML, which nothing in it can end."""
    text = json.dumps(msgspec.to_builtins(place), separators=(",", ":"))  # which leaves nothing but ASCII
    return text.replace("<", r"\u003c").replace(">", r"\u003e")


def _search(change: Change) -> list[str]:
    """How to find the commit, where there are several."""
    if len(change.commits) < 2:
        return []
    lead = _lead(change)
    metric = f" --metric {plain(lead.metric)}" if lead.levels else ""
    command = f"nox -s bisect -- {change.before.commit[:10]} {change.after.commit[:10]}"
    return ["", "This finds the commit:", "", f"    {command} --backend {plain(change.backends[0])}{metric}"]


def ending(close: Close) -> str:
    """How an issue ended, in one line."""
    match close.ending:
        case "recovered":
            where = f" since {code(close.by.after.commit[:10])}" if close.by else ""
            return f"{CLOSED_BY_ITSELF}: the figures have recovered{where}. Nothing has to be done."
        case "accepted":
            noted = close.change.events if close.change else ()
            texts = "; ".join(markdown(event.text) for event in noted if event.kind == "accepted")
            return f"{CLOSED_BY_ITSELF}: accepted ({texts}). Nothing has to be done."
        case "duplicate":
            return f"{CLOSED_BY_ITSELF}: another issue is about the same change."
        case "vanished":
            return f"{CLOSED_BY_ITSELF}: with more runs it is no regression worth reporting. Nothing has to be done."


def closed_body(close: Close, labels: Mapping[str, str]) -> str:
    """The text of an issue that is closed: how it ended, then what it was about."""
    if close.change is not None:
        return body(close.change, labels, line=ending(close))
    first, _, rest = (close.issue.body or "").partition("\n")
    return fitted(f"{first}\n**{ending(close)}**\n\n{rest}")


def _lead(change: Change) -> Shown:
    """What the issue is called by: the first that became worse by as much as is worth reporting."""
    return next((one for one in change.shown if one.tier and not one.better), change.shown[0])


def _label(change: Change, labels: Mapping[str, str]) -> str:
    return labels.get(change.backends[0], change.backends[0])


def _row(shown: Shown) -> tuple[str, ...]:
    effect, interval = changes_text.size(shown)
    word = "better" if shown.better else "worse"
    numbers = (f"{shown.before:.4g}", f"{shown.after:.4g}", f"{shown.runs[0]}, {shown.runs[1]}")
    return (changes_text.what(shown), word, effect, interval, *numbers)
