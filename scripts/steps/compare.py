"""Verb ``compare``: two revisions -> a paired session -> verdict.json, and what it says in the terminal."""

from __future__ import annotations

import argparse
import random
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from scripts import checkout, config, options, terminal
from scripts.github import runner
from scripts.history import events
from scripts.model import Commit, Run
from scripts.records import replace
from scripts.report import sentences
from scripts.session.results import exit_code, keep, make_run_id, measure_into
from scripts.session.sides import Job, find_sides, measure_sides
from scripts.stack import TargetError
from scripts.stack.process import uninterrupted
from scripts.verdict import noise
from scripts.verdict.judgement import BackendVerdict, Outcome, Verdict, judge
from scripts.verdict.record import encode_verdict
from scripts.verdict.text import render_terminal

EPILOG = """\
examples:
  nox -s compare                          what the working tree changes since it left main
  nox -s compare -- HEAD~1 HEAD           what the last commit changed
  nox -s compare -- v1.0 --backends fastapi --rounds 20
"""


def main(arguments: Sequence[str]) -> int:
    """0: a verdict (with --fail-on-regression 3 for a regression); 130: interrupted.

    1: it stopped early, or nothing can be said of a backend (but for a regression in another one, which has to be
    confirmed first).
    """
    settings = config.load()
    args = _parser().parse_args(arguments)
    settings = options.apply(args, settings)
    profile = options.profile(args, settings)
    console = terminal.console()
    if args.anchor:
        config.refuse_elsewhere("compare --anchor", "name the baseline: a branch, a tag or a commit")
    base = events.read_anchor(config.PROJECT / "history").commit if args.anchor else args.base
    sides = find_sides(settings.backends, base, args.head)
    sources = checkout.sources_of(settings.backends)
    reached = list(sources) if args.backends or args.anchor else checkout.reached(sides.changed, sources)
    command = config.PREFIX + shlex.join(["./start_benchmark.sh", "-s", "compare", "--", *arguments])
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    run_id = make_run_id(sides.candidate, datetime.now(UTC))
    console.print(f"baseline  {_describe(sides.baseline)}\ncandidate {_describe(sides.candidate)}")
    settings = msgspec.structs.replace(settings, backends=tuple(b for b in settings.backends if b.name in reached))
    job = Job(args, settings, profile, run_id, seed, console)
    broken: list[BackendVerdict] = []

    def tell(line: str) -> None:
        console.print(f"· {line}")

    def say(run: Run | None, folder: Path) -> Verdict:
        priors = noise.priors_for(run) if run else {}
        again = sentences.command(run, [backend.backend for backend in broken]) if run else command
        verdict = judge(run, sides.baseline, sides.candidate, settings.compare, priors, again, broken)
        replace(folder / "verdict.json", encode_verdict(verdict))
        regressed = [backend.backend for backend in verdict.backends if backend.outcome is Outcome.REGRESSION]
        runner.set_outputs(outcome=verdict.outcome.value, regressed=",".join(regressed))
        console.print(render_terminal(verdict))
        console.print(f"Verdict: {folder / 'verdict.json'}")
        return verdict

    def code(verdict: Verdict, ended: int = 0) -> int:
        if verdict.outcome is Outcome.REGRESSION:
            return 3 if args.fail_on_regression else ended
        return ended or int(any(backend.outcome is Outcome.INVALID for backend in verdict.backends))

    if not reached:
        folder = args.output / run_id
        folder.mkdir(parents=True)
        return code(say(None, folder))
    try:
        run = measure_into(
            args.output,
            run_id,
            console,
            lambda folder: measure_sides(job, sides, folder, broken, tell),
        )
    except TargetError:
        if len(broken) < len(settings.backends):
            raise
        return code(say(None, args.output / f"{run_id}.failed"))
    with uninterrupted():
        folder = keep(run, args.output, console, lambda _: None)
        return code(say(run, folder), exit_code(run))


def _describe(commit: Commit) -> str:
    return f"{commit.sha[:7]} {commit.subject}{' (with uncommitted changes)' if commit.dirty else ''}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s compare --",
        description="Measure two versions of the backends that a change can reach against each other, in one session "
        "on this machine, and say for each backend, level and metric: regression, improvement, no change, inconclusive "
        "or invalid. It stops as soon as it is sure.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("base", nargs="?", help="the baseline (default: where the candidate left main)")
    parser.add_argument("head", nargs="?", help="the candidate (default: the working tree)")
    parser.add_argument(
        "--anchor",
        action="store_true",
        help="the baseline is the anchor (history/anchor.toml), and all backends are measured",
    )
    parser.add_argument("--profile", default="pr", help="how much to measure at most (default: pr)")
    parser.add_argument("--fail-on-regression", action="store_true", help="exit with code 3 for a regression")
    options.add_session(parser)
    options.add_stack(parser)
    return parser
