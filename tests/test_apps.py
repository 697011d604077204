"""The backends' folders: alike, locked, and on the ports that bench.toml names. What they do is checked by parity."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APPS = ROOT / "apps"
BACKENDS = tomllib.loads((ROOT / "bench.toml").read_text())["backends"]
WORKLOAD = tomllib.loads((ROOT / "bench.toml").read_text())["workload"]
OWN_FILES = {"benchmark/wsgi.py", "benchmark/asgi.py", "benchmark/pool/__init__.py", "benchmark/pool/base.py"}
EXACT = re.compile(r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)", re.MULTILINE)


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(backend: str) -> dict[str, str]:
    return {
        normalised(name): version for name, version in EXACT.findall((APPS / backend / "requirements.txt").read_text())
    }


def test_each_backend_has_a_folder_and_each_folder_a_backend():
    assert {path.name for path in APPS.iterdir() if path.is_dir()} == set(BACKENDS)


def test_backends_have_the_same_files():
    def files(backend: str) -> set[str]:
        found = {p.relative_to(APPS / backend).as_posix() for p in (APPS / backend).rglob("*") if p.is_file()}
        return {name for name in found if "__pycache__" not in name and not name.endswith("Dockerfile")} - OWN_FILES

    assert len({frozenset(files(backend)) for backend in BACKENDS}) == 1


def test_backends_read_their_environment_with_the_same_code():
    assert len({(APPS / backend / "benchmark/environment.py").read_text() for backend in BACKENDS}) == 1


@pytest.mark.parametrize("name", ["exchange_file", "new_person", "run"])
def test_the_common_part_of_the_work_is_the_same_code(name):
    def source(backend: str) -> str:
        text = (APPS / backend / "benchmark/workload.py").read_text()
        found = re.search(rf"^(?:async )?def {name}\(.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
        assert found, f"{backend} has no {name}"
        return re.sub(r"\b(async|await) ", "", found[0]).rstrip()

    assert len({source(backend) for backend in BACKENDS}) == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_endpoints_are_in_the_order_of_the_other_backends(backend):
    views = re.findall(r"^(?:async )?def (\w+)\(", (APPS / backend / "benchmark/views.py").read_text(), re.MULTILINE)
    endpoints = ["io_intensive", "health", "users", "products", "orders", "reset"]
    assert [view for view in views if view in endpoints] == endpoints


@pytest.mark.parametrize("backend", BACKENDS)
def test_addresses_are_those_of_bench_toml(backend):
    settings = BACKENDS[backend]
    wanted = [settings["endpoint"], settings["health"], *settings["lists"], settings["reset"]]
    found = re.findall(r'"(/?[\w/-]*/?)"', (APPS / backend / "benchmark/urls.py").read_text().split("import views")[1])
    assert ["/" + address.lstrip("/") for address in found] == wanted


@pytest.mark.parametrize("backend", BACKENDS)
def test_default_port_is_that_of_bench_toml(backend):
    default = re.search(r'"BIND", "0\.0\.0\.0:(\d+)"', (APPS / backend / "gunicorn.conf.py").read_text())
    assert default
    assert int(default[1]) == BACKENDS[backend]["port"]


def test_default_counts_are_those_of_bench_toml():
    text = (APPS / "fastapi/benchmark/environment.py").read_text()
    found = {name.lower(): int(count) for name, count in re.findall(r'integer\("WORKLOAD_(\w+)", (\d+)', text)}
    assert found == WORKLOAD


@pytest.mark.parametrize("backend", BACKENDS)
def test_lock_has_every_requirement_with_hashes_and_names_no_host(backend):
    lock = (APPS / backend / "requirements.txt").read_text()
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)[1:]
    assert entries
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in lock
    assert "--index" not in lock


@pytest.mark.parametrize("backend", BACKENDS)
def test_lock_agrees_with_requirements_in(backend):
    versions = locked(backend)
    for line in (APPS / backend / "requirements.in").read_text().splitlines():
        if requirement := line.split("#")[0].strip():
            name, _, version = requirement.partition("==")
            assert normalised(name) in versions
            assert version in ("", versions[normalised(name)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_versions_that_a_run_records_are_locked(backend):
    assert {normalised(name) for name in BACKENDS[backend]["packages"]} <= set(locked(backend))


def test_backends_share_the_versions_of_what_they_have_in_common():
    locks = [locked(backend) for backend in BACKENDS]
    for name in {name for lock in locks for name in lock}:
        assert len({lock[name] for lock in locks if name in lock}) == 1, name
