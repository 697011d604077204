"""What is remembered from one build to the next, in a folder beside the site that can be removed at any time."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from scripts.history.changes import Changes
from scripts.model import PipelineError, Struct

Made = tuple[bytes, tuple[str, ...]]
"""Of a job: its key, and the files that it made."""


class State(Struct):
    """``code``: a digest of what made the site; ``runs``: how many it has. ``changes`` were found in what
    ``changes_key`` is a digest of.
    """

    code: bytes
    runs: int = 0
    made: dict[str, Made] = {}  # noqa: RUF012 (msgspec copies it)
    changes_key: bytes = b""
    changes: Changes | None = None


class Runs(Struct):
    """Of the history: chunks as `scripts.pages.reading` makes them."""

    code: bytes
    chunks: tuple[memoryview, ...] = ()


T = TypeVar("T", State, Runs)


class Cache:
    """A folder with a file for each. What other code has left, or cannot be decoded, is as if it were not there."""

    def __init__(self, folder: Path, code: bytes) -> None:
        self.code = code
        self._folder = folder
        self._mapped: list[mmap.mmap] = []

    def state(self) -> State:
        return self._load(self._folder / "state", State)

    def keep_state(self, state: State) -> None:
        with self._new("state") as path:
            path.write_bytes(msgspec.msgpack.encode(state))

    def runs(self) -> Runs:
        return self._load(self._folder / "runs", Runs)

    def keep_runs(self, chunks: Sequence[bytes | memoryview]) -> Runs:
        """The same chunks, which now lie in a file and take no memory of their own, unless it cannot be mapped."""
        runs = Runs(code=self.code, chunks=tuple(map(memoryview, chunks)))
        with self._new("runs") as path:
            path.write_bytes(msgspec.msgpack.encode(runs))
            kept = self._load(path, Runs)
        return kept if len(kept.chunks) == len(chunks) else runs

    def release(self) -> None:
        """Take no memory for what has been read, until it is read again."""
        for data in self._mapped:
            data.madvise(mmap.MADV_DONTNEED)

    def _load(self, path: Path, kind: type[T]) -> T:
        try:
            with path.open("rb") as file:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._mapped.append(data)
            kept = msgspec.msgpack.decode(data, type=kind)
        except (OSError, ValueError, msgspec.DecodeError):  # ValueError: the file is empty
            return kind(code=self.code)
        return kept if kept.code == self.code else kind(code=self.code)

    @contextmanager
    def _new(self, name: str) -> Iterator[Path]:
        """A file to be written, which then takes its place in one step, without waiting for the disk: it can be made
        again. Its first name is of this process only, as another may have a file of that name mapped.
        """
        path, new = self._folder / name, self._folder / f"{name}.{os.getpid()}"
        try:
            if not self._folder.is_dir():
                self._folder.unlink(missing_ok=True)
                self._folder.mkdir()
            yield new
            new.replace(path)
        except OSError as error:
            raise PipelineError(
                f"{path}: cannot be written: {error.strerror}", "free some space, then again"
            ) from error
