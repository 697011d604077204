"""The whole way: real backends on a real server, as they are and with unequal work put into one of them."""

import shutil
import socket
import subprocess
from pathlib import Path

import msgspec
import pytest

from scripts import config
from scripts.model import PipelineError
from scripts.parity.contract import check_parity
from scripts.parity.model import Parity
from scripts.stack import candidates
from scripts.stack.native import NativeStack

pytestmark = [pytest.mark.stack, pytest.mark.mysql]


@pytest.fixture
def prove(tmp_path: Path):
    """Proves parity of one backend, of which ``change`` has replaced a piece of a source file with another."""

    def prove(
        name: str, path: str = "", change: tuple[str, str] = ("", ""), source_apps: Path = config.ROOT / "apps"
    ) -> Parity:
        settings = config.load()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        backend = msgspec.structs.replace(config.find(settings.backends, name, "backend"), port=port)
        settings = msgspec.structs.replace(settings, backends=(backend,))
        apps = tmp_path / "apps"
        shutil.copytree(source_apps, apps, ignore=shutil.ignore_patterns("__pycache__"))
        if path:
            source = (apps / name / path).read_text()
            assert change[0] in source, "the backend no longer says so: change this test with it"
            (apps / name / path).write_text(source.replace(*change))
        with NativeStack(
            settings, candidates(settings, apps.parent), tmp_path, lambda _: None, allow_unlimited=True
        ) as stack:
            return check_parity(stack, settings.workload)

    return prove


WORK = "benchmark/workload.py"


@pytest.mark.parametrize("name", ["fastapi", "django_wsgi", "django_asgi", "fast_django_asgi"])
def test_a_backend_as_it_is_does_equal_work(prove, name):
    parity = prove(name)
    assert parity.differences == ()
    assert len(parity.traces[0].data) == 168
    assert parity.traces[0].isolation == ("READ COMMITTED",)


def test_rows_that_stay_and_a_file_that_stays(prove):
    found = prove("fastapi", WORK, ("            await user.delete()", "            pass")).differences
    assert "fastapi: 8 DELETE statements, the contract asks for 48 (6 in each of 8 transactions)" in found
    assert "fastapi: the request leaves 40 rows more in table users" in found


def test_work_outside_a_transaction(prove):
    change = ("async with in_transaction():", "if True:")
    assert prove("fastapi", WORK, change).differences == (
        "fastapi: no transaction around its data statements (0 BEGIN, 0 COMMIT around none of them; "
        "the contract asks for 8)",
    )


def test_a_file_that_is_smaller_and_stays(prove):
    found = prove("fastapi", WORK, ('"x" * 1000}))', '"x" * 10}))\n    open(str(path) + "2", "w").close()')).differences
    assert any("file 1: expected the document" in text and "str(10)" in text for text in found)
    assert "fastapi: 4 files made, the contract asks for 2" in found


def test_a_backend_that_fails_is_named_with_its_log(prove):
    with pytest.raises(PipelineError, match=r"fastapi: status 500 for POST /io-intensive") as caught:
        prove("fastapi", WORK, ("async with in_transaction():", "raise RuntimeError('no such luck')\n    if True:"))
    assert "no such luck" in caught.value.message


STUDY = "django_asgi in the published study's form"
REPAIRS = (
    "django_asgi: update row by row with asave(), as the others do",
    "django_asgi: delete row by row with adelete(), and collect nothing",
    "django_asgi: put each transaction's statements into a transaction",
    "django_asgi: keep connections in a pool, not one for each request",
)


def check_out(subject: str, folder: Path) -> Path:
    """The apps folder of the commit with this subject."""
    git = ["git", "-C", str(config.ROOT)]
    found = subprocess.run([*git, "log", "--format=%H %s"], capture_output=True, text=True, check=True).stdout
    commits = [line.split(" ", 1)[0] for line in found.splitlines() if line.split(" ", 1)[1] == subject]
    assert len(commits) == 1, f"one commit {subject!r} is part of this project's history: fetch all of it"
    archive = subprocess.run([*git, "archive", commits[0], "apps"], capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return folder / "apps"


def test_the_studys_django_asgi_is_red_with_the_right_words(prove, tmp_path):
    (tmp_path / "commit").mkdir()
    found = prove("django_asgi", source_apps=check_out(STUDY, tmp_path / "commit")).differences
    expected = (
        "8 UPDATE statements, the contract asks for 40 (5 in each of 8 transactions)",
        "8 DELETE statements, the contract asks for 48 (6 in each of 8 transactions)",
        "16 SELECT statements, the contract asks for none",
        "104 data statements outside a transaction, first `INSERT INTO users",
        "opens 1.00 connections for each warm request, the contract allows none",
        "first difference at data statement 11: expected `UPDATE users SET name = ?, updated_at = ? WHERE id = ?`",
    )
    for words in expected:
        assert any(text.startswith(f"django_asgi: {words}") for text in found), f"{words!r} not in {found}"


@pytest.mark.parametrize(("number", "statements", "left"), [(0, 144, 6), (1, 168, 3), (2, 168, 1), (3, 168, 0)])
def test_each_repair_of_django_asgi_runs_and_brings_it_nearer(prove, tmp_path, number, statements, left):
    (tmp_path / "commit").mkdir()
    parity = prove("django_asgi", source_apps=check_out(REPAIRS[number], tmp_path / "commit"))
    assert len(parity.traces[0].data) == statements
    assert len(parity.differences) == left, parity.differences
