"""The history: one file for each run, beneath one or several roots that are read as one.

There is one naming rule, `locate`: run ``20261123T234538Z-505d93b-de89bc`` lies at
``runs/2026/11/20261123T234538Z-505d93b-de89bc.json`` beneath a root. A root is ``history/`` or a checkout of the data
branch (`scripts.data_branch`). Files are added whole and never written again.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scripts import history
from scripts.model import PipelineError, Run

RUN_ID = re.compile(r"(\d{4})(\d\d)\d\dT\d{6}Z-([0-9a-f]{7,40}|nocommit)-[0-9A-Za-z.]+")
"""UTC time, short commit, and what tells runs of the same second apart (`scripts.bench.make_run_id`)."""


class Skipped(NamedTuple):
    """A file beneath a root that is not read, and why."""

    path: Path
    reason: str


class History(NamedTuple):
    """Every run of some roots, by id and so by time, each once; and what was skipped."""

    runs: tuple[Run, ...]
    skipped: tuple[Skipped, ...]


def locate(run_id: str) -> PurePosixPath:
    """Where a run lies beneath a root. Raises PipelineError for what is not a run's id."""
    found = RUN_ID.fullmatch(run_id)
    if not found:
        raise PipelineError(
            f"run id {run_id!r}: expected <UTC time>-<short commit>-<token>", "measure with nox -s bench"
        )
    return PurePosixPath("runs", found[1], found[2], f"{run_id}.json")


def add(run: Run, root: Path) -> Path:
    """Put a run into a root and return its file. Raises PipelineError when that id is there already."""
    path = root / locate(run.id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        history.create(path, history.encode_run(run))
    except FileExistsError as error:
        raise PipelineError(f"{path}: already recorded", "a record is never written again; nothing changed") from error
    except OSError as error:
        raise PipelineError(
            f"{path.parent}: cannot be made: {error.strerror}", "choose a folder with --history"
        ) from error
    return path


def read(roots: Sequence[Path], warn: Callable[[str], None]) -> History:
    """Read all runs beneath the roots.

    Files that are not runs are skipped; ``warn`` gets one text that counts and names them, so that none is skipped
    silently. A run that lies beneath several roots counts once; where two differ, the one beneath the earlier root
    counts and the other is skipped. Raises PipelineError for a root that is not a folder.
    """
    runs: dict[str, Run] = {}
    places: dict[str, Path] = {}
    skipped: list[Skipped] = []
    with _no_collection():
        for path, place in _files(roots):
            try:
                run = _read(path, place)
            except PipelineError as error:
                skipped.append(Skipped(path, error.message.removeprefix(f"{path}: ")))
                continue
            if runs.setdefault(run.id, run) != run:
                skipped.append(Skipped(path, f"differs from {places[run.id]}, which has the same id"))
            places.setdefault(run.id, path)
    if skipped:
        warn(describe(skipped, len(runs)))
    return History(tuple(runs[key] for key in sorted(runs)), tuple(skipped))


def describe(skipped: Sequence[Skipped], read: int) -> str:
    """The warning: how many files do not count, and which."""
    lines = [f"files of the history that were skipped: {len(skipped)} (runs that were read: {read})"]
    return "\n".join([*lines, *(f"  {path}: {reason}" for path, reason in skipped)])


def _read(path: Path, place: PurePosixPath) -> Run:
    if not RUN_ID.fullmatch(place.stem) or place != locate(place.stem):
        raise PipelineError("not a run's file: those are runs/YYYY/MM/<run id>.json")
    run = history.read_run(path)
    if run.id != place.stem:
        raise PipelineError(f"holds another run than its name says: {run.id}")
    return run


def _files(roots: Sequence[Path]) -> Iterator[tuple[Path, PurePosixPath]]:
    """Every file beneath ``runs/`` of each root, in order, with its place beneath the root."""
    for root in roots:
        if not root.is_dir():
            raise PipelineError(f"{root}: no such folder", "a history is a folder with runs/YYYY/MM/<run id>.json")
        for path in sorted((root / "runs").rglob("*")):
            if not path.is_dir():
                yield path, PurePosixPath(path.relative_to(root).as_posix())


@contextmanager
def _no_collection() -> Iterator[None]:
    """Cyclic garbage collection paused: frozen runs have no cycles, and looking for some takes most of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
