"""Which kind of stack runs what is measured. Everything above `scripts.stack` opens its stack here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from scripts.model import Config
from scripts.stack import Say, Stack, Target
from scripts.stack.native import NativeStack


def open_stack(
    args: argparse.Namespace, config: Config, targets: Sequence[Target], logs: Path, say: Say
) -> AbstractContextManager[Stack]:
    """``with open_stack(...) as stack:`` the targets are up inside. ``args``: those of `scripts.options.add_stack`."""
    return NativeStack(config, targets, logs, say, allow_unlimited=args.allow_unlimited)
