"""Collections of any shape, and JSON as it occurs in other tools' files."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.model import Direction

text = st.text(st.characters(codec="utf-8"), max_size=12)
"""Any text, with line breaks, quotes, commas and control characters."""
names = st.text("abcxyz ÄÖ/()=,;'\"-_0189", min_size=1, max_size=12).map(str.strip).filter(bool)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
times_ms = st.integers(0, 4_000_000_000_000)
shas = st.text("0123456789abcdef", min_size=40, max_size=40)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(text, json_values, max_size=3)
none = st.none()


@st.composite
def measurements(draw: st.DrawFn, *, extras: bool = True, bounds: bool = True) -> Measurement:
    return Measurement(
        benchmark=draw(names),
        value=draw(numbers),
        unit=draw(none | names),
        direction=draw(none | st.sampled_from(Direction)),
        lower=draw(none | numbers) if bounds else None,
        upper=draw(none | numbers) if bounds else None,
        extra=draw(objects) if extras else {},
    )


@st.composite
def collections(
    draw: st.DrawFn,
    *,
    extras: bool = True,
    bounds: bool = True,
    environments: st.SearchStrategy[str] = text,
    commits: st.SearchStrategy[str] = shas,
    times: st.SearchStrategy[int | None] = none | times_ms,
) -> Collection:
    """Suites of snapshots, each with at least one measurement, whose names differ."""
    suites = []
    for name in draw(st.lists(names, max_size=3, unique=True)):
        snapshots = [
            Snapshot(
                commit=draw(commits),
                time_ms=draw(times),
                measurements=tuple(
                    draw(
                        st.lists(
                            measurements(extras=extras, bounds=bounds),
                            min_size=1,
                            max_size=3,
                            unique_by=lambda m: m.benchmark,
                        )
                    )
                ),
                environment=draw(environments),
                extra=draw(objects) if extras else {},
            )
            for _ in range(draw(st.integers(1, 3)))
        ]
        suites.append(Suite(name=name, snapshots=tuple(snapshots)))
    return Collection(format="run", suites=tuple(suites))
