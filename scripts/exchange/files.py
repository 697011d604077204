"""What the formats share: files by name, what a file itself does not say, and how a wrong one is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from scripts.model import BROKEN, Direction, PipelineError

Files = Mapping[str, bytes]
"""Contents by path, relative to what is imported or exported."""


class Origin(NamedTuple):
    """What some formats do not say: the commit, the time, and which way is better."""

    commit: str = ""
    time_ms: int | None = None
    direction: Direction | None = None


def wrong(name: str, message: str, hint: str) -> PipelineError:
    """A file that is not what it should be."""
    return PipelineError(f"{name}: {message}", hint)


def only(files: Files) -> tuple[str, bytes]:
    """The one file of a format that is one file."""
    if len(files) != 1:
        raise PipelineError(f"expected one file, got {len(files)}", "give the file itself, not a folder")
    return next(iter(files.items()))


def decode_json(name: str, data: bytes) -> Any:
    """Any JSON value. Raises PipelineError naming the file and the place."""
    try:
        return msgspec.json.decode(data)
    except BROKEN as error:
        raise wrong(name, f"not valid JSON: {error}", "give the file as the tool wrote it") from error


def encode_json(value: Any) -> bytes:
    """Indented JSON that ends with a newline; NaN and infinities, which JSON does not have, are refused."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
