"""The main job for real: a short session end to end, and every fault that can meet it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts import records
from scripts.config import ROOT
from scripts.load import k6
from scripts.model import PipelineError
from scripts.stack import engine

pytestmark = pytest.mark.stack

TINY = ("smoke", "--backends", "fastapi", "--levels", "2", "--duration", "1")
SET_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* The wall clock is 0.14 s ahead as soon as the file CLOCK_IS_SET is there. */
int clock_gettime(clockid_t id, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, now);
    if (!result && id == CLOCK_REALTIME && !access(getenv("CLOCK_IS_SET"), F_OK)) {
        now->tv_nsec += 140000000;
        now->tv_sec += now->tv_nsec / 1000000000;
        now->tv_nsec %= 1000000000;
    }
    return result;
}
"""
LONG = ("smoke", "--backends", "fastapi", "--levels", "2,3,4", "--duration", "4")


class Bench:
    """A running ``python -m scripts bench``, its output gathered line by line."""

    def __init__(
        self, *arguments: str, step: str = "bench", stack: str = "native", env: Mapping[str, str] | None = None
    ) -> None:
        self.lines: list[str] = []
        if step in ("bench", "compare", "calibrate"):
            arguments += ("--stack", stack)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts", step, *arguments],
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "300", **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            self.lines.extend(iter(stream.readline, ""))

    @property
    def text(self) -> str:
        return "".join(self.lines)

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + 300  # the first set-up may be part of it
        while words not in self.text:
            assert self.process.poll() is None, self.text
            assert time.monotonic() < deadline, self.text
            time.sleep(0.05)

    def end(self) -> int:
        code = self.process.wait(300)
        self._reader.join(10)
        return code

    def children(self, word: str) -> list[int]:
        """Processes of this session whose command line contains ``word``."""
        return [pid for pid in session_processes(self.process.pid) if word in command_line(pid)]

    def assert_nothing_left(self) -> None:
        assert session_processes(self.process.pid) == []
        assert not list(Path("/dev/shm").glob(f"bench-{self.process.pid}-*"))
        assert not [p for p in Path("/sys/fs/cgroup").glob(f"*/**/bench-{self.process.pid}-*") if p.is_dir()]
        with contextlib.suppress(PipelineError), contextlib.closing(engine.find()) as found:
            assert not [name for name in found.projects() if name.startswith(f"bench-{self.process.pid}-")]


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def session_processes(pid: int) -> list[int]:
    """Living processes that have the session's folder in their command line or environment."""
    mark = f"/dev/shm/bench-{pid}-".encode()
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (path / "cmdline").read_bytes() + (path / "environ").read_bytes():
                found.append(int(path.name))
    return found


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    started: list[Bench] = []

    def start(*arguments: str, **options: Any) -> Bench:
        started.append(Bench(*arguments, **options))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.send_signal(signal.SIGTERM)
        each.end()
        each.assert_nothing_left()


