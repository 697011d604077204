"""Sessions in containers: what can go wrong is named, its log is kept, and nothing is left behind."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from scripts import config, records
from scripts.config import ROOT
from scripts.model import Arm, PipelineError
from scripts.stack import Target, composition, engine, leftovers, seccomp
from scripts.stack.compose import ComposeStack
from scripts.stack.process import wait_until
from tests.processes import running as processes_with
from tests.steps.test_bench import LONG, TINY, Bench, bench, session_processes

__all__ = ["bench"]  # a fixture

pytestmark = [pytest.mark.stack, pytest.mark.docker, pytest.mark.usefixtures("compose")]

Start = Callable[..., Bench]
PORTS = {str(backend.port) for backend in config.load().backends}


@pytest.fixture
def found() -> Iterator[engine.Engine]:
    with contextlib.closing(engine.find()) as engine_:
        yield engine_


@pytest.mark.parametrize("moment", ["building", "starting MySQL", "starting FastAPI", "proving parity", "[2/3]"])
def test_an_interruption_at_any_moment(bench: Start, tmp_path: Path, moment: str) -> None:
    running = bench(*LONG, "--output", str(tmp_path), stack="compose")
    running.wait_for(moment)
    time.sleep(0.3)
    running.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    running.process.send_signal(signal.SIGINT)  # impatience changes nothing
    assert running.end() == 130, running.text
    assert not list(tmp_path.glob("*.partial"))
    running.assert_nothing_left()


def test_the_next_session_removes_what_a_killed_one_left(bench: Start, tmp_path: Path, found: engine.Engine) -> None:
    running = bench(*LONG, "--output", str(tmp_path), "--durability", "disk", stack="compose")
    running.wait_for("[2/3]")
    project = leftovers.name_of(running.process.pid)
    running.process.kill()
    running.end()
    assert wait_until(lambda: session_processes(running.process.pid) == [], 10)
    assert project in found.projects()

    after = bench(*TINY, "--output", str(tmp_path), stack="compose")
    assert after.end() == 0, after.text
    assert project not in found.projects()
    running.assert_nothing_left()
    assert records.read_run(next(tmp_path.glob("*.partial")) / "run.json").environment.durability == "disk"


CALLS = """\
import ctypes, json, os
c = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    return c.syscall(number, *map(ctypes.c_ulong, arguments)) >= 0 or ctypes.get_errno()
found = {
    "no randomisation": call(135, 0x40000),
    "as it is": call(135, 0xFFFFFFFF),
    "another personality": call(135, 0x8),
    "socket": call(41, 2, 1, 0),
    "vsock": call(41, 40, 1, 0),
    "unshare": call(272, 0x10000000),
    "clone3": call(435, 0, 0),
    "mount": call(165, 0, 0, 0, 0, 0),
    "bpf": call(321, 0, 0, 0),
    "perf_event_open": call(298, 0, 0, 0, 0, 0),
    "keyctl": call(250, 0, 0, 0, 0, 0),
    "io_uring_setup": call(425, 1, 0),
    "userfaultfd": call(323, 0),
    "ptrace": call(101, 0, 0, 0, 0),
}
print(json.dumps(found))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of its system calls")
def test_the_profile_of_calls_lets_personality_through_and_little_else(tmp_path: Path, found: engine.Engine) -> None:
    file = tmp_path / "seccomp.json"
    file.write_text(json.dumps(seccomp.profile()))
    image = composition.base_images(found.read(ROOT / "docker-compose.yml"))[-1]
    closed = ["--rm", "--read-only", "--cap-drop=ALL", "--user=10001", "--security-opt=no-new-privileges:true"]
    command = ["docker", "run", *closed, f"--security-opt=seccomp={file}", image, "python3", "-c", CALLS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    allowed = {name for name, answer in said.items() if answer is True}
    assert allowed == {"no randomisation", "as it is", "socket"}
    assert said.pop("clone3") == errno.ENOSYS, "libraries then take clone, whose flags can be seen"
    assert {answer for name, answer in said.items() if name not in allowed} == {errno.EPERM}


def test_an_engine_that_refuses_a_layout_leaves_it_to_chance_and_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine.Engine, "filters_calls", lambda _: False)  # so its own profile stays in force
    backend = config.find(config.load().backends, "fastapi", "backend")
    settings = msgspec.structs.replace(config.load(), backends=(backend,))
    arms: tuple[Arm, ...] = ("candidate", "baseline")
    said: list[str] = []
    targets = [Target.of(backend, ROOT, arm) for arm in arms]
    with ComposeStack(settings, targets, tmp_path, said.append) as stack:
        assert stack.environment.randomised
        for instance in stack.instances:
            instance.restart(7)
        hashes = [
            re.findall(rb"PYTHONHASHSEED=\d+", Path(f"/proc/{instance.cage.pids()[-1]}/environ").read_bytes())
            for instance in stack.instances
        ]
        assert hashes[0] == hashes[1] != []
    assert any("left to chance" in line for line in said)


def test_dollars_of_a_path_or_a_value_are_none_of_composes(found: engine.Engine, tmp_path: Path) -> None:
    folder = tmp_path / "a $HOME b"
    folder.mkdir()
    file = folder / "compose.json"
    model = {
        "services": {"x": {"image": "y", "environment": {"A": "$HOME ${B} $$"}, "build": {"context": str(folder)}}}
    }
    found.write(model, file)
    (service,) = found.read(file)["services"].values()
    assert service["environment"] == {"A": "$HOME ${B} $$"}
    assert service["build"]["context"] == str(folder)


