"""One running backend to a `Trace`: send it requests, and see from outside what it does."""

from __future__ import annotations

import concurrent.futures
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from scripts.config import Backend
from scripts.model import PipelineError
from scripts.parity.model import Trace
from scripts.parity.trace import FileTrace, TracedFile, connections_opened, query, read_statements, trace_statements

COUNTED_REQUESTS = 10  # one after another, and as many at once
RUNS = 5  # pools and servers' threads may still be filling up in the first of them
READINGS = 100  # about every second file can be read before it is gone
TIMEOUT_S = 60.0


class Subject(NamedTuple):
    """A running backend, where it listens, where its files are, and its database with the user it logs in as.

    ``bound``: whether apps/README.md is its contract; otherwise its answers may be anything, and its tables its own.
    """

    backend: Backend
    url: str
    data_dir: Path
    database: str
    user: str
    bound: bool = True


class Answer(NamedTuple):
    """An answer as a client has it."""

    body: bytes
    document: Any
    request_s: float
    clock: float


def trace_backend(subject: Subject, admin: Connection[Cursor]) -> Trace:
    """Trace one warm request, then count connections over many; ``admin`` is a connection of the server's root.

    The backend must have no other load, and its tables end in the seeded state. Raises PipelineError where it does
    not answer, or where a trace would be incomplete.
    """
    with httpx.Client(
        base_url=subject.url,
        timeout=TIMEOUT_S,
        limits=httpx.Limits(max_connections=COUNTED_REQUESTS, keepalive_expiry=1.0),  # below the servers' own
    ) as client:
        _reset(client, subject)
        seeded = _state(admin, subject)
        _work_at_once(client, subject)  # fills pools and starts threads, as load would
        before = _row_counts(admin, subject)
        with FileTrace(subject.data_dir) as files, trace_statements(admin):
            answer = _work(client, subject)
            statements = read_statements(admin, subject.database, subject.user)
        after = _row_counts(admin, subject)
        if not isinstance(answer.document, dict):
            raise PipelineError(
                f"{subject.backend.name}: the answer of {subject.backend.endpoint} is not a JSON object",
                f"mend {subject.backend.folder} (apps/README.md)",
            )
        contents = _read_contents(client, subject, len(files.files)) if subject.bound else []
        return Trace(
            backend=subject.backend.name,
            statements=statements.statements,
            isolation=statements.isolation,
            rows_left={table: after[table] - before[table] for table in before if after[table] != before[table]},
            connections_per_request=_connections_per_request(client, subject, admin),
            files=tuple(file.events for file in files.files),
            file_bytes=tuple(map(len, contents)),
            documents=tuple(map(describe_document, contents)),
            overlapping_files=files.overlapping,
            answer={
                key: value if isinstance(value, str | int | float | None) else describe(value)
                for key, value in answer.document.items()
            },
            answer_types={key: type(value).__name__ for key, value in answer.document.items()},
            answer_bytes=len(answer.body),
            request_s=answer.request_s,
            clock_error_s=_clock_error_s(answer),
            lists={path: _read_list(client, subject, path) for path in subject.backend.lists},
            not_restored=_find_not_restored(client, subject, admin, seeded),
            tables=_read_definitions(admin, subject),
        )


def describe(value: object) -> str:
    """The shape of a JSON value: ``{"data": str(1000), "timestamp": float}``."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": {describe(value[key])}' for key in sorted(value)) + "}"
    if isinstance(value, str | list):
        return f"{type(value).__name__}({len(value)})"
    return type(value).__name__


def describe_document(content: bytes) -> str:
    """The shape of a file's JSON, or that it is none."""
    try:
        return describe(json.loads(content))
    except ValueError:
        return f"not JSON: {content[:40]!r}"


def normalise_definition(sql: str) -> str:
    """What SHOW CREATE TABLE says without the counter that grows with every row."""
    return re.sub(r" AUTO_INCREMENT=\d+", "", sql)


def _send(client: httpx.Client, subject: Subject, method: str, path: str) -> Answer:
    started = time.perf_counter()
    try:
        response = client.request(method, path)
    except httpx.HTTPError as error:
        raise PipelineError(
            f"{subject.backend.name}: no answer to {method} {path}: {error or type(error).__name__}",
            "its log says why; `nox -s up` starts it for a closer look",
        ) from error
    request_s, clock = time.perf_counter() - started, time.time()
    if response.status_code != httpx.codes.OK and (subject.bound or not response.is_success):
        raise PipelineError(
            f"{subject.backend.name}: status {response.status_code} for {method} {path}: {response.text[:200]}",
            f"mend {subject.backend.folder}; its log says more",
        )
    try:
        document = response.json() if subject.bound else {}
    except ValueError as error:
        raise PipelineError(
            f"{subject.backend.name}: the answer to {method} {path} is not JSON: {response.text[:200]}",
            f"mend {subject.backend.folder} (apps/README.md)",
        ) from error
    return Answer(response.content, document, request_s, clock)


