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

from scripts.config import PROJECT, Backend, suggest
from scripts.model import Commit, PipelineError, Struct


class Revision(Struct):
    """A commit in a line of history. ``reaches``: the backends that it can make slower or faster."""

    sha: str
    subject: str
    reaches: tuple[str, ...]


HARNESS = ("bench.toml", "docker-compose.yml")
LOGGED = re.compile(r"\0(?P<sha>[0-9a-f]{40,64})\0(?P<subject>[^\0]*)\0\0(?:\n(?P<paths>(?:[^\0]+\0)+))?")
"""A commit with its paths, as ``git log -z --name-only --format=%x00%H%x00%s%x00`` has them."""
UNSHALLOW = "this clone is shallow, it lacks older commits: git fetch --unshallow"


def current(root: Path = PROJECT) -> Commit:
    """The commit that is checked out in ``root``; all empty where there is no git repository or no commit.

    Raises PipelineError with git's reason for a repository that git refuses to read.
    """
    if not has_commits(root):
        return Commit(sha="", subject="", committed_at="", branch="", dirty=True)
    commit = find("HEAD", root)
    return Commit(
        sha=commit.sha,
        subject=commit.subject,
        committed_at=commit.committed_at,
        branch=_git(root, "rev-parse", "--abbrev-ref", "HEAD").strip(),
        dirty=bool(_git(root, "status", "--porcelain", "--untracked-files=no").strip()),
    )


def find(revision: str, root: Path = PROJECT) -> Commit:
    """The commit that ``revision`` names (a branch, a tag, ``HEAD~3``, a hash). Raises PipelineError for none."""
    need_repository(root)
    done = _show(root, revision)
    fields = done.stdout.split("\0")
    if done.returncode or len(fields) != 3:
        raise PipelineError(
            f"{revision!r} names no commit of this repository: {reason(done.stderr)}",
            _older(root) or "`git log` shows what there is",
        )
    return Commit(sha=fields[0], subject=fields[1], committed_at=fields[2].strip(), branch="", dirty=False)


def exists(revision: str, root: Path = PROJECT) -> bool:
    """Whether ``revision`` names a commit."""
    return is_repository(root) and _show(root, revision).returncode == 0


def has_commits(root: Path = PROJECT) -> bool:
    """Whether ``root`` lies in a git repository in which something has been committed."""
    return is_repository(root) and _run(root, "rev-parse", "--verify", "--quiet", "HEAD").returncode == 0


def is_repository(root: Path = PROJECT) -> bool:
    """Whether ``root`` lies in a git repository. Raises PipelineError with git's reason where it refuses to say."""
    done = _run(root, "rev-parse", "--git-dir")
    if done.returncode == 0:
        return True
    if "not a git repository (or any" in done.stderr:
        return False
    said = reason(done.stderr)
    hint = f"see what `git -C {root} status` says"
    if "dubious ownership" in said:
        hint = f"it belongs to another user; if you trust them: git config --global --add safe.directory {root}"
    elif "not a git repository" in said:
        hint = "what this worktree belongs to has gone or moved: git worktree repair, or clone it anew"
    raise PipelineError(f"{root}: git cannot read this repository: {said}", hint)


def need_repository(root: Path = PROJECT) -> None:
    """Raises PipelineError where ``root`` lies in no git repository, or in one that git refuses to read."""
    if not is_repository(root):
        raise PipelineError(f"{root}: not a git repository", "run from a clone of the project, not from a copy of it")


def reason(said: str) -> str:
    """The line in which git names the error."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    marked = [line for line in lines if re.match(r"!|fatal:|error:|remote: (error|fatal)", line)]
    return (marked or lines or ["git said nothing"])[0].replace("\t", " ").removeprefix("fatal: ")


def merge_base(first: str, second: str, root: Path = PROJECT) -> str:
    """The hash of the commit where two lines of history part. Raises PipelineError where they have none in common."""
    done = _run(root, "merge-base", find(first, root).sha, find(second, root).sha)
    if done.returncode > 1:
        raise _failed(root, "merge-base", done)
    if done.returncode:
        raise PipelineError(f"{first} and {second} have no commit in common", _older(root) or "name the base yourself")
    return done.stdout.strip()


def top_of(root: Path = PROJECT) -> Path:
    """The top of the repository that ``root`` lies in; ``root`` itself where there is none."""
    if not is_repository(root):
        return root.resolve()
    return Path(_git(root, "rev-parse", "--show-toplevel").removesuffix("\n"))


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
    top, backends = top_of(root), list(backends)
    sources = sources_of(backends, root)
    versions = [_files(top, revision) for revision in revisions]
    where = " nor in ".join(f"commit {revision[:10]}" if revision else "the work tree" for revision in revisions)
    for backend in backends:
        folder, *schema = sources[backend.name]
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
    revisions = [find(revision, root).sha for revision in (base, head) if revision is not None]
    changed = _names(top, "diff", "--name-only", "--no-renames", "-z", *revisions, "--")
    if head is not None:
        return changed
    return sorted({*changed, *_names(top, "ls-files", "--others", "--exclude-standard", "-z")})


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
    reaches. Raises PipelineError for what names no commits, and where a shallow clone lacks some of them.
    """
    need_repository(root)
    sources = {name: (f"apps/{name}",) for name in backends}
    options = ["--topo-order", "--reverse", "--name-only", "--no-renames", "-z", "--format=%x00%H%x00%s%x00"]
    options += ["--first-parent", "--diff-merges=first-parent"] if first_parent else []
    done = _run(root, "log", *options, "--end-of-options", revision, "--")
    if done.returncode:
        raise PipelineError(
            f"{revision!r} names no commits of this repository: {reason(done.stderr)}",
            _older(root) or "name a commit, or a range such as v1.0..main",
        )
    found = [
        Revision(
            sha=one["sha"],
            subject=one["subject"],
            reaches=tuple(reached((one["paths"] or "").split("\0")[:-1], sources)),
        )
        for one in LOGGED.finditer(done.stdout)
    ]
    if cut := _cut(root) & {one.sha for one in found}:
        raise PipelineError(
            f"{revision!r}: commits before {min(cut)[:7]} are not here, so that nothing can be dated", UNSHALLOW
        )
    return found


