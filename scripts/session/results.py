"""The folder of a session's results: ``results/<run id>/``, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from rich.console import Console

from scripts import records, words
from scripts.escape import TEXT_LIMIT, plain
from scripts.model import Commit, PipelineError, Run
from scripts.report import sentences
from scripts.session.recorder import INTERRUPTED


def make_run_id(commit: Commit, now: datetime) -> str:
    """``20261123T221530Z-ab12cd3-5f3a9c``: UTC time, short commit, and a hosted runner's run id or a random token."""
    hosted = os.environ.get("GITHUB_RUN_ID")
    token = f"{hosted}.{os.environ.get('GITHUB_RUN_ATTEMPT', '1')}" if hosted else secrets.token_hex(3)
    return f"{now:%Y%m%dT%H%M%SZ}-{commit.sha[:7] or 'nocommit'}-{token}"


def measure_into(results: Path, run_id: str, console: Console, measure: Callable[[Path], Run]) -> Run:
    """Let ``measure`` fill ``results/<run id>.partial``, and return its run if it has any block.

    The caller gives the folder its place with `keep`. Where nothing was measured the folder is removed, or kept as
    ``<run id>.failed`` with its logs if something went wrong. Where blocks were finished before something went wrong
    that did not end with a run (as stopping the stack may), the folder stays, to be reported.
    """
    _mention_unfinished(results, console)
    unfinished = results / f"{run_id}.partial"
    try:
        (unfinished / "logs").mkdir(parents=True)
    except OSError as error:
        raise PipelineError(
            f"{results}: cannot be written: {error.strerror}", "choose a folder with --output"
        ) from error
    try:
        return _with_blocks(measure(unfinished))
    except BaseException as error:
        if _has_blocks(unfinished):
            note = f"finished blocks are kept; `nox -s report -- {unfinished}` reports them"
        elif isinstance(error, KeyboardInterrupt):
            shutil.rmtree(unfinished)
            raise
        else:
            failed = unfinished.rename(results / f"{run_id}.failed")
            note = f"the logs are in {failed / 'logs'}"
        if isinstance(error, PipelineError):
            error.hint = f"{error.hint}\n{note}".strip()
        else:
            console.print(note)
        raise


def _with_blocks(run: Run) -> Run:
    if not run.blocks:
        raise KeyboardInterrupt if run.stopped_by == INTERRUPTED else PipelineError(run.stopped_by)
    return run


def _has_blocks(folder: Path) -> bool:
    with contextlib.suppress(PipelineError):
        return bool(records.read_run(folder / "run.json").blocks)
    return False


def keep(run: Run, results: Path, console: Console, write: Callable[[Path], object]) -> Path:
    """Give the run's folder its place and let ``write`` add what is made from it; says what stopped the session."""
    finished = (results / f"{run.id}.partial").rename(results / run.id)
    if not run.complete:
        console.print(f"The session stopped early: {plain(run.stopped_by, TEXT_LIMIT)}", soft_wrap=True)
        console.print(f"{words.count(len(run.blocks), 'finished block')} kept in {finished}")
    try:
        _point_latest_to(finished)
        write(finished)
    except (PipelineError, OSError) as error:
        raise PipelineError(
            f"the report could not be written: {error}", f"free some space, then: nox -s report -- {finished}"
        ) from error
    return finished


def exit_code(run: Run) -> int:
    """0: complete; 130: interrupted; 1: stopped by something else."""
    if run.complete:
        return 0
    return 130 if run.stopped_by == INTERRUPTED else 1


def check_usable(run: Run) -> None:
    """Raise PipelineError where a session went to its end and nothing counts of one of its backends."""
    if run.complete and run.lacking:
        raise PipelineError(sentences.missing(run), sentences.what_to_do(run))


def _mention_unfinished(results: Path, console: Console) -> None:
    """Say what a killed session has left: its finished blocks can still be reported."""
    for folder in sorted(results.glob("*.partial")):
        if (folder / "run.json").exists():
            console.print(f"· {folder} is left of a killed session; `nox -s report -- {folder}` reports its blocks")


def _point_latest_to(finished: Path) -> None:
    """``results/latest`` becomes this run, in one step."""
    temporary = finished.with_name(f".latest-{finished.name}")
    temporary.symlink_to(finished.name)
    temporary.replace(finished.with_name("latest"))
