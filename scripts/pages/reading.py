"""From the folders of a history to the catalog. Files that have been read before are not read again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from scripts import checkout, records
from scripts.checkout import Revision
from scripts.config import PROJECT, Config
from scripts.escape import plain
from scripts.history import events, store
from scripts.history.changes import Changes
from scripts.model import BROKEN, PipelineError, Run, Struct
from scripts.pages.cache import Cache
from scripts.pages.cards import card_of, labels_of, upgrades_of
from scripts.pages.catalog import Catalog, Published, RunCard, parse_published
from scripts.pages.workers import Told, spread

CHUNK = 64
COMMON = ("baseline", "labels", "levels", "environment", "workload", "packages", "statements", "fingerprint", "place")
"""Of a card: what most runs have as the one before."""


class Entry(Struct):
    """A file of a run as it was when it was read: what tells whether it has changed, and its card or why it has none.

    ``digest``: of its content.
    """

    path: str
    size: int
    mtime_ns: int
    digest: bytes
    card: RunCard | None
    reason: str = ""


class Recorded(Struct):
    """All runs of a history. ``entries``: those that count, by id and so by time."""

    entries: tuple[Entry, ...]
    damaged: tuple[str, ...]

    @property
    def cards(self) -> tuple[RunCard, ...]:
        return tuple(entry.card for entry in self.entries if entry.card)


def read_runs(roots: Sequence[Path], cache: Cache, told: Told) -> Recorded:
    """The runs beneath the roots, by the rules of `scripts.history.store.iterate`."""
    found, skipped = store.find(roots)
    paths = {str(path): path for paths in found.values() for path in paths}
    chunks: list[bytes | memoryview] = [*cache.runs().chunks]
    try:
        known = _entries(chunks)
    except (msgspec.DecodeError, ValueError):  # damaged: all are read again
        chunks, known = [], {}
    read = {name: entry for name, entry in known.items() if name in paths and _is_same(entry, paths[name])}
    fresh = [path for name, path in paths.items() if name not in read]
    if len(read) < len(known):  # files have gone or changed, which those of a history do not
        chunks = [_chunk(read.values())]
    if fresh or len(read) < len(known):
        old = len(chunks)
        chunks += spread(_read_all, [fresh[at : at + CHUNK] for at in range(0, len(fresh), CHUNK)], told)
        read |= _entries(cache.keep_runs(chunks).chunks[old:])
    cache.release()
    counted, more = _choose(found, read)
    damaged = (*(f"{plain(item.path.name)}: {item.reason}" for item in skipped), *more)
    return Recorded(entries=tuple(counted), damaged=damaged)


def _chunk(entries: Iterable[Entry]) -> bytes:
    return msgspec.msgpack.encode(list(entries))


def _entries(chunks: Iterable[bytes | memoryview]) -> dict[str, Entry]:
    """By path. What most runs have in common is kept once: it is two thirds of all but the numbers."""
    found: dict[str, Entry] = {}
    common: dict[bytes, dict[str, Any]] = {}
    for chunk in chunks:
        for entry in msgspec.msgpack.decode(chunk, type=list[Entry]):
            if entry.card:
                own = {name: getattr(entry.card, name) for name in COMMON}
                card = msgspec.structs.replace(entry.card, **common.setdefault(msgspec.msgpack.encode(own), own))
                entry = msgspec.structs.replace(entry, card=card)
            found[entry.path] = entry
    return found


def _is_same(entry: Entry, path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (entry.size, entry.mtime_ns)


def _read_all(paths: Sequence[Path]) -> bytes:
    return _chunk(_read(path) for path in paths)


def _read(path: Path) -> Entry:
    try:
        status = path.stat()
        data = records.read_bytes(path)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        return Entry(path=str(path), size=-1, mtime_ns=0, digest=b"", card=None, reason=reason)
    card, reason = _card(data, path)
    return Entry(
        path=str(path),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        digest=hashlib.sha256(data).digest(),
        card=card,
        reason=reason,
    )


def _card(data: bytes, path: Path) -> tuple[RunCard | None, str]:
    """The card of a run, or why it does not count."""
    try:
        run = records.decode_run(data, path.name)
    except PipelineError as error:
        return None, error.message.removeprefix(f"{path.name}: ")
    if run.id != path.stem:
        return None, f"holds another run than its name says: {plain(run.id)}"
    return card_of(run), ""


def _choose(found: Mapping[str, Sequence[Path]], read: Mapping[str, Entry]) -> tuple[list[Entry], list[str]]:
    """One entry for each run, of the first root that has it whole; and what is wrong with others."""
    chosen: list[Entry] = []
    damaged: list[str] = []
    for run_id in sorted(found):
        entries = [read[str(path)] for path in found[run_id]]
        damaged += [f"{run_id}.json: {entry.reason}" for entry in entries if entry.card is None]
        whole = [entry for entry in entries if entry.card]
        chosen += whole[:1]
        damaged += [
            f"{run_id}.json: differs from another file of the same name, which counts"
            for entry in whole[1:]
            if entry.digest != whole[0].digest and _run(entry) != _run(whole[0])
        ]
    return chosen, damaged


def _run(entry: Entry) -> Run:
    return records.read_run(Path(entry.path))


def read_catalog(
    roots: Sequence[Path],
    config: Config,
    cache: Cache,
    *,
    changes: Changes | None = None,
    line: str = "HEAD",
    repository: Path = PROJECT,
    told: Told = lambda _done, _all: None,
) -> tuple[Catalog, Recorded]:
    """The catalog of the history, and the runs that it is made of. Events, anchor and published figures come from the
    first root. Raises PipelineError naming what is wrong.
    """
    recorded = read_runs(roots, cache, told)
    configured = {backend.name: backend.label for backend in config.backends}
    labels = labels_of(recorded.cards, configured)
    first = roots[0]
    return Catalog(
        config=config,
        cards=recorded.cards,
        labels=labels,
        line=tuple(read_line(line, configured, repository)),
        changes=changes,
        events=events.read_events(first, labels, repository),
        anchor=events.read_anchor(first, repository) if os.path.lexists(first / events.ANCHOR) else None,
        published=tuple(read_published(first / "published")),
        upgrades=upgrades_of(recorded.cards),
        damaged=recorded.damaged,
    ), recorded


def read_line(revision: str, backends: Iterable[str], repository: Path) -> list[Revision]:
    """The commits that lead to ``revision``; none where nothing has been committed, or there is no repository."""
    return checkout.line(revision, backends, repository) if checkout.has_commits(repository) else []


def read_published(folder: Path) -> Iterator[Published]:
    """The published studies of a folder, oldest first. Raises PipelineError naming the file and what is wrong."""
    for path in sorted(folder.glob("*.toml")):
        try:
            yield parse_published(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, *BROKEN) as error:
            raise PipelineError(f"{path}: not a published study's figures: {error}", "restore it with git") from error
