"""Expressions of workflows (``${{ }}``), evaluated as GitHub documents them ("Evaluate expressions in workflows").

All that the workflows here use and a little more: literals, dereference, ``*``, operators, and the functions. Strings
compare without regard to case; other types are coerced to numbers. What is not known is an error, never empty.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<string>'(?:[^']|'')*')|(?P<name>[A-Za-z_][\w-]*)"
    r"|(?P<operator>&&|\|\||==|!=|<=|>=|[<>!()\[\].,*]))"
)
BLOCK = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
LITERALS = {"true": True, "false": False, "null": None}
STATUS = ("success", "failure", "always", "cancelled")


def evaluate(text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]] | None = None) -> Any:
    """The value of an expression without its ``${{ }}``. ``functions``: success(), failure() and so on."""
    return _Parser(text, contexts, {**FUNCTIONS, **(functions or {})}).whole()


def interpolate(text: str, contexts: Mapping[str, Any]) -> Any:
    """Text with its expressions replaced; the value itself where the text is one expression."""
    if (only := BLOCK.fullmatch(text.strip())) and "${{" not in only[1]:
        return evaluate(only[1], contexts)
    return BLOCK.sub(lambda found: to_string(evaluate(found[1], contexts)), text)


def condition(text: object, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> bool:
    """An ``if:``; ``success() &&`` stands before one that asks for no status."""
    if text is None:
        return bool(functions["success"]())
    inner = str(text).strip()
    if found := BLOCK.fullmatch(inner):
        inner = found[1]
    if not re.search(rf"\b({'|'.join(STATUS)})\(", inner):
        inner = f"success() && ({inner})"
    return truthy(evaluate(inner, contexts, functions))


def truthy(value: Any) -> bool:
    return not (value is None or value is False or value in ("", 0) or (isinstance(value, float) and math.isnan(value)))


def to_string(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float() if value == int(value):
            return str(int(value))
        case dict() | list():
            return "Object" if isinstance(value, dict) else "Array"
        case _:
            return str(value)


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0.0
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    if type(left) is type(right):
        return bool(left == right)
    return _number(left) == _number(right)


def _contains(where: Any, what: Any) -> bool:
    if isinstance(where, list):
        return any(_equal(item, what) for item in where)
    return to_string(what).lower() in to_string(where).lower()


def _format(text: str, *values: Any) -> str:
    return re.sub(r"\{(\d+)\}", lambda found: to_string(values[int(found[1])]), text)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "contains": _contains,
    "startsWith": lambda text, start: to_string(text).lower().startswith(to_string(start).lower()),
    "endsWith": lambda text, end: to_string(text).lower().endswith(to_string(end).lower()),
    "format": _format,
    "join": lambda items, by=",": to_string(by).join(to_string(item) for item in items),
    "toJSON": lambda value: json.dumps(value, indent=2),
    "fromJSON": json.loads,
}


class _Parser:
    def __init__(self, text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        self._text, self._contexts, self._functions = text, contexts, functions
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            found = TOKEN.match(text, place)
            if not found:
                raise ValueError(f"not an expression from {text[place:]!r} on: {text!r}")
            assert found.lastgroup
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            place = found.end()

    def whole(self) -> Any:
        value = self._either()
        if self._tokens:
            raise ValueError(f"{self._tokens[0][1]!r} is too much: {self._text!r}")
        return value

    def _next_is(self, *operators: str) -> str:
        if self._tokens and self._tokens[0][0] == "operator" and self._tokens[0][1] in operators:
            return self._tokens.pop(0)[1]
        return ""

    def _need(self, operator: str) -> None:
        if not self._next_is(operator):
            raise ValueError(f"{operator!r} is missing: {self._text!r}")

    def _either(self) -> Any:
        value = self._both()
        while self._next_is("||"):
            other = self._both()
            value = value if truthy(value) else other
        return value

    def _both(self) -> Any:
        value = self._compared()
        while self._next_is("&&"):
            other = self._compared()
            value = other if truthy(value) else value
        return value

    def _compared(self) -> Any:
        value = self._single()
        while operator := self._next_is("==", "!=", "<", "<=", ">", ">="):
            other = self._single()
            if operator in ("==", "!="):
                value = _equal(value, other) == (operator == "==")
            else:
                left, right = _number(value), _number(other)
                value = {"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[operator]
        return value

    def _single(self) -> Any:
        if self._next_is("!"):
            return not truthy(self._single())
        if self._next_is("("):
            value = self._either()
            self._need(")")
            return value
        kind, text = self._tokens.pop(0)
        if kind == "number":
            return float(text)
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind != "name":
            raise ValueError(f"{text!r} is not a value: {self._text!r}")
        if self._next_is("("):
            return self._called(text)
        if text in LITERALS:
            return LITERALS[text]
        if text not in self._contexts:
            raise ValueError(f"there is no context {text!r} here: {self._text!r}")
        return self._dereferenced(self._contexts[text])

    def _called(self, name: str) -> Any:
        arguments = []
        while not self._next_is(")"):
            arguments.append(self._either())
            self._next_is(",")
        return self._dereferenced(self._functions[name](*arguments))

    def _dereferenced(self, value: Any) -> Any:
        while True:
            if self._next_is("."):
                if self._next_is("*"):
                    value = list(value.values()) if isinstance(value, dict) else value
                    self._need(".")
                    key = self._tokens.pop(0)[1]
                    value = [item[key] for item in value or [] if key in item]
                    continue
                key = self._tokens.pop(0)[1]
            elif self._next_is("["):
                key = self._either()
                self._need("]")
            else:
                return value
            value = _item(value, key)


def _item(value: Any, key: Any) -> Any:
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list) and isinstance(key, float) and key < len(value):
        return value[int(key)]
    return None
