"""docker-compose.yml says what bench.toml says, and becomes what a session needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from scripts import config
from scripts.config import ROOT
from scripts.model import Limits, PipelineError
from scripts.stack import Target, candidates, composition
from scripts.stack.composition import Place, Slot, base_images
from scripts.stack.cores import Cpus
from scripts.stack.database import server_options
from scripts.stack.layout import lay_out

SETTINGS = config.load()
CPUS = Cpus("3", "0-1", "2")
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def read() -> dict[str, Any]:
    """The file with the defaults of its variables, as ``docker compose config`` gives it (but for paths and units)."""
    text = DEFAULT.sub(r"\1", (ROOT / "docker-compose.yml").read_text())
    model: dict[str, Any] = YAML(typ="safe").load(text)
    return model


FILE = read()
SERVICES = FILE["services"]


def place(targets: tuple[Target, ...], folder: Path = Path("/dev/shm/bench-7-x")) -> Place:
    slots = {
        t.name: Slot(n, 20000 + n, folder / f"{n:02}", t.name, {"DATABASE_PASSWORD": f"secret of {t.name}"})
        for n, t in enumerate(targets)
    }
    return Place(slots=slots, database_port=30000, folder=folder)


@pytest.mark.parametrize("backend", SETTINGS.backends, ids=lambda backend: backend.name)
def test_the_file_is_as_bench_toml(backend):
    service = SERVICES[backend.name]
    assert service["ports"] == [f"127.0.0.1:{backend.port}:{backend.port}"]
    assert service["cpus"] == SETTINGS.limits.cpus
    assert service["mem_limit"] == service["memswap_limit"] == f"{SETTINGS.limits.memory_mb // 1024}g"
    assert service["build"]["context"] == f"apps/{backend.name}"
    assert service["build"]["args"]["HEALTH_URL"] == f"http://127.0.0.1:{backend.port}{backend.health}"
    assert service["environment"]["DATABASE_NAME"] == service["environment"]["DATABASE_USER"] == backend.name


def test_the_database_is_as_in_the_native_stack():
    mysql = SERVICES[composition.DATABASE]
    assert mysql["command"] == server_options("mysql", SETTINGS.database)
    assert mysql["environment"]["BACKENDS"].split() == [backend.name for backend in SETTINGS.backends]
    assert "ports" not in mysql


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_closed_off(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not service.keys() & {"privileged", "network_mode", "pid", "devices"}
    assert ("cap_add" in service) == (name == composition.DATABASE)


def test_base_images_can_be_replaced():
    text = (ROOT / "docker-compose.yml").read_text()
    assert "${MYSQL_IMAGE:-mysql:8.4}" in text
    assert "${PYTHON_IMAGE:-python:3.13-slim-trixie}" in text
    assert base_images(FILE) == ["mysql:8.4", "python:3.13-slim-trixie"]


def test_two_arms_of_a_backend_differ_in_what_they_must():
    first = candidates(SETTINGS, ROOT)[0]
    other = Target(backend=first.backend, app=Path("/elsewhere/fastapi"), arm="baseline", limits=Limits(cpus=0.5))
    model = composition.compose(FILE, SETTINGS, (first, other), CPUS, place((first, other)))
    services = model["services"]
    assert list(services) == ["mysql", "fastapi", "fastapi_baseline"]
    one, two = services["fastapi"], services["fastapi_baseline"]
    assert (one["image"], two["image"]) == ("bench/fastapi:candidate", "bench/fastapi:baseline")
    assert (one["build"]["context"], two["build"]["context"]) == (str(ROOT / "apps/fastapi"), "/elsewhere/fastapi")
    assert (one["cpus"], two["cpus"]) == (1.0, 0.5)
    assert one["ports"][0] | {"published": "", "target": 0} == two["ports"][0] | {"published": "", "target": 0}
    assert (one["ports"][0]["published"], two["ports"][0]["published"]) == ("20000", "20001")
    assert two["environment"]["BIND"] == one["environment"]["BIND"] == "0.0.0.0:18000"
    assert two["environment"]["DATABASE_PASSWORD"] == "secret of fastapi_baseline"
    assert [v["source"] for v in (one["volumes"][0], two["volumes"][0])] == [
        "/dev/shm/bench-7-x/00",
        "/dev/shm/bench-7-x/01",
    ]
    unlike = {key for key in one if one[key] != two[key]}
    assert unlike == {"image", "build", "cpus", "ports", "environment", "volumes"}


def test_a_session_pins_and_checks_nothing_inside():
    targets = candidates(SETTINGS, ROOT)
    services = composition.compose(FILE, SETTINGS, targets, CPUS, place(targets))["services"]
    for name, service in services.items():
        assert service["healthcheck"] == {"disable": True}
        assert service["cpuset"] == (CPUS.database if name == "mysql" else CPUS.backend)
        assert all(port["host_ip"] == "127.0.0.1" for port in service["ports"])
        assert "depends_on" not in service
    assert services["fastapi"]["environment"]["WORKLOAD_TRANSACTIONS"] == "8"
    assert services["fastapi"]["mem_limit"] == str(2048 << 20)
    assert read() == FILE, "the file's model is not changed"


@pytest.mark.parametrize(
    ("service", "image", "argv"),
    [
        ({}, ([], ["gunicorn"]), ["gunicorn"]),
        ({}, (["/entry"], ["serve", "now"]), ["/entry", "serve", "now"]),
        ({"entrypoint": None, "command": None}, (["/entry"], ["serve"]), ["/entry", "serve"]),
        ({"command": ["other"]}, (["/entry"], ["serve"]), ["/entry", "other"]),
        ({"entrypoint": ["/own"]}, (["/entry"], ["serve"]), ["/own"]),
        ({"entrypoint": ["/own"], "command": ["it"]}, (["/entry"], ["serve"]), ["/own", "it"]),
    ],
)
def test_what_lies_in_memory_by_a_seed_runs_what_it_would(service, image, argv):
    service = {**service, "environment": {"A": "b", "PORT": 1}}
    found = composition.laid_out(service, image, 7, fixed=True)
    assert found["entrypoint"] == ["setarch", "linux64", "-R", *argv]
    assert found["command"] == []
    assert found["environment"] == lay_out(service["environment"], 7)
    free = composition.laid_out(service, image, 7, fixed=False)
    assert {key: free[key] for key in service if key != "environment"} == {
        key: value for key, value in service.items() if key != "environment"
    }, "left to chance, but for hashes and the environment's size"
    assert free["environment"] == found["environment"]
    assert "LAYOUT" not in service["environment"]


def test_only_backends_of_two_arms_get_a_profile_of_calls():
    targets = candidates(SETTINGS, ROOT)
    own = msgspec.structs.replace(place(targets), seccomp="/dev/shm/bench-7-x/seccomp.json")
    services = composition.compose(FILE, SETTINGS, targets, CPUS, own)["services"]
    assert services["fastapi"]["security_opt"] == [
        "no-new-privileges:true",
        "seccomp:/dev/shm/bench-7-x/seccomp.json",
    ]
    assert services["mysql"]["security_opt"] == ["no-new-privileges:true"]
    services = composition.compose(FILE, SETTINGS, targets, CPUS, place(targets))["services"]
    assert services["fastapi"]["security_opt"] == ["no-new-privileges:true"]


def test_data_on_disk_is_a_volume():
    database = msgspec.structs.replace(SETTINGS.database, durability="disk")
    settings = msgspec.structs.replace(SETTINGS, database=database)
    targets = candidates(settings, ROOT)
    model = composition.compose(FILE, settings, targets, CPUS, place(targets))
    mysql = model["services"]["mysql"]
    assert model["volumes"] == {"data": {}}
    assert mysql["volumes"][-1] == {"type": "volume", "source": "data", "target": "/var/lib/mysql"}
    assert not any("/var/lib/mysql" in path for path in mysql["tmpfs"])
    assert "--innodb-flush-method=fsync" not in mysql["command"]


def test_a_backend_that_is_no_service_is_named():
    backend = msgspec.structs.replace(SETTINGS.backends[0], name="flask")
    target = Target(backend=backend, app=ROOT / "apps/flask")
    with pytest.raises(PipelineError, match=r"docker-compose\.yml: no service flask"):
        composition.compose(FILE, SETTINGS, (target,), CPUS, place((target,)))


@pytest.mark.parametrize("names", ["one", "one two_three"])
def test_the_init_script_makes_each_backend_a_database(tmp_path, names):
    """Run for real with a stand-in for the client, which writes down what it is given."""
    client = tmp_path / "mysql"
    client.write_text(f'#!/bin/sh\necho "-- $*" >>{tmp_path}/said\ncat >>{tmp_path}/said\n')
    client.chmod(0o755)
    script = (ROOT / "apps/databases.sh").read_text().replace("/schema.sql", str(ROOT / "apps/schema.sql"))
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "BACKENDS": names, "BACKENDS_PASSWORD": "p"}
    subprocess.run(["sh", "-euc", script], env=environment, check=True)
    said = (tmp_path / "said").read_text()
    for name in names.split():
        pattern = name.replace("_", r"\_")
        assert f"CREATE DATABASE `{name}`;" in said
        assert f"CREATE USER '{name}'@'%' IDENTIFIED BY 'p';" in said
        assert f"GRANT ALL ON `{pattern}`.* TO '{name}'@'%';" in said
        assert f"-- --user=root {name}\n" in said
    assert said.count("CREATE PROCEDURE reset_seed()") == len(names.split())


def test_the_dockerfile_keeps_the_rules():
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        assert shutil.which("hadolint"), "it is locked in requirements-dev.txt"
        hadolint = Path("hadolint")
    subprocess.run([hadolint, ROOT / "apps/Dockerfile"], check=True)
