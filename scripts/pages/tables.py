"""Everything as tables, one for each year: a row for each run, backend, level and arm, as CSV and as Parquet. Pure."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from scripts.pages.catalog import METRIC_NAMES, RunCard
from scripts.pages.published import Array, numbers_of, rounded

FACTS = ("run", "started", "commit", "baseline", "profile", "environment", "backend", "level", "arm")
HEADER = (",".join((*FACTS, *METRIC_NAMES)) + "\n").encode()
ARMS = ("candidate", "baseline")


def csv_gz(cards: Iterable[RunCard]) -> bytes:
    """A table of some runs: UTF-8, as RFC 4180 has it but for line ends, compressed by gzip (RFC 1952).

    Rows come by run, then backend, level and arm; a cell is empty where there is no number. ``environment`` is the
    fingerprint.
    """
    return gzip.compress(HEADER + b"".join(map(_rows, cards)), 6, mtime=0)


def _rows(card: RunCard) -> bytes:
    """The rows of one run. The numbers are written by msgspec, which is ten times as fast as `csv`."""
    levels, arms = len(card.levels), len(ARMS) if card.baseline else 1
    shape = (len(card.backends), 1 + levels, len(METRIC_NAMES), card.columns)
    numbers = np.frombuffer(card.numbers, dtype="<f4").reshape(shape)[:, 1:, :, :arms]
    rows = rounded(np.moveaxis(numbers, 3, 2).reshape(-1, len(METRIC_NAMES))).tolist()
    written = msgspec.json.encode(rows)[2:-2].replace(b"null", b"").split(b"],[")
    started = datetime.fromtimestamp(card.time, UTC).isoformat()
    baseline = card.baseline.sha if card.baseline else ""
    facts = _quoted((card.id, started, card.commit.sha, baseline, card.profile, card.fingerprint))
    names = [
        b"%b,%b,%d,%b," % (facts, backend, level, arm.encode())
        for backend in (_quoted((name,)) for name in card.backends)
        for level in card.levels
        for arm in ARMS[:arms]
    ]
    return b"".join(b"%b%b\n" % row for row in zip(names, written, strict=True)) if names else b""


def _quoted(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue().encode(errors="replace")


def parquet(cards: Sequence[RunCard], backends: Sequence[str]) -> bytes:
    """The same columns, numbers as 32-bit floats, names as dictionaries. Rows come by backend, level and arm, then by
    run; what a run has not is left out.
    """
    import pyarrow as pa  # here, as few builds have a new table to write
    from pyarrow import parquet as pq

    from scripts.pages import arrow

    rows = [_part(cards, place, backend, arm) for place, backend in enumerate(backends) for arm in range(len(ARMS))]
    columns = {name: np.concatenate([part[name] for part in rows]) for name in rows[0]}
    runs = columns.pop("run").astype(np.int32)

    def of_runs(text: Callable[[RunCard], str]) -> Any:
        names = dict.fromkeys(text(card) for card in cards)
        places = {name: place for place, name in enumerate(names)}
        each = np.array([places[text(card)] for card in cards], dtype=np.int32)
        return arrow.names(each[runs], names)

    started = np.array([card.time for card in cards], dtype=np.int64)
    table = {
        "run": of_runs(lambda card: card.id),
        "started": arrow.numbers(started[runs], pa.timestamp("s", "UTC")),
        "commit": of_runs(lambda card: card.commit.sha),
        "baseline": of_runs(lambda card: card.baseline.sha if card.baseline else ""),
        "profile": of_runs(lambda card: card.profile),
        "environment": of_runs(lambda card: card.fingerprint),
        "backend": arrow.names(columns.pop("backend"), backends),
        "level": arrow.numbers(columns.pop("level")),
        "arm": arrow.names(columns.pop("arm"), ARMS),
        **{name: arrow.numbers(columns[name]) for name in METRIC_NAMES},
    }
    buffer = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays([*table.values()], [*table]),
        buffer,
        use_dictionary=list(FACTS),
        compression="snappy",
        write_statistics=["run", "started"],
    )
    return buffer.getvalue()


def _part(cards: Sequence[RunCard], place: int, backend: str, arm: int) -> dict[str, Array]:
    """The rows of one backend and arm, level after level."""
    every = sorted({level for card in cards for level in card.levels})
    table = numbers_of(cards, backend, every)[:, 1:, :, arm]
    levels, runs = np.nonzero(np.isfinite(table).any(axis=2).T)
    numbers = rounded(table[runs, levels]).astype(np.float32)
    return {
        "run": runs,
        "backend": np.full(len(runs), place, dtype=np.int8),
        "level": np.array(every, dtype=np.int32)[levels],
        "arm": np.full(len(runs), arm, dtype=np.int8),
        **{name: numbers[:, metric] for metric, name in enumerate(METRIC_NAMES)},
    }
