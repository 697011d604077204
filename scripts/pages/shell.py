"""The frame of every page: head, navigation, breadcrumbs, footer, and links that work below any address.

Pages are addressed by their paths in the site, ``run/<run id>.html``; `url` makes links of them. All links are relative
and name files, so that the site works from a folder, below a path, and from a web server.
"""

from __future__ import annotations

import posixpath
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any
from urllib.parse import quote

from scripts import words
from scripts.model import Struct
from scripts.report import sentences
from scripts.templates import environment

CSP = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
"""What a page may load: the site's own files, and nothing that stands in the page (CSP level 3, W3C)."""

STYLES = ("static/base.css", "static/charts.css", "static/site.css")

SECTIONS = {
    "overview": "Overview",
    "trend": "Trends",
    "runs": "Runs",
    "compare": "Compare",
    "changes": "Changes",
    "method": "Method",
}
"""The navigation: sections and what they are called."""


class Page(Struct):
    """What the frame needs to know of a page.

    ``path``: in the site. ``section``: the entry of the navigation that it belongs to (`SECTIONS`), empty for none.
    ``crumbs``: path and text of the pages above it, but for the overview. ``scripts``: paths of those it runs.
    """

    path: str
    title: str
    section: str = ""
    crumbs: tuple[tuple[str, str], ...] = ()
    scripts: tuple[str, ...] = ()
    description: str = ""


class Shell(Struct):
    """What all pages of one site share.

    ``repository``: address of the repository's pages, empty where there are none. ``backends``: labels by name.
    Nothing of it changes with one more run, so that most pages stay as they are.
    """

    title: str
    repository: str
    backends: dict[str, str]

    def render(self, template: str, page: Page, **context: Any) -> str:
        """A page from its template, which extends ``base.html``. ``link`` in it makes links from the page."""

        link = partial(url, page.path)
        frame = {"shell": self, "page": page, "link": link, "csp": CSP, "styles": STYLES, "sections": self.sections()}
        return environment().get_template(template).render(WORDS | frame | context) + "\n"

    def sections(self) -> tuple[tuple[str, str, str], ...]:
        """Name, path and text of each entry of the navigation; trends start with the first backend's."""
        paths = {name: f"{name}.html" for name in SECTIONS} | {"overview": "index.html"}
        paths["trend"] = f"trend/{next(iter(self.backends), '')}.html"
        return tuple((name, paths[name], text) for name, text in SECTIONS.items() if name != "trend" or self.backends)

    @property
    def places(self) -> dict[str, int]:
        """The place of each backend, which is the number of its colour and its marker on every page."""
        return {name: place for place, name in enumerate(self.backends)}

    def commit_url(self, sha: str) -> str:
        """Where the repository shows a commit; empty where there is no such place."""
        return f"{self.repository}/commit/{quote(sha, safe='')}" if self.repository and sha else ""

    def diff_url(self, before: str, after: str) -> str:
        """Where the repository shows what lies between two commits; empty where there is no such place."""
        if not (self.repository and before and after):
            return ""
        return f"{self.repository}/compare/{quote(before, safe='')}...{quote(after, safe='')}"


def url(origin: str, target: str, fragment: str = "") -> str:
    """The relative link from one page of the site to another: ``url("run/a.html", "index.html") == "../index.html"``.

    Both are paths in the site. What a path may not contain as it is, is quoted.
    """
    path = _relative(origin.rpartition("/")[0] or ".", target)
    return f"{path}#{quote(fragment, safe='=&')}" if fragment else path


@lru_cache(maxsize=4096)
def _relative(folder: str, target: str) -> str:
    return quote(posixpath.relpath(target, folder), safe="/")


def parse_time(iso: str) -> datetime | None:
    """A time of ISO 8601 in UTC; None for what is none (it is text from a file)."""
    try:
        found = datetime.fromisoformat(iso)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def moment(iso: str) -> str:
    """``24 Nov 2026, 13:04 UTC``"""
    found = parse_time(iso)
    return f"{found.day} {found:%b %Y, %H:%M} UTC" if found else iso


def day(iso: str) -> str:
    """``24 Nov 2026``"""
    found = parse_time(iso)
    return f"{found.day} {found:%b %Y}" if found else iso


WORDS = {
    "moment": moment,
    "day": day,
    "figure": words.figure,
    "percent": words.percent,
    "interval": sentences.interval,
    "count": words.count,
    "listing": words.listing,
}
"""What every template can call."""
