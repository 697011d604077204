"""Catalogs of made-up histories, with the changes that are really found in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from scripts import config
from scripts.history.events import Anchor
from scripts.history.findings import find
from scripts.history.series import gather
from scripts.model import Event, Run
from scripts.pages.cards import card_of, upgrades_of
from scripts.pages.catalog import Catalog, Published
from scripts.pages.shell import Shell
from tests.factories import LABELS, make_line

CONFIG = config.load()
SHELL = Shell(title="Benchmark", repository="https://example.org/bench", backends=LABELS)
STUDY = Published(
    title="A study",
    published=date(2025, 9, 22),
    endpoints_per_cycle=4,
    levels=(10, 50),
    throughput_rps={"fastapi": (400.0, 360.0), "django_wsgi": (100.0, 90.0)},
    error_percent={},
    statements_per_request={"fastapi": 216, "django_wsgi": 296},
)
ANCHOR = Anchor(commit="b" * 40, reason="all do equal work")


def make_catalog(
    runs: Sequence[Run],
    events: Sequence[Event] = (),
    *,
    studies: tuple[Published, ...] = (),
    damaged: Sequence[str] = (),
) -> Catalog:
    """The catalog of runs of the commits of `make_line`."""
    cards = tuple(card_of(run) for run in runs)
    line = make_line(100)
    series, left_out = gather(runs, line, CONFIG.detect.worth_reporting)
    return Catalog(
        config=CONFIG,
        cards=cards,
        labels=LABELS,
        line=tuple(line),
        changes=find(series, line, CONFIG.detect, events, runs[-1].id, left_out) if runs else None,
        events=tuple(events),
        anchor=ANCHOR,
        published=studies,
        upgrades=upgrades_of(cards),
        damaged=tuple(damaged),
    )
