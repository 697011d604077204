import re

from hypothesis import given
from hypothesis import strategies as st

from scripts.stack.sql import split_statements


def test_procedure_keeps_its_semicolons():
    script = """
    CREATE TABLE t (s TEXT);
    DELIMITER //
    CREATE PROCEDURE p() BEGIN DELETE FROM t; INSERT INTO t VALUES ('//'); END//
    delimiter ;
    SELECT 1;
    """
    table, procedure, select = split_statements(script)
    assert table == "CREATE TABLE t (s TEXT)"
    assert procedure == "CREATE PROCEDURE p() BEGIN DELETE FROM t; INSERT INTO t VALUES ('//'); END"
    assert select == "SELECT 1"


def test_delimiter_in_quotes_and_comments_ends_nothing():
    script = """SELECT ';', "a;\\"b", `c;d`, 'it''s;' -- one; two
    , 2 # three;
    /* four; */ FROM t"""
    (statement,) = split_statements(script)
    assert re.sub(r"\s+", " ", statement) == "SELECT ';', \"a;\\\"b\", `c;d`, 'it''s;' , 2 /* four; */ FROM t"


def test_nothing_but_comments_is_no_statement():
    assert split_statements("-- a;\n;;\n# b\n") == []


def test_minus_minus_without_a_space_is_arithmetic():
    assert split_statements("SELECT 1--1;") == ["SELECT 1--1"]


texts = st.text(alphabet="ab ;'\"`/#-\n\\", max_size=12)


@given(st.lists(texts, min_size=1, max_size=5), st.sampled_from([";", "//", "$$"]))
def test_quoted_text_survives(values: list[str], delimiter: str):
    statements = ["SELECT '" + value.replace("\\", "\\\\").replace("'", "''") + "'" for value in values]
    assert split_statements(f"DELIMITER {delimiter}\n" + f"{delimiter}\n".join(statements)) == statements
