"""How a step answers a hosted runner, and that it answers nobody elsewhere."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from scripts.github import runner
from scripts.github.runner import SUMMARY_LIMIT
from scripts.model import PipelineError


class Number(msgspec.Struct):
    number: int


def test_outputs_and_summaries_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
        monkeypatch.setenv(name, str(tmp_path / name))
    runner.set_outputs(outcome="no change", regressed="")
    runner.set_outputs(base="a" * 40)
    assert (tmp_path / "GITHUB_OUTPUT").read_text() == f"outcome=no change\nregressed=\nbase={'a' * 40}\n"
    runner.add_summary("# One\n")
    runner.add_summary("é" * SUMMARY_LIMIT)
    data = (tmp_path / "GITHUB_STEP_SUMMARY").read_bytes()
    assert len(data) <= SUMMARY_LIMIT + len(b"# One\n")
    assert data.endswith(b"did not fit._\n")


@pytest.mark.parametrize("value", ["a\nPATH=/tmp", "a\rb", "a\x1b[2Jb"])
def test_an_output_is_one_line(value: str) -> None:
    with pytest.raises(ValueError, match="not one line"):
        runner.set_outputs(name=value)


def test_annotations_cannot_be_commands(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    runner.annotate("error", "a: b, c", "50%\n::set-env name=PATH::/tmp")
    assert capsys.readouterr().out == "::error title=a%3A b%2C c::50%25 ::set-env name=PATH::/tmp\n"
    monkeypatch.delenv("GITHUB_ACTIONS")
    runner.annotate("notice", "a", "b")
    assert capsys.readouterr().out == "notice: a: b\n"


def test_an_event_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    with pytest.raises(PipelineError, match="there is no event here"):
        runner.event(Number)
    path = tmp_path / "event.json"
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(path))
    path.write_text('{"number": "x"}')
    with pytest.raises(PipelineError, match="not the event that this step is for"):
        runner.event(Number)
    path.write_text('{"number": 7, "more": 1}')
    assert runner.event(Number).number == 7
