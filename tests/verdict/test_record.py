"""Records that anybody may have written: whatever is not refused where it is read can be shown."""

from __future__ import annotations

import copy
import io
import json
import unicodedata
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from scripts.model import PipelineError
from scripts.verdict import decision, decision_text
from scripts.verdict.decision import Acceptance
from scripts.verdict.record import decode_verdict
from scripts.verdict.text import COMMENT_LIMIT, render_comment, render_terminal
from tests.verdict.test_decision import BAD, decide

VERDICT: dict[str, Any] = msgspec.to_builtins(BAD)
DECISION: dict[str, Any] = msgspec.to_builtins(decide(BAD, BAD, Acceptance(backend="fastapi", by="event", text="x")))
TEXT = (
    "<img src=x>|`a`](http://c) @all #1 [/] \x1b]0;t\x07\x9b2J\u202e\u200b\u2028::set-output name=a::b\n"
    "::add-mask::x\r::x::"
)
ODD: tuple[Any, ...] = (
    *(None, True, "", "x", TEXT, "x" * 100_000, "NaN", "regression", "invalid", "no change", "2026-11-23"),
    *(-1, 0, 1, 2, 7, 10, 10**9, 10**13, 10**19, 10**400, 0.5, 1.5, -1e-300, 1e-300, 1e300, float("nan"), float("inf")),
    *([], {}, [None], {"x": 1}, [1, 2], [0, 1], [[]] * 10_000, {"x" * 70_000: 1, TEXT: 2}),
)
Path = tuple[str | int, ...]


def places(node: Any, path: Path = ()) -> Iterator[Path]:
    """Every value of a document, by where it is."""
    if path:
        yield path
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, child in children:
        yield from places(child, (*path, key))


def put(document: Any, path: Path, value: Any) -> Any:
    """The document with another value at a place; it has it still where an earlier change has taken the place away."""
    *parents, last = path
    try:
        for key in parents:
            document = document[key]
        document[last] = value
    except (KeyError, IndexError, TypeError):
        pass
    return document


def spoiled(document: Any, *changes: tuple[Path, Any]) -> bytes:
    changed = json.loads(json.dumps(document))
    for path, value in changes:
        put(changed, path, copy.deepcopy(value))
    return json.dumps(changed).encode()


def check_shown(text: str) -> None:
    assert 0 < len(text) <= COMMENT_LIMIT
    hidden = {c for c in text if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    assert not hidden
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert text.splitlines()[1].startswith("**"), "the first line is the verdict"


def check_refused(error: PipelineError) -> None:
    assert error.message.startswith("x.json: not a valid ")
    assert error.hint


def try_verdict(data: bytes) -> bool:
    """Whether it is read; then it is shown, too."""
    try:
        verdict = decode_verdict(data, "x.json")
    except PipelineError as error:
        check_refused(error)
        return False
    check_shown(render_comment(verdict))
    Console(file=io.StringIO(), width=80).print(render_terminal(verdict))
    return True


def try_decision(data: bytes) -> bool:
    try:
        made = decision.decode(data, "x.json")
    except PipelineError as error:
        check_refused(error)
        return False
    check_shown(decision_text.render(made))
    for verdict in made.blocking:
        for finding in verdict.findings:
            decision_text.finding_words(finding)
    return True


def test_every_value_of_a_verdict_is_refused_or_shown() -> None:
    assert try_verdict(spoiled(VERDICT))
    tried = [try_verdict(spoiled(VERDICT, (path, value))) for path in places(VERDICT) for value in ODD]
    assert 0.02 < sum(tried) / len(tried) < 0.5, "neither is everything refused nor anything taken"


def test_every_key_is_needed_or_has_a_default_that_is_shown() -> None:
    for path in places(VERDICT):
        document = json.loads(json.dumps(VERDICT))
        node = document
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]
        try_verdict(json.dumps(document).encode())


