"""Changes over the history: what `scripts.history.findings` finds, as records, and ``changes.json``. Pure, but for
`read`."""

from __future__ import annotations

import enum
from pathlib import Path

import msgspec

from scripts.checkout import Revision
from scripts.history.dependencies import DependencyChange
from scripts.history.series import Moment
from scripts.model import BROKEN, Event, Layout, PipelineError, Struct

SCHEMA_VERSION = 1


class Cause(enum.Enum):
    """What a change may be blamed on.

    ``CODE``: on commits that reach the backend. ``ENVIRONMENT``: all backends changed at once, so on none of them.
    ``UNEXPLAINED``: one backend changed, and no commit in between reaches it.
    """

    CODE = "code"
    ENVIRONMENT = "environment"
    UNEXPLAINED = "unexplained"


class Tier(enum.Enum):
    """``WORTH_REPORTING``: as large as bench.toml asks for ([detect.worth_reporting]). ``DETECTED``: sure, smaller."""

    DETECTED = "detected"
    WORTH_REPORTING = "worth reporting"


class Shown(Struct):
    """A series that shows a change, by ``ratio`` after to before with its 95% interval ``low`` to ``high``.

    ``levels`` are those that are averaged, none for a count; a count has no interval, as it is certain, and no ratio
    where it was 0. ``runs``: how many before and after. ``p_value``: of this series alone at this place. The frame is
    an ``environment``'s fingerprint or the ``baseline`` of paired runs; counts have neither. ``tier``: what it shows by
    itself; None where it only agrees with others.
    """

    backend: str
    metric: str
    levels: tuple[int, ...]
    environment: str
    baseline: str
    layout: Layout | None
    before: float
    after: float
    ratio: float | None
    low: float | None
    high: float | None
    p_value: float
    runs: tuple[int, int]
    better: bool
    tier: Tier | None


class Difference(Struct):
    """A field of the environment that two runs have unlike."""

    field: str
    before: str
    after: str


class Change(Struct):
    """One real change. It happened after the commit of run ``before`` and at latest at that of run ``after``.

    ``backends``: one, or all of an environment. ``shown``: the series that show it; the first is what the change is
    called by: one that is worth reporting, by the order of metrics in bench.toml, over all levels, as a ratio.
    ``confidence``: 1 less the probability that 100 runs in one environment without any change show as much anywhere.
    ``commits``: those in between that reach the backend. ``accepted``: an event says that this is known and wanted.
    """

    id: str
    backends: tuple[str, ...]
    cause: Cause
    tier: Tier
    confidence: float
    before: Moment
    after: Moment
    shown: tuple[Shown, ...]
    commits: tuple[Revision, ...] = ()
    events: tuple[Event, ...] = ()
    dependencies: tuple[DependencyChange, ...] = ()
    environment: tuple[Difference, ...] = ()
    accepted: bool = False

    @property
    def worse(self) -> bool:
        """Whether anything that is worth reporting became worse."""
        return any(one.tier is Tier.WORTH_REPORTING and not one.better for one in self.shown)

    @property
    def alert(self) -> bool:
        """Whether somebody has to look at it."""
        return (
            self.worse
            and self.tier is Tier.WORTH_REPORTING
            and self.cause is not Cause.ENVIRONMENT
            and not self.accepted
        )


class Changes(Struct):
    """All that is found, in the order of the line. ``as_of``: the last run that was looked at, of ``runs``."""

    schema_version: int
    as_of: str
    runs: int
    left_out: int
    series: int
    false_alarms: float
    changes: tuple[Change, ...]


def encode(changes: Changes) -> bytes:
    """changes.json"""
    return msgspec.json.format(msgspec.json.encode(changes), indent=1) + b"\n"


def read(path: Path) -> Changes:
    """As `decode`, from a file that may not be there."""
    try:
        return decode(path.read_bytes(), str(path))
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}", "make it: nox -s detect") from error


def decode(data: bytes, name: str) -> Changes:
    """Changes from JSON; PipelineError names the file and the key that is wrong, or the version."""
    again = "make it anew: nox -s detect"
    try:
        version = msgspec.json.decode(data, type=_Header).schema_version
        if version != SCHEMA_VERSION:
            raise PipelineError(f"{name}: schema_version {version}, this version reads {SCHEMA_VERSION}", again)
        changes = msgspec.json.decode(data, type=Changes)
    except BROKEN as error:
        raise PipelineError(f"{name}: not valid changes: {error}", again) from error
    if not all(change.shown for change in changes.changes):
        raise PipelineError(f"{name}: a change without a series that shows it", again)
    return changes


class _Header(msgspec.Struct):
    schema_version: int
