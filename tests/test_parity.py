"""The whole way: real backends on a real server, as they are and with unequal work put into one of them."""

import shutil
import socket
from pathlib import Path

import msgspec
import pytest

from scripts import config
from scripts.contract import check_parity
from scripts.model import Parity, PipelineError
from scripts.stack.native import NativeStack

pytestmark = [pytest.mark.stack, pytest.mark.mysql]


@pytest.fixture
def prove(tmp_path: Path):
    """Proves parity of one backend, of which ``change`` has replaced a piece of a source file with another."""

    def prove(name: str, path: str = "", change: tuple[str, str] = ("", "")) -> Parity:
        settings = config.load()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        backend = msgspec.structs.replace(config.find(settings.backends, name, "backend"), port=port)
        settings = msgspec.structs.replace(settings, backends=(backend,))
        apps = tmp_path / "apps"
        shutil.copytree(config.ROOT / "apps", apps, ignore=shutil.ignore_patterns("__pycache__"))
        if path:
            source = (apps / name / path).read_text()
            assert change[0] in source, "the backend no longer says so: change this test with it"
            (apps / name / path).write_text(source.replace(*change))
        with NativeStack(settings, tmp_path, lambda _: None, apps=apps, allow_unlimited=True) as stack:
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
