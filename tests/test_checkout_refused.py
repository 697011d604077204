"""A repository that cannot say what is asked of it: git's own reason, never another, and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

import pytest

from scripts import checkout, config
from scripts.history.data_branch import DataBranch
from scripts.model import PipelineError
from scripts.pages.reading import read_line
from scripts.steps import detect
from tests.factories import LABELS, git

BACKENDS = config.load().backends


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits of a backend, on main."""
    root = tmp_path / "repository"
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(root))
    for subject in ("one", "two"):
        (root / "apps/fastapi").mkdir(parents=True, exist_ok=True)
        (root / "apps/fastapi/work.py").write_text(subject)
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", subject)
    return root


def shallow(repository: Path) -> Path:
    clone = repository.with_name("shallow")
    git(repository, "clone", "--quiet", "--depth=1", f"file://{repository}", str(clone))
    return clone


def orphaned(repository: Path) -> Path:
    """A worktree whose main repository has gone."""
    tree = repository.with_name("tree")
    git(repository, "worktree", "add", "--quiet", str(tree))
    repository.rename(repository.with_name("moved"))
    return tree


def no_gitfile(repository: Path) -> Path:
    shutil.rmtree(repository / ".git")
    (repository / ".git").write_text("nonsense")
    return repository


def lost_commit(repository: Path) -> Path:
    sha = git(repository, "rev-parse", "HEAD").strip()
    (repository / ".git/objects" / sha[:2] / sha[2:]).unlink()
    return repository


def unborn(repository: Path) -> Path:
    root = repository.with_name("unborn")
    git(repository, "init", "--quiet", str(root))
    return root


def copied(repository: Path) -> Path:
    shutil.rmtree(repository / ".git")
    return repository


def absent(repository: Path) -> Path:
    return repository / "absent"


