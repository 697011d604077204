"""One suite for every kind of stack: what everything above `scripts.stack` may rely on."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts import config
from scripts.config import Config
from scripts.model import Limits
from scripts.parity.trace import FileTrace
from scripts.stack import Instance, Stack, Target, check_alive, engine, leftovers
from scripts.stack.compose import ComposeStack
from scripts.stack.database import free_port
from scripts.stack.native import NativeStack

pytestmark = pytest.mark.stack

APP = config.ROOT / "apps" / "fastapi"
TIGHT = Limits(cpus=0.2, memory_mb=1024)


def settings() -> Config:
    """fastapi alone, on a port that nobody else wants."""
    whole = config.load()
    backend = msgspec.structs.replace(config.find(whole.backends, "fastapi", "backend"), port=free_port())
    return msgspec.structs.replace(whole, backends=(backend,))


def open_kind(kind: str, wanted: Config, targets: tuple[Target, ...], logs: Path) -> Any:
    stack = {"native": NativeStack, "compose": ComposeStack}[kind]
    return stack(wanted, targets, logs, lambda _: None)


def copy_of_the_app(folder: Path, path: str, old: str, new: str) -> Path:
    """The folder of a fastapi in which ``old`` is replaced by ``new``."""
    shutil.copytree(APP.parent, folder / "apps", ignore=shutil.ignore_patterns("__pycache__"))
    source = folder / "apps" / "fastapi" / path
    assert old in source.read_text(), "the backend no longer says so: change this test with it"
    source.write_text(source.read_text().replace(old, new))
    return folder / "apps" / "fastapi"


@pytest.fixture(scope="module")
def stack(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Two arms of fastapi at once; the baseline has other code, and half of the limits."""
    folder = tmp_path_factory.mktemp(kind)
    other = copy_of_the_app(folder, "benchmark/views.py", '{"status": "ok"}', '{"status": "fine"}')
    wanted = settings()
    (backend,) = wanted.backends
    targets = (
        Target(backend=backend, app=APP),
        Target(backend=backend, app=other, arm="baseline", limits=TIGHT),
    )
    with open_kind(kind, wanted, targets, folder) as stack:
        yield stack
    assert_nothing_left(kind)
    assert (folder / "database.log").stat().st_size > 0
    assert "gunicorn" in (folder / "fastapi_baseline.log").read_text()


@contextlib.contextmanager
def running(instance: Instance) -> Iterator[Instance]:
    instance.thaw()
    try:
        yield instance
    finally:
        instance.freeze()


def ask(instance: Instance, path: str, method: str = "GET", timeout_s: float = 30) -> Any:
    request = urllib.request.Request(instance.url + path, method=method)
    with urllib.request.urlopen(request, timeout=timeout_s) as response:
        return json.load(response)


def work(instance: Instance, requests: int = 20) -> None:
    path = instance.target.backend.endpoint
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        for future in [pool.submit(ask, instance, path, "POST") for _ in range(requests)]:
            assert future.result()["db_operations"] == 8


def assert_nothing_left(kind: str) -> None:
    name = leftovers.session_name()
    assert not list(Path("/dev/shm").glob(f"{name}-*"))
    assert not [path for path in Path("/sys/fs/cgroup").glob(f"*/**/{name}") if path.is_dir()]
    if kind == "compose":
        found = engine.find()
        assert name not in found.projects()
        found.close()


def test_two_arms_are_up_each_with_its_own_code(stack: Stack) -> None:
    assert [instance.target.name for instance in stack.instances] == ["fastapi", "fastapi_baseline"]
    answers = []
    for instance in stack.instances:
        with running(instance):
            answers.append(ask(instance, "/health")["status"])
            assert len(ask(instance, "/users")) == 100
    assert answers == ["ok", "fine"]
    check_alive(stack)


def test_the_environment_says_what_runs(kind: str, stack: Stack) -> None:
    environment = stack.environment
    assert environment.stack == kind
    assert environment.database == "mysql"
    assert int(environment.database_version.split(".")[0]) >= 8
    assert environment.python.startswith("3.")
    assert environment.cgroup in ("v1", "v2")
    lock = (APP / "requirements.txt").read_text()
    for instance in stack.instances:
        assert set(instance.packages) == set(instance.target.backend.packages)
        assert all(f"{name}=={version}" in lock for name, version in instance.packages.items())


def test_what_is_frozen_uses_no_cpu_and_answers_nobody(stack: Stack) -> None:
    instance = stack.instances[0]
    with running(instance):
        work(instance)
    before = instance.cage.cpu_s()
    with pytest.raises((urllib.error.URLError, TimeoutError)):
        ask(instance, "/health", timeout_s=0.5)
    assert instance.cage.cpu_s() == pytest.approx(before, abs=0.001), "what had begun when it was frozen, at most"
    with running(instance):
        assert ask(instance, "/health") == {"status": "ok"}


