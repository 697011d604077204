import io
import itertools
import json
from collections.abc import Iterable

import msgspec
import pytest
from rich.console import Console

from scripts.model import PipelineError, Workload
from scripts.parity.contract import (
    DELETE,
    DOCUMENT,
    FILE_EVENTS,
    INSERT,
    UPDATE,
    compare,
    expected_transaction,
    group_transactions,
    render_parity,
    summarise,
    write_parity,
)
from scripts.parity.model import Parity, Statement, Trace

WORKLOAD = Workload()
DELETE_REST = "DELETE FROM users WHERE id IN (? x 5)"


def data(sql: str, rows: int = 1, connection: int = 1) -> Statement:
    return Statement(kind="data", sql=sql, rows=rows, connection=connection)


def control(sql: str, connection: int = 1) -> Statement:
    return Statement(kind="control", sql=sql, rows=0, connection=connection)


def transactions(begin: Iterable[str] = ("BEGIN",), end: Iterable[str] = ("COMMIT",), connection: int = 1):
    inside = [data(sql, rows, connection) for sql, rows in expected_transaction(WORKLOAD)]
    one = [*(control(sql, connection) for sql in begin), *inside, *(control(sql, connection) for sql in end)]
    return tuple(one * WORKLOAD.transactions)


def make_trace(backend: str = "fastapi", **changes) -> Trace:
    trace = Trace(
        backend=backend,
        statements=transactions(),
        isolation=("READ COMMITTED",),
        rows_left={},
        connections_per_request=0.0,
        files=(FILE_EVENTS, FILE_EVENTS),
        file_bytes=(1045, 1042),
        documents=(DOCUMENT, DOCUMENT),
        overlapping_files=0,
        answer={**WORKLOAD.answer, "execution_time": 0.05, "timestamp": 1795474431.3},
        answer_types=dict.fromkeys(WORKLOAD.answer, "int") | {"execution_time": "float", "timestamp": "float"},
        answer_bytes=161,
        request_s=0.06,
        clock_error_s=0.01,
        lists={
            f"/{name}": tuple(json.dumps({"id": n, "name": f"{name} {n}"}) for n in range(100))
            for name in ("users", "products", "orders")
        },
        not_restored=(),
        tables={"users": "CREATE TABLE `users` (\n  `id` bigint\n)"},
    )
    return msgspec.structs.replace(trace, **changes)


def differences(**changes) -> tuple[str, ...]:
    return compare([make_trace(**changes)], WORKLOAD)


def test_work_of_their_own_is_compared_with_each_other_only():
    def own(backend: str, *statements: Statement, **changes) -> Trace:
        return make_trace(backend, statements=statements, lists={}, files=(), answer={}, answer_types={}, **changes)

    select, update = data("SELECT a FROM t WHERE id = ?"), data("UPDATE t SET a = ?")
    assert compare([own("one", select, update)], None) == ()
    assert compare([own("one", select, update), own("two", select, update, connections_per_request=1.0)], None) == ()
    assert compare([own("one", select, update), own("two", select, select)], None) == (
        "two: work of a request is unlike that of one: `SELECT a FROM t WHERE id = ?` instead of `UPDATE t SET a = ?`",
    )
    failed = msgspec.structs.replace(update, error=1213)
    assert compare([own("one", failed, not_restored=("t",))], None) == (
        "one: `UPDATE t SET a = ?` failed with error 1213 of the database server",
        "one: the reset endpoint does not restore t",
    )


def test_one_transaction_is_the_contracts():
    assert [tuple(expected) for expected in expected_transaction(WORKLOAD)] == [
        *[(INSERT, 1)] * 10,
        *[(UPDATE, 1)] * 5,
        *[(DELETE, 1)] * 5,
        (DELETE_REST, 5),
    ]
    assert len(expected_transaction(WORKLOAD)) * WORKLOAD.transactions == WORKLOAD.statements == 168


def test_one_row_that_is_left_is_deleted_as_any_other():
    assert expected_transaction(Workload(rows_inserted=1, rows_updated=0, rows_deleted=0))[-1] == (DELETE, 1)
    assert len(expected_transaction(Workload(rows_inserted=5, rows_deleted=5))) == 15


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (["BEGIN"], ["COMMIT"]),
        (["START TRANSACTION"], ["COMMIT"]),
        (["SET AUTOCOMMIT = 0"], ["COMMIT", "SET AUTOCOMMIT = 1"]),
    ],
)
def test_equal_work_has_no_differences_however_a_transaction_is_opened(begin, end):
    other = make_trace("django_wsgi", statements=transactions(begin, end))
    assert compare([make_trace(), other], WORKLOAD) == ()


