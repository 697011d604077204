"""Verb ``report``: run.json -> the report, figures and JSON of the study, beside it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts import terminal
from scripts.model import PipelineError
from scripts.records import read_run
from scripts.report.contrast import contrast, render_contrast
from scripts.report.rendering import write_report
from scripts.report.summary import summarize
from scripts.report.terminal import render_terminal


def main(arguments: Sequence[str]) -> int:
    """Rewrite the report of a results directory from its run.json. Raises PipelineError when there is none."""
    parser = argparse.ArgumentParser(
        prog="nox -s report --", description="Write the report of a finished run again, from its run.json."
    )
    parser.add_argument(
        "directory", nargs="?", type=Path, default=Path("results/latest"), help="folder of a run (default: %(default)s)"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FILE",
        help="the run.json of another run: show the ratios of this run's figures to that one's",
    )
    args = parser.parse_args(arguments)
    directory: Path = args.directory
    if not directory.is_dir():
        raise PipelineError(
            f"{directory}: no such folder", "Measure first (nox -s bench), or name the folder of a run."
        )
    run = read_run(directory / "run.json")
    report = write_report(run, directory)
    console = terminal.console()
    console.print(render_terminal(run, summarize(run), report))
    if args.against:
        other = read_run(args.against)
        console.print(render_contrast(run, other, contrast(run, other)))
    return 0
