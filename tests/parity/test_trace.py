import contextlib
import tempfile
from pathlib import Path

import pymysql
import pytest

from scripts.config import DatabaseSettings
from scripts.model import PipelineError
from scripts.parity.trace import FileTrace, connections_opened, query, read_statements, trace_statements
from scripts.stack.database import DatabaseServer, provide

engines = [pytest.param("mysql", marks=pytest.mark.mysql), pytest.param("mariadb", marks=pytest.mark.mariadb)]
SCHEMA = "CREATE TABLE users (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(3000) NOT NULL);"


@pytest.fixture(scope="module", params=engines)
def server(request, cages, cache, tmp_path_factory):
    settings = DatabaseSettings(engine=request.param)
    folder = tmp_path_factory.mktemp("trace")
    (folder / "schema.sql").write_text(SCHEMA)
    cage = cages.make(f"trace-{request.param}", "0")
    with (
        tempfile.TemporaryDirectory(prefix="bench-tests-", dir="/dev/shm") as memory,
        DatabaseServer(provide(settings, cache), settings, cage, Path(memory), folder / "database.log") as server,
    ):
        for name in ("traced", "other"):
            server.create_database(name, folder / "schema.sql")
        yield server


@pytest.fixture
def admin(server):
    with server.connect() as connection:
        yield connection


@contextlib.contextmanager
def client(server, name="traced"):
    account = server.account(name)
    connection = pymysql.connect(
        host=account["DATABASE_HOST"],
        port=int(account["DATABASE_PORT"]),
        user=account["DATABASE_USER"],
        password=account["DATABASE_PASSWORD"],
        database=account["DATABASE_NAME"],
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        yield cursor


def test_statements_of_one_database_in_order_with_rows_and_connections(server, admin):
    with client(server) as old, client(server, "other") as stranger:
        old.execute("DELETE FROM users")
        with trace_statements(admin):
            old.execute("BEGIN")
            old.execute("INSERT INTO users (name) VALUES ('a'), ('b'), ('c')")
            stranger.execute("INSERT INTO users (name) VALUES ('a')")
            with client(server) as new:
                new.execute("SELECT 1")
            old.execute("UPDATE users SET name = 'z' WHERE id IN (SELECT id FROM (SELECT id FROM users) ids)")
            with contextlib.suppress(pymysql.MySQLError):
                old.execute("DELETE FROM missing WHERE id = 1")
            old.execute("COMMIT")
            trace = read_statements(admin, "traced", "traced")
        old.execute("DELETE FROM users")
        seen = [(s.sql, s.rows, s.connection, s.error) for s in trace.statements if s.sql != "quit"]
        again = read_statements(admin, "traced", "traced").statements
    assert seen == [
        ("BEGIN", 0, 1, 0),
        ("INSERT INTO users (name) VALUES (?) x 3", 3, 1, 0),
        *[row for row in seen if row[2] == 2],
        ("UPDATE users SET name = ? WHERE id IN (SELECT id FROM (SELECT id FROM users) AS ids)", 3, 1, 0),
        ("DELETE FROM missing WHERE id = ?", 0, 1, 1146),
        ("COMMIT", 0, 1, 0),
    ]
    assert ("SELECT 1", 0, 2, 0) in seen
    assert trace.isolation == ("READ COMMITTED",)
    assert again == trace.statements, "what came after the trace is not in it"


def test_everything_is_off_after_a_trace_that_failed(server, admin):
    with pytest.raises(RuntimeError), trace_statements(admin):
        raise RuntimeError
    for table in ("instruments", "consumers"):
        where = "name LIKE 'statement/%' OR name = 'transaction'" if table == "instruments" else "TRUE"
        rows = query(admin, f"SELECT name FROM performance_schema.setup_{table} WHERE enabled = 'YES' AND ({where})")
        assert rows == []


def test_a_trace_that_is_cut_is_refused(server, admin):
    with client(server) as cursor:
        with trace_statements(admin):
            cursor.execute("INSERT INTO users (name) VALUES (%s)", ("ü" * 2000,))
            with pytest.raises(PipelineError, match="cut statements off after 2048 bytes"):
                read_statements(admin, "traced", "traced")
        size = query(admin, "SELECT @@performance_schema_events_statements_history_long_size")[0][0]
        with trace_statements(admin):
            for _ in range(size):
                cursor.execute("DO 1")
            with pytest.raises(PipelineError, match=f"only the last {size} statements"):
                read_statements(admin, "traced", "traced")


def test_every_connection_counts_while_nothing_is_traced(server, admin):
    before = connections_opened(admin, "traced")
    for _ in range(7):
        with client(server):
            pass
    with client(server, "other"):
        assert connections_opened(admin, "traced") - before == 7


def test_a_server_that_has_gone_is_a_clear_error(server):
    connection = server.connect()
    connection.close()
    with pytest.raises(PipelineError, match="the database server says"), trace_statements(connection):
        pass


def test_files_have_their_events_in_order_of_creation(tmp_path):
    with FileTrace(tmp_path) as trace:
        for name in ("b", "a"):
            path = tmp_path / name
            path.write_text("x" * 100_000)
            path.read_text()
            path.unlink()
        with (tmp_path / "kept").open("w") as file:
            (tmp_path / "folder").mkdir()
            file.write("x")
    once = "create open modify close_write open access close_nowrite delete"
    assert [file.events for file in trace.files] == [once, once, "create open modify close_write", "folder_create"]
    assert trace.overlapping == 1


def test_contents_are_read_even_of_files_that_are_gone(tmp_path):
    known: dict[str, bytes] = {}
    for number in range(200):
        path = tmp_path / str(number)
        with FileTrace(tmp_path, hold=True) as trace:
            path.write_bytes(b"%d" % number)
            path.unlink()
        (file,) = trace.files
        if file.content is not None:
            known[path.name] = file.content
    assert known, "each is a race, but not all are lost"
    assert known == {name: name.encode() for name in known}


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    with (
        pytest.raises(PipelineError, match=r"missing: cannot be watched: No such file"),
        FileTrace(tmp_path / "missing"),
    ):
        pass
