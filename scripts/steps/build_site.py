"""Verb ``build_site``: history/ -> the static site."""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from scripts import checkout, config, terminal, words
from scripts.config import Config
from scripts.escape import plain
from scripts.history import changes
from scripts.history.changes import Changes
from scripts.pages.cache import Cache, State
from scripts.pages.output import Output, code_digest, digest
from scripts.pages.plan import plan
from scripts.pages.reading import read_catalog
from scripts.pages.shell import Shell
from scripts.pages.workers import Told

EPILOG = """\
examples:
  nox -s build_site                                   history/ -> _site/
  nox -s build_site -- --history history --history ../data --output public    several histories, read as one
  nox -s serve                                        the same, shown in a browser and made again when anything changes

The site is a folder of files: open _site/index.html, or put the folder on any web server, below any address.
What did not change since the last build is not made again (.<output>.cache beside it can be removed at any time).
"""
TITLE = "Backend benchmark"


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the site is built, of whatever could be read of the history."""
    gc.disable()  # a history is a million objects and no garbage: looking for some takes a third of the time
    try:
        args = parser("build_site", EPILOG).parse_args(arguments)
        config.refuse_elsewhere("the site", config.NOT_DATED)
        return _build(args)
    finally:
        gc.enable()


def _build(args: argparse.Namespace) -> int:
    started = time.perf_counter()
    console = terminal.console(stderr=True)
    settings = config.load()
    roots = args.history or [config.PROJECT / "history"]
    output = Output(args.output)
    cache = Cache(output.folder.with_name(f".{output.folder.name}.cache"), code_digest())
    catalog, recorded = read_catalog(roots, settings, cache, line=args.line, told=_progress(console, "reading runs"))
    state = cache.state()
    key = digest([entry.digest for entry in recorded.entries], catalog.line, catalog.events)
    found = changes.read(args.changes) if args.changes else None
    if found is None and catalog.cards and catalog.line:
        found = _changes(state, key, roots, settings, args.line)
    catalog = msgspec.structs.replace(catalog, changes=found)
    repository = checkout.web_address() if args.repository is None else args.repository.rstrip("/")
    shell = Shell(title=args.title, repository=repository, backends=catalog.labels)
    jobs = plan(
        catalog,
        recorded,
        shell,
        head=checkout.current().sha,
        calibrations=roots[0] / "calibration",
        site=output.folder,
        known=state.runs,
    )
    if args.changes:  # what others found is not what the next build would find
        key = b""
    state = msgspec.structs.replace(state, runs=len(catalog.cards), changes_key=key, changes=found)
    tally = output.build(jobs, cache, state, _progress(console, "making pages"))
    if catalog.damaged:
        skipped = words.count(len(catalog.damaged), "file")
        print("\n  ".join([f"{skipped} of the history do not count:", *map(plain, catalog.damaged)]), file=sys.stderr)
    print(
        f"{args.output / 'index.html'}: {words.count(len(catalog.cards), 'run')}, {tally.files} files, of which "
        f"{tally.written} were written and {tally.removed} removed, in {time.perf_counter() - started:.1f} s"
    )
    return 0


def parser(step: str, epilog: str) -> argparse.ArgumentParser:
    """What all that builds a site takes."""
    made = argparse.ArgumentParser(
        prog=f"nox -s {step} --",
        description="Make a static site of the recorded history: no server, no network, no other host.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--history", action="append", type=Path, metavar="FOLDER", help="several are read as one")
    made.add_argument("--output", type=Path, default=Path("_site"), metavar="FOLDER", help="(default: %(default)s)")
    made.add_argument(
        "--changes",
        type=Path,
        metavar="FILE",
        help="what `nox -s detect` wrote (default: it is found out again when there are new runs)",
    )
    made.add_argument("--line", default="HEAD", metavar="REVISION", help="the commits up to this one (default: HEAD)")
    made.add_argument("--title", default=TITLE, help="of the site (default: %(default)s)")
    made.add_argument(
        "--repository",
        metavar="URL",
        help="where commits are shown, as URL/commit/HASH (default: the address of the remote `origin`)",
    )
    return made


def _changes(state: State, key: bytes, roots: Sequence[Path], settings: Config, line: str) -> Changes:
    """The changes of the history, as remembered where nothing is new."""
    if state.changes and state.changes_key == key:
        return state.changes
    from scripts.history.detection import over_history  # scipy takes a second, which a site without news does not need

    return over_history(roots, settings, line, lambda _: None)


def _progress(console: Console, what: str) -> Told:
    """One line of the terminal that is written over; nothing where there is no terminal."""

    def told(done: int, total: int) -> None:
        if console.is_terminal and total:
            console.print(f"{what}: {done / total:4.0%}", end="\n" if done == total else "\r")

    return told
