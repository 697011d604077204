"""The feed of changes (Atom, RFC 4287). Pure."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from scripts import words
from scripts.escape import plain
from scripts.history.changes import Change
from scripts.history.text import notes_on, size, what
from scripts.pages.catalog import Catalog
from scripts.pages.shell import Shell

PATH = "feed.xml"
ATOM = "http://www.w3.org/2005/Atom"
MOST = 50
_NAMES = uuid.uuid5(uuid.NAMESPACE_OID, "changes of backend-benchmark")


def render(catalog: Catalog, shell: Shell) -> bytes:
    """The newest changes, newest first. Links are relative to the feed, as the site's address is not known here.

    An entry is updated when the run started at which the change was seen; the feed, when its newest entry was.
    """
    feed = Element("feed", {"xmlns": ATOM})
    _text(feed, "title", f"{shell.title}: changes")
    _text(feed, "id", uuid.uuid5(_NAMES, shell.repository or shell.title).urn)
    SubElement(feed, "link", {"rel": "self", "href": PATH})
    SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": "changes.html"})
    SubElement(SubElement(feed, "author"), "name").text = plain(shell.title)
    newest = sorted(catalog.all_changes, key=lambda change: (change.after.run, change.id), reverse=True)[:MOST]
    seen = [_seen(change, catalog) for change in newest] or [card.time for card in catalog.cards[-1:]] or [0]
    _text(feed, "updated", _time(max(seen)))
    for change in newest:
        feed.append(_entry(change, catalog, shell))
    indent(feed)
    written: str = tostring(feed, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{written}\n'.encode()


def _entry(change: Change, catalog: Catalog, shell: Shell) -> Element:
    lead = change.shown[0]
    names = "all backends" if len(change.backends) > 1 else catalog.labels.get(change.backends[0], change.backends[0])
    effect, interval = size(lead)
    entry = Element("entry")
    _text(entry, "title", f"{names}: {what(lead)} {'better' if lead.better else 'worse'}, {effect}")
    _text(entry, "id", uuid.uuid5(_NAMES, f"{shell.repository} {change.id}").urn)
    _text(entry, "updated", _time(_seen(change, catalog)))
    SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": f"changes.html#{change.id}"})
    SubElement(entry, "category", {"term": change.cause.value})
    known = ["Known and wanted."] if change.accepted else ["Somebody has to look at it."] if change.alert else []
    facts = [
        f"{what(lead)}: {effect} ({interval}), confidence {words.sure(change.confidence)}.",
        *known,
        *notes_on(change),
    ]
    _text(entry, "summary", "\n".join(plain(line) for line in facts), lines=True)
    return entry


def _seen(change: Change, catalog: Catalog) -> int:
    card = catalog.by_id.get(change.after.run)
    return card.time if card else 0


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _text(parent: Element, name: str, text: str, *, lines: bool = False) -> None:
    SubElement(parent, name).text = text if lines else plain(text)
