"""Faults of every kind of stack: what has died or does not start is named, and nothing is left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from scripts.model import PipelineError
from scripts.stack import Target, check_alive
from scripts.stack.process import wait_until
from tests.test_stack import APP, assert_nothing_left, copy_of_the_app, open_kind, settings

pytestmark = pytest.mark.stack


def test_what_has_died_is_named_with_its_log(kind: str, tmp_path: Path) -> None:
    wanted = settings()
    with open_kind(kind, wanted, (Target(backend=wanted.backends[0], app=APP),), tmp_path) as stack:
        (instance,) = stack.instances
        instance.thaw()
        for pid in instance.cage.pids():
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not instance.alive, 10)
        with pytest.raises(PipelineError, match=r"backend fastapi has stopped(.|\n)*Listening at"):
            check_alive(stack)
        for pid in stack.database_cage.pids():
            os.kill(pid, signal.SIGKILL)
        assert wait_until(lambda: not stack.database.alive, 10)
        with pytest.raises(PipelineError, match=r"the database server has stopped(.|\n)*ready for connections"):
            check_alive(stack)
    assert_nothing_left(kind)


def test_what_does_not_start_is_named_with_its_log_which_is_kept(kind: str, tmp_path: Path) -> None:
    broken = copy_of_the_app(tmp_path, "gunicorn.conf.py", "workers = 1", "raise RuntimeError('broken on purpose')")
    wanted = settings()
    logs = tmp_path / "logs"
    logs.mkdir()
    with (
        pytest.raises(PipelineError, match=r"backend fastapi stopped while starting(.|\n)*broken on purpose"),
        open_kind(kind, wanted, (Target(backend=wanted.backends[0], app=broken),), logs),
    ):
        pytest.fail("it is up")
    assert "broken on purpose" in (logs / "fastapi.log").read_text()
    assert_nothing_left(kind)
