"""k6's NDJSON output (1.x and 2.x) as a stream of the points that are asked for, in memory that does not grow.

Of the fourteen lines of a request two matter. One pattern goes over a chunk from line to line: it takes apart those
in k6's own form whose metric is wanted, passes over those whose metric is not, and leaves every other line to be
decoded: the order of keys, spaces and escapes are as JSON has them, and what is no JSON is found.
"""

from __future__ import annotations

import gzip
import re
import sys
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from operator import add, itemgetter
from pathlib import Path
from typing import Annotated, BinaryIO, Literal, NamedTuple, cast

import msgspec

from scripts.model import BROKEN, PipelineError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 1 << 18
LONGEST_LINE_BYTES = 4 << 20
"""k6's own have some hundred bytes, and some thousand where tags have long addresses."""
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
MOST_REMEMBERED = 10_000
PASSED = rb"""(?:\{"metric":"(?!%s)[^"]*+","type":"Point"[^{]*+\{"t[^{]*+(?<=s":)\{[^{]*+(?<=\}\}\}\n))*+"""
"""Lines with three objects, each where k6 has it, so not a line that is cut off and joined to another."""
TAKEN = (
    rb"""\{"metric":"(%s),"type":"Point","data":\{"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:)([0-5]\d(?:\.\d{1,9})?)"""
    rb"""(Z|[+-]\d\d:\d\d)","value":(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?),"tags":(\{[^{}\n]*\})\}\}\n"""
)
OTHER = rb"([^\n]++)\n?|\n|\Z"

ESCAPED = re.compile(rb"\\u00(?:3[0-9]|[4-7])")
"""A letter, a digit or an underscore, of which names of metrics are: never so by k6."""


class UnfinishedError(PipelineError):
    """k6 was ended from outside before its load was over, which says nothing about what it loaded: load it again."""


class Samples(NamedTuple):
    """Samples with one metric and the same tags, in the file's order: seconds since the epoch, values, and rows."""

    times_s: list[float]
    values: list[float]
    rows: list[int]


Alike = Mapping[tuple[str, bytes], Samples]
"""By metric and tags, which stay JSON: few of them differ."""


class Batch(NamedTuple):
    """Samples of a chunk. ``refused`` makes the error about a row."""

    alike: Alike
    refused: Callable[[int, Exception], PipelineError]


class _Data(msgspec.Struct):
    time: Annotated[datetime, msgspec.Meta(tz=True)]
    value: float
    tags: msgspec.Raw = msgspec.Raw(b"{}")


class _Point(msgspec.Struct):
    metric: str
    type: str
    data: _Data


class _Kind(msgspec.Struct):
    type: Literal["Metric", "Point"]
    metric: str


_decode_kind, _decode_point = msgspec.json.Decoder(_Kind).decode, msgspec.json.Decoder(_Point).decode


def batches(path: Path, wanted: Sequence[str]) -> Iterator[Batch]:
    """The points of the ``wanted`` metrics in a file: plain, or compressed by gzip or zstd, as its first bytes say.

    Raises UnfinishedError where the file, or its last line, ends too early, PipelineError for what k6 does not write;
    both name the file and the line.
    """
    names = b"|".join(re.escape(name.encode()) + b'"' for name in wanted)
    pattern = re.compile(PASSED % names + b"(?:" + TAKEN % names + b"|" + OTHER + b")")
    moments, before = _Moments(), 0
    try:
        with open_(path) as file:
            for lines in _whole_lines(file):
                yield _batch(_Place(path, before), lines, pattern, wanted, moments)
                before += lines.stop - lines.start
    except (EOFError, OSError, zlib.error, zstd.ZstdError, _LongLineError) as error:
        long = isinstance(error, _LongLineError)
        raise (refused if long else unfinished)(_Place(path, before), 0, error) from error


def open_(path: Path) -> BinaryIO:
    """A file to be read, decompressed as its first bytes ask for."""
    with path.open("rb") as file:
        first = file.read(4)
    if first.startswith(GZIP):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return cast(BinaryIO, zstd.open(path, "rb")) if first == ZSTD else path.open("rb", buffering=0)


class _LongLineError(Exception):
    pass


class _Place(NamedTuple):
    """Where in a file a chunk is: ``before`` which there are so many bytes, when they are decompressed."""

    path: Path
    before: int

    def line(self, row: int) -> int:
        """The number of a line of the chunk, from 1. Lines are not counted as long as nobody asks."""
        number, left = row + 1, self.before
        with open_(self.path) as file:
            while left and (chunk := file.read(min(left, CHUNK_BYTES))):
                number, left = number + chunk.count(b"\n"), left - len(chunk)
        return number


