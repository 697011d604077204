"""The one Jinja environment: of the report and of the site's pages. Whatever it shows is text that others wrote."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from scripts.escape import plain
from scripts.model import Struct

SITE = Path(__file__).parent.parent / "site"

Row = tuple[str, ...]


class Table(Struct):
    """Text of a table; the first column heads the rows."""

    header: Row
    rows: tuple[Row, ...]


class Picture(Struct):
    """A figure as inline SVG (``charts.draw``, as Markup), with its numbers as a table."""

    name: str
    title: str
    svg: str
    table: Table


@cache
def environment() -> Environment:
    """Templates beneath site/templates/: escaped for HTML, made plain, and an error where a name is not known."""
    return Environment(
        loader=FileSystemLoader(SITE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: plain(value) if type(value) is str else value,  # what is Markup is ours
    )
