"""What the terminal says while a session goes on: what is measured again and why, what is waited for, and how long."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from scripts.model import Profile
from scripts.session.block import Place
from scripts.session.progress import PairedProgress, SessionProgress
from scripts.session.timetable import Timetable
from tests.factories import make_block
from tests.session.test_timetable import Clock
from tests.test_model import taken

PROFILE = Profile(name="x", levels=(10,), rounds=2, duration_s=3.0, warmup_s=2.0)
AGAIN = Place(
    index=1, round=1, backend="fastapi", level=10, attempt=2, settle_s=1, window_s=3, again="others used 0.31 CPUs"
)


def told(kind: type[SessionProgress | PairedProgress], *, live: bool) -> str:
    """What is shown of a disturbed block, the wait after it, its repetition, and one that is not repeated."""
    out, clock = io.StringIO(), Clock()
    console = Console(file=out, width=200, force_terminal=live, markup=False, emoji=False, highlight=False)
    progress = kind(console, PROFILE, {"fastapi": "FastAPI"})
    with progress.shown():
        progress.announced(Timetable(120.0, None, clock))
        progress.measuring(msgspec.structs.replace(AGAIN, attempt=1, again=""), 0)
        progress.measured([msgspec.structs.replace(make_block(), disturbances=taken(0.31))], 1)
        clock.now += 30
        progress.waiting(0.31, 42.0)
        progress.measuring(AGAIN, 1)
        progress.settling(1, "the machine is not calm")
        if live:
            for display in (getattr(progress, "_live", None), getattr(progress, "_status", None)):
                if display is not None:
                    getattr(display, "_live", display).refresh()
    return out.getvalue()


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("kind", [SessionProgress, PairedProgress])
def test_what_is_repeated_and_waited_for_is_said(kind: type[SessionProgress | PairedProgress], live: bool) -> None:
    shown = told(kind, live=live)
    assert "about 2.0 min; at most 3.0 min where something has to be measured again" in shown
    assert "attempt 2" in shown
    assert "others used 0.31 CPUs" in shown
    assert "1 block not measured again, as the machine is not calm" in shown
    assert "about 1.5 min left" in shown, "it runs with the clock"
    if not live:
        assert "waiting, for 42 s at most, to measure again what was disturbed: others take 0.31 CPUs" in shown
        assert "disturbed: others used 0.31 CPUs" in shown
    if live and kind is SessionProgress:
        assert "○" in shown
