"""Plain CSV and Parquet: one row for each number, for spreadsheets, pandas and databases.

Columns: suite, snapshot (counts within a suite), environment, commit, time (UTC), benchmark, value, unit, direction
(``higher is better``, ``lower is better`` or empty), lower, upper, and as JSON what else a source said of the number
(extra) and of the snapshot (snapshot_extra).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from scripts.exchange import units
from scripts.exchange.collection import Point, from_points, points, to_iso, to_ms
from scripts.exchange.files import Files, Origin, cell_number, decode_text, number, only, wrong
from scripts.exchange.model import Collection
from scripts.model import Direction

CSV = "csv"
PARQUET = "parquet"
COLUMNS = ("suite", "snapshot", "environment", "commit", "time", "benchmark", "value", "unit", "direction", "lower",
           "upper", "extra", "snapshot_extra")  # fmt: skip
NUMBERS = ("value", "lower", "upper")
LIMIT = 1_000_000_000
"""Bytes of a Parquet file's values: a file of some kB can hold terabytes."""
BATCH = 10_000
"""Rows."""


def encode_csv(collection: Collection) -> Files:
    """``series.csv``: UTF-8, commas, quotes where needed (RFC 4180); a number that is not known is an empty cell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for point in points(collection):
        writer.writerow(["" if cell is None else cell for cell in _cells(point)])
    return {"series.csv": text.getvalue().encode()}


def decode_csv(files: Files, origin: Origin) -> Collection:
    """The inverse of `encode_csv`; only suite, benchmark and value have to be there.

    Other columns are kept in ``extra``; rows of several branches are of several environments.
    """
    name, data = only(files)
    try:
        rows = list(csv.DictReader(io.StringIO(decode_text(name, data, "CSV"), newline="")))
    except csv.Error as error:
        raise wrong(name, f"not CSV: {error}", "save it as UTF-8 with commas") from error
    for place, row in enumerate(rows, 1):
        if None in row or None in row.values():
            raise wrong(name, f"row {place} has not as many cells as there are columns", "mend that row")
    return _collect(name, rows, CSV, origin)


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


def decode_parquet(files: Files, origin: Origin) -> Collection:
    """The inverse of `encode_parquet`, as `decode_csv`. Raises PipelineError for a damaged file, or one whose values
    would need more than `LIMIT`.
    """
    import pyarrow as pa

    name, data = only(files)
    try:
        rows = list(_rows(name, data))
    except (pa.ArrowException, OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise wrong(name, f"not a Parquet file: {error}", "give the file as it was written") from error
    return _collect(name, rows, PARQUET, origin)


def _rows(name: str, data: bytes) -> Iterator[dict[str, Any]]:
    """The rows, a batch at a time; text stays as it is stored, each only once, until its true size is known."""
    import pyarrow as pa
    from pyarrow import compute, parquet

    file = parquet.ParquetFile(io.BytesIO(data))
    size = sum(file.metadata.row_group(n).total_byte_size for n in range(file.metadata.num_row_groups))
    texts = []
    for field in file.schema_arrow:
        if pa.types.is_nested(field.type):
            raise wrong(name, f"the column {field.name!r} has a value of several parts", "leave that column out")
        if not pa.types.is_primitive(field.type):
            texts.append(field.name)
    file = parquet.ParquetFile(io.BytesIO(data), read_dictionary=texts)
    for batch in file.iter_batches(batch_size=BATCH) if size <= LIMIT else ():
        for column in batch.columns:
            size += column.nbytes
            if pa.types.is_dictionary(column.type):
                lengths = compute.binary_length(column.dictionary)
                size += compute.sum(lengths.take(column.indices).cast(pa.int64())).as_py() or 0
        if size > LIMIT:
            break
        yield from batch.to_pylist()
    if size > LIMIT:
        hint = "write it in parts, or leave out columns that are not needed"
        raise wrong(name, f"its values need more than {LIMIT / 1e6:.0f} MB", hint)


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


def _collect(name: str, rows: Sequence[dict[str, Any]], format: str, origin: Origin) -> Collection:
    missing = {"suite", "benchmark", "value"} - (rows[0].keys() if rows else set())
    if missing:
        raise wrong(name, f"lacks the column {sorted(missing)[0]!r}, or has no rows", f"columns: {', '.join(COLUMNS)}")
    found = []
    for index, row in enumerate(rows):
        try:
            found.append(_point(row, index, origin))
        except (ValueError, TypeError) as error:
            raise wrong(name, f"row {index + 1}: {error}", f"columns: {', '.join(COLUMNS)}") from error
    return from_points(found, format)


def _point(row: dict[str, Any], index: int, origin: Origin) -> Point:
    """A row as a point. Raises ValueError or TypeError for a cell that is not what it should be."""

    def cell(column: str) -> Any:
        value = row.get(column)
        return None if value == "" else value

    time = cell("time")
    moment = datetime.fromisoformat(time) if isinstance(time, str) else time
    direction = cell("direction")
    others = {column: value for column, value in row.items() if column not in COLUMNS and value not in (None, "")}
    snapshot = cell("snapshot")
    return Point(
        suite=cell("suite") or "",
        snapshot=index if snapshot is None else int(snapshot),
        environment=", ".join(str(one) for one in (cell("environment"), row.get("branch")) if one),
        commit=cell("commit") or origin.commit,
        time_ms=None if moment is None else to_ms(moment),
        benchmark=cell("benchmark") or "",
        unit=cell("unit"),
        direction=Direction(direction) if direction else origin.direction or _guess(row),
        extra=others | json.loads(cell("extra") or "{}"),
        snapshot_extra=json.loads(cell("snapshot_extra") or "{}"),
        **{column: _number(cell(column)) for column in NUMBERS},
    )


def _guess(row: dict[str, Any]) -> Direction | None:
    """Which way is better by the unit, in a table that has no place to say it."""
    return None if "direction" in row else units.better(row.get("unit"))


def _number(value: object) -> float | None:
    found = cell_number(value) if isinstance(value, str) else number(value)
    if found is None and not (value is None or isinstance(value, str | float)):
        raise TypeError(f"{value!r} is not a number")
    return None if found is None else float(found)


def _json(extra: dict[str, object]) -> str | None:
    return json.dumps(extra, ensure_ascii=False) if extra else None
