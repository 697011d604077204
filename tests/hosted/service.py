"""GitHub on 127.0.0.1: the part of its REST interface that the workflows use, as its documentation describes it.

Every request needs a token that `Service.token` has given out, with the permissions of a job; a request that they do
not allow is refused as GitHub refuses it. Lists come in pages with a ``Link`` header. Artifacts are answered with a
redirection to another port, where a token must not arrive. ``fail_next`` makes requests fail as the real service may.
"""

from __future__ import annotations

import http.server
import io
import json
import re
import secrets
import threading
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROBOT = "github-actions[bot]"
REPOSITORY = "owner/project"
Permissions = Mapping[str, str]


class Service:
    """The state of one repository, and the servers that show it. ``log``: every request as ``METHOD path``."""

    def __init__(self) -> None:
        self.pulls: list[dict[str, Any]] = []
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.issues: list[dict[str, Any]] = []
        self.labels: dict[int, list[str]] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.runs: list[dict[str, Any]] = []
        self.log: list[str] = []
        self.fail_next: list[tuple[int, dict[str, str], bool]] = []  # status, headers, carried out all the same
        self._tokens: dict[str, Permissions] = {}
        self._ids = iter(range(1000, 10**9))
        self._lock = threading.Lock()
        self._api, self._blobs = _serve(_Api, self), _serve(_Blobs, self)
        self.url = f"http://127.0.0.1:{self._api.server_port}"
        self.blobs_url = f"http://127.0.0.1:{self._blobs.server_port}"

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._api, self._blobs):
            server.shutdown()
            server.server_close()

    def token(self, permissions: Permissions) -> str:
        made = f"ghs_{secrets.token_hex(8)}"
        self._tokens[made] = permissions
        return made

    def next_id(self) -> int:
        return next(self._ids)

    def open_pull(self, number: int, owner: str, branch: str, sha: str, **changes: Any) -> dict[str, Any]:
        """A pull request from ``owner``'s repository, as it stands in lists and in events."""
        repo = {"full_name": f"{owner}/project", "owner": {"login": owner}, "fork": owner != "owner"}
        pull = {
            "number": number,
            "state": "open",
            "head": {"sha": sha, "ref": branch, "label": f"{owner}:{branch}", "repo": repo},
            "base": {"sha": "", "ref": "main"},
            "user": {"login": owner},
            **changes,
        }
        self.pulls.append(pull)
        return pull

    def comment(self, number: int, body: str, login: str = ROBOT) -> dict[str, Any]:
        made = {"id": self.next_id(), "body": body, "user": {"login": login}}
        self.comments.setdefault(number, []).append(made)
        return made

    def open_issue(self, document: Mapping[str, Any], login: str = ROBOT) -> dict[str, Any]:
        issue = {
            "number": len(self.issues) + 1,
            "title": document["title"],
            "body": document.get("body"),
            "labels": [{"name": name} for name in document.get("labels", [])],
            "state": "open",
            "user": {"login": login},
        }
        self.issues.append(issue)
        return issue

    def add_run(self, run: int, **fields: Any) -> dict[str, Any]:
        """A workflow's run, or a further attempt of one, as it stands in lists."""
        self.runs = [known for known in self.runs if known["id"] != run]
        self.runs.append({"id": run, "run_attempt": 1, "workflow_id": 0, **fields})
        return self.runs[-1]

    def add_artifact(
        self, run: int, name: str, files: Mapping[str, bytes] | bytes, attempt: int = 1, **changes: Any
    ) -> dict[str, Any]:
        """``files``: what the archive holds, by name, or the archive itself."""
        data = files if isinstance(files, bytes) else zipped(files)
        artifact = {
            "id": self.next_id(),
            "name": name,
            "size_in_bytes": len(data),
            "expired": False,
            "workflow_run": {"id": run},
            "data": data,
            "attempt": attempt,
            **changes,
        }
        same = [a for a in self.artifacts if (a["name"], a["workflow_run"]["id"], a["attempt"]) == (name, run, attempt)]
        if same and not changes:
            raise ValueError(f"409 Conflict: an artifact {name} is already there")
        self.artifacts.append(artifact)
        return artifact

    # --- requests ---------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, token: str, document: Any) -> tuple[int, dict[str, str], Any]:
        with self._lock:
            self.log.append(f"{method} {target}")
            if token not in self._tokens:
                return 401, {}, {"message": "Bad credentials"}
            failure = self.fail_next.pop(0) if self.fail_next else None
            if failure and not failure[2]:
                return failure[0], failure[1], {"message": failure[1].get("message", "Something went wrong")}
            said = self._route(method, target, self._tokens[token], document)
            return (failure[0], failure[1], {"message": "Server Error"}) if failure else said

    def _route(self, method: str, target: str, granted: Permissions, document: Any) -> tuple[int, dict[str, str], Any]:
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
        for (verb, pattern), (needed, act) in ROUTES.items():
            found = re.fullmatch(rf"/repos/{REPOSITORY}{pattern}", parts.path)
            if verb != method or not found:
                continue
            if not any(_allows(granted, permission) for permission in needed.split("|")):
                return 403, {}, {"message": "Resource not accessible by integration"}
            status, result = act(self, [int(group) for group in found.groups()], query, document)
            if isinstance(result, str):
                return status, {"Location": result}, None
            return self._paged(status, result, parts.path, query)
        return 404, {}, {"message": "Not Found"}

    def _paged(self, status: int, result: Any, path: str, query: Mapping[str, str]) -> tuple[int, dict[str, str], Any]:
        within = (
            next((k for k, v in result.items() if isinstance(v, list) and k in ("artifacts", "workflow_runs")), None)
            if isinstance(result, dict)
            else None
        )
        items = result[within] if within else result
        if not isinstance(items, list):
            return status, {}, result
        size, page = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
        some = items[(page - 1) * size : page * size]
        headers = {}
        if page * size < len(items):
            rest = "&".join(f"{key}={value}" for key, value in query.items() if key != "page")
            headers["Link"] = f'<{self.url}{path}?{rest}&page={page + 1}>; rel="next"'
        return status, headers, {"total_count": len(items), within: some} if within else some

    def _list_pulls(self, _: list[int], query: Mapping[str, str], __: Any) -> tuple[int, Any]:
        return 200, [
            pull
            for pull in self.pulls
            if pull["state"] == query.get("state", "open") and query.get("head") in (None, pull["head"]["label"])
        ]

    def _list_labels(self, ids: list[int], _: Any, __: Any) -> tuple[int, Any]:
        return 200, [{"name": name} for name in self.labels.get(ids[0], [])]

    def _list_comments(self, ids: list[int], _: Any, __: Any) -> tuple[int, Any]:
        return 200, self.comments.get(ids[0], [])

    def _create_comment(self, ids: list[int], _: Any, document: Any) -> tuple[int, Any]:
        if len(document["body"]) > 65_536:
            return 422, {"message": "Validation Failed: body is too long (maximum is 65536 characters)"}
        return 201, self.comment(ids[0], document["body"])

    def _update_comment(self, ids: list[int], _: Any, document: Any) -> tuple[int, Any]:
        found = [one for many in self.comments.values() for one in many if one["id"] == ids[0]]
        found[0].update(document)
        return 200, found[0]

    def _list_issues(self, _: list[int], query: Mapping[str, str], __: Any) -> tuple[int, Any]:
        state, label = query.get("state", "open"), query.get("labels")
        return 200, [
            issue
            for issue in self.issues
            if state in ("all", issue["state"]) and (not label or {"name": label} in issue["labels"])
        ]

    def _create_issue(self, _: list[int], __: Any, document: Any) -> tuple[int, Any]:
        return 201, self.open_issue(document)

    def _update_issue(self, ids: list[int], _: Any, document: Any) -> tuple[int, Any]:
        issue = self.issues[ids[0] - 1]
        issue.update(document)
        return 200, issue

    def _list_artifacts(self, ids: list[int], query: Mapping[str, str], _: Any) -> tuple[int, Any]:
        found = [
            {key: value for key, value in artifact.items() if key not in ("data", "attempt")}
            for artifact in self.artifacts
            if artifact["workflow_run"]["id"] == ids[0] and query.get("name") in (None, artifact["name"])
        ]
        return 200, {"total_count": len(found), "artifacts": found}

    def _list_runs(self, _: list[int], query: Mapping[str, str], __: Any) -> tuple[int, Any]:
        found = [
            run for run in self.runs if all(query.get(key) in (None, str(run[key])) for key in ("head_sha", "event"))
        ]
        return 200, {"total_count": len(found), "workflow_runs": found}

    def _download(self, ids: list[int], _: Any, __: Any) -> tuple[int, Any]:
        return 302, f"{self.blobs_url}/{ids[0]}"