def test_the_form_of_the_study_is_named_in_all_its_parts():
    collecting = "SELECT id FROM orders WHERE user_id IN (? x 10)"
    one = [data(INSERT)] * 10 + [data("UPDATE users SET name = ?, updated_at = ? WHERE id IN (? x 5)", 5)]
    one += [data(collecting, 0), control("SET AUTOCOMMIT = 0"), data("DELETE FROM users WHERE id IN (? x 10)", 10)]
    one += [control("COMMIT"), control("SET AUTOCOMMIT = 1")]
    found = differences(backend="django_asgi", statements=tuple(one * 8), connections_per_request=1.0)
    assert found == (
        "django_asgi: 8 DELETE statements, the contract asks for 48 (6 in each of 8 transactions)",
        "django_asgi: 8 SELECT statements, the contract asks for none",
        "django_asgi: 8 UPDATE statements, the contract asks for 40 (5 in each of 8 transactions)",
        f"django_asgi: first difference at data statement 11: expected `{UPDATE}`, "
        "saw `UPDATE users SET name = ?, updated_at = ? WHERE id IN (? x 5)`",
        f"django_asgi: 96 data statements outside a transaction, first `{INSERT}`",
        "django_asgi: transaction 1 holds 1 data statement, the contract asks for 21",
        "django_asgi: opens 1.00 connections for each warm request, the contract allows none",
    )


def test_no_transaction_at_all():
    assert differences(statements=transactions((), ())) == (
        "fastapi: no transaction around its data statements (0 BEGIN, 0 COMMIT around none of them; "
        "the contract asks for 8)",
    )


def test_a_transaction_on_another_connection_is_none():
    outside = [data(sql, rows, connection=2) for sql, rows in expected_transaction(WORKLOAD)]
    mixed = (control("BEGIN"), *outside, control("COMMIT")) * 8
    assert "no transaction around its data statements (8 BEGIN, 8 COMMIT" in differences(statements=mixed)[0]


def test_one_large_transaction():
    inside = [statement for statement in transactions() if statement.kind == "data"]
    assert differences(statements=(control("BEGIN"), *inside, control("COMMIT"))) == (
        "fastapi: 1 transaction with data statements, the contract asks for 8",
        "fastapi: transaction 1 holds 168 data statements, the contract asks for 21",
    )


def test_transactions_beside_each_other():
    pairs = zip(transactions(connection=1), transactions(connection=2), strict=True)
    beside = tuple(itertools.chain.from_iterable(pairs))[: 2 * 23 * 4]
    assert "fastapi: 164 data statements while a transaction was open on another connection" in differences(
        statements=beside
    )


def test_rolled_back_and_unfinished_transactions():
    statements = list(transactions())
    statements[22] = control("ROLLBACK")
    assert differences(statements=tuple(statements[:-1])) == (
        "fastapi: 6 transactions with data statements, the contract asks for 8",
        "fastapi: 1 transaction rolled back",
        "fastapi: 1 transaction not committed when the answer had come",
    )


def test_statements_in_another_order_or_missing():
    statements = list(transactions())
    statements[10], statements[11] = statements[11], statements[10]
    assert differences(statements=tuple(statements)) == (
        f"fastapi: first difference at data statement 10: expected `{INSERT}`, saw `{UPDATE}`",
    )
    found = differences(statements=(*transactions()[:-2], control("COMMIT")))
    assert "fastapi: 47 DELETE statements, the contract asks for 48 (6 in each of 8 transactions)" in found
    assert any(f"data statement 168: expected `{DELETE_REST}`, saw no more" in text for text in found)


def test_rows_that_a_statement_affects():
    statements = tuple(msgspec.structs.replace(s, rows=0) if s.sql == UPDATE else s for s in transactions())
    assert differences(statements=statements) == (
        f"fastapi: 40 statements affected other rows than the contract asks for, first `{UPDATE}`: "
        "expected 1 row, saw 0",
    )


def test_a_failed_statement():
    first, *rest = transactions()
    failed = msgspec.structs.replace(first, error=1213)
    assert differences(statements=(failed, *rest)) == (
        "fastapi: `BEGIN` failed with error 1213 of the database server",
    )


