"""What people say of the history: the anchor and the events, each pinned to a commit, read and checked."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

from scripts import checkout, config
from scripts.model import METRICS, Event, PipelineError, Struct


class Anchor(Struct):
    """The commit that nightly sessions measure as their baseline (history/anchor.toml), and why this one."""

    commit: str
    reason: str


ANCHOR = "anchor.toml"
EVENTS = "events.toml"
SHA = re.compile(r"[0-9a-f]{40}")


def read_anchor(history: Path, repository: Path = config.PROJECT) -> Anchor:
    """The anchor beneath a root of the history.

    Raises PipelineError naming file and key when the file is missing or wrong, or pins a commit that the repository
    does not have (where the repository has its whole history).
    """
    path = history / ANCHOR
    text = config.read_text(path, "it pins the commit that nightly sessions measure as baseline; restore it with git")
    return parse_anchor(text, str(path), repository)


def parse_anchor(text: str, name: str, repository: Path = config.PROJECT) -> Anchor:
    """As `read_anchor`, from text; ``name`` is the file's name in messages."""
    document = _parse(text, name, {"anchor"})
    where = f"{name}: [anchor]"
    anchor = config.convert(document.get("anchor", {}), Anchor, where)
    _check_commit(anchor.commit, where, repository)
    _need(bool(anchor.reason.strip()), f"{where}: reason", "is empty", "say why this commit")
    return anchor


def read_events(history: Path, backends: Collection[str], repository: Path = config.PROJECT) -> tuple[Event, ...]:
    """The events beneath a root of the history, in the file's order; none where there is no file.

    ``backends`` are the names that there are. Raises PipelineError naming file, entry and key.
    """
    path = history / EVENTS
    if not os.path.lexists(path):
        return ()
    text = config.read_text(path, "it notes what people say of commits; restore it with git")
    return parse_events(text, str(path), backends, repository)


def parse_events(
    text: str, name: str, backends: Collection[str], repository: Path = config.PROJECT
) -> tuple[Event, ...]:
    """As `read_events`, from text; ``name`` is the file's name in messages."""
    entries = _parse(text, name, {"events"}).get("events", [])
    _need(isinstance(entries, list), f"{name}: events", "is not a list of tables", "begin each with [[events]]")
    events = []
    for number, entry in enumerate(entries, 1):
        where = f"{name}: event {number}"
        event = config.convert(entry, Event, where)
        where = f"{where} ({event.commit[:7]})"
        _check_commit(event.commit, where, repository)
        _need(bool(event.text.strip()), f"{where}: text", "is empty", "say what happened")
        _check_names(event.backends, backends, f"{where}: backends")
        _check_names(event.metrics, METRICS, f"{where}: metrics")
        blanket = event.kind == "accepted" and not event.backends
        _need(not blanket, f"{where}: backends", "is empty", "an accepted event names the backends it is about")
        events.append(event)
    return tuple(events)


def _parse(text: str, name: str, sections: Collection[str]) -> dict[str, Any]:
    document = config.parse_toml(text, name)
    for key in document:
        _need(key in sections, f"{name}: {key}", "is not known", config.suggest(key, list(sections)))
    return document


def _check_commit(sha: str, where: str, repository: Path) -> None:
    full = "give all 40 digits: git rev-parse COMMIT"
    _need(bool(SHA.fullmatch(sha)), f"{where}: commit", f"{sha!r} is not a full commit hash", full)
    known = not checkout.unknown_commits([sha], repository)
    _need(known, f"{where}: commit", f"{sha} is not in this repository", "fetch, or mend the hash")


def _check_names(names: Collection[str], known: Collection[str], where: str) -> None:
    for name in names:
        _need(name in known, where, f"{name!r} is not known", config.suggest(name, list(known)))


def _need(condition: bool, where: str, message: str, hint: str) -> None:
    if not condition:
        raise PipelineError(f"{where}: {message}", hint)