Act = Callable[[Service, list[int], Mapping[str, str], Any], tuple[int, Any]]
ROUTES: dict[tuple[str, str], tuple[str, Act]] = {
    ("GET", "/pulls"): ("pull-requests:read", Service._list_pulls),
    ("GET", r"/issues/(\d+)/labels"): ("pull-requests:read|issues:read", Service._list_labels),
    ("GET", r"/issues/(\d+)/comments"): ("pull-requests:read|issues:read", Service._list_comments),
    ("POST", r"/issues/(\d+)/comments"): ("pull-requests:write|issues:write", Service._create_comment),
    ("PATCH", r"/issues/comments/(\d+)"): ("pull-requests:write|issues:write", Service._update_comment),
    ("GET", "/issues"): ("issues:read", Service._list_issues),
    ("POST", "/issues"): ("issues:write", Service._create_issue),
    ("PATCH", r"/issues/(\d+)"): ("issues:write", Service._update_issue),
    ("GET", "/actions/runs"): ("actions:read", Service._list_runs),
    ("GET", r"/actions/runs/(\d+)/artifacts"): ("actions:read", Service._list_artifacts),
    ("GET", r"/actions/artifacts/(\d+)/zip"): ("actions:read", Service._download),
}
"""By method and path: the permissions of which one is needed, and what is done."""


def _allows(granted: Permissions, permission: str) -> bool:
    scope, _, level = permission.partition(":")
    return granted.get(scope) in ((level, "write") if level == "read" else (level,))


def zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def unzip(data: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)


class _Handler(http.server.BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def send(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name != "message":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class _Api(_Handler):
    def _any(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        document = json.loads(self.rfile.read(length)) if length else None
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        status, headers, said = self.service.answer(self.command, self.path, token, document)
        self.send(status, {"Content-Type": "application/json", **headers}, json.dumps(said).encode())

    do_GET = do_POST = do_PATCH = _any  # noqa: N815 (names that the base class asks for)


class _Blobs(_Handler):
    def do_GET(self) -> None:
        self.service.log.append(
            f"BLOB {self.path} {'with a token' if self.headers.get('Authorization') else ''}".strip()
        )
        found = [artifact for artifact in self.service.artifacts if f"/{artifact['id']}" == self.path]
        self.send(200, {"Content-Type": "application/zip"}, found[0]["data"])


def _serve(handler: type[_Handler], service: Service) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type(handler.__name__, (handler,), {"service": service}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
