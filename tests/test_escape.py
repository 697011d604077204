"""Text of others, where it could be taken for more than text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.escape import markdown, plain


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


@given(st.text())
def test_plain_text_is_printable_and_stays_as_it_is(text: str) -> None:
    once = plain(text)
    assert once == plain(once)
    assert once.isprintable() or any(c.isspace() or not c.isprintable() for c in once if ord(c) > 127)
    once.encode()


def test_markdown_shows_what_would_be_markup() -> None:
    assert markdown("a|b `c` <d> [e](f) *g*") == r"a\|b \`c\` \<d\> \[e\](f) \*g\*"
