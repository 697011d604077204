"""Verb ``up``: start the stack, print its addresses, keep it running until Ctrl-C."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

from scripts import config, options, terminal
from scripts.stack import Stack, candidates, check_alive
from scripts.stack.choice import open_stack
from scripts.stack.leftovers import session_folder


def main(arguments: Sequence[str]) -> int:
    """Returns 0 after Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="nox -s up --",
        description="Start the database and the backends, each under its limits, and keep them running until Ctrl-C, "
        "for a client of your own. All run at once: to compare them, load one at a time.",
    )
    options.add_stack(parser)
    args = parser.parse_args(arguments)
    settings = options.apply(args, config.load())
    console = terminal.console()
    with (
        session_folder("logs") as logs,
        open_stack(args, settings, candidates(settings, args.tree), Path(logs), console.print) as stack,
    ):
        for instance in stack.instances:
            instance.thaw()
        console.print(_addresses(stack))
        console.print("Ctrl-C stops everything.")
        try:
            while True:
                time.sleep(1)
                check_alive(stack)
        except KeyboardInterrupt:
            console.print("stopping")
    return 0


def _addresses(stack: Stack) -> str:
    lines = []
    for instance in stack.instances:
        backend, url = instance.target.backend, instance.url
        lines += [
            f"{backend.label}",
            f"  {backend.method:4} {url}{backend.endpoint}",
            f"  POST {url}{backend.reset}",
            *(f"  GET  {url}{path}" for path in (backend.health, *backend.lists)),
        ]
    return "\n".join(lines)
