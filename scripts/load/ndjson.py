"""k6's NDJSON output (1.x and 2.x) as a stream of the points that are asked for, in memory that does not grow.

Of the fourteen lines of a request two matter. A line in k6's own form (the metric first, three objects, no escape) is
told from a few of its bytes, for a whole chunk at once, and left where its metric is not wanted. Every other line is
decoded: the order of keys, spaces and escapes are as JSON has them, and what is no JSON is found.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import compress
from pathlib import Path
from typing import Annotated, BinaryIO, NamedTuple, TypeVar, cast

import msgspec
import numpy as np
import numpy.typing as npt

from scripts.model import BROKEN, PipelineError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK_BYTES = 1 << 19
LONGEST_LINE_BYTES = 4 << 20
"""k6's own have some hundred bytes, and some thousand where tags have long addresses."""
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
HEAD, TAIL = b'{"metric":"', b"}}}"
OBJECTS = 3
SHORTEST = 64
"""Bytes of the shortest line that may be in k6's own form: more than what is compared of it."""
Lines = list[tuple[int, bytes]]
"""Numbers, from 1, and texts."""
_T = TypeVar("_T")
FEW = 4
"""So few lines are decoded as they are: the line that two chunks share, and small files."""
Words = npt.NDArray[np.uint64]
Positions = npt.NDArray[np.int64]


class UnfinishedError(PipelineError):
    """k6 was ended from outside before its load was over, which says nothing about what it loaded: load it again."""


class Data(msgspec.Struct, gc=False):
    """A sample. ``tags`` stays JSON: few of them differ, and what they say is worth remembering."""

    time: Annotated[datetime, msgspec.Meta(tz=True)]
    value: float
    tags: msgspec.Raw = msgspec.Raw(b"{}")


class Point(msgspec.Struct, gc=False):
    """A sample of a metric."""

    metric: str
    type: str
    data: Data


class _Kind(msgspec.Struct, gc=False):
    type: str
    metric: str = ""


class Batch(NamedTuple):
    """Points in the file's order, and the numbers of their lines."""

    points: list[Point]
    numbers: list[int]


_kind, _kinds = msgspec.json.Decoder(_Kind).decode, msgspec.json.Decoder(list[_Kind]).decode
_point, _points = msgspec.json.Decoder(Point).decode, msgspec.json.Decoder(list[Point]).decode


def batches(path: Path, wanted: Sequence[str]) -> Iterator[Batch]:
    """The points of the ``wanted`` metrics in a file: plain, or compressed by gzip or zstd, as its first bytes say.

    Raises UnfinishedError where the file, or its last line, ends too early, PipelineError for what k6 does not write;
    both name the file and the line.
    """
    number = 1
    try:
        with open_(path) as file:
            for data, start, stop in _whole_lines(file):
                starts, ends = _bounds(data, start, stop)
                asked, odd = _look(data, starts, ends, wanted)
                some = np.flatnonzero(asked | odd)
                places = zip(some.tolist(), starts[some].tolist(), ends[some].tolist(), strict=True)
                lines = [(number + i, data[begin:end]) for i, begin, end in places]
                yield _decode(path, lines, odd[some].tolist(), wanted, last=not data.endswith(b"\n"))
                number += len(starts)
    except (EOFError, OSError, zlib.error, zstd.ZstdError) as error:
        raise _unfinished(path, number, error) from error
    except _LongLineError as error:
        raise refused(path, number, error) from error


def open_(path: Path) -> BinaryIO:
    """A file to be read, decompressed as its first bytes ask for."""
    with path.open("rb") as file:
        first = file.read(4)
    if first.startswith(GZIP):
        return cast(BinaryIO, gzip.open(path, "rb"))
    return cast(BinaryIO, zstd.open(path, "rb")) if first == ZSTD else path.open("rb", buffering=0)


def refused(path: Path, number: int, error: Exception) -> PipelineError:
    """What k6 does not write, at a line of the file."""
    return PipelineError(
        f"{path.name}, line {number}: not k6's NDJSON output: {error}",
        "this k6 is not one that this project knows; take another one (K6), and measure the block again",
    )


def _unfinished(path: Path, number: int, error: Exception) -> UnfinishedError:
    return UnfinishedError(
        f"{path.name}, line {number}: not k6's complete NDJSON output: {error}",
        "k6 was killed, or the disk is full; measure the block again",
    )


class _LongLineError(Exception):
    pass