def test_a_session_end_to_end(kind: str, bench: Callable[..., Bench], tmp_path: Path) -> None:
    running = bench("smoke", "--levels", "4", "--duration", "2", "--seed", "7", "--output", str(tmp_path), stack=kind)
    assert running.end() == 0, running.text
    latest = tmp_path / "latest"
    assert latest.is_symlink(), running.text
    run = records.read_run(latest / "run.json")
    assert run.complete
    assert not run.lacking
    assert run.seed == 7
    assert run.limited
    assert run.environment.stack == kind
    assert run.environment.database == "mysql"
    assert latest.resolve().name == run.id
    assert [summary.statements_per_request for summary in run.parity] == [168] * 4
    assert all(not summary.differences for summary in run.parity)
    assert {b.backend for b in run.blocks} == {"fastapi", "django_wsgi", "django_asgi", "fast_django_asgi"}
    for block in run.blocks:
        assert block.load.failed == 0
        assert (latest / block.raw).read_bytes()[:2] == b"\x1f\x8b"
        assert block.resources.cpu_s / block.resources.wall_s < 1.05, "one CPU is the limit"
    study = json.loads((latest / "incremental_benchmark_results.json").read_text())
    assert {row["framework"] for row in study} == {"fastapi", "django_wsgi", "django_asgi", "fast_django_asgi"}
    for name in ("throughput", "error_rate", "cpu_usage", "duration", "total_requests"):
        for ending in ("svg", "png"):
            assert (latest / f"{name}_vs_concurrency.{ending}").stat().st_size > 1000
    for name in ("report.html", "incremental_benchmark_report.md", "parity.json", "logs/database.log"):
        assert (latest / name).exists(), name
    assert not list(tmp_path.glob("*.partial"))

    # what was measured can be recorded once, and its report made again
    for code, words in ((0, "recorded"), (1, "already recorded")):
        again = bench(str(latest), "--history", str(tmp_path / "history"), step="record")
        assert again.end() == code
        assert words in again.text
    (latest / "report.html").unlink()
    assert bench(str(latest), step="report").end() == 0
    assert (latest / "report.html").exists()


def test_a_block_during_which_the_clock_is_set_is_measured_again(bench: Callable[..., Bench], tmp_path: Path) -> None:
    """The session's own process sees its wall clock move; nobody touches that of the machine."""
    library, is_set = tmp_path / "clock.so", tmp_path / "is-set"
    compile_ = ["cc", "-shared", "-fPIC", "-o", str(library), "-x", "c", "-"]
    subprocess.run(compile_, input=SET_CLOCK, text=True, check=True)
    running = bench(
        *("smoke", "--backends", "fastapi", "--levels", "2", "--duration", "3", "--output", str(tmp_path)),
        *("--patience", "1"),
        env={"LD_PRELOAD": str(library), "CLOCK_IS_SET": str(is_set)},
    )
    running.wait_for("[1/1]")
    time.sleep(1.5)
    is_set.touch()
    running.end()
    blocks = records.read_run(tmp_path / "latest" / "run.json").blocks
    assert len(blocks) >= 2, running.text
    said = [violation for violation in blocks[0].violations if violation.rule == "clock"]
    assert "moved by +140.0 ms against the steady one" in said[0].detail
    assert all(violation.rule != "clock" for block in blocks[1:] for violation in block.violations)


def test_with_a_neighbour_that_never_rests_there_is_an_answer_in_time(
    bench: Callable[..., Bench], tmp_path: Path, neighbour: None
) -> None:
    arguments = ("smoke", "--backends", "fastapi,django_wsgi", "--levels", "5", "--rounds", "2")
    running = bench(*arguments, "--output", str(tmp_path))
    running.wait_for(" min; at most ")
    began = time.monotonic()
    running.wait_for("Throughput in requests/s")
    took_s = time.monotonic() - began
    assert running.end() == 0, running.text
    announced, most = map(float, re.findall(r"about ([\d.]+) min; at most ([\d.]+) min", running.text)[0])
    assert most == pytest.approx(1.5 * announced, abs=0.1)
    assert took_s <= 60 * (1.5 * announced + 0.1), running.text  # as rounded to a tenth of a minute; with the report
    run = records.read_run(tmp_path / "latest" / "run.json")
    assert not run.lacking
    assert {(b.backend, b.level, b.round) for b in run.blocks if b.valid} == {
        (backend, 5, number) for backend in run.backends for number in (1, 2)
    }
    disturbed = [block for block in run.counting if block.disturbances]
    assert len(disturbed) == len(run.counting)
    assert {one.rule for block in disturbed for one in block.disturbances} >= {"foreign"}
    assert re.search(r"requests/s .*disturbed: others used \d\.\d\d CPUs", running.text), running.text
    assert re.search(r"not measured again, as the (machine is not calm|time is over)", running.text), running.text
    assert re.search(r"blocks disturbed", running.text), running.text


