"""What a hosted runner tells a step, and how a step answers it: the event, outputs, the job's summary, annotations.

On any other machine the answers go nowhere, so that a step does there what it does here. The files and the form of
workflow commands are GitHub's ("Workflow commands for GitHub Actions", "Variables reference").
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from scripts import terminal
from scripts.escape import TEXT_LIMIT, plain, without_commands
from scripts.model import BROKEN, PipelineError

SUMMARY_LIMIT = 1 << 20
"""Bytes that a step may add to the job's summary; GitHub shows none of a longer one."""
ANNOTATIONS = 10
"""So many annotations of a kind does GitHub show of a step."""
TITLE_LIMIT = 200
OUTPUT = re.compile(r"[a-z_]+")

_Event = TypeVar("_Event")


def event(type_: type[_Event]) -> _Event:
    """The event that began the workflow, as ``type_`` (unknown keys are left alone). Raises PipelineError for none."""
    path = os.environ.get("GITHUB_EVENT_PATH")
    if not path:
        raise PipelineError("there is no event here: GITHUB_EVENT_PATH is not set", "this step runs in a workflow")
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=type_)
    except (OSError, *BROKEN) as error:
        raise PipelineError(
            f"{path}: not the event that this step is for: {error}", "see the workflow's `on:`"
        ) from error


def set_outputs(**values: str) -> None:
    """Give later steps and jobs these values. Raises ValueError for a name or a value that would be more than one."""
    for name, value in values.items():
        if not OUTPUT.fullmatch(name) or value != plain(value):
            raise ValueError(f"{name}={value!r} is not one line of text")
    _append("GITHUB_OUTPUT", "".join(f"{name}={value}\n" for name, value in values.items()))


def add_summary(markdown: str) -> None:
    """Show Markdown on the page of the workflow's run; what is too long is cut."""
    data = markdown.encode()
    if len(data) > SUMMARY_LIMIT:
        cut = "\n\n_Cut here: the rest did not fit._\n"
        markdown = data[: SUMMARY_LIMIT - len(cut)].decode(errors="ignore") + cut
    _append("GITHUB_STEP_SUMMARY", markdown)


def annotate(kind: Literal["notice", "warning", "error"], title: str, text: str) -> None:
    """Show a line above the log and beside the check, or just print it. Nothing in the texts is taken for a command."""
    shown = [without_commands(plain(*one)) for one in ((title, TITLE_LIMIT), (text, TEXT_LIMIT))]
    if os.environ.get("GITHUB_ACTIONS") == "true":
        escaped = shown[0].replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
        terminal.emit(f"::{kind} title={escaped}::{shown[1].replace('%', '%25')}\n")
    else:
        print(f"{kind}: {shown[0]}: {shown[1]}", flush=True)


def _append(variable: str, text: str) -> None:
    path = os.environ.get(variable)
    if path:
        with Path(path).open("a") as file:
            file.write(text)
