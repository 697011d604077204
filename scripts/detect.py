"""Verb ``detect``: say where series change."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from scripts.changepoints import change_points
from scripts.model import PipelineError

LINE = '{"values": [201.5, 199, null, 240]}'


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when every series was judged."""
    parser = argparse.ArgumentParser(
        prog="nox -s detect --",
        description="Say where series change: one line of JSON in, one line out, at once. Nothing has to be set.",
        epilog=f"a line in: {LINE} (null and NaN are missing); a line out: the index of the first point of each new "
        'regime, as {"change_points": [3]}',
    )
    parser.add_argument("--series", metavar="FILE", required=True, help="JSON lines, one for each series; - is stdin")
    args = parser.parse_args(arguments)
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


def _judge(lines: Iterable[bytes], name: str) -> None:
    for values in read_series(lines, name):
        print(json.dumps({"change_points": change_points(values)}), flush=True)


def read_series(lines: Iterable[bytes], name: str) -> Iterator[list[float | None]]:
    """The values of each line, as they come; ``name`` is what an error calls the file.

    Raises PipelineError naming the line and what is wrong with it.
    """
    for number, line in enumerate(lines, start=1):
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
