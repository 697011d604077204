"""The client of GitHub's interface against a server that answers as documented, and fails as the real one may."""

from __future__ import annotations

import random
from collections.abc import Iterator

import httpx
import pytest

from scripts.github.client import ATTEMPTS, ROBOT, GitHub, rate_limited_s
from scripts.model import PipelineError
from tests.hosted.service import REPOSITORY, Service

MARKER = "<!-- marker -->"
EVERYTHING = {"pull-requests": "write", "issues": "write", "actions": "read"}
NOW = 1_800_000_000.0


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as service:
        yield service


class Clock:
    def __init__(self) -> None:
        self.waits: list[float] = []
        self.said: list[str] = []


@pytest.fixture
def clock() -> Clock:
    return Clock()


def open_github(service: Service, clock: Clock, **permissions: str) -> GitHub:
    token = service.token(permissions or EVERYTHING)
    return GitHub(
        REPOSITORY,
        token,
        service.url,
        say=clock.said.append,
        sleep=clock.waits.append,
        now=lambda: NOW,
        chance=random.Random(1),
    )


@pytest.fixture
def github(service: Service, clock: Clock) -> Iterator[GitHub]:
    with open_github(service, clock) as github:
        yield github


def test_a_comment_among_hundreds_is_found(service: Service, github: GitHub) -> None:
    for number in range(250):
        service.comment(7, f"comment {number}", login="somebody")
    own = service.comment(7, f"{MARKER}\nours")
    service.comment(7, f"{MARKER}\nlater")
    found = github.own_comment(7, MARKER)
    assert found
    assert found.id == own["id"]
    assert sum("/comments" in line for line in service.log) == 3, "100 a page"


def test_a_marker_of_somebody_else_is_ignored(service: Service, github: GitHub) -> None:
    service.comment(7, f"{MARKER}\nnot ours", login="somebody")
    service.comment(7, f"As the robot says: {MARKER}", login=ROBOT)
    service.comments[7].append({"id": 5, "body": f"{MARKER}\ndeleted account", "user": None})
    service.comments[7].append({"id": 6, "body": None, "user": {"login": ROBOT}})
    assert github.own_comment(7, MARKER) is None


def test_pulls_are_asked_for_by_their_head(service: Service, github: GitHub) -> None:
    service.open_pull(1, "fork", "feature/ä #1", "a" * 40)
    service.open_pull(2, "other", "feature/ä #1", "a" * 40)
    service.open_pull(3, "fork", "feature/ä #1", "a" * 40, state="closed")
    assert [pull.number for pull in github.pulls("fork", "feature/ä #1")] == [1]


@pytest.mark.parametrize("status", [500, 502, 503])
def test_what_may_pass_is_tried_again_with_growing_waits(
    service: Service, github: GitHub, clock: Clock, status: int
) -> None:
    service.fail_next = [(status, {}, False)] * 3
    assert github.labels(7) == []
    assert len(clock.waits) == 3
    assert 0 < clock.waits[0] < clock.waits[1] < clock.waits[2] < 10
    assert f"{status} Something went wrong; again in" in clock.said[0]


def test_it_ends(service: Service, github: GitHub, clock: Clock) -> None:
    service.fail_next = [(500, {}, False)] * 20
    with pytest.raises(PipelineError, match="500 Something went wrong"):
        github.labels(7)
    assert len(clock.waits) == ATTEMPTS - 1


def test_a_server_that_is_not_there(service: Service, clock: Clock) -> None:
    github = GitHub(REPOSITORY, "x", "http://127.0.0.1:9", say=clock.said.append, sleep=clock.waits.append)
    with pytest.raises(PipelineError, match="GitHub: "):
        github.labels(7)
    assert len(clock.waits) == ATTEMPTS - 1


