"""The README's pictures of the site, taken in real Chromium: ``nox -s screenshots``, after ``nox -s build_site``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import sync_playwright

from tests.browser import launch, visit

ROOT = Path(__file__).parent.parent
OUTPUT = ROOT / "docs" / "site"


class Shot(NamedTuple):
    """A picture: its file's name, the page, and how it is looked at."""

    name: str
    page: str
    dark: bool = False
    width: int = 1280
    height: int = 1000


def shots(run: str, pair: str) -> list[Shot]:
    """What is shown: the main pages, the page of ``run``, and a ``pair`` of runs compared."""
    return [
        Shot("overview.png", "index.html"),
        Shot("overview-dark.png", "index.html", dark=True),
        Shot("overview-narrow.png", "index.html", width=360),
        Shot("trend.png", "trend/django_asgi.html#metric=cpu_ms_per_request&scale=ratio"),
        Shot("compare.png", pair),
        Shot("run-dark.png", f"run/{run}.html#figures", dark=True),
    ]


def main(site: Path) -> int:
    """Write every picture of a built site; 1 where there is none."""
    if not (site / "index.html").exists():
        print(f"{site}: no site there; make it: nox -s build_site", file=sys.stderr)
        return 1
    OUTPUT.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        base = site.resolve().as_uri() + "/"
        with visit(browser, base) as tab:  # the run that the overview is about, and the newest that it lists
            runs = tab.open("index.html").locator("main a[href^='run/']")
            links = [runs.nth(place).get_attribute("href") or "" for place in range(runs.count())]
            pairs = tab.open("compare.html").locator("main a[href*='?a=']")
            pair = pairs.first.get_attribute("href") if pairs.count() else None
        run = Path(links[0]).stem
        for shot in shots(run, pair or f"compare.html?a={run}"):
            with visit(browser, base, width=shot.width, dark=shot.dark) as tab:
                tab.page.set_viewport_size({"width": shot.width, "height": shot.height})
                tab.open(shot.page).screenshot(path=OUTPUT / shot.name)
                print(f"wrote {(OUTPUT / shot.name).relative_to(ROOT)}")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "_site")))
