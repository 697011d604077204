"""Verb ``reach``: a change -> the backends that it can make slower or faster, what to compare it with, and how."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from scripts import checkout, config
from scripts.github import runner
from scripts.model import Workflows
from scripts.session.sides import find_base


def main(arguments: Sequence[str]) -> int:
    """Returns 0; in a workflow the outputs ``base``, ``backends`` (separated by commas) and ``stack`` say it, too."""
    parser = argparse.ArgumentParser(
        prog="nox -s reach --",
        description="Say which backends a change can reach, and where it left the branch that it is meant for.",
    )
    parser.add_argument("base", nargs="?", help="the branch or commit that it is meant for (default: main)")
    parser.add_argument("head", nargs="?", help="the change's last commit (default: the working tree)")
    args = parser.parse_args(arguments)
    candidate = checkout.find(args.head) if args.head else checkout.current()
    base = find_base(args.base, candidate.sha)
    backends = config.load().backends
    checkout.check_sources(backends, [base, args.head])
    sources = checkout.sources_of(backends)
    reached = checkout.reached(checkout.changed_paths(base, args.head), sources)
    runner.set_outputs(base=base, backends=",".join(reached), stack=configured(args.base or base).stack)
    print(f"since {base[:10]}: {', '.join(reached) or 'nothing that a backend runs has changed'}")
    return 0


def configured(trunk: str) -> Workflows:
    """What the branch that a change is meant for says of workflows, whatever the change itself says."""
    text = checkout.read_file(trunk, f"./{config.CONFIG_PATH.name}")
    return config.parse_workflows(text or "", f"{trunk[:10]}:{config.CONFIG_PATH.name}")