def _work(client: httpx.Client, subject: Subject) -> Answer:
    return _send(client, subject, subject.backend.method, subject.backend.endpoint)


def _work_at_once(client: httpx.Client, subject: Subject) -> None:
    with concurrent.futures.ThreadPoolExecutor(COUNTED_REQUESTS) as pool:
        for future in [pool.submit(_work, client, subject) for _ in range(COUNTED_REQUESTS)]:
            future.result()


def _reset(client: httpx.Client, subject: Subject) -> None:
    _send(client, subject, "POST", subject.backend.reset)


def _clock_error_s(answer: Answer) -> float:
    timestamp = answer.document.get("timestamp")
    return abs(answer.clock - timestamp) if isinstance(timestamp, int | float) else float("inf")


def _read_contents(client: httpx.Client, subject: Subject, count: int) -> list[bytes]:
    """What is written to each of the ``count`` files of a request, each seen in at least one of many requests."""
    contents: list[bytes | None] = [None] * count
    for _ in range(READINGS):
        if all(content is not None for content in contents):
            break
        with FileTrace(subject.data_dir, hold=True) as trace:
            _work(client, subject)
        contents = [known or file.content for known, file in zip(contents, _padded(trace.files, count), strict=True)]
    found = [content for content in contents if content is not None]
    if len(found) < count:
        raise PipelineError(
            f"{subject.backend.name}: in {READINGS} requests its files were gone before they could be read",
            "run it again on a machine with less other load",
        )
    return found


def _padded(files: Sequence[TracedFile], count: int) -> list[TracedFile]:
    return [*files, *[TracedFile("", None)] * count][:count]


def _connections_per_request(client: httpx.Client, subject: Subject, admin: Connection[Cursor]) -> float:
    """Run after run until one opens none or as many as the one before: that is no pool filling up."""
    opened = -1
    for _ in range(RUNS):
        last, before = opened, connections_opened(admin, subject.user)
        for _ in range(COUNTED_REQUESTS):
            _work(client, subject)
        _work_at_once(client, subject)
        opened = connections_opened(admin, subject.user) - before
        if opened in (0, last):
            break
    return opened / (2 * COUNTED_REQUESTS)


def _read_list(client: httpx.Client, subject: Subject, path: str) -> tuple[str, ...]:
    rows = _send(client, subject, "GET", path).document
    if not isinstance(rows, list):
        raise PipelineError(
            f"{subject.backend.name}: the answer of {path} is not a JSON array",
            f"mend {subject.backend.folder} (apps/README.md)",
        )
    return tuple(json.dumps(row, sort_keys=True) for row in rows)


def _find_not_restored(
    client: httpx.Client, subject: Subject, admin: Connection[Cursor], seeded: dict[str, int]
) -> tuple[str, ...]:
    """Change every table, reset, and name the tables that are not as they were.

    What is not bound to the contract has been changed by its own requests.
    """
    if subject.bound:
        _disturb(subject, admin)
    _reset(client, subject)
    restored = _state(admin, subject)
    return tuple(table for table in seeded if restored.get(table) != seeded[table])


def _disturb(subject: Subject, admin: Connection[Cursor]) -> None:
    name = f"`{subject.database}`"
    query(admin, f"DELETE FROM {name}.order_items ORDER BY id LIMIT 1")
    query(admin, f"UPDATE {name}.orders SET status = 'disturbed' ORDER BY id LIMIT 1")
    query(admin, f"UPDATE {name}.products SET stock = stock + 1 ORDER BY id LIMIT 1")
    query(
        admin,
        f"INSERT INTO {name}.users (name, email, created_at, updated_at) "
        "VALUES ('Disturber', 'disturber@example.com', NOW(6), NOW(6))",
    )


def _table_names(admin: Connection[Cursor], subject: Subject) -> list[str]:
    rows = query(
        admin,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s ORDER BY table_name",
        (subject.database,),
    )
    return [name for (name,) in rows]


def _row_counts(admin: Connection[Cursor], subject: Subject) -> dict[str, int]:
    names = _table_names(admin, subject)
    return {name: query(admin, f"SELECT COUNT(*) FROM `{subject.database}`.`{name}`")[0][0] for name in names}


def _state(admin: Connection[Cursor], subject: Subject) -> dict[str, int]:
    """By table, its checksum; or its number of rows, where a reset may give rows new ids and times."""
    if not subject.bound:
        return _row_counts(admin, subject)
    names = _table_names(admin, subject)
    return {name: query(admin, f"CHECKSUM TABLE `{subject.database}`.`{name}`")[0][1] for name in names}


def _read_definitions(admin: Connection[Cursor], subject: Subject) -> dict[str, str]:
    names = _table_names(admin, subject)
    return {
        name: normalise_definition(query(admin, f"SHOW CREATE TABLE `{subject.database}`.`{name}`")[0][1])
        for name in names
    }
