"""HTML as tests ask about it: what it shows, where it leads, and whether anything in it could run."""

from __future__ import annotations

import posixpath
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

VOID = {"meta", "link", "br", "img", "input", "hr"}
LET_OUT = {
    "td": {"td", "th"},
    "th": {"td", "th"},
    "tr": {"td", "th", "tr"},
    "thead": {"td", "th", "tr"},
    "tbody": {"td", "th", "tr"},
}
"""By what begins or ends: elements which that ends, too, where their end tags are left out."""


class Document(HTMLParser):
    """A page. ``text``: all that is shown; ``links``: values of href and src; ``tables`` by caption, each a list of
    rows of cells; ``inline``: what could run or be styled by itself. Raises AssertionError where elements are not
    closed in the order in which they were opened; cells and rows of tables need no end tags.
    """

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.links: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [value for name in ("href", "src") if (value := found.get(name))]
        self.ids += [value for value in [found.get("id")] if value]
        self.inline += [name for name in found if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in found):
            self.inline.append(tag)
        self._end(LET_OUT.get(tag, set()))
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def _end(self, let_out: set[str]) -> None:
        while self._open and self._open[-1] in let_out:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        self._end(LET_OUT.get(tag, set()) - {tag})
        assert self._open.pop() == tag
        if tag == "table":
            self.tables[self._caption.strip()] = [[" ".join(cell.split()) for cell in row] for row in self._rows]

    def handle_data(self, data: str) -> None:
        self.text += data
        if "caption" in self._open:
            self._caption += data
        elif self._rows and ("td" in self._open or "th" in self._open):
            self._rows[-1][-1] += data

    def targets(self, path: str) -> set[str]:
        """The files of the site that a page at ``path`` leads to."""
        local = (urlsplit(link).path for link in self.links if "://" not in link)
        return {posixpath.normpath(posixpath.join(posixpath.dirname(path), unquote(link))) for link in local if link}


def check(html: str) -> Document:
    """The page; nothing in it may run by itself or come from elsewhere, and no id may occur twice."""
    found = Document(html)
    assert found.inline == []
    assert len(found.ids) == len(set(found.ids))
    return found
