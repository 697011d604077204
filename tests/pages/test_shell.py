"""The frame of a page: links that work from anywhere, nothing that runs by itself, and times that people can read."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.pages.shell import CSP, Page, Shell, day, moment, parse_time, url
from tests.catalogs import SHELL
from tests.documents import check

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/", exclude_categories=["Cs"]), min_size=1).filter(
    lambda name: name not in (".", "..")
)
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


@given(PATHS, PATHS)
def test_a_link_leads_where_it_says(origin: str, target: str) -> None:
    link = urlsplit(url(origin, target))
    assert (link.scheme, link.netloc, link.query, link.fragment) == ("", "", "", "")
    assert posixpath.normpath(posixpath.join(posixpath.dirname(origin), unquote(link.path))) == target


def test_links_are_relative() -> None:
    assert url("run/a.html", "index.html") == "../index.html"
    assert url("index.html", "run/a.html") == "run/a.html"
    assert url("run/a.html", "run/b.html", "x y") == "b.html#x%20y"
    assert url("changes.html", "trend/fastapi.html", "metric=a&level=all") == "trend/fastapi.html#metric=a&level=all"


def test_nothing_inline_and_nothing_remote_may_load() -> None:
    rules = dict(rule.split(" ", 1) for rule in CSP.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == "'self'"


@pytest.mark.parametrize("path", ["overview_empty.html"])
def test_the_frame(path: str) -> None:
    page = Page(path="deep/down/x.html", title="<b>T</b>", section="changes", crumbs=(("run/a.html", "Run a"),))
    html = SHELL.render(path, page, damaged=())
    found = check(html)
    assert {"index.html", "changes.html", "method.html", "compare.html", "trend/fastapi.html", "run/a.html"} <= (
        found.targets(page.path)
    )
    assert {"static/site.css", "static/base.css", "static/charts.css", "feed.xml"} <= found.targets(page.path)
    assert "<b>T</b>" in found.text
    assert html.count('aria-current="true"') == 1
    assert '<html lang="en">' in html


def test_without_backends_there_is_no_trend() -> None:
    assert "trend" not in {name for name, _, _ in Shell(title="T", repository="", backends={}).sections()}


def test_addresses_of_the_repository() -> None:
    assert SHELL.commit_url("abc") == "https://example.org/bench/commit/abc"
    assert SHELL.diff_url("a", "b/../c") == "https://example.org/bench/compare/a...b%2F..%2Fc"
    nowhere = Shell(title="T", repository="", backends={})
    assert (nowhere.commit_url("abc"), nowhere.diff_url("a", "b")) == ("", "")
    assert SHELL.diff_url("", "b") == ""


def test_times() -> None:
    assert moment("2026-11-04T13:04:50Z") == "4 Nov 2026, 13:04 UTC"
    assert moment("2026-11-04T01:04:50+02:00") == "3 Nov 2026, 23:04 UTC"
    assert day("2026-11-04T13:04:50") == "4 Nov 2026"
    assert (moment("soon"), parse_time("soon")) == ("soon", None)
