"""What all pages of the site are made from: a card for each run, and what is known of the history as a whole.

A page module renders text from it and touches nothing else: ``render(catalog: Catalog, shell: Shell, ...) -> str``.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TypeVar

import msgspec
import numpy as np

from scripts.checkout import Revision
from scripts.config import Config
from scripts.history.changes import Change, Changes
from scripts.history.dependencies import DependencyChange
from scripts.history.events import Anchor
from scripts.model import METRICS, Commit, Environment, Event, Layout, Struct, Workload

COLUMNS = ("value", "baseline", "ratio", "low", "high")
"""The numbers of one metric of one backend at one level: geometric means over the blocks of the candidate and of the
baseline arm, the ratio of the two from paired blocks, and its 95% interval over rounds."""

CURVE = 5
"""A run with so many levels has a load curve."""
METRIC_NAMES = tuple(METRICS)
T = TypeVar("T")
_PLACES = {name: place for place, name in enumerate(METRIC_NAMES)}


class Estimate(Struct):
    """A ratio with its 95% interval; ``low`` and ``high`` are None where one round is all there is."""

    ratio: float
    low: float | None
    high: float | None


class RunCard(Struct):
    """One run, as lists, trends and neighbours need it.

    ``time``: UTC seconds since 1970 when it started, as ``started`` says in ISO 8601. ``levels``: those of its profile,
    ascending. ``fingerprint``: of the environment (`scripts.history.fingerprint`), which ``place`` describes for
    people. ``statements``: for each request, by backend, and ``unequal``: the backends whose work differs from the
    contract's. ``blocks`` were measured in both arms, ``invalid`` of them do not count, of which ``lost`` were not made
    good by a repetition; ``disturbed``: how many count during which others took CPU.
    ``numbers``: what `value` and `ratio` read.
    """

    id: str
    started: str
    time: int
    commit: Commit
    baseline: Commit | None
    layout: Layout | None
    scenario: str
    profile: str
    levels: tuple[int, ...]
    labels: dict[str, str]
    environment: Environment
    fingerprint: str
    place: str
    workload: Workload | None
    packages: dict[str, dict[str, str]]
    statements: dict[str, int]
    unequal: tuple[str, ...]
    blocks: int
    invalid: int
    lost: int
    disturbed: int
    complete: bool
    numbers: memoryview

    @property
    def backends(self) -> tuple[str, ...]:
        return tuple(self.labels)

    @property
    def columns(self) -> int:
        """How many of `COLUMNS` there are."""
        return len(COLUMNS) if self.baseline else 1

    @property
    def committed(self) -> int:
        """UTC seconds since 1970 when its commit was made; when it was measured, where that is not known."""
        try:
            return round(datetime.fromisoformat(self.commit.committed_at).timestamp())
        except ValueError:
            return self.time

    @property
    def parity(self) -> bool:
        """Whether all backends did equal work."""
        return not self.unequal

    def value(self, backend: str, metric: str, level: int | None = None) -> float | None:
        """The metric of the candidate at a level; over all levels (None), the geometric mean where each has a value."""
        return self._read(backend, metric, level, 0)[0]

    def curves(self) -> dict[str, list[list[float | None]]]:
        """By metric, for each of the card's levels, `value` of every backend: all at once."""
        shape = (len(self.labels), 1 + len(self.levels), len(METRICS), self.columns)
        numbers = np.frombuffer(self.numbers, dtype="<f4").reshape(shape)[:, 1:, :, 0].transpose(2, 1, 0)
        cells = numbers.astype(object)
        cells[np.isnan(numbers)] = None
        return dict(zip(METRICS, cells.tolist(), strict=True))

    def baseline_value(self, backend: str, metric: str, level: int | None = None) -> float | None:
        """As `value`, of the baseline arm."""
        return self._read(backend, metric, level, 1)[0]

    def ratio(self, backend: str, metric: str, level: int | None = None) -> Estimate | None:
        """Candidate / baseline in paired blocks; None where there are none."""
        ratio, low, high = self._read(backend, metric, level, 2, 3)
        return None if ratio is None else Estimate(ratio=ratio, low=low, high=high)

    def _read(
        self, backend: str, metric: str, level: int | None, first: int, count: int = 1
    ) -> tuple[float | None, ...]:
        """Some of the `COLUMNS`, beginning with the ``first``."""
        if backend not in self.labels or level not in (None, *self.levels) or first >= self.columns:
            return (None,) * count
        scope = 0 if level is None else 1 + self.levels.index(level)
        row = (self.backends.index(backend) * (1 + len(self.levels)) + scope) * len(METRICS) + _PLACES[metric]
        found = struct.unpack_from(f"<{count}f", self.numbers, 4 * (row * self.columns + first))
        return tuple(None if math.isnan(number) else number for number in found)


