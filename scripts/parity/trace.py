"""What a backend does, seen from outside: its statements by the database server, its files by the kernel.

Sources: MySQL 8.4 Reference Manual, "Performance Schema Statement Event Tables"; MariaDB's documentation of the same;
inotify(7).
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pymysql
from inotify_simple import INotify, flags, masks  # type: ignore[import-untyped]
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from scripts.model import PipelineError
from scripts.parity.model import Statement
from scripts.parity.statements import Normal, normalise

CONSUMERS = (
    "global_instrumentation",
    "thread_instrumentation",
    "events_statements_current",
    "events_statements_history_long",
    "events_transactions_current",
    "events_transactions_history_long",
)
HISTORIES = ("events_statements_history_long", "events_transactions_history_long")
INSTRUMENTS = "(name LIKE 'statement/%' OR name = 'transaction')"
QUIET_S = 0.1
QUIET_WITHIN_S = 10.0
EVENT_NAMES = {
    flags.CREATE: "create",
    flags.OPEN: "open",
    flags.MODIFY: "modify",
    flags.ACCESS: "access",
    flags.CLOSE_WRITE: "close_write",
    flags.CLOSE_NOWRITE: "close_nowrite",
    flags.MOVED_FROM: "moved_from",
    flags.MOVED_TO: "moved_to",
    flags.DELETE: "delete",
}


# --- statements ---------------------------------------------------------------------------------------------------


class StatementTrace(NamedTuple):
    """What one database was asked; see `Trace` for the fields."""

    statements: tuple[Statement, ...]
    isolation: tuple[str, ...]


@contextlib.contextmanager
def trace_statements(admin: Connection[Cursor]) -> Iterator[None]:
    """The server notes every statement inside, from an empty history on, and none outside: tracing costs time.

    The notes can be read (`read_statements`) until the next trace begins.
    """
    try:
        _switch(admin, "YES")
        for history in HISTORIES:
            query(admin, f"TRUNCATE performance_schema.{history}")
        yield
    finally:
        _switch(admin, "NO")


def read_statements(admin: Connection[Cursor], database: str, user: str) -> StatementTrace:
    """What was asked of ``database``, or by connections of ``user``, in the last trace.

    Raises PipelineError where the server kept only a part: half a trace proves nothing.
    """
    _await_quiet(admin)
    rows = query(
        admin,
        "SELECT event_name, sql_text, rows_affected, thread_id, mysql_errno "
        "FROM performance_schema.events_statements_history_long "
        "WHERE (current_schema = %s OR thread_id IN "
        "(SELECT thread_id FROM performance_schema.threads WHERE processlist_user = %s)) "
        "AND (nesting_event_id IS NULL OR nesting_event_type = 'TRANSACTION') "  # not what a procedure does inside
        f"AND thread_id <> {_own_thread(admin)} ORDER BY timer_start, thread_id, event_id",
        (database, user),
    )
    numbers: dict[int, int] = {}
    statements = []
    for event, sql, rows_affected, thread, error in rows:
        kind, text = normalise(sql) if sql else Normal("control", event.rpartition("/")[2].lower())
        connection = numbers.setdefault(thread, len(numbers) + 1)
        statements.append(Statement(kind=kind, sql=text, rows=rows_affected, connection=connection, error=error or 0))
    return StatementTrace(tuple(statements), _isolation_levels(admin))


def _isolation_levels(admin: Connection[Cursor]) -> tuple[str, ...]:
    levels = query(
        admin,
        "SELECT DISTINCT isolation_level FROM performance_schema.events_transactions_history_long "
        f"WHERE thread_id <> {_own_thread(admin)} ORDER BY isolation_level",
    )
    return tuple(level for (level,) in levels)


def connections_opened(admin: Connection[Cursor], user: str) -> int:
    """How many connections ``user`` has opened since the server started."""
    rows = query(admin, "SELECT total_connections FROM performance_schema.users WHERE user = %s", (user,))
    return int(rows[0][0]) if rows else 0


def query(admin: Connection[Cursor], sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query. Raises PipelineError where the server does not answer it."""
    try:
        with admin.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall())
    except pymysql.MySQLError as error:
        raise PipelineError(f"the database server says to `{sql[:60]}`: {error}", "its log may say why") from error


def _switch(admin: Connection[Cursor], enabled: str) -> None:
    if query(admin, "SELECT @@performance_schema") != [(1,)]:
        raise PipelineError(
            "the database server has no performance schema, so its statements cannot be traced",
            "start it with --performance-schema=ON",
        )
    query(
        admin,
        f"UPDATE performance_schema.setup_instruments SET enabled = '{enabled}', timed = '{enabled}' "
        f"WHERE {INSTRUMENTS}",
    )
    names = ", ".join(f"'{name}'" for name in CONSUMERS)
    query(admin, f"UPDATE performance_schema.setup_consumers SET enabled = '{enabled}' WHERE name IN ({names})")


