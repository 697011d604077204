"""Verb ``comment``: verdict.json -> Markdown for a pull request."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.model import PipelineError
from scripts.records import replace
from scripts.verdict.record import decode_verdict
from scripts.verdict.text import render_comment


def main(arguments: Sequence[str]) -> int:
    """Writes to standard output, or to ``--output``."""
    parser = argparse.ArgumentParser(
        prog="nox -s comment --",
        description="Write a verdict as the Markdown of a pull request's comment. Reads nothing but verdict.json, "
        "which may come from anybody: everything in it is checked and escaped.",
    )
    parser.add_argument("verdict", nargs="?", type=Path, default=Path("results/latest/verdict.json"), metavar="FILE")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write here instead of to standard output")
    args = parser.parse_args(arguments)
    try:
        data = args.verdict.read_bytes()
    except OSError as error:
        raise PipelineError(
            f"{args.verdict}: cannot be read: {error.strerror}", "compare first: nox -s compare"
        ) from error
    text = render_comment(decode_verdict(data, str(args.verdict)))
    if args.output:
        replace(args.output, text.encode())
    else:
        sys.stdout.write(text)
    return 0
