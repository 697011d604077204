"""Databases and accounts on a running server, whatever it runs in."""

from __future__ import annotations

import contextlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from scripts.model import PipelineError
from scripts.stack import Target, naming
from scripts.stack.process import wait_until
from scripts.stack.sql import split_statements

LOST_CONNECTION = (2006, 2013)
SILENT = (2003, *LOST_CONNECTION)
ANSWER_S = 30.0
"""So long the server may take for an answer; nothing that is asked of it from here takes more than a second."""


class Database(ABC):
    """A database server, and what a session does with it.

    ``host``, ``port``: where backends reach it. ``max_connections``: what bench.toml asks for.
    """

    host: str
    port: int
    max_connections: int

    def __init__(self) -> None:
        self._passwords: dict[str, str] = {}

    @property
    @abstractmethod
    def alive(self) -> bool: ...

    @abstractmethod
    def tail(self, lines: int = 20) -> str:
        """The end of its log."""

    @abstractmethod
    def _log_in(self, user: str | None = None, password: str = "", database: str | None = None) -> Connection[Cursor]:
        """A connection from here, in autocommit mode; as its administrator, or as another user."""

    @abstractmethod
    def _greets(self) -> bool:
        """Whether the server answers whoever connects."""

    def check_answers(self) -> None:
        """Raise PipelineError if it runs but answers nobody: if it was stopped, say, or its disk does not answer."""
        if not self._greets():
            raise self._silent()

    @abstractmethod
    def _end(self) -> str:
        """How it ended, in a few words that follow "the server has ended"."""

    def connect(self, database: str | None = None) -> Connection[Cursor]:
        """A connection of its administrator, in autocommit mode. Raises PipelineError if the server is gone."""
        if not self.alive:
            raise self._gone()
        with self._naming_errors():
            return self._log_in(database=database)

    def create_database(self, name: str, schema: Path | None) -> None:
        """Make a database with the tables of ``schema`` and a user of its name, who may do anything in it only.

        A database of that name that is already there is made anew. ``name`` is a plain identifier. Raises
        PipelineError naming the statement that fails.
        """
        password = self.account(name)["DATABASE_PASSWORD"]
        pattern = name.replace("_", r"\_")  # GRANT takes a bare _ for any one character
        with self._cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
            cursor.execute(f"CREATE DATABASE `{name}`")
            cursor.execute(f"CREATE USER IF NOT EXISTS '{name}'@'%%' IDENTIFIED BY %s", (password,))
            cursor.execute(f"GRANT ALL ON `{pattern}`.* TO '{name}'@'%'")
            cursor.execute(f"USE `{name}`")
            for number, statement in enumerate(split_statements(schema.read_text() if schema else ""), 1):
                try:
                    cursor.execute(statement)
                except pymysql.MySQLError as error:
                    if error.args[0] in LOST_CONNECTION:
                        raise
                    raise PipelineError(
                        f"{schema}: statement {number} failed: {error.args[-1]}: {statement[:80]!r}",
                        "correct the schema",
                    ) from error
        # MySQL remembers a password that it has checked once, and from then on drivers log in without encryption
        # (which aiomysql and PyMySQL have only with a further package).
        with self._naming_errors():
            self._log_in(name, password, name).close()

    def create_database_for(self, target: Target, account: str) -> None:
        """Make the target's database, from its schema. Raises TargetError where that one is wrong."""
        schema = target.backend.schema
        with naming(target):
            self.create_database(account, target.app / schema if schema else None)

    def thread_cpu_s(self, pids: Iterable[int]) -> dict[int, tuple[str, float]]:
        """By thread: the user whose connection it serves ("" for none), and its CPU seconds so far.

        ``pids``: the server's processes. Threads are used again for other connections, so only differences of one
        thread mean something, of those that wait for their next connection, too: the server does not list them, and
        whoever gets one later would have all that it used before. Source: proc(5), schedstat (nanoseconds), and status
        for a thread's id in the server's own namespace.
        """
        with self._cursor() as cursor:
            cursor.execute(
                "SELECT thread_os_id, processlist_user FROM performance_schema.threads WHERE thread_os_id IS NOT NULL"
            )
            users = {int(thread): str(user or "") for thread, user in cursor.fetchall()}
        found = {}
        for pid in pids:
            for task in Path(f"/proc/{pid}/task").glob("*"):
                with contextlib.suppress(OSError):  # it has just ended
                    thread = int((task / "status").read_text().partition("NSpid:")[2].split("\n", 1)[0].split()[-1])
                    found[thread] = (users.get(thread, ""), int((task / "schedstat").read_text().split()[0]) / 1e9)
        return found

    def account(self, name: str) -> dict[str, str]:
        """The variables that tell a backend where the database ``name`` is, or will be, and how to log in."""
        return {
            "DATABASE_HOST": self.host,
            "DATABASE_PORT": str(self.port),
            "DATABASE_USER": name,
            "DATABASE_PASSWORD": self._passwords.setdefault(name, secrets.token_hex(8)),
            "DATABASE_NAME": name,
        }

    def _check_settings(self) -> None:
        """The server lowers limits silently where the system does not allow them."""
        with self._cursor() as cursor:
            cursor.execute("SELECT @@max_connections")
            row = cursor.fetchone()
        if row is None or int(row[0]) != self.max_connections:
            raise PipelineError(
                f"database: it allows {row and row[0]} connections, not {self.max_connections} "
                "(bench.toml [database] max_connections)",
                "raise the limit of open files (`ulimit -n 8192`), or lower max_connections",
            )

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[Cursor]:
        with self.connect() as connection, connection.cursor() as cursor, self._naming_errors():
            yield cursor

    @contextlib.contextmanager
    def _naming_errors(self) -> Iterator[None]:
        """Turn a driver's error into one that says whether the server still runs."""
        try:
            yield
        except pymysql.MySQLError as error:
            if not wait_until(lambda: not self.alive, 0.5):  # a connection breaks a moment before its server has ended
                lost = error.args[:1] and error.args[0] in SILENT
                raise (
                    self._silent() if lost else PipelineError(f"database: {error}", "see the server's log")
                ) from error
            raise self._gone() from error

    def _silent(self) -> PipelineError:
        return PipelineError(
            f"database: the server runs but does not answer; the end of its log:\n{self.tail()}",
            "see whether it was stopped (`ps` shows it in state T, `kill -CONT` lets it go on) or waits for its disk",
        )

    def _gone(self) -> PipelineError:
        return PipelineError(
            f"database: the server has ended{self._end()}; the end of its log:\n{self.tail()}",
            "the log names the cause; a full disk or too little memory is the usual one",
        )
