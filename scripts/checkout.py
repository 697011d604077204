"""Commits and worktrees: what code is being measured."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from scripts.config import ROOT
from scripts.model import Commit


def current(root: Path = ROOT) -> Commit:
    """The commit that is checked out in ``root``; all empty where there is no git repository or no commit."""
    fields = _git(root, "log", "-1", "--format=%H%x00%s%x00%cI").split("\0")
    if len(fields) != 3:
        return Commit(sha="", subject="", committed_at="", branch="", dirty=True)
    sha, subject, committed_at = fields
    return Commit(
        sha=sha,
        subject=subject,
        committed_at=committed_at.strip(),
        branch=_git(root, "rev-parse", "--abbrev-ref", "HEAD").strip(),
        dirty=bool(_git(root, "status", "--porcelain", "--untracked-files=no").strip()),
    )


def unknown_commits(shas: Iterable[str], root: Path = ROOT) -> tuple[str, ...]:
    """Those of the commits that the repository does not have; none where nobody can tell: no repository, or a shallow
    one, which lacks old commits."""
    if _git(root, "rev-parse", "--is-shallow-repository").strip() != "false":
        return ()
    wanted = list(dict.fromkeys(shas))
    answers = _git(root, "cat-file", "--batch-check", stdin="".join(f"{sha}^{{commit}}\n" for sha in wanted))
    return tuple(sha for sha, answer in zip(wanted, answers.splitlines(), strict=True) if answer.endswith("missing"))


def read_file(commit: str, path: str, root: Path = ROOT) -> str | None:
    """A text file as a commit has it; None where that commit, or the file in it, is not there."""
    done = _run(root, "show", f"{commit}:{path}")
    return done.stdout if done.returncode == 0 else None


def _git(root: Path, *arguments: str, stdin: str = "") -> str:
    done = _run(root, *arguments, stdin=stdin)
    return done.stdout if done.returncode == 0 else ""


def _run(root: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
