"""The contract of apps/README.md as code: what a request has to do, and in words where a backend does otherwise.

Backends whose work is their own (no workload, docs/elsewhere.md) have to do the same as each other, without errors.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import msgspec
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scripts import records
from scripts.model import Arm, ParitySummary, PipelineError, Workload
from scripts.parity.model import Parity, Statement, Trace
from scripts.parity.probe import Subject, trace_backend
from scripts.stack import Stack, TargetError
from scripts.words import count

INSERT = "INSERT INTO users (created_at, email, name, updated_at) VALUES (?, ?, ?, ?)"
UPDATE = "UPDATE users SET name = ?, updated_at = ? WHERE id = ?"
DELETE = "DELETE FROM users WHERE id = ?"
BEGINS = frozenset({"BEGIN", "BEGIN WORK", "START TRANSACTION", "SET AUTOCOMMIT = 0"})
COMMITS = frozenset({"COMMIT", "COMMIT WORK", "SET AUTOCOMMIT = 1"})
FILE_EVENTS = "create open modify close_write open access close_nowrite delete"
DOCUMENT = '{"data": str(1000), "timestamp": float}'
DOCUMENT_BYTES = len(json.dumps({"timestamp": 1.7e9 + 0.123456, "data": "x" * 1000}))
DOCUMENT_SLACK_BYTES = 8  # how many digits a timestamp has, and spaces after separators
CLOCK_SLACK_S = 2.0
LIST_ROWS = 100
LOGGED_WITHIN_S = 0.5  # servers answer first and log then


class Expected(NamedTuple):
    """A data statement that the contract asks for, and the rows it affects."""

    sql: str
    rows: int


def expected_transaction(workload: Workload) -> list[Expected]:
    """The data statements of one transaction, in order."""
    rest = workload.rows_inserted - workload.rows_deleted
    many = DELETE if rest == 1 else f"DELETE FROM users WHERE id IN (? x {rest})"
    return [
        *[Expected(INSERT, 1)] * workload.rows_inserted,
        *[Expected(UPDATE, 1)] * workload.rows_updated,
        *[Expected(DELETE, 1)] * workload.rows_deleted,
        *([Expected(many, rest)] if rest else []),
    ]


def check_parity(stack: Stack, workload: Workload | None, arm: Arm = "candidate") -> Parity:
    """Trace each of an arm's backends, the others frozen, and compare them with the contract and each other."""
    traces = []
    with stack.database.connect() as admin:
        for instance in stack.instances:
            target = instance.target
            if target.arm != arm:
                continue
            account, bound = instance.account, workload is not None
            subject = Subject(target.backend, instance.url, instance.data_dir, account, account, bound)
            instance.thaw()
            try:
                traces.append(trace_backend(subject, admin))
            except PipelineError as error:
                time.sleep(LOGGED_WITHIN_S)
                raise TargetError(
                    target, f"{error.message}\nthe end of {target.name}'s log:\n{instance.tail()}", error.hint
                ) from error
            finally:
                instance.freeze()
    return Parity(traces=tuple(traces), differences=compare(traces, workload))


def compare(traces: Sequence[Trace], workload: Workload | None) -> tuple[str, ...]:
    """Every difference, each as a sentence that begins with its backend's name; none for equal work."""
    if workload is None:
        found = [f"{trace.backend}: {text}" for trace in traces for text in (*_errors(trace), *_reset(trace))]
        return (*found, *_unlike_others("work", {trace.backend: {"of a request": _work(trace)} for trace in traces}))
    checks = (_statements, _transactions, _rows, _connections, _files, _answer, _lists)
    found = [f"{trace.backend}: {text}" for trace in traces for check in checks for text in check(trace, workload)]
    for what, things in (
        ("table", {trace.backend: trace.tables for trace in traces}),
        ("list", {trace.backend: _by_name(trace.lists) for trace in traces}),
        ("isolation", {trace.backend: {"level": ", ".join(trace.isolation)} for trace in traces}),
    ):
        found += _unlike_others(what, things)
    return tuple(found)


