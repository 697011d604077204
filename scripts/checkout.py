"""Commits and what they contain: what is being measured, and what a change can reach."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from scripts.config import ROOT
from scripts.model import Commit, PipelineError, Revision

APPS = "apps"


def current(root: Path = ROOT) -> Commit:
    """The commit that is checked out in ``root``; all empty where there is no git repository or no commit."""
    commit = _read(root, "HEAD")
    if commit is None:
        return Commit(sha="", subject="", committed_at="", branch="", dirty=True)
    return Commit(
        sha=commit.sha,
        subject=commit.subject,
        committed_at=commit.committed_at,
        branch=_git(root, "rev-parse", "--abbrev-ref", "HEAD").strip(),
        dirty=bool(_git(root, "status", "--porcelain", "--untracked-files=no").strip()),
    )


def find(revision: str, root: Path = ROOT) -> Commit:
    """The commit that ``revision`` names (a branch, a tag, ``HEAD~3``, a hash). Raises PipelineError for none."""
    commit = _read(root, revision)
    if commit is None:
        raise PipelineError(
            f"{revision!r} names no commit of this repository",
            "`git log` shows what there is; a shallow clone lacks older commits (`git fetch --unshallow`)",
        )
    return commit


def exists(revision: str, root: Path = ROOT) -> bool:
    """Whether ``revision`` names a commit."""
    return _read(root, revision) is not None


def merge_base(first: str, second: str, root: Path = ROOT) -> str:
    """The hash of the commit where two lines of history part. Raises PipelineError where they have none in common."""
    sha = _git(root, "merge-base", find(first, root).sha, find(second, root).sha).strip()
    if not sha:
        raise PipelineError(
            f"{first} and {second} have no commit in common",
            "name the base yourself; a shallow clone lacks it (`git fetch --unshallow`)",
        )
    return sha


def changed_paths(base: str, head: str | None = None, root: Path = ROOT) -> list[str]:
    """Paths that differ between ``base`` and ``head``, or the working tree (with files git does not track yet)."""
    if head is not None:
        return _git(root, "diff", "--name-only", "--no-renames", base, head).splitlines()
    untracked = _git(root, "ls-files", "--others", "--exclude-standard").splitlines()
    return sorted({*_git(root, "diff", "--name-only", "--no-renames", base).splitlines(), *untracked})


def reached(paths: Iterable[str], backends: Iterable[str]) -> list[str]:
    """The backends that a change to ``paths`` can make slower or faster.

    A file in a backend's own folder reaches that backend; another file under apps/ reaches all; prose reaches none.
    The harness itself (scripts/, k6/, bench.toml) is the same for both arms, so it reaches none either.
    """
    names = list(backends)
    found: set[str] = set()
    for path in map(PurePosixPath, paths):
        if path.parts[:1] != (APPS,) or path.suffix == ".md":
            continue
        if len(path.parts) > 2 and path.parts[1] in names:
            found.add(path.parts[1])
        elif len(path.parts) == 2:
            found.update(names)
    return [name for name in names if name in found]


def line(revision: str, backends: Iterable[str], root: Path = ROOT, *, first_parent: bool = False) -> list[Revision]:
    """The commits that lead to ``revision`` (or a range, ``A..B``), each after its parents.

    ``first_parent``: only those that the line itself went through; a merge then reaches what all that it brought in
    reaches. Raises PipelineError for what names no commits.
    """
    options = ["--topo-order", "--reverse", "--name-only", "--no-renames", "--format=%x00%H%x00%s%x00"]
    options += ["--first-parent", "--diff-merges=first-parent"] if first_parent else []
    done = _run(root, "log", *options, "--end-of-options", revision, "--")
    if done.returncode:
        raise PipelineError(
            f"{revision!r} names no commits of this repository: {done.stderr.strip()}",
            "name a commit, or a range such as v1.0..main; a shallow clone lacks older commits "
            "(`git fetch --unshallow`)",
        )
    fields = done.stdout.split("\0")[1:]
    names = list(backends)
    return [
        Revision(sha=sha, subject=subject, reaches=tuple(reached(paths.split("\n"), names)))
        for sha, subject, paths in zip(fields[::3], fields[1::3], fields[2::3], strict=True)
    ]


def web_address(root: Path = ROOT, remote: str = "origin") -> str:
    """Where a remote shows itself to browsers, without anybody's name or password; empty where that is not known."""
    url = _git(root, "remote", "get-url", remote).strip()
    found = re.fullmatch(r"(?:https://(?:[^@/]*@)?|ssh://git@|git@)([\w.-]+)[:/]([\w./~-]+?)(?:\.git)?/?", url)
    return f"https://{found[1]}/{found[2]}" if found else ""


def export_apps(sha: str, cache: Path, root: Path = ROOT) -> Path:
    """The folder apps/ as it is in a commit, kept in ``cache``. Raises PipelineError where the commit has none."""
    folder = cache / "revisions" / sha
    if not folder.is_dir():
        archive = subprocess.run(
            ["git", "-C", str(root), "archive", "--format=tar", sha, APPS], capture_output=True, check=False
        )
        if archive.returncode:
            raise PipelineError(
                f"commit {sha[:7]} has no folder {APPS}/: {archive.stderr.decode(errors='replace').strip()}",
                "compare with a later commit",
            )
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as name:
            tree = Path(name) / "tree"
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(tree, filter="data")
            tree.rename(folder)
    return folder / APPS


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


def _read(root: Path, revision: str) -> Commit | None:
    fields = _git(root, "log", "-1", "--format=%H%x00%s%x00%cI", "--end-of-options", revision, "--").split("\0")
    if len(fields) != 3:
        return None
    return Commit(sha=fields[0], subject=fields[1], committed_at=fields[2].strip(), branch="", dirty=False)


def _git(root: Path, *arguments: str, stdin: str = "") -> str:
    done = _run(root, *arguments, stdin=stdin)
    return done.stdout if done.returncode == 0 else ""


def _run(root: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