@pytest.mark.parametrize(
    ("status", "headers", "wait_s"),
    [
        (429, {"retry-after": "7"}, 7.0),
        (403, {"retry-after": "7"}, 7.0),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 40)}, 41.0),
        (403, {"message": "You have exceeded a secondary rate limit"}, 60.0),
        (429, {}, 60.0),
    ],
)
def test_rate_limits_say_how_long(
    service: Service, github: GitHub, clock: Clock, status: int, headers: dict[str, str], wait_s: float
) -> None:
    service.fail_next = [(status, headers, False)]
    assert github.labels(7) == []
    assert clock.waits == [wait_s]


def test_a_limit_for_too_long_is_an_error_at_once(service: Service, github: GitHub, clock: Clock) -> None:
    service.fail_next = [(403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW) + 3000)}, False)]
    with pytest.raises(PipelineError, match="403"):
        github.labels(7)
    assert clock.waits == []


def test_a_missing_permission_is_no_limit(service: Service, clock: Clock) -> None:
    with open_github(service, clock, contents="read") as github:
        with pytest.raises(PipelineError, match="403 Resource not accessible by integration") as caught:
            github.create_comment(7, "x", MARKER)
        assert "permissions" in caught.value.hint
    assert clock.waits == []
    answer = httpx.Response(403, json={"message": "Resource not accessible by integration"})
    assert rate_limited_s(answer, NOW) is None


@pytest.mark.parametrize("carried_out", [True, False])
def test_nothing_is_created_twice(service: Service, github: GitHub, carried_out: bool) -> None:
    """The answer is lost; the comment, or the issue, may be there all the same."""
    service.fail_next = [(502, {}, carried_out)]
    number = github.create_comment(7, f"{MARKER}\ntext", MARKER)
    assert [comment["id"] for comment in service.comments[7]] == [number]
    service.fail_next = [(502, {}, carried_out)]
    assert github.create_issue("title", "body", "benchmark") == 1
    assert len(service.issues) == 1


def test_issues_are_ours_alone(service: Service, github: GitHub) -> None:
    service.open_issue({"title": "a", "body": "b", "labels": ["benchmark"]}, login="somebody")
    own = service.open_issue({"title": "a", "body": "b", "labels": ["benchmark"]})
    service.open_issue({"title": "a", "body": "b", "labels": ["other"]})
    github.update_issue(own["number"], state="closed", state_reason="completed")
    assert [(issue.number, issue.state) for issue in github.own_issues("benchmark")] == [(own["number"], "closed")]


def test_a_download_leaves_the_token_behind_and_is_bounded(service: Service, github: GitHub) -> None:
    artifact = service.add_artifact(9, "data", b"x" * 1000, size_in_bytes=1)
    assert github.download(artifact["id"], 1000) == b"x" * 1000
    assert github.download(artifact["id"], 999) is None
    assert f"BLOB /{artifact['id']}" in service.log, "without a token"


def test_a_page_elsewhere_is_not_asked_for(service: Service, github: GitHub) -> None:
    service._paged = lambda *_: (200, {"Link": '<http://127.0.0.2:1/x>; rel="next"'}, [])  # type: ignore[method-assign]
    with pytest.raises(PipelineError, match="the next page is elsewhere"):
        github.labels(7)


def test_what_the_environment_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_TOKEN", raising=False)
    monkeypatch.setenv("GITHUB_REPOSITORY", REPOSITORY)
    with pytest.raises(PipelineError, match="GITHUB_TOKEN not set"):
        GitHub.here()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'"x"', b"\xff", b"[" * 100_000, b'{"artifacts": {"x": 1}}'])
def test_an_answer_that_is_none_is_an_error_of_ours(content: bytes, clock: Clock, service: Service) -> None:
    with open_github(service, clock) as github:
        answers = httpx.MockTransport(lambda _: httpx.Response(200, content=content))
        github._client = httpx.Client(transport=answers)
        if content != b"[]":
            with pytest.raises(PipelineError, match="/pulls: not "):
                github.pulls("owner", "branch")
        with pytest.raises(PipelineError, match="/artifacts: not "):
            github.artifacts(1, "decision-1")
