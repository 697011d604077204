"""Verb ``record``: keep a run's record under ``history/runs/YYYY/MM/``, one file for each run, never written again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts import history
from scripts.config import ROOT
from scripts.model import PipelineError


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the run is in the history."""
    parser = argparse.ArgumentParser(
        prog="nox -s record --",
        description="Keep a run's record in the history. Raw files stay where they are.",
        epilog="example: nox -s record -- results/latest",
    )
    parser.add_argument("results", nargs="?", type=Path, default=Path("results/latest"), help="folder of the run")
    parser.add_argument("--history", type=Path, default=ROOT / "history", help="folder of the history")
    args = parser.parse_args(arguments)
    run = history.read_run(args.results / "run.json")
    if not run.complete:
        raise PipelineError(f"{args.results}: the session stopped early: {run.stopped_by}", "record a complete run")
    path = args.history / "runs" / run.started[:4] / run.started[5:7] / f"{run.id}.json"
    if path.exists():
        raise PipelineError(f"{path}: already recorded", "a record is never written again; nothing was changed")
    path.parent.mkdir(parents=True, exist_ok=True)
    history.write_run(run, path)
    print(f"recorded {path}")
    return 0
