"""Commits and what they contain: what is being measured, and what a change can reach."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from scripts.config import PROJECT, suggest
from scripts.model import Backend, Commit, PipelineError, Revision

HARNESS = ("bench.toml", "docker-compose.yml")


def current(root: Path = PROJECT) -> Commit:
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


def find(revision: str, root: Path = PROJECT) -> Commit:
    """The commit that ``revision`` names (a branch, a tag, ``HEAD~3``, a hash). Raises PipelineError for none."""
    commit = _read(root, revision)
    if commit is None:
        raise PipelineError(
            f"{revision!r} names no commit of this repository",
            "`git log` shows what there is; a shallow clone lacks older commits (`git fetch --unshallow`)",
        )
    return commit


def exists(revision: str, root: Path = PROJECT) -> bool:
    """Whether ``revision`` names a commit."""
    return _read(root, revision) is not None


def merge_base(first: str, second: str, root: Path = PROJECT) -> str:
    """The hash of the commit where two lines of history part. Raises PipelineError where they have none in common."""
    sha = _git(root, "merge-base", find(first, root).sha, find(second, root).sha).strip()
    if not sha:
        raise PipelineError(
            f"{first} and {second} have no commit in common",
            "name the base yourself; a shallow clone lacks it (`git fetch --unshallow`)",
        )
    return sha


def top_of(root: Path = PROJECT) -> Path:
    """The top of the repository that ``root`` lies in; ``root`` itself where there is none."""
    return Path(_git(root, "rev-parse", "--show-toplevel").strip() or root.resolve())


def sources_of(backends: Iterable[Backend], root: Path = PROJECT) -> dict[str, tuple[str, ...]]:
    """By name, the folder that each backend is built from and its schema, as paths from the repository's top.

    Raises PipelineError where one of them is not in the repository.
    """
    inside = root.resolve().relative_to(top_of(root))
    found = {}
    for backend in backends:
        within = (".", backend.schema) if backend.schema else (".",)
        paths = tuple(os.path.normpath(inside / backend.folder / path) for path in within)
        if outside := [path for path in paths if path.startswith(("..", "/"))]:
            raise PipelineError(
                f"bench.toml: [backends.{backend.name}]: {outside[0]} is not in the repository of {root}",
                "folder is as seen from bench.toml, and schema as seen from folder",
            )
        found[backend.name] = paths
    return found


def check_sources(backends: Iterable[Backend], revisions: Sequence[str | None], root: Path = PROJECT) -> None:
    """Raise PipelineError for a folder or schema of bench.toml that none of the revisions has; None: the work tree.

    What one of them has is new there, or gone. What none has is a wrong name, which no change would ever reach.
    """
    top = top_of(root)
    versions = [_files(top, revision) for revision in revisions]
    where = " nor in ".join(f"commit {revision[:10]}" if revision else "the work tree" for revision in revisions)
    for backend in backends:
        folder, *schema = sources_of([backend], root)[backend.name]
        key = f"bench.toml: [backends.{backend.name}]"
        if not any(folder == "." or _within(folder, files) for files in versions):
            above = PurePosixPath(folder).parent
            beside = sorted(
                {str(above / found[0]) for files in versions for found in _within(str(above), files) if found[1:]}
            )
            raise PipelineError(
                f"{key} folder: {folder} is neither in {where}",
                f"folder is what the backend is built from, as seen from bench.toml; {suggest(folder, beside)}",
            )
        if schema and not any(schema[0] in files for files in versions):
            raise PipelineError(
                f"{key} schema: {schema[0]} is neither in {where}",
                f'schema is a file of SQL as seen from {folder}; leave it empty (schema = "") where there is none',
            )


def _files(top: Path, revision: str | None) -> set[str]:
    """All files of a commit, or of the work tree without those that git ignores, as paths from the top."""
    if revision is not None:
        return set(_git(top, "ls-tree", "-rz", "--name-only", "--end-of-options", revision).split("\0"))
    listed = _git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return {path for path in listed if path and (top / path).exists()}


def _within(folder: str, files: Iterable[str]) -> list[tuple[str, ...]]:
    """The files beneath a folder, as the parts of their paths from there."""
    start = "" if folder == "." else f"{folder}/"
    return [PurePosixPath(path.removeprefix(start)).parts for path in files if path and path.startswith(start)]


def changed_paths(base: str, head: str | None = None, root: Path = PROJECT) -> list[str]:
    """Paths that differ between ``base`` and ``head``, or the working tree (with files git does not track yet).

    They are from the repository's top.
    """
    top = top_of(root)
    if head is not None:
        return _git(top, "diff", "--name-only", "--no-renames", base, head).splitlines()
    untracked = _git(top, "ls-files", "--others", "--exclude-standard").splitlines()
    return sorted({*_git(top, "diff", "--name-only", "--no-renames", base).splitlines(), *untracked})


def reached(paths: Iterable[str], sources: Mapping[str, Sequence[str]]) -> list[str]:
    """The backends that a change to ``paths`` can make slower or faster; ``sources`` are those of `sources_of`.

    A file in a backend's own folder and its schema reach that backend; so does another file directly beside the folder;
    prose reaches none. The harness (scripts/, k6/, bench.toml, docker-compose.yml) is the same for both arms, so it
    reaches none either.
    """
    found = set()
    for path in map(PurePosixPath, paths):
        if path.suffix != ".md" and path.name not in HARNESS:
            found |= {
                name
                for name, own in sources.items()
                if path.parent == PurePosixPath(own[0]).parent or any(map(path.is_relative_to, own))
            }
    return [name for name in sources if name in found]


def line(revision: str, backends: Iterable[str], root: Path = PROJECT, *, first_parent: bool = False) -> list[Revision]:
    """The commits that lead to ``revision`` (or a range, ``A..B``), each after its parents.

    ``first_parent``: only those that the line itself went through; a merge then reaches what all that it brought in
    reaches. Raises PipelineError for what names no commits.
    """
    sources = {name: (f"apps/{name}",) for name in backends}
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
    return [
        Revision(sha=sha, subject=subject, reaches=tuple(reached(filter(None, paths.split("\n")), sources)))
        for sha, subject, paths in zip(fields[::3], fields[1::3], fields[2::3], strict=True)
    ]


def web_address(root: Path = PROJECT, remote: str = "origin") -> str:
    """Where a remote shows itself to browsers, without anybody's name or password; empty where that is not known."""
    url = _git(root, "remote", "get-url", remote).strip()
    found = re.fullmatch(r"(?:https://(?:[^@/]*@)?|ssh://git@|git@)([\w.-]+)[:/]([\w./~-]+?)(?:\.git)?/?", url)
    return f"https://{found[1]}/{found[2]}" if found else ""


