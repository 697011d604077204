"""Verb ``bench``: stack and profile -> ``results/<run id>/``: raw k6 output, run.json, and the report."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from scripts import checkout, config, options, terminal
from scripts.config import Config
from scripts.model import Commit, PipelineError, Profile, Run
from scripts.parity.contract import check_parity, render_parity, summarise, write_parity
from scripts.report.rendering import write_report
from scripts.report.summary import summarize
from scripts.report.terminal import render_terminal
from scripts.session.progress import SessionProgress
from scripts.session.recorder import Recorder
from scripts.session.results import check_usable, exit_code, keep, make_run_id, measure_into
from scripts.session.single import Session
from scripts.stack import candidates
from scripts.stack.choice import open_stack
from scripts.stack.process import uninterrupted

EPILOG = """\
profiles (bench.toml):
{profiles}

examples:
  nox -s bench                                   the quick profile
  nox -s bench -- smoke                          everything once, in about a minute
  nox -s bench -- full                           the study's ten levels
  nox -s bench -- quick --backends fastapi,django_wsgi --levels 20,80 --rounds 5
  nox -s bench -- full --patience 30             half an hour more to wait for calm in
  nox -s bench -- quick --seed 7                 the same order of blocks as another run with seed 7
"""


def main(arguments: Sequence[str]) -> int:
    """Run a session and report it. 0: complete; 1: stopped early, or a backend has nothing valid; 130: interrupted."""
    settings = config.load()
    args = _parser(settings).parse_args(arguments)
    settings = options.apply(args, settings)
    profile = options.profile(args, settings)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    console = terminal.console()
    commit = checkout.current(args.tree)
    run_id = make_run_id(commit, datetime.now(UTC))

    def measure(directory: Path) -> Run:
        return _measure(args, settings, profile, commit, run_id, seed, directory, console)

    run = measure_into(args.output, run_id, console, measure)
    with uninterrupted():
        finished = keep(run, args.output, console, partial(write_report, run))
        console.print(render_terminal(run, summarize(run), finished / "report.html"))
        check_usable(run)
        return exit_code(run)


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
        console.print(f"· {line}")

    began = time.monotonic()
    with open_stack(args, settings, candidates(settings, args.tree), directory / "logs", say) as stack:
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
        say(f"equal work: {len(parity.traces[0].data)} statements a request" if parity.equal else "UNEQUAL WORK")
        progress = SessionProgress(console, profile, {b.name: b.label for b in settings.backends})
        recorder = Recorder(
            stack, settings, profile, (commit, None), run_id, seed, directory, progress, summarise(parity), began
        )
        with progress.shown():
            return Session(recorder, seed).measure()


def _parser(settings: Config) -> argparse.ArgumentParser:
    lines = [
        f"  {p.name:9} levels {', '.join(map(str, p.levels))}; {p.rounds} x {p.duration_s:g} s each"
        for p in settings.profiles
    ]
    parser = argparse.ArgumentParser(
        prog="nox -s bench --",
        description="Measure the backends under load, one at a time, and report who does how much. After the warm-up "
        "it says how long it takes; to wait for calm and to measure again what others disturbed, it takes half as long "
        "again at most (--patience).",
        epilog=EPILOG.format(profiles="\n".join(lines)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("profile", nargs="?", default="quick", help="how much to measure (default: quick)")
    options.add_session(parser)
    options.add_stack(parser)
    return parser
