"""Verb ``bench``: stack and profile -> ``results/<run id>/``: raw k6 output, run.json, and the report."""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from scripts import checkout, config, options, prose
from scripts.contract import check_parity, render_parity, summarise, write_parity
from scripts.model import Commit, Config, PipelineError, Profile, Run
from scripts.progress import SessionProgress
from scripts.rendering import write_report
from scripts.session import INTERRUPTED, Session
from scripts.stack import candidates
from scripts.stack.choice import open_stack
from scripts.stack.process import uninterrupted
from scripts.summary import render_terminal, summarize

EPILOG = """\
profiles (bench.toml):
{profiles}

examples:
  nox -s bench                                   the quick profile
  nox -s bench -- smoke                          everything once, in about a minute
  nox -s bench -- full                           the study's ten levels
  nox -s bench -- quick --backends fastapi,django_wsgi --levels 20,80 --rounds 5
  nox -s bench -- quick --seed 7                 the same order of blocks as another run with seed 7
"""


def main(arguments: Sequence[str]) -> int:
    """Run a session and report it. 0: complete; 1: it stopped early; 130: interrupted."""
    settings = config.load()
    parser = _parser(settings)
    args = parser.parse_args(arguments)
    settings = options.apply(args, settings)
    profile = options.profile(args, settings)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    console = Console(stderr=False)
    commit = checkout.current(args.apps)
    run_id = make_run_id(commit, datetime.now(UTC))
    results: Path = args.output
    unfinished = results / f"{run_id}.partial"
    _mention_unfinished(results, console)
    try:
        (unfinished / "logs").mkdir(parents=True)
    except OSError as error:
        raise PipelineError(
            f"{results}: cannot be written: {error.strerror}", "choose a folder with --output"
        ) from error

    try:
        run = _measure(args, settings, profile, commit, run_id, seed, unfinished, console)
        if not run.blocks:
            raise KeyboardInterrupt if run.stopped_by == INTERRUPTED else PipelineError(run.stopped_by)
    except KeyboardInterrupt:
        shutil.rmtree(unfinished)
        raise
    except PipelineError as error:
        failed = unfinished.rename(results / f"{run_id}.failed")
        raise PipelineError(error.message, f"{error.hint}\nthe logs are in {failed / 'logs'}".strip()) from error
    with uninterrupted():
        return _finish(run, unfinished, console)


def _finish(run: Run, unfinished: Path, console: Console) -> int:
    """Give the run its place and its report; what stopped it is said whatever else fails."""
    finished = unfinished.rename(unfinished.with_name(run.id))
    if not run.complete:
        console.print(f"[bold]The session stopped early[/]: {escape(run.stopped_by)}", highlight=False)
        console.print(f"{prose.count(len(run.blocks), 'finished block')} kept in {finished}", highlight=False)
    try:
        _point_latest_to(finished)
        report = write_report(run, finished)
    except (PipelineError, OSError) as error:
        raise PipelineError(
            f"the report could not be written: {error}", f"free some space, then: nox -s report -- {finished}"
        ) from error
    console.print(render_terminal(run, summarize(run), report))
    if run.complete:
        return 0
    return 130 if run.stopped_by == INTERRUPTED else 1


def _measure(
    args: argparse.Namespace,
    settings: Config,
    profile: Profile,
    commit: Commit,
    run_id: str,
    seed: int,
    directory: Path,
    console: Console,
) -> Run:
    """Bring the stack up, prove parity, measure; the stack is gone afterwards."""

    def say(line: str) -> None:
        console.print(f"[dim]·[/] {line}", highlight=False)

    began = time.monotonic()
    with open_stack(args, settings, candidates(settings, args.apps), directory / "logs", say) as stack:
        say("proving parity: statements, files and answers of one request of each backend")
        parity = check_parity(stack, settings.workload)
        write_parity(parity, directory / "parity.json")
        if not parity.equal:
            console.print(render_parity(parity))
            if not args.allow_unequal:
                raise PipelineError(
                    "the backends do not do equal work, so their speed cannot be compared (differences above)",
                    "mend the backend that differs (apps/README.md is the contract), or measure all the same with "
                    "--allow-unequal: the run and its report will say so",
                )
        say(f"equal work: {settings.workload.statements} statements a request" if parity.equal else "UNEQUAL WORK")
        progress = SessionProgress(console, profile, {b.name: b.label for b in settings.backends})
        session = Session(stack, settings, profile, commit, run_id, seed, directory, progress, summarise(parity), began)
        with progress.shown():
            return session.measure()


def make_run_id(commit: Commit, now: datetime) -> str:
    """``20261123T221530Z-ab12cd3-5f3a9c``: UTC time, short commit, and a hosted runner's run id or a random token."""
    hosted = os.environ.get("GITHUB_RUN_ID")
    token = f"{hosted}.{os.environ.get('GITHUB_RUN_ATTEMPT', '1')}" if hosted else secrets.token_hex(3)
    return f"{now:%Y%m%dT%H%M%SZ}-{commit.sha[:7] or 'nocommit'}-{token}"


def _mention_unfinished(results: Path, console: Console) -> None:
    """Say what a killed session has left: its finished blocks can still be reported."""
    for folder in sorted(results.glob("*.partial")):
        if (folder / "run.json").exists():
            console.print(
                f"[dim]·[/] {folder} is left of a killed session; `nox -s report -- {folder}` reports its blocks"
            )


def _point_latest_to(finished: Path) -> None:
    """``results/latest`` becomes this run, in one step."""
    temporary = finished.with_name(f".latest-{finished.name}")
    temporary.symlink_to(finished.name)
    temporary.replace(finished.with_name("latest"))


def _parser(settings: Config) -> argparse.ArgumentParser:
    lines = [
        f"  {p.name:9} levels {', '.join(map(str, p.levels))}; {p.rounds} x {p.duration_s:g} s each"
        for p in settings.profiles
    ]
    parser = argparse.ArgumentParser(
        prog="nox -s bench --",
        description="Measure the backends under load, one at a time, and report who does how much.",
        epilog=EPILOG.format(profiles="\n".join(lines)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("profile", nargs="?", default="quick", help="how much to measure (default: quick)")
    options.add_session(parser)
    options.add_stack(parser)
    return parser
