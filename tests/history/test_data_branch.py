"""Adding files to a branch of a real bare repository, alone and with others at the same time."""

from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest

from scripts.config import ROOT
from scripts.history import data_branch
from scripts.history.data_branch import ATTEMPTS, BACKOFF_LIMIT_S, UNREACHABLE_ATTEMPTS, DataBranch, backoff_s
from scripts.model import PipelineError
from tests.factories import git

PUSHERS = 10
PUSH = f"""
import sys
from pathlib import Path, PurePosixPath
from scripts.history.data_branch import DataBranch
clone, remote, number, start = sys.argv[1:]
branch = DataBranch(Path(clone), remote, "history")
Path(start, number).touch()
while len(list(Path(start).iterdir())) < {PUSHERS}:
    pass
added = branch.add(PurePosixPath("runs/2026/11", number + ".json"), number.encode() * 1000, "Record " + number)
print(added.attempts)
"""


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git configuration that does not depend on who runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for key, value in {"NAME": "Anna", "EMAIL": "anna@example.org"}.items():
        monkeypatch.setenv(f"GIT_AUTHOR_{key}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{key}", value)


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    """A bare repository with a branch main of one file, and no data branch."""
    bare, work = tmp_path / "remote.git", tmp_path / "work"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", bare], check=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", work], check=True)
    (work / "code.py").write_text("print(1)\n")
    git(work, "add", ".")
    git(work, "commit", "--quiet", "--message", "Code")
    (work / "code.py").write_text("print(2)\n")
    git(work, "commit", "--quiet", "--all", "--message", "More code")
    git(work, "push", "--quiet", str(bare), "main")
    return bare


