"""Benchmark ``site``: how long a site of a long history takes, how much memory, and how large it and its pages are."""

from __future__ import annotations

import argparse
import gzip
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.table import Table

from perf import history
from perf.detect import write as write_region
from scripts.config import ROOT
from scripts.model import Struct
from scripts.stack import packages
from tests.browser import launch

SEED = 20261124
DOCUMENT = ROOT / "docs" / "site.md"
BEGIN, END = "<!-- measured: nox -s perf -- site --write -->", "<!-- /measured -->"
PAINT = """() => new Promise((resolve) => new PerformanceObserver((seen) => {
  for (const one of seen.getEntriesByName("first-contentful-paint")) resolve(one.startTime);
}).observe({ type: "paint", buffered: true }))"""


class Built(Struct):
    """One run of a step. ``rss_mb`` is the largest sum over all its processes, what they share counted in each;
    ``pss_mb`` the same with what they share counted once. Mebibytes.
    """

    seconds: float
    rss_mb: float
    pss_mb: float


def build(folder: Path) -> Built:
    """Build the site of ``folder/history``, with the changes that were found in it, into ``folder/site``."""
    more = ["--changes", str(folder / "changes.json"), "--repository", "https://example.org/bench"]
    return run("build_site", "--history", str(folder / "history"), "--output", str(folder / "site"), *more)


def detect(folder: Path) -> Built:
    """Find the changes of ``folder/history``, whose commits are those of ``folder/repository``."""
    output = ["--output", str(folder / "changes.json")]
    repository = {"GIT_DIR": str(folder / "repository" / ".git")}
    return run("detect", "--history", str(folder / "history"), *output, **repository)


def run(step: str, *arguments: str, **environment: str) -> Built:
    """Run a step in a process of its own."""
    command = [sys.executable, "-m", "scripts", step, *arguments]
    peaks = [0.0, 0.0]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=_environment() | environment, stdout=subprocess.DEVNULL)

    def watch() -> None:
        while process.poll() is None:
            for place, kilobytes in enumerate(_memory(process.pid)):
                peaks[place] = max(peaks[place], kilobytes / 1024)
            time.sleep(0.2)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    watcher.join()
    if code:
        raise subprocess.CalledProcessError(code, command)
    return Built(seconds=seconds, rss_mb=peaks[0], pss_mb=peaks[1])


