"""The step that records a run, in a folder and on a data branch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from scripts import config, records
from scripts.history import store
from scripts.model import PipelineError, Run
from scripts.steps import record
from tests.factories import FAILED, LABELS, git, make_paired_run, make_run


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    folder.mkdir()
    records.write_run(make_run(levels=(10,), rounds=1), folder / "run.json")
    return folder


def test_a_run_is_recorded_once(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = records.read_run(results / "run.json")
    assert record.main([str(results), "--history", str(tmp_path / "history")]) == 0
    path = tmp_path / "history" / store.locate(run.id)
    assert capsys.readouterr().out.strip() == f"recorded {path}"
    assert records.read_run(path) == run
    with pytest.raises(PipelineError, match="already recorded"):
        record.main([str(results), "--history", str(tmp_path / "history")])


@pytest.mark.parametrize("push", [(), ("--push",)])
def test_what_no_history_can_be_judged_by_is_refused(results: Path, tmp_path: Path, push: tuple[str, ...]) -> None:
    folder = tmp_path / "history"
    records.write_run(make_run(levels=(10,), complete=False), results / "run.json")
    with pytest.raises(PipelineError, match="stopped early: Ctrl-C"):
        record.main([str(results), "--history", str(folder), *push])
    run = make_run(levels=(10,))
    dirty = msgspec.structs.replace(run, commit=msgspec.structs.replace(run.commit, dirty=True))
    records.write_run(dirty, results / "run.json")
    with pytest.raises(PipelineError, match="measured code that 0000000 does not contain") as caught:
        record.main([str(results), "--history", str(folder), *push])
    assert "commit what you changed" in caught.value.hint
    assert not folder.exists()


@pytest.mark.parametrize("push", [(), ("--push",)])
@pytest.mark.parametrize(
    "run",
    [
        make_run(levels=(10,), rounds=1, invalid=[(name, 10, 0) for name in LABELS], violation=FAILED),
        make_paired_run(rounds=2, invalid_rounds=(1, 2), violation=FAILED),
    ],
    ids=["one arm", "two arms"],
)
def test_a_run_of_which_nothing_counts_is_refused(
    results: Path, tmp_path: Path, run: Run, push: tuple[str, ...]
) -> None:
    records.write_run(run, results / "run.json")
    with pytest.raises(PipelineError, match=r"nothing of it counts: no valid (block|pair) of FastAPI") as caught:
        record.main([str(results), "--history", str(tmp_path / "history"), *push])
    assert "(failures " in caught.value.message
    assert "mend this, then measure again: 12 of 310 requests failed" in caught.value.hint
    assert not (tmp_path / "history").exists()


def test_a_run_that_lacks_one_backend_is_recorded(results: Path, tmp_path: Path) -> None:
    records.write_run(make_run(levels=(10,), rounds=1, invalid=[("fastapi", 10, 0)]), results / "run.json")
    assert record.main([str(results), "--history", str(tmp_path / "history")]) == 0


def test_a_pushed_run_is_on_the_branch_and_the_folder_is_left_alone(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    remote = tmp_path / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    run: Run = records.read_run(results / "run.json")
    arguments = [str(results), "--history", str(tmp_path / "history"), "--push", "--remote", str(remote)]
    assert record.main(arguments) == 0
    assert f"recorded {run.id} in commit" in capsys.readouterr().out
    assert records.decode_run(git(remote, "show", f"history:{store.locate(run.id)}").encode(), "x") == run
    message = git(remote, "log", "--format=%B", "history")
    assert message.startswith(f"Record {run.id}: full profile\n\n4 blocks of fastapi, django_wsgi")
    assert run.commit.sha in message
    assert "skip" not in message
    assert not (tmp_path / "history").exists()
    with pytest.raises(PipelineError, match="already there"):
        record.main(arguments)

    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "--quiet", "--branch", "history", remote, checkout], check=True)
    assert store.read([checkout], pytest.fail) == (run,)


def test_the_data_branch_is_unpacked_as_it_was_last_fetched(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    remote, clone = tmp_path / "remote.git", tmp_path / "clone"
    subprocess.run(["git", "init", "--quiet", "--bare", remote], check=True)
    git(remote, "config", "uploadpack.allowFilter", "true")
    subprocess.run(["git", "clone", "--quiet", remote, clone], check=True, stderr=subprocess.DEVNULL)
    for name in ("PROJECT", "ROOT"):
        monkeypatch.setattr(config, name, clone)
    assert record.main(["--unpack", str(tmp_path / "none")]) == 0
    assert "no data branch yet" in capsys.readouterr().out
    assert list((tmp_path / "none").iterdir()) == []
    assert record.main([str(results), "--push"]) == 0
    git(clone, "fetch", "--quiet", "origin")
    assert record.main(["--unpack", str(tmp_path / "data")]) == 0
    assert store.read([tmp_path / "data"], pytest.fail) == (records.read_run(results / "run.json"),)

    shallow = tmp_path / "shallow"
    git(remote, "symbolic-ref", "HEAD", "refs/heads/history")
    git(clone, "checkout", "--quiet", "history")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "Second")
    git(clone, "push", "--quiet", "origin", "history")
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{remote}", shallow], check=True)
    for name in ("PROJECT", "ROOT"):
        monkeypatch.setattr(config, name, shallow)
    with pytest.raises(PipelineError, match="shallow") as caught:
        record.main(["--unpack", str(tmp_path / "unknown")])
    assert "fetch-depth: 0" in caught.value.hint
    assert not (tmp_path / "unknown").exists()
