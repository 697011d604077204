"""GitHub's REST interface, as far as it is used here: pull requests, comments, issues, labels, artifacts.

Lists are read to their end. What may succeed later (a broken connection, 5xx, a rate limit) is asked again with growing
waits. A request that creates something is not simply sent again, as it may have been carried out although the answer
was lost: it is looked for first, so that nothing is there twice.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import httpx
import msgspec

from scripts.escape import plain
from scripts.model import BROKEN, PipelineError

ROBOT = "github-actions[bot]"
"""Who writes what a workflow writes with its own token."""
API = "https://api.github.com"
ATTEMPTS = 6
BACKOFF_S = 1.0
LONGEST_WAIT_S = 180.0
"""Who is asked to wait for longer than this fails instead; a runner costs money."""
TIMEOUT_S = 30.0
PER_PAGE = 100
PAGES = 200
DOWNLOAD_CHUNK = 1 << 16

Item = TypeVar("Item", bound=msgspec.Struct)
Result = TypeVar("Result")


class User(msgspec.Struct, frozen=True):
    login: str


class Repository(msgspec.Struct, frozen=True):
    full_name: str
    owner: User


class Head(msgspec.Struct, frozen=True):
    sha: str
    repo: Repository | None


class Pull(msgspec.Struct, frozen=True):
    number: int
    state: str
    head: Head


class Comment(msgspec.Struct, frozen=True):
    id: int
    body: str | None
    user: User | None


class Label(msgspec.Struct, frozen=True):
    name: str


class Issue(msgspec.Struct, frozen=True):
    number: int
    title: str
    state: str
    body: str | None
    user: User | None
    pull_request: dict[str, Any] | None = None


class WorkflowRun(msgspec.Struct, frozen=True):
    """``display_title`` is what the workflow's ``run-name`` makes; ``run_attempt`` is the newest."""

    id: int
    run_attempt: int
    display_title: str
    workflow_id: int


class Artifact(msgspec.Struct, frozen=True):
    id: int
    name: str
    size_in_bytes: int
    expired: bool


class _Unsure(Exception):  # noqa: N818 (an answer, not a fault)
    """Whether a request was carried out is not known; the argument is what happened."""