# --- one backend against the contract -----------------------------------------------------------------------------


def _statements(trace: Trace, workload: Workload) -> Iterator[str]:
    wanted = expected_transaction(workload) * workload.transactions
    seen = trace.data
    kinds = Counter(_word(statement.sql) for statement in seen)
    wanted_kinds = Counter(_word(sql) for sql, _ in wanted)
    for kind in sorted({*kinds, *wanted_kinds}):
        if kinds[kind] != wanted_kinds[kind]:
            each = f" ({wanted_kinds[kind] // workload.transactions} in each of {workload.transactions} transactions)"
            yield (
                f"{count(kinds[kind], f'{kind} statement')}, the contract asks for {wanted_kinds[kind] or 'none'}"
                f"{each if wanted_kinds[kind] else ''}"
            )
    for number, (statement, expected) in enumerate(zip_longest(seen, wanted), 1):
        if statement is None or expected is None or statement.sql != expected.sql:
            wish = f"`{expected.sql}`" if expected else "no more"
            sight = f"`{statement.sql}`" if statement else "no more"
            yield f"first difference at data statement {number}: expected {wish}, saw {sight}"
            break
    yield from _errors(trace)


def _errors(trace: Trace) -> Iterator[str]:
    for sql, error in sorted({(statement.sql, statement.error) for statement in trace.statements if statement.error}):
        yield f"`{sql}` failed with error {error} of the database server"


def _work(trace: Trace) -> str:
    return "\n".join(statement.sql for statement in trace.data)


class _Transactions(NamedTuple):
    committed: list[list[Statement]]
    rolled_back: int
    outside: list[Statement]
    unfinished: int
    interleaved: int


def group_transactions(statements: Sequence[Statement]) -> _Transactions:
    """Data statements by the transaction of their own connection that they lie in.

    A BEGIN (of whatever name) opens one and a COMMIT closes it; those without data do not count. While autocommit is
    off, the first data statement after a COMMIT is in a new one.
    """
    committed: list[list[Statement]] = []
    outside: list[Statement] = []
    rolled_back = interleaved = 0
    open_: dict[int, list[Statement]] = {}
    manual: set[int] = set()
    for statement in statements:
        connection, sql = statement.connection, statement.sql
        if statement.kind == "data":
            if connection in manual:
                open_.setdefault(connection, [])
            open_.get(connection, outside).append(statement)
            interleaved += any(group for other, group in open_.items() if other != connection)
        elif sql in BEGINS or sql in COMMITS:  # BEGIN commits what is open
            group = open_.pop(connection, [])
            committed += [group] if group else []
            if sql in BEGINS:
                open_[connection] = []
            if sql.startswith("SET"):
                (manual.add if sql in BEGINS else manual.discard)(connection)
        elif sql == "ROLLBACK":
            rolled_back += bool(open_.pop(connection, []))
    return _Transactions(committed, rolled_back, outside, sum(map(bool, open_.values())), interleaved)


def _transactions(trace: Trace, workload: Workload) -> Iterator[str]:
    found = group_transactions(trace.statements)
    committed, wanted = len(found.committed), workload.transactions
    if trace.data and not committed and not found.rolled_back and not found.unfinished:
        control = trace.control
        begins = sum(control.get(name, 0) for name in BEGINS)
        yield (
            f"no transaction around its data statements ({begins} BEGIN, {control.get('COMMIT', 0)} COMMIT around "
            f"none of them; the contract asks for {wanted})"
        )
        return
    if committed != wanted:
        yield f"{count(committed, 'transaction')} with data statements, the contract asks for {wanted}"
    if found.outside:
        yield f"{count(len(found.outside), 'data statement')} outside a transaction, first `{found.outside[0].sql}`"
    if found.rolled_back:
        yield f"{count(found.rolled_back, 'transaction')} rolled back"
    if found.unfinished:
        yield f"{count(found.unfinished, 'transaction')} not committed when the answer had come"
    if found.interleaved:
        yield f"{count(found.interleaved, 'data statement')} while a transaction was open on another connection"
    size = len(expected_transaction(workload))
    for number, group in enumerate(found.committed, 1):
        if len(group) != size:
            yield f"transaction {number} holds {count(len(group), 'data statement')}, the contract asks for {size}"
            break


