"""Apache Otava's CSV."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given

from scripts.exchange.collection import by_environment, from_runs, points, to_iso
from scripts.exchange.files import Origin
from scripts.exchange.model import Collection
from scripts.exchange.otava import CONFIGURATION, decode, encode
from scripts.model import Direction, PipelineError
from tests.exchange.strategies import collections, times_ms
from tests.factories import make_run

SAMPLE = b"""time,commit,branch,metric1,metric2,note
2026.01.01 3:00:00 +0100,aaa0,main,154023,10.43,first
2026.01.02 3:00:00 +0100,aaa1,main,138455,1e1,"a, b"
"""


def test_a_table_is_understood() -> None:
    made = decode({"local_sample.csv": SAMPLE}, Origin(direction=Direction.LOWER))
    (suite,) = made.suites
    assert suite.name == "local_sample"
    first, second = suite.snapshots
    assert to_iso(first.time_ms or 0) == "2026-01-01T02:00:00.000+00:00"
    assert (second.commit, second.extra) == ("aaa1", {"branch": "main", "note": "a, b"})
    assert [(m.benchmark, m.value, m.direction) for m in second.measurements] == [
        ("metric1", 138455, Direction.LOWER),
        ("metric2", 10.0, Direction.LOWER),
    ]


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2026-01-01T02:00:00Z", "2026-01-01T02:00:00.000+00:00"),
        ("2026-01-01 02:00:00", "2026-01-01T02:00:00.000+00:00"),
        ("2026-01-01 03:00:00 +0100", "2026-01-01T02:00:00.000+00:00"),
        ("1767232800", "2026-01-01T02:00:00.000+00:00"),
        ("2026-01-01", "2026-01-01T00:00:00.000+00:00"),
    ],
)
def test_times_are_understood(cell: str, moment: str) -> None:
    made = decode({"t.csv": f"time,m\n{cell},1\n".encode()}, Origin())
    assert to_iso(made.suites[0].snapshots[0].time_ms or 0) == moment


def test_the_history_goes_out_as_tests_without_empty_cells() -> None:
    runs = [make_run(1, levels=(10, 50)), make_run(2, levels=(10,)), make_run(3, levels=(10, 50))]
    files = encode(from_runs(runs))
    tests = json.loads(files[CONFIGURATION])["tests"]
    assert len(tests) == 2 * 4
    for test in tests.values():
        rows = list(csv.DictReader(io.StringIO(files[test["file"]].decode())))
        assert len(rows) in (2, 3)
        for row in rows:
            assert all(float(row[metric["column"]]) > 0 for metric in test["metrics"].values())
    whole = next(test for name, test in tests.items() if name.startswith("fastapi on ") and "part" not in name)
    assert whole["metrics"]["throughput_rps at 10 users"]["direction"] == 1
    assert whole["metrics"]["latency_p50_ms at 10 users"]["direction"] == -1


@given(collections(extras=False, bounds=False, times=times_ms))
def test_what_goes_out_comes_in_the_same(made: Collection) -> None:
    """All but the suite's name, which says which part it is; a metric has one direction and unit, as in Otava."""

    def known(suites: Collection) -> list[str]:
        return sorted(
            repr((p.commit, p.time_ms, p.benchmark, float(p.value or 0)))
            for suite in by_environment(suites)
            for p in points(msgspec.structs.replace(suites, suites=(suite,)))
        )

    if made.suites:
        assert known(decode(encode(made), Origin())) == known(made)


@given(collections(extras=False, bounds=False, times=times_ms))
def test_directions_and_units_come_back(made: Collection) -> None:
    once = [msgspec.structs.replace(s, snapshots=s.snapshots[:1]) for s in made.suites]
    made = msgspec.structs.replace(made, suites=tuple(once))

    def known(collection: Collection) -> list[str]:
        return sorted(repr((p.benchmark, p.direction, p.unit)) for p in points(collection))

    if made.suites:
        assert known(decode(encode(made), Origin())) == known(made)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no CSV file found"),
        ({"a.csv": b""}, r"a\.csv: is empty"),
        ({"a.csv": b"time,m\n1,2,3\n"}, r"a\.csv: row 2 has 3 cells instead of 2"),
        ({"a.csv": b"time,m\nyesterday,2\n"}, r"a\.csv: row 2: 'yesterday' is not a time"),
        ({"a.csv": b"time,m\n2026-01-01,x\n"}, r"a\.csv: has no column of numbers"),
        ({"otava.yaml": b"tests:\n  a: b\n", "a.csv": SAMPLE}, r"otava\.yaml: tests: a: expected settings"),
    ],
)
def test_what_is_wrong_is_named(files: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        decode(files, Origin())
