"""Other tools' formats, in and out: pure functions between files' contents and a `Collection`.

*Collection*: series from elsewhere, or this history as others read it. *Suite*: snapshots of the same benchmarks.
*Snapshot*: what was measured at one commit. A format is one module, which may be changed without looking elsewhere; a
new one is a row of `FORMATS` or `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from scripts.exchange import asv, bencher, github_action, harnesses, k6_summary, otava, tables
from scripts.exchange.files import Files, Origin
from scripts.exchange.model import Collection


class Format(NamedTuple):
    """A format: what it is, and its two directions."""

    about: str
    decode: Callable[[Files, Origin], Collection]
    encode: Callable[[Collection], Files]


FORMATS: Mapping[str, Format] = {
    github_action.STORE: Format(
        "github-action-benchmark's store, data.js", github_action.decode_store, github_action.encode_store
    ),
    github_action.INPUT: Format(
        "github-action-benchmark's input files: the newest numbers, one file for each direction",
        github_action.decode_input,
        github_action.encode_input,
    ),
    bencher.BENCHER: Format("Bencher Metric Format: the newest numbers", bencher.decode, bencher.encode),
    asv.ASV: Format("airspeed velocity's results folder", asv.decode, asv.encode),
    otava.OTAVA: Format("Apache Otava: CSV files and otava.yaml", otava.decode, otava.encode),
    tables.CSV: Format("a plain table: one row for each number", tables.decode_csv, tables.encode_csv),
    tables.PARQUET: Format("the same table as Parquet", tables.decode_parquet, tables.encode_parquet),
}


class Reader(NamedTuple):
    """A format that only comes in."""

    about: str
    decode: Callable[[Files, Origin], Collection]


READERS: Mapping[str, Format | Reader] = {
    **FORMATS,
    k6_summary.K6: Reader("k6's summaries: --summary-export, or handleSummary's data as JSON", k6_summary.decode),
    harnesses.HYPERFINE: Reader("hyperfine's --export-json", harnesses.decode_hyperfine),
    harnesses.PYTEST: Reader("pytest-benchmark's --benchmark-json", harnesses.decode_pytest),
    harnesses.JMH: Reader("JMH's -rf json", harnesses.decode_jmh),
    harnesses.LOCUST: Reader("Locust's --csv: the file that ends with _stats.csv", harnesses.decode_locust),
}
"""All that can come in."""


def describe(formats: Mapping[str, Format | Reader]) -> str:
    """A line for each format, for help texts."""
    return "\n".join(f"  {name:30} {format.about}" for name, format in formats.items())
