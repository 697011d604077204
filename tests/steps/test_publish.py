"""From the event of a finished run to the one comment, with what the run has left treated as hostile."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts.github import artifact
from scripts.model import PipelineError
from scripts.steps import publish
from scripts.verdict import decision, decision_text
from scripts.verdict.decision import Decision
from scripts.verdict.text import MARKER
from tests.github.test_artifact import linked
from tests.hosted.service import REPOSITORY, ROBOT, Service, zipped
from tests.verdict.test_decision import BAD, GOOD, decide, document, hostile

SHA = "c" * 40
RUN = 71
PERMISSIONS = {"actions": "read", "pull-requests": "write", "contents": "read"}
Publish = Callable[..., str]


def about(made: Decision, sha: str = SHA) -> Decision:
    """The decision, of another candidate."""

    def moved(verdict: Any) -> Any:
        return verdict and msgspec.structs.replace(
            verdict, candidate=msgspec.structs.replace(verdict.candidate, sha=sha)
        )

    return msgspec.structs.replace(made, first=moved(made.first), second=moved(made.second))


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


@pytest.fixture
def comment(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Publish:
    """Publish what a run says; what the step printed."""

    def run(owner: str = "fork", branch: str = "feature", **changes: Any) -> str:
        repo = {"full_name": f"{owner}/project", "owner": {"login": owner}}
        event = {
            "id": RUN,
            "run_attempt": 1,
            "event": "pull_request",
            "conclusion": "success",
            "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{RUN}",
            "head_sha": SHA,
            "head_branch": branch,
            "head_repository": repo,
            "pull_requests": [],
        }
        path = tmp_path / "event.json"
        path.write_text(json.dumps({"action": "completed", "workflow_run": event | changes}))
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(path))
        monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
        monkeypatch.setenv("GITHUB_API_URL", service.url)
        monkeypatch.setenv("GITHUB_TOKEN", service.token(PERMISSIONS))
        assert publish.main([]) == 0
        return capsys.readouterr().out

    return run


def upload(service: Service, made: Decision | None = None, **changes: Any) -> None:
    data = decision.encode(made or about(decide(BAD, BAD)))
    service.add_artifact(RUN, changes.pop("name", "decision-1"), {decision.FILE: data}, **changes)


def texts(service: Service, number: int = 7) -> list[str]:
    return [comment["body"] for comment in service.comments.get(number, [])]


def test_one_comment_is_written_and_then_written_over(service: Service, comment: Publish) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    upload(service)
    assert "written" in comment()
    assert texts(service) == [decision_text.render(about(decide(BAD, BAD)))]
    assert "says so already" in comment()
    service.artifacts.clear()
    upload(service, about(decide(GOOD)))
    assert "updated" in comment()
    assert texts(service) == [decision_text.render(about(decide(GOOD)))]


def test_it_is_found_among_hundreds_and_others_markers_are_left_alone(service: Service, comment: Publish) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    upload(service)
    for number in range(120):
        service.comment(7, f"{MARKER}\nI am the robot {number}", login=f"somebody{number}")
    own = service.comment(7, f"{MARKER}\nold")
    service.comment(7, "the robot on another matter", login=ROBOT)
    assert f"comment {own['id']} updated" in comment()
    assert len(texts(service)) == 122
    assert sum("Regression" in text for text in texts(service)) == 1


def test_a_change_that_reaches_nothing_begins_no_conversation(service: Service, comment: Publish) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    nothing = about(decide(msgspec.structs.replace(GOOD, backends=())))
    upload(service, nothing)
    assert "nothing to say" in comment()
    assert texts(service) == []
    service.comment(7, f"{MARKER}\nRegression")
    comment()
    assert texts(service) == [decision_text.render(nothing)], "what was said before is not left standing"


ODD = ["patch/über-1", "a#b?c=d&e", "-rf", "x" * 200, "a b%20c"]


@pytest.mark.parametrize("branch", ODD)
def test_branches_have_odd_names(service: Service, comment: Publish, branch: str) -> None:
    service.open_pull(7, "fork", branch, SHA)
    service.open_pull(8, "fork", "main", SHA)
    upload(service)
    assert "written" in comment(branch=branch)
    assert len(texts(service)) == 1
    assert texts(service, 8) == []


def no_pull(_: Service) -> dict[str, Any]:
    return {}


def several(service: Service) -> dict[str, Any]:
    service.open_pull(7, "fork", "feature", SHA)
    service.open_pull(8, "fork", "feature", SHA)
    return {"display_title": "#9 neither"}


def closed(service: Service) -> dict[str, Any]:
    service.open_pull(7, "fork", "feature", SHA, state="closed")
    return {}


def moved_on(service: Service) -> dict[str, Any]:
    service.open_pull(7, "fork", "feature", "d" * 40)
    return {}


def deleted(service: Service) -> dict[str, Any]:
    service.open_pull(7, "fork", "feature", SHA)["head"]["repo"] = None
    return {"head_repository": None}


def head_without_repository(service: Service) -> dict[str, Any]:
    service.open_pull(7, "fork", "feature", SHA)["head"]["repo"] = None
    return {}


def other_fork(service: Service) -> dict[str, Any]:
    pull = service.open_pull(7, "fork", "feature", SHA)
    pull["head"]["repo"] = {**pull["head"]["repo"], "full_name": "fork/another-project"}
    return {}


def pushed(service: Service) -> dict[str, Any]:
    service.open_pull(7, "fork", "feature", SHA)
    return {"event": "push"}


@pytest.mark.parametrize(
    "prepare", [no_pull, several, closed, moved_on, deleted, head_without_repository, other_fork, pushed]
)
def test_without_just_one_open_pull_request_it_stops_quietly(
    service: Service, comment: Publish, prepare: Callable[[Service], dict[str, Any]]
) -> None:
    upload(service)
    assert "no open pull request" in comment(**prepare(service))
    assert texts(service) == texts(service, 8) == []


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out", "startup_failure"])
def test_a_run_that_left_nothing_is_told_honestly(service: Service, comment: Publish, conclusion: str) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    comment(conclusion=conclusion)
    assert texts(service) == [
        decision_text.render_failure(conclusion, f"https://github.com/{REPOSITORY}/actions/runs/{RUN}")
    ]


@pytest.mark.parametrize("conclusion", ["action_required", "skipped", "neutral", "stale"])
def test_a_run_that_has_not_measured_leaves_what_there_is_to_read(
    service: Service, comment: Publish, conclusion: str
) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    assert "has nothing to say" in comment(conclusion=conclusion)
    assert texts(service) == []
    service.comment(7, f"{MARKER}\nold")
    comment(conclusion=conclusion)
    assert texts(service) == [f"{MARKER}\nold"]


FOLLOWERS: Mapping[str, tuple[bool, dict[str, Any]]] = {
    "a newer run": (True, {"run": RUN + 1}),
    "its own next attempt": (True, {"run_attempt": 2}),
    "itself": (False, {}),
    "an older run": (False, {"run": RUN - 1}),
    "another commit's": (False, {"run": RUN + 1, "head_sha": "d" * 40}),
    "another pull request's": (False, {"run": RUN + 1, "display_title": "#8 Change"}),
    "another workflow's": (False, {"run": RUN + 1, "workflow_id": 2}),
}


@pytest.mark.parametrize("other", FOLLOWERS)
def test_a_run_that_is_cancelled_for_a_newer_one_says_nothing(service: Service, comment: Publish, other: str) -> None:
    follows, changes = FOLLOWERS[other]
    service.open_pull(7, "fork", "feature", SHA)
    known: dict[str, Any] = {
        "run": RUN,
        "event": "pull_request",
        "head_sha": SHA,
        "display_title": "#7 New title",
        "workflow_id": 1,
    }
    service.add_run(**known)
    service.add_run(**(known | changes))
    comment(conclusion="cancelled", display_title="#7 Change", workflow_id=1)
    assert len(texts(service)) == (0 if follows else 1)


def test_each_of_two_pull_requests_of_one_branch_gets_its_own(service: Service, comment: Publish) -> None:
    several(service)
    upload(service)
    comment(display_title="#8 To the release", conclusion="success")
    assert (len(texts(service, 7)), len(texts(service, 8))) == (0, 1)
    service.artifacts.clear()
    comment(display_title="#7 To main", conclusion="failure")
    assert "before it had a verdict" in texts(service, 7)[0]
    assert "Regression" in texts(service, 8)[0]


@pytest.mark.parametrize("title", ["#70 x", "#7777777777777777777 x", "no number", "# 7", "x #7", ""])
def test_a_title_that_names_none_of_several_chooses_none(service: Service, comment: Publish, title: str) -> None:
    several(service)
    upload(service)
    assert "no open pull request" in comment(display_title=title)
    assert texts(service, 7) == texts(service, 8) == []


def test_a_title_cannot_hide_a_pull_request_that_is_alone(service: Service, comment: Publish) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    service.comment(7, f"{MARKER}\nold")
    upload(service)
    assert "updated" in comment(display_title="#9 elsewhere")


def test_a_title_cannot_choose_another_branchs_pull_request(service: Service, comment: Publish) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    service.open_pull(8, "somebody", "feature", SHA)
    upload(service)
    comment(display_title="#8 mine")
    assert (len(texts(service, 7)), len(texts(service, 8))) == (1, 0)


def test_the_decision_of_an_earlier_attempt_is_found_where_only_other_jobs_were_run_again(
    service: Service, comment: Publish
) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    upload(service)
    comment(run_attempt=3)
    assert "Regression" in texts(service)[0]


FIRST = msgspec.to_builtins(about(decide(BAD)).first)


def record(**changes: Any) -> bytes:
    """A decision about this commit whose first verdict's first backend has other values."""
    backend = FIRST["backends"][0] | changes
    return zipped({decision.FILE: document(first=FIRST | {"backends": [backend]}, second=None)})