class _Lines(NamedTuple):
    """Whole lines, ``data[start:stop]``. The file's last one need not end with a newline."""

    data: bytes
    start: int
    stop: int


def refused(place: _Place, row: int, error: Exception) -> PipelineError:
    """What k6 does not write, at a line of a chunk."""
    return PipelineError(
        f"{place.path.name}, line {place.line(row)}: not k6's NDJSON output: {error}",
        "this k6 is not one that this project knows; take another one (K6), and measure the block again",
    )


def unfinished(place: _Place, row: int, error: Exception) -> UnfinishedError:
    """What k6 had no time to write to its end."""
    return UnfinishedError(
        f"{place.path.name}, line {place.line(row)}: not k6's complete NDJSON output: {error}",
        "k6 was killed, or the disk is full; measure the block again",
    )


def _whole_lines(file: BinaryIO) -> Iterator[_Lines]:
    rest = b""
    while chunk := file.read(CHUNK_BYTES):
        first = chunk.find(b"\n") + 1
        if len(rest) + (first or len(chunk)) > LONGEST_LINE_BYTES:
            raise _LongLineError(f"a line of more than {LONGEST_LINE_BYTES:,} bytes")
        if not first:
            rest += chunk
            continue
        last = chunk.rfind(b"\n") + 1
        if rest:
            yield _Lines(rest + chunk[:first], 0, len(rest) + first)
        if last > (begin := first if rest else 0):
            yield _Lines(chunk, begin, last)
        rest = chunk[last:]
    if rest:
        yield _Lines(rest, 0, len(rest))


class _Moments(dict[tuple[bytes, bytes], float]):
    """Minutes, as text and zone, in seconds since the epoch, as they are asked for."""

    def __missing__(self, key: tuple[bytes, bytes]) -> float:
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        minute, zone = key
        self[key] = datetime.fromisoformat((minute + b"00" + zone).decode()).timestamp()
        return self[key]


def _batch(place: _Place, lines: _Lines, pattern: re.Pattern[bytes], wanted: Sequence[str], moments: _Moments) -> Batch:
    """The samples of lines, at once where all of these are in k6's own form, else from line to line."""
    escapes = b"\\" in lines.data and ESCAPED.search(*lines)
    found = [] if escapes else pattern.findall(*lines)
    if escapes or any(map(itemgetter(-1), found)):
        return _line_by_line(place, lines, wanted)
    taken = [row for row in found if row[0]]  # blank lines and the end are none
    if not taken:
        return Batch({}, partial(refused, place))
    metrics, minutes, seconds, zones, values, tags, _ = zip(*taken, strict=True)
    try:
        starts = list(map(moments.__getitem__, zip(minutes, zones, strict=True)))
    except ValueError:  # a date that is none
        return _line_by_line(place, lines, wanted)
    times_s, numbers = list(map(add, starts, map(float, seconds))), list(map(float, values))
    rows: defaultdict[tuple[bytes, bytes], list[int]] = defaultdict(list)
    for row, key in enumerate(zip(metrics, tags, strict=True)):
        rows[key].append(row)
    alike = {
        (metric[:-1].decode(), tag): Samples([times_s[row] for row in some], [numbers[row] for row in some], some)
        for (metric, tag), some in rows.items()
    }

    def refused_row(row: int, error: Exception) -> PipelineError:
        match = next(islice(filter(itemgetter(1), pattern.finditer(*lines)), row, None))
        return refused(place, lines.data.count(b"\n", lines.start, match.start(1)), error)

    return Batch(alike, refused_row)


def _line_by_line(place: _Place, lines: _Lines, wanted: Sequence[str]) -> Batch:
    alike: defaultdict[tuple[str, bytes], Samples] = defaultdict(lambda: Samples([], [], []))
    texts = lines.data[lines.start : lines.stop].split(b"\n")
    for row, line in enumerate(texts):
        try:
            if line.strip() and (point := _point(line, wanted)):
                samples = alike[point.metric, bytes(point.data.tags)]
                samples.times_s.append(point.data.time.timestamp())
                samples.values.append(point.data.value)
                samples.rows.append(row)
        except BROKEN as error:
            cut_off = row == len(texts) - 1  # only the file's last line may lack its end
            raise (unfinished if cut_off else refused)(place, row, error) from error
    return Batch(alike, partial(refused, place))


def _point(line: bytes, wanted: Sequence[str]) -> _Point | None:
    """The point of a line in any form; None where it is another metric's."""
    kind = _decode_kind(line)
    return _decode_point(line) if kind.type == "Point" and kind.metric in wanted else None
