"""Verb ``bisect``: good, bad, what became worse -> the commit, from paired sessions of which each may mislead."""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from scripts import checkout, config, options, terminal, words
from scripts.config import Config, MetricTerms
from scripts.escape import TEXT_LIMIT, plain
from scripts.model import METRICS, Commit, PipelineError, Run
from scripts.session.results import keep, make_run_id, measure_into
from scripts.session.sides import Job, between, measure_sides, whole
from scripts.stack import TargetError
from scripts.statistics import bisection
from scripts.statistics.bisection import Ending, Found
from scripts.statistics.intervals import Effect
from scripts.verdict import noise
from scripts.verdict.judgement import BackendVerdict, Outcome
from scripts.verdict.rounds import Measured
from scripts.verdict.text import percent

EPILOG = """\
examples:
  nox -s bisect -- v1.0 HEAD --backend fastapi                            which commit changed the throughput
  nox -s bisect -- HEAD~40 HEAD --backend django_wsgi --metric cpu_ms_per_request
  nox -s bisect -- HEAD~40 HEAD --backend fastapi --metric latency_p99_ms --levels 50 --confidence 0.99

Each session is kept under results/, as that of `compare` is; the last one shown measured the commit by itself.
"""

Compare = Callable[[Commit, Commit], Effect | None]
"""Measures the second commit against the first; None where the second cannot be measured."""


def main(arguments: Sequence[str]) -> int:
    """0: the commit is found, or nothing differs; 1: the search ended unsure; 130: interrupted."""
    settings = config.load()
    args = _parser(settings).parse_args(arguments)
    config.refuse_elsewhere("bisect", config.NOT_DATED)
    args.backends = args.backend
    settings = options.apply(args, settings)
    commits = between_revisions(args.good, args.bad, args.backend)
    console = terminal.console()
    console.print(
        f"{words.count(len(commits) - 1, 'commit')} from {args.good} to {args.bad} "
        f"can have changed {METRICS[args.metric].label} of {settings.backends[0].label}",
        soft_wrap=True,
    )
    ids: list[str] = []
    terms = msgspec.structs.replace(settings.compare.metrics[args.metric], share=1.0, decides=True)
    found = hunt(
        commits,
        lambda first, last: _session(args, settings, {args.metric: terms}, (first, last), ids, console),
        level=settings.compare.false_alarms,
        confidence=args.confidence,
        most=options.at_least_one(args.sessions, "--sessions"),
    )
    for line in describe(found, commits, ids, METRICS[args.metric].label):
        console.print(line, soft_wrap=True)
    return 1 if found.ending in (Ending.EXHAUSTED, Ending.BAD_FAILS) else 0


def between_revisions(good: str, bad: str, backend: str, root: Path = config.PROJECT) -> list[Commit]:
    """GOOD, and every commit after it up to BAD that reaches the backend, on the line that BAD's branch went.

    Raises PipelineError where BAD does not come after GOOD, or no commit in between reaches the backend.
    """
    first, last = checkout.find(good, root), checkout.find(bad, root)
    if checkout.merge_base(first.sha, last.sha, root) != first.sha:
        raise PipelineError(f"{bad} does not come after {good}", "name the older commit first")
    line = checkout.line(f"{first.sha}..{last.sha}", [backend], root, first_parent=True)
    reaching = [checkout.find(revision.sha, root) for revision in line if revision.reaches]
    if not reaching:
        raise PipelineError(
            f"no commit from {good} to {bad} touches apps/{backend}",
            "what changed is not in the code: nox -s detect says which dependencies and environments did",
        )
    return [first, *reaching]


def hunt(commits: Sequence[Commit], compare: Compare, *, level: float, confidence: float, most: int) -> Found:
    """`bisection.search` over real commits, of which the first is GOOD."""
    return bisection.search(
        len(commits) - 1,
        lambda first, last: compare(commits[first], commits[last]),
        level=level,
        confidence=confidence,
        most=most,
    )


def _session(
    args: argparse.Namespace,
    settings: Config,
    metrics: dict[str, MetricTerms],
    pair: tuple[Commit, Commit],
    ids: list[str],
    console: Console,
) -> Effect | None:
    """Measure one pair of commits and keep its run; ``ids`` gets the run's id, or "" where there is none."""
    baseline, candidate = pair
    console.print(
        f"[{len(ids) + 1}] {baseline.sha[:7]} against {_named(candidate)}",
        soft_wrap=True,
    )
    comparison = msgspec.structs.replace(settings.compare, metrics=metrics)
    settings = msgspec.structs.replace(settings, compare=comparison)
    run_id = make_run_id(candidate, datetime.now(UTC))
    seed = args.seed if args.seed is not None else random.SystemRandom().randrange(1_000_000)
    job = Job(args, settings, options.profile(args, settings), run_id, seed, console)
    sides = between(settings.backends, baseline, candidate)
    broken: list[BackendVerdict] = []
    try:
        run = measure_into(
            args.output,
            run_id,
            console,
            lambda folder: measure_sides(job, sides, folder, broken, lambda _: None),
        )
    except TargetError:
        if not broken or broken[0].outcome is Outcome.INCOMPARABLE:
            raise
        console.print(f"    {plain(broken[0].reason, TEXT_LIMIT)}")
        ids.append("")
        return None
    keep(run, args.output, console, lambda _: None)
    effect = measured_effect(whole(run), args.backend, args.metric)
    ids.append(run.id)
    console.print(f"    {_interval(effect)}", soft_wrap=True)
    return effect


