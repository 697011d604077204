"""Verb ``calibrate``: sessions whose truth is known -> the rate of false alarms and the smallest effect seen."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console

from scripts import checkout, config, options, terminal
from scripts.calibration import campaign
from scripts.calibration import text as calibration_text
from scripts.calibration.campaign import SCHEMA_VERSION, CalibrationSession, Case
from scripts.config import Config
from scripts.model import Arm, Layout, PipelineError, Profile, Run
from scripts.records import replace
from scripts.session.plant import Planted, control, parse, plant
from scripts.session.results import make_run_id
from scripts.session.sides import Job, measure_targets, whole
from scripts.stack import Target
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
  nox -s calibrate -- --report                      tables and figures from what is stored: docs/calibration.md
"""


def main(arguments: Sequence[str]) -> int:
    """0: the campaign is complete, or its time is over; 130: interrupted, with every finished session kept."""
    settings = config.load()
    args = _parser().parse_args(arguments)
    config.refuse_elsewhere("calibrate", "it plants slow-downs into this project's own backends")
    settings = options.apply(args, settings)
    console = terminal.console()
    layout: Layout = args.layout or settings.compare.layout
    store = args.store / _folder(args, layout)
    if args.report:
        return _report(settings, args.store, store, console)
    profile = options.profile(args, settings)
    workload = settings.workload
    if args.transactions is not None and workload is not None:
        transactions = options.at_least_one(args.transactions, "--transactions")
        workload = msgspec.structs.replace(workload, transactions=transactions)
    compare = msgspec.structs.replace(settings.compare, layout=layout)
    settings = msgspec.structs.replace(settings, compare=compare, workload=workload)
    cases = _cases(args.cases, [backend.name for backend in settings.backends])
    _campaign(args, settings, profile, cases, store, console)
    console.print(f"sessions are under {store}; --report makes {DOCUMENT.name} of them")
    return 0


def _campaign(
    args: argparse.Namespace,
    settings: Config,
    profile: Profile,
    cases: Sequence[Case],
    store: Path,
    console: Console,
) -> None:
    """Measure and store session after session; what is stored already counts."""
    began = time.monotonic()
    wanted = sum(case.sessions for case in cases)
    while time.monotonic() - began < args.minutes * 60:
        sessions = campaign.read_sessions(store) if store.exists() else []
        case = campaign.next_case(cases, sessions)
        if case is None:
            console.print("the campaign is complete")
            return
        done = sum(
            min(case.sessions, sum((s.backend, s.planted) == (case.backend, case.planted) for s in sessions))
            for case in cases
        )
        console.print(f"[{done + 1}/{wanted}] {case.backend}, {case.planted.text}")
        with session_folder("calibrate") as folder:
            cpu_ms = campaign.cpu_ms_per_request(sessions, case.backend)
            run = _session(args, settings, profile, case, cpu_ms, Path(folder), console)
        session = CalibrationSession(schema_version=SCHEMA_VERSION, planted=case.planted, run=whole(run))
        campaign.write_session(session, store)
        line = calibration_text.one_line(session, settings.compare, noise.priors_for(run))
        console.print(f"        {line}")


def _session(
    args: argparse.Namespace,
    settings: Config,
    profile: Profile,
    case: Case,
    cpu_ms: float | None,
    folder: Path,
    console: Console,
) -> Run:
    """One paired session of a backend against itself, with what the case plants in the candidate."""
    backend = config.find(settings.backends, case.backend, "backend")
    settings = msgspec.structs.replace(settings, backends=(backend,))
    (folder / "logs").mkdir()
    commit = checkout.current(args.tree)
    arms: tuple[Arm, ...] = ("candidate", "baseline")
    candidate, baseline = (Target.of(backend, args.tree, arm) for arm in arms)
    targets = [
        plant(case.planted, candidate, folder / "planted", cpu_ms),
        plant(control(case.planted), baseline, folder / "control", cpu_ms),
    ]
    job = Job(args, settings, profile, make_run_id(commit, datetime.now(UTC)), time.time_ns() % 1_000_000, console)
    return measure_targets(job, targets, (commit, commit), folder, lambda _: None)


def _folder(args: argparse.Namespace, layout: Layout) -> str:
    """Where sessions of one setting are: ``native-duet``, and what differs from bench.toml."""
    parts = [args.stack, layout]
    parts += [f"{args.levels.replace(',', '-')}-users"] if args.levels else []
    parts += [f"{args.transactions}-transactions"] if args.transactions else []
    return "-".join(parts)


def _report(settings: Config, folder: Path, store: Path, console: Console) -> int:
    """Fit the priors, and write docs/calibration.md with its figures. Other settings only serve as a comparison."""
    sessions = campaign.read_sessions(store) if store.exists() else []
    if not sessions:
        raise PipelineError(f"{store}: no session is stored there", "measure some: nox -s calibrate")
    noise.write_priors(noise.setting_of(sessions[0].run), campaign.fit_priors(sessions, settings.compare))
    others = [one for path in sorted(folder.iterdir()) if path != store for one in campaign.read_sessions(path)]
    for path, data in calibration_text.render(sessions, others, settings.compare, DOCUMENT).items():
        replace(path, data)
        console.print(f"wrote {path}")
    return 0


def _cases(text: str, backends: Sequence[str]) -> list[Case]:
    """``none=10,quota:0.02=3`` for every backend."""
    cases = []
    for part in text.split(","):
        what, _, number = part.partition("=")
        if not number.isdecimal():
            raise PipelineError(f"--cases {part!r}: no number of sessions", "write SLOW-DOWN=SESSIONS, e.g. none=10")
        planted: Planted = parse(what)
        cases += [Case(backend=backend, planted=planted, sessions=int(number)) for backend in backends]
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
