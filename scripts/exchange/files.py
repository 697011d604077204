"""What the formats share: files by name, what a file itself does not say, and how a wrong one is named."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from scripts.model import BROKEN, Direction, PipelineError

Files = Mapping[str, bytes]
"""Contents by path, relative to what is imported or exported."""
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
NOTHING = {"", "-", "n/a", "na", "none", "null"}
"""How tables say that there is no number, beside NaN."""


def _unheard(_: str) -> None: ...


class Origin(NamedTuple):
    """What some formats do not say: the commit, the time, and which way is better; ``warn`` gets what is left out."""

    commit: str = ""
    time_ms: int | None = None
    direction: Direction | None = None
    warn: Callable[[str], None] = _unheard


def wrong(name: str, message: str, hint: str) -> PipelineError:
    """A file that is not what it should be."""
    return PipelineError(f"{name}: {message}", hint)


def only(files: Files) -> tuple[str, bytes]:
    """The one file of a format that is one file."""
    if len(files) != 1:
        raise PipelineError(f"expected one file, got {len(files)}", "give the file itself, not a folder")
    return next(iter(files.items()))


def number(value: object) -> int | float | None:
    """A finite number, also one in a string; None of all else. JSON's true is no number."""
    if isinstance(value, str):
        text = value.strip()
        value = (int(text) if re.fullmatch(r"[+-]?\d{1,15}", text) else float(text)) if NUMBER.fullmatch(text) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return value if math.isfinite(value) else None
    except OverflowError:  # an integer of hundreds of digits
        return None


def cell_number(cell: str) -> int | float | None:
    """The number in a table's cell, None where it has none or an infinite one. Raises ValueError for other text."""
    found = number(cell)
    if found is None and cell.strip().lower() not in NOTHING and math.isfinite(float(cell)):
        raise ValueError(cell)
    return found


def decode_text(name: str, data: bytes, kind: str) -> str:
    """Text of a kind in UTF-8, with or without a byte order mark. Raises PipelineError naming the file."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong(name, f"not {kind} in UTF-8: {error}", "save it as UTF-8") from error


def decode_json(name: str, data: bytes) -> Any:
    """Any JSON value. Raises PipelineError naming the file and the place."""
    try:
        return msgspec.json.decode(data)
    except BROKEN as error:
        raise wrong(name, f"not valid JSON: {error}", "give the file as the tool wrote it") from error


def encode_json(value: Any) -> bytes:
    """Indented JSON that ends with a newline; NaN and infinities, which JSON does not have, are refused."""
    return (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
