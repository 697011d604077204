"""docker-compose.yml as a session needs it: its services for these targets, with the session's limits, CPUs and ports.

``docker compose config`` has read the file, filled in its variables and resolved its anchors; what is changed here is
plain data, and goes back to Compose as JSON (which is YAML). So the file stays the one place that says how a backend
is built and closed off, for people who run it by themselves and for sessions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scripts.model import Config, PipelineError, Struct
from scripts.stack import Target
from scripts.stack.database import server_options
from scripts.stack.limits import MIB, Cpus

DATABASE = "mysql"
DATABASE_PORT = 3306
SETUP = "administrator.sql"
Service = dict[str, Any]


class Place(Struct):
    """Where a session's containers find things.

    ``ports``: of this machine, by target name; ``database_port`` likewise. ``folder``: of the session, in memory;
    ``dockerfile``: of every backend. ``accounts``: by target name, the variables with which it logs in.
    """

    ports: Mapping[str, int]
    database_port: int
    folder: Path
    dockerfile: Path
    accounts: Mapping[str, Mapping[str, str]]


def image(target: Target) -> str:
    """The name of a target's image; that of another arm is another one."""
    return f"bench/{target.backend.name}:{target.arm}"


def base_images(file: Mapping[str, Any]) -> list[str]:
    """The images that a Compose file's services run or are built from."""
    names = [s["image"] if "image" in s else s["build"]["args"]["PYTHON_IMAGE"] for s in file["services"].values()]
    return list(dict.fromkeys(names))


def data_dir(place: Place, target: Target) -> Path:
    """Where a target's file operations take place, as seen from outside its container."""
    return place.folder / target.name


def compose(file: Mapping[str, Any], config: Config, targets: Sequence[Target], cpus: Cpus, place: Place) -> Service:
    """The session's model from that of docker-compose.yml (``docker compose config --format json``).

    Raises PipelineError for a backend that is not a service there.
    """
    services = file["services"]
    for target in targets:
        if target.backend.name not in services:
            raise PipelineError(
                f"docker-compose.yml: no service {target.backend.name}",
                f"it has: {', '.join(services)}; every backend of bench.toml is a service there",
            )
    model: Service = {
        "services": {
            DATABASE: _database(services[DATABASE], config, cpus, place),
            **{t.name: _backend(services[t.backend.name], config, t, cpus, place) for t in targets},
        },
        "secrets": file.get("secrets", {}),
    }
    if config.database.durability == "disk":
        model["volumes"] = {"data": {}}
    return model


def _database(service: Service, config: Config, cpus: Cpus, place: Place) -> Service:
    """Its databases are made by the session, which logs in as an administrator of its own."""
    service = _without_checks(service)
    service["command"] = server_options("mysql", config.database)
    service["cpuset"] = cpus.database
    service["ports"] = [_published(place.database_port, DATABASE_PORT)]
    setup = place.folder / SETUP
    service["volumes"] = [_bound(setup, f"/docker-entrypoint-initdb.d/{SETUP}", read_only=True)]
    if config.database.durability == "disk":
        service["tmpfs"] = [path for path in service["tmpfs"] if not path.startswith("/var/lib/mysql")]
        service["volumes"].append({"type": "volume", "source": "data", "target": "/var/lib/mysql"})
    return service


def _backend(service: Service, config: Config, target: Target, cpus: Cpus, place: Place) -> Service:
    service = _without_checks(service)
    limits = target.limits or config.limits
    port = place.ports[target.name]
    service.pop("depends_on", None)
    service["image"] = image(target)
    service["build"] |= {"context": str(target.app), "dockerfile": str(place.dockerfile)}
    service["cpuset"] = cpus.backend
    service["cpus"] = limits.cpus
    service["mem_limit"] = service["memswap_limit"] = str(limits.memory_mb * MIB)
    service["ports"] = [_published(port, port)]
    service["environment"] = {
        **service["environment"],
        **config.workload.environment,
        **place.accounts[target.name],
        "BIND": f"0.0.0.0:{port}",
    }
    # A folder of this machine's memory, so that the files can be watched from outside.
    service["tmpfs"] = [path for path in service["tmpfs"] if not path.startswith("/data")]
    service["volumes"] = [_bound(data_dir(place, target), "/data")]
    return service


def _without_checks(service: Service) -> Service:
    """A copy without health checks: they would run inside the limits, while blocks are measured."""
    return {**copy.deepcopy(service), "healthcheck": {"disable": True}}


def _published(port: int, inside: int) -> dict[str, Any]:
    return {"mode": "ingress", "host_ip": "127.0.0.1", "published": str(port), "target": inside, "protocol": "tcp"}


def _bound(source: Path, target: str, *, read_only: bool = False) -> dict[str, Any]:
    return {"type": "bind", "source": str(source), "target": target, "read_only": read_only}
