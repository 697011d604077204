"""Plain CSV and Parquet: one row for each number, for spreadsheets, pandas and databases.

Columns: suite, snapshot (counts within a suite), environment, commit, time (UTC), benchmark, value, unit, direction
(``higher is better``, ``lower is better`` or empty), lower, upper, and as JSON what else a source said of the number
(extra) and of the snapshot (snapshot_extra).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from scripts.exchange.collection import Point, from_points, points, to_iso, to_ms
from scripts.exchange.files import Files, Origin, only, wrong
from scripts.model import Collection, Direction

CSV = "csv"
PARQUET = "parquet"
COLUMNS = ("suite", "snapshot", "environment", "commit", "time", "benchmark", "value", "unit", "direction", "lower",
           "upper", "extra", "snapshot_extra")  # fmt: skip
NUMBERS = ("value", "lower", "upper")


def encode_csv(collection: Collection) -> Files:
    """``series.csv``: UTF-8, commas, quotes where needed (RFC 4180); a number that is not known is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for point in points(collection):
        writer.writerow(["" if cell is None else cell for cell in _cells(point)])
    return {"series.csv": text.getvalue().encode()}


def decode_csv(files: Files, _origin: Origin) -> Collection:
    """The inverse of `encode_csv`; only suite, benchmark and value have to be there."""
    name, data = only(files)
    try:
        rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise wrong(name, f"not CSV in UTF-8: {error}", "save it as UTF-8 with commas") from error
    return _collect(name, rows, CSV)


def encode_parquet(collection: Collection) -> Files:
    """``series.parquet``: the same columns, time as a timestamp, numbers as 64-bit floats, null where not known."""
    import pyarrow as pa  # here, since it takes long to import and nothing else needs it
    from pyarrow import parquet

    rows = [_cells(point) for point in points(collection)]
    types = {"snapshot": pa.int64(), "time": pa.timestamp("ms", tz="UTC"), **dict.fromkeys(NUMBERS, pa.float64())}
    arrays = []
    for index, column in enumerate(COLUMNS):
        cells = [row[index] for row in rows]
        if column == "time":
            cells = [None if point.time_ms is None else point.time_ms for point in points(collection)]
        arrays.append(pa.array(cells, type=types.get(column, pa.string())))
    sink = io.BytesIO()
    parquet.write_table(pa.table(arrays, names=list(COLUMNS)), sink)
    return {"series.parquet": sink.getvalue()}


def decode_parquet(files: Files, _origin: Origin) -> Collection:
    """The inverse of `encode_parquet`."""
    import pyarrow as pa
    from pyarrow import parquet

    name, data = only(files)
    try:
        rows = parquet.read_table(io.BytesIO(data)).to_pylist()
    except pa.ArrowException as error:
        raise wrong(name, f"not a Parquet file: {error}", "give the file as it was written") from error
    return _collect(name, rows, PARQUET)


def _cells(point: Point) -> list[Any]:
    """The cells of a row, in the order of COLUMNS; None where nothing is known."""
    return [
        point.suite,
        point.snapshot,
        point.environment,
        point.commit,
        None if point.time_ms is None else to_iso(point.time_ms),
        point.benchmark,
        point.value,
        point.unit,
        point.direction.value if point.direction else None,
        point.lower,
        point.upper,
        _json(point.extra),
        _json(point.snapshot_extra),
    ]


def _collect(name: str, rows: Sequence[dict[str, Any]], format: str) -> Collection:
    missing = {"suite", "benchmark", "value"} - (rows[0].keys() if rows else set())
    if missing:
        raise wrong(name, f"lacks the column {sorted(missing)[0]!r}, or has no rows", f"columns: {', '.join(COLUMNS)}")
    found = []
    for number, row in enumerate(rows):
        try:
            found.append(_point(row, number))
        except (ValueError, TypeError) as error:
            raise wrong(name, f"row {number + 1}: {error}", f"columns: {', '.join(COLUMNS)}") from error
    return from_points(found, format)


def _point(row: dict[str, Any], number: int) -> Point:
    """A row as a point. Raises ValueError or TypeError for a cell that is not what it should be."""

    def cell(column: str) -> Any:
        value = row.get(column)
        return None if value == "" else value

    time = cell("time")
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    direction = cell("direction")
    numbers = {column: cell(column) for column in NUMBERS}
    snapshot = cell("snapshot")
    return Point(
        suite=cell("suite") or "",
        snapshot=number if snapshot is None else int(snapshot),
        environment=cell("environment") or "",
        commit=cell("commit") or "",
        time_ms=None if moment is None else to_ms(moment),
        benchmark=cell("benchmark") or "",
        unit=cell("unit"),
        direction=None if direction is None else Direction(direction),
        extra=json.loads(cell("extra") or "{}"),
        snapshot_extra=json.loads(cell("snapshot_extra") or "{}"),
        **{column: None if value is None else float(value) for column, value in numbers.items()},
    )


def _json(extra: dict[str, object]) -> str | None:
    return json.dumps(extra, ensure_ascii=False) if extra else None
