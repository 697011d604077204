"""Benchmark ``bisect``: a slow-down is hidden among real commits of a real clone, and searched with real sessions."""

from __future__ import annotations

import argparse
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from scripts import config
from scripts.calibration import campaign
from scripts.model import PipelineError
from scripts.records import replace
from scripts.session.plant import Planted, control, plant
from scripts.stack import Target
from scripts.stack.leftovers import CACHE

DOCUMENT = config.ROOT / "docs" / "bisect.md"
FILE = "gunicorn.conf.py"
METRIC = "cpu_ms_per_request"
STORE = config.ROOT / "history" / "calibration" / "native-duet"
AUTHOR = ("-c", "user.name=Benchmark", "-c", "user.email=benchmark@example.org")


def main(arguments: Sequence[str]) -> int:
    """0: the search named the commit that was slowed down; 1: another one, or none."""
    args = _parser().parse_args(arguments)
    console = Console()
    backend = config.find(config.load().backends, args.backend, "backend")
    cpu_ms = campaign.cpu_ms_per_request(campaign.read_sessions(STORE), backend.name)
    if cpu_ms is None:
        raise PipelineError(f"{STORE}: no A/A session of {backend.name}", "measure some: nox -s calibrate")
    place = random.Random(args.seed).randint(2, args.commits - 1)
    with tempfile.TemporaryDirectory(prefix="bench-bisect-") as name:
        clone = Path(name) / "clone"
        subprocess.run(["git", "clone", "--quiet", config.ROOT, clone], check=True)
        (clone / ".cache").symlink_to(CACHE)
        target = Target(backend=backend, app=clone / "apps" / backend.name, arm="candidate")
        planted = Planted(kind="cpu", size=args.slower)
        free = plant(control(planted), target, Path(name) / "control", cpu_ms).app / FILE
        slow = plant(planted, target, Path(name) / "planted", cpu_ms).app / FILE
        shas = _commit_all(clone, target.app / FILE, free, slow, args.commits, place)
        console.print(
            f"{args.commits} commits to apps/{backend.name}; from number {place} on, {shas[place][:7]}, a request "
            f"costs {100 * args.slower:g}% more CPU",
            highlight=False,
        )
        command = ["bisect", shas[0], shas[-1], f"--backend={backend.name}", f"--metric={METRIC}"]
        lines = _run(clone, command)
    found = any(line.startswith("Found") and f": {shas[place][:7]} " in line for line in lines)
    console.print("right" if found else "WRONG", highlight=False)
    if args.write:
        replace(DOCUMENT, _document(args, place, shas, lines, found=found).encode())
        console.print(f"wrote {DOCUMENT}", highlight=False)
    return 0 if found else 1


def _commit_all(clone: Path, file: Path, free: Path, slow: Path, count: int, place: int) -> list[str]:
    """The hashes of ``count`` + 1 new commits that reach the backend.

    The first one has the code that costs nothing yet, and at number ``place`` that code becomes slow.
    """
    shutil.copy(free, file)
    _git(clone, *AUTHOR, "commit", "--quiet", "--all", "--message", "Before all changes")
    shas = [_git(clone, "rev-parse", "HEAD")]
    for number in range(1, count + 1):
        if number == place:
            shutil.copy(slow, file)
        with file.open("a") as text:
            text.write(f"# change {number}\n")
        _git(clone, *AUTHOR, "commit", "--quiet", "--all", "--message", f"Change {number}")
        shas.append(_git(clone, "rev-parse", "HEAD"))
    return shas


def _run(clone: Path, arguments: Sequence[str]) -> list[str]:
    """The step in the clone; its lines are shown as they come, and returned."""
    lines = []
    command = [sys.executable, "-m", "scripts", *arguments, f"--output={clone.parent / 'results'}"]
    with subprocess.Popen(command, cwd=clone, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.rstrip())
    return lines


def _git(clone: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", clone, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _document(args: argparse.Namespace, place: int, shas: Sequence[str], lines: Sequence[str], *, found: bool) -> str:
    told = [line for line in lines if re.match(r"\[\d+\] |    [+-]", line)]
    result = lines[next((n for n, line in enumerate(lines) if line.startswith(("Found", "Not sure", "GOOD"))), 0) :]
    return "\n".join(
        [
            "# A slow-down among many commits, found with noisy sessions",
            "",
            f"Made by `nox -s perf -- bisect --write --backend {args.backend} --commits {args.commits} --slower "
            f"{args.slower:g} --seed {args.seed}`: a clone of this repository gets {args.commits} commits to "
            f"`apps/{args.backend}`, of which number {place} ({shas[place][:7]}) makes a request cost "
            f"{100 * args.slower:g}% more CPU and the others change a comment. `nox -s bisect` is told the first and "
            f"the last. Its answer is {'right' if found else '**wrong**'}:",
            "",
            "```text",
            *result,
            "```",
            "",
            "What each session measured, in their order:",
            "",
            "```text",
            *told,
            "```",
            "",
        ]
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s perf -- bisect",
        description="Hide a slow-down among commits of a clone and let `bisect` find it, with real sessions: about a "
        "minute and a half each. The machine has to be left alone meanwhile.",
    )
    parser.add_argument("--backend", default="fastapi", help="the backend that becomes slower (default: fastapi)")
    parser.add_argument("--commits", type=int, default=20, help="how many commits to search (default: 20)")
    parser.add_argument("--slower", type=float, default=0.03, help="share of a request's CPU time (default: 0.03)")
    parser.add_argument("--seed", type=int, default=20261124, help="of the place (default: 20261124)")
    parser.add_argument("--write", action="store_true", help=f"write docs/{DOCUMENT.name}")
    return parser
