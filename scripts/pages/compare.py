"""Any two runs or commits side by side: the page of which static/compare.js makes the comparison. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from scripts.model import Struct, Workload
from scripts.pages.catalog import Catalog, RunCard
from scripts.pages.shell import Page, Shell

SUGGESTED = 12
SCRIPTS = ("static/data.js", "static/stats.js", "static/compare_list.js", "static/compare.js")


class Pair(Struct):
    """A run, and the newest one before it that it can be compared with."""

    before: RunCard
    after: RunCard


def render(catalog: Catalog, shell: Shell) -> str:
    """The page ``compare.html``."""
    page = Page(
        path="compare.html",
        title="Compare two runs",
        section="compare",
        scripts=SCRIPTS if catalog.cards else (),
        description="Any two recorded runs or commits side by side, with the interval of every ratio.",
    )
    return shell.render("compare.html", page, runs=len(catalog.cards), pairs=tuple(suggestions(catalog)))


def suggestions(catalog: Catalog, most: int = SUGGESTED) -> Iterator[Pair]:
    """Runs with their predecessors of the same environment, work and levels, newest first."""
    newer: dict[tuple[str, Workload | None, tuple[int, ...], bool], RunCard] = {}
    found = 0
    for card in reversed(catalog.cards):
        key = (card.fingerprint, card.workload, card.levels, card.baseline is not None)
        after = newer.get(key)
        if after is not None:
            yield Pair(before=card, after=after)
            found += 1
            if found == most:
                return
        newer[key] = card