def _own_thread(admin: Connection[Cursor]) -> int:
    rows = query(admin, "SELECT thread_id FROM performance_schema.threads WHERE processlist_id = CONNECTION_ID()")
    return int(rows[0][0])


def _await_quiet(admin: Connection[Cursor]) -> None:
    """A statement is noted when it ends, and some come after the answer (closing, giving back to a pool)."""
    deadline = time.monotonic() + QUIET_WITHIN_S
    seen, own = None, _own_thread(admin)
    while True:
        _refuse_partial(admin)
        (count,) = query(
            admin,
            f"SELECT COUNT(*) FROM performance_schema.events_statements_history_long WHERE thread_id <> {own}",
        )[0]
        if count == seen:
            return
        if time.monotonic() > deadline:
            raise PipelineError(
                f"the database is still asked for more {QUIET_WITHIN_S:.0f} s after the request",
                "stop whatever else uses this database server while it is traced",
            )
        seen = count
        time.sleep(QUIET_S)


def _refuse_partial(admin: Connection[Cursor]) -> None:
    size, length = query(
        admin,
        "SELECT @@performance_schema_events_statements_history_long_size, @@performance_schema_max_sql_text_length",
    )[0]
    count, longest = query(
        admin,
        "SELECT COUNT(*), COALESCE(MAX(LENGTH(sql_text)), 0) FROM performance_schema.events_statements_history_long",
    )[0]
    if count >= size:
        raise PipelineError(
            f"the database server kept only the last {size} statements of the trace",
            "start it with a larger performance_schema_events_statements_history_long_size",
        )
    if longest > length - 4:  # it ends a text that is too long with "..." or with half a character
        raise PipelineError(
            f"the database server cut statements off after {length} bytes",
            "start it with a larger performance_schema_max_sql_text_length",
        )


# --- files --------------------------------------------------------------------------------------------------------


class TracedFile(NamedTuple):
    """A file that came to be: its events, repeated ones once, and all that was in it (None: not seen)."""

    events: str
    content: bytes | None


class FileTrace:
    """What happens to files in a folder between entering and leaving: ``files``, in order of creation.

    ``overlapping`` of them were made while another was still there.

    With ``hold`` each new file is opened at once, by which its content can still be read after it is gone. That is a
    race which is now and then lost, and it adds events of our own: ask for one or the other and repeat.
    """

    def __init__(self, folder: Path, *, hold: bool = False) -> None:
        self.files: tuple[TracedFile, ...] = ()
        self.overlapping = 0
        self._folder, self._hold = folder, hold
        self._events: dict[str, list[str]] = {}
        self._held: dict[str, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="file-trace", daemon=True)

    def __enter__(self) -> FileTrace:
        self._notifier = INotify()
        try:
            self._notifier.add_watch(self._folder, (flags.CREATE if self._hold else masks.ALL_EVENTS) | flags.ONLYDIR)
            self._folder_fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            self._notifier.close()
            raise PipelineError(
                f"{self._folder}: cannot be watched: {error.strerror}",
                "it must be the backend's data folder; fs.inotify.max_user_watches may be too low",
            ) from error
        self._overflow = False
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()
        self.files = tuple(
            TracedFile(" ".join(events), _content(self._held.get(name))) for name, events in self._events.items()
        )
        for descriptor in self._held.values():
            os.close(descriptor)
        os.close(self._folder_fd)
        self._notifier.close()
        if self._overflow:
            raise PipelineError(
                f"{self._folder}: more happened to its files than the kernel kept",
                "raise fs.inotify.max_queued_events, or see why one request does so much",
            )

    def _follow(self) -> None:
        while True:
            stopping = self._stopping.is_set()  # asked before reading: what is there by then is still read
            events = self._notifier.read(timeout=20)  # waking up would lose the race
            for event in events:
                self._note(event.mask, event.name)
            if stopping and not events:
                return

    def _note(self, mask: int, name: str) -> None:
        if mask & flags.Q_OVERFLOW:
            self._overflow = True
        if not name:  # of the folder itself
            return
        if self._hold and mask & flags.CREATE and not mask & flags.ISDIR:
            with contextlib.suppress(OSError):  # it is gone already: its content stays unknown
                self._held[name] = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=self._folder_fd)
        if mask & flags.CREATE and any(events[-1] != "delete" for events in self._events.values()):
            self.overlapping += 1
        events = self._events.setdefault(name, [])
        folder = "folder_" if mask & flags.ISDIR else ""
        for flag, text in EVENT_NAMES.items():
            if mask & flag and (not events or events[-1] != folder + text):
                events.append(folder + text)


def _content(descriptor: int | None) -> bytes | None:
    if descriptor is None:
        return None
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
