"""What a trend is marked with: the runs that marks stand at, and whose they are."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from scripts import config
from scripts.history.findings import find
from scripts.history.series import gather
from scripts.model import Event, Run
from scripts.pages.cards import card_of, upgrades_of
from scripts.pages.catalog import Catalog
from scripts.pages.marks import KINDS, Mark, marks_of, numbered
from tests.factories import LABELS, make_history, make_line

CONFIG = config.load()
RUNS = 20
LINE = make_line(RUNS + 2)


def event(place: int, text: str = "noted", *backends: str) -> Event:
    return Event(commit=f"{place:040x}", kind="fix", text=text, backends=backends)


def catalog(runs: Sequence[Run], events: Sequence[Event] = ()) -> Catalog:
    series, left_out = gather(runs, LINE, CONFIG.detect.worth_reporting)
    cards = tuple(card_of(run) for run in runs)
    return Catalog(
        config=CONFIG,
        cards=cards,
        labels=LABELS,
        line=tuple(LINE),
        changes=find(series, LINE, CONFIG.detect, events, runs[-1].id, left_out),
        events=tuple(events),
        upgrades=upgrades_of(cards),
    )


def moved(run: Run, python: str) -> Run:
    return msgspec.structs.replace(run, environment=msgspec.structs.replace(run.environment, python=python))


def only(catalog: Catalog, backend: str = "fastapi") -> Mark:
    (mark,) = marks_of(catalog, backend)
    return mark


@pytest.mark.parametrize(("factor", "kind"), [(1.25, "worse"), (0.8, "better")])
def test_change_stands_between_the_runs_that_show_it(factor, kind):
    found = catalog(make_history(range(RUNS), {("fastapi", 12): factor}))
    mark = only(found)
    assert (mark.kind, mark.before, mark.run) == (kind, 11, 12)
    assert mark.link == ("changes.html", found.all_changes[0].id)
    assert "Throughput, all users" in mark.title
    assert mark.lines[0].endswith("Change 12")
    assert marks_of(found, "django_wsgi") == ()


def test_event_stands_at_the_first_run_of_its_commit_or_after_it():
    """Runs of commits 0, 5, 10 and 15, the last measured first."""
    runs = make_history([15, 0, 5, 10], {})
    marks = marks_of(catalog(runs, [event(5), event(6), event(11), event(16)]), "fastapi")
    assert [mark.run for mark in marks] == [0, 2, 3, None]
    assert marks[1].link == (f"commit/{5:040x}.html", "")


def test_event_of_another_backend_is_not_a_mark():
    runs = make_history(range(3), {})
    found = catalog(
        runs, [event(1, "theirs", "django_asgi"), event(1, "ours", "fastapi", "django_wsgi"), event(1, "all")]
    )
    assert {mark.title for mark in marks_of(found, "fastapi")} == {"ours", "all"}


def test_dependency_is_marked_where_a_run_has_it_first():
    before, after = make_history(range(2), {})
    after = msgspec.structs.replace(after, packages=after.packages | {"fastapi": {"fastapi": "0.166.0"}})
    mark = only(catalog([before, after]))
    assert (mark.kind, mark.run, mark.title) == ("dependency", 1, "fastapi 0.165.0 -> 0.166.0")


def test_environment_is_marked_where_it_begins_only():
    runs = make_history(range(5), {})
    runs = [
        moved(run, python) for run, python in zip(runs, ("3.11.7", "3.12.1", "3.11.7", "3.12.1", "3.13.0"), strict=True)
    ]
    found = catalog(runs)
    marks = marks_of(found, "fastapi")
    assert [(mark.kind, mark.run) for mark in marks] == [("environment", 1), ("environment", 4)]
    assert [mark.lines for mark in marks] == [("python: 3.11.7 -> 3.12.1",), ("python: 3.12.1 -> 3.13.0",)]
    assert list(numbered(found).values()) == [1, 2, 3]
    assert list(numbered(found)) == list(found.environments)


def test_every_kind_has_a_name():
    assert {"worse", "better", "event", "dependency", "environment"} == KINDS.keys()
