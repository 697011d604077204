"""The step over recorded runs of this repository's own commits: from files to changes.json and a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from scripts.checkout import Revision
from scripts.history import store
from scripts.history.changes import Cause, Changes, decode
from scripts.history.dependencies import DependencyChange
from scripts.history.detection import explained, until
from scripts.model import PipelineError, Run
from scripts.steps.detect import main
from tests.factories import LABELS, RUNS, make_history


def recorded(root: Path, line: Sequence[Revision], steps: dict[tuple[str, int], float], seed: int = 1) -> list[Run]:
    """A run of each commit of the line, beneath ``root``."""
    runs = []
    for run, revision in zip(make_history(range(RUNS), steps, seed=seed, levels=(10,)), line, strict=True):
        commit = msgspec.structs.replace(run.commit, sha=revision.sha, subject=revision.subject)
        run_id = f"{run.id.partition('-')[0]}-{revision.sha[:7]}-{seed:06x}"
        runs.append(msgspec.structs.replace(run, id=run_id, commit=commit))
        store.add(runs[-1], root)
    return runs


def detect(output: Path, *arguments: str) -> Changes:
    assert main([*arguments, "--output", str(output)]) == 0
    return decode(output.read_bytes(), output.name)


def test_from_files_to_changes(tmp_path: Path, line: Sequence[Revision], capsys: pytest.CaptureFixture[str]) -> None:
    runs = recorded(tmp_path / "history", line, {("fastapi", 12): 1.25})
    output = tmp_path / "new" / "changes.json"
    (change,) = detect(output, "--history", str(tmp_path / "history")).changes
    assert change.backends == ("fastapi",)
    assert (change.before.commit, change.after.commit) == (line[11].sha, line[12].sha)
    text = capsys.readouterr().out
    assert f"1 change in {RUNS} runs" in text
    assert str(output) in text.replace("\n", "")
    before = detect(output, "--history", str(tmp_path / "history"), "--as-of", runs[12].id)
    assert (before.changes, before.as_of, before.runs) == ((), runs[12].id, 13)


def test_several_histories_are_one(tmp_path: Path, line: Sequence[Revision]) -> None:
    for seed, name in ((1, "a"), (2, "b")):
        recorded(tmp_path / name, line, {("fastapi", 12): 1.25}, seed)
    found = detect(tmp_path / "out.json", "--history", str(tmp_path / "a"), "--history", str(tmp_path / "b"))
    assert found.runs == 2 * RUNS
    assert len(found.changes) == 1


def test_what_is_not_there_is_named(tmp_path: Path, line: Sequence[Revision]) -> None:
    with pytest.raises(PipelineError, match="no recorded runs"):
        main(["--history", str(tmp_path)])
    recorded(tmp_path, line, {})
    with pytest.raises(PipelineError, match="no run 20991231T000000Z-abcdef0-123456"):
        main(["--history", str(tmp_path), "--as-of", "20991231T000000Z-abcdef0-123456"])
    with pytest.raises(PipelineError, match="'nowhere' names no commits"):
        main(["--history", str(tmp_path), "--line", "nowhere"])


def test_what_else_differs_is_said(tmp_path: Path, line: Sequence[Revision]) -> None:
    """The packages of the backend that changed; and the environment, where no commit is to blame."""
    steps = {(name, 12): 1.25 for name in LABELS}
    runs = recorded(tmp_path, line, steps)
    runs[12:] = [
        msgspec.structs.replace(run, environment=msgspec.structs.replace(run.environment, python="3.11.9"))
        for run in runs[12:]
    ]
    found = detect(tmp_path / "out.json", "--history", str(tmp_path))
    assert [change.cause for change in found.changes] == [Cause.ENVIRONMENT]
    packages = [DependencyChange(backend=name, package="x", before="1", after="2") for name in ("fastapi", "flask")]
    (change,) = explained(found, runs, lambda _before, _after: packages).changes
    assert change.dependencies == (packages[0],)
    assert [(one.field, one.before, one.after) for one in change.environment] == [("python", "3.11.7", "3.11.9")]
    assert [run.id for run in until(runs, runs[2].id)] == [run.id for run in runs[:3]]