def measured_effect(run: Run, backend: str, metric: str) -> Effect:
    """What a session says of a metric over all its levels. Raises PipelineError where too few rounds are valid."""
    measured, every = Measured.of(run, backend, noise.priors_for(run)), run.profile.rounds
    effect = measured.effect(metric, None, every)
    if effect is None:
        rounds = measured.rounds(metric, None, every)
        raise PipelineError(
            f"{run.id}: {words.count(len(rounds), 'valid round')}, which says nothing",
            "when the machine is quiet, run this again",
        )
    return effect


def describe(found: Found, commits: Sequence[Commit], ids: Sequence[str], label: str) -> list[str]:
    """What was found, how surely, and the sessions behind it, as lines; the first is the result."""
    lines = [_headline(found, commits)]
    if found.own:
        lines.append(f"{label} of this commit against the one before: {_interval(found.own)}")
    if found.whole:
        lines.append(f"{label} of BAD against GOOD: {_interval(found.whole)}")
    if found.own and found.whole and _less(found.own, found.whole):
        lines.append("This commit is not all of the difference: search the commits before and after it, too.")
    lines.append(f"{words.count(len(found.sessions), 'session')}:")
    for session, run_id in zip(found.sessions, ids, strict=True):
        said = _interval(session.effect) if session.effect else "cannot be measured"
        lines.append(
            f"  {commits[session.first].sha[:7]} -> {commits[session.last].sha[:7]}  {said}  {run_id}".rstrip()
        )
    return lines


def _headline(found: Found, commits: Sequence[Commit]) -> str:
    names = [_named(commits[place]) for place in found.commits]
    match found.ending:
        case Ending.FOUND if len(names) == 1:
            return f"Found, with a confidence of {words.sure(found.confidence)}: {names[0]}"
        case Ending.FOUND:
            return (
                f"Found, with a confidence of {words.sure(found.confidence)}, one of these that no session can tell "
                "apart: " + (words.listing(names))
            )
        case Ending.NO_DIFFERENCE:
            return "GOOD and BAD do not differ as far as these sessions can see."
        case Ending.BAD_FAILS:
            return "BAD cannot be measured: name a commit at which the backend runs."
        case Ending.EXHAUSTED:
            return f"Not sure after the last session: with {words.sure(found.confidence)} one of {words.listing(names)}"


def _less(own: Effect, whole: Effect) -> bool:
    """Whether a part of the whole effect is missing, as far as both intervals say."""
    reach = 2 * math.hypot(own.error, whole.error)
    return abs(whole.log_ratio) - abs(own.log_ratio) > reach


def _interval(effect: Effect) -> str:
    low, high = effect.interval(0.05)
    return f"{percent(math.exp(effect.log_ratio))} ({percent(low)} to {percent(high)})"


def _named(commit: Commit) -> str:
    return f"{commit.sha[:7]} {commit.subject}"


def _parser(settings: Config) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s bisect --",
        description="Find the commit that changed a metric of a backend. Each step is a paired session, with GOOD as "
        "its baseline; what it says counts as much as it is sure, so a noisy or wrong answer costs another session and "
        "not the result. At the end the commit is measured against the one before it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("good", help="a commit before the change")
    parser.add_argument("bad", help="a commit after it")
    parser.add_argument("--backend", required=True, metavar="NAME", help="the backend that changed")
    names = list(settings.compare.metrics)
    parser.add_argument(
        "--metric", choices=names, default=names[0], metavar="NAME", help=f"{', '.join(names)} (default: {names[0]})"
    )
    parser.add_argument("--confidence", type=_share, default=0.95, help="how sure to be before it ends (default: 0.95)")
    parser.add_argument("--sessions", type=int, default=25, help="measure at most so many (default: 25)")
    parser.add_argument("--profile", default="pr", help="how much a session measures at most (default: pr)")
    options.add_session(parser)
    options.add_stack(parser)
    parser.set_defaults(stack="native")
    return parser


def _share(text: str) -> float:
    value = float(text)
    if not 0.5 <= value < 1:
        raise argparse.ArgumentTypeError("must be at least 0.5 and below 1")
    return value
