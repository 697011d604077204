"""``nox -s play``: four stories of the workflows from their event to their end, with real sessions on this machine.

    nox -s play                                    all four; "elsewhere" needs Docker, and is left out without
    nox -s play -- pull-request --write            one, and its texts into docs/comments/

Sessions are as short as they can be and still say something: what is played is the way, and not how well it measures.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from scripts.config import ROOT, load
from scripts.stack.choice import why_not_compose
from scripts.verdict.decision import LABEL
from tests.factories import git
from tests.hosted.executor import RunDone, World
from tests.hosted.world import CALLER, Author, completed, open_shop, open_world, run_comment, run_pull_request

TEXTS = ROOT / "docs" / "comments"
BACKEND = "apps/fastapi/benchmark/workload.py"
SHORT = {"pr": "rounds = 6", "nightly": "rounds = 2"}
SECTION = "[profiles.{name}]\nlevels = [4]\n{rounds}\npairs = 1\nduration_s = 1\nwarmup_s = 1\n\n"
SHOP_PROFILE = "\n" + SECTION.format(name="pr", rounds="rounds = 6")
STARTED = "    started = time.perf_counter()\n"
SLOWER = """\
    end = time.thread_time() + 0.006
    while time.thread_time() < end:
        pass
"""
QUESTION = "    await User.get_or_none(id=1)\n"
console = Console(soft_wrap=True, highlight=False, markup=False)


def main() -> int:
    stories: dict[str, Callable[[World, Path | None], None]] = {
        "pull-request": play_pull_request,
        "nightly": play_nightly,
        "regression": play_regression,
        "elsewhere": play_elsewhere,
    }
    parser = argparse.ArgumentParser(prog="nox -s play --", description=__doc__)
    parser.add_argument("story", nargs="?", choices=list(stories), help="one of them (default: all)")
    parser.add_argument("--write", action="store_true", help=f"write the texts into {TEXTS.relative_to(ROOT)}")
    args = parser.parse_args()
    if not args.story and (obstacle := why_not_compose(load())):
        console.print(f"without elsewhere: {obstacle}")
        del stories["elsewhere"]
    for name in [args.story] if args.story else stories:
        with tempfile.TemporaryDirectory(prefix="bench-play-") as folder, open_world(Path(folder)) as world:
            began = time.monotonic()
            console.rule(name)
            _shorten(Author(world))
            stories[name](world, TEXTS if args.write else None)
            console.print(f"played in {time.monotonic() - began:.0f} s")
    return 0


def _shorten(author: Author) -> None:
    """Make the profiles of the played repository short, and have it measured as this machine can."""
    text = author.read("bench.toml")
    for name, rounds in SHORT.items():
        section = SECTION.format(name=name, rounds=rounds)
        text = re.sub(rf"(?ms)^\[profiles\.{name}\].*?(?=^\[)", section, text)
    text = text.replace('stack = "compose"', 'stack = "native"')
    author.change({"bench.toml": text}, "Sessions as short as they can be")
    author.push()


def play_pull_request(world: World, texts: Path | None) -> None:
    """A fork opens a pull request with a backend made slower; the comment says so; it is accepted."""
    author = Author(world, "fork")
    author.change({BACKEND: with_line(author.read(BACKEND), SLOWER)}, "fastapi: spend 6 ms more on each request")
    event = author.open_pull(7, "slower")
    console.print(f"fork opens pull request 7: {git(author.clone, 'log', '-1', '--format=%h %s').strip()}")
    run = tell(run_pull_request(world, event))
    need(run.jobs["decide"].result == "failure", run)
    tell(run_comment(world, completed(event, run)))
    (comment,) = world.service.comments[7]
    show(comment["body"], "confirmed.md", texts)
    console.print(f"somebody labels it {LABEL!r} and runs the failed job again")
    world.service.labels[7] = [LABEL]
    run = tell(run_pull_request(world, event, again=run))
    need(run.conclusion == "success", run)
    tell(run_comment(world, completed(event, run)))
    (comment,) = world.service.comments[7]
    show(comment["body"], "accepted.md", texts)


def play_nightly(world: World, texts: Path | None) -> None:
    """The night's session, recorded on the data branch, and on the site."""
    del texts
    run = tell(world.run("nightly.yml", "schedule", {"schedule": "17 3 * * *"}, main_of(world)))
    need(run.conclusion == "success", run)
    console.print(git(world.origin, "log", "--stat", "--format=%an: %B", "history"))
    pages = sorted(path for path in world.deployed.rglob("*") if path.is_file())
    console.print(f"deployed: {len(pages)} files, {sum(path.stat().st_size for path in pages)} bytes")


def play_regression(world: World, texts: Path | None) -> None:
    """A commit on main makes a backend worse; an issue is opened; the commit is reverted; the issue is closed."""
    author = Author(world)
    good = author.read(BACKEND)
    for subject, text, states in (
        ("fastapi: a note", f"{good}\n# A note.\n", []),
        ("fastapi: one more SELECT in each request", with_line(good, QUESTION), ["open"]),
        ("fastapi: without that SELECT", good, ["closed"]),
    ):
        author.change({BACKEND: text}, subject)
        run = tell(world.run("track.yml", "workflow_dispatch", {}, author.push(), task="track", backends="fastapi"))
        need([issue["state"] for issue in world.service.issues] == states, run)
        for issue in world.service.issues:
            show(f"# {issue['title']}\n\n{issue['body']}", f"issue_{issue['state']}.md", texts)


def play_elsewhere(world: World, texts: Path | None) -> None:
    """Another repository's pull request makes its service slower; its check fails."""
    del texts
    shop = open_shop(world, world.folder.with_name("shop"))
    author = Author(shop)
    author.change({"benchmark/bench.toml": author.read("benchmark/bench.toml") + SHOP_PROFILE}, "Short sessions")
    author.push()
    source = "benchmark/service/shop.rb"
    author.change({source: author.read(source).replace("iterations: 5_000", "iterations: 10_000")}, "A better code")
    run = tell(run_pull_request(shop, author.open_pull(7, "safer"), file=Path(CALLER).name))
    need([run.jobs[name].result for name in ("first/session", "second/session")] == ["success", "failure"], run)
    console.print(run.jobs["second/session"].summary)


def with_line(text: str, line: str) -> str:
    """The backend's workload with something more at the beginning of each request."""
    if STARTED not in text:
        sys.exit(f"{BACKEND} has no line {STARTED.strip()!r}")
    return text.replace(STARTED, STARTED + line)


def main_of(world: World) -> str:
    return git(world.origin, "rev-parse", "main").strip()


def tell(run: RunDone) -> RunDone:
    for name, job in run.jobs.items():
        console.print(f"  {name}: {job.result}")
    return run


def need(condition: bool, run: RunDone) -> None:
    if not condition:
        console.print(run.log)
        sys.exit("the story went another way")


def show(text: str, name: str, texts: Path | None) -> None:
    console.print(text)
    if texts:
        (texts / name).write_text(text)


if __name__ == "__main__":
    sys.exit(main())
