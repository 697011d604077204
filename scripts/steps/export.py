"""Verb ``export``: the history, or an imported collection, in another tool's format."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts import records
from scripts.config import PROJECT
from scripts.exchange import FORMATS, collection, describe
from scripts.exchange.model import Collection
from scripts.history import store
from scripts.model import PipelineError

EPILOG = """\
formats:
{formats}

examples:
  nox -s export -- csv                                      results/export/series.csv, from history/
  nox -s export -- github-action-benchmark site/            site/data.js
  nox -s export -- parquet --history history --history ../data-branch
  nox -s export -- otava otava/ --imported hyper            what `nox -s import` has kept as `hyper`
"""


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the files are written."""
    parser = argparse.ArgumentParser(
        prog="nox -s export --",
        description="Write the recorded runs in another tool's format: each metric of each backend at each level.",
        epilog=EPILOG.format(formats=describe(FORMATS)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("format", choices=FORMATS, metavar="FORMAT", help="one of those below")
    parser.add_argument(
        "output", nargs="?", type=Path, default=Path("results/export"), help="folder (default: results/export)"
    )
    parser.add_argument(
        "--history", action="append", type=Path, metavar="FOLDER", help="folder of a history; several are read as one"
    )
    parser.add_argument("--imported", metavar="NAME", help="export what was imported under this name instead")
    args = parser.parse_args(arguments)
    chosen = _collection(args.history or [PROJECT / "history"], args.imported)
    for name, data in FORMATS[args.format].encode(chosen).items():
        path = args.output / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PipelineError(f"{path.parent}: cannot be made: {error.strerror}", "choose another folder") from error
        records.replace(path, data)
        print(f"wrote {path}")
    return 0


def _collection(roots: Sequence[Path], imported: str | None) -> Collection:
    if imported is not None:
        return collection.read(roots[0], imported)
    runs = store.read(roots, lambda text: print(text, file=sys.stderr))
    if not runs:
        raise PipelineError(f"{', '.join(map(str, roots))}: no recorded runs", "measure and record one first")
    return collection.from_runs(runs)