TYPES = make_trace().answer_types
ANSWER = make_trace().answer


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"rows_left": {"users": 40}}, "the request leaves 40 rows more in table users"),
        ({"rows_left": {"users": -1}}, "the request leaves 1 row fewer in table users"),
        ({"connections_per_request": 0.05}, "opens 0.05 connections for each warm request, the contract allows none"),
        (
            {"files": (FILE_EVENTS,), "file_bytes": (1045,), "documents": (DOCUMENT,)},
            "1 file made, the contract asks for 2",
        ),
        ({"overlapping_files": 1}, "1 file made while another was there, not one at a time"),
        (
            {"files": (FILE_EVENTS, "create open close_write")},
            f"file 2: expected `{FILE_EVENTS}`, saw `create open close_write`",
        ),
        ({"file_bytes": (1045, 545)}, "file 2: 545 bytes, the contract's document has about 1044"),
        ({"documents": (DOCUMENT, "list(2)")}, f"file 2: expected the document {DOCUMENT}, saw list(2)"),
        ({"answer": {**ANSWER, "rows_updated": 8}}, "the answer's rows_updated is 8, expected 40"),
        ({"answer_types": {**TYPES, "timestamp": "str"}}, "the answer's timestamp is of type str, expected float"),
        ({"answer_types": {k: v for k, v in TYPES.items() if k != "timestamp"}}, "the answer lacks the key timestamp"),
        ({"answer_types": {**TYPES, "status": "str"}}, "the answer has the key status, which is not in the contract"),
        (
            {"clock_error_s": 1.7e9},
            "the answer's timestamp is 1700000000 s away from the clock (seconds since the epoch)",
        ),
        (
            {"answer": {**ANSWER, "execution_time": 50.0}},
            "the answer's execution_time is 50 s of a request that took 0.06 s",
        ),
        ({"lists": {"/users": ("{}",) * 99}}, "/users returns 99 rows, the contract asks for 100"),
        ({"not_restored": ("orders", "users")}, "the reset endpoint does not restore orders, users"),
    ],
)
def test_each_difference_has_its_sentence(changes, text):
    assert differences(**changes) == (f"fastapi: {text}",)


def test_backends_that_differ_from_each_other():
    odd = make_trace("odd", isolation=("REPEATABLE READ",), tables={"users": "CREATE TABLE `users` (\n  `id` int\n)"})
    rows = list(odd.lists["/users"])
    rows[4] = rows[4].replace('"id": 4', '"id": "4"')
    # Paths differ between backends; the list is the same.
    lists = {f"/api{path}/": value for path, value in {**odd.lists, "/users": tuple(rows)}.items()}
    traces = [make_trace(), make_trace("second"), msgspec.structs.replace(odd, lists=lists)]
    assert compare(traces, WORKLOAD) == (
        "odd: table users is unlike that of fastapi: ``id` int` instead of ``id` bigint`",
        'odd: list users is unlike that of fastapi: `{"id": "4", "name": "users 4"}` '
        'instead of `{"id": 4, "name": "users 4"}`',
        "odd: isolation level is unlike that of fastapi: `REPEATABLE READ` instead of `READ COMMITTED`",
    )


def test_autocommit_off_opens_a_transaction_after_each_commit():
    two = [control("SET AUTOCOMMIT = 0"), *[data(INSERT), control("COMMIT")] * 2, control("SET AUTOCOMMIT = 1")]
    found = group_transactions([*two, data(DELETE)])
    assert [len(group) for group in found.committed] == [1, 1]
    assert [statement.sql for statement in found.outside] == [DELETE]


def test_summary_and_table_hold_the_differences_of_each():
    traces = (make_trace(), make_trace("django_asgi", connections_per_request=1.0))
    parity = Parity(traces=traces, differences=compare(traces, WORKLOAD))
    good, bad = summarise(parity)
    assert (good.statements_per_request, good.rows_per_request, good.file_operations) == (168, 200, 2)
    assert good.control_per_request == {"BEGIN": 8, "COMMIT": 8}
    assert (good.differences, bad.differences) == ((), parity.differences)
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(render_parity(parity))
    text = console.export_text()
    assert "Unequal work: 1 difference." in text
    assert parity.differences[0] in text
    rows = {line.split("│")[1].strip(): line for line in text.splitlines() if line.count("│") > 2}
    assert rows["data statements"].count("168") == 2
    assert "yes" in rows["equal"]
    assert "no" in rows["equal"]


def test_parity_json_is_whole_and_reads_back(tmp_path):
    parity = Parity(traces=(make_trace(),), differences=())
    write_parity(parity, tmp_path / "parity.json")
    assert msgspec.json.decode((tmp_path / "parity.json").read_bytes(), type=Parity) == parity
    assert [path.name for path in tmp_path.iterdir()] == ["parity.json"]
    with pytest.raises(PipelineError, match="cannot be written"):
        write_parity(parity, tmp_path / "missing" / "parity.json")


def test_every_kind_of_begin_and_commit_is_found_together():
    for begin, end in itertools.product(["BEGIN", "START TRANSACTION"], ["COMMIT", "COMMIT WORK"]):
        assert len(group_transactions(transactions([begin], [end])).committed) == 8
