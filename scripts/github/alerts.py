"""Changes of the history -> what is to be done about the issues that tell of them. Pure.

There is one issue for each regression that is *open*: confirmed, not accepted, not recovered. Which change an issue is
about stands in a hidden first line of its text: the backend and the commits between which the change lies. More runs
narrow that range, so an issue is about the change of its backend whose range overlaps its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from scripts.github.client import Issue
from scripts.history.changes import Change, Changes, Shown, Tier
from scripts.history.series import COUNTS
from scripts.model import METRICS, Direction, Struct

LABEL = "benchmark"
CONFIRMING_RUNS = 2
"""So many runs after a measured change have to show it; a count is certain at once."""
EXACTLY = 1e-9
"""The gate of a count, which has recovered when it is what it was; the rest is rounding of logarithms."""
FIRST_LINE = re.compile(r"<!-- benchmark change (\{.*\}) -->")
CLOSED_BY_ITSELF = "Closed by itself"

Ending = Literal["recovered", "accepted", "vanished", "duplicate"]


class Place(Struct):
    """What identifies an issue's change: a backend, and two commits of the line; the first is not part of the range."""

    backend: str
    before: str
    after: str


class Open(Struct):
    """Open an issue for a change."""

    change: Change


class Update(Struct):
    """Make an issue say what is known of its change now; ``reopen``: it had been closed by itself."""

    issue: Issue
    change: Change
    reopen: bool


class Close(Struct):
    """Close an issue. ``by``: the change that ended it, where it recovered; ``change``: what is left of its own."""

    issue: Issue
    ending: Ending
    change: Change | None = None
    by: Change | None = None


Action = Open | Update | Close


def place_of(change: Change) -> Place:
    return Place(backend=change.backends[0], before=change.before.commit, after=change.after.commit)


def read_place(issue: Issue) -> Place | None:
    """The change that an issue is about; None for an issue that is none of ours."""
    found = FIRST_LINE.match(issue.body or "")
    try:
        return msgspec.json.decode(found[1], type=Place) if found else None
    except msgspec.DecodeError:
        return None


def is_open(change: Change, changes: Changes, gates: Mapping[str, float]) -> bool:
    """Whether somebody has to be told. ``gates``: from which relative effect a metric's change is worth reporting."""
    return is_confirmed(change) and recovery(change, changes, gates) is None


def is_confirmed(change: Change) -> bool:
    """Whether it is an alert that more than one run stands for."""
    return change.alert and any(
        one.metric in COUNTS or one.runs[1] >= CONFIRMING_RUNS for one in change.shown if _worse(one)
    )


def recovery(change: Change, changes: Changes, gates: Mapping[str, float]) -> Change | None:
    """The later change after which nothing that became worse still is, by as much as is worth reporting.

    Ratios are multiplied along the line, which holds in every environment.
    """
    worse = [one for one in change.shown if _worse(one)]
    left = {(one.metric, one.levels): _cost(one) for one in worse}
    for later in changes.changes:
        if later.after.position <= change.after.position or change.backends[0] not in later.backends:
            continue
        touched: set[tuple[str, tuple[int, ...]]] = set()
        for one in later.shown:
            key = one.metric, one.levels
            if key in left and one.backend == change.backends[0] and key not in touched:
                touched.add(key)
                left[key] += _cost(one)
        if touched and all(cost < math.log1p(gates.get(metric, EXACTLY)) for (metric, _), cost in left.items()):
            return later
    return None


def plan(
    changes: Changes, issues: Sequence[Issue], line: Mapping[str, int], gates: Mapping[str, float]
) -> list[Action]:
    """What brings the issues up to date. ``line``: the position of each commit; ``issues``: the oldest first.

    An issue that a person has closed stays closed, and no other is opened for its change.
    """
    actions: list[Action] = []
    told: set[str] = set()
    for issue in issues:
        place = read_place(issue)
        if place is None:
            continue
        change = _about(place, changes, line)
        opened = issue.state == "open"
        by_itself = CLOSED_BY_ITSELF in (issue.body or "")
        if change is not None and is_open(change, changes, gates):
            if change.id not in told and (opened or by_itself):
                actions.append(Update(issue=issue, change=change, reopen=not opened))
            elif opened:
                actions.append(Close(issue=issue, ending="duplicate", change=change))
            told.add(change.id)
        elif opened:
            actions.append(_close(issue, change, changes, gates))
    actions += [
        Open(change=change) for change in changes.changes if change.id not in told and is_open(change, changes, gates)
    ]
    return actions


def _close(issue: Issue, change: Change | None, changes: Changes, gates: Mapping[str, float]) -> Close:
    if change is None:
        return Close(issue=issue, ending="vanished")
    if change.accepted:
        return Close(issue=issue, ending="accepted", change=change)
    by = recovery(change, changes, gates)
    return Close(issue=issue, ending="recovered" if by else "vanished", change=change, by=by)


def _about(place: Place, changes: Changes, line: Mapping[str, int]) -> Change | None:
    """The change of the place's backend whose range overlaps the place's; the one that became worse comes first."""
    if place.before not in line or place.after not in line:
        return None
    low, high = line[place.before], line[place.after]
    found = [
        change
        for change in changes.changes
        if change.backends[0] == place.backend
        and (max(low, change.before.position) < min(high, change.after.position) or place == place_of(change))
    ]
    return min(found, key=lambda change: not change.worse, default=None)


def _worse(shown: Shown) -> bool:
    return shown.tier is Tier.WORTH_REPORTING and not shown.better


def _cost(shown: Shown) -> float:
    """The logarithm of how many times worse it became; a count that was 0 is infinitely worse."""
    higher = shown.metric in METRICS and METRICS[shown.metric].direction is Direction.HIGHER
    if shown.ratio is None or shown.ratio <= 0:
        return math.inf if shown.after > shown.before else -math.inf
    return -math.log(shown.ratio) if higher else math.log(shown.ratio)
