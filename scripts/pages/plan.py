"""The jobs that make a site: which files there are, from what, and what each depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from scripts import records
from scripts.config import ROOT
from scripts.pages import (
    badges,
    commit,
    compare,
    embeds,
    feed,
    method,
    overview,
    published,
    repeats,
    run,
    tables,
    trend,
)
from scripts.pages import changes as changes_page
from scripts.pages import runs as runs_page
from scripts.pages.catalog import METRIC_NAMES, Catalog
from scripts.pages.output import Job, digest
from scripts.pages.reading import Entry, Recorded
from scripts.pages.shell import Shell

Pages = Iterator[tuple[str, bytes]]


def plan(
    catalog: Catalog, recorded: Recorded, shell: Shell, *, head: str, calibrations: Path, site: Path, known: int
) -> list[Job]:
    """Everything. ``head``: the commit that is checked out; ``calibrations``: folder of calibration sessions; ``site``:
    what the last build left, of so many ``known`` runs.
    """
    runs, frame = digest([entry.digest for entry in recorded.entries]), digest(shell)
    everything = digest(
        runs, shell, head, catalog.line, catalog.changes, catalog.events, catalog.anchor, catalog.published,
        catalog.damaged,
    )  # fmt: skip
    about = {"title": shell.title, "repository": shell.repository, "head": head}
    shards = published.commits(catalog)
    by_id = {entry.card.id: entry for entry in recorded.entries if entry.card}
    return [
        *(_series(catalog, backend, recorded, site, known) for backend in catalog.labels),
        *(_tables(catalog, year, by_id) for year in catalog.years),
        *(_trend(catalog, backend, shell, everything) for backend in catalog.labels),
        *(_run(entry, catalog, shell, frame) for entry in recorded.entries),
        *(_shard(shard, commits) for shard, commits in shards.items()),
        *(_commit(sha, catalog, by_id, shell, frame) for sha in catalog.commits),
        *(_embeds(catalog, backend, shell, everything) for backend in catalog.labels),
        Job("overview", everything, lambda: _overview(catalog, by_id, shell)),
        _method(catalog, shell, calibrations),
        Job("pages", everything, lambda: _pages(catalog, shell, about, shards), heavy=True),
        _static(ROOT / "site"),
    ]


def _series(catalog: Catalog, backend: str, recorded: Recorded, site: Path, known: int) -> Job:
    """Where runs are new, they are put to the end of what there is."""

    def key(runs: int) -> bytes:
        return digest([entry.digest for entry in recorded.entries[:runs]], catalog.labels, catalog.levels, paired)

    def old(path: str) -> bytes:
        return (site / path).read_bytes()

    paired = any(card.baseline for card in catalog.cards)
    return Job(
        f"series {backend}",
        key(len(recorded.entries)),
        lambda: published.series(catalog, backend),
        heavy=True,
        grows=key(known),
        grow=lambda: published.longer_series(catalog, backend, known, old),
    )


def _tables(catalog: Catalog, year: int, entries: Mapping[str, Entry]) -> Job:
    cards, backends = catalog.years[year], tuple(catalog.labels)

    def make() -> Pages:
        yield f"data/runs-{year}.csv.gz", tables.csv_gz(cards)
        yield f"data/runs-{year}.parquet", tables.parquet(cards, backends)

    return Job(f"tables {year}", digest([entries[card.id].digest for card in cards], backends), make, heavy=True)


def _trend(catalog: Catalog, backend: str, shell: Shell, everything: bytes) -> Job:
    path = f"trend/{backend}.html"

    def make() -> Pages:
        yield path, trend.render(catalog, backend, shell).encode()
        yield published.reach(catalog, backend)

    return Job(path, everything, make, heavy=True)


def _embeds(catalog: Catalog, backend: str, shell: Shell, everything: bytes) -> Job:
    def make() -> Pages:
        yield from ((path, text.encode()) for path, text in embeds.files(catalog, backend, shell).items())

    return Job(f"embeds {backend}", everything, make, heavy=True)


def _run(entry: Entry, catalog: Catalog, shell: Shell, frame: bytes) -> Job:
    """The page of a run and its data; ``frame``: a digest of the shell."""
    card = entry.card
    assert card is not None
    path = run.path(card.id)

    def make() -> Pages:
        record = records.read_run(Path(entry.path))
        yield from published.run(record, card).items()
        yield path, run.render(record, card, run.facts(card, catalog), shell).encode()

    return Job(path, digest(entry.digest, run.facts(card, catalog), frame), make)


def _commit(sha: str, catalog: Catalog, entries: Mapping[str, Entry], shell: Shell, frame: bytes) -> Job:
    path, runs = commit.path(sha), catalog.by_commit.get(sha, ())[::-1]

    def make() -> Pages:
        yield path, commit.render(runs, commit.facts(sha, catalog), shell).encode()

    return Job(path, digest([entries[card.id].digest for card in runs], commit.facts(sha, catalog), frame), make)


def _shard(shard: str, commits: object) -> Job:
    name = f"commits/{shard}"
    return Job(name, digest(commits), lambda: published.both(name, commits).items())


def _overview(catalog: Catalog, entries: Mapping[str, Entry], shell: Shell) -> Pages:
    featured = catalog.featured
    record = records.read_run(Path(entries[featured.id].path)) if featured else None
    yield "index.html", overview.render(catalog, shell, record).encode()


def _method(catalog: Catalog, shell: Shell, folder: Path) -> Job:
    """What calibration says takes seconds to compute, so that it is looked at only when its sessions changed."""
    places = {name: card.place for name, card in catalog.environments.items()}
    stamps = [(str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*.json"))]

    def make() -> Pages:
        found = {}
        for one in sorted({path.parent for path in folder.rglob("*.json")}):
            from scripts.calibration import campaign  # here, as what it needs takes half a second to load

            if said := method.calibrated(campaign.read_sessions(one), catalog.config.compare):
                found[one.name] = said
        yield "method.html", method.render(catalog, shell, found).encode()

    return Job("method", digest(shell, places, tuple(catalog.years), stamps), make, heavy=bool(stamps))


def _pages(catalog: Catalog, shell: Shell, about: Mapping[str, str], shards: Iterable[str]) -> Pages:
    yield "changes.html", changes_page.render(catalog, shell).encode()
    yield runs_page.PATH, runs_page.render(catalog, shell).encode()
    yield "compare.html", compare.render(catalog, shell).encode()
    yield feed.PATH, feed.render(catalog, shell)
    yield from badges.files(catalog).items()
    yield from published.runs(catalog).items()
    yield from published.both("spread", {"metrics": METRIC_NAMES, "frames": repeats.spread(catalog.cards)}).items()
    yield from published.both("changes", msgspec.to_builtins(catalog.changes)).items()
    yield from published.index(catalog, about, shards).items()


def _static(folder: Path) -> Job:
    """Style sheets, scripts and what is vendored, side by side; ``.nojekyll``: GitHub Pages serves the files as they
    are."""

    def make() -> Pages:
        for path in sorted([*(folder / "static").iterdir(), *(folder / "vendor").iterdir()]):
            if path.name not in ("README.md", "SHA256SUMS"):
                yield f"static/{path.name}", path.read_bytes()
        yield ".nojekyll", b""

    return Job("static", b"", make)
