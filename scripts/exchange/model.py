"""Series that other tools recorded, or are to read."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from scripts.model import Direction, Struct


class Measurement(Struct):
    """One number of one benchmark. ``value`` is None where the source has none (a failed benchmark).

    ``lower`` and ``upper`` are the range that the source gives, whatever it means there; ``extra`` is all else that the
    source says, as JSON.
    """

    benchmark: str
    value: int | float | None
    unit: str | None = None
    direction: Direction | None = None
    lower: int | float | None = None
    upper: int | float | None = None
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Snapshot(Struct):
    """What was measured at one commit at one time, in milliseconds since 1970 (None: the source does not say).

    A benchmark may occur several times. ``environment`` is what separates series, empty where the source has no such
    thing.
    """

    commit: str
    time_ms: int | None
    measurements: tuple[Measurement, ...]
    environment: str = ""
    extra: dict[str, Any] = msgspec.field(default_factory=dict)


class Suite(Struct):
    """Snapshots of the same benchmarks, in the source's order, which need not be that of time."""

    name: str
    snapshots: tuple[Snapshot, ...]


class Collection(Struct):
    """Series from elsewhere: what `import` keeps beneath history/imported/, and what `export` writes.

    ``format`` is the one that they came in, of `scripts.exchange.FORMATS`, or "run" for this project's own history.
    """

    format: str
    suites: tuple[Suite, ...]
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    schema_version: Literal[1] = 1
