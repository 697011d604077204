"""The folder of the site: files are written whole, what did not change is not made again, what is left over goes.

A *job* makes files from what its key is a digest of. A job whose key is that of the last build, and whose files are
there, is not done again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from scripts.config import ROOT
from scripts.model import PipelineError, Struct
from scripts.pages.cache import Cache, Made, State
from scripts.pages.workers import Told, spread

MARK = "data/index.json"
"""Every site has it; a folder with other things in it has not."""

CHUNK = 32


class Job(NamedTuple):
    """``make`` gives the files' paths in the site and their content. ``heavy``: it takes as long as many others.

    ``grow``: gives the same where the files are those of another key, ``grows``.
    """

    name: str
    key: bytes
    make: Callable[[], Iterable[tuple[str, bytes]]]
    heavy: bool = False
    grows: bytes = b""
    grow: Callable[[], Iterable[tuple[str, bytes]]] | None = None


class Tally(Struct):
    """How many files the site has, how many of them were written, and how many old ones removed."""

    files: int
    written: int
    removed: int


class Output:
    """The folder of one site. Raises PipelineError for a folder that holds other things, which would be removed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        if self.folder.exists() and not self.folder.is_dir():
            raise PipelineError(f"{folder}: is a file", "choose another folder with --output")
        if self.folder.is_dir() and any(self.folder.iterdir()) and not (self.folder / MARK).exists():
            raise PipelineError(
                f"{folder}: holds other things than a site", "choose another folder with --output, or empty it"
            )
        try:
            (self.folder / MARK).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / MARK).touch()  # so that a build that was interrupted can go on
        except OSError as error:
            raise PipelineError(f"{folder}: cannot be written: {error.strerror}", "choose another folder") from error

    def build(self, jobs: Sequence[Job], cache: Cache, state: State, told: Told) -> Tally:
        """Do the jobs that are not done yet, remove what none of them makes, and remember it with the ``state``."""
        there = self._files()
        made: dict[str, Made] = {}
        to_do: list[Job] = []
        for job in jobs:
            last = state.made.get(job.name)
            known = last[0] if last and there.issuperset(last[1]) else None
            if last and known == job.key:
                made[job.name] = last
            elif job.grow and known == job.grows:
                to_do.append(job._replace(make=job.grow))
            else:
                to_do.append(job)
        if to_do:
            cache.keep_state(msgspec.structs.replace(state, made=made))  # what is interrupted now is made again
        written = 0

        def do(jobs: Sequence[Job]) -> dict[str, Made]:
            done = {job.name: (job.key, tuple(self._write(path, data) for path, data in job.make())) for job in jobs}
            cache.release()
            return done

        for done in spread(do, _parts(to_do), told):
            made |= done
            written += sum(len(paths) for _, paths in done.values())
        wanted = {path for _, paths in made.values() for path in paths}
        self._remove(there - wanted)
        cache.keep_state(msgspec.structs.replace(state, made=made))
        return Tally(files=len(wanted), written=written, removed=len(there - wanted))

    def _write(self, path: str, data: bytes) -> str:
        """Give a file its content in one step, without waiting for the disk: the site can be made again."""
        if path.startswith("/") or ".." in path.split("/"):
            raise PipelineError(
                f"{path!r} is not a path in the site", "a backend or run has a name that is no file name"
            )
        target = f"{self.folder}/{path}"
        temporary = f"{target}.new"
        try:
            try:
                _put(temporary, data)
            except FileNotFoundError:
                Path(target).parent.mkdir(parents=True, exist_ok=True)
                _put(temporary, data)
            os.rename(temporary, target)  # noqa: PTH104 (here, and in _put, pathlib takes longer than the disk)
        except OSError as error:
            raise PipelineError(
                f"{target}: cannot be written: {error.strerror}", "free some space, then again"
            ) from error
        return path

    def _files(self) -> set[str]:
        found: set[str] = set()
        folders = [""]
        while folders:
            folder = folders.pop()
            with os.scandir(self.folder / folder) as entries:
                for entry in entries:
                    path = f"{folder}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(f"{path}/")
                    else:
                        found.add(path)
        return found

    def _remove(self, paths: Iterable[str]) -> None:
        folders = set()
        for path in paths:
            (self.folder / path).unlink(missing_ok=True)
            folders |= set(PurePosixPath(path).parents) - {PurePosixPath(".")}
        for folder in sorted(folders, key=lambda one: -len(one.parts)):
            if not any((self.folder / folder).iterdir()):
                (self.folder / folder).rmdir()


def _put(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123
        file.write(data)


def _parts(jobs: Iterable[Job]) -> list[list[Job]]:
    """Light jobs many at a time, and first, as the pages of a few runs take longer than any heavy one."""
    every = list(jobs)
    light = [job for job in every if not job.heavy]
    return [light[at : at + CHUNK] for at in range(0, len(light), CHUNK)] + [[job] for job in every if job.heavy]


def digest(*parts: object) -> bytes:
    """The key of a job that depends on these parts."""
    return hashlib.blake2b(msgspec.msgpack.encode(parts), digest_size=16).digest()


def code_digest(root: Path = ROOT) -> bytes:
    """Of all that makes the site but the history: scripts/, site/, and the versions of what they use."""
    found = hashlib.blake2b(digest_size=16)
    names = [root / "bench.toml", root / "requirements.txt"]
    for path in sorted([*names, *(root / "scripts").rglob("*.py"), *(root / "site").rglob("*")]):
        if path.is_file():
            found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.digest()