def _whole_lines(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Data with the place where whole lines begin and end in it. The file's last line need not end with a newline."""
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
            yield rest + chunk[:first], 0, len(rest) + first
        if last > (begin := first if rest else 0):
            yield chunk, begin, last
        rest = chunk[last:]
    if rest:
        yield rest, 0, len(rest)


def _bounds(data: bytes, start: int, stop: int) -> tuple[Positions, Positions]:
    """Where lines begin, and where they end: at the newline, which is not theirs."""
    ends = np.flatnonzero(_bytes(data)[start:stop] == ord("\n")) + start
    if data[stop - 1 : stop] != b"\n":
        ends = np.append(ends, stop)
    return np.concatenate(([start], ends[:-1] + 1)), ends


def _look(
    data: bytes, starts: Positions, ends: Positions, wanted: Sequence[str]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which lines are in k6's own form and of a wanted metric, and which are in another form."""
    asked, odd = np.zeros(len(starts), bool), ends > starts
    places = np.flatnonzero(ends - starts >= SHORTEST)
    if len(places) < FEW:
        return asked, odd
    text = _bytes(data)[: ends[-1]]
    opened = np.flatnonzero(text == ord("{"))
    own = np.diff(np.searchsorted(opened, np.append(starts, ends[-1])))[places] == OBJECTS
    words: Words = np.ndarray(len(data) - 7, np.dtype("<u8"), data, strides=(1,))
    for at, part in ((starts, HEAD[:8]), (starts + len(HEAD) - 8, HEAD[-8:]), (ends - len(TAIL), TAIL)):
        own &= _are(words, at[places], part)
    if data.find(b"\\", starts[0]) >= 0:
        escapes = np.flatnonzero(text == ord("\\"))
        own &= ~np.isin(places, np.searchsorted(ends, escapes))
    places = places[own]
    odd[places] = False
    names = starts[places] + len(HEAD)
    first = words[names]
    for name in wanted:
        quoted = (name.encode() + b'"')[: SHORTEST - len(HEAD)]
        found = np.flatnonzero(first << _shift(quoted[:8]) == _number(quoted[:8]) << _shift(quoted[:8]))
        for offset in range(8, len(quoted), 8):
            found = found[_are(words, names[found] + offset, quoted[offset : offset + 8])]
        asked[places[found]] = True
    return asked, odd


def _are(words: Words, places: Positions, text: bytes) -> npt.NDArray[np.bool_]:
    """At which of the places the text, of at most eight bytes, is. The words looked at end where it ends."""
    return words[places - (8 - len(text))] >> _shift(text) == _number(text)


def _shift(text: bytes) -> np.uint64:
    return np.uint64(8 * (8 - len(text)))


def _number(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


def _bytes(data: bytes) -> npt.NDArray[np.uint8]:
    return np.frombuffer(data, np.uint8)


def _decode(path: Path, lines: Lines, odd: Sequence[bool], wanted: Sequence[str], *, last: bool) -> Batch:
    """The points of lines that are of a wanted metric, or in a form (``odd``) that has to be read first."""
    try:
        if any(odd):
            kinds = _together(_kinds, [line for _, line in compress(lines, odd)])
            theirs = iter(kind.type == "Point" and kind.metric in wanted for kind in kinds)
            lines = list(compress(lines, [not is_odd or next(theirs) for is_odd in odd]))
        points = _together(_points, [line for _, line in lines])
        if all(point.type == "Point" for point in points):
            return Batch(points, [number for number, _ in lines])
    except (*BROKEN, ValueError):
        pass
    return _one_by_one(path, lines, wanted, last=last)


def _together(decode: Callable[[bytes], list[_T]], lines: Sequence[bytes]) -> list[_T]:
    """One value for each line. Raises ValueError or what `BROKEN` says where a line is not one value."""
    values = decode(b"[" + b",".join(lines) + b"]")
    if len(values) != len(lines):
        raise ValueError("a line is not one value")
    return values


def _one_by_one(path: Path, lines: Lines, wanted: Sequence[str], *, last: bool) -> Batch:
    """The same, slowly, with the line that is wrong; blank ones are not."""
    batch = Batch([], [])
    for number, line in lines:
        try:
            kind = _kind(line) if line.strip() else None
            if kind and kind.type == "Point" and kind.metric in wanted:
                batch.points.append(_point(line))
                batch.numbers.append(number)
        except BROKEN as error:
            cut = last and number == lines[-1][0]
            raise (_unfinished if cut else refused)(path, number, error) from error
    return batch
