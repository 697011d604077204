"""Verb ``detect``: history/ -> changes.json; or any series -> where they change."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from scripts import config, terminal
from scripts.exchange import collection, imported
from scripts.history import changes
from scripts.history import text as changes_text
from scripts.history.detection import over_history
from scripts.model import PipelineError
from scripts.records import replace
from scripts.statistics.changepoints import change_points

LINE = '{"values": [201.5, 199, null, 240]}'
EPILOG = """\
examples:
  nox -s detect                                          all changes of the history: a table, and results/changes.json
  nox -s detect -- --history history --history ../data   several histories, read as one
  nox -s detect -- --as-of 20261124T033000Z-35156e6-5f3a9c    what would have been said when that run was new
  nox -s detect -- --imported hyper                      where series change that `nox -s import` has kept as `hyper`
  nox -s detect -- --series -                            any series: one line of JSON in, one line out, at once

"""
SERIES = (
    f"a line of --series in: {LINE} (null, NaN and infinite numbers are missing); a line out: the index of the first "
    'point of each new regime, as {"change_points": [3]}; a line that is no series is named, and has no answer'
)


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when everything was judged."""
    args = _parser().parse_args(arguments)
    if args.imported is not None:
        kept = collection.read((args.history or [config.PROJECT / "history"])[0], args.imported)
        print(imported.render(list(imported.steps(kept)), kept))
        return 0
    if args.series is None:
        _over_history(args)
        return 0
    if args.series == "-":
        _judge(sys.stdin.buffer, "standard input")
        return 0
    try:
        with Path(args.series).open("rb") as lines:
            _judge(lines, args.series)
    except OSError as error:
        raise PipelineError(
            f"{args.series}: cannot be read: {error.strerror}", "name a file, or - for stdin"
        ) from error
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s detect --",
        description="Say what changed over the recorded history, at which commit, by how much and how surely; one real "
        "change is one finding, with all the series that show it. Nothing has to be set.",
        epilog=EPILOG + SERIES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--history", action="append", type=Path, metavar="FOLDER", help="several are read as one")
    parser.add_argument("--as-of", metavar="RUN", help="look at no run after this one, by its id")
    parser.add_argument("--line", default="HEAD", metavar="REVISION", help="the commits up to this one (default: HEAD)")
    parser.add_argument(
        "--output", type=Path, default=Path("results/changes.json"), help="(default: results/changes.json)"
    )
    parser.add_argument("--imported", metavar="NAME", help="the series that `nox -s import` has kept under this name")
    parser.add_argument("--series", metavar="FILE", help="JSON lines, one for each series, instead; - is stdin")
    return parser


def _over_history(args: argparse.Namespace) -> None:
    config.refuse_elsewhere("detect", f"{config.NOT_DATED}; --series judges any series")
    settings = config.load()
    labels = {backend.name: backend.label for backend in settings.backends}
    found = over_history(args.history or [config.PROJECT / "history"], settings, args.line, _warn, args.as_of)
    try:
        args.output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(f"{args.output.parent}: cannot be made: {error.strerror}", "choose another file") from error
    replace(args.output, changes.encode(found))
    console = terminal.console()
    console.print(changes_text.render(found, labels))
    console.print(f"Changes: {args.output}")


def _warn(text: str) -> None:
    print(text, file=sys.stderr)


def _judge(lines: Iterable[bytes], name: str) -> None:
    """Answer every line that is a series; raise PipelineError at the end where one was not, each named as it came."""
    bad = number = 0
    for number, line in enumerate(lines, start=1):
        try:
            (values,) = read_series([line], name, number)
        except PipelineError as error:
            bad += 1
            _warn(str(error))
            continue
        if infinite := sum(value is not None and math.isinf(value) for value in values):
            _warn(f"{name}, line {number}: {infinite} of {len(values)} values are infinite and count as missing")
        print(json.dumps({"change_points": change_points(values)}), flush=True)
    if bad:
        raise PipelineError(f"{name}: {bad} of {number} lines are no series", f"a line looks like this: {LINE}")


def read_series(lines: Iterable[bytes], name: str, first: int = 1) -> Iterator[list[float | None]]:
    """The values of each line, as they come; an error calls the file ``name`` and its first line ``first``.

    Raises PipelineError naming the line and what is wrong with it.
    """
    for number, line in enumerate(lines, start=first):
        try:
            yield _values(line)
        except (ValueError, RecursionError) as error:
            raise PipelineError(f"{name}, line {number}: {error}", f"a line looks like this: {LINE}") from error


def _values(line: bytes) -> list[float | None]:
    if not line.strip():
        raise ValueError("is empty")
    document = json.loads(line)
    if not isinstance(document, dict) or not isinstance(document.get("values"), list):
        raise ValueError('expected an object with an array "values"')  # noqa: TRY004 (reported with the line's number)
    return [_number(value, index) for index, value in enumerate(document["values"])]


def _number(value: object, index: int) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(  # noqa: TRY004 (reported with the line's number)
            f"values[{index}]: expected a number or null, not {json.dumps(value)[:40]}"
        )
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"values[{index}]: too large for a number") from None
