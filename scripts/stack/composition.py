"""docker-compose.yml as a session needs it: its services for these targets, with the session's limits, CPUs and ports.

``docker compose config`` has read the file, filled in its variables and resolved its anchors; what is changed here is
plain data, and goes back to Compose as JSON (which is YAML). So the file stays the one place that says how a backend
is built and closed off, for people who run it by themselves and for sessions.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts.config import PROJECT, Config
from scripts.model import PipelineError, Struct
from scripts.stack import Target
from scripts.stack.cage import MIB
from scripts.stack.cores import Cpus
from scripts.stack.database import server_options
from scripts.stack.engine import IMAGE
from scripts.stack.layout import FIXED, lay_out

DATABASE = "mysql"
DATABASE_PORT = 3306
DATA = "/var/lib/mysql"
ACCOUNT = ("MYSQL_DATABASE", "MYSQL_USER", "MYSQL_PASSWORD")
"""What makes MySQL's image create a database and a user of its own, which would be in the way of the session's."""
DECIDED = ("container_name", "depends_on", "deploy", "networks", "restart")
"""What a session decides: both arms run, each once, with limits of their own, and whoever ends has failed."""
SETUP = "administrator.sql"
Service = dict[str, Any]


class Slot(NamedTuple):
    """All that a backend's container has beside its image and its limits, and that two arms can exchange.

    ``port``: of this machine. ``folder``: where its file operations take place, as seen from outside. ``variables``:
    those with which it logs in as ``account``.
    """

    number: int
    port: int
    folder: Path
    account: str
    variables: Mapping[str, str]


class Place(Struct):
    """Where a session's containers find things.

    ``slots``: by target name. ``database_port``: of this machine. ``folder``: of the session, in memory. ``seccomp``:
    the file of a profile of system calls for the backends, empty for the engine's own.
    """

    slots: Mapping[str, Slot]
    database_port: int
    folder: Path
    seccomp: str = ""


def image(target: Target) -> str:
    """The name of a target's image; that of another arm is another one."""
    return f"bench/{target.backend.name}:{target.arm}"


def base_images(file: Mapping[str, Any]) -> list[str]:
    """The images that a Compose file's services run, and those that their builds are given as ``..._IMAGE``."""
    names: list[str] = []
    for service in file["services"].values():
        build = service.get("build")
        arguments = (build.get("args") or {}) if build else {"IMAGE": service["image"]}
        names += [value for name, value in arguments.items() if name.endswith("IMAGE")]
    return list(dict.fromkeys(names))


def compose(file: Mapping[str, Any], config: Config, targets: Sequence[Target], cpus: Cpus, place: Place) -> Service:
    """The session's model from that of docker-compose.yml (``docker compose config --format json``).

    Raises PipelineError for a backend that is not a service there.
    """
    services = file["services"]
    for name in (DATABASE, *(target.backend.name for target in targets)):
        if name not in services:
            raise PipelineError(
                f"docker-compose.yml: no service {name}",
                f"it has: {', '.join(services)}; the database and every backend of bench.toml are services there",
            )
    for name in dict.fromkeys(target.backend.name for target in targets):
        if "build" not in services[name]:
            raise PipelineError(
                f"docker-compose.yml: service {name} is not built, so there is nothing to build two versions from",
                f"give it a `build: context`, the folder of [backends.{name}] in bench.toml",
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
    service = _alone(service)
    environment = service.get("environment") or {}
    service["environment"] = {name: value for name, value in environment.items() if name not in ACCOUNT}
    service["command"] = server_options("mysql", config.database)
    service["cpuset"] = cpus.database
    service["ports"] = [_published(place.database_port, DATABASE_PORT)]
    setup = place.folder / SETUP
    service["volumes"] = [_bound(setup, f"/docker-entrypoint-initdb.d/{SETUP}", read_only=True)]
    in_memory = [path for path in service.get("tmpfs", ()) if path.split(":")[0] == DATA]
    service["tmpfs"] = [path for path in service.get("tmpfs", ()) if path not in in_memory]
    if config.database.durability == "memory":
        service["tmpfs"] += in_memory or [DATA]
    else:
        service["volumes"].append({"type": "volume", "source": "data", "target": DATA})
    return service


def _backend(service: Service, config: Config, target: Target, cpus: Cpus, place: Place) -> Service:
    service, slot = _alone(service), place.slots[target.name]
    limits = target.limits or config.limits
    service["image"] = image(target)
    service["build"] = _build(service["build"], target)
    service["cpuset"] = cpus.backend
    service["cpus"] = limits.cpus
    service["mem_limit"] = service["memswap_limit"] = str(limits.memory_mb * MIB)
    service["ports"] = [_published(slot.port, target.backend.port)]
    service["environment"] = {
        **(service.get("environment") or {}),
        **config.environment,
        **slot.variables,
        "BIND": f"0.0.0.0:{target.backend.port}",
    }
    # A folder of this machine's memory, so that the files can be watched from outside.
    service["tmpfs"] = [path for path in service.get("tmpfs", ()) if not path.startswith("/data")]
    service["volumes"] = [_bound(slot.folder, "/data")]
    if place.seccomp:
        service["security_opt"] = [*service.get("security_opt", ()), f"seccomp:{place.seccomp}"]
    return service


def laid_out(service: Service, image: tuple[Sequence[str], Sequence[str]], seed: int, *, fixed: bool) -> Service:
    """A backend's service so that how it lies in memory follows from ``seed``.

    ``image``: its own entry point and command, which the service may replace. ``fixed``: without address space
    randomisation, which the engine must allow and the image must have setarch(8) for.
    """
    service = {**service, "environment": lay_out(service["environment"], seed)}
    if fixed:
        entrypoint, command = image
        if service.get("entrypoint") is not None:
            entrypoint, command = service["entrypoint"], ()
        if service.get("command") is not None:
            command = service["command"]
        service["entrypoint"], service["command"] = [*FIXED, *entrypoint, *command], []
    return service


def _build(build: Mapping[str, Any], target: Target) -> dict[str, Any]:
    """Of this arm's folder. A Dockerfile in it belongs to the version; one outside is the same for both arms."""
    context, folder = Path(build["context"]).resolve(), target.backend.folder
    if context != (PROJECT / folder).resolve():
        raise PipelineError(
            f"docker-compose.yml: {target.backend.name} is built from {context}, but bench.toml says {folder}",
            f"let [backends.{target.backend.name}] folder and build: context name the same folder",
        )
    dockerfile = (context / build.get("dockerfile", "Dockerfile")).resolve()
    inside = dockerfile.is_relative_to(context)
    return {
        **build,
        "context": str(target.app),
        "labels": {**(build.get("labels") or {}), **dict([IMAGE.split("=")])},
        "dockerfile": str(target.app / dockerfile.relative_to(context) if inside else dockerfile),
    }


def _alone(service: Service) -> Service:
    """A copy without what others would decide, and without health checks: they would run while blocks are measured."""
    kept = {key: value for key, value in service.items() if key not in DECIDED}
    return {**copy.deepcopy(kept), "healthcheck": {"disable": True}}


def _published(port: int, inside: int) -> dict[str, Any]:
    return {"mode": "ingress", "host_ip": "127.0.0.1", "published": str(port), "target": inside, "protocol": "tcp"}


def _bound(source: Path, target: str, *, read_only: bool = False) -> dict[str, Any]:
    return {"type": "bind", "source": str(source), "target": target, "read_only": read_only}
