"""Commits and worktrees: what code is being measured."""

from __future__ import annotations

import subprocess
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


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""
