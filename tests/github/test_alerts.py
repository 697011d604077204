"""One issue for each open regression: opened, kept up to date, closed by itself, and none twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from scripts import config
from scripts.checkout import Revision
from scripts.github import alerts, alerts_text
from scripts.github.alerts import CLOSED_BY_ITSELF, LABEL
from scripts.github.client import Issue
from scripts.history import changes, findings, store
from scripts.history.changes import Changes
from scripts.history.series import gather
from scripts.model import Event, Run
from scripts.steps import alert, detect
from tests.factories import LABELS, RUNS, make_history
from tests.hosted.service import REPOSITORY, Service

SETTINGS = config.load()
GATES = SETTINGS.detect.worth_reporting
WORSE = {("fastapi", 6): 1.25}
BACK = {("fastapi", 6): 1.25, ("fastapi", 13): 0.8}


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


def find(line: Sequence[Revision], steps: dict[tuple[str, int], float], runs: int = RUNS, **more: object) -> Changes:
    """What `detect` finds in ``runs`` runs of as many commits, with 25% more time a request from a commit on."""
    recorded = [on_line(run, line) for run in make_history(range(runs), steps, levels=(10,))]
    series, left_out = gather(recorded, line, GATES)
    events: Sequence[Event] = more.get("events", ())  # type: ignore[assignment]
    return findings.find(series, line, SETTINGS.detect, events, recorded[-1].id, left_out)


def on_line(run: Run, line: Sequence[Revision]) -> Run:
    revision = line[int(run.commit.sha, 16)]
    commit = msgspec.structs.replace(run.commit, sha=revision.sha, subject=revision.subject)
    run_id = f"{run.id.partition('-')[0]}-{revision.sha[:7]}-000001"
    return msgspec.structs.replace(run, id=run_id, commit=commit)


@pytest.fixture
def tell(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Bring the issues up to date; what the step printed."""

    def run(found: Changes) -> str:
        path = tmp_path / "changes.json"
        path.write_bytes(changes.encode(found))
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_API_URL", service.url)
        monkeypatch.setenv("GITHUB_TOKEN", service.token({"issues": "write", "contents": "read"}))
        assert alert.main([str(path)]) == 0
        return capsys.readouterr().out

    return run


def test_an_issue_lives_as_long_as_its_regression(service: Service, tell, line: Sequence[Revision]) -> None:
    assert "no issue" in tell(find(line, WORSE, 7))
    assert "issue #1 opened" in tell(find(line, WORSE, 12))
    (issue,) = service.issues
    assert issue["title"].startswith("Regression in FastAPI: Throughput, 10 users -")
    assert {"name": LABEL} in issue["labels"]
    assert line[6].sha[:10] in issue["body"]
    assert "no issue" in tell(find(line, WORSE, 12)), "twice is once"
    tell(find(line, WORSE, RUNS))
    assert "issue #1 closed: recovered" in tell(find(line, BACK, RUNS))
    assert (len(service.issues), issue["state"], issue["state_reason"]) == (1, "closed", "completed")
    assert f"{CLOSED_BY_ITSELF}: the figures have recovered since `{line[13].sha[:10]}`" in issue["body"]
    assert "no issue" in tell(find(line, BACK, RUNS))


def test_an_accepted_event_ends_it(service: Service, tell, line: Sequence[Revision]) -> None:
    tell(find(line, WORSE))
    event = Event(commit=line[6].sha, kind="accepted", text="safer <b>and</b> @slower", backends=("fastapi",))
    assert "closed: accepted" in tell(find(line, WORSE, events=[event]))
    assert "accepted (safer \\<b\\>and\\</b\\>" in service.issues[0]["body"]
    assert "@slower" not in service.issues[0]["body"]


def test_what_later_runs_do_not_show_is_closed_and_opened_again(
    service: Service,
    tell,
    line: Sequence[Revision],
) -> None:
    tell(find(line, WORSE))
    assert "closed: vanished" in tell(find(line, {}))
    assert service.issues[0]["state_reason"] == "not_planned"
    assert "opened again" in tell(find(line, WORSE))
    assert service.issues[0]["state"] == "open"
    assert CLOSED_BY_ITSELF not in service.issues[0]["body"]
    assert len(service.issues) == 1


def test_an_issue_that_somebody_closed_stays_closed(service: Service, tell, line: Sequence[Revision]) -> None:
    tell(find(line, WORSE))
    service.issues[0]["state"] = "closed"
    assert "no issue" in tell(find(line, WORSE))
    assert (len(service.issues), service.issues[0]["state"]) == (1, "closed")


def test_issues_of_others_are_left_alone(service: Service, tell, line: Sequence[Revision]) -> None:
    (change,) = find(line, WORSE).changes
    body = alerts_text.body(change, LABELS)
    service.open_issue({"title": "x", "body": body, "labels": [LABEL]}, login="somebody")
    service.open_issue({"title": "x", "body": "by hand", "labels": [LABEL]})
    service.open_issue({"title": "x", "body": "<!-- benchmark change {} -->", "labels": [LABEL]})
    assert "issue #4 opened" in tell(find(line, WORSE))
    assert [issue["state"] for issue in service.issues] == ["open"] * 4


