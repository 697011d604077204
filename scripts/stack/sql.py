"""Splitting a script of SQL into statements, as the ``mysql`` client does."""

from __future__ import annotations

import re

QUOTED = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`|/\*.*?\*/"""
COMMENT = r"(?:--(?=\s)|\#)[^\n]*"
DIRECTIVE = r"^[ \t]*DELIMITER[ \t]+(?P<delimiter>\S+)[^\n]*"


def split_statements(script: str) -> list[str]:
    """The statements of ``script`` without their delimiters; ``DELIMITER X`` lines change what ends one.

    Line comments are left out. A delimiter in quotes or in a comment ends nothing.

    >>> split_statements("SELECT ';'; -- one\\nSELECT 2")
    ["SELECT ';'", 'SELECT 2']
    """
    delimiter = ";"
    statements: list[str] = []
    current = ""
    position = 0
    while position < len(script):
        tokens = rf"(?P<quoted>{QUOTED})|(?P<comment>{COMMENT})|{DIRECTIVE}|(?P<end>{re.escape(delimiter)})"
        token = re.compile(tokens, re.DOTALL | re.MULTILINE | re.IGNORECASE).search(script, position)
        if token is None:
            break
        current += script[position : token.start()]
        position = token.end()
        if token["quoted"]:
            current += token["quoted"]
        elif token["delimiter"]:
            delimiter = token["delimiter"]
        elif token["end"]:
            statements.append(current.strip())
            current = ""
    statements.append((current + script[position:]).strip())
    return [statement for statement in statements if statement]
