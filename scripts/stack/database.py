"""The database server: a private MySQL (or MariaDB, named as such) with its own data, on a free port of this machine.

What is set, and why:

- Every commit is flushed (``innodb_flush_log_at_trx_commit=1``) with either durability. With ``memory`` the data lies
  on a tmpfs, where a flush costs nothing: the backends are compared then, and not the disk.
- No TLS: drivers differ in whether they would use it, which would be unequal work.
- Waiting threads do not spin: on the one CPU that the server may have, spinning takes it from the thread that is waited
  for. Without it a request costs the database 12% less CPU, and the backend under load reaches 95% of its own instead
  of 87% (FastAPI, 20 users, 2-CPU machine, four 4 s blocks each way).
- The performance schema is there with everything in it switched off, so that `parity` can switch tracing on in the
  running server, and nothing is traced while blocks are measured.

Sources: MySQL 8.4 and 9.7 Reference Manual, "Server System Variables", "Performance Schema Startup Configuration",
"Caching SHA-2 Pluggable Authentication"; MariaDB's documentation of mariadb-install-db.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from scripts.config import DatabaseSettings
from scripts.model import PipelineError
from scripts.stack import accounts
from scripts.stack.accounts import Database
from scripts.stack.cage import Cage
from scripts.stack.installation import Installation, base_options, provide
from scripts.stack.process import Process, wait_until

__all__ = ["DatabaseServer", "Installation", "provide"]

HOST = "127.0.0.1"
START_TIMEOUT_S = 60.0
SOCKET_PATH_BYTES = 107
DATA_MB = 512  # an empty data directory, the redo log, and room for the tables
HISTORY_STATEMENTS = 20_000
SQL_TEXT_BYTES = 2048
ENGINE_OPTIONS = {
    "mysql": (
        *("--mysqlx=OFF", "--tls-version=", "--innodb-redo-log-capacity=256M"),
        "--innodb-log-spin-cpu-pct-hwm=0",
    ),
    "mariadb": ("--skip-ssl", "--innodb-log-file-size=256M"),
}
DEFAULT_CONSUMERS = (
    "global-instrumentation",
    "thread-instrumentation",
    "events-statements-current",
    "events-statements-history",
    "events-transactions-current",
    "events-transactions-history",
    "statements-digest",
)


def server_options(engine: str, settings: DatabaseSettings) -> list[str]:
    """What a server is told, beside where things are."""
    return [
        *ENGINE_OPTIONS[engine],
        "--skip-log-bin",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        f"--transaction-isolation={settings.isolation}",
        f"--max-connections={settings.max_connections}",
        "--innodb-buffer-pool-size=512M",
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-sync-spin-loops=0",
        # A tmpfs has neither direct nor asynchronous I/O.
        *(["--innodb-flush-method=fsync", "--innodb-use-native-aio=OFF"] if settings.durability == "memory" else []),
        "--performance-schema=ON",
        "--performance-schema-instrument=%=OFF",
        *(f"--performance-schema-consumer-{name}=OFF" for name in DEFAULT_CONSUMERS),
        f"--performance-schema-events-statements-history-long-size={HISTORY_STATEMENTS}",
        f"--performance-schema-max-sql-text-length={SQL_TEXT_BYTES}",
    ]


class DatabaseServer(Database):
    """A running server, from construction to `stop`, which leaves nothing of it behind.

    ``folder``: where its data directory is made, which must be on a tmpfs for the durability ``memory`` and must not
    for ``disk``; its socket lies in it too, so that nobody else reaches root, who has no password. ``log``: the file
    that it writes its log to.
    """

    def __init__(
        self,
        installation: Installation,
        settings: DatabaseSettings,
        cage: Cage,
        folder: Path,
        log: Path,
    ) -> None:
        super().__init__()
        self.installation = installation
        self.max_connections = settings.max_connections
        self.host = HOST
        self.port = free_port()
        self.process: Process | None = None
        _check_folder(folder, settings.durability)
        self._data = Path(tempfile.mkdtemp(prefix="database-", dir=folder)).resolve()
        self.socket = self._data / "server.sock"
        try:
            _check_socket_path(self.socket)
            shutil.copytree(installation.template, self._data, dirs_exist_ok=True)
            base = base_options(installation.engine, installation.options, self._data)
            where = [f"--bind-address={self.host}", f"--port={self.port}", f"--socket={self.socket}"]
            command = [*installation.command, *base, *where, *server_options(installation.engine, settings)]
            self.process = Process("database", command, log=log, cage=cage)
            self._wait_until_ready()
            self._close_doors()
            self._check_settings()
        except OSError as error:
            self.stop()
            raise PipelineError(
                f"database: {error}", f"see that {folder} and {log.parent} can be written and have space"
            ) from error
        except BaseException:
            self.stop()
            raise

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.alive

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""
        return self.process.tail(lines) if self.process else ""

    def _log_in(self, user: str | None = None, password: str = "", database: str | None = None) -> Connection[Cursor]:
        return pymysql.connect(
            unix_socket=str(self.socket),
            user=user or "root",
            password=password,
            database=database,
            autocommit=True,
            connect_timeout=5,
            read_timeout=accounts.ANSWER_S,
            write_timeout=accounts.ANSWER_S,
        )

    def _end(self) -> str:
        assert self.process is not None
        return f" (code {self.process.returncode})"

    def stop(self) -> None:
        """End the server and remove its data. It is killed: data that is thrown away needs no orderly shutdown."""
        if self.process is not None:
            self.process.stop(number=signal.SIGKILL)
        shutil.rmtree(self._data, ignore_errors=True)

    def __enter__(self) -> DatabaseServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        assert self.process is not None
        ready = wait_until(lambda: not self.alive or self._greets(), START_TIMEOUT_S, 0.02)
        if not self.alive:
            raise self._gone()
        if not ready:
            raise PipelineError(
                f"database: no answer after {START_TIMEOUT_S:.0f} s; the end of its log:\n{self.process.tail()}",
                "see whether something else takes all of the machine's CPU or disk",
            )

    def _greets(self) -> bool:
        """Whether it greets whoever connects (without the driver, which leaks its socket when nobody listens)."""
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(5)
            probe.connect(str(self.socket))
            return probe.recv(1) != b""
        return False

    def _close_doors(self) -> None:
        """Leave root the socket only, and nobody without a name (MariaDB starts with root over TCP as well)."""
        with self._cursor() as cursor:
            cursor.execute("SELECT user, host FROM mysql.user WHERE user = '' OR user = 'root' AND host <> 'localhost'")
            for user, host in cursor.fetchall():
                cursor.execute("DROP USER %s@%s", (user, host))


def _check_folder(path: Path, durability: str) -> None:
    """The durability that a run records must be the one that it had."""
    if not path.is_dir():
        raise PipelineError(f"{path}: no such folder for the database's data", "make it, or name another")
    kind = subprocess.run(
        ["stat", "--file-system", "--format=%T", str(path)], capture_output=True, text=True, check=True
    ).stdout.strip()
    if (kind in ("tmpfs", "ramfs")) != (durability == "memory"):
        raise PipelineError(
            f"{path} is on {kind}, which is not what the durability {durability!r} means",
            "use a folder on a tmpfs such as /dev/shm, or --durability disk"
            if durability == "memory"
            else "use a folder on a disk, or --durability memory",
        )
    free_mb = shutil.disk_usage(path).free >> 20
    if free_mb < DATA_MB:
        raise PipelineError(
            f"{path}: {free_mb} MB are free, and the database's data needs {DATA_MB} MB",
            "make room there" + (", or use --durability disk" if durability == "memory" else ""),
        )


def _check_socket_path(path: Path) -> None:
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise PipelineError(f"{path}: too long for a socket's path (unix(7))", "use a folder with a shorter path")


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