def findings(**changes: Any) -> list[dict[str, Any]]:
    first, *rest = FIRST["backends"][0]["findings"]
    return [first | changes, *rest]


def compressed(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(decision.FILE, GOOD_RECORD)
    return buffer.getvalue()


GOOD_RECORD = decision.encode(about(decide(BAD, BAD)))
HOSTILE: Mapping[str, bytes] = {
    "no archive": b"<html>",
    "link": linked("/proc/self/environ"),
    "path": zipped({f"../{decision.FILE}": GOOD_RECORD}),
    "more files": zipped({decision.FILE: GOOD_RECORD, "payload.sh": b"#!/bin/sh"}),
    "bomb": zipped({decision.FILE: b"\0" * (artifact.FILE_LIMIT + 1)}),
    "metric": record(findings=findings(metric="x")),
    "level": record(findings=findings(level=999)),
    "interval": record(findings=findings(low=5.0)),
    "size": record(findings=findings(high=1e300)),
    "backend that is not here": record(backend="my_backend"),
    "backend's name": record(backend="@everyone"),
    "label": record(label="x" * 10_000),
    "nothing shown": record(findings=[]),
    "nested": zipped({decision.FILE: b'{"first":' * 100_000}),
    "lzma": compressed(zipfile.ZIP_LZMA),
    "bzip2": compressed(zipfile.ZIP_BZIP2),
    "no JSON": zipped({decision.FILE: b"::set-env name=PATH::/tmp\n"}),
    "NaN": zipped({decision.FILE: document().replace(b'"wall_s":', b'"wall_s":NaN,"x":')}),
    "a million rows": zipped({decision.FILE: document(accepted=[{"backend": "a", "by": "label", "text": ""}] * 10**5)}),
    "other commit": zipped({decision.FILE: decision.encode(about(decide(BAD, BAD), "d" * 40))}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_record_is_not_shown(service: Service, comment: Publish, what: str) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    service.add_artifact(RUN, "decision-1", HOSTILE[what])
    service.comment(7, f"{MARKER}\nwhat an earlier run said")
    printed = comment()
    (text,) = texts(service)
    said = "**The benchmark ended (success) before it had a verdict that could be read: nothing can be said.**"
    assert text.splitlines()[:2] == [MARKER, said]
    assert "What it left was refused: " in text
    assert "@everyone" not in text
    assert len(text) < 1_000
    assert not any(line.startswith("::") for line in printed.splitlines())


def test_a_backend_of_the_change_is_named(service: Service, comment: Publish) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    service.add_artifact(RUN, "decision-1", HOSTILE["backend that is not here"])
    comment()
    assert "refused: the record has a backend my\\_backend, which bench.toml here has not" in texts(service)[0]


def test_a_fault_of_ours_leaves_no_old_comment_either(
    service: Service, comment: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    service.comment(7, f"{MARKER}\nwhat an earlier run said")
    upload(service)
    monkeypatch.setattr(decision_text, "render", lambda made: {"x": ""}[made.first.outcome.value])
    with pytest.raises(KeyError):
        comment()
    assert "before it had a verdict" in texts(service)[0]


def test_an_oversized_record_is_not_even_fetched(service: Service, comment: Publish) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    upload(service, size_in_bytes=artifact.ARCHIVE_LIMIT + 1)
    comment()
    assert "before it had a verdict" in texts(service)[0]
    assert not any(line.startswith("BLOB") for line in service.log)


EXPIRED, LATER, UNFINISHED = {"expired": True}, {"name": "decision-3"}, {"made": decide(None)}


@pytest.mark.parametrize("changes", [EXPIRED, LATER, UNFINISHED])
def test_a_record_that_is_expired_or_later_or_earlier_without_a_verdict_does_not_count(
    service: Service, comment: Publish, changes: dict[str, Any]
) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    upload(service, **changes)
    comment(run_attempt=2)
    assert "before it had a verdict" in texts(service)[0]


def test_hostile_texts_arrive_escaped(service: Service, comment: Publish) -> None:
    service.open_pull(7, "fork", "feature", SHA)
    upload(service, about(hostile()))
    comment()
    (text,) = texts(service)
    assert "@everyone" not in "".join(line for line in text.splitlines() if not line.startswith("    "))


def test_nothing_is_written_where_github_itself_does_not_answer(
    service: Service, comment: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.github.client.BACKOFF_S", 0.0)
    service.open_pull(7, "fork", "feature", SHA)
    good = service.comment(7, f"{MARKER}\ngood")
    service.fail_next = [(500, {}, False)] * 20
    with pytest.raises(PipelineError, match="500"):
        comment()
    assert good["body"] == f"{MARKER}\ngood"


def test_nothing_of_the_record_reaches_the_runner(
    service: Service, comment: Publish, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, str(tmp_path / name))
    service.open_pull(7, "fork", "feature", SHA)
    upload(service, about(hostile()))
    comment()
    assert [(tmp_path / name).read_text() for name in ("GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH")] == ["", "", ""]