@pytest.fixture
def neighbour() -> Iterator[None]:
    """Something else takes 30% of each core, until the test is over, and never for longer than ten minutes."""
    code = "import os,sys,time\nos.sched_setaffinity(0,{int(sys.argv[1])})\nend=time.monotonic()+600\n"
    code += "while time.monotonic()<end:\n b=time.thread_time()\n while time.thread_time()-b<.03:pass\n time.sleep(.07)"
    busy = [subprocess.Popen([sys.executable, "-c", code, str(cpu)]) for cpu in os.sched_getaffinity(0)]
    yield
    for each in busy:
        each.kill()
        each.wait()


def test_statements_are_not_traced_while_measuring(bench: Callable[..., Bench], tmp_path: Path) -> None:
    import pymysql

    running = bench(*LONG, "--output", str(tmp_path))
    running.wait_for("[2/3]")
    where = next(Path("/dev/shm").glob(f"bench-{running.process.pid}-*/*/server.sock"))
    with pymysql.connect(unix_socket=str(where), user="root") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM performance_schema.setup_instruments "
            "WHERE name LIKE 'statement/%' AND enabled = 'YES' AND name NOT LIKE '%abstract%'"
        )
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT COUNT(*) FROM performance_schema.setup_consumers WHERE enabled = 'YES'")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT @@general_log")
        assert cursor.fetchone() == (0,)


@pytest.fixture
def strict(tmp_path: Path) -> dict[str, str]:
    """A project in which no block is valid: k6 may use no CPU."""
    project = tmp_path / "project"
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, project], check=True)
    settings = project / "bench.toml"
    text, replaced = re.subn(r"generator_cpus = 0.8", "generator_cpus = 0.0001", settings.read_text())
    assert replaced
    settings.write_text(text)
    return {"BENCH_PROJECT": str(project)}


def test_a_session_of_which_nothing_counts_has_failed(
    bench: Callable[..., Bench], tmp_path: Path, strict: dict[str, str]
) -> None:
    running = bench(*TINY, "--output", str(tmp_path / "results"), env=strict)
    assert running.end() == 1, running.text
    assert "No block is valid: there is no result." in running.text
    assert re.search(r"no valid block of FastAPI \(.*generator 1x", running.text), running.text
    assert "mend this, then measure again: k6 used" in running.text
    latest = tmp_path / "results" / "latest"
    assert (latest / "report.html").exists()
    again = bench(str(latest), "--history", str(tmp_path / "history"), step="record", env=strict)
    assert again.end() == 1
    assert "nothing of it counts" in again.text
    assert not (tmp_path / "history").exists()


def test_a_comparison_of_which_nothing_counts_has_failed(
    bench: Callable[..., Bench], tmp_path: Path, strict: dict[str, str]
) -> None:
    arguments = ("HEAD", "HEAD", "--backends", "fastapi", "--rounds", "2", "--duration", "1", "--levels", "2")
    running = bench(*arguments, "--output", str(tmp_path / "results"), step="compare", env=strict)
    assert running.end() == 1, running.text
    assert "Invalid in FastAPI: nothing can be said; measure again." in running.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("qiuck",), ("unknown profile 'qiuck'", "did you mean 'quick'")),
        (("smoke", "--backends", "flask"), ("unknown backend 'flask'", "django_wsgi")),
        (("smoke", "--levels", "ten"), ("--levels ten", "separate them by commas")),
        (("smoke", "--rounds", "0"), ("--rounds 0: must be at least 1",)),
        (("smoke", "--output", "/proc/nowhere"), ("/proc/nowhere", "choose a folder with --output")),
    ],
)
def test_a_wrong_argument_is_named(
    bench: Callable[..., Bench], arguments: tuple[str, ...], words: tuple[str, ...]
) -> None:
    running = bench(*arguments)
    assert running.end() == 1
    for word in words:
        assert word in running.text


