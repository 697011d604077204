"""Text of others, where it could be taken for more than text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.escape import code, lines, markdown, plain, without_commands


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\n c ", "a b c"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("abc\u202edef", "abc\ufffddef"),
        ("nul\x00", "nul\ufffd"),
        ("lone \udcff", "lone \ufffd"),
        ("Größe 速度", "Größe 速度"),
    ],
)
def test_plain_text_is_one_line_without_control(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_text_of_several_lines_keeps_them() -> None:
    assert lines("a\r\n  b\tc\x1b[2J\u2028d\r\u3164") == "a\n  b\tc\ufffd[2J\ufffdd\ufffd\ufffd"


@pytest.mark.parametrize("before", ["", "\n", "\r", "x\n  ", "\u2028", "\x85\t", "\v", "\xa0"])
def test_a_command_is_broken_where_a_runner_would_look_for_it(before: str) -> None:
    assert without_commands(f"{before}::set-output name=a::b") == f"{before}: :set-output name=a::b"
    assert without_commands(f"{before}x ::y::z") == f"{before}x ::y::z"
    assert without_commands("x##[add-mask]y") == "x## [add-mask]y"


@given(st.text(), st.integers(60, 200))
def test_a_text_has_its_length(text: str, limit: int) -> None:
    assert len(plain(text * 20, limit)) <= limit
    assert plain(text[:60], limit) == plain(text[:60])


def test_code_cannot_end() -> None:
    assert code("a`b\n") == "`a'b`"


@given(st.text())
def test_plain_text_is_printable_and_stays_as_it_is(text: str) -> None:
    once = plain(text)
    assert once == plain(once)
    assert once.isprintable() or any(c.isspace() or not c.isprintable() for c in once if ord(c) > 127)
    once.encode()


def test_markdown_shows_what_would_be_markup() -> None:
    assert markdown("a|b `c` <d> [e](f) *g*") == r"a\|b \`c\` \<d\> \[e\](f) \*g\*"
