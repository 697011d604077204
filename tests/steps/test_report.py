"""The step that writes a report again."""

from pathlib import Path

import pytest

from scripts.model import PipelineError
from scripts.records import write_run
from scripts.steps.report import main
from tests.factories import make_run


def test_report_is_written_again_from_the_run_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(make_run(levels=(10, 20)), tmp_path / "run.json")
    assert main([str(tmp_path)]) == 0
    first = (tmp_path / "report.html").read_bytes()
    (tmp_path / "report.html").write_text("old")
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "report.html").read_bytes() == first
    assert "LEADS" in capsys.readouterr().out


def test_latest_run_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "results" / "one").mkdir(parents=True)
    (tmp_path / "results" / "latest").symlink_to("one")
    write_run(make_run(levels=(10,)), tmp_path / "results" / "one" / "run.json")
    monkeypatch.chdir(tmp_path)
    assert main([]) == 0
    assert (tmp_path / "results" / "one" / "report.html").exists()


def test_what_is_missing_is_named_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no such folder") as caught:
        main([str(tmp_path / "absent")])
    assert "nox -s bench" in caught.value.hint
    with pytest.raises(PipelineError, match=r"run\.json"):
        main([str(tmp_path)])