def _rows(trace: Trace, workload: Workload) -> Iterator[str]:
    wanted = expected_transaction(workload) * workload.transactions
    rows_by_sql = dict(wanted)
    wrong = [s for s in trace.data if s.sql in rows_by_sql and s.rows != rows_by_sql[s.sql]]
    if wrong:
        first = wrong[0]
        yield (
            f"{count(len(wrong), 'statement')} affected other rows than the contract asks for, first `{first.sql}`: "
            f"expected {count(rows_by_sql[first.sql], 'row')}, saw {first.rows}"
        )
    for table, gained in sorted(trace.rows_left.items()):
        yield f"the request leaves {count(abs(gained), 'row')} {'more' if gained > 0 else 'fewer'} in table {table}"


def _connections(trace: Trace, workload: Workload) -> Iterator[str]:
    if trace.connections_per_request > 0:
        yield f"opens {trace.connections_per_request:.2f} connections for each warm request, the contract allows none"


def _files(trace: Trace, workload: Workload) -> Iterator[str]:
    if len(trace.files) != workload.file_operations:
        yield f"{count(len(trace.files), 'file')} made, the contract asks for {workload.file_operations}"
    if trace.overlapping_files:
        yield f"{count(trace.overlapping_files, 'file')} made while another was there, not one at a time"
    for number, events in enumerate(trace.files, 1):
        if events != FILE_EVENTS:
            yield f"file {number}: expected `{FILE_EVENTS}`, saw `{events}`"
            break
    for number, (size, document) in enumerate(zip(trace.file_bytes, trace.documents, strict=True), 1):
        if document != DOCUMENT:
            yield f"file {number}: expected the document {DOCUMENT}, saw {document}"
        elif abs(size - DOCUMENT_BYTES) > DOCUMENT_SLACK_BYTES:
            yield f"file {number}: {size} bytes, the contract's document has about {DOCUMENT_BYTES}"


def _answer(trace: Trace, workload: Workload) -> Iterator[str]:
    counts = workload.answer
    types = dict.fromkeys(counts, "int") | {"execution_time": "float", "timestamp": "float"}
    for key in sorted({*types, *trace.answer_types}):
        if key not in trace.answer_types:
            yield f"the answer lacks the key {key}"
        elif key not in types:
            yield f"the answer has the key {key}, which is not in the contract"
        elif trace.answer_types[key] != types[key]:
            yield f"the answer's {key} is of type {trace.answer_types[key]}, expected {types[key]}"
        elif key in counts and trace.answer[key] != counts[key]:
            yield f"the answer's {key} is {trace.answer[key]}, expected {counts[key]}"
    if trace.answer_types.get("timestamp") == "float" and trace.clock_error_s > CLOCK_SLACK_S:
        yield f"the answer's timestamp is {trace.clock_error_s:.0f} s away from the clock (seconds since the epoch)"
    duration = trace.answer.get("execution_time")
    if isinstance(duration, float) and not 0 < duration <= trace.request_s:
        yield f"the answer's execution_time is {duration:g} s of a request that took {trace.request_s:g} s"


def _lists(trace: Trace, workload: Workload) -> Iterator[str]:
    for path, rows in trace.lists.items():
        if len(rows) != LIST_ROWS:
            yield f"{path} returns {count(len(rows), 'row')}, the contract asks for {LIST_ROWS}"
    yield from _reset(trace)


def _reset(trace: Trace) -> Iterator[str]:
    if trace.not_restored:
        yield f"the reset endpoint does not restore {', '.join(trace.not_restored)}"


# --- the backends against each other ------------------------------------------------------------------------------


