"""However the chain from start_benchmark.sh over nox to a step is ended, all of it ends, and nothing is a traceback."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.config import ROOT
from scripts.stack import leftovers
from scripts.stack.process import wait_until

WAITING = ("-s", "detect", "--", "--series", "-")  # a step that is ready soon and then waits for its input
READY = '{"change_points": []}'


class Chain:
    """``start_benchmark.sh`` as another program starts it; ``ignored``: a signal that this one ignores, for a shell."""

    def __init__(
        self, *arguments: str, ignored: str = "", folder: Path = ROOT, variables: dict[str, str] | None = None
    ):
        command = shlex.join(["./start_benchmark.sh", *arguments])
        self.process = subprocess.Popen(
            # What ignores signals here, as nohup and a script's background do, is not part of what is tested.
            ["env", "--default-signal=HUP,INT", "bash", "-c", f"trap '' {ignored or 'USR1'}; exec {command}"],
            cwd=folder,
            env=variables or {**os.environ, "TESTED_CHAIN": str(id(self))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_until_ready(self) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write('{"values": [1]}\n')
        self.process.stdin.flush()
        said = ""
        while READY not in said:
            line = self.process.stdout.readline()
            assert line, said
            said += line

    def members(self) -> list[int]:
        """Living processes of its session: nobody here leaves it."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if os.getsid(int(path.name)) == self.process.pid and not leftovers.is_gone(f"bench-{path.name}"):
                    found.append(int(path.name))
            except ProcessLookupError:
                continue
        return found

    def end(self) -> tuple[int, str]:
        """Its exit code, and what it has said that nobody has read."""
        code = self.process.wait(60)  # before its input is closed, which would end the step
        return code, self.process.communicate(timeout=10)[0]


@pytest.fixture
def chain() -> Iterator[Callable[..., Chain]]:
    started: list[Chain] = []

    def start(*arguments: str, **options: object) -> Chain:
        started.append(Chain(*arguments, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for each in started:
        for pid in each.members():
            os.kill(pid, signal.SIGKILL)
        if each.process.poll() is None:
            each.process.kill()
        each.end()


@pytest.mark.parametrize("ignored", ["", "INT"], ids=["", "in the background of a script"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_whatever_ends_nox_ends_its_step(chain: Callable[..., Chain], number: signal.Signals, ignored: str) -> None:
    """The signal reaches nox alone."""
    running = chain(*WAITING, ignored=ignored)
    running.wait_until_ready()
    assert len(running.members()) == 2
    running.process.send_signal(number)
    code, said = running.end()
    assert wait_until(lambda: not running.members(), 10)
    assert "Traceback" not in said
    if number != signal.SIGKILL:
        assert code == 130
        assert "detect: interrupted" in said


def test_a_closing_terminal_ends_all_once(chain: Callable[..., Chain]) -> None:
    """It tells every process of it, and nox tells the step again."""
    running = chain(*WAITING)
    running.wait_until_ready()
    os.killpg(running.process.pid, signal.SIGHUP)
    code, said = running.end()
    assert code == 130
    assert said.count("detect: interrupted") == 1
    assert "Traceback" not in said
    assert not running.members()


def test_nohup_is_respected(chain: Callable[..., Chain]) -> None:
    running = chain(*WAITING, ignored="HUP")
    running.wait_until_ready()
    os.killpg(running.process.pid, signal.SIGHUP)
    running.wait_until_ready()
    assert len(running.members()) == 2
    os.killpg(running.process.pid, signal.SIGTERM)
    assert running.end()[0] == 130


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_no_moment_is_a_traceback(chain: Callable[..., Chain], number: signal.Signals) -> None:
    for tenths in range(12):
        running = chain(*WAITING)
        time.sleep(0.02 + tenths / 10)
        os.killpg(running.process.pid, number)
        code, said = running.end()
        assert code in (130, -number), (tenths, code, said)
        assert "Traceback" not in said, (tenths, said)
        assert "Python 3.11 or newer" not in said, (tenths, said)
        assert not running.members(), tenths


@pytest.fixture
def clone(tmp_path: Path) -> Callable[[str], Path]:
    """What starts a session, in a folder of this name, with the environments of this clone."""
    if not (ROOT / ".venv").is_dir():
        pytest.skip("nox does not run from .venv here")

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for path in ("start_benchmark.sh", "noxfile.py", *(p.name for p in ROOT.glob("requirements*.txt"))):
            shutil.copy(ROOT / path, folder)
        for path in ("scripts", "bench.toml", "site", "k6", ".nox"):
            (folder / path).symlink_to(ROOT / path)
        shutil.copytree(ROOT / ".venv", folder / ".venv", symlinks=True)
        for script in (folder / ".venv" / "bin").iterdir():  # as pip would have written it
            if not script.is_symlink() and script.read_bytes().startswith(f"#!{ROOT.resolve()}".encode()):
                script.unlink()
        return folder

    return make


@pytest.mark.parametrize("name", ["a $HOME b", "$(exit 3)", "it's", 'a "b"', "é ß %s {x} #?&*", "-e", "x" * 200])
def test_a_clone_may_lie_anywhere(clone: Callable[[str], Path], chain: Callable[..., Chain], name: str) -> None:
    code, said = chain("-s", "detect", "--", "--help", folder=clone(name)).end()
    assert "usage: nox -s detect --" in said
    assert code == 0


@pytest.mark.parametrize("name", ["a:b", "a;b", "a\nb"])
def test_but_not_where_no_search_path_can_lead(
    clone: Callable[[str], Path], chain: Callable[..., Chain], name: str
) -> None:
    code, said = chain("-l", folder=clone(name)).end()
    assert code == 1
    assert "the folder's path has a colon, a semicolon or a new line" in said
    assert "what to do: " in said


@pytest.mark.parametrize("home", [None, "/nonexistent"])
def test_uv_needs_no_home(clone: Callable[[str], Path], chain: Callable[..., Chain], home: str | None) -> None:
    """Users without one exist: of a service, or of a container that was given just a number."""
    folder = clone("clone")
    (folder / "noxfile.py").write_text(
        (folder / "noxfile.py").read_text()
        + "\n\n@nox.session\ndef where(session: nox.Session) -> None:\n    session.run(UV, 'cache', 'dir')\n"
    )
    variables = {key: value for key, value in os.environ.items() if key not in ("HOME", "UV_CACHE_DIR")}
    code, said = chain("-s", "where", folder=folder, variables=variables | ({"HOME": home} if home else {})).end()
    assert str(folder / ".cache" / "uv") in said
    assert code == 0
