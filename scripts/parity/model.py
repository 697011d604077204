"""What one request did, and how it differs from what was agreed."""

from __future__ import annotations

from collections import Counter
from typing import Literal

from scripts.model import Struct


class Statement(Struct):
    """One statement as the database server saw it, in canonical form (`scripts.parity.statements`).

    ``connection`` counts the connections of one trace from 1, in the order in which they were first used. ``error`` is
    the server's error number, 0 for none.
    """

    kind: Literal["data", "control"]
    sql: str
    rows: int
    connection: int
    error: int = 0


class Trace(Struct):
    """What one backend did for one warm io-intensive request, seen from the database server and the file system.

    ``statements``: all of them in the order in which they began. ``isolation``: the levels of the request's
    transactions. ``rows_left``: rows that each table has gained.
    ``connections_per_request``: connections opened by warm requests, sequential and concurrent, divided by them.
    ``files``: for each file in order of creation, its events (``create open modify close_write open access ...``), with
    ``file_bytes`` and the shape of what was written (``documents``) of another request. ``overlapping_files`` of them
    were made while another was still there.
    ``request_s`` is the duration seen by the client, ``clock_error_s`` how far the answer's timestamp is off its clock.
    ``lists``: for each list endpoint, its rows as canonical JSON. ``not_restored``: tables that the reset endpoint left
    unlike the seeded state. ``tables``: the definitions, by name.
    """

    backend: str
    statements: tuple[Statement, ...]
    isolation: tuple[str, ...]
    rows_left: dict[str, int]
    connections_per_request: float
    files: tuple[str, ...]
    file_bytes: tuple[int, ...]
    documents: tuple[str, ...]
    overlapping_files: int
    answer: dict[str, int | float | str | bool | None]
    answer_types: dict[str, str]
    answer_bytes: int
    request_s: float
    clock_error_s: float
    lists: dict[str, tuple[str, ...]]
    not_restored: tuple[str, ...]
    tables: dict[str, str]

    @property
    def data(self) -> tuple[Statement, ...]:
        """The data statements, in order."""
        return tuple(statement for statement in self.statements if statement.kind == "data")

    @property
    def control(self) -> dict[str, int]:
        """Transaction and connection control, counted by statement: ``{"BEGIN": 8, "COMMIT": 8}``."""
        return dict(Counter(statement.sql for statement in self.statements if statement.kind == "control"))


class Parity(Struct):
    """The traces of all backends and every difference from the contract; equal work has no differences."""

    traces: tuple[Trace, ...]
    differences: tuple[str, ...]

    @property
    def equal(self) -> bool:
        return not self.differences
