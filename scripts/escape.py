"""Text that others wrote (commit subjects, labels, error texts), made safe for where it is shown."""

from __future__ import annotations

import re
import unicodedata

_MARKDOWN = frozenset("\\`*_[]<>|~&$")


def plain(text: str) -> str:
    """One line without anything that a terminal, an XML parser or a reader could take for more than text.

    Control, direction-changing and unencodable characters become U+FFFD, white space becomes single spaces.
    """
    text = " ".join(text.split())
    if text.isascii() and text.isprintable():  # nearly all of it, and a tenth of the time
        return text
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn") else c for c in text)


def markdown(text: str) -> str:
    """``plain`` text that Markdown shows as it is, in a paragraph or in a cell of a table.

    Addresses and mentions, which GitHub finds in the text that it shows, are broken with a space of no width.
    """
    text = "".join(f"\\{c}" if c in _MARKDOWN else c for c in plain(text))
    return re.sub(r"(@|://|\bwww(?=\.))", lambda found: f"{found[0][0]}\u200b{found[0][1:]}", text)
