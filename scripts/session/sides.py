"""The two versions of a paired session, and measuring them against each other on a stack."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Console

from scripts import checkout, config
from scripts.config import Backend, Config
from scripts.model import Arm, Commit, Environment, PipelineError, Profile, Run, Struct
from scripts.parity.contract import check_parity, summarise
from scripts.report import sentences
from scripts.session.paired import PairedSession
from scripts.session.progress import PairedProgress
from scripts.session.recorder import INTERRUPTED, Recorder
from scripts.stack import Say, Target, TargetError
from scripts.stack.choice import open_stack
from scripts.stack.leftovers import CACHE
from scripts.verdict import noise
from scripts.verdict.judgement import BackendVerdict, broken_backend, undecided

TRUNKS = ("origin/main", "main")


class Sides(Struct):
    """The two versions, the project's folder in each, and the paths in which they differ."""

    baseline: Commit
    candidate: Commit
    baseline_root: Path
    candidate_root: Path
    changed: list[str]

    def targets(self, settings: Config) -> list[Target]:
        """Both arms of every backend."""
        roots: dict[Arm, Path] = {"candidate": self.candidate_root, "baseline": self.baseline_root}
        return [Target.of(backend, root, arm) for backend in settings.backends for arm, root in roots.items()]


class Job(NamedTuple):
    """What a paired session needs beside its targets. ``args``: those of `scripts.options.add_stack`."""

    args: argparse.Namespace
    settings: Config
    profile: Profile
    run_id: str
    seed: int
    console: Console


def find_sides(backends: Sequence[Backend], base: str | None, head: str | None) -> Sides:
    """The two versions that are compared; without ``head`` the working tree, without ``base`` where it left main."""
    candidate = checkout.find(head) if head else checkout.current()
    baseline = checkout.find(base or find_base(None, candidate.sha))
    checkout.check_sources(backends, [baseline.sha, candidate.sha if head else None])
    return Sides(
        baseline=baseline,
        candidate=candidate,
        baseline_root=checkout.export(baseline.sha, backends, CACHE),
        candidate_root=checkout.export(candidate.sha, backends, CACHE) if head else config.PROJECT,
        changed=checkout.changed_paths(baseline.sha, candidate.sha if head else None),
    )


def find_base(trunk: str | None, head: str) -> str:
    """The hash of the commit where ``head`` left ``trunk``, or main where none is named."""
    trunk = trunk or next((name for name in TRUNKS if checkout.exists(name)), "HEAD")
    return checkout.merge_base(trunk, head)


def between(backends: Sequence[Backend], baseline: Commit, candidate: Commit) -> Sides:
    """Two commits. Raises PipelineError where one of them has no backends at all."""
    return Sides(
        baseline=baseline,
        candidate=candidate,
        baseline_root=checkout.export(baseline.sha, backends, CACHE),
        candidate_root=checkout.export(candidate.sha, backends, CACHE),
        changed=checkout.changed_paths(baseline.sha, candidate.sha),
    )


def whole(run: Run) -> Run:
    """The run, if nothing stopped it and a pair counts.

    KeyboardInterrupt where it was interrupted, else PipelineError with what is wrong.
    """
    if run.stopped_by == INTERRUPTED:
        raise KeyboardInterrupt
    if not run.complete:
        raise PipelineError(f"the session stopped: {run.stopped_by}", "nothing of it is stored; run this again")
    if len(run.lacking) == len(run.backends):
        raise PipelineError(sentences.missing(run), f"nothing of it is stored; {sentences.what_to_do(run)}")
    return run


def measure_sides(job: Job, sides: Sides, directory: Path, broken: list[BackendVerdict], say: Say) -> Run:
    """Measure both versions; a backend of which one arm does not run is noted in ``broken`` and left out.

    Raises TargetError when none is left.
    """
    while True:
        try:
            return measure_targets(job, sides.targets(job.settings), (sides.candidate, sides.baseline), directory, say)
        except TargetError as error:
            broken.append(broken_backend(error.target.backend, error.target.arm, error.message))
            rest = tuple(b for b in job.settings.backends if b.name != error.target.backend.name)
            if not rest:
                raise
            say(f"{error.target.backend.label} is left out: {error.message}")
            job = job._replace(settings=msgspec.structs.replace(job.settings, backends=rest))


Around = Callable[[Environment], AbstractContextManager[object]]
"""What is there while a session measures, and not before or after it."""


def measure_targets(
    job: Job,
    targets: Sequence[Target],
    commits: tuple[Commit, Commit],
    directory: Path,
    say: Say,
    around: Around = contextlib.nullcontext,
) -> Run:
    """Bring both arms up, trace a request of each, and measure them against each other, with something ``around``.

    ``commits``: of candidate and baseline. ``directory`` must have a folder ``logs``.
    """
    settings, profile = job.settings, job.profile
    began = time.monotonic()
    with open_stack(job.args, settings, targets, directory / "logs", say) as stack:
        say("tracing one request of each backend, of both arms")
        arms: tuple[Arm, ...] = ("baseline", "candidate")
        parity = tuple(
            summary for arm in arms for summary in summarise(check_parity(stack, settings.workload, arm), arm)
        )
        progress = PairedProgress(job.console, profile, {b.name: b.label for b in settings.backends})
        recorder = Recorder(stack, settings, profile, commits, job.run_id, job.seed, directory, progress, parity, began)

        def next_round() -> list[str]:
            run = recorder.snapshot()
            return undecided(run, settings.compare, noise.priors_for(run))

        with progress.shown(), around(stack.environment):
            return PairedSession(recorder, job.seed, settings.compare.layout, next_round).measure()
