"""Which commits lines of a trend join: by the commits that could have changed the backend, measured or not."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from scripts.model import METRICS
from scripts.pages import gaps, trend
from tests.catalogs import make_catalog
from tests.factories import make_history

RUNS = make_history(range(12), {}, levels=(10,))
THROUGHPUT = METRICS["throughput_rps"]


def lines(places: list[int], backend: str = "fastapi") -> tuple[list[int], int]:
    """Where runs of these commits stand, and in how many pieces the line is that joins them."""
    catalog = make_catalog([RUNS[place] for place in places])
    placed = trend.placed(catalog, backend, 30)
    return [one.x for one in placed], trend.picture(catalog, backend, THROUGHPUT, placed).svg.count(
        'class="line reactive'
    )


@pytest.mark.parametrize(
    ("measured", "places", "pieces"),
    [
        ([0, 1, 2, 3], [1, 2, 3, 4], 1),
        ([0, 1, 4, 5], [1, 2, 4, 5], 2),
        ([0, 1, 4, 5, 8, 9], [1, 2, 4, 5, 7, 8], 3),
        ([3, 2, 1, 0], [1, 2, 3, 4], 1),
    ],
)
def test_a_line_has_a_gap_where_a_commit_was_left_out(measured: list[int], places: list[int], pieces: int) -> None:
    assert lines(measured) == (places, pieces)


def test_a_commit_that_cannot_change_the_backend_leaves_no_gap() -> None:
    catalog = make_catalog([RUNS[place] for place in (0, 1, 4, 5)])
    line = tuple(
        msgspec.structs.replace(one, reaches=() if place in (2, 3) else one.reaches)
        for place, one in enumerate(catalog.line)
    )
    steps = gaps.steps(msgspec.structs.replace(catalog, line=line), "fastapi")
    assert not any(gaps.skipped(before, after) for before, after in itertools.pairwise(steps))


def test_without_a_line_every_measured_commit_counts_and_on_a_branch_none() -> None:
    catalog = make_catalog(RUNS[:3])
    assert gaps.steps(msgspec.structs.replace(catalog, line=()), "fastapi") == [(0, True), (1, True), (2, True)]
    outside = msgspec.structs.replace(catalog, line=catalog.line[:1] + catalog.line[2:3])
    assert gaps.steps(outside, "fastapi") == [(0, True), (1, False), (1, True)]
