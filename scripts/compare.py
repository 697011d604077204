"""Verb ``compare``: two revisions -> a paired session -> verdict.json, and what it says in the terminal."""

from __future__ import annotations

import argparse
import random
import shlex
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from scripts import checkout, config, noise, options
from scripts.contract import check_parity, summarise
from scripts.history import replace
from scripts.model import Arm, Block, Commit, Config, Profile, Run
from scripts.paired import PairedSession
from scripts.progress import PairedProgress
from scripts.recorder import Recorder
from scripts.results import exit_code, keep, make_run_id, measure_into
from scripts.stack import Target, TargetError
from scripts.stack.choice import open_stack
from scripts.stack.process import uninterrupted
from scripts.stack.sessions import CACHE
from scripts.verdict import BackendVerdict, Outcome, broken_backend, encode_verdict, judge, undecided
from scripts.verdict_text import render_terminal

TRUNKS = ("origin/main", "main")
EPILOG = """\
examples:
  nox -s compare                          what the working tree changes since it left main
  nox -s compare -- HEAD~1 HEAD           what the last commit changed
  nox -s compare -- v1.0 --backends fastapi --rounds 20
"""


class Sides(msgspec.Struct, frozen=True):
    """The two versions, and where their backends are."""

    baseline: Commit
    candidate: Commit
    baseline_apps: Path
    candidate_apps: Path
    changed: list[str]


def main(arguments: Sequence[str]) -> int:
    """0: a verdict (with --fail-on-regression 3 for a regression); 1: it stopped early; 130: interrupted."""
    settings = config.load()
    args = _parser().parse_args(arguments)
    settings = options.apply(args, settings)
    profile = options.profile(args, settings)
    console = Console()
    sides = find_sides(args.base, args.head)
    names = [backend.name for backend in settings.backends]
    reached = names if args.backends else checkout.reached(sides.changed, names)
    command = shlex.join(["nox", "-s", "compare", "--", *arguments])
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    run_id = make_run_id(sides.candidate, datetime.now(UTC))
    console.print(f"baseline  {_describe(sides.baseline)}\ncandidate {_describe(sides.candidate)}", highlight=False)
    settings = msgspec.structs.replace(settings, backends=tuple(b for b in settings.backends if b.name in reached))
    broken: list[BackendVerdict] = []

    def say(run: Run | None, folder: Path) -> int:
        priors = noise.read_priors(run.environment.stack) if run else {}
        verdict = judge(run, sides.baseline, sides.candidate, settings.compare, priors, command, broken)
        replace(folder / "verdict.json", encode_verdict(verdict))
        console.print(render_terminal(verdict))
        console.print(f"Verdict: {folder / 'verdict.json'}", highlight=False)
        return 3 if args.fail_on_regression and verdict.outcome is Outcome.REGRESSION else 0

    if not reached:
        folder = args.output / run_id
        folder.mkdir(parents=True)
        return say(None, folder)
    try:
        run = measure_into(
            args.output,
            run_id,
            console,
            lambda folder: _measure_what_runs(args, settings, profile, sides, run_id, seed, folder, console, broken),
        )
    except TargetError:
        if len(broken) < len(settings.backends):
            raise
        return say(None, args.output / f"{run_id}.failed")
    with uninterrupted():
        folder = keep(run, args.output, console, lambda _: None)
        return say(run, folder) or exit_code(run)


def find_sides(base: str | None, head: str | None) -> Sides:
    """The two versions that are compared; without ``head`` the working tree, without ``base`` where it left main."""
    candidate = checkout.find(head) if head else checkout.current()
    if base is None:
        trunk = next((name for name in TRUNKS if checkout.exists(name)), "HEAD")
        base = checkout.merge_base(trunk, candidate.sha)
    baseline = checkout.find(base)
    return Sides(
        baseline=baseline,
        candidate=candidate,
        baseline_apps=checkout.export_apps(baseline.sha, CACHE),
        candidate_apps=checkout.export_apps(candidate.sha, CACHE) if head else config.ROOT / checkout.APPS,
        changed=checkout.changed_paths(baseline.sha, candidate.sha if head else None),
    )


def _measure_what_runs(
    args: argparse.Namespace,
    settings: Config,
    profile: Profile,
    sides: Sides,
    run_id: str,
    seed: int,
    directory: Path,
    console: Console,
    broken: list[BackendVerdict],
) -> Run:
    """Measure; a backend of which one arm does not run is noted in ``broken`` and left out."""
    while True:
        try:
            return _measure(args, settings, profile, sides, run_id, seed, directory, console)
        except TargetError as error:
            broken.append(broken_backend(error.target.backend, error.target.arm, error.message))
            console.print(f"{error.message}\n{error.target.backend.label} is left out.", markup=False, highlight=False)
            rest = tuple(b for b in settings.backends if b.name != error.target.backend.name)
            if not rest:
                raise
            settings = msgspec.structs.replace(settings, backends=rest)


def _measure(
    args: argparse.Namespace,
    settings: Config,
    profile: Profile,
    sides: Sides,
    run_id: str,
    seed: int,
    directory: Path,
    console: Console,
) -> Run:
    """Bring both arms up, trace them, measure them against each other."""

    def say(line: str) -> None:
        console.print(f"[dim]·[/] {line}", highlight=False)

    began = time.monotonic()
    with open_stack(args, settings, pair(settings, sides), directory / "logs", say) as stack:
        say("tracing one request of each backend, of both arms")
        parity = (
            *summarise(check_parity(stack, settings.workload, "baseline"), "baseline"),
            *summarise(check_parity(stack, settings.workload)),
        )
        priors = noise.read_priors(stack.environment.stack)
        progress = PairedProgress(console, profile, {b.name: b.label for b in settings.backends})
        commits = (sides.candidate, sides.baseline)
        recorder = Recorder(stack, settings, profile, commits, run_id, seed, directory, progress, parity, began)

        def next_round(blocks: Sequence[Block]) -> list[str]:
            return undecided(recorder.snapshot(), settings.compare, priors)

        with progress.shown():
            return PairedSession(recorder, seed, settings.compare.layout, next_round).measure()


def pair(settings: Config, sides: Sides) -> list[Target]:
    """Both arms of every backend."""
    folders: dict[Arm, Path] = {"candidate": sides.candidate_apps, "baseline": sides.baseline_apps}
    return [
        Target(backend=backend, app=apps / backend.name, arm=arm)
        for backend in settings.backends
        for arm, apps in folders.items()
    ]


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
    parser.add_argument("--profile", default="pr", help="how much to measure at most (default: pr)")
    parser.add_argument("--fail-on-regression", action="store_true", help="exit with code 3 for a regression")
    options.add_session(parser)
    options.add_stack(parser)
    return parser
