"""Verb ``parity``: one traced request of each backend -> a table, and an error where work is unequal."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scripts import config, options, terminal
from scripts.parity.contract import check_parity, render_parity, write_parity
from scripts.stack import candidates
from scripts.stack.choice import open_stack
from scripts.stack.leftovers import session_folder


def main(arguments: Sequence[str]) -> int:
    """0: equal work; 1: unequal work, each difference named."""
    parser = argparse.ArgumentParser(
        prog="nox -s parity --",
        description="Trace one request of each backend in the database server and the file system, and compare "
        "statements, files, answers and tables with the contract (apps/README.md) and with each other.",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="keep the traces as JSON")
    options.add_stack(parser)
    args = parser.parse_args(arguments)
    settings = options.apply(args, config.load())
    console = terminal.console()
    with (
        session_folder("logs") as logs,
        open_stack(args, settings, candidates(settings, args.tree), Path(logs), console.print) as stack,
    ):
        parity = check_parity(stack, settings.workload)
    if args.output:
        write_parity(parity, args.output)
    console.print(render_parity(parity))
    return 0 if parity.equal else 1
