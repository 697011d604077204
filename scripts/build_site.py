"""Verb ``build_site``: history/ + changes.json -> static site."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from scripts import checkout, config, prose
from scripts.changes import Changes, decode
from scripts.escape import plain
from scripts.model import PipelineError
from scripts.pages.output import Output, State, code_digest
from scripts.pages.plan import plan
from scripts.pages.reading import read_catalog
from scripts.pages.shell import Shell
from scripts.pages.workers import Told

EPILOG = """\
examples:
  nox -s build_site                                   history/ and results/changes.json -> _site/
  nox -s build_site -- --history history --history ../data --output public    several histories, read as one
  nox -s serve                                        the same, shown in a browser and made again when anything changes

The site is a folder of files: open _site/index.html, or put the folder on any web server, below any address.
What did not change since the last build is not made again (.<output>.cache beside it can be removed at any time).
"""
DEFAULT_CHANGES = Path("results/changes.json")
TITLE = "Backend benchmark"


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the site is built, of whatever could be read of the history."""
    args = parser("build_site", EPILOG).parse_args(arguments)
    started = time.perf_counter()
    console = Console(stderr=True, highlight=False)
    settings = config.load()
    roots = args.history or [config.ROOT / "history"]
    code = code_digest()
    output = Output(args.output)
    state = output.remembered(code)
    catalog, recorded = read_catalog(
        roots,
        settings,
        changes=_changes(args.changes),
        line=args.line,
        known=state.entries,
        told=_progress(console, "reading runs"),
    )
    repository = checkout.web_address() if args.repository is None else args.repository.rstrip("/")
    shell = Shell(title=args.title, repository=repository, backends=catalog.labels)
    jobs = plan(catalog, recorded, shell, head=checkout.current().sha, calibrations=roots[0] / "calibration")
    now = State(code=code, entries=recorded.seen, made=state.made)
    del state
    tally = output.build(jobs, now, _progress(console, "making pages"))
    if catalog.damaged:
        skipped = prose.count(len(catalog.damaged), "file")
        print("\n  ".join([f"{skipped} of the history do not count:", *map(plain, catalog.damaged)]), file=sys.stderr)
    print(
        f"{args.output / 'index.html'}: {prose.count(len(catalog.cards), 'run')}, {tally.files} files, of which "
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
        help="what `nox -s detect` wrote (default: results/changes.json where there is one)",
    )
    made.add_argument("--line", default="HEAD", metavar="REVISION", help="the commits up to this one (default: HEAD)")
    made.add_argument("--title", default=TITLE, help="of the site (default: %(default)s)")
    made.add_argument(
        "--repository",
        metavar="URL",
        help="where commits are shown, as URL/commit/HASH (default: the address of the remote `origin`)",
    )
    return made


def _changes(path: Path | None) -> Changes | None:
    """The changes of a file; of the default one, if it is there."""
    chosen = path or DEFAULT_CHANGES
    try:
        return decode(chosen.read_bytes(), str(chosen))
    except FileNotFoundError as error:
        if path is None:
            return None
        raise PipelineError(f"{path}: no such file", "make it: nox -s detect") from error
    except OSError as error:
        raise PipelineError(f"{chosen}: cannot be read: {error.strerror}", "make it anew: nox -s detect") from error


def _progress(console: Console, what: str) -> Told:
    """One line of the terminal that is written over; nothing where there is no terminal."""

    def told(done: int, total: int) -> None:
        if console.is_terminal and total:
            console.print(f"{what}: {done / total:4.0%}", end="\n" if done == total else "\r")

    return told
