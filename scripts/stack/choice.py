"""Which kind of stack runs what is measured. Everything above `scripts.stack` opens its stack here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from scripts.config import Config
from scripts.model import PipelineError
from scripts.stack import Say, Stack, Target, check_sources, engine
from scripts.stack.compose import FILE, ComposeStack
from scripts.stack.composition import base_images
from scripts.stack.native import NativeStack


def open_stack(
    args: argparse.Namespace, config: Config, targets: Sequence[Target], logs: Path, say: Say
) -> AbstractContextManager[Stack]:
    """``with open_stack(...) as stack:`` the targets are up inside. ``args``: those of `scripts.options.add_stack`."""
    for target in targets:
        check_sources(target)
    kind = args.stack
    if kind == "auto":
        obstacle = why_not_compose(config)
        kind = "native" if obstacle else "compose"
        say(f"stack: {kind} ({obstacle or 'a Docker engine is here, and its base images are'}; --stack chooses)")
    if kind == "compose":
        return ComposeStack(config, targets, logs, say, allow_unlimited=args.allow_unlimited)
    return NativeStack(config, targets, logs, say, allow_unlimited=args.allow_unlimited)


def why_not_compose(config: Config) -> str:
    """Why ``auto`` does not choose containers, empty if it does.

    It does where nothing has to be fetched first but the backends' packages: a session must not begin with a download
    of images that nobody has asked for.
    """
    if config.database.engine != "mysql":
        return f"the containers run MySQL, not {config.database.engine}"
    try:
        found = engine.find()
    except PipelineError as error:
        return error.message
    try:
        absent = found.absent(base_images(found.read(FILE)))
    finally:
        found.close()
    return (
        f"{' and '.join(absent)} not here yet: `docker pull` fetches {'it' if len(absent) == 1 else 'them'}"
        if absent
        else ""
    )
