"""Command-line options that several steps take, and how they change the configuration."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypeVar

import msgspec

from scripts import config
from scripts.bounds import MOST_TIMES, MOST_USERS
from scripts.config import Config
from scripts.model import PipelineError, Profile

MOST_PATIENCE = 1440
_Number = TypeVar("_Number", int, float)


def add_stack(parser: argparse.ArgumentParser) -> None:
    """Options about what is started."""
    group = parser.add_argument_group("stack")
    group.add_argument(
        "--stack",
        choices=("auto", "native", "compose", "configured"),
        default="auto",
        help="compose: in containers, as docker-compose.yml says; native: without Docker; auto: in containers where a "
        "Docker engine and the base images are there already (default); configured: as workflows do (bench.toml)",
    )
    group.add_argument("--backends", metavar="NAMES", help="only these, separated by commas (default: all)")
    group.add_argument(
        "--tree",
        type=Path,
        default=config.PROJECT,
        metavar="FOLDER",
        help="take the backends' folders from here, e.g. from another checkout (default: the project itself)",
    )
    group.add_argument("--database", choices=("mysql", "mariadb"), help="database engine (default: bench.toml)")
    group.add_argument(
        "--durability",
        choices=("memory", "disk"),
        help="where the database keeps its data: in memory, so that backends are compared and not the disk, or on disk "
        "with every commit flushed, as in the study (default: bench.toml)",
    )
    group.add_argument(
        "--allow-unlimited",
        action="store_true",
        help="go on where no CPU and memory limit can be set; the run says so",
    )


def add_session(parser: argparse.ArgumentParser) -> None:
    """Options about what is measured."""
    group = parser.add_argument_group("session")
    group.add_argument("--levels", metavar="USERS", help="levels instead of the profile's, e.g. 10,50,100")
    group.add_argument("--rounds", type=int, metavar="N", help="rounds instead of the profile's")
    group.add_argument("--duration", type=float, metavar="SECONDS", help="measured seconds of a block")
    group.add_argument(
        "--patience",
        type=minutes,
        metavar="MINUTES",
        help="how much longer than announced it may take, to wait for calm and to measure again what was disturbed "
        "(default: half of the announced time)",
    )
    group.add_argument("--seed", type=seed, help="seed of the order of blocks (default: drawn, and recorded)")
    group.add_argument("--output", type=Path, default=Path("results"), help="folder for results (default: results)")
    group.add_argument(
        "--allow-unequal", action="store_true", help="measure even when parity fails; the run and its report say so"
    )


def apply(args: argparse.Namespace, settings: Config) -> Config:
    """The configuration with the options of `add_stack` in it, and what they leave to it in them."""
    if args.stack == "configured":
        args.stack = settings.workflows.stack
    database = settings.database
    if args.database:
        database = msgspec.structs.replace(database, engine=args.database)
    if args.durability:
        database = msgspec.structs.replace(database, durability=args.durability)
    if not args.tree.is_dir():
        raise PipelineError(f"--tree {args.tree}: no such folder", "name the top of a checkout of the project")
    backends = settings.backends
    if args.backends:
        names = list(dict.fromkeys(args.backends.split(",")))
        backends = tuple(config.find(settings.backends, name, "backend") for name in names)
    return msgspec.structs.replace(settings, database=database, backends=backends)


def profile(args: argparse.Namespace, settings: Config) -> Profile:
    """The named profile with the options of `add_session` in it."""
    chosen = config.find(settings.profiles, args.profile, "profile")
    if args.levels is not None:
        chosen = msgspec.structs.replace(chosen, levels=_levels(args.levels))
    if args.rounds is not None:
        chosen = msgspec.structs.replace(chosen, rounds=at_least_one(args.rounds, "--rounds"))
    if args.duration is not None:
        chosen = msgspec.structs.replace(chosen, duration_s=at_least_one(args.duration, "--duration", 86_400))
    if args.patience is not None:
        if args.patience > MOST_PATIENCE:
            raise PipelineError(f"--patience {args.patience:g}: must be at most {MOST_PATIENCE}", "give fewer minutes")
        chosen = msgspec.structs.replace(chosen, patience_s=60 * args.patience)
    return chosen


def _levels(text: str) -> tuple[int, ...]:
    try:
        levels = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError:
        levels = ()
    if not levels or not all(1 <= level <= MOST_USERS for level in levels):
        raise PipelineError(
            f"--levels {text}: not numbers of users, each from 1 to {MOST_USERS:,}",
            "separate them by commas, e.g. --levels 10,50,100",
        )
    return levels


def at_least_one(value: _Number, option: str, most: int = MOST_TIMES) -> _Number:
    """The value of an option. Raises PipelineError naming the option where it is below 1, above ``most`` or NaN."""
    if not value >= 1:
        raise PipelineError(f"{option} {value}: must be at least 1", f"give {option} a larger number")
    if value > most:
        raise PipelineError(f"{option} {value}: must be at most {most:,}", f"give {option} a smaller number")
    return value


def seed(text: str) -> int:
    """For argparse: a number that a run's record can hold, and every generator of random numbers takes."""
    value = int(text)
    if not 0 <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text}: must be from 0 to 2**63 - 1")
    return value


def minutes(text: str) -> float:
    """For argparse: how long a campaign may take; infinite for no end."""
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text}: must be 0 or more")
    return value