def _environment() -> dict[str, str]:
    """Ours, but modules are compiled once and not in each build, whatever is set here."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _memory(pid: int) -> tuple[int, int]:
    """Resident and proportional memory of a process and those it started, in kB (proc(5), smaps_rollup)."""
    rss = pss = 0
    for one in (pid, *_children(pid)):
        try:
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:  # it has ended
            continue
        found = {name: int(value) for name, value in re.findall(r"^(Rss|Pss): +(\d+) kB", text, re.MULTILINE)}
        rss += found.get("Rss", 0)
        pss += found.get("Pss", 0)
    return rss, pss


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


class Visited(NamedTuple):
    """A page with what it loads before anybody touches it. ``query``: what its address has besides."""

    path: str
    data: tuple[str, ...] = ()
    query: str = ""


def weight(site: Path, page: Visited) -> int:
    """Bytes that a page and all it loads have when each is compressed (gzip, level 6)."""
    text = (site / page.path).read_text()
    loads = re.findall(r'<(?:script|link rel="stylesheet"|img|link rel="icon")[^>]*?(?:src|href)="([^"]+)"', text)
    paths = {
        site / page.path,
        *((site / page.path).parent / one for one in loads),
        *(site / "data" / f"{one}.js" for one in page.data),
    }
    return sum(len(gzip.compress(path.read_bytes(), 6)) for path in {path.resolve() for path in paths})


def pages(site: Path) -> dict[str, Visited]:
    """The heaviest of each kind of page."""
    series = "series/fastapi/throughput_rps"
    order = ("runs-commits", "series/fastapi/reach")
    runs = sorted((site / "run").glob("*.html"))
    newest = [path.stem for path in runs[-2:]]
    shown = tuple(f"runs/{name}" for name in newest)
    records = [msgspec.json.decode((site / "data" / f"{path}.json").read_bytes()) for path in shown]
    commits = [record["commit"]["sha"] for record in records]
    shards = tuple(f"commits/{sha[:2]}" for sha in commits)
    return {
        "overview": Visited("index.html"),
        "trend": Visited("trend/fastapi.html", ("runs", *order, f"{series}/all"), "#scale=absolute"),
        "trend, as ratios": Visited("trend/fastapi.html", ("runs", *order, f"{series}/ratio-all"), "#scale=ratio"),
        "all runs": Visited("runs.html"),
        "run, of the newest": Visited(f"run/{runs[-1].name}"),
        "run, old": Visited(f"run/{runs[1].name}", (f"runs/{runs[1].stem}",)),
        "compare, two runs": Visited("compare.html", ("index", *shown), "?a={}&b={}".format(*newest)),
        "compare, two commits": Visited("compare.html", ("index", *shards, *shown), "?a={}&b={}".format(*commits)),
        "changes": Visited("changes.html"),
        "method": Visited("method.html"),
    }


def first_paint(site: Path, page: Visited, browser: Browser, repeats: int = 5) -> float:
    """Milliseconds until something of a page is to be seen that nothing is remembered of; the median of some visits."""
    times = []
    for _ in range(repeats):
        context = browser.new_context()
        tab = context.new_page()
        tab.goto((site / page.path).resolve().as_uri() + page.query, wait_until="load")
        times.append(float(tab.evaluate(PAINT)))
        context.close()
    return statistics.median(times)


def measure(folder: Path, seed: int, count: int, console: Console) -> list[tuple[str, str]]:
    """Names and values of the table."""
    if not (folder / "repository").exists():
        console.print(f"making {count:,} runs")
        line = history.commits(folder / "repository", count + 1)
        history.write(folder / "history", seed, 0, count, line)
    line = history.hashes(folder / "repository")
    size = sum(path.stat().st_size for path in (folder / "history").rglob("*.json"))
    console.print("looking for changes")
    found = detect(folder)
    console.print("building")
    scratch = build(folder)
    history.write(folder / "history", seed, count, 1, line)
    added = build(folder)
    again = build(folder)
    site = folder / "site"
    files = [path.stat().st_size for path in site.rglob("*") if path.is_file()]
    return [
        ("history", f"{count:,} runs x 4 backends x 10 levels, {size / 1e6:,.0f} MB"),
        ("finding its changes (`detect`)", f"{found.seconds:.1f} s, {found.rss_mb:.0f} MiB ({found.pss_mb:.0f})"),
        ("build from scratch", f"{scratch.seconds:.1f} s"),
        ("memory, all processes (what they share counted once)", f"{scratch.rss_mb:.0f} MiB ({scratch.pss_mb:.0f})"),
        ("build with one run more", f"{added.seconds:.2f} s, {added.rss_mb:.0f} MiB ({added.pss_mb:.0f})"),
        ("build with nothing new", f"{again.seconds:.2f} s"),
        ("site", f"{sum(files) / 1e6:,.0f} MB in {len(files):,} files"),
        *_seen(site),
    ]


def _seen(site: Path) -> Iterator[tuple[str, str]]:
    packages.install(packages.browser_needs())
    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, page in pages(site).items():
            size, paint = weight(site, page), first_paint(site, page, browser)
            yield f"page: {name}", f"{size / 1e3:.0f} kB compressed, {paint:.0f} ms to its first paint"


def render(rows: Sequence[tuple[str, str]], seed: int, count: int) -> str:
    """The table as Markdown, with the command that gave it."""
    lines = [
        BEGIN,
        f"`nox -s perf -- site --write --seed {seed} --count {count}`:",
        "",
        "| | |",
        "|---|---:|",
        *(f"| {name} | {value} |" for name, value in rows),
        END,
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Returns 0."""
    parser = argparse.ArgumentParser(prog="nox -s perf -- site", description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED, help="of the history (%(default)s)")
    parser.add_argument("--count", type=int, default=10_000, help="runs (%(default)s)")
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="leave history and site in this folder, and use a history that it has",
    )
    parser.add_argument("--write", action="store_true", help=f"write the table into {DOCUMENT.relative_to(ROOT)}")
    args = parser.parse_args(arguments)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="site-") as name:
        folder: Path = args.keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure(folder, args.seed, args.count, console)
    table = Table("", "")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if args.write:
        write_region(DOCUMENT, render(rows, args.seed, args.count), BEGIN, END)
    return 0
