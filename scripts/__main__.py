"""The steps, in pipeline order. ``python -m scripts`` lists them, ``python -m scripts STEP --help`` explains one."""

from __future__ import annotations

import signal

if __name__ == "__main__":  # what ends a step waits until one can be ended: within an import it would be a traceback
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))

import importlib
import keyword
import os
import sys
import time
import traceback
from collections.abc import Sequence
from types import FrameType

from scripts import terminal
from scripts.model import PipelineError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a step cleanly, with what is finished kept."""
REPEATED_S = 1.0
"""A second signal within this time means what the first one meant: a closing terminal tells nox and its step."""
STEPS = {
    "up": "start the stack, print its addresses, keep it running until Ctrl-C",
    "parity": "prove that the backends do equal work, or name the difference",
    "bench": "stack and profile -> results/<run id>/ with raw data, run.json and the report",
    "report": "run.json -> the report, figures and JSON of the study",
    "compare": "two revisions -> a paired session -> verdict.json",
    "comment": "verdict.json -> Markdown for a pull request",
    "reach": "a change -> the backends that it can reach",
    "decide": "one or two verdicts -> decision.json, and whether the check fails",
    "publish": "a finished pull request's run -> its comment",
    "calibrate": "sessions whose truth is known -> how often verdicts are wrong, and what they can see",
    "record": "run.json -> history/",
    "backfill": "commits that have no run -> paired sessions against the anchor -> history/",
    "detect": "history/ -> changes.json; or any series -> where they change",
    "alert": "changes.json -> issues, opened and closed",
    "build_site": "history/ -> the static site _site/",
    "serve": "the site in a browser, made again when anything changes",
    "bisect": "good, bad, what became worse -> the commit",
    "export": "history/ -> another tool's format",
    "import": "another tool's format -> history/imported/",
}


def module_of(step: str) -> str:
    """A step's module has its name, with an underscore where Python keeps that name for itself."""
    return f"{step}_" if keyword.iskeyword(step) else step


def main(arguments: Sequence[str] = tuple(sys.argv[1:])) -> int:
    """Dispatch to a step; the one place that catches `PipelineError`, and that guards what is printed."""
    with terminal.guarded():
        return _dispatch(arguments)


def _dispatch(arguments: Sequence[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(f"usage: python -m scripts STEP [--help]\n\n{__doc__}\n")
        print("\n".join(f"  {name:10} {what}" for name, what in STEPS.items()))
        return 0
    step, *rest = arguments
    errors = terminal.console(stderr=True, soft_wrap=True)
    if step not in STEPS:
        errors.print(f"unknown step {step!r}: the steps are {', '.join(STEPS)}", style="red")
        return 2
    _answer_signals()
    try:
        module = importlib.import_module(f"scripts.steps.{module_of(step)}")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        code = int(module.main(rest))
    except PipelineError as error:
        terminal.fail(step, error)
        code = 1
    except KeyboardInterrupt:
        _ignore_signals()
        errors.print(f"{step}: interrupted; everything it had started is stopped")
        code = 130
    except BrokenPipeError:  # the reader of our output has gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except Exception:
        errors.print(traceback.format_exc(), style="red")
        errors.print(f"{step}: this program does not expect that; the lines above are needed to mend it")
        code = 1
    _ignore_signals()
    return code


def _answer_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP end a step, whoever started it.

    SIGINT even where it is ignored: a shell has what it runs in the background of a script ignore it, and we say that
    Ctrl-C stops us. But whoever has us ignore SIGHUP (nohup(1)) wants us to go on when the terminal closes.
    """
    last_s = -REPEATED_S

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal last_s
        now_s = time.monotonic()
        repeated, last_s = now_s - last_s < REPEATED_S, now_s
        if not repeated:
            raise KeyboardInterrupt

    for number in ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, interrupt)


def _ignore_signals() -> None:
    """Nothing is left to interrupt: a late Ctrl-C must not change the exit code."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.excepthook = terminal.show_fault
    sys.exit(main())
