"""Which commits a line of a trend may join: two between which none was left out that could have changed the backend.

Pure.
"""

from __future__ import annotations

from scripts.pages.catalog import Catalog

Step = tuple[int, bool]
"""How many commits that can change a backend lie before a commit, and whether it is one itself."""


def steps(catalog: Catalog, backend: str) -> list[Step]:
    """Of every measured commit, in their order (`Catalog.order`).

    A commit that is not of the line counts for nothing; without a line every measured commit counts.
    """
    if not catalog.line:
        return [(place, True) for place in range(len(catalog.order))]
    known: dict[str, Step] = {}
    count = 0
    for revision in catalog.line:
        own = backend in revision.reaches
        known[revision.sha] = (count, own)
        count += own
    found: list[Step] = []
    last = 0
    for sha in catalog.order:
        step = known.get(sha, (last, False))
        last = sum(step)
        found.append(step)
    return found


def skipped(before: Step, after: Step) -> bool:
    """Whether commits between two were left out."""
    return after[0] > sum(before)
