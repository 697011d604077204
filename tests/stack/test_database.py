import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pymysql
import pytest

from scripts.config import DatabaseSettings
from scripts.model import PipelineError
from scripts.parity.trace import trace_statements
from scripts.stack.cage import Cage, OpenCage
from scripts.stack.database import DatabaseServer, Installation, provide
from scripts.stack.installation import parse_version
from scripts.stack.limits import Cages
from scripts.stack.meter import spent_for
from scripts.stack.process import wait_until

SCHEMA = """
-- a table and a procedure
CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(2000) NOT NULL) DEFAULT CHARSET=utf8mb4;
DELIMITER //
CREATE PROCEDURE reset_data()
BEGIN
    DELETE FROM users;
    INSERT INTO users (name) VALUES ('a;b');
END//
DELIMITER ;
"""
engines = [pytest.param("mysql", marks=pytest.mark.mysql), pytest.param("mariadb", marks=pytest.mark.mariadb)]


ALL_CPUS = ",".join(map(str, os.sched_getaffinity(0)))


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "schema.sql"
    path.write_text(SCHEMA)
    return path


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, cages: Cages, cache: Path, tmp_path_factory: pytest.TempPathFactory):
    """One server for all tests that do not care which; they make databases of their own names in it."""
    settings = DatabaseSettings(engine=request.param)
    log = tmp_path_factory.mktemp("logs") / "database.log"
    cage = cages.make(f"shared-{request.param}", ALL_CPUS)
    with (
        tempfile.TemporaryDirectory(prefix="bench-tests-", dir="/dev/shm") as folder,
        DatabaseServer(provide(settings, cache), settings, cage, Path(folder), log) as server,
    ):
        yield server


@pytest.fixture
def start(request: pytest.FixtureRequest, cages: Cages, memory: Path, tmp_path: Path, cache: Path):
    """Starts a server for one test alone, which may do it harm."""
    servers = []

    def start(
        engine: Any = "mysql", folder: Path = memory, cage: Cage | None = None, **settings: Any
    ) -> DatabaseServer:
        wanted = DatabaseSettings(engine=engine, **settings)
        cage = cage or cages.make(f"{request.function.__name__}-{engine}", ALL_CPUS)
        servers.append(DatabaseServer(provide(wanted, cache), wanted, cage, folder, tmp_path / "database.log"))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def log_in(server: DatabaseServer, name: str, database: str | None = None) -> "closing[pymysql.Connection]":
    """A connection as a backend makes it: over TCP, with nothing but its variables."""
    account = server.account(name)
    return closing(
        pymysql.connect(
            host=account["DATABASE_HOST"],
            port=int(account["DATABASE_PORT"]),
            user=account["DATABASE_USER"],
            password=account["DATABASE_PASSWORD"],
            database=database or account["DATABASE_NAME"],
            autocommit=True,
        )
    )


def query(connection: pymysql.Connection, sql: str) -> tuple[Any, ...]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def traced(server: DatabaseServer, name: str) -> list[str]:
    with closing(server.connect()) as connection:
        rows = query(
            connection,
            "SELECT sql_text FROM performance_schema.events_statements_history_long "
            f"WHERE current_schema = '{name}' AND sql_text LIKE 'INSERT%' ORDER BY timer_start, event_id",
        )
    return [row[0] for row in rows]


@pytest.mark.parametrize("server", engines, indirect=True)
def test_what_a_thread_used_for_an_earlier_connection_is_not_charged_to_the_next(server: DatabaseServer) -> None:
    """A server keeps the threads of closed connections; whoever comes next gets one, with all that it has used."""
    for name in ("thread_first", "thread_next"):
        server.create_database(name, None)
    assert server.process is not None
    pids = [server.process.pid]
    with contextlib.ExitStack() as connections:
        for _ in range(8):
            query(connections.enter_context(log_in(server, "thread_first")), "SELECT BENCHMARK(300000, SHA2('x', 256))")
    assert wait_until(lambda: "thread_first" not in {user for user, _ in server.thread_cpu_s(pids).values()}, 5)
    before = server.thread_cpu_s(pids)
    with log_in(server, "thread_next") as connection:
        query(connection, "SELECT 1")
        spent = spent_for("thread_next", before, server.thread_cpu_s(pids))
    assert 0 < spent < 0.02, "the earlier connections used 0.1 s each, and more"


