"""Verb ``record``: keep a run's record under ``history/runs/YYYY/MM/``, one file for each run, never written again."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts import config, records, words
from scripts.history import store
from scripts.history.data_branch import DataBranch
from scripts.model import PipelineError, Run
from scripts.report import sentences

EPILOG = """\
examples:
  nox -s record                              the latest run, in history/ of this clone
  nox -s record -- results/20261123T234538Z-505d93b-de89bc
  nox -s record -- --push                    commit it to the branch `history` of `origin` and push, and leave this
                                             clone's files alone; any number of jobs may do so at the same time
  nox -s record -- --push --remote upstream --branch benchmarks
  nox -s record -- --push downloaded         every run beneath a folder, as a workflow's artifact is
  nox -s record -- --unpack results/data     the other way: the data branch's runs, as last fetched, in a folder
"""


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the run is in the history, or with ``--unpack`` when the data branch's are in the folder."""
    parser = argparse.ArgumentParser(
        prog="nox -s record --",
        description="Keep a run's record in the history. Raw files stay where they are.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "results", nargs="?", type=Path, default=Path("results/latest"), help="folder of the run, or of several"
    )
    parser.add_argument("--history", type=Path, metavar="FOLDER", help="of the history (default: history)")
    parser.add_argument("--push", action="store_true", help="add it to the data branch of a remote instead, and push")
    parser.add_argument(
        "--unpack", type=Path, metavar="FOLDER", help="record nothing; write what the data branch has into this folder"
    )
    parser.add_argument("--remote", default="origin", help="of the data branch (default: origin)")
    parser.add_argument("--branch", default="history", help="the data branch (default: history)")
    parser.add_argument("--again", action="store_true", help="with --push: a run that is there already, alike, is fine")
    args = parser.parse_args(arguments)
    if args.unpack:
        commit = DataBranch(config.PROJECT, args.remote, args.branch).unpack(args.unpack)
        there = f"{args.branch} on {args.remote} is at {commit[:10]}" if commit else "there is no data branch yet"
        print(f"{args.unpack}: {there}")
        return 0
    if args.push:
        config.refuse_elsewhere("record --push", "keep the run in a folder: --history FOLDER")
    else:
        args.history = config.history_folder(args.history)
    runs = [(path, records.read_run(path)) for path in find(args.results)]
    for path, run in runs:
        _check(run, path.parent)
    for _, run in runs:
        if args.push:
            branch = DataBranch(config.PROJECT, args.remote, args.branch)
            published = branch.add(store.locate(run.id), records.encode_run(run), message(run), again=args.again)
            print(f"recorded {run.id} in commit {published.commit[:10]} of {args.branch} on {args.remote}")
        else:
            print(f"recorded {store.add(run, args.history)}")
    return 0


def find(results: Path) -> list[Path]:
    """The runs of a folder: its own ``run.json``, or all beneath it, whether as results or as a history."""
    if (results / "run.json").exists():
        return [results / "run.json"]
    found = [path for path in results.rglob("*.json") if path.name == "run.json" or store.RUN_ID.fullmatch(path.stem)]
    return sorted(found) or [results / "run.json"]


def message(run: Run) -> str:
    """The commit message on the data branch: what was measured, how, and where."""
    where = f"{run.environment.cpu_model}, {run.environment.cpu_count} CPUs, {run.environment.stack} stack"
    return (
        f"Record {run.id}: {run.profile.name} profile\n\n"
        f"{words.count(len(run.blocks), 'block')} of {', '.join(run.backends)} at commit {run.commit.sha}\n"
        f"({run.commit.subject}), begun {run.started} on {where}."
    )


def _check(run: Run, results: Path) -> None:
    """Only what a history can be judged by: a whole session with something valid, of code that a commit has."""
    if not run.complete:
        raise PipelineError(f"{results}: the session stopped early: {run.stopped_by}", "record a complete run")
    if len(run.lacking) == len(run.backends):
        raise PipelineError(f"{results}: nothing of it counts: {sentences.missing(run)}", sentences.what_to_do(run))
    if run.commit.dirty:
        raise PipelineError(
            f"{results}: measured code that {run.commit.sha[:7] or 'no commit'} does not contain",
            "every change is dated to its commit: commit what you changed, measure again, then record",
        )