def test_a_stopped_engine_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: engine.Engine
) -> None:
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\nsleep 60.625\n")
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(engine, "TIMEOUT_S", 0.5)
    file = tmp_path / "compose.json"
    file.write_text("{}")
    with pytest.raises(PipelineError, match=r"`docker compose .*` has not ended after 0.5 s"):
        found.read(file)
    with pytest.raises(PipelineError, match=r"docker compose has not ended after 0.5 s"):
        found.up("bench-tests-x", file, ["x"], tmp_path)
    assert wait_until(lambda: not processes_with("60.625"), 10)


def test_an_image_that_cannot_be_built_is_named_with_its_log(bench: Start, tmp_path: Path) -> None:
    apps = tmp_path / "apps"
    shutil.copytree(ROOT / "apps", apps)
    lock = apps / "fastapi" / "requirements.txt"
    lock.write_text(lock.read_text().replace("--hash=sha256:", "--hash=sha256:00"))
    running = bench(*TINY, "--tree", str(tmp_path), "--output", str(tmp_path / "results"), stack="compose")
    assert running.end() == 1
    assert "the image of fastapi could not be built" in running.text
    assert "sha256" in running.text
    log = next((tmp_path / "results").glob("*.failed/logs/build-fastapi.log"))
    assert "sha256" in log.read_text()


def test_a_base_image_that_is_absent_is_named(bench: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MYSQL_IMAGE", "local/no-such-image:1")
    running = bench(*TINY, "--output", str(tmp_path), stack="compose")
    assert running.end() == 1
    assert "the image local/no-such-image:1 is not here and could not be fetched" in running.text


def test_superseded_images_are_removed(tmp_path: Path, found: engine.Engine) -> None:
    def dangling() -> list[str]:
        search = ["docker", "images", "--quiet", "--filter", "dangling=true", "--filter", f"label={engine.IMAGE}"]
        return subprocess.run(search, capture_output=True, text=True, check=True).stdout.split()

    build = ["docker", "build", "--quiet", "--tag", "bench-test/superseded", "-"]
    for value in ("1", "2"):
        text = f"FROM scratch\nLABEL {engine.IMAGE} number={value}\n"
        subprocess.run(build, input=text, text=True, check=True)
    assert dangling()
    found.remove_superseded_images()
    assert not dangling()
    subprocess.run(["docker", "image", "rm", "bench-test/superseded"], check=True)


def test_a_changed_backend_is_rebuilt_alone_and_in_seconds(tmp_path: Path, found: engine.Engine) -> None:
    apps = tmp_path / "apps"
    shutil.copytree(ROOT / "apps", apps)
    model = found.read(ROOT / "docker-compose.yml")
    for name, service in model["services"].items():
        if "build" in service:
            service["build"] |= {"context": str(apps / name), "dockerfile": str(ROOT / "apps/Dockerfile")}
            service["image"] = f"bench-test/{name}"
    file = tmp_path / "compose.json"
    file.write_text(json.dumps(model))
    names = [backend.name for backend in config.load().backends]

    def build() -> tuple[dict[str, str], float]:
        began = time.monotonic()
        found.build("bench-test", file, names, tmp_path)
        inspect = ["docker", "image", "inspect", "--format", "{{.Id}}", *(f"bench-test/{name}" for name in names)]
        lines = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.split()
        return dict(zip(names, lines, strict=True)), time.monotonic() - began

    before, _ = build()
    with (apps / "fastapi/benchmark/views.py").open("a") as source:
        source.write("# changed\n")
    (apps / "fastapi/benchmark/__pycache__").mkdir(exist_ok=True)
    (apps / "django_wsgi/benchmark/__pycache__").mkdir(exist_ok=True)
    (apps / "django_wsgi/benchmark/__pycache__/x.pyc").write_text("not part of the image")
    after, seconds = build()
    assert {name for name in names if before[name] != after[name]} == {"fastapi"}
    assert seconds < 20
    subprocess.run(["docker", "image", "rm", *(f"bench-test/{name}" for name in names)], check=True)


def test_the_file_works_by_itself(tmp_path: Path) -> None:
    """``docker compose up --wait``, for people who never touch nox."""
    project = f"bench-{os.getpid()}"
    compose = ["docker", "compose", "--project-name", project]
    try:
        subprocess.run([*compose, "up", "--build", "--wait"], cwd=ROOT, check=True, timeout=300)
        for backend in config.load().backends:
            url = f"http://127.0.0.1:{backend.port}"
            request = urllib.request.Request(url + backend.endpoint, method="POST")
            with urllib.request.urlopen(request, timeout=30) as response:
                assert json.load(response)["db_operations"] == 8
            with urllib.request.urlopen(url + backend.lists[0], timeout=30) as response:
                assert len(json.load(response)) == 100
            inside = [*compose, "exec", "-T", backend.name]
            who = subprocess.run([*inside, "id", "-u"], cwd=ROOT, capture_output=True, text=True, check=True)
            assert who.stdout.strip() == "10001"
            assert subprocess.run([*inside, "sh", "-c", "command -v gcc cc"], cwd=ROOT, check=False).returncode
            assert subprocess.run([*inside, "touch", "/app/x"], cwd=ROOT, check=False).returncode
        listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True, check=True).stdout
        ours = [line.split()[3] for line in listening.splitlines() if line.split()[3].rpartition(":")[2] in PORTS]
        assert sorted(ours) == sorted(f"127.0.0.1:{port}" for port in PORTS)
    finally:
        subprocess.run([*compose, "down", "--volumes", "--rmi", "local"], cwd=ROOT, check=True, timeout=120)
    with contextlib.closing(engine.find()) as found:
        assert project not in found.projects()