class GitHub:
    """One repository, seen with one token. ``say`` gets a line for each attempt that will be repeated; ``sleep``,
    ``now`` (seconds since 1970) and ``chance`` are the clock and the randomness of the waits in between."""

    def __init__(
        self,
        repository: str,
        token: str,
        api: str = API,
        *,
        say: Callable[[str], None] = print,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        self._say, self._sleep, self._now, self._chance = say, sleep, now, chance or random.SystemRandom()
        self._origin = httpx.URL(api)
        self._repository = f"{api.rstrip('/')}/repos/{repository}"
        self._client = httpx.Client(
            timeout=TIMEOUT_S,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": repository.replace("/", "-"),
            },
        )

    @classmethod
    def here(cls, **clock: Any) -> GitHub:
        """What the environment of a workflow's step says. Raises PipelineError naming the variable that is missing."""
        missing = [name for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if not os.environ.get(name)]
        if missing:
            raise PipelineError(f"{' and '.join(missing)} not set", "in a workflow, give the step the token by `env:`")
        api = os.environ.get("GITHUB_API_URL") or API
        return cls(os.environ["GITHUB_REPOSITORY"], os.environ["GITHUB_TOKEN"], api, **clock)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> GitHub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pulls(self, owner: str, branch: str) -> list[Pull]:
        """The open pull requests from a branch of somebody's repository."""
        return list(self._list("/pulls", Pull, {"head": f"{owner}:{branch}", "state": "open"}))

    def labels(self, number: int) -> list[str]:
        """The names of the labels of an issue or a pull request."""
        return [label.name for label in self._list(f"/issues/{number}/labels", Label)]

    def own_comment(self, number: int, marker: str) -> Comment | None:
        """The robot's first comment that begins with ``marker``; others' comments do not count, whatever they say."""
        return next(
            (
                comment
                for comment in self._list(f"/issues/{number}/comments", Comment)
                if comment.user and comment.user.login == ROBOT and (comment.body or "").startswith(marker)
            ),
            None,
        )

    def create_comment(self, number: int, body: str, marker: str) -> int:
        """A new comment's id."""
        made = self._create(
            f"/issues/{number}/comments", {"body": body}, Comment, lambda: self.own_comment(number, marker)
        )
        return made.id

    def update_comment(self, comment: int, body: str) -> None:
        self._ask("PATCH", f"/issues/comments/{comment}", json={"body": body})

    def own_issues(self, label: str) -> list[Issue]:
        """All issues with a label that the robot has opened, open and closed, the oldest first."""
        found = self._list("/issues", Issue, {"labels": label, "state": "all", "sort": "created", "direction": "asc"})
        return [one for one in found if one.user and one.user.login == ROBOT and one.pull_request is None]

    def create_issue(self, title: str, body: str, label: str) -> int:
        """A new issue's number."""
        document = {"title": title, "body": body, "labels": [label]}
        made = self._create(
            "/issues",
            document,
            Issue,
            lambda: next((one for one in self.own_issues(label) if one.body == body and one.state == "open"), None),
        )
        return made.number

    def update_issue(self, number: int, **fields: str) -> None:
        """Change ``title``, ``body``, ``state`` or ``state_reason``."""
        self._ask("PATCH", f"/issues/{number}", json=fields)

    def runs(self, sha: str, event: str) -> list[WorkflowRun]:
        """The runs of all workflows that an event has begun about a commit."""
        return list(self._list("/actions/runs", WorkflowRun, {"head_sha": sha, "event": event}, within="workflow_runs"))

    def artifacts(self, run: int, name: str) -> list[Artifact]:
        """The artifacts of a workflow's run that have this name."""
        path = f"/actions/runs/{run}/artifacts"
        found = self._list(path, Artifact, {"name": name}, within="artifacts")
        return [artifact for artifact in found if artifact.name == name]

    def download(self, artifact: int, limit: int) -> bytes | None:
        """An artifact's archive; None when it has more than ``limit`` bytes, whatever was announced."""
        path = f"/actions/artifacts/{artifact}/zip"

        def read() -> bytes | None:
            data = bytearray()
            # httpx leaves the token out when it follows the redirection to another host.
            with self._client.stream("GET", self._repository + path, follow_redirects=True) as answer:
                if not answer.is_success:
                    answer.read()
                    raise self._refused(answer, "GET", path)
                for chunk in answer.iter_bytes(DOWNLOAD_CHUNK):
                    data += chunk
                    if len(data) > limit:
                        return None
            return bytes(data)

        return self._patiently(read)

    def _list(
        self, path: str, type_: type[Item], query: dict[str, str] | None = None, within: str = ""
    ) -> Iterator[Item]:
        """Every item of a list, page after page. ``within``: the key that has it, where the answer is an object."""
        url: str | None = self._repository + path
        parameters: dict[str, str | int] | None = {**(query or {}), "per_page": PER_PAGE}
        for _ in range(PAGES):
            if url is None:
                return
            answer = self._ask("GET", url, params=parameters)
            document = _decode(answer, Any)
            if within:
                document = document.get(within) if isinstance(document, dict) else None
            yield from _convert(document, list[type_], answer)  # type: ignore[valid-type]
            url = answer.links.get("next", {}).get("url")
            parameters = None
            if url and httpx.URL(url).netloc != self._origin.netloc:
                raise PipelineError(f"{path}: the next page is elsewhere: {plain(url)}", "")
        raise PipelineError(f"{path}: more than {PAGES} pages", "")

    def _create(self, path: str, document: dict[str, Any], type_: type[Item], find: Callable[[], Item | None]) -> Item:
        def send() -> Item:
            try:
                answer = self._send("POST", self._repository + path, json=document)
            except _Unsure:
                if found := find():
                    return found
                raise
            return _convert(_decode(answer, Any), type_, answer)  # type: ignore[no-any-return]

        return self._patiently(send)

    def _ask(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        url = path if path.startswith("http") else self._repository + path
        return self._patiently(lambda: self._send(method, url, **arguments))

    def _send(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        answer = self._client.request(method, url, **arguments)
        if not answer.is_success:
            raise self._refused(answer, method, answer.request.url.path)
        return answer

    def _refused(self, answer: httpx.Response, method: str, path: str) -> Exception:
        """What an answer other than success means: ask again, wait and ask again, or give up."""
        said = f"{method} {path}: {answer.status_code} {plain(_message(answer))}"
        if answer.status_code >= 500:
            return _Unsure(said)
        if (wait_s := rate_limited_s(answer, self._now())) is not None:
            return _Limited(said, wait_s)
        hint = {
            401: "the token is not valid",
            403: "the job's `permissions:` must allow this",
            404: "it is not there, or the job's `permissions:` do not allow to see it",
        }
        return PipelineError(said, hint.get(answer.status_code, ""))

    def _patiently(self, act: Callable[[], Result]) -> Result:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return act()
            except (_Unsure, _Limited, httpx.RequestError) as error:
                wait_s = error.wait_s if isinstance(error, _Limited) else self._backoff_s(attempt)
                reason = plain(str(error)) or type(error).__name__
                if attempt == ATTEMPTS or wait_s > LONGEST_WAIT_S:
                    raise PipelineError(f"GitHub: {reason}", "run this again later") from error
                self._say(f"GitHub: {reason}; again in {wait_s:.0f} s")
                self._sleep(wait_s)
        raise AssertionError

    def _backoff_s(self, attempt: int) -> float:
        """Exponential with jitter, and never at once."""
        return BACKOFF_S * 2.0 ** (attempt - 1) * self._chance.uniform(0.5, 1.5)


class _Limited(Exception):  # noqa: N818 (an answer, not a fault)
    """A rate limit was reached: wait so long."""

    def __init__(self, said: str, wait_s: float) -> None:
        super().__init__(said)
        self.wait_s = wait_s


def rate_limited_s(answer: httpx.Response, now: float) -> float | None:
    """Seconds that a refusal asks to wait for, None where it is no rate limit ("Rate limits for the REST API")."""
    if answer.status_code not in (403, 429):
        return None
    if (after := answer.headers.get("retry-after", "")).isdecimal():
        return float(after)
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdecimal():
        return max(1.0, float(reset) - now + 1)
    return 60.0 if answer.status_code == 429 or "rate limit" in _message(answer).lower() else None


def _message(answer: httpx.Response) -> str:
    try:
        return str(answer.json().get("message", ""))[:200]
    except (ValueError, AttributeError, RecursionError):
        return ""


def _decode(answer: httpx.Response, type_: Any) -> Any:
    try:
        return msgspec.json.decode(answer.content, type=type_)
    except BROKEN as error:
        raise PipelineError(f"{answer.request.url.path}: not JSON: {plain(str(error))}", "") from error


def _convert(document: Any, type_: Any, answer: httpx.Response) -> Any:
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        raise PipelineError(f"{answer.request.url.path}: not the documented answer: {error}", "") from error
