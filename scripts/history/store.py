"""The history: one file for each run, beneath one or several roots that are read as one.

There is one naming rule, `locate`: run ``20261123T234538Z-505d93b-de89bc`` lies at
``runs/2026/11/20261123T234538Z-505d93b-de89bc.json`` beneath a root. A root is ``history/`` or a checkout of the data
branch (`scripts.history.data_branch`). Files are added whole and never written again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scripts import records
from scripts.escape import plain
from scripts.model import PipelineError, Run

RUN_ID = re.compile(r"(\d{4})(\d\d)\d\dT\d{6}Z-([0-9a-f]{7,40}|nocommit)-[0-9A-Za-z.]+")
"""UTC time, short commit, and what tells runs of the same second apart (`scripts.steps.bench.make_run_id`)."""


class Skipped(NamedTuple):
    """A file beneath a root that is not read, and why."""

    path: Path
    reason: str


def locate(run_id: str) -> PurePosixPath:
    """Where a run lies beneath a root. Raises PipelineError for what is not a run's id."""
    found = RUN_ID.fullmatch(run_id)
    if not found:
        raise PipelineError(
            f"run id {run_id!r}: expected <UTC time>-<short commit>-<token>", "measure with nox -s bench"
        )
    return PurePosixPath(*_folder(found), f"{run_id}.json")


def _folder(run_id: re.Match[str]) -> tuple[str, ...]:
    """Where the file of a run lies beneath a root, by the match of its id."""
    return ("runs", run_id[1], run_id[2])


def add(run: Run, root: Path) -> Path:
    """Put a run into a root and return its file. Raises PipelineError when that id is there already."""
    path = root / locate(run.id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        records.create(path, records.encode_run(run))
    except FileExistsError as error:
        raise PipelineError(f"{path}: already recorded", "a record is never written again; nothing changed") from error
    except OSError as error:
        raise PipelineError(
            f"{path.parent}: cannot be made: {error.strerror}", "choose a folder with --history"
        ) from error
    return path


def read(roots: Sequence[Path], warn: Callable[[str], None]) -> tuple[Run, ...]:
    """All runs beneath the roots, as `iterate` gives them, kept in memory: 0.2 MB for a run of 114 blocks."""
    return tuple(iterate(roots, warn))


def iterate(roots: Sequence[Path], warn: Callable[[str], None]) -> Iterator[Run]:
    """Every run beneath the roots once, by id and so by time, read one after the other.

    A run that lies beneath several roots counts once; where two differ, the one beneath the earlier root counts. Files
    that do not count are skipped, and when all is read ``warn`` gets one text that counts and names them, so that none
    is skipped silently. Raises PipelineError for a root that is not a folder.
    """
    read = 0
    found, skipped = find(roots)
    for run_id in sorted(found):
        counted: tuple[Path, Run] | None = None
        for path in found[run_id]:
            try:
                run = _read(path)
            except PipelineError as error:
                skipped.append(Skipped(path, error.message.removeprefix(f"{path}: ")))
                continue
            if counted is None:
                counted = path, run
            elif run != counted[1]:
                skipped.append(Skipped(path, f"differs from {counted[0]}, which has the same id"))
        if counted:
            read += 1
            yield counted[1]
    if skipped:
        warn(describe(skipped, read))


def describe(skipped: Sequence[Skipped], read: int) -> str:
    """The warning: how many files do not count, and which."""
    lines = [f"files of the history that were skipped: {len(skipped)} (runs that were read: {read})"]
    return "\n".join([*lines, *(f"  {plain(str(path))}: {plain(reason)}" for path, reason in skipped)])


def find(roots: Sequence[Path]) -> tuple[dict[str, list[Path]], list[Skipped]]:
    """The files beneath ``runs/`` of all roots: those of runs by id, in the order of roots, and all others."""
    runs: dict[str, list[Path]] = {}
    others: list[Skipped] = []
    for root in roots:
        if not root.is_dir():
            raise PipelineError(f"{root}: no such folder", "a history is a folder with runs/YYYY/MM/<run id>.json")
        top = root / "runs"
        walked = os.walk(top, onerror=lambda error: others.append(_unreadable(error))) if os.path.lexists(top) else ()
        for name, below, files in walked:
            folder = Path(name)
            for entry in sorted(below):
                if (folder / entry).is_symlink() or entry.endswith(".json"):
                    below.remove(entry)
                    others.append(Skipped(folder / entry, "not a run's file, but a folder or a link to one"))
            below.sort()
            where = folder.relative_to(root).parts
            for file in sorted(files):
                path, found = folder / file, RUN_ID.fullmatch(file.removesuffix(".json"))
                if found and file.endswith(".json") and where == _folder(found):
                    runs.setdefault(found[0], []).append(path)
                else:
                    others.append(Skipped(path, "not a run's file: those are runs/YYYY/MM/<run id>.json"))
    return runs, others


def _unreadable(error: OSError) -> Skipped:
    return Skipped(Path(error.filename), f"cannot be read: {error.strerror}")


def _read(path: Path) -> Run:
    run = records.read_run(path)
    if run.id != path.stem:
        raise PipelineError(f"holds another run than its name says: {run.id}")
    return run