@settings(max_examples=300)
@given(
    changes=st.lists(
        st.tuples(
            st.sampled_from(list(places(DECISION))),
            st.one_of(st.sampled_from(ODD), st.text(max_size=50), st.integers(), st.floats()),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_a_decision_is_refused_or_shown(changes: list[tuple[Path, Any]]) -> None:
    try_decision(spoiled(DECISION, *changes))


FINDING = ("backends", 0, "findings", 0)
REFUSED: dict[str, tuple[Path, Any]] = {
    "metric": ((*FINDING, "metric"), "x"),
    "metric's label": ((*FINDING, "metric"), "Throughput"),
    "level that the profile has not": ((*FINDING, "level"), 11),
    "level 0": ((*FINDING, "level"), 0),
    "low above high": ((*FINDING, "low"), 2.0),
    "ratio outside": ((*FINDING, "ratio"), 3.0),
    "ratio 0": ((*FINDING, "ratio"), 0),
    "half an effect": ((*FINDING, "high"), None),
    "no effect but a verdict": ((*FINDING, "ratio"), None),
    "effect that is invalid": ((*FINDING, "outcome"), "invalid"),
    "outcome of a whole backend": ((*FINDING, "outcome"), "cannot be compared"),
    "unknown outcome": ((*FINDING, "outcome"), "great"),
    "absurd ratio": ((*FINDING, "high"), 1e300),
    "test level": ((*FINDING, "test_level"), 2),
    "rounds": ((*FINDING, "rounds"), 13),
    "rounds of nothing": ((*FINDING, "rounds"), -1),
    "finding twice": ((*FINDING[:-1], 1), VERDICT["backends"][0]["findings"][0]),
    "name": (("backends", 0, "backend"), "../x"),
    "name's end": (("backends", 0, "backend"), "fastapi\n"),
    "label": (("backends", 0, "label"), "x" * 101),
    "no label": (("backends", 0, "label"), ""),
    "backend twice": (("backends",), VERDICT["backends"] * 2),
    "failures": (("backends", 0, "failed"), [0, 10**6]),
    "more rounds than asked for": (("backends", 0, "rounds"), 10**6),
    "outcome": (("outcome",), "improvement"),
    "hash": (("candidate", "sha"), "--output=x"),
    "short hash": (("candidate", "sha"), "abcdef0"),
    "profile": (("profile",), None),
    "profile's rounds": (("profile", "rounds"), 10**19),
    "false alarms": (("false_alarms",), 1.0),
    "blocks": (("blocks",), 10**30),
    "minutes": (("wall_s",), -1),
    "layout": (("layout",), "both"),
    "schema": (("schema_version",), 2),
    "rows": (("backends", 0, "findings"), VERDICT["backends"][0]["findings"] * 1000),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_no_session_says_is_refused(what: str) -> None:
    assert not try_verdict(spoiled(VERDICT, REFUSED[what]))
    path, value = REFUSED[what]
    assert not try_decision(spoiled(DECISION, (("second", *path), value)))


def test_a_regression_that_nothing_shows_is_refused() -> None:
    assert not try_verdict(spoiled(VERDICT, (("backends", 0, "findings"), [])))


@pytest.mark.parametrize("accepted", [["nobody"], ["fastapi", "fastapi"], ["\u202e"]])
def test_what_is_accepted_is_what_was_judged(accepted: list[str]) -> None:
    entries = [{"backend": name, "by": "label", "text": ""} for name in accepted]
    assert not try_decision(spoiled(DECISION, (("accepted",), entries)))


def test_an_error_names_the_place() -> None:
    with pytest.raises(PipelineError, match=r"backend fastapi: 'x', all levels: no such metric; there are: throughput"):
        decode_verdict(spoiled(VERDICT, ((*FINDING, "metric"), "x")), "x.json")
    with pytest.raises(PipelineError, match=r"<= 1000000000.*\$\.backends\[0\]\.findings\[0\]\.high"):
        decode_verdict(spoiled(VERDICT, ((*FINDING, "high"), 1e300)), "x.json")
