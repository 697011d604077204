"""Text that others wrote (commit subjects, labels, error texts), made safe for where it is shown.

A step's output and its errors go through `scripts.terminal`, which does this to all that is printed; Markdown, HTML and
annotations are made of texts that have gone through here one by one.
"""

from __future__ import annotations

import re
import unicodedata

TEXT_LIMIT = 2_000
"""Characters that Markdown shows of one text of others; an error's message may have twice as many."""
_MARKDOWN = frozenset("\\`*_[]<>|~&$")
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0")
"""What Unicode calls ignorable without calling it a format; all other such characters have a category of their own."""
_BREAK = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_COMMAND = re.compile(rf"(^|[{_BREAK}])(\s*:)(?=:)")


def plain(text: str, limit: int | None = None) -> str:
    """One line without anything that a terminal, an XML parser or a reader could take for more than text.

    Control, direction-changing, invisible and unencodable characters become U+FFFD, white space becomes single spaces.
    ``limit``: of characters.
    """
    text = " ".join(text.split())
    if not (text.isascii() and text.isprintable()):  # nearly all of it is, and that takes a tenth of the time
        text = "".join("\ufffd" if _hidden(c) else c for c in text)
    return text if limit is None else shortened(text, limit)


def lines(text: str) -> str:
    """As `plain`, with line ends, indents and tables left as they are."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join("\ufffd" if c != "\n" and c != "\t" and _hidden(c) else c for c in text.replace("\r\n", "\n"))


def shortened(text: str, limit: int) -> str:
    """At most ``limit`` characters: the beginning and the end of a longer text, which says what is left out."""
    if len(text) <= limit:
        return text
    tail = limit // 4
    gap = f" [... {len(text) - limit} more characters ...] "
    return text[: max(0, limit - tail - len(gap))] + gap + text[-tail:]


def without_commands(text: str) -> str:
    """What a hosted runner would take for a command (``::name::`` begins a line, ``##[name]`` is in it), broken.

    Source: `ActionCommand.cs` of the runner, which reads a step's output line by line.
    """
    return _COMMAND.sub(r"\1\2 ", text).replace("##[", "## [")


def markdown(text: str) -> str:
    """``plain`` text that Markdown shows as it is, in a paragraph or in a cell of a table; not more than TEXT_LIMIT.

    Addresses, mentions and numbers of issues, which GitHub finds in the text that it shows, are broken with a space of
    no width.
    """
    text = "".join(f"\\{c}" if c in _MARKDOWN else c for c in plain(text, TEXT_LIMIT))
    return re.sub(r"(@|://|#(?=\d)|\bwww(?=\.))", lambda found: f"{found[0][0]}&#8203;{found[0][1:]}", text)


def code(text: str) -> str:
    """``plain`` text as code in a line of Markdown."""
    return "`" + plain(text, TEXT_LIMIT).replace("`", "'") + "`"


def _hidden(character: str) -> bool:
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp") or character in _INVISIBLE
    return hidden or "\U000e0100" <= character <= "\U000e01ef"