def test_each_regression_has_its_own(service: Service, tell, line: Sequence[Revision]) -> None:
    tell(find(line, {("fastapi", 6): 1.25, ("django_wsgi", 12): 1.3}))
    assert sorted(issue["title"].split(":")[0] for issue in service.issues) == [
        "Regression in Django WSGI",
        "Regression in FastAPI",
    ]


def test_the_same_regression_has_one(service: Service, tell, line: Sequence[Revision]) -> None:
    tell(find(line, WORSE))
    service.open_issue({**service.issues[0], "labels": [LABEL]})
    assert "issue #2 closed: duplicate" in tell(find(line, WORSE))
    assert [issue["state"] for issue in service.issues] == ["open", "closed"]


def test_improvements_the_environment_and_equal_code_alert_nobody(
    service: Service,
    tell,
    line: Sequence[Revision],
) -> None:
    assert "no issue" in tell(find(line, {("fastapi", 6): 0.7}))
    assert "no issue" in tell(find(line, {(name, 6): 1.3 for name in LABELS}))
    assert "no issue" in tell(find(line, {}))
    assert service.issues == []


def test_other_machines_are_not_compared(line: Sequence[Revision]) -> None:
    """A slower CPU model, or an image of another version, from one night on: no change, and nobody is alerted."""
    for field, value in (("cpu_model", "another CPU"), ("runner_image", "ubuntu26 20261101.1")):
        runs = [on_line(run, line) for run in make_history(range(RUNS), {(n, 10): 1.3 for n in LABELS}, levels=(10,))]
        moved = [
            msgspec.structs.replace(run, environment=msgspec.structs.replace(run.environment, **{field: value}))
            if number >= 10
            else run
            for number, run in enumerate(runs)
        ]
        series, left_out = gather(moved, line, GATES)
        found = findings.find(series, line, SETTINGS.detect, (), runs[-1].id, left_out)
        assert found.changes == (), field


def test_a_count_is_certain_at_once(line: Sequence[Revision]) -> None:
    runs = [
        on_line(run, line)
        for run in make_history(range(8), {}, levels=(10,), paired=True, statements={("fastapi", 7): 176})
    ]
    series, left_out = gather(runs, line, GATES)
    found = findings.find(series, line, SETTINGS.detect, (), runs[-1].id, left_out)
    (change,) = found.changes
    assert alerts.is_open(change, found, GATES)
    assert alerts_text.title(change, LABELS).startswith("Regression in FastAPI: Statements a request 168 -> 176 since")


def test_a_count_has_recovered_when_it_is_what_it_was(line: Sequence[Revision]) -> None:
    for last, is_open in ((168, False), (169, True)):
        steps = {("fastapi", 5): 176, ("fastapi", 7): last}
        runs = [on_line(run, line) for run in make_history(range(9), {}, levels=(10,), paired=True, statements=steps)]
        series, left_out = gather(runs, line, GATES)
        found = findings.find(series, line, SETTINGS.detect, (), runs[-1].id, left_out)
        assert alerts.is_open(found.changes[0], found, GATES) == is_open


def test_without_a_token_it_prints(
    tmp_path: Path, line: Sequence[Revision], capsys: pytest.CaptureFixture[str]
) -> None:
    for run in make_history(range(RUNS), WORSE, levels=(10,)):
        store.add(on_line(run, line), tmp_path / "history")
    output = tmp_path / "changes.json"
    assert detect.main(["--history", str(tmp_path / "history"), "--output", str(output)]) == 0
    capsys.readouterr()
    assert alert.main([str(output), "--print"]) == 0
    assert capsys.readouterr().out.startswith("Regression in FastAPI: Throughput, 10 users -")


def test_nothing_in_a_change_ends_the_hidden_line_or_is_markup(line: Sequence[Revision]) -> None:
    """Names and hashes come from records; the issue is found again by its first line."""
    steps = {("fastapi", 5): 176}
    runs = [on_line(run, line) for run in make_history(range(9), {}, levels=(10,), paired=True, statements=steps)]
    series, left_out = gather(runs, line, GATES)
    (change, *_) = findings.find(series, line, SETTINGS.detect, (), runs[-1].id, left_out).changes
    loud = "--> <b>`@all` #1\u202e\U0001f600\n::set-output name=a::b"
    replace = msgspec.structs.replace
    change = replace(change, backends=(loud,), after=replace(change.after, commit=loud))
    body = alerts_text.body(change, {loud: loud})
    first, rest = body.split("\n", 1)
    assert first.startswith("<!-- benchmark change {")
    assert first.endswith("} -->")
    assert first.isascii()
    assert first.count("-->") == 1
    assert "<b>" not in rest.replace("\\<b\\>", "").replace("`--> <b>'@a`", "")
    assert "\u202e" not in body
    issue = Issue(number=1, title="", state="open", body=body, user=None)
    assert alerts.read_place(issue) == alerts.place_of(change)
