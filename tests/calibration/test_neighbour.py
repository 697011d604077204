"""A neighbour for real: it takes what it says, where and how it says, and it is gone afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from scripts.calibration import neighbour
from scripts.calibration.neighbour import Neighbour, beside, bursts, cores, kinds, parse
from scripts.config import ROOT
from scripts.cpus import parse_cpu_list
from scripts.model import Environment, PipelineError
from scripts.stack.process import wait_until
from tests.factories import make_run
from tests.processes import running

LAST = max(os.sched_getaffinity(0))
FIRST = min(os.sched_getaffinity(0))


def environment() -> Environment:
    return msgspec.structs.replace(
        make_run().environment, backend_cpus=str(LAST), database_cpus=str(FIRST), generator_cpus=str(FIRST)
    )


def programs() -> Sequence[int]:
    return running("scripts.calibration.neighbour")


@pytest.mark.parametrize("one", kinds(), ids=lambda one: one.text)
def test_a_kind_is_written_as_it_is_read(one: Neighbour) -> None:
    assert parse(one.text) == one


def test_every_kind_that_is_wanted_is_there_once() -> None:
    found = [one.text for one in kinds()]
    assert len(set(found)) == len(found) == 3 * 2 * 3 + 3
    assert {(one.where, one.how) for one in kinds()[:9]} == set(
        itertools.product(("backend", "other", "both"), ("steady", "bursts", "caches"))
    ), "each way and core first, then the sizes"


@pytest.mark.parametrize(
    "text", ["", "backend", "backend:0", "backend:1", "backend:x", "moon:0.3", "both:0.3:often", "both:0.3:steady:1"]
)
def test_what_is_no_neighbour_is_explained(text: str) -> None:
    with pytest.raises(PipelineError, match="no neighbour") as caught:
        parse(text)
    assert "backend:0.3:bursts" in caught.value.hint


def test_it_is_on_the_core_that_it_says() -> None:
    around = environment()
    assert cores("backend", around) == [LAST]
    assert cores("other", around) == [FIRST]
    assert cores("both", around) == list(dict.fromkeys([LAST, FIRST]))
    alone = msgspec.structs.replace(around, database_cpus=str(LAST))
    assert cores("both", alone) == cores("other", alone) == [LAST], "a machine with one core"


def test_bursts_are_bursts() -> None:
    found = list(itertools.islice(bursts(0.3, 7), 200))
    assert found == list(itertools.islice(bursts(0.3, 7), 200)), "they follow from the seed"
    assert found != list(itertools.islice(bursts(0.3, 8), 200))
    assert all(0.2 <= busy <= 5 for busy, _ in found)
    assert min(busy for busy, _ in found) < 0.4
    assert max(busy for busy, _ in found) > 3
    busy, idle = (sum(part) for part in zip(*found, strict=True))
    assert busy / (busy + idle) == pytest.approx(0.3)


@contextlib.contextmanager
def sampled(one: Neighbour, seconds: float, step_s: float) -> Iterator[list[float]]:
    """The share of a core that it took in each of many short spans."""
    shares: list[float] = []
    with beside(one, 3, environment()) as taken:
        assert wait_until(lambda: taken().cpus > 0 and len(programs()) == len(cores(one.where, environment())), 10)
        time.sleep(2)  # until Python has started, and has its memory
        (pid, *_) = programs()
        assert {frozenset(os.sched_getaffinity(pid)) for pid in programs()} == {
            frozenset({cpu}) for cpu in cores(one.where, environment())
        }
        before, began = neighbour._cpu_s(pid), time.monotonic()
        for number in range(1, int(seconds / step_s) + 1):
            time.sleep(max(0.0, began + number * step_s - time.monotonic()))
            now = neighbour._cpu_s(pid)
            shares.append((now - before) / step_s)
            before = now
    yield shares


def takes(one: Neighbour, seconds: float, step_s: float, is_right: Callable[[list[float]], bool]) -> bool:
    """Whether it takes what it says in one of a few tries: others may take it from the neighbour, too."""
    for _ in range(4):
        with sampled(one, seconds, step_s) as shares:
            right = is_right(shares)
        assert wait_until(lambda: not programs(), 5)
        if right:
            return True
    return False


@pytest.mark.stack
@pytest.mark.parametrize("text", ["backend:0.1", "other:0.3", "both:0.5", "backend:0.3:caches"])
def test_it_takes_what_it_says(text: str) -> None:
    """In every half second: it is steady."""
    one = parse(text)

    def is_right(shares: list[float]) -> bool:
        near = sum(share == pytest.approx(one.share, abs=0.12) for share in shares)
        return near >= len(shares) - 1 and sum(shares) / len(shares) == pytest.approx(one.share, abs=0.06)

    assert takes(one, 3.0, 0.5, is_right)


@pytest.mark.stack
def test_in_bursts_it_takes_a_core_or_nothing() -> None:
    def is_right(shares: list[float]) -> bool:
        much, little = sum(share > 0.8 for share in shares), sum(share < 0.1 for share in shares)
        few = sum(shares) / len(shares) == pytest.approx(0.5, abs=0.25)  # bursts only
        return bool(much and little and much + little > 0.8 * len(shares) and few)

    assert takes(parse("backend:0.5:bursts"), 12.0, 0.05, is_right)


@pytest.mark.stack
def test_it_is_gone_after_its_time_and_a_session_that_goes_on_says_so() -> None:
    def session() -> None:
        with beside(parse("backend:0.1"), 1, environment(), longest_s=0.2):
            assert wait_until(lambda: bool(programs()), 10)
            assert wait_until(lambda: not programs(), 10)
            time.sleep(0.2)

    with pytest.raises(PipelineError, match=r"the neighbour backend:0\.1:steady has ended with code 0 before"):
        session()


@pytest.mark.stack
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_is_gone_when_the_session_is_killed(number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "session.py"
    script.write_text(
        "import time\n"
        "from tests.calibration.test_neighbour import *\n"
        "with beside(parse('both:0.3'), 1, environment()):\n"
        "    time.sleep(60)\n"
    )
    session = subprocess.Popen([sys.executable, str(script)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        wanted = len(parse_cpu_list(f"{FIRST},{LAST}"))
        assert wait_until(lambda: len(programs()) == wanted, 20)
        session.send_signal(number)
        session.wait(10)
        assert wait_until(lambda: not programs(), 5)
    finally:
        session.kill()
        session.wait()