def web_address(root: Path = PROJECT, remote: str = "origin") -> str:
    """Where a remote shows itself to browsers, without anybody's name or password; empty where that is not known."""
    url = _run(root, "remote", "get-url", remote).stdout.strip() if is_repository(root) else ""
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
        there = [path for path in wanted if _has(top, sha, "" if path == "." else path)]
        if not there:
            raise PipelineError(
                f"commit {sha[:7]} has nothing of what backends are built from: {', '.join(wanted)}",
                "compare with a later commit",
            )
        command = ["git", "--literal-pathspecs", "-C", str(top), "archive", "--format=tar", sha, "--", *there]
        archive = subprocess.run(command, capture_output=True, check=False)
        if archive.returncode:
            raise PipelineError(
                f"commit {sha[:7]} cannot be taken out of {top}: {reason(archive.stderr.decode(errors='replace'))}",
                "a partial clone fetches what it lacks: see that its remote can be reached; git fsck says what is lost",
            )
        tree.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tree.parent) as name:
            made = Path(name) / "tree"
            with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
                tar.extractall(made, filter="data")
            made.rename(tree)
    return tree / inside


def unknown_commits(shas: Iterable[str], root: Path = PROJECT) -> tuple[str, ...]:
    """Those of the commits (full hashes) that the repository does not have; none where nobody can tell: no repository,
    or a shallow one, which lacks old commits."""
    if not is_repository(root) or _is_shallow(root):
        return ()
    wanted = list(dict.fromkeys(shas))
    answers = _git(root, "cat-file", "--batch-check", stdin="".join(f"{sha}^{{commit}}\n" for sha in wanted))
    return tuple(sha for sha, answer in zip(wanted, answers.splitlines(), strict=True) if answer.endswith("missing"))


def read_file(commit: str, path: str, root: Path = PROJECT) -> str | None:
    """A text file as a commit has it; None where that commit, or the file in it, is not there."""
    if not commit:  # git would take that for the index
        return None
    done = _run(root, "show", "--no-textconv", "--end-of-options", f"{commit}:{path}")
    return done.stdout if done.returncode == 0 else None


def _show(root: Path, revision: str) -> subprocess.CompletedProcess[str]:
    return _run(root, "log", "-1", "--format=%H%x00%s%x00%cI", "--end-of-options", revision, "--")


def _has(root: Path, sha: str, path: str) -> bool:
    return _run(root, "rev-parse", "--verify", "--quiet", f"{sha}:{path}").returncode == 0


def _is_shallow(root: Path) -> bool:
    return _git(root, "rev-parse", "--is-shallow-repository").strip() == "true"


def _older(root: Path) -> str:
    """What to do where commits may be missing because the clone is shallow; empty where it is not."""
    return UNSHALLOW if _is_shallow(root) else ""


def _cut(root: Path) -> set[str]:
    """The commits of a shallow clone whose parents it lacks."""
    path = root / _git(root, "rev-parse", "--git-path", "shallow").removesuffix("\n")
    return set(path.read_text().split()) if path.is_file() else set()


def _names(root: Path, *arguments: str) -> list[str]:
    """The paths that a command with the option ``-z`` prints."""
    return _git(root, *arguments).split("\0")[:-1]


def _git(root: Path, *arguments: str, stdin: str = "") -> str:
    """What git prints. Raises PipelineError with its reason where it fails."""
    done = _run(root, *arguments, stdin=stdin)
    if done.returncode:
        need_repository(root)
        raise _failed(root, arguments[0], done)
    return done.stdout


def _failed(root: Path, command: str, done: subprocess.CompletedProcess[str]) -> PipelineError:
    return PipelineError(
        f"{root}: git {command}: {reason(done.stderr)}",
        "`git fsck` says whether something of the repository is lost; a partial clone needs its remote",
    )


def _run(root: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run git. It never asks anything, and speaks English, which `is_repository` is; bytes that are not UTF-8 are
    replaced."""
    command = ["git", "-C", str(root), *arguments]
    quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            command, input=stdin, capture_output=True, encoding="utf-8", errors="replace",
            env={**os.environ, **quiet}, check=False,
        )  # fmt: skip
    except (FileNotFoundError, PermissionError) as error:
        raise PipelineError(f"git cannot be run: {error.strerror}", "install git, then run this again") from error
    except ValueError as error:  # a NUL among the arguments
        raise PipelineError(f"git {arguments[0]}: {error}", "see what was given as a name") from error
