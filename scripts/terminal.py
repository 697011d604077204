"""What a step prints: the one place where text of others becomes output, whichever way it got there.

All that is printed as text goes through `guarded` streams, rich's through a `console`: nothing in it moves the cursor,
sets a title, turns the direction of text or is a command for a hosted runner. What is meant to be more than text is
written as bytes (`emit`).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from scripts import escape
from scripts.model import PipelineError


class _Guard:
    """A text stream that makes what is written to it plain; ``coloured``: all but what `_Console` has made of it."""

    def __init__(self, stream: TextIO, *, coloured: bool) -> None:
        self._stream, self._coloured = stream, coloured

    def write(self, text: str) -> int:
        shown = text if self._coloured else escape.lines(text)
        self._stream.write(escape.without_commands(shown))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    @property
    def for_console(self) -> TextIO:
        return cast("TextIO", _Guard(self._stream, coloured=True))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Console(Console):
    """Takes no text for markup, and shows no character that is more than one; colours are rich's own."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else escape.lines(text), style, control)


def console(*, stderr: bool = False, **options: Any) -> Console:
    """A terminal, or a log, for all that a step says. ``options``: of rich's Console."""
    stream = sys.stderr if stderr else sys.stdout
    plain: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False}
    return _Console(file=getattr(stream, "for_console", stream), **plain, **options)


@contextlib.contextmanager
def guarded() -> Iterator[None]:
    """Let nothing but plain text out of ``sys.stdout`` and ``sys.stderr`` meanwhile."""
    with contextlib.ExitStack() as stack:
        for stream, redirect in ((sys.stdout, contextlib.redirect_stdout), (sys.stderr, contextlib.redirect_stderr)):
            if not hasattr(stream, "for_console"):
                stack.enter_context(redirect(cast("TextIO", _Guard(stream, coloured=False))))
        yield


def show_fault(*fault: Any) -> None:
    """A ``sys.excepthook``: the interpreter's own words for a fault of ours, guarded, too."""
    with guarded():
        sys.__excepthook__(*fault)


def emit(text: str) -> None:
    """Write what is ours and more than text to standard output as it is: a command for the runner."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def fail(step: str, error: PipelineError) -> None:
    """Say what went wrong, and what to do. What others wrote in it cannot look like the latter: it is indented."""
    errors = console(stderr=True, soft_wrap=True)
    message = escape.shortened(error.message, 2 * escape.TEXT_LIMIT)
    errors.print(f"{step}: {_indented(message)}", style="red")
    if error.hint:
        errors.print(f"what to do: {_indented(escape.shortened(error.hint, escape.TEXT_LIMIT))}")


def _indented(text: str) -> str:
    return "\n  ".join(text.splitlines())