@pytest.mark.parametrize(
    ("engine", "output", "version"),
    [
        ("mysql", "/usr/sbin/mysqld  Ver 8.4.6 for Linux on x86_64 (MySQL Community Server - GPL)", "8.4.6"),
        ("mysql", "mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "9.7.4"),
        ("mysql", "/usr/sbin/mysqld  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)", None),
        ("mysql", "mysqld  Ver 8.0.36-28 for Linux on x86_64 (Percona Server (GPL), Release 28)", None),
        ("mysql", "mysqld  Ver 5.7.44 for Linux on x86_64 (MySQL Community Server (GPL))", None),
        ("mariadb", "mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)", "10.11.19"),
        ("mariadb", "mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", None),
        ("mysql", "", None),
    ],
)
def test_engine_is_what_it_says_it_is(engine, output, version):
    assert parse_version(engine, output) == version


def test_title_names_the_engine():
    installation = Installation(engine="mariadb", version="10.11.19", command=(), options=(), template=Path())
    assert installation.title == "MariaDB 10.11.19"


@pytest.mark.parametrize("engine", engines)
def test_server_has_the_settings_and_leaves_nothing(engine, start, memory, tmp_path):
    server = start(engine, isolation="REPEATABLE-READ", max_connections=123)
    with closing(server.connect()) as connection:
        (values,) = query(
            connection,
            "SELECT version(), @@max_connections, @@innodb_flush_log_at_trx_commit, @@log_bin, @@port, @@datadir",
        )
        assert values[0].startswith(server.installation.version)
        assert ("MariaDB" in values[0]) == (engine == "mariadb")
        assert values[1:5] == (123, 1, 0, server.port)
        assert Path(values[5]).is_relative_to(memory)
        variables = dict(query(connection, "SHOW VARIABLES"))
        isolation = variables.get("transaction_isolation") or variables["tx_isolation"]
        assert isolation == "REPEATABLE-READ"
        assert query(connection, "SHOW STATUS LIKE 'Ssl_cipher'")[0][1] == ""
    assert server.alive
    assert server.process.pid in server.process.cage.pids()
    server.stop()
    assert not server.alive
    assert list(memory.iterdir()) == []
    assert not Path(f"/proc/{server.process.pid}").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["database.log"]


@pytest.mark.parametrize("server", engines, indirect=True)
def test_each_account_has_its_own_database_only(server, schema):
    for name in ("a_b", "axb"):  # an unescaped _ in a GRANT would give a_b the other one too
        server.create_database(name, schema)
    with log_in(server, "a_b") as connection:
        query(connection, "CALL reset_data()")
        assert query(connection, "SELECT name FROM users") == (("a;b",),)
        assert query(connection, "SHOW DATABASES LIKE 'a%'") == (("a_b",),)
        for denied in ("SELECT * FROM axb.users", "SELECT * FROM mysql.user", "CALL axb.reset_data()"):
            with pytest.raises(pymysql.MySQLError, match="denied"):
                query(connection, denied)
    with pytest.raises(pymysql.MySQLError, match="denied"), log_in(server, "a_b", database="axb"):
        pass
    with pytest.raises(pymysql.MySQLError, match=r"(?i)denied|not allowed"):  # root has no password, and no TCP
        pymysql.connect(host=server.host, port=server.port, user="root")


@pytest.mark.parametrize("server", engines, indirect=True)
def test_tracing_is_off_until_asked_for(server, schema):
    server.create_database("app", schema)
    longest = "x" * 1900
    with log_in(server, "app") as old:
        query(old, "INSERT INTO users (name) VALUES ('before')")
        assert traced(server, "app") == []
        with closing(server.connect()) as admin, trace_statements(admin), log_in(server, "app") as new:
            query(old, "INSERT INTO users (name) VALUES ('old')")
            query(new, f"INSERT INTO users (name) VALUES ('{longest}')")
        query(old, "INSERT INTO users (name) VALUES ('after')")
        assert traced(server, "app") == [
            "INSERT INTO users (name) VALUES ('old')",
            f"INSERT INTO users (name) VALUES ('{longest}')",
        ]
        with closing(server.connect()) as admin, trace_statements(admin):
            assert traced(server, "app") == []
    with closing(server.connect()) as connection:
        own = "name NOT LIKE 'memory/performance_schema/%' AND enabled = 'YES'"
        assert query(connection, f"SELECT name FROM performance_schema.setup_instruments WHERE {own}") == ()
        assert query(connection, "SELECT name FROM performance_schema.setup_consumers WHERE enabled = 'YES'") == ()


@pytest.mark.parametrize("server", engines, indirect=True)
def test_history_holds_fifty_requests(server, schema):
    server.create_database("fifty", schema)
    statements = 168 * 50
    with (
        closing(server.connect()) as admin,
        trace_statements(admin),
        log_in(server, "fifty") as connection,
        connection.cursor() as cursor,
    ):
        query(connection, "BEGIN")
        for number in range(statements):
            cursor.execute(f"INSERT INTO users (name) VALUES ('{number}')")
        query(connection, "COMMIT")
    assert len(traced(server, "fifty")) == statements


@pytest.mark.mysql
def test_server_that_dies_is_an_error_that_names_it(start, schema):
    server = start()
    os.kill(server.process.pid, signal.SIGKILL)
    assert wait_until(lambda: not server.alive, 5)
    with pytest.raises(PipelineError, match=r"database: the server has ended \(code -9\)(.|\n)*ready for connections"):
        server.create_database("app", schema)


@pytest.mark.parametrize("engine", engines)
def test_server_that_does_not_start_leaves_its_log_only(engine, cages, memory, tmp_path, cache):
    settings = DatabaseSettings(engine=engine)
    found = provide(settings, cache)
    broken = Installation(
        engine=found.engine,
        version=found.version,
        command=found.command,
        options=(*found.options, "--no-such-option"),
        template=found.template,
    )
    cage = cages.make("broken", "0")
    with pytest.raises(PipelineError, match=r"the server has ended(.|\n)*no-such-option"):
        DatabaseServer(broken, settings, cage, memory, tmp_path / "database.log")
    assert list(memory.iterdir()) == []
    assert cage.pids() == []


@pytest.mark.parametrize("server", engines, indirect=True)
def test_wrong_schema_is_named_with_its_statement(server, tmp_path):
    wrong = tmp_path / "wrong.sql"
    wrong.write_text("CREATE TABLE a (id INT);\nCREATE TABEL b (id INT);")
    with pytest.raises(PipelineError, match=r"wrong\.sql: statement 2 failed: .*'CREATE TABEL b"):
        server.create_database("wrong", wrong)


@pytest.mark.mysql
def test_server_ends_with_its_harness(cache, memory, tmp_path):
    """Killed without warning, the harness cannot stop the server: the kernel does."""
    program = f"""
import os, pathlib, sys, time
from scripts.config import DatabaseSettings
from scripts.stack.database import DatabaseServer, provide
from scripts.stack.cage import OpenCage
settings, cpus = DatabaseSettings(), ",".join(map(str, os.sched_getaffinity(0)))
installation = provide(settings, pathlib.Path({str(cache)!r}))
log = pathlib.Path({str(tmp_path / "log")!r})
server = DatabaseServer(installation, settings, OpenCage("x", cpus, None), pathlib.Path({str(memory)!r}), log)
print(server.process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        assert Path(f"/proc/{pid}").exists()
        harness.kill()
    assert wait_until(lambda: not Path(f"/proc/{pid}").exists(), 20)


@pytest.fixture
def disk(cache: Path) -> Iterator[Path]:
    """A folder that is not on a tmpfs, which the system's temporary folder may be."""
    cache.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tests-", dir=cache) as folder:
        yield Path(folder)


@pytest.mark.mysql
def test_data_on_disk(start, disk, schema):
    server = start(folder=disk, durability="disk")
    server.create_database("app", schema)
    with closing(server.connect()) as connection:
        (values,) = query(connection, "SELECT @@datadir, @@innodb_flush_log_at_trx_commit, @@innodb_flush_method")
    assert Path(values[0]).is_relative_to(disk)
    assert values[1:] == (1, "O_DIRECT")
    server.stop()
    assert list(disk.iterdir()) == []


@pytest.mark.mysql
def test_recorded_durability_must_be_the_real_one(start, disk, memory):
    with pytest.raises(PipelineError, match="not what the durability 'memory' means"):
        start(folder=disk)
    with pytest.raises(PipelineError, match="not what the durability 'disk' means"):
        start(folder=memory, durability="disk")
    with pytest.raises(PipelineError, match="no such folder"):
        start(folder=memory / "absent")


@pytest.mark.mysql
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_small_file_system_in_memory_is_named(start, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", small], check=False).returncode != 0:
        pytest.skip("may not mount")
    try:
        with pytest.raises(PipelineError, match="64 MB are free") as caught:
            start(folder=small)
        assert "--durability disk" in caught.value.hint
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.mysql
def test_limit_of_open_files_is_named(start):
    """The server raises its own limit where it may, and otherwise silently allows fewer connections."""

    class FewFiles(OpenCage):
        def wrap(self, argv: Sequence[str]) -> list[str]:
            unprivileged = ["setpriv", "--bounding-set=-sys_resource"] if os.geteuid() == 0 else []
            return [*unprivileged, "prlimit", "--nofile=1024:1024", *super().wrap(argv)]

    with pytest.raises(PipelineError, match="connections, not 400") as caught:
        start(cage=FewFiles("few-files", ALL_CPUS, None))
    assert "ulimit -n" in caught.value.hint
