"""Plain CSV and Parquet."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from hypothesis import given

from scripts.exchange.collection import from_runs, points
from scripts.exchange.files import Origin
from scripts.exchange.model import Collection
from scripts.exchange.tables import COLUMNS, decode_csv, decode_parquet, encode_csv, encode_parquet
from scripts.model import PipelineError
from tests.exchange.strategies import collections
from tests.factories import make_run


@given(collections())
def test_csv_goes_out_and_comes_in_the_same(made: Collection) -> None:
    if made.suites:
        assert decode_csv(encode_csv(made), Origin()).suites == made.suites


@given(collections())
def test_parquet_goes_out_and_comes_in_the_same(made: Collection) -> None:
    if made.suites:
        assert decode_parquet(encode_parquet(made), Origin()).suites == made.suites


def test_pandas_reads_both_alike() -> None:
    made = from_runs([make_run(seed, levels=(10, 50)) for seed in (1, 2)])
    from_csv = pd.read_csv(io.BytesIO(encode_csv(made)["series.csv"]), parse_dates=["time"])
    from_parquet = pd.read_parquet(io.BytesIO(encode_parquet(made)["series.parquet"]))
    assert list(from_csv.columns) == list(from_parquet.columns) == list(COLUMNS)
    assert len(from_csv) == len(list(points(made)))
    assert (from_csv["value"] == from_parquet["value"]).all()
    assert (from_csv["time"] == from_parquet["time"]).all()


def test_a_table_that_somebody_has_made_needs_three_columns() -> None:
    made = decode_csv({"mine.csv": b"\xef\xbb\xbfsuite,benchmark,value,commit\na,b,1.5,c1\na,b,2.5,c2\n"}, Origin())
    assert [(p.suite, p.benchmark, p.value, p.commit, p.time_ms) for p in points(made)] == [
        ("a", "b", 1.5, "c1", None),
        ("a", "b", 2.5, "c2", None),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "lacks the column"),
        (b"suite,benchmark\na,b\n", "lacks the column 'value'"),
        (b"suite,benchmark,value\na,b,x\n", "row 1: could not convert"),
        (b"suite,benchmark,value,time\na,b,1,yesterday\n", "row 1: Invalid isoformat"),
        (b"suite,benchmark,value,direction\na,b,1,up\n", "row 1: 'up' is not a valid"),
        (b"suite,benchmark,value,extra\na,b,1,{\n", "row 1: "),
        (b"\xff\xff", "not CSV in UTF-8"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, message: str) -> None:
    with pytest.raises(PipelineError, match=rf"mine\.csv: {message}"):
        decode_csv({"mine.csv": data}, Origin())


def test_what_is_no_parquet_is_named() -> None:
    with pytest.raises(PipelineError, match=r"mine\.parquet: not a Parquet file"):
        decode_parquet({"mine.parquet": b"PAR1 not really"}, Origin())
