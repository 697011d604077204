"""Real Chromium on a site that was built: what is seen, what was asked for, and everything that went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright, Request

from scripts.stack.packages import find_program
from scripts.steps import build_site, detect

SERIOUS = ("serious", "critical")
NARROW, WIDE = 360, 1280
REPOSITORY = "https://git.example.org/bench"


def build(history: Path, out: Path, *more: str) -> Path:
    """The site of a history, by the step that everybody uses."""
    arguments = ["--history", str(history), "--output", str(out), "--repository", REPOSITORY, *more]
    assert build_site.main(arguments) == 0
    return out


def build_with_changes(history: Path, folder: Path, *more: str) -> Path:
    """The site of a history in a folder of its own, with what `detect` finds in it."""
    changes = folder / "changes.json"
    detect.main(["--history", str(history), "--output", str(changes)])
    return build(history, folder / "site", "--changes", str(changes), *more)


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium. Its sandbox cannot be had as root."""
    program = find_program("chromium", "chromium-browser")
    return playwright.chromium.launch(executable_path=program, args=["--disable-gpu"])


class Visit:
    """A tab on a site at ``base``, an address that ends in a slash, and the ``problems`` that it had."""

    def __init__(self, page: Page, base: str, script: bool = True) -> None:
        self.page, self.base, self.script = page, base, script
        self.problems: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self._problem("console", f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self._problem("error", str(error)))
        page.on("requestfailed", self._failed)
        page.on("dialog", lambda dialog: self._problem("dialog", dialog.message))
        page.on("request", lambda request: self._request(request.url))

    def _failed(self, request: Request) -> None:
        """A request that the next page cut short is none: the test has seen enough of the page that asked."""
        if request.failure != "net::ERR_ABORTED":
            self._problem("failed", f"{request.url} {request.failure}")

    def _problem(self, kind: str, text: str) -> None:
        self.problems.append(f"{self.page.url.removeprefix(self.base)}: {kind}: {text}")

    def _request(self, url: str) -> None:
        self.requests.append(url)
        if not url.startswith((self.base, "data:")):
            self._problem("request off the site", url)

    def open(self, path: str) -> Page:
        """Go to a page and wait until its scripts have done what they do by themselves."""
        self.page.goto(self.base + path)
        if self.script:
            self.page.wait_for_function("!document.querySelector('#state')?.textContent.includes('Loading')")
        return self.page

    def axe(self, *rules: str) -> list[str]:
        """What axe-core finds that is serious or worse, by all rules or these. It may not fetch style sheets."""
        from axe_playwright_python.sync_playwright import Axe  # here, as perf has Chromium, but not axe

        only = {"runOnly": {"type": "rule", "values": list(rules)}} if rules else {}
        found = Axe().run(self.page, options={"preload": False, **only}).response["violations"]
        return [
            f"{self.page.url.removeprefix(self.base)}: {entry['id']}: {entry['nodes'][0]['html'][:120]}"
            for entry in found
            if entry["impact"] in SERIOUS
        ]

    def overflow(self) -> list[str]:
        """Whether the page is wider than its window."""
        wide, window = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        return [f"{self.page.url.removeprefix(self.base)}: {wide} px in {window}"] if wide > window else []


@contextmanager
def visit(
    browser: Browser, base: str, *, width: int = WIDE, dark: bool = False, script: bool = True, touch: bool = False
) -> Iterator[Visit]:
    """A fresh tab; what went wrong in it fails the test when it is closed."""
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if dark else "light",
        java_script_enabled=script,
        reduced_motion="reduce",
        has_touch=touch,
    )
    try:
        found = Visit(context.new_page(), base, script)
        yield found
        assert not found.problems, "\n".join(found.problems)
    finally:
        context.close()
