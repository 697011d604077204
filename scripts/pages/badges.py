"""A badge for each backend: what it does today. Pure.

The JSON is an endpoint of shields.io (its page "Endpoint Badge"); the SVG is drawn here, without any other host.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

import msgspec

from scripts import words
from scripts.escape import plain
from scripts.pages.catalog import Catalog, RunCard

METRIC = "throughput_rps"
COLOURS: Mapping[str, str] = {"blue": "#1b6ac9", "orange": "#b35900", "lightgrey": "#5f6670"}
"""By shields.io's name: good, unequal work, and never measured. White text on each has a contrast of at least 4.5."""


def files(catalog: Catalog) -> dict[str, bytes]:
    """``badge/<backend>.json`` and ``.svg`` by path, of the newest run that has each backend."""
    found: dict[str, bytes] = {}
    for backend, label in catalog.labels.items():
        card = next((card for card in reversed(catalog.cards) if peak(card, backend) is not None), None)
        message, colour = says(card, backend)
        shown = {"schemaVersion": 1, "label": plain(label), "message": message, "color": colour}
        found[f"badge/{backend}.json"] = msgspec.json.encode(shown) + b"\n"
        found[f"badge/{backend}.svg"] = draw(plain(label), message, COLOURS[colour]).encode()
    return found


def says(card: RunCard | None, backend: str) -> tuple[str, str]:
    """Message and colour: ``52.4 requests/s at 40 users``."""
    if card is None or (best := peak(card, backend)) is None:
        return "not measured", "lightgrey"
    level, value = best
    message = f"{words.figure(value)} requests/s at {words.count(level, 'user')}"
    return (f"{message}, unequal work", "orange") if backend in card.unequal else (message, "blue")


def peak(card: RunCard, backend: str) -> tuple[int, float] | None:
    """The level of highest throughput, and that throughput."""
    values = [(value, level) for level in card.levels if (value := card.value(backend, METRIC, level)) is not None]
    return max(values)[::-1] if values else None


def draw(label: str, message: str, colour: str) -> str:
    """Two boxes with text; widths are estimates of those of a sans-serif of 11 px, to which texts are fitted."""
    left, right = (10 + round(6.2 * len(text)) for text in (label, message))
    name = quoteattr(f"{label}: {message}")
    boxes = ((0, left, "#3c434b", label), (left, right, colour, message))
    parts = [f'<rect x="{x}" width="{width}" height="20" fill="{fill}"/>' for x, width, fill, _ in boxes] + [
        f'<text x="{x + width / 2:g}" y="14" textLength="{width - 10}" lengthAdjust="spacingAndGlyphs">'
        f"{escape(text)}</text>"
        for x, width, _, text in boxes
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" aria-label={name}>'
        f"<title>{escape(f'{label}: {message}')}</title>"
        f'<clipPath id="round"><rect width="{left + right}" height="20" rx="3"/></clipPath>'
        f'<g clip-path="url(#round)" fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" '
        f'font-size="11">{"".join(parts)}</g></svg>\n'
    )
