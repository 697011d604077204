"""Whatever stops a session, its finished blocks are kept, and what happened is said."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from scripts import config, records
from scripts.config import ROOT
from scripts.load import k6
from scripts.model import PipelineError, Run
from scripts.session.recorder import LOADS, Progress, Recorder, finish
from scripts.session.results import measure_into
from tests.factories import make_block, make_run


class Silent:
    """A progress that nobody watches, but for what is repeated."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def repeating(self, reason: str) -> None:
        self.reasons.append(reason)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def recorder(directory: Path) -> Any:
    run = make_run()
    backend = SimpleNamespace(name="fastapi", label="FastAPI")
    target = SimpleNamespace(arm="candidate", name="fastapi", backend=backend)
    instance = SimpleNamespace(target=target, packages={})
    stack: Any = SimpleNamespace(instances=(instance,), environment=run.environment, limited=True)
    settings = config.load()
    made = Recorder(
        stack,
        settings,
        run.profile,
        (run.commit, None),
        run.id,
        1,
        directory,
        cast("Progress", Silent()),
        (),
        time.monotonic(),
    )
    made.blocks.append(make_block())
    return made


def raises(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KeyError("unheard of"), "what this program does not expect: KeyError: 'unheard of'"),
        (RecursionError(), "does not expect: "),
        (MemoryError("x"), "does not expect: "),
        (OSError(28, "No space left on device"), "No space left on device"),
        (PipelineError("known", "what to do"), "known\nwhat to do"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_whatever_stops_a_session_its_blocks_are_kept(
    tmp_path: Path, error: BaseException, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = finish(recorder(tmp_path), raises(error))
    assert not run.complete
    assert words in run.stopped_by
    assert records.read_run(tmp_path / "run.json") == run
    assert len(run.blocks) == 1
    log = tmp_path / "logs" / "traceback.log"
    assert log.exists() == ("does not expect" in run.stopped_by)
    if log.exists():
        assert "in fail" in log.read_text()
        assert log.read_text() in capsys.readouterr().err


def test_what_k6_did_not_finish_is_measured_again_a_few_times(tmp_path: Path) -> None:
    made = recorder(tmp_path)
    errors = [k6.UnfinishedError("killed", "why")] * (LOADS - 1)

    def measure() -> str:
        if errors:
            raise errors.pop()
        return "measured"

    assert made._insist(measure) == "measured"
    assert made.progress.reasons == ["killed"] * (LOADS - 1)
    with pytest.raises(PipelineError, match=f"killed\n{LOADS} times in a row") as raised:
        made._insist(raises(k6.UnfinishedError("killed", "why")))
    assert raised.value.hint == "why"
    with pytest.raises(KeyError):
        made._insist(raises(KeyError("not this one")))


@pytest.mark.parametrize("error", [RuntimeError("x"), PipelineError("x"), KeyboardInterrupt()])
def test_finished_blocks_are_kept_even_if_the_stack_cannot_be_stopped(tmp_path: Path, error: BaseException) -> None:
    def measure(folder: Path) -> Run:
        records.write_run(make_run(), folder / "run.json")
        raise error

    console = Console(record=True, width=300)
    with pytest.raises(type(error)) as raised:
        measure_into(tmp_path, "id", console, measure)
    said = console.export_text() + getattr(raised.value, "hint", "")
    assert f"finished blocks are kept; `nox -s report -- {tmp_path}/id.partial` reports them" in said
    assert (tmp_path / "id.partial" / "run.json").exists()


@pytest.mark.parametrize("error", [RuntimeError("x"), PipelineError("x"), OSError(28, "full")])
def test_where_nothing_was_measured_the_logs_are_kept(tmp_path: Path, error: Exception) -> None:
    def measure(folder: Path) -> Run:
        (folder / "logs" / "fastapi.log").touch()
        raise error

    console = Console(record=True, width=300)
    with pytest.raises(type(error)) as raised:
        measure_into(tmp_path, "id", console, measure)
    said = console.export_text() + getattr(raised.value, "hint", "")
    assert f"the logs are in {tmp_path}/id.failed/logs" in said
    assert (tmp_path / "id.failed" / "logs" / "fastapi.log").exists()


def test_a_fault_of_the_program_is_called_one() -> None:
    code = (
        "import scripts.__main__ as m, scripts.steps.report as r; r.main = lambda _: {}['x']; exit(m.main(['report']))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "KeyError: 'x'" in done.stderr
    assert "report: this program does not expect that" in done.stderr