class Published(Struct):
    """Figures of a published study (history/published/<date>.toml), by backend and then by level of ``levels``.

    Its requests are a cycle of ``endpoints_per_cycle`` endpoints, of which the io-intensive one is one.
    """

    title: str
    published: date
    endpoints_per_cycle: int
    levels: tuple[int, ...]
    throughput_rps: dict[str, tuple[float, ...]]
    error_percent: dict[str, tuple[float, ...]]
    statements_per_request: dict[str, int]


class Upgrade(Struct):
    """Packages that one run notes in other versions than the run before it, by the notes of both."""

    run: str
    packages: tuple[DependencyChange, ...]


class Catalog(Struct, dict=True):  # dict: what is looked up often is kept
    """The history as a whole. ``cards``: oldest first. ``labels``: of the backends, those of bench.toml first.

    ``line``: the commits that lead to the newest, each after its parents; empty where there is no repository.
    ``changes``: None where nobody looked for any. ``damaged``: files of the history that could not be read, and why.
    """

    config: Config
    cards: tuple[RunCard, ...]
    labels: dict[str, str]
    line: tuple[Revision, ...] = ()
    changes: Changes | None = None
    events: tuple[Event, ...] = ()
    anchor: Anchor | None = None
    published: tuple[Published, ...] = ()
    upgrades: tuple[Upgrade, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def newest(self) -> RunCard | None:
        return self.cards[-1] if self.cards else None

    @cached_property
    def featured(self) -> RunCard | None:
        """The run that stands for today: the newest whole one of all backends with a load curve, else the newest."""
        everybody = {backend.name for backend in self.config.backends}
        curves = (
            card
            for card in reversed(self.cards)
            if card.complete and not card.baseline and everybody <= card.labels.keys() and len(card.levels) >= CURVE
        )
        return next(curves, self.newest)

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """Every level that any run has, ascending."""
        return tuple(sorted({level for card in self.cards for level in card.levels}))

    @cached_property
    def years(self) -> Mapping[int, tuple[RunCard, ...]]:
        """The runs of each year (UTC), oldest first."""
        found: dict[int, list[RunCard]] = {}
        for card in self.cards:
            found.setdefault(datetime.fromtimestamp(card.time, UTC).year, []).append(card)
        return {year: tuple(cards) for year, cards in sorted(found.items())}

    @cached_property
    def by_id(self) -> Mapping[str, RunCard]:
        return {card.id: card for card in self.cards}

    @cached_property
    def by_commit(self) -> Mapping[str, tuple[RunCard, ...]]:
        """The runs that measured a commit, by its hash, oldest first."""
        return _grouped((card.commit.sha, card) for card in self.cards)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where a commit is in the line."""
        return {revision.sha: place for place, revision in enumerate(self.line)}

    @cached_property
    def order(self) -> Mapping[str, int]:
        """The place of each measured commit among all: by time, and within one second as they were first measured."""
        first: dict[str, tuple[int, int]] = {}
        for number, card in enumerate(self.cards):
            first.setdefault(card.commit.sha, (card.committed, number))
        return {sha: place for place, sha in enumerate(sorted(first, key=first.__getitem__))}

    def in_order(self, backend: str) -> list[RunCard]:
        """The runs of a backend in the order of their commits, and of one commit as they were measured."""
        cards = [card for card in self.cards if backend in card.labels]
        return sorted(cards, key=lambda card: (self.order[card.commit.sha], card.time))

    @cached_property
    def environments(self) -> Mapping[str, RunCard]:
        """By fingerprint, the newest run of each environment, which has it in words (``place``)."""
        return {card.fingerprint: card for card in self.cards}

    def changes_of(self, backend: str) -> tuple[Change, ...]:
        """The changes of one backend, in the order of the line."""
        return tuple(change for change in self.all_changes if backend in change.backends)

    @property
    def all_changes(self) -> tuple[Change, ...]:
        return self.changes.changes if self.changes else ()

    def neighbours(self, card: RunCard) -> tuple[RunCard | None, RunCard | None]:
        """The runs before and after, of any commit and environment."""
        place = self._order[card.id]
        before = self.cards[place - 1] if place else None
        after = self.cards[place + 1] if place + 1 < len(self.cards) else None
        return before, after

    def measured_beside(self, sha: str) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
        """Hash and subject of the nearest commits of the line that were measured, before and after one of the line."""
        place = self.places.get(sha)
        if place is None:
            return None, None
        first, after = bisect_left(self._measured, place), bisect_right(self._measured, place)
        return self._named(first - 1), self._named(after)

    def _named(self, index: int) -> tuple[str, str] | None:
        if not 0 <= index < len(self._measured):
            return None
        revision = self.line[self._measured[index]]
        return revision.sha, revision.subject

    @cached_property
    def _measured(self) -> list[int]:
        """The places in the line of commits that have a run, ascending."""
        return sorted(place for sha, place in self.places.items() if sha in self.by_commit)

    def previous(self, card: RunCard) -> RunCard | None:
        """The run before this one in the same environment."""
        return self._previous[card.id]

    def rank(self, card: RunCard) -> int:
        """How many runs are newer."""
        return len(self.cards) - 1 - self._order[card.id]

    @cached_property
    def changes_at(self) -> Mapping[str, tuple[Change, ...]]:
        """The changes that begin or end at a run, by its id."""
        return _grouped((run, change) for change in self.all_changes for run in {change.before.run, change.after.run})

    @cached_property
    def changes_in(self) -> Mapping[str, tuple[Change, ...]]:
        """The changes that a commit may have made, by its hash."""
        return _grouped(
            (sha, change)
            for change in self.all_changes
            for sha in {change.after.commit, *(revision.sha for revision in change.commits)}
        )

    @cached_property
    def events_at(self) -> Mapping[str, tuple[Event, ...]]:
        """The events of a commit, by its hash."""
        return _grouped((event.commit, event) for event in self.events)

    @cached_property
    def upgrades_at(self) -> Mapping[str, tuple[DependencyChange, ...]]:
        """What changed in the packages with a run, by its id."""
        return {upgrade.run: upgrade.packages for upgrade in self.upgrades}

    @cached_property
    def commits(self) -> tuple[str, ...]:
        """The commits that have a page: those measured, and those that changes, events and the anchor name."""
        named = [event.commit for event in self.events] + ([self.anchor.commit] if self.anchor else [])
        baselines = [card.baseline.sha for card in self.cards if card.baseline]
        return tuple(dict.fromkeys(sha for sha in (*self.by_commit, *baselines, *self.changes_in, *named) if sha))

    @cached_property
    def _order(self) -> Mapping[str, int]:
        return {card.id: place for place, card in enumerate(self.cards)}

    @cached_property
    def _previous(self) -> Mapping[str, RunCard | None]:
        last: dict[str, RunCard] = {}
        found: dict[str, RunCard | None] = {}
        for card in self.cards:
            found[card.id] = last.get(card.fingerprint)
            last[card.fingerprint] = card
        return found


def _grouped(pairs: Iterable[tuple[str, T]]) -> Mapping[str, tuple[T, ...]]:
    found: dict[str, list[T]] = {}
    for key, value in pairs:
        found.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in found.items()}


def parse_published(text: str) -> Published:
    """Figures from TOML. Raises msgspec.DecodeError for what is not such a file."""
    return msgspec.toml.decode(text, type=Published)
