"""Faults of every kind of stack: what has died or does not start is named, and nothing is left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.model import PipelineError
from scripts.parity.trace import query
from scripts.stack import Target, accounts, check_alive
from scripts.stack.process import wait_until
from tests.processes import stopped
from tests.stack.test_stack import APP, assert_nothing_left, copy_of_the_app, open_kind, settings

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


def test_a_database_that_is_stopped_is_said(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives, and takes connections, but nothing that is asked of it is answered."""
    monkeypatch.setattr(accounts, "ANSWER_S", 1.0)
    wanted = settings()
    with open_kind(kind, wanted, (Target(backend=wanted.backends[0], app=APP),), tmp_path) as stack:
        (instance,) = stack.instances
        database, target = stack.database, instance.target
        pids = stack.database_cage.pids()
        with database.connect() as connection:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
            try:
                assert wait_until(lambda: all(map(stopped, pids)), 10)
                with pytest.raises(PipelineError, match="timed out"):
                    query(connection, "SELECT 1")
                asked: list[Callable[[], object]] = [
                    database.connect,
                    database.check_answers,
                    lambda: database.thread_cpu_s([]),
                    lambda: database.create_database_for(target, instance.account),
                ]
                for ask in asked:
                    with pytest.raises(PipelineError, match=r"the server runs but does not answer(.|\n)*ready for"):
                        ask()
            finally:
                for pid in pids:
                    os.kill(pid, signal.SIGCONT)
        database.check_answers()
    assert_nothing_left(kind)
