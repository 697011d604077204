"""Verb ``calibrate``: sessions whose truth is known -> the rate of false alarms and the smallest effect seen."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from scripts import checkout, config, options, terminal, words
from scripts.calibration import campaign, plan
from scripts.calibration import text as calibration_text
from scripts.calibration.campaign import SCHEMA_VERSION, CalibrationSession, Case
from scripts.calibration.neighbour import Beside, Neighbour, beside, kinds, parse_all
from scripts.calibration.stacks import is_contained
from scripts.config import Config
from scripts.model import Arm, Environment, PipelineError, Profile
from scripts.records import replace
from scripts.session.plant import Planted, control, parse, plant
from scripts.session.results import make_run_id
from scripts.session.sides import Job, measure_targets, whole
from scripts.stack import Target
from scripts.stack.choice import why_not_compose
from scripts.stack.leftovers import session_folder
from scripts.verdict import noise

STORE = config.PROJECT / "history" / "calibration"
DOCUMENT = config.PROJECT / "docs" / "calibration.md"
CASES = "none=10,cpu:0.01=3,cpu:0.02=3"
EPILOG = """\
slow-downs: none (the same code twice), cpu:SHARE (of a request's CPU time), quota:SHARE, statement:NUMBER, sleep:MS
(of the thread), memory:MIB, wait:MS (awaited), slow:MS (in a statement), lock:MS (for a row, in the mean)

examples:
  nox -s calibrate                                  go on with the campaign, until it is complete or Ctrl-C
  nox -s calibrate -- --minutes 30                  no session is begun after 30 minutes
  nox -s calibrate -- --cases wait:0.5=3,lock:4=1 --backends fastapi
  nox -s calibrate -- --cases none=3 --layout alternating --backends fastapi
  nox -s calibrate -- --cases none=3 --levels 20 --rounds 6 --backends fastapi
  nox -s calibrate -- --cases none=1 --neighbour backend:0.3,both:0.3:bursts --backends fastapi
  nox -s calibrate -- --stack compose               the same campaign in containers
  nox -s calibrate -- --missing --list              what docs/calibration.md lacks; without --list: measure it
  nox -s calibrate -- --report                      tables and figures from what is stored: docs/calibration.md
"""


def main(arguments: Sequence[str]) -> int:
    """0: the campaign is complete, or its time is over; 130: interrupted, with every finished session kept."""
    settings = config.load()
    args = _parser().parse_args(arguments)
    config.refuse_elsewhere("calibrate", "it plants slow-downs into this project's own backends")
    settings = options.apply(args, settings)
    console = terminal.console()
    if args.report:
        return _report(settings, args.store, console)
    profile = options.profile(args, settings)
    workload = settings.workload
    if args.transactions is not None and workload is not None:
        transactions = options.at_least_one(args.transactions, "--transactions")
        workload = msgspec.structs.replace(workload, transactions=transactions)
    settings = msgspec.structs.replace(settings, workload=workload)
    backends = [backend.name for backend in settings.backends]
    cases = plan.campaign(backends) if args.missing else _cases(args, settings, backends)
    if args.list:
        _list(args, cases, console)
        return 0
    _campaign(args, settings, profile, cases, console)
    console.print(f"sessions are under {args.store}; --report makes {DOCUMENT.name} of them")
    return 0


def _campaign(
    args: argparse.Namespace, settings: Config, profile: Profile, cases: Sequence[Case], console: Console
) -> None:
    """Measure and store session after session; what is stored already counts."""
    began = time.monotonic()
    wanted = sum(case.sessions for case in cases)
    spent_min: dict[str, list[float]] = {}
    while time.monotonic() - began < args.minutes * 60:
        sessions = _stored(args, cases)
        case = campaign.next_case(cases, sessions)
        if case is None:
            console.print("the campaign is complete")
            return
        open_ = sum(case.sessions - done for case, done in campaign.missing(cases, sessions))
        left = campaign.minutes_left(cases, sessions, spent_min)
        console.print(f"[{wanted - open_ + 1}/{wanted}] {case.text}; about {left:.0f} min left")
        started = time.monotonic()
        session = _session(args, settings, profile, case, sessions, console)
        spent_min.setdefault(case.stack, []).append((time.monotonic() - started) / 60)
        campaign.write_session(session, args.store / _folder(args, case))
        line = calibration_text.one_line(session, settings.compare, noise.priors_for(session.run))
        console.print(f"        {line}")


def _list(args: argparse.Namespace, cases: Sequence[Case], console: Console) -> None:
    """What is missing, in the order in which it would be measured if each were measured once; nothing is measured."""
    sessions = _stored(args, cases)
    open_ = campaign.missing(cases, sessions)
    for case, done in sorted(open_, key=lambda one: one[1] / one[0].sessions):
        console.print(f"{done} of {case.sessions}: {case.text}")
    number = sum(case.sessions - done for case, done in open_)
    left = campaign.minutes_left(cases, sessions, {})
    console.print(f"{words.count(number, 'session')} missing: about {left:.0f} min")


def _stored(args: argparse.Namespace, cases: Sequence[Case]) -> list[CalibrationSession]:
    """The sessions of the folders that the cases' sessions go to."""
    folders = dict.fromkeys(args.store / _folder(args, case) for case in cases)
    return [one for folder in folders if folder.exists() for one in campaign.read_sessions(folder)]


def _session(
    args: argparse.Namespace,
    settings: Config,
    profile: Profile,
    case: Case,
    sessions: Sequence[CalibrationSession],
    console: Console,
) -> CalibrationSession:
    """One paired session of a backend against itself, with what the case plants in the candidate and puts beside it.

    ``sessions``: of which those of the same stack tell what a request costs.
    """
    backend = config.find(settings.backends, case.backend, "backend")
    compare = msgspec.structs.replace(settings.compare, layout=case.layout)
    settings = msgspec.structs.replace(settings, backends=(backend,), compare=compare)
    alike = [one for one in sessions if one.run.environment.stack == case.stack]
    cpu_ms = campaign.cpu_ms_per_request(alike, case.backend)
    commit = checkout.current(args.tree)
    seed = time.time_ns() % 1_000_000
    seen: list[Beside] = []

    @contextlib.contextmanager
    def around(environment: Environment) -> Iterator[None]:
        if case.neighbour is None:
            yield
        else:
            with beside(case.neighbour, seed, environment) as taken:
                yield
                seen.append(taken())

    with session_folder("calibrate") as name:
        folder = Path(name)
        (folder / "logs").mkdir()
        arms: tuple[Arm, ...] = ("candidate", "baseline")
        candidate, baseline = (Target.of(backend, args.tree, arm) for arm in arms)
        targets = [
            plant(case.planted, candidate, folder / "planted", cpu_ms),
            plant(control(case.planted), baseline, folder / "control", cpu_ms),
        ]
        own = argparse.Namespace(**{**vars(args), "stack": case.stack})
        job = Job(own, settings, profile, make_run_id(commit, datetime.now(UTC)), seed, console)
        run = measure_targets(job, targets, (commit, commit), folder, lambda _: None, around)
    return CalibrationSession(
        schema_version=SCHEMA_VERSION, planted=case.planted, run=whole(run), beside=seen[0] if seen else None
    )


def _folder(args: argparse.Namespace, case: Case) -> str:
    """Where sessions of one setting are: ``native-duet``, and what differs from bench.toml."""
    parts = [plan.store(case)]
    parts += [f"{args.levels.replace(',', '-')}-users"] if args.levels else []
    parts += [f"{args.transactions}-transactions"] if args.transactions else []
    return "-".join(parts)


def _report(settings: Config, folder: Path, console: Console) -> int:
    """Fit the priors of both stacks, and write docs/calibration.md with its figures.

    Its simulations are of the native stack; other settings serve as a comparison.
    """
    store = folder / f"native-{settings.compare.layout}"
    sessions = campaign.read_sessions(store) if store.exists() else []
    if not sessions:
        raise PipelineError(f"{store}: no session is stored there", "measure some: nox -s calibrate")
    others = [one for path in sorted(folder.iterdir()) if path != store for one in campaign.read_sessions(path)]
    backends = [backend.name for backend in settings.backends]
    contained = [one for one in others if is_contained(one, sessions[0])]
    for group in (sessions, contained):
        if priors := campaign.fit_priors(group, settings.compare):
            noise.write_priors(noise.setting_of(group[0].run), priors)
    files = calibration_text.render(sessions, others, settings.compare, DOCUMENT, plan.campaign(backends))
    for path, data in files.items():
        replace(path, data)
        console.print(f"wrote {path}")
    return 0


def _cases(args: argparse.Namespace, settings: Config, backends: Sequence[str]) -> list[Case]:
    """``none=10,quota:0.02=3`` for every backend, beside each neighbour that is asked for."""
    stack = args.stack
    if stack == "auto":
        stack = "native" if why_not_compose(settings) else "compose"
    asked = [] if args.neighbour is None else kinds() if args.neighbour == "all" else parse_all(args.neighbour)
    neighbours: list[Neighbour | None] = [*asked] or [None]
    cases = []
    for part in args.cases.split(","):
        what, _, number = part.partition("=")
        if not number.isdecimal():
            raise PipelineError(f"--cases {part!r}: no number of sessions", "write SLOW-DOWN=SESSIONS, e.g. none=10")
        planted: Planted = parse(what)
        cases += [
            Case(
                backend=backend,
                planted=planted,
                sessions=int(number),
                stack=stack,
                layout=args.layout or settings.compare.layout,
                neighbour=neighbour,
            )
            for neighbour in neighbours
            for backend in backends
        ]
    return cases


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s calibrate --",
        description="Compare the working tree with itself, and with itself made slower by a known amount, again and "
        "again: how often does a session say a change where there is none, and which change does it find? Every "
        "session is stored under history/calibration/; an interrupted campaign goes on where it was.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--missing",
        action="store_true",
        help="all that docs/calibration.md still lacks, of both stacks, with what is planted and what is beside it; "
        "what tells most comes first (instead of --cases, --stack, --layout and --neighbour)",
    )
    parser.add_argument(
        "--list", action="store_true", help="measure nothing; say what is missing, and how long it takes"
    )
    parser.add_argument(
        "--neighbour",
        metavar="KINDS",
        help="something outside the session that takes CPU: WHERE:SHARE:HOW, separated by commas. WHERE: backend (its "
        "core), other, both; SHARE: of a core; HOW: steady (default), bursts (of 0.2 to 5 s), caches (which it fills, "
        "and memory bandwidth, too); all: each kind of docs/calibration.md",
    )
    parser.add_argument("--cases", default=CASES, metavar="CASES", help=f"what and how often (default: {CASES})")
    parser.add_argument(
        "--minutes", type=options.minutes, default=float("inf"), help="begin no session after so many minutes"
    )
    parser.add_argument("--layout", choices=("duet", "alternating"), help="(default: bench.toml [compare])")
    parser.add_argument(
        "--transactions", type=int, metavar="N", help="of a request, to find the size of work that is most certain"
    )
    parser.add_argument("--store", type=Path, default=STORE, metavar="FOLDER", help="(default: history/calibration)")
    parser.add_argument("--report", action="store_true", help="measure nothing; write the report of what is stored")
    parser.add_argument("--profile", default="pr", help="how much a session measures at most (default: pr)")
    options.add_session(parser)
    options.add_stack(parser)
    parser.set_defaults(stack="native")
    return parser