def test_a_busy_port(bench: Callable[..., Bench], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 18000)):
        running = bench(*TINY, "--output", str(tmp_path))
        assert running.end() == 1
    assert "port 18000 of backend fastapi is in use" in running.text
    assert "ss -ltnp" in running.text


def test_a_backend_that_does_not_start(bench: Callable[..., Bench], tmp_path: Path) -> None:
    apps = tmp_path / "apps"
    shutil.copytree(ROOT / "apps", apps)
    (apps / "fastapi" / "gunicorn.conf.py").write_text("raise RuntimeError('broken on purpose')\n")
    running = bench(*TINY, "--tree", str(tmp_path), "--output", str(tmp_path / "results"))
    assert running.end() == 1
    assert "backend fastapi stopped while starting" in running.text
    assert "broken on purpose" in running.text
    log = next((tmp_path / "results").glob("*.failed/logs/fastapi.log"))
    assert f"the logs are in {log.parent}" in running.text
    assert "broken on purpose" in log.read_text()


@pytest.mark.parametrize(
    ("word", "message"),
    [("gunicorn", "backend fastapi has stopped"), ("--datadir", "the database server has stopped")],
)
def test_something_dies_in_the_middle(bench: Callable[..., Bench], tmp_path: Path, word: str, message: str) -> None:
    running = bench(*LONG, "--output", str(tmp_path))
    running.wait_for("[2/3]")
    time.sleep(1)
    for pid in running.children(word):
        os.kill(pid, signal.SIGKILL)
    assert running.end() == 1
    assert message in running.text
    run = records.read_run(next(tmp_path.glob("2*/run.json")))
    assert not run.complete
    assert run.blocks
    assert message in run.stopped_by


def test_a_killed_k6_is_started_again(bench: Callable[..., Bench], tmp_path: Path) -> None:
    running = bench(*LONG, "--output", str(tmp_path))
    for words, number in (("warming up", signal.SIGKILL), ("[2/3]", signal.SIGTERM)):
        running.wait_for(words)
        time.sleep(0.7)
        groups = Path("/sys/fs/cgroup").glob(f"cpu*/**/bench-{running.process.pid}-*/generator/cgroup.procs")
        (pid,) = {int(pid) for group in groups for pid in group.read_text().split()}
        os.kill(pid, number)
    assert running.end() == 0, running.text
    assert running.text.count("measured again: k6 was ended by SIGKILL before its load was over") == 1
    assert running.text.count("measured again: k6 was ended by a signal before its load was over") == 1
    run = records.read_run(tmp_path / "latest" / "run.json")
    assert run.complete
    assert {block.index for block in run.blocks} == {1, 2, 3}
    assert not list((tmp_path / "latest" / "logs").glob("k6-*"))


@pytest.mark.parametrize(("loads", "blocks"), [(0, 0), (2, 1)])
def test_a_k6_that_always_dies(bench: Callable[..., Bench], tmp_path: Path, loads: int, blocks: int) -> None:
    """After so many loads it kills itself whenever it is started."""
    real = k6.find(os.environ.get("K6")).path
    fake = tmp_path / "k6"
    fake.write_text(
        f"#!/bin/sh\n[ $1 = version ] && exec {real} version\necho >>{tmp_path}/loads\n"
        f"[ $(wc -l <{tmp_path}/loads) -le {loads} ] && exec {real} \"$@\"\necho 'a last word'\nkill -KILL $$\n"
    )
    fake.chmod(0o755)
    running = bench(*LONG, "--output", str(tmp_path / "results"), env={"K6": str(fake)})
    assert running.end() == 1, running.text
    assert running.text.count("measured again: k6 was ended by SIGKILL") == 2
    assert re.search(r"a last word\s+3 times in a row", running.text), running.text
    (folder,) = (path for path in (tmp_path / "results").glob("2*") if path.is_dir())
    (log,) = folder.glob("logs/k6-*.log")
    assert f"k6's log is logs/{log.name} in the session's folder" in running.text
    assert "a last word" in log.read_text()
    if blocks:
        assert "1 finished block kept in" in running.text
        assert len(records.read_run(folder / "run.json").blocks) == blocks
    else:
        assert folder.suffix == ".failed"
        assert f"the logs are in {log.parent}" in running.text


