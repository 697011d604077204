"""Counters become what a block cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.stack.limits import Cages
from scripts.stack.meter import Meter, parse_machine
from scripts.stack.process import Process

BUSY = "import time\nwhile time.process_time() < 1.5: pass"


def test_the_first_line_of_proc_stat() -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    machine = parse_machine("cpu  100 20 30 4000 50 6 7 80 9 9\ncpu0 1 1 1\n")
    assert machine.busy_s == pytest.approx(163 / ticks)
    assert machine.steal_s == pytest.approx(80 / ticks)


def test_own_and_foreign_cpu_are_told_apart(tmp_path: Path) -> None:
    """One busy process in the cage, then the same outside it."""
    with Cages(f"bench-test-{os.getpid()}-meter") as cages:
        backend, database = cages.make("backend", "0"), cages.make("database", "0")
        meter = Meter([backend], database, cages.cpu_s)
        with Process("busy", [sys.executable, "-c", BUSY], log=tmp_path / "log", cage=backend) as process:
            assert process.wait(20) == 0
        own = meter.stop()(0, 10)
        assert own.cpu_s == pytest.approx(1.5, rel=0.4)
        assert own.cpu_ms_per_request == pytest.approx(own.cpu_s * 100)
        assert own.peak_memory_mb >= own.mean_memory_mb > 0

        with subprocess.Popen([sys.executable, "-c", BUSY + "\ntime.sleep(20)"]) as stranger:  # still alive at `stop`
            meter = Meter([backend], database, cages.cpu_s)
            time.sleep(1.5)
            foreign = meter.stop()(0, 0)
            stranger.kill()
    assert foreign.cpu_s < 0.05
    assert foreign.cpu_ms_per_request is None
    assert foreign.foreign_cpus > 0.5
    assert foreign.foreign_cpus > own.foreign_cpus + 0.3
