"""What every kind of stack has: a folder in memory, ports, and backends that answer."""

from __future__ import annotations

import shutil
import socket
import tempfile
import urllib.request
from collections.abc import Sequence

from scripts.config import ROOT
from scripts.model import PipelineError
from scripts.stack import Instance, Target, TargetError
from scripts.stack.database import free_port
from scripts.stack.leftovers import MEMORY, session_folder
from scripts.stack.process import wait_until

READY_S = 60.0


def memory_folder(needed_mb: int) -> tempfile.TemporaryDirectory[str]:
    """A folder of this session on a file system in memory with ``needed_mb`` free, which others cannot enter."""
    free_mb = shutil.disk_usage(MEMORY).free // (1024 * 1024) if MEMORY.is_dir() else 0
    if free_mb < needed_mb:
        raise PipelineError(
            f"{MEMORY} has {free_mb} MB free; the session's files need {needed_mb} MB there",
            f"make it larger: mount -o remount,size=2g {MEMORY} (in a container: --shm-size=2g)",
        )
    return session_folder("memory", MEMORY)


def choose_ports(targets: Sequence[Target]) -> dict[str, int]:
    """The port of each target by name: that of bench.toml for a candidate, any free one for a baseline."""
    ports = {t.name: t.backend.port if t.arm == "candidate" else free_port() for t in targets}
    for name, port in ports.items():
        check_port_free(name, port)
    return ports


def check_port_free(name: str, port: int) -> None:
    """Raise an error if something listens on the port of the backend ``name``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PipelineError(
                f"port {port} of backend {name} is in use by another program",
                f"`ss -ltnp sport = :{port}` shows which; stop it, or change [backends.{name}] port",
            ) from error


def await_ready(instance: Instance) -> None:
    """Wait until its health endpoint answers; an error with the end of its log when it does not."""
    url = instance.url + instance.target.backend.health
    wait_until(lambda: not instance.alive or _answers(url), READY_S)
    if not (instance.alive and _answers(url)):
        state = "did not become healthy" if instance.alive else "stopped while starting"
        app = instance.target.app
        raise TargetError(
            instance.target,
            f"backend {instance.target.name} {state}; the end of its log:\n{instance.tail()}",
            f"mend {app.relative_to(ROOT) if app.is_relative_to(ROOT) else app}",
        )


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except OSError:
        return False
