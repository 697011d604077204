"""Every page of two sites in real Chromium: of this repository's history, and of one that means harm."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

import pytest
from playwright.sync_api import Browser, Locator, Page

from scripts.config import ROOT
from tests import hostile
from tests.browser import NARROW, REPOSITORY, Visit, build_with_changes, visit

pytestmark = pytest.mark.browser

LINKS = """() => [...document.querySelectorAll("[href], [src], [data]")].map(
  (node) => node.href?.baseVal ?? node.href ?? node.src ?? node.data)"""
IDS = """() => [...document.querySelectorAll("[id]")].map((node) => node.id)"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this repository's own history, with its changes."""
    return build_with_changes(ROOT / "history", tmp_path_factory.mktemp("real"))


@pytest.fixture(scope="module")
def harmful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of the hostile history, with a change that is found in it."""
    folder = tmp_path_factory.mktemp("harmful")
    hostile.write(folder / "history")
    return build_with_changes(folder / "history", folder, "--title", hostile.TEXT)


@pytest.fixture(scope="module", params=["real", "harmful"])
def site(request: pytest.FixtureRequest) -> Path:
    return Path(request.getfixturevalue(request.param))


def pages(site: Path) -> list[str]:
    found = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    assert len(found) > 20
    return found


def kinds(site: Path) -> list[str]:
    """One page of each kind, the first and the last of those that are many."""
    chosen: dict[str, str] = {}
    for path in pages(site):
        folder = path.rpartition("/")[0] or path
        chosen.setdefault(f"{folder} first", path)
        chosen[f"{folder} last"] = path
    return sorted(set(chosen.values()))


def test_every_page_is_whole(chromium: Browser, site: Path) -> None:
    """No error in the console, no request off the site, nothing executed, and every link leads to what is there."""
    ids: dict[str, set[str]] = {}
    links: dict[str, list[str]] = {}
    with visit(chromium, site.as_uri() + "/") as tab:
        for path in pages(site):
            page = tab.open(path)
            assert page.locator("h1").count() == 1 or path.startswith("embed/"), path
            assert page.title().strip(), path
            assert page.evaluate("window.pwned") is None, path
            ids[path] = set(page.evaluate(IDS))
            links[path] = page.evaluate(LINKS)
    dead = {f"{path} -> {link}" for path, found in links.items() for link in found if _is_dead(link, site, ids)}
    assert dead == set()


def _is_dead(link: str, site: Path, ids: dict[str, set[str]]) -> bool:
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        return not link.startswith(REPOSITORY)
    if parts.scheme == "data":
        return False
    target = Path(url2pathname(parts.path))
    if not (target.is_relative_to(site) and target.is_file()):
        return True
    anchors = ids.get(target.relative_to(site).as_posix())
    fragment = unquote(parts.fragment)
    return bool(fragment and anchors is not None and "=" not in fragment and fragment not in anchors)


@pytest.mark.parametrize("rules", [(), ("color-contrast",)], ids=["light", "dark"])
def test_each_kind_of_page_is_accessible(chromium: Browser, real: Path, rules: tuple[str, ...]) -> None:
    """By every rule; in the dark only colours are others."""
    found = []
    with visit(chromium, real.as_uri() + "/", dark=bool(rules)) as tab:
        for path in kinds(real):
            tab.open(path)
            found += tab.axe(*rules)
    assert found == []


def test_each_kind_of_page_fits_into_a_narrow_window(chromium: Browser, site: Path) -> None:
    found = []
    with visit(chromium, site.as_uri() + "/", width=NARROW) as tab:
        for path in kinds(site):
            tab.open(path)
            found += tab.overflow()
    assert found == []


def test_text_that_means_harm_is_read_as_text(chromium: Browser, harmful: Path) -> None:
    with visit(chromium, harmful.as_uri() + "/") as tab:
        for path in kinds(harmful):
            page = tab.open(path)
            assert hostile.SEEN in page.locator("html").inner_text() + page.title(), path
            assert "\u202e" not in page.content(), path
            for details in page.locator("details").all():
                details.evaluate("(node) => { node.open = true; }")
            assert page.evaluate("window.pwned") is None, path
            assert page.locator("img").count() == 0 or path == "index.html" or path.startswith("method"), path


def test_policy_forbids_what_a_page_does_not_bring(chromium: Browser, real: Path) -> None:
    """That the text of the page is escaped is one wall; this is the other: what got in would not run."""
    refused = """() => new Promise((resolve) => {
      const said = (event) => resolve(event.effectiveDirective);
      document.addEventListener("securitypolicyviolation", said, { once: true });
      const script = document.createElement("script");
      script.textContent = "window.pwned = 1";
      document.head.append(script);
    })"""
    context = chromium.new_context()
    page = context.new_page()
    for path in kinds(real):
        page.goto(f"{real.as_uri()}/{path}")
        assert page.evaluate(refused) == "script-src-elem", path
        assert page.evaluate("window.pwned") is None
    context.close()


def test_every_page_can_be_walked_with_the_keyboard(chromium: Browser, real: Path) -> None:
    """From the top: the first stop leads past the navigation, and every stop is seen and has a name."""
    with visit(chromium, real.as_uri() + "/") as tab:
        for path in kinds(real):
            if path.startswith("embed/"):
                continue
            page = tab.open(path)
            page.keyboard.press("Tab")
            assert _focused(page)["text"] == "Skip to content", path
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.id") == "content", path
            seen = set()
            for _ in range(300):
                page.keyboard.press("Tab")
                stop = _focused(page)
                if stop["tag"] == "BODY" or stop["path"] in seen:
                    break
                seen.add(stop["path"])
                assert stop["text"].strip(), f"{path}: {stop}"
                assert stop["outlined"], f"{path}: {stop}"


def _focused(page: Page) -> dict[str, str]:
    found: dict[str, str] = page.evaluate(
        """() => {
          const node = document.activeElement, style = getComputedStyle(node), place = [];
          for (let n = node; n.parentElement; n = n.parentElement)
            place.unshift([...n.parentElement.children].indexOf(n));
          const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
          const label = node.getAttribute("aria-label") || node.labels?.[0]?.innerText;
          const text = label || node.innerText || node.title || node.textContent;
          return { tag: node.tagName, path: place.join("/"), text, outlined };
        }"""
    )
    return found


class _Below(SimpleHTTPRequestHandler):
    """Serves a folder below /some/path/, and nothing else."""

    def translate_path(self, path: str) -> str:
        inside = path.removeprefix("/some/path")
        return super().translate_path(inside if inside != path else "/not-there")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(real: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Below, directory=str(real))) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{found.server_port}/some/path/"
        found.shutdown()


def test_works_below_any_address(chromium: Browser, server: str, real: Path) -> None:
    with visit(chromium, server) as tab:
        for path in kinds(real):
            tab.open(path)
        tab.open("trend/fastapi.html#level=10").wait_for_selector("#chart canvas")


def test_without_script_every_page_has_its_content(chromium: Browser, real: Path) -> None:
    with visit(chromium, real.as_uri() + "/", script=False) as tab:
        for path in kinds(real):
            page = tab.open(path)
            text = page.locator("body").inner_text()
            assert len(text) > 200 or path.startswith("embed/"), path
            assert "Loading" not in text, path


def test_walk_from_the_overview(chromium: Browser, real: Path) -> None:
    """What a reader does: overview, trend, a run, its commit, the comparison, changes, method, and back."""
    with visit(chromium, real.as_uri() + "/") as tab:
        page = tab.open("index.html")
        _follow(tab, page.get_by_role("navigation", name="Main").get_by_role("link", name="Trends"), "trend/")
        _follow(tab, page.locator("#backends").get_by_role("link", name="Django ASGI"), "trend/django_asgi.html")
        page.locator("#chart").focus()
        page.keyboard.press("End")
        _follow(tab, page.locator("#readout a").last, "run/")
        _follow(tab, page.locator("main a[href*='commit/']:not([href^='http'])").first, "commit/")
        _follow(tab, page.get_by_role("navigation", name="Main").get_by_role("link", name="Compare"), "compare.html")
        _follow(tab, page.get_by_role("navigation", name="Main").get_by_role("link", name="Changes"), "changes.html")
        _follow(tab, page.get_by_role("navigation", name="Main").get_by_role("link", name="Method"), "method.html")
        _follow(
            tab, page.get_by_role("navigation", name="Breadcrumb").get_by_role("link", name="Overview"), "index.html"
        )


def _follow(tab: Visit, link: Locator, to: str) -> None:
    link.click()
    tab.page.wait_for_url(f"**/{to}*")
