"""Automatic events: which packages of a backend changed between two commits, and between two recorded runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from scripts import checkout
from scripts.config import PROJECT
from scripts.model import Run, Struct


class DependencyChange(Struct):
    """A package of a backend that one of two commits has in another version; empty: it has it not at all."""

    backend: str
    package: str
    before: str
    after: str


Packages = Mapping[str, str]
"""Version by normalised package name."""

PINNED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*(?:===?|@)\s*(?P<version>[^\s;\\]+)")


def normalise(name: str) -> str:
    """The one spelling of a package's name (Python packaging, "Names and normalization")."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_lock(text: str) -> dict[str, str]:
    """The packages of a lock (requirements with pinned versions or addresses).

    A package that has several versions, each for another platform, has all of them: ``"1.2 | 1.3"``.
    """
    versions: dict[str, list[str]] = {}
    for line in text.splitlines():
        if found := PINNED.match(line):
            versions.setdefault(normalise(found["name"]), []).append(found["version"])
    return {name: " | ".join(dict.fromkeys(several)) for name, several in versions.items()}


def locked(commit: str, backend: str, repository: Path = PROJECT) -> dict[str, str] | None:
    """What a backend's lock says at a commit; None where that commit, or the backend in it, is not there."""
    text = checkout.read_file(commit, f"apps/{backend}/requirements.txt", repository)
    return None if text is None else parse_lock(text)


def compare(backend: str, before: Packages, after: Packages) -> tuple[DependencyChange, ...]:
    """Added, removed and changed packages, by name."""
    return tuple(
        DependencyChange(backend=backend, package=name, before=before.get(name, ""), after=after.get(name, ""))
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    )


def between_commits(
    before: str, after: str, backends: Iterable[str], repository: Path = PROJECT
) -> tuple[DependencyChange, ...]:
    """What changed in the locks from one commit to another.

    A backend that only one of them has does not count: it is itself what is new.
    """
    changes: list[DependencyChange] = []
    for backend in backends:
        old, new = locked(before, backend, repository), locked(after, backend, repository)
        if old is not None and new is not None:
            changes += compare(backend, old, new)
    return tuple(changes)


def between_runs(before: Run, after: Run, repository: Path = PROJECT) -> tuple[DependencyChange, ...]:
    """What changed from one recorded run to another, for each backend that both have.

    The locks say it of every package; where a run noted what was installed (`Run.packages`), that counts. Where the
    repository lacks one of the commits, the runs' notes are all there is.
    """
    changes: list[DependencyChange] = []
    for backend in before.backends:
        if backend not in after.backends:
            continue
        noted = [_normalised(run.packages.get(backend, {})) for run in (before, after)]
        locks = [locked(run.commit.sha, backend, repository) for run in (before, after)]
        if locks[0] is None or locks[1] is None:
            both = noted[0].keys() & noted[1].keys()  # which packages are noted is a choice of bench.toml
            old, new = ({name: packages[name] for name in both} for packages in noted)
        else:
            old, new = ({**lock, **packages} for lock, packages in zip(locks, noted, strict=True) if lock is not None)
        changes += compare(backend, old, new)
    return tuple(changes)


def describe(change: DependencyChange) -> str:
    """``django 5.2.18 -> 5.2.19``, ``uvloop 0.23.0 added``, ``uvloop 0.23.0 removed``."""
    if not change.before:
        return f"{change.package} {change.after} added"
    if not change.after:
        return f"{change.package} {change.before} removed"
    return f"{change.package} {change.before} -> {change.after}"


def _normalised(packages: Packages) -> dict[str, str]:
    return {normalise(name): version for name, version in packages.items()}