def test_limits_and_cpus_are_in_force(stack: Stack) -> None:
    assert stack.limited
    candidate, baseline = stack.instances
    assert candidate.cage.limits_in_force() == config.load().limits
    assert baseline.cage.limits_in_force() == TIGHT
    for instance in stack.instances:
        assert instance.cage.pids()
        assert instance.cage.missing() == []
        assert instance.cage.cpus == stack.environment.backend_cpus
    assert stack.database_cage.missing() == []


def test_counters_grow_with_work(stack: Stack) -> None:
    _, baseline = stack.instances
    cage = baseline.cage
    cage.reset_peak()
    own, throttled = cage.cpu_s(), cage.throttled_s()
    database, all_ = stack.database_cage.cpu_s(), stack.cpu_s()
    with running(baseline):
        work(baseline)
        memory = cage.memory_mb()
    assert cage.cpu_s() - own > 0.2
    assert cage.throttled_s() - throttled > 0.1, (
        "a fifth of a CPU is less than this load wants, however slow the database is"
    )
    assert stack.database_cage.cpu_s() - database > 0.05
    assert stack.cpu_s() - all_ >= cage.cpu_s() - own + stack.database_cage.cpu_s() - database - 0.01
    assert 20 < memory < 500
    assert 20 < (cage.peak_memory_mb() or 0) < TIGHT.memory_mb


def test_files_are_seen_from_outside(stack: Stack) -> None:
    instance = stack.instances[0]
    with running(instance):
        work(instance, 1)
        with FileTrace(instance.data_dir) as trace:
            work(instance, 1)
    assert [file.events.split()[0] for file in trace.files] == ["create", "create"]
    assert [file.events.split()[-1] for file in trace.files] == ["delete", "delete"]


def test_a_restart_gives_new_processes_with_the_same_limits(stack: Stack) -> None:
    instance = stack.instances[0]
    before, spent = set(instance.cage.pids()), stack.cpu_s()
    instance.restart(1)
    assert instance.alive
    assert instance.cage.pids()
    assert not before & set(instance.cage.pids())
    assert instance.cage.missing() == []
    assert stack.cpu_s() >= spent
    used = instance.cage.cpu_s()
    time.sleep(0.3)
    assert instance.cage.cpu_s() == pytest.approx(used, abs=0.001), "it is frozen after a restart, as before"
    with running(instance):
        work(instance, 2)


def test_arms_lie_alike_in_memory_and_otherwise_in_the_next_round(stack: Stack) -> None:
    """Addresses, hashes and the environment's size; each process has no address space randomisation."""
    assert not stack.environment.randomised
    seen = []
    for seed in (7, 7, 8):
        for instance in stack.instances:
            instance.restart(seed)
        one, other = map(layouts, stack.instances)
        assert one == other
        assert len(one) >= 2, "gunicorn and its worker"
        seen.append(one)
    assert seen[0] == seen[1], "it follows from the seed"
    assert seen[1] != seen[2]


def layouts(instance: Instance) -> list[tuple[object, ...]]:
    """Of each of the server's processes: personality, hash seed, environment's size, where heap and stack begin."""
    found: list[tuple[object, ...]] = []
    for pid in sorted(instance.cage.pids()):
        process = Path(f"/proc/{pid}")
        if "python" in str((process / "exe").readlink()):  # and not what a container has as its init
            environment = (process / "environ").read_bytes()
            hashes = [value for value in environment.split(b"\0") if value.startswith(b"PYTHONHASHSEED=")]
            lines = (process / "maps").read_text().splitlines()
            areas = {line.split()[-1]: line.split("-")[0] for line in reversed(lines)}  # the first of several
            personality = (process / "personality").read_text().strip()
            assert personality == "00040000"
            found.append((hashes, len(environment) // 16, areas["[heap]"], areas["[vdso]"]))
    return found


def test_arms_that_exchange_places_keep_their_code_and_limits(kind: str, stack: Stack) -> None:
    def place(instance: Instance) -> tuple[object, ...]:
        cage = instance.cage if kind == "native" else None  # a container's is new with each restart
        return instance.slot_number, instance.data_dir, instance.account, cage

    candidate, baseline = stack.instances
    places = [place(i) for i in (candidate, baseline)]
    assert len({number for number, *_ in places}) == 2
    stack.exchange(candidate, baseline)
    for instance in (candidate, baseline):
        instance.restart(2)
    assert [place(i) for i in (baseline, candidate)] == places
    assert candidate.cage.limits_in_force() == config.load().limits
    assert baseline.cage.limits_in_force() == TIGHT
    for instance, status in ((candidate, "ok"), (baseline, "fine")):
        assert instance.cage.pids()
        assert instance.cage.missing() == []
        with running(instance):
            assert ask(instance, "/health") == {"status": status}
            work(instance, 2)
            threads = stack.database.thread_cpu_s(stack.database_cage.pids())
            assert instance.account in {user for user, _ in threads.values()}, "it logs in with its place's account"