def _unlike_others(what: str, things: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Where a backend's thing of a name is not like that of most backends (the first, where there is no majority)."""
    for name in dict.fromkeys(name for own in things.values() for name in own):
        texts = {backend: own.get(name, "") for backend, own in things.items()}
        common = Counter(texts.values()).most_common(1)[0][0]
        model = next(backend for backend, text in texts.items() if text == common)
        for backend, text in texts.items():
            if text != common:
                ours, theirs = _first_difference(text, common)
                yield f"{backend}: {what} {name} is unlike that of {model}: `{ours}` instead of `{theirs}`"


def _first_difference(ours: str, theirs: str) -> tuple[str, str]:
    pairs = zip_longest(ours.splitlines(), theirs.splitlines(), fillvalue="nothing")
    return next(((ours.strip(), theirs.strip()) for ours, theirs in pairs if ours != theirs), (ours, theirs))


def _by_name(lists: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """``/api/users/`` and ``/users`` are the same list."""
    return {path.strip("/").rpartition("/")[2]: "\n".join(rows) for path, rows in lists.items()}


# --- what is kept and shown ---------------------------------------------------------------------------------------


def summarise(parity: Parity, arm: Arm = "candidate") -> tuple[ParitySummary, ...]:
    """What of the traces belongs in a run."""
    return tuple(
        ParitySummary(
            backend=trace.backend,
            statements_per_request=len(trace.data),
            rows_per_request=sum(statement.rows for statement in trace.data),
            control_per_request=trace.control,
            connections_per_request=trace.connections_per_request,
            file_operations=len(trace.files),
            answer_bytes=trace.answer_bytes,
            differences=_own(parity, trace.backend),
            arm=arm,
        )
        for trace in parity.traces
    )


def write_parity(parity: Parity, path: Path) -> None:
    """Write parity.json, whole or not at all."""
    records.replace(path, msgspec.json.format(msgspec.json.encode(parity), indent=1))


def render_parity(parity: Parity) -> RenderableType:
    """The backends side by side, with the differences in red and in words below."""
    table = Table(title="One warm io-intensive request, seen from the database server and the file system")
    table.add_column("", no_wrap=True)
    for trace in parity.traces:
        table.add_column(
            trace.backend, justify="right", overflow="fold", style="red" if _own(parity, trace.backend) else ""
        )
    traces = parity.traces

    def add(label: str, *cells: object) -> None:
        table.add_row(label, *(Text(str(cell)) for cell in cells))

    add("data statements", *(len(trace.data) for trace in traces))
    kinds = [Counter(_word(statement.sql) for statement in trace.data) for trace in traces]
    for kind in dict.fromkeys(kind for counts in kinds for kind in counts):
        add(f"  {kind}", *(counts[kind] for counts in kinds))
    add("rows affected", *(sum(statement.rows for statement in trace.data) for trace in traces))
    add("transactions", *(len(group_transactions(trace.statements).committed) for trace in traces))
    add("isolation", *(", ".join(trace.isolation) for trace in traces))
    table.add_section()
    add("control statements", *(sum(trace.control.values()) for trace in traces))
    for sql in dict.fromkeys(sql for trace in traces for sql in trace.control):
        add(f"  {sql[:30]}", *(trace.control.get(sql, 0) for trace in traces))
    add("connections per request", *(f"{trace.connections_per_request:.2f}" for trace in traces))
    table.add_section()
    add("files", *(len(trace.files) for trace in traces))
    add("bytes written", *(sum(trace.file_bytes) for trace in traces))
    add("answer bytes", *(trace.answer_bytes for trace in traces))
    add("equal", *("no" if _own(parity, trace.backend) else "yes" for trace in traces))
    verdict = Text("Equal work: no differences from the contract.", style="green")
    if not parity.equal:
        verdict = Text(f"Unequal work: {count(len(parity.differences), 'difference')}.", style="bold red")
        verdict.append("".join(f"\n- {text}" for text in parity.differences), style="not bold red")
    return Group(table, verdict)


def _own(parity: Parity, backend: str) -> tuple[str, ...]:
    return tuple(text for text in parity.differences if text.startswith(f"{backend}: "))


def _word(sql: str) -> str:
    return sql.partition(" ")[0]
