"""Verb ``import``: series that another tool recorded -> ``history/imported/<name>.json``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from scripts import config
from scripts.exchange import FORMATS, collection, describe_formats
from scripts.exchange.files import Origin
from scripts.model import Direction, PipelineError

BETTER = {"higher": Direction.HIGHER, "lower": Direction.LOWER}
EPILOG = """\
formats:
{formats}

examples:
  nox -s import -- github-action-benchmark gh-pages/dev/bench/data.js --name hyper
  nox -s import -- asv .asv/results --name numpy
  nox -s import -- otava nightly.csv --better lower
  nox -s import -- bencher bmf.json --commit 35156e6 --time 2026-11-23T12:00:00Z --better lower
"""


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the collection is kept."""
    parser = argparse.ArgumentParser(
        prog="nox -s import --",
        description="Keep series that another tool recorded, so that changes can be looked for in them.",
        epilog=EPILOG.format(formats=describe_formats()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help="one of those below")
    parser.add_argument("source", type=Path, help="file or folder")
    parser.add_argument("--name", help="what to keep it as (default: the source's name)")
    parser.add_argument("--history", type=Path, metavar="FOLDER", help="of the history (default: history)")
    parser.add_argument("--replace", action="store_true", help="replace what was imported under that name")
    group = parser.add_argument_group("what some formats do not say")
    group.add_argument("--commit", default="", help="which commit was measured")
    group.add_argument("--time", help="when, in ISO 8601")
    group.add_argument("--better", choices=BETTER, help="which way is better")
    args = parser.parse_args(arguments)
    name = args.name or args.source.resolve().stem
    root = config.history_folder(args.history)
    path = collection.locate(root, name)
    if path.exists() and not args.replace:
        raise PipelineError(f"{path}: is there already", "choose another --name, or give --replace")
    origin = Origin(commit=args.commit, time_ms=_parse_time(args.time), direction=BETTER.get(args.better))
    imported = FORMATS[args.format].decode(read_files(args.source), origin)
    collection.write(root, name, imported)
    found = collection.series(imported)
    print(f"imported {len(found)} series with {sum(map(len, found.values()))} points as {path}")
    return 0


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