def test_a_database_that_stops_answering(bench: Callable[..., Bench], tmp_path: Path) -> None:
    running = bench(*TINY, "--levels", "2,3", "--output", str(tmp_path))
    running.wait_for("[1/2]")
    time.sleep(1.0)  # the block is on its way, or just over; before it the database is made new
    for pid in running.children("--datadir"):
        os.kill(pid, signal.SIGSTOP)
    assert running.end() == 1, running.text  # after a minute, in which k6 waits for answers: an invalid block
    assert "1 finished block kept in" in running.text, running.text
    assert "database: the server runs but does not answer" in running.text


def test_waiting_for_another_session_is_said_and_interrupted(bench: Callable[..., Bench], tmp_path: Path) -> None:
    with contextlib.ExitStack() as held:
        for path in (ROOT / ".cache" / "environments").glob("fastapi-*.lock"):
            fcntl.flock(held.enter_context(path.open("a")), fcntl.LOCK_EX)
        running = bench(*TINY, "--output", str(tmp_path))
        running.wait_for("waiting for the environment of fastapi: ")
        began = time.monotonic()
        running.process.send_signal(signal.SIGINT)
        assert running.end() == 130
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("moment", ["providing", "proving parity", "warming up", "[1/3]", "[2/3]"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_at_any_moment(
    bench: Callable[..., Bench], tmp_path: Path, moment: str, number: signal.Signals
) -> None:
    running = bench(*LONG, "--output", str(tmp_path))
    running.wait_for(moment)
    time.sleep(0.5)
    running.process.send_signal(number)
    time.sleep(0.2)
    running.process.send_signal(number)  # impatience changes nothing
    assert running.end() == 130, running.text
    assert not list(tmp_path.glob("*.partial"))
    if moment == "[2/3]":
        assert re.search(r"\d finished blocks? kept in ", running.text)
        assert records.read_run(tmp_path / "latest" / "run.json").blocks


def test_a_killed_session_leaves_no_process_and_its_blocks(bench: Callable[..., Bench], tmp_path: Path) -> None:
    two = ("smoke", "--backends", "fastapi,django_wsgi", "--levels", "2,3", "--duration", "4")  # one is frozen
    running = bench(*two, "--output", str(tmp_path))
    running.wait_for("[2/4]")
    running.process.kill()
    running.end()
    deadline = time.monotonic() + 10
    while session_processes(running.process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert session_processes(running.process.pid) == []

    after = bench(*TINY, "--output", str(tmp_path))  # the next session removes what could not be removed then
    assert after.end() == 0, after.text
    assert "is left of a killed session" in after.text
    running.assert_nothing_left()
    partial = next(tmp_path.glob("*.partial"))
    assert bench(str(partial), step="report").end() == 0
    assert (partial / "report.html").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk(bench: Callable[..., Bench], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", disk], check=True)
    try:
        running = bench(*LONG, "--output", str(disk))
        running.wait_for("[2/3]")
        with contextlib.suppress(OSError), (disk / "filler").open("wb") as filler:
            while True:
                filler.write(bytes(1 << 20))
        assert running.end() == 1
        assert "is full" in running.text or "No space left on device" in running.text, running.text
        assert re.search(r"\d finished blocks? kept in ", running.text), running.text
        (disk / "filler").unlink()
        run = records.read_run(next(disk.glob("2*/run.json")))
        assert len(run.blocks) >= 1
        assert not run.complete
    finally:
        subprocess.run(["umount", disk], check=True)