def export(sha: str, backends: Iterable[Backend], cache: Path, root: Path = PROJECT) -> Path:
    """The project's folder as it is in a commit, with what its backends are built from; kept in ``cache``.

    What the commit does not have is not there. Raises PipelineError where it has nothing of it.
    """
    top = top_of(root)
    inside = root.resolve().relative_to(top)
    wanted = sorted({path for paths in sources_of(backends, root).values() for path in paths})
    tree = cache / "revisions" / f"{sha}-{hashlib.sha256(chr(0).join(wanted).encode()).hexdigest()[:8]}"
    if not tree.is_dir():
        asked = "".join(f"{sha}:{'' if path == '.' else path}\n" for path in wanted)
        answers = _git(top, "cat-file", "--batch-check", stdin=asked).splitlines()
        there = [path for path, answer in zip(wanted, answers, strict=True) if not answer.endswith("missing")]
        if not there:
            raise PipelineError(
                f"commit {sha[:7]} has nothing of what backends are built from: {', '.join(wanted)}",
                "compare with a later commit",
            )
        command = ["git", "--literal-pathspecs", "-C", str(top), "archive", "--format=tar", sha, "--", *there]
        archive = subprocess.run(command, capture_output=True, check=True)
        tree.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tree.parent) as name:
            made = Path(name) / "tree"
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(made, filter="data")
            made.rename(tree)
    return tree / inside


def unknown_commits(shas: Iterable[str], root: Path = PROJECT) -> tuple[str, ...]:
    """Those of the commits that the repository does not have; none where nobody can tell: no repository, or a shallow
    one, which lacks old commits."""
    if _git(root, "rev-parse", "--is-shallow-repository").strip() != "false":
        return ()
    wanted = list(dict.fromkeys(shas))
    answers = _git(root, "cat-file", "--batch-check", stdin="".join(f"{sha}^{{commit}}\n" for sha in wanted))
    return tuple(sha for sha, answer in zip(wanted, answers.splitlines(), strict=True) if answer.endswith("missing"))


def read_file(commit: str, path: str, root: Path = PROJECT) -> str | None:
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
