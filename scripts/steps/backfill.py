"""Verb ``backfill``: the commits of a range that have no run yet -> paired sessions against the anchor -> history/."""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from scripts import checkout, config, options, terminal
from scripts.config import Config
from scripts.escape import TEXT_LIMIT, plain
from scripts.history import events, gaps, store
from scripts.history.gaps import Gap, Unmeasured
from scripts.model import PipelineError, Profile, Run
from scripts.report import sentences
from scripts.session.results import make_run_id
from scripts.session.sides import Job, between, measure_sides, whole
from scripts.stack import TargetError
from scripts.stack.leftovers import session_folder
from scripts.verdict.judgement import BackendVerdict, Outcome, broken_backend

EPILOG = """\
examples:
  nox -s backfill                                     go on until every commit that touches a backend has a run
  nox -s backfill -- --minutes 60 --times 5           five runs of each; no session is begun after an hour
  nox -s backfill -- v1.0..main --backends fastapi
  nox -s backfill -- --plan                           measure nothing; say what there is to do
"""


def main(arguments: Sequence[str]) -> int:
    """0: everything is measured, or the time is over; 130: interrupted, with every finished session recorded."""
    settings = config.load()
    args = _parser().parse_args(arguments)
    config.refuse_elsewhere("backfill", config.NOT_DATED)
    settings = options.apply(args, settings)
    profile = options.profile(args, settings)
    times = options.at_least_one(args.times, "--times")
    console = terminal.console()
    backends = [backend.name for backend in settings.backends]
    anchor = events.read_anchor(args.history)
    checkout.check_sources(settings.backends, [anchor.commit, None])
    wanted = gaps.wanted(checkout.line(args.range, backends, first_parent=True), backends)
    if not wanted:
        raise PipelineError(f"{args.range}: no commit of it touches a backend", "name a longer range")
    warn = console.print
    done = gaps.have(store.iterate([args.history, *args.known], warn), anchor.commit)
    unable = (
        set() if args.retry else {(entry.commit, entry.backend) for entry in gaps.read_unmeasured(args.history, warn)}
    )
    began = time.monotonic()
    while gap := gaps.next_gap(wanted, done, unable, times):
        _say_where(console, gap, wanted, done, unable, times)
        if args.plan or time.monotonic() - began >= args.minutes * 60:
            return 0
        run, broken = _measure(args, settings, profile, anchor.commit, gap, console)
        for verdict in broken:
            if verdict.outcome is not Outcome.INCOMPARABLE:
                console.print(f"  {verdict.backend}: {plain(verdict.reason, TEXT_LIMIT)}", soft_wrap=True)
                gaps.note(_unmeasured(gap.commit, verdict, args.stack), args.history)
                unable.add((gap.commit, verdict.backend))
        if run:
            path = store.add(run, args.into or args.history)
            console.print(f"  recorded {path}", soft_wrap=True)
            measured = gaps.places(run, anchor.commit)
            done.update(measured)
            for place in measured:
                gaps.forget(place, args.history)
        _check(run, broken)
    console.print("every commit has its runs, or a note why not")
    return 0


def _say_where(
    console: Console,
    gap: Gap,
    wanted: Sequence[gaps.Place],
    done: dict[gaps.Place, int],
    unable: set[gaps.Place],
    times: int,
) -> None:
    total = times * sum(place not in unable for place in wanted)
    finished = sum(min(done.get(place, 0), times) for place in wanted if place not in unable)
    subject = checkout.find(gap.commit).subject
    what = f"{gap.commit[:7]} {subject}: {', '.join(gap.backends)}, run {gap.runs + 1} of {times}"
    console.print(f"[{finished}/{total}] {what}", soft_wrap=True)


def _measure(
    args: argparse.Namespace, settings: Config, profile: Profile, anchor: str, gap: Gap, console: Console
) -> tuple[Run | None, list[BackendVerdict]]:
    """One session of the gap's backends at its commit against the anchor, and those of which one arm does not run."""
    candidate, baseline = checkout.find(gap.commit), checkout.find(anchor)
    chosen = tuple(backend for backend in settings.backends if backend.name in gap.backends)
    try:
        sides = between(settings.backends, baseline, candidate)
    except PipelineError as error:
        return None, [broken_backend(backend, "candidate", error.message) for backend in chosen]
    settings = msgspec.structs.replace(settings, backends=chosen)
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    job = Job(args, settings, profile, make_run_id(candidate, datetime.now(UTC)), seed, console)
    broken: list[BackendVerdict] = []
    with session_folder("backfill") as name:
        (Path(name) / "logs").mkdir()
        try:
            return whole(measure_sides(job, sides, Path(name), broken, lambda _: None)), broken
        except TargetError:
            if len(broken) < len(chosen):
                raise
            return None, broken


def _unmeasured(sha: str, verdict: BackendVerdict, stack: str) -> Unmeasured:
    return Unmeasured(
        schema_version=gaps.SCHEMA_VERSION,
        commit=sha,
        subject=checkout.find(sha).subject,
        backend=verdict.backend,
        reason=verdict.reason,
        noted=datetime.now(UTC).isoformat(timespec="seconds"),
        stack=stack,
    )


def _check(run: Run | None, broken: Sequence[BackendVerdict]) -> None:
    """What would be tried again and again: an anchor that does not run, and a backend without a valid pair."""
    for verdict in broken:
        if verdict.outcome is Outcome.INCOMPARABLE:
            raise PipelineError(
                f"{verdict.backend} at the anchor: {verdict.reason}",
                "move the anchor (history/anchor.toml) to a commit where it runs, or leave it out with --backends",
            )
    if run and run.lacking:
        raise PipelineError(
            f"{run.id}: {sentences.missing(run)}", f"the others are recorded; {sentences.what_to_do(run)}"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s backfill --",
        description="Measure the commits of a range that have no run yet, each against the anchor "
        "(history/anchor.toml) in a paired session, and record the runs. Only commits that touch apps/ count, and of "
        "each only the backends that it reaches. Every finished session is recorded, so it can be interrupted and "
        "goes on where it was. A backend that is not there at a commit, or does not build or start, is noted under "
        "history/unmeasured/ and not tried again.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("range", nargs="?", default="HEAD", help="commits, e.g. v1.0..main (default: all up to HEAD)")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="runs of each commit (default: 1)")
    parser.add_argument(
        "--minutes", type=options.minutes, default=float("inf"), help="begin no session after so many minutes"
    )
    parser.add_argument("--plan", action="store_true", help="measure nothing; say what is next")
    parser.add_argument("--retry", action="store_true", help="try again what is noted as impossible")
    parser.add_argument("--history", type=Path, default=config.PROJECT / "history", help="folder of the history")
    parser.add_argument(
        "--known", action="append", default=[], type=Path, metavar="FOLDER", help="what it has counts as measured, too"
    )
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="put the runs here instead of into the history")
    parser.add_argument("--profile", default="pr", help="how much a session measures at most (default: pr)")
    options.add_session(parser)
    options.add_stack(parser)
    parser.set_defaults(stack="native")
    return parser
