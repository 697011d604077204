"""Verb ``import``: series that another tool recorded -> ``history/imported/<name>.json``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from scripts import config
from scripts.exchange import READERS, collection, describe
from scripts.exchange.files import Origin
from scripts.exchange.model import Collection
from scripts.exchange.recognition import recognise
from scripts.model import Direction, PipelineError

NAMED = 5
"""How many of many are named."""
BETTER = {"higher": Direction.HIGHER, "lower": Direction.LOWER}
EPILOG = """\
formats:
{formats}

examples:
  nox -s import -- gh-pages/dev/bench/data.js --name hyper
  nox -s import -- summary.json --commit 35156e6 --name checkout --add    what k6's --summary-export wrote
  nox -s import -- asv .asv/results --name numpy
  nox -s import -- otava nightly.csv --better lower
  nox -s import -- bencher bmf.json --commit 35156e6 --time 2026-11-23T12:00:00Z --better recall=higher
"""


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the collection is kept."""
    parser = argparse.ArgumentParser(
        prog="nox -s import --",
        description="Keep series that another tool recorded, so that changes can be looked for in them.",
        epilog=EPILOG.format(formats=describe(READERS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "format", nargs="?", choices=READERS, metavar="FORMAT", help="one of those below (default: what the content is)"
    )
    parser.add_argument("source", type=Path, help="file or folder")
    parser.add_argument("--name", help="what to keep it as (default: the source's name)")
    parser.add_argument("--history", type=Path, metavar="FOLDER", help="of the history (default: history)")
    known = parser.add_mutually_exclusive_group()
    known.add_argument("--replace", action="store_true", help="replace what was imported under that name")
    known.add_argument("--add", action="store_true", help="add to it: the newest numbers to those of earlier commits")
    group = parser.add_argument_group("what some formats do not say")
    group.add_argument("--commit", default="", help="which commit was measured")
    group.add_argument("--time", help="when, in ISO 8601")
    group.add_argument(
        "--better",
        action="append",
        default=[],
        metavar="[NAME=]WAY",
        help="which way is better, higher or lower: of all of which nothing else says it, or of the benchmark NAME; "
        "may be given several times",
    )
    args = parser.parse_args(arguments)
    name = args.name or args.source.resolve().stem
    root = config.history_folder(args.history)
    path = collection.locate(root, name)
    if path is not None and not (args.replace or args.add):
        raise PipelineError(f"{path}: is there already", "choose another --name, or give --add or --replace")
    better = _parse_better(args.better)
    origin = Origin(commit=args.commit, time_ms=_parse_time(args.time), direction=better.pop("", None), warn=_warn)
    files = read_files(args.source)
    chosen = args.format or recognise(files)
    imported = collection.directed(READERS[chosen].decode(files, origin), better)
    found = collection.series(imported)
    if not found:
        raise PipelineError(f"{args.source}: there are no numbers in it", "give a file with at least one measurement")
    _name_missing(imported)
    _name_undirected(found)
    if args.add and path is not None:
        imported = collection.joined(collection.read(root, name), imported)
        found = collection.series(imported)
    path = collection.write(root, name, imported)
    print(f"imported {len(found)} series with {sum(map(len, found.values()))} points from {chosen} as {path}")
    return 0


def _warn(text: str) -> None:
    print(text, file=sys.stderr)


def _name_missing(imported: Collection) -> None:
    """Say which measurements have no number, the first few by name."""
    points = list(collection.points(imported))
    missing = [point for point in points if point.value is None]
    if missing:
        named = _some([f"{point.suite}: {point.benchmark} at {point.commit[:12] or '-'}" for point in missing])
        _warn(f"{len(missing)} of {len(points)} numbers are missing, or are no finite numbers: {named}")


def _name_undirected(found: Mapping[collection.Key, Sequence[collection.Point]]) -> None:
    """Say of which series nothing says which way is better."""
    unknown = [f"{key.suite}: {key.benchmark}" for key, points in found.items() if points[-1].direction is None]
    if unknown:
        _warn(f"which way is better is not said of {len(unknown)} series (--better says it): {_some(unknown)}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


def read_files(source: Path) -> dict[str, bytes]:
    """A file, or all files beneath a folder but hidden ones, by path relative to it. Raises PipelineError."""
    try:
        if source.is_dir():
            paths = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith("."))
            return {path.relative_to(source).as_posix(): path.read_bytes() for path in paths}
        return {source.name: source.read_bytes()}
    except OSError as error:
        raise PipelineError(f"{source}: cannot be read: {error.strerror}", "give a file or a folder") from error


def _parse_time(text: str | None) -> int | None:
    try:
        return None if text is None else collection.to_ms(datetime.fromisoformat(text))
    except ValueError as error:
        raise PipelineError(f"--time {text}: not ISO 8601", "e.g. --time 2026-11-23T12:00:00Z") from error


def _parse_better(options: Sequence[str]) -> dict[str, Direction]:
    """Directions by benchmark; that of all others has the name ""."""
    found = {}
    for option in options:
        name, _, way = option.rpartition("=")
        if way not in BETTER:
            raise PipelineError(f"--better {option}: {way!r} is no direction", "give higher, lower or NAME=lower")
        found[name] = BETTER[way]
    return found
