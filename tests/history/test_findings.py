"""One real change is one finding, dated, sized and blamed rightly; nothing is found where nothing changed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from rich.console import Console

from scripts import config
from scripts.checkout import Revision
from scripts.history.changes import Cause, Change, Changes, Tier, decode, encode
from scripts.history.findings import find
from scripts.history.series import gather
from scripts.history.text import headline, notes_on, render
from scripts.model import Event, PipelineError, Run
from tests.factories import LABELS, make_history, make_line

TERMS = config.load().detect


def judge(runs: Sequence[Run], line: Sequence[Revision], events: Sequence[Event] = ()) -> Changes:
    series, left_out = gather(runs, line, TERMS.worth_reporting)
    return find(series, line, TERMS, events, max(run.id for run in runs), left_out)


def only(found: Changes) -> Change:
    (change,) = found.changes
    return change


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("paired", [False, True])
def test_nothing_changed(paired: bool, seed: int) -> None:
    found = judge(make_history(range(24), {}, seed=seed, paired=paired), make_line(24))
    assert found.changes == ()
    assert "Nothing has to be done" in headline(found)


@pytest.mark.parametrize("paired", [False, True])
def test_a_change_is_one_finding_with_its_size_and_commit(paired: bool) -> None:
    runs = make_history(range(24), {("django_wsgi", 14): 1.2}, paired=paired)
    change = only(judge(runs, make_line(24)))
    assert change.backends == ("django_wsgi",)
    assert change.cause is Cause.CODE
    assert change.tier is Tier.WORTH_REPORTING
    assert change.alert
    assert change.confidence >= 0.99
    assert [revision.subject for revision in change.commits] == ["Change 14"]
    assert (change.before.position, change.after.position) == (13, 14)
    assert change.after.run == runs[14].id
    assert (change.shown[0].metric, change.shown[0].levels) == ("throughput_rps", (10, 50))
    for shown in change.shown[:3]:
        assert shown.ratio
        assert shown.low
        assert shown.high
        expected = 1 / 1.2 if shown.metric == "throughput_rps" else 1.2
        assert shown.low * 0.99 < expected < shown.high * 1.01
        assert not shown.better
    assert {shown.metric for shown in change.shown} >= {"throughput_rps", "cpu_ms_per_request", "latency_p95_ms"}
    assert {shown.levels for shown in change.shown} == {(10, 50), (10,), (50,)}


def test_two_frames_are_one_finding() -> None:
    steps = {("fastapi", 12): 1.15}
    runs = make_history(range(24), steps) + make_history(range(24), steps, seed=2, paired=True)
    change = only(judge(sorted(runs, key=lambda run: run.id), make_line(24)))
    assert {bool(shown.baseline) for shown in change.shown} == {True, False}


def test_what_every_backend_shows_is_the_environments() -> None:
    runs = make_history(range(24), {(name, 12): 1.2 for name in LABELS})
    change = only(judge(runs, make_line(24)))
    assert change.cause is Cause.ENVIRONMENT
    assert set(change.backends) == set(LABELS)
    assert change.commits == ()
    assert not change.alert
    assert "no commit" in notes_on(change)[0]


def test_a_commit_that_reaches_everybody_explains_ratios() -> None:
    steps = {(name, 12): 1.2 for name in LABELS}
    found = judge(make_history(range(24), steps, paired=True), make_line(24))
    assert {change.cause for change in found.changes} == {Cause.CODE}
    assert {change.backends for change in found.changes} == {(name,) for name in LABELS}
    nobody = make_line(24, {12: ()})
    assert only(judge(make_history(range(24), steps, paired=True), nobody)).cause is Cause.ENVIRONMENT


def test_a_regression_beside_a_change_of_the_environment() -> None:
    """The environment at 6 and the code at 16: the first is nobody's, the second is somebody's."""
    steps = {(name, 6): 0.8 for name in LABELS} | {("fastapi", 16): 1.15}
    found = judge(make_history(range(24), steps), make_line(24))
    assert [(change.cause, change.after.position) for change in found.changes] == [
        (Cause.ENVIRONMENT, 6),
        (Cause.CODE, 16),
    ]


def test_what_no_commit_reaches_is_blamed_on_none() -> None:
    line = make_line(24, dict.fromkeys(range(24), ("fastapi",)))
    change = only(judge(make_history(range(24), {("django_asgi", 12): 1.2}), line))
    assert (change.cause, change.commits) == (Cause.UNEXPLAINED, ())


def test_a_count_is_certain_at_once() -> None:
    runs = make_history([0, 1, 2, 3], {}, statements={("django_asgi", 3): 176})
    change = only(judge(runs, make_line(4)))
    assert change.confidence == 1
    assert change.tier is Tier.WORTH_REPORTING
    assert (change.shown[0].before, change.shown[0].after, change.shown[0].low) == (168, 176, None)
    assert change.alert


def test_a_count_and_what_it_costs_are_one_finding() -> None:
    runs = make_history(range(24), {("django_asgi", 12): 1.2}, statements={("django_asgi", 12): 176})
    change = only(judge(runs, make_line(24)))
    assert change.confidence == 1
    assert {shown.metric for shown in change.shown} >= {"statements_per_request", "throughput_rps"}


def test_neighbouring_commits_with_several_runs_each_are_told_apart() -> None:
    """As the parity fixes are: commit after commit, five runs of each, measured round after round."""
    steps = {("django_asgi", 1): 1.3, ("django_asgi", 2): 1.4, ("django_asgi", 3): 0.7, ("django_asgi", 4): 0.6}
    runs = make_history([place for _ in range(5) for place in range(6)], steps, paired=True, levels=(10,))
    found = judge(runs, make_line(6))
    assert [[c.subject for c in change.commits] for change in found.changes] == [
        [f"Change {place}"] for place in (1, 2, 3, 4)
    ]
    assert [change.worse for change in found.changes] == [True, True, False, False]


def test_small_but_sure_is_detected_and_alerts_nobody() -> None:
    places = [place for place in range(10) for _ in range(4)]
    change = only(judge(make_history(places, {("fastapi", 5): 1.02}, paired=True, levels=(10,)), make_line(10)))
    assert change.tier is Tier.DETECTED
    assert not change.alert
    assert not change.shown[0].better


def test_what_became_worse_is_not_hidden_by_what_became_better() -> None:
    """A request of fewer statements that costs more, and one that costs less at the price of a statement."""
    for factor, statements in ((1.2, 160), (0.8, 176)):
        runs = make_history(range(24), {("fastapi", 12): factor}, statements={("fastapi", 12): statements})
        change = only(judge(runs, make_line(24)))
        assert {shown.better for shown in change.shown if shown.tier} == {True, False}
        assert change.alert


def test_an_accepted_event_ends_the_alert() -> None:
    runs = make_history(range(24), {("django_wsgi", 14): 1.2})
    for backend, accepted in (("django_wsgi", True), ("fastapi", False)):
        event = Event(commit=f"{14:040x}", kind="accepted", text="known", backends=(backend,))
        elsewhere = msgspec.structs.replace(event, commit=f"{3:040x}")
        change = only(judge(runs, make_line(24), [event, elsewhere]))
        assert change.accepted is accepted
        assert change.alert is not accepted
        assert change.events == ((event,) if accepted else ())


def test_findings_are_stable_while_runs_arrive() -> None:
    """Run by run, without looking ahead: a change is said a few runs after it happened, and then stays."""
    steps = {("django_wsgi", 10): 1.2, ("fastapi", 20): 1 / 1.15}
    runs, line = make_history(range(30), steps, levels=(10,)), make_line(30)
    first: dict[str, int] = {}
    for number in range(1, len(runs) + 1):
        seen = {change.backends[0]: change for change in judge(runs[:number], line).changes}
        assert len(seen) == len(judge(runs[:number], line).changes), "never the same twice"
        for backend in first:
            assert backend in seen, f"{backend} at run {number}: what was said is taken back"
        for backend, change in seen.items():
            true = {"django_wsgi": 10, "fastapi": 20}[backend]
            assert change.before.position < true <= change.after.position
            first.setdefault(backend, number)
    assert 10 < first["django_wsgi"] <= 16
    assert 20 < first["fastapi"] <= 26


def test_changes_json_reads_back_and_is_checked() -> None:
    found = judge(make_history(range(24), {("django_wsgi", 14): 1.2}), make_line(24))
    data = encode(found)
    assert decode(data, "changes.json") == found
    for wrong, words in (
        (b"{}", "missing required field `schema_version`"),
        (b"{", "not valid changes"),
        (data.replace(b'"schema_version": 1', b'"schema_version": 9'), "schema_version 9, this version reads 1"),
        (data.replace(b'"cause": "code"', b'"cause": "moon"'), "Invalid enum value 'moon'"),
    ):
        with pytest.raises(PipelineError, match=words):
            decode(wrong, "changes.json")


def test_the_table_has_a_row_for_each_change() -> None:
    found = judge(make_history(range(24), {("django_wsgi", 14): 1.2}), make_line(24))
    console = Console(width=200, record=True)
    console.print(render(found, LABELS))
    text = console.export_text()
    assert "Django WSGI" in text
    assert "0000000 Change 14" in text
    assert "1 change in 24 runs. 1 change to look at." in text