QUESTIONS: dict[str, Callable[[Path], object]] = {
    "find": lambda root: checkout.find("HEAD", root),
    "line": lambda root: checkout.line("HEAD", LABELS, root),
    "merge_base": lambda root: checkout.merge_base("main", "HEAD", root),
    "changed_paths": lambda root: checkout.changed_paths("HEAD", None, root),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize(
    ("make", "said", "hint"),
    [
        (orphaned, r"tree: git cannot read this repository: not a git repository: .*worktrees", "worktree repair"),
        (no_gitfile, "repository: git cannot read this repository: invalid gitfile format", "status"),
        (lost_commit, "'(HEAD|main)' names no commits? of this repository: (bad object|.*unknown revision|.*HEAD)", ""),
        (unborn, "'(HEAD|main)' names no commits? of this repository", ""),
        (copied, "repository: not a git repository", "run from a clone"),
        (absent, "absent: git cannot read this repository: cannot change to", "status"),
    ],
)
def test_why_a_question_has_no_answer(
    question: str, make: Callable[[Path], Path], said: str, hint: str, repository: Path
) -> None:
    with pytest.raises(PipelineError, match=said) as caught:
        QUESTIONS[question](make(repository))
    assert hint in caught.value.hint
    assert "shallow" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("make", [orphaned, no_gitfile, absent])
def test_a_refused_repository_is_not_taken_for_none(make: Callable[[Path], Path], repository: Path) -> None:
    root = make(repository)
    for ask in (checkout.current, checkout.web_address, checkout.top_of):
        with pytest.raises(PipelineError, match="git cannot read this repository"):
            ask(root)
    for ask_more in (
        lambda: checkout.exists("main", root),
        lambda: checkout.unknown_commits(["0" * 40], root),
        lambda: read_line("HEAD", LABELS, root),
        lambda: DataBranch(root, "origin", "history"),
    ):
        with pytest.raises(PipelineError, match="git cannot read this repository"):
            ask_more()


@pytest.mark.parametrize("make", [copied, unborn])
def test_where_nothing_is_committed_a_run_has_no_commit_and_the_site_no_line(
    make: Callable[[Path], Path], repository: Path
) -> None:
    root = make(repository)
    assert checkout.current(root).sha == ""
    assert read_line("HEAD", LABELS, root) == []


def test_a_commit_that_is_lost_is_not_taken_for_none(repository: Path) -> None:
    with pytest.raises(PipelineError, match="bad object HEAD"):
        checkout.current(lost_commit(repository))


def test_a_commit_whose_files_are_lost_is_named(repository: Path, tmp_path: Path) -> None:
    blob = git(repository, "rev-parse", "HEAD:apps/fastapi/work.py").strip()
    (repository / ".git/objects" / blob[:2] / blob[2:]).unlink()
    sha = git(repository, "rev-parse", "HEAD").strip()
    with pytest.raises(PipelineError, match=f"commit {sha[:7]} cannot be taken out of .*{blob}"):
        checkout.export(sha, BACKENDS, tmp_path / "cache", repository)


def test_a_bare_repository_has_no_work_tree(repository: Path) -> None:
    bare = repository.with_name("bare.git")
    git(repository, "clone", "--quiet", "--bare", str(repository), str(bare))
    assert len(checkout.line("main", LABELS, bare)) == 2
    for ask in (checkout.current, checkout.top_of):
        with pytest.raises(PipelineError, match="must be run in a work tree"):
            ask(bare)


def test_a_detached_head_and_a_worktree_are_like_any_other(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach", "HEAD~1")
    tree = repository.with_name("tree")
    git(repository, "worktree", "add", "--quiet", str(tree), "main")
    assert checkout.current(repository).subject == "one"
    assert len(checkout.line("HEAD", LABELS, tree)) == 2


def test_a_shallow_clone_says_what_it_lacks_and_what_to_do(repository: Path) -> None:
    clone = shallow(repository)
    for ask in (
        lambda: checkout.line("HEAD", LABELS, clone),
        lambda: checkout.line("HEAD~1..HEAD", LABELS, clone),
        lambda: checkout.find("HEAD~1", clone),
        lambda: read_line("HEAD", LABELS, clone),
    ):
        with pytest.raises(PipelineError) as caught:
            ask()
        assert "git fetch --unshallow" in caught.value.hint
    git(clone, "fetch", "--quiet", "--unshallow")
    assert len(checkout.line("HEAD", LABELS, clone)) == 2


def test_a_range_that_a_shallow_clone_has_whole_is_answered(repository: Path) -> None:
    clone = shallow(repository)
    (clone / "x").write_text("x")
    git(clone, "add", "x")
    git(clone, "commit", "--quiet", "--message", "three")
    assert [one.subject for one in checkout.line("HEAD~1..HEAD", LABELS, clone)] == ["three"]


def test_detect_in_a_shallow_clone_is_an_error(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = shallow(repository)
    monkeypatch.setattr(checkout.line, "__defaults__", (clone,))
    monkeypatch.setattr("scripts.history.events.read_events", lambda *_: ())
    with pytest.raises(PipelineError, match="nothing can be dated"):
        detect.main(["--history", str(tmp_path), "--output", str(tmp_path / "changes.json")])
    assert not (tmp_path / "changes.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder away")
@pytest.mark.parametrize("step", [["reach"], ["compare"], ["detect"], ["build_site"], ["backfill", "--plan"]])
def test_a_checkout_of_another_owner(step: Sequence[str], tmp_path: Path) -> None:
    """A real step in a real clone that belongs to somebody else."""
    clone = tmp_path / "clone"
    git(config.ROOT, "clone", "--quiet", "--shared", str(config.ROOT), str(clone))
    shutil.rmtree(clone / "scripts")
    shutil.copytree(config.ROOT / "scripts", clone / "scripts")
    for path in (clone, clone / ".git"):
        os.chown(path, 12345, 12345)
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        [sys.executable, "-m", "scripts", *step],
        cwd=clone,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "detected dubious ownership" in done.stderr
    assert "safe.directory" in done.stderr
    assert "shallow" not in done.stderr


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(repository))
    for ask in (checkout.current, checkout.web_address, checkout.need_repository):
        with pytest.raises(PipelineError, match="git cannot be run: No such file") as caught:
            ask(repository)
        assert "install git" in caught.value.hint
    with pytest.raises(PipelineError, match="git cannot be run"):
        DataBranch(repository, "origin", "history")


@pytest.mark.parametrize(
    "name", ["-x.py", "ü ñ.py", 'a "b".py', "a\nb.py", "a\tb.py", b"\xff.py".decode(errors="surrogateescape")]
)
def test_a_file_of_any_name_reaches_its_backend(name: str, repository: Path) -> None:
    (repository / "apps/fastapi" / name).write_text("x")
    assert checkout.reached(checkout.changed_paths("HEAD", None, repository), {"fastapi": ("apps/fastapi",)})
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "three")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "four")
    changed = checkout.changed_paths("HEAD~2", "HEAD", repository)
    assert len(changed) == 1
    assert checkout.reached(changed, {"fastapi": ("apps/fastapi",)})
    line = checkout.line("HEAD", LABELS, repository)
    assert [(one.subject, one.reaches) for one in line[2:]] == [("three", ("fastapi",)), ("four", ())]


def test_what_looks_like_an_option_is_none(repository: Path, tmp_path: Path) -> None:
    """Refs, hashes and remotes come from the command line, from files and from others."""
    written = tmp_path / "written"
    evil = f"--output={written}"
    (repository / ".git/packed-refs").write_text(f"{git(repository, 'rev-parse', 'HEAD').strip()} refs/heads/{evil}\n")
    assert checkout.read_file(evil, "apps/fastapi/work.py", repository) == "two", "a ref may be called so"
    assert checkout.read_file(f"{evil}.2", "apps/fastapi/work.py", repository) is None
    assert checkout.read_file("", "apps/fastapi/work.py", repository) is None, "the index is no commit"
    assert checkout.read_file("HEAD~1", "apps/fastapi/work.py", repository) == "one"
    for ask in (
        lambda: checkout.changed_paths("HEAD", evil, repository),
        lambda: checkout.changed_paths(evil, None, repository),
        lambda: checkout.merge_base("HEAD", evil, repository),
        lambda: checkout.line(evil, LABELS, repository),
    ):
        with suppress(PipelineError):  # the ref is there, for those that ask for a ref
            ask()
    with pytest.raises(PipelineError, match="not the name of a branch"):
        DataBranch(repository, "origin", "-x")
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\ntouch {written}\n")
    script.chmod(0o755)
    branch = DataBranch(repository, f"--upload-pack={script}", "main", say=lambda _: None, sleep=lambda _: None)
    with pytest.raises(PipelineError, match="cannot be reached"):
        branch.add(PurePosixPath("runs/x.json"), b"x", "x")
    assert not written.exists()
    with pytest.raises(PipelineError, match="null byte"):
        checkout.find("a\0b", repository)
