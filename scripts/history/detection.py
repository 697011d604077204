"""The changes of a history: its runs as series, what is found in them, and what else differs around each change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import msgspec

from scripts import checkout
from scripts.config import Config
from scripts.history import dependencies, events, findings, fingerprint, store
from scripts.history.changes import Cause, Change, Changes, Difference
from scripts.history.dependencies import DependencyChange
from scripts.history.series import gather
from scripts.model import PipelineError, Run

Between = Callable[[Run, Run], Iterable[DependencyChange]]
"""What changed in the packages from one run to another."""


def over_history(
    roots: Sequence[Path], settings: Config, line: str, warn: Callable[[str], None], as_of: str | None = None
) -> Changes:
    """Everything that changed in the runs beneath the roots, up to the one with the id ``as_of``; events come from the
    first root. ``line``: the commits up to this revision. ``warn`` gets what is skipped.

    Raises PipelineError where there are no runs.
    """
    labels = {backend.name: backend.label for backend in settings.backends}
    noted = events.read_events(roots[0], labels)
    commits = checkout.line(line, labels)
    last = ""

    def looked_at() -> Iterator[Run]:
        nonlocal last
        for run in until(store.iterate(roots, warn), as_of):
            last = run.id
            yield run

    series, left_out = gather(looked_at(), commits, settings.detect.worth_reporting)
    if not last or (as_of and last != as_of):
        raise PipelineError(
            f"{', '.join(map(str, roots))}: {f'no run {as_of}' if as_of else 'no recorded runs'}",
            "a run's id is the name of its file under runs/" if as_of else "measure and record one first",
        )
    found = findings.find(series, commits, settings.detect, noted, last, left_out)
    return explained(found, store.iterate(roots, lambda _: None))


def until(runs: Iterable[Run], last: str | None) -> Iterator[Run]:
    """The runs up to the one with the id ``last``; runs come by id, and so by time."""
    return takewhile(lambda run: last is None or run.id <= last, runs)


def explained(found: Changes, runs: Iterable[Run], between: Between = dependencies.between_runs) -> Changes:
    """The changes with what else differs between the runs on both sides: packages, and the environment."""
    wanted = {moment.run for change in found.changes for moment in (change.before, change.after)}
    kept = {run.id: run for run in runs if run.id in wanted}
    return msgspec.structs.replace(
        found,
        changes=tuple(
            _explained(change, kept[change.before.run], kept[change.after.run], between) for change in found.changes
        ),
    )


def _explained(change: Change, before: Run, after: Run, between: Between) -> Change:
    packages = tuple(package for package in between(before, after) if package.backend in change.backends)
    differing: tuple[Difference, ...] = ()
    if change.cause is not Cause.CODE:
        differing = tuple(
            Difference(field=field, before=old, after=new)
            for field, (old, new) in fingerprint.differences(before.environment, after.environment).items()
        )
    return msgspec.structs.replace(change, dependencies=packages, environment=differing)