@pytest.fixture
def clone(tmp_path: Path, remote: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", remote, tmp_path / "clone"], check=True)
    return tmp_path / "clone"


def open_branch(clone: Path, remote: str = "origin", said: list[str] | None = None) -> DataBranch:
    """The branch `history`, without waiting between attempts."""
    said = [] if said is None else said
    return DataBranch(clone, remote, "history", said.append, sleep=lambda _s: None, chance=random.Random(1))


def place(name: str) -> PurePosixPath:
    return PurePosixPath("runs/2026/11") / name


def add(clone: Path, name: str, data: bytes = b"{}", remote: str = "origin") -> data_branch.Published:
    return open_branch(clone, remote).add(place(name), data, f"Record {name}")


def files(remote: Path) -> list[str]:
    return git(remote, "ls-tree", "-r", "--name-only", "history").split()


def refuse(remote: Path, hook: str) -> None:
    """Let a hook of the bare repository answer pushes."""
    path = remote / "hooks" / "pre-receive"
    path.write_text(f"#!/bin/sh\n{hook}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def push_at_once(clones: list[Path], folder: Path) -> list[int]:
    """One process for each clone, which all wait for each other and then push; how many attempts each took."""
    start = folder / "start"
    start.mkdir()
    pushers = [
        subprocess.Popen(
            [sys.executable, "-c", PUSH, str(clone), "origin", str(number), str(start)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, clone in enumerate(clones)
    ]
    ended = [(pusher.communicate(timeout=150), pusher.returncode) for pusher in pushers]
    assert all(code == 0 for _, code in ended), ended
    return [int(out.splitlines()[-1]) for (out, _), _ in ended]


def test_the_branch_begins_without_parents_and_then_only_grows(clone: Path, remote: Path) -> None:
    first = add(clone, "1.json", b"one")
    assert files(remote) == ["runs/2026/11/1.json"]
    second = add(clone, "2.json", b"two")
    assert git(remote, "rev-list", "history").split() == [second.commit, first.commit]
    assert git(remote, "show", "history:runs/2026/11/1.json") == "one"
    assert git(remote, "show", "history:runs/2026/11/2.json") == "two"
    assert git(remote, "log", "-1", "--format=%an <%ae> %s", "history") == "Anna <anna@example.org> Record 2.json\n"


def test_the_clone_stays_as_it_was(clone: Path, remote: Path) -> None:
    (clone / "code.py").write_text("being edited")
    git(clone, "config", "user.name", "x")
    before = git(clone, "status", "--porcelain=v2", "--branch"), git(clone, "for-each-ref", "refs/heads")
    index = (clone / ".git/index").read_bytes()
    add(clone, "1.json")
    add(clone, "2.json")
    assert (git(clone, "status", "--porcelain=v2", "--branch"), git(clone, "for-each-ref", "refs/heads")) == before
    assert (clone / ".git/index").read_bytes() == index
    assert not (clone / ".git/FETCH_HEAD").exists()


def test_a_shallow_clone_as_on_a_runner_is_enough_and_stays_shallow(tmp_path: Path, clone: Path, remote: Path) -> None:
    git(remote, "config", "uploadpack.allowFilter", "true")
    add(clone, "1.json", b"one")
    add(clone, "2.json", b"two")
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{remote}", shallow], check=True)
    add(shallow, "3.json", b"three")
    assert files(remote) == [f"runs/2026/11/{number}.json" for number in (1, 2, 3)]
    assert len(git(remote, "rev-list", "history").split()) == 3
    missing = git(shallow, "rev-list", "--objects", "--missing=print", git(remote, "rev-parse", "history").strip())
    assert missing.count("?") == 2, "the other files' contents have been fetched"
    assert git(shallow, "rev-list", "--count", "HEAD").strip() == "1"
    git(remote, "fsck", "--strict")


@pytest.mark.parametrize("own_clones", [True, False])
def test_ten_who_push_at_once_lose_nothing(tmp_path: Path, clone: Path, remote: Path, own_clones: bool) -> None:
    add(clone, "before.json", b"before")
    clones = [tmp_path / f"clone{number}" if own_clones else clone for number in range(PUSHERS)]
    for folder in clones:
        if own_clones:
            subprocess.run(["git", "clone", "--quiet", remote, folder], check=True)
    attempts = push_at_once(clones, tmp_path)
    expected = [*(f"{number}.json" for number in range(PUSHERS)), "before.json"]
    assert files(remote) == [f"runs/2026/11/{name}" for name in expected]
    for number in range(PUSHERS):
        assert git(remote, "show", f"history:runs/2026/11/{number}.json") == str(number) * 1000
    assert len(git(remote, "rev-list", "history").split()) == PUSHERS + 1
    assert git(remote, "rev-list", "--merges", "history") == ""
    git(remote, "fsck", "--strict")
    assert 1 < max(attempts) <= ATTEMPTS, "nobody lost a race: nothing has been shown"


def test_ten_who_begin_the_branch_at_once_lose_nothing(tmp_path: Path, clone: Path, remote: Path) -> None:
    push_at_once([clone] * PUSHERS, tmp_path)
    assert files(remote) == [f"runs/2026/11/{number}.json" for number in range(PUSHERS)]


@pytest.mark.parametrize("data", [b"{}", b"other"])
def test_a_name_that_is_there_is_refused(clone: Path, remote: Path, data: bytes) -> None:
    add(clone, "1.json")
    with pytest.raises(PipelineError, match=r"origin refs/heads/history: runs/2026/11/1\.json is already there"):
        add(clone, "1.json", data)
    assert git(remote, "rev-list", "--count", "history").strip() == "1"


def test_a_refused_push_is_an_error_at_once(clone: Path, remote: Path) -> None:
    refuse(remote, "exit 1")
    said: list[str] = []
    with pytest.raises(PipelineError, match=r"the push was refused: .*pre-receive hook declined") as caught:
        open_branch(clone, said=said).add(place("1.json"), b"{}", "Record")
    assert "allowed to push" in caught.value.hint
    assert said == []


def test_a_push_that_was_carried_out_though_it_seemed_not_counts(clone: Path, remote: Path) -> None:
    """As when the connection breaks after the remote has taken the commit."""
    hook = remote / "hooks" / "post-update"
    hook.write_text("#!/bin/sh\nkill -9 $PPID\n")
    hook.chmod(0o755)
    said: list[str] = []
    added = open_branch(clone, said=said).add(place("1.json"), b"{}", "Record")
    assert added.commit == git(remote, "rev-parse", "history").strip()
    assert files(remote) == ["runs/2026/11/1.json"]
    assert (added.attempts, len(said)) in {(1, 0), (2, 1)}


@pytest.mark.parametrize("name", ["origin", "absent", "/nowhere/at/all"])
def test_a_remote_that_does_not_answer(clone: Path, remote: Path, name: str) -> None:
    remote.rename(remote.with_name("moved"))
    said: list[str] = []
    with pytest.raises(PipelineError, match=f"{name}: cannot be reached: ") as caught:
        open_branch(clone, name, said).add(place("1.json"), b"{}", "Record")
    assert "--remote takes origin" in caught.value.hint
    assert len(said) == UNREACHABLE_ATTEMPTS - 1


def test_a_remote_that_comes_back(clone: Path, remote: Path) -> None:
    moved = remote.with_name("moved")
    remote.rename(moved)

    def come_back(_wait_s: float) -> None:
        moved.rename(remote)

    branch = DataBranch(clone, "origin", "history", sleep=come_back)
    assert branch.add(place("1.json"), b"{}", "Record").attempts == 2


def test_who_always_comes_too_late_is_told(clone: Path, remote: Path, tmp_path: Path) -> None:
    """Somebody else pushes in every pause between the fetch and the push: a hook says what git would."""
    refuse(remote, "echo 'cannot lock ref' >&2; exit 1")
    said: list[str] = []
    with pytest.raises(PipelineError, match=f"others pushed first {ATTEMPTS} times in a row"):
        open_branch(clone, said=said).add(place("1.json"), b"{}", "Record")
    assert len(said) == ATTEMPTS


def test_where_git_knows_nobody_a_robot_commits(clone: Path, remote: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        for key in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{key}")
    add(clone, "1.json")
    assert git(remote, "log", "-1", "--format=%an/%cn", "history") == "github-actions[bot]/github-actions[bot]\n"


def test_what_is_no_repository_or_branch_is_named(tmp_path: Path, clone: Path) -> None:
    with pytest.raises(PipelineError, match="not a git repository"):
        DataBranch(tmp_path, "origin", "history")
    with pytest.raises(PipelineError, match="not the name of a branch"):
        DataBranch(clone, "origin", "a..b")


def test_waits_grow_vary_and_are_bounded() -> None:
    chance = random.Random(7)
    waits = {attempt: [backoff_s(attempt, chance) for _ in range(500)] for attempt in range(1, ATTEMPTS + 1)}
    tops = [max(values) for values in waits.values()]
    assert all(0 <= value <= BACKOFF_LIMIT_S for values in waits.values() for value in values)
    assert tops[0] < 0.5 < 0.9 < tops[1] < 1.0 < tops[2]
    assert tops[-1] > 0.9 * BACKOFF_LIMIT_S
    assert all(len(set(values)) == 500 for values in waits.values())
