"""The steps that export and import, one after the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from scripts.config import ROOT
from scripts.exchange import FORMATS, collection
from scripts.history import store
from scripts.model import PipelineError
from scripts.steps import export, import_
from tests.factories import make_run

DATA_JS = ROOT / "tests/data/github-action-benchmark.js"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A history of two runs of two commits."""
    for seed in (1, 2):
        run = make_run(seed, levels=(10,), rounds=1)
        commit = msgspec.structs.replace(run.commit, sha=str(seed) * 40)
        store.add(msgspec.structs.replace(run, commit=commit), tmp_path / "history")
    return tmp_path / "history"


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_exported_can_be_imported(
    name: str, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([name, str(tmp_path / "out"), "--history", str(root)]) == 0
    written = [Path(line.removeprefix("wrote ")) for line in capsys.readouterr().out.splitlines()]
    assert sorted(written) == sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    source = written[0] if len(written) == 1 else tmp_path / "out"
    arguments = [name, str(source), "--name", "back", "--history", str(root), "--time", "2026-11-23T12:00:00Z"]
    assert import_.main(arguments) == 0
    assert "imported 32 series with " in capsys.readouterr().out
    assert collection.series(collection.read(root, "back"))


def test_an_imported_store_goes_out_as_it_came(root: Path, tmp_path: Path) -> None:
    shutil.copy(DATA_JS, tmp_path / "data.js")
    assert import_.main(["github-action-benchmark", str(tmp_path / "data.js"), "--history", str(root)]) == 0
    arguments = ["github-action-benchmark", str(tmp_path / "out"), "--history", str(root), "--imported", "data"]
    assert export.main(arguments) == 0
    value = [json.loads(path.read_text().partition("=")[2]) for path in (DATA_JS, tmp_path / "out/data.js")]
    assert value[0] == value[1]


def test_an_import_is_replaced_only_when_that_is_meant(root: Path) -> None:
    arguments = ["github-action-benchmark", str(DATA_JS), "--name", "x", "--history", str(root)]
    assert import_.main(arguments) == 0
    with pytest.raises(PipelineError, match=r"imported/x\.json: is there already"):
        import_.main(arguments)
    assert import_.main([*arguments, "--replace"]) == 0


def test_what_is_skipped_is_said(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "runs/2026/11/half.json").write_text("{")
    assert export.main(["csv", str(tmp_path / "out"), "--history", str(root)]) == 0
    assert "files of the history that were skipped: 1" in capsys.readouterr().err


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no recorded runs"):
        export.main(["csv", str(tmp_path / "out"), "--history", str(tmp_path)])
    with pytest.raises(PipelineError, match=r"absent\.js: cannot be read"):
        import_.main(["github-action-benchmark", str(tmp_path / "absent.js"), "--history", str(tmp_path)])
    with pytest.raises(PipelineError, match="--time yesterday: not ISO 8601"):
        import_.main(["csv", str(DATA_JS), "--time", "yesterday", "--history", str(tmp_path)])
