"""SQL statements in one canonical form, so that two ORMs that ask for the same work say the same.

The form is for comparing and for reading. It is not always SQL: `` id IN (? x 5)`` stands for a list of five values.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

CONTROL_WORDS = frozenset({"BEGIN", "START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "SET", "SHOW", "USE"})
PARSED_WORDS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH"})
CLOCKS = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.Anonymous)
SQL_TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`|[\w@.$]+|\S", re.DOTALL)

Kind = Literal["data", "control"]


class Normal(NamedTuple):
    """A statement in canonical form: what it is for, and its text."""

    kind: Kind
    text: str


def normalise(sql: str) -> Normal:
    """The canonical form of one statement.

    ``control`` is what manages connections and transactions, and a SELECT that reads no table. Everything else is
    ``data``: there literals become ``?``, quotes, comments and the case of keywords are unified, columns of INSERT and
    of UPDATE ... SET are sorted, the qualifiers of an only table go, and ``IN`` with one value becomes ``=``. RETURNING
    goes where it returns the new id alone (Django on MariaDB): servers tell that after a plain INSERT all the same.
    What the parser does not know is kept with its white space unified.

    >>> normalise("DELETE FROM `users` WHERE `users`.`id` IN (7)")
    Normal(kind='data', text='DELETE FROM users WHERE id = ?')
    """
    word = first_word(sql)
    if word in CONTROL_WORDS:
        return Normal("control", _control_text(sql))
    tree = _parse(sql) if word in PARSED_WORDS else None
    if tree is None:
        return Normal("data", " ".join(sql.split()))
    kind: Kind = "control" if isinstance(tree, exp.Select) and tree.find(exp.Table) is None else "data"
    if kind == "data":
        _generalise(tree)
    _unquote(tree)
    return Normal(kind, tree.sql(dialect="mysql", comments=False))


def first_word(sql: str) -> str:
    """``SELECT`` for ``  /* why */ (select ...)``; empty where there is none."""
    found = re.match(r"(?:\s|/\*.*?\*/|--\s[^\n]*\n|#[^\n]*\n|\()*(\w+)", sql, re.DOTALL)
    return found[1].upper() if found else ""


def _control_text(sql: str) -> str:
    """Token by token, as a parser makes BEGIN of START TRANSACTION, and that is a difference to be shown."""
    tokens = SQL_TOKEN.findall(sql.strip().rstrip(";"))
    words = [token if token[0] in "'\"" else token.strip("`").upper() for token in tokens]
    if words[0] in ("SAVEPOINT", "RELEASE") or "SAVEPOINT" in words:
        words[-1] = "?"  # its name is made up
    return " ".join(words)


def _parse(sql: str) -> exp.Expression | None:
    try:
        trees = sqlglot.parse(sql, dialect="mysql")
    except (SqlglotError, RecursionError):
        return None
    tree = trees[0]
    return tree if len(trees) == 1 and isinstance(tree, exp.Expression) else None


def _generalise(tree: exp.Expression) -> None:
    """Take out of a parsed statement, in place, what may differ between two that ask for the same work."""
    _remove_qualifiers(tree)
    for literal in list(tree.find_all(exp.Literal, exp.Boolean, exp.Introducer, exp.HexString)):
        if not isinstance(literal.parent, CLOCKS):  # the 6 of NOW(6) is no value
            sign = literal.parent
            (sign if isinstance(sign, exp.Neg) else literal).replace(exp.Placeholder())
    for condition in list(tree.find_all(exp.In)):
        values = condition.expressions
        if values and all(isinstance(value, exp.Placeholder) for value in values):
            if len(values) == 1:
                condition.replace(exp.EQ(this=condition.this, expression=values[0]))
            else:
                condition.set("expressions", [exp.Var(this=f"? x {len(values)}")])
    if isinstance(tree, exp.Update):
        tree.set("expressions", sorted(tree.expressions, key=lambda assignment: assignment.sql(dialect="mysql")))
    if isinstance(tree, exp.Insert):
        _sort_columns(tree)
        returning = tree.args.get("returning")
        if returning is not None and [column.name for column in returning.expressions] == ["id"]:
            tree.set("returning", None)


def _remove_qualifiers(tree: exp.Expression) -> None:
    tables = list(tree.find_all(exp.Table))
    if len(tables) != 1:
        return
    table = tables[0]
    names = {table.name, table.alias} - {""}
    table.set("alias", None)
    table.set("db", None)
    for column in tree.find_all(exp.Column):
        if column.table in names:
            column.set("table", None)
            column.set("db", None)


def _sort_columns(insert: exp.Insert) -> None:
    """Columns by name with their values beside them; equal rows as one and their number."""
    schema, values = insert.this, insert.expression
    if not isinstance(values, exp.Values):
        return
    rows = [row.expressions for row in values.expressions]
    if isinstance(schema, exp.Schema) and all(len(row) == len(schema.expressions) for row in rows):
        order = sorted(range(len(schema.expressions)), key=lambda index: schema.expressions[index].name)
        schema.set("expressions", [schema.expressions[index] for index in order])
        rows = [[row[index] for index in order] for row in rows]
    texts = [f"({', '.join(value.sql(dialect='mysql') for value in row)})" for row in rows]
    if len(texts) > 1 and len(set(texts)) == 1:
        texts = [f"{texts[0]} x {len(texts)}"]
    values.set("expressions", [exp.Var(this=text) for text in texts])


def _unquote(tree: exp.Expression) -> None:
    for identifier in tree.find_all(exp.Identifier):
        if re.fullmatch(r"\w+", identifier.name):
            identifier.set("quoted", False)
