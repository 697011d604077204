"""The Docker engine of this machine: Compose's command line to build and start, the SDK to watch, freeze and remove.

Sources: docs.docker.com, "docker compose" and "Docker Engine API"; pidfd_open(2).
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import select
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException, NotFound
from docker.models.containers import Container as Raw

from scripts.model import PipelineError
from scripts.stack.process import end_group, run, spawn, uninterrupted

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
IMAGE = "org.opencontainers.image.title=bench-backend"
TIMEOUT_S = 120.0
STOP_S = 20.0
TAIL_LINES = 20


def find() -> Engine:
    """The engine that docker(1) uses, with Compose; raises PipelineError saying why there is none to measure with."""
    if shutil.which("docker") is None:
        raise PipelineError("no docker program is on the PATH", "install Docker, or use --stack native")
    if _docker("compose", "version").returncode:
        raise PipelineError("docker has no Compose", "install its plugin, docker-compose, or use --stack native")
    host = (
        os.environ.get("DOCKER_HOST")
        or _docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}").stdout.strip()
    )
    kind, _, path = host.partition("://")
    if kind != "unix":
        raise PipelineError(f"the Docker engine at {host} is not one of this machine", "measure there, or natively")
    try:
        with socket.socket(socket.AF_UNIX) as probe:  # the SDK would leak its own where nobody listens
            probe.connect(path)
        client = docker.DockerClient(base_url=host, timeout=int(TIMEOUT_S))
        info = client.info()
    except (OSError, DockerException) as error:
        reason = getattr(error, "strerror", None) or error
        raise PipelineError(
            f"no Docker engine answers at {host}: {reason}", "start it, or use --stack native"
        ) from error
    if info["KernelVersion"] != platform.release():
        client.close()
        raise PipelineError(
            f"the Docker engine at {host} runs in a virtual machine: its counters cannot be read from here",
            "measure on Linux with an engine of its own, or use --stack native",
        )
    return Engine(client)


class Engine:
    """An engine that answers. Whatever belongs to a session is found by its Compose project, named as the session."""

    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client

    def close(self) -> None:
        self._client.close()

    def absent(self, images: Iterable[str]) -> list[str]:
        """Which of these images are not on this machine."""
        found = []
        for name in images:
            try:
                self._client.images.get(name)
            except NotFound:
                found.append(name)
        return found

    def fetch(self, images: Iterable[str], say: Callable[[str], None]) -> None:
        """Pull those of these images that are not here."""
        for name in self.absent(images):
            say(f"fetching the image {name}")
            done = _docker("pull", "--quiet", name, patiently=True)
            if done.returncode:
                raise PipelineError(
                    f"the image {name} is not here and could not be fetched: {done.stderr.strip()}",
                    "see that the network reaches its registry; MYSQL_IMAGE and PYTHON_IMAGE name other base images",
                )

    def write(self, model: Mapping[str, Any], file: Path) -> None:
        """A Compose file (JSON is YAML) of a model whose dollars are none of Compose's."""
        file.write_text(json.dumps(model).replace("$", "$$"))

    def read(self, file: Path) -> dict[str, Any]:
        """A Compose file with its variables filled in."""
        done = _docker("compose", "--file", str(file), "config", "--format", "json")
        if done.returncode:
            raise PipelineError(f"{file.name}: {done.stderr.strip()}", f"mend {file}")
        model: dict[str, Any] = json.loads(done.stdout.replace("$$", "$"))
        return model

    def build(self, project: str, file: Path, services: Sequence[str], logs: Path) -> None:
        """Build the services' images, all at once; an error names the service and shows the end of its build."""
        jobs = {name: _Compose(project, file, ("build", name), logs / f"build-{name}.log") for name in services}
        try:
            for name, job in jobs.items():
                if job.wait():
                    raise PipelineError(
                        f"the image of {name} could not be built; the end of {job.log.name}:\n{job.tail()}",
                        f"see {job.log}; variables that the build takes: docker-compose.yml",
                    )
        finally:
            for job in jobs.values():
                job.stop()
        for job in jobs.values():
            job.log.unlink()

    def up(self, project: str, file: Path, services: Sequence[str], logs: Path) -> None:
        """Start the services without waiting for them; started or not, nothing is under way when this returns."""
        job = _Compose(project, file, ("up", "--detach", "--no-build", "--no-deps", *services), logs / "compose.log")
        try:
            code = job.wait(TIMEOUT_S)
        except BaseException:
            with uninterrupted():
                job.end(TIMEOUT_S)  # a container must not come to be after we have removed all that there are
            raise
        if code:
            raise PipelineError(
                f"{', '.join(services)} could not be started; docker compose says:\n{job.tail()}", f"see {job.log}"
            )

    def container(self, project: str, service: str) -> Container:
        """The container of a service."""
        with _answering(f"container of {service}"):
            found = [raw for raw in self._containers(project) if raw.labels[SERVICE] == service]
        if not found:
            raise PipelineError(f"the container of {service} is gone", "something else has removed it; run this again")
        return Container(service, found[0])

    def filters_calls(self) -> bool:
        """Whether it lets containers make only some system calls; the kernel may have been built without that."""
        with _answering("its security options"):
            return any("seccomp" in option for option in self._client.info().get("SecurityOptions") or ())

    def command(self, image: str) -> tuple[list[str], list[str]]:
        """An image's entry point and command."""
        with _answering(image):
            config = self._client.images.get(image).attrs["Config"]
        return config.get("Entrypoint") or [], config.get("Cmd") or []

    def keep_logs(self, project: str, name: Callable[[str], Path]) -> None:
        """Add what each container of the project has said to the file that ``name`` gives for its service."""
        with _answering("keeping the containers' logs"):
            for raw in self._containers(project):
                _keep_log(raw, name(raw.labels[SERVICE]))

    def remove(self, project: str) -> None:
        """Remove the project's containers, killing them, its networks and its volumes."""
        with _answering(f"removing the containers of {project}"):
            for raw in self._containers(project):
                with contextlib.suppress(NotFound):
                    raw.remove(force=True, v=True)
            for network in self._client.networks.list(filters={"label": f"{PROJECT}={project}"}):
                with contextlib.suppress(NotFound):
                    network.remove()
            for volume in self._client.volumes.list(filters={"label": f"{PROJECT}={project}"}):
                with contextlib.suppress(NotFound):
                    volume.remove()

    def remove_superseded_images(self) -> None:
        """Remove images of backends that a later build has taken the name of; their layers stay in the build cache."""
        with _answering("removing superseded images"):
            self._client.images.prune(filters={"dangling": True, "label": IMAGE})

    def projects(self) -> set[str]:
        """Every Compose project that has a container, a network or a volume."""
        found: set[str] = {raw.labels[PROJECT] for raw in self._containers()}
        things = (
            *self._client.networks.list(filters={"label": PROJECT}),
            *self._client.volumes.list(filters={"label": PROJECT}),
        )
        return found | {(thing.attrs or {})["Labels"][PROJECT] for thing in things}

    def remove_leftovers(self, is_gone: Callable[[str], bool]) -> None:
        """Remove what is there of every session that has ended without removing it."""
        with _answering("looking for leftovers"):
            for project in filter(is_gone, self.projects()):
                self.remove(project)

    def _containers(self, project: str = "") -> list[Raw]:
        """Those of a project, or of every one, whether they run or not."""
        label = f"{PROJECT}={project}" if project else PROJECT
        return self._client.containers.list(all=True, filters={"label": label}, ignore_removed=True)


class Container:
    """One container: whether it runs, its log, its freezer."""

    def __init__(self, name: str, raw: Raw) -> None:
        self.name = name
        self._raw = raw
        self._frozen = False
        self._descriptor: int | None = None
        self._attach()

    def _attach(self) -> None:
        with _answering(self.name):
            self._raw.reload()
        self.pid: int = self._raw.attrs["State"]["Pid"]
        self.close()
        with contextlib.suppress(ProcessLookupError):  # it has ended already
            self._descriptor = os.pidfd_open(self.pid) if self.pid else None

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    @property
    def alive(self) -> bool:
        """Asked of the kernel, many times a second: asking the engine would cost it CPU while blocks are measured."""
        return self._descriptor is not None and not select.select([self._descriptor], [], [], 0)[0]

    def tail(self, lines: int = TAIL_LINES) -> str:
        with _answering(self.name):
            return _text(self._raw.logs(tail=lines)).rstrip()

    def run(self, *command: str) -> str:
        """What a command prints that is run inside."""
        with _answering(self.name):
            code, output = self._raw.exec_run(list(command))
        text = _text(output)
        if code:
            raise PipelineError(f"{self.name}: {command[0]} ended with code {code}: {text[-500:]}", "see its log")
        return text

    @property
    def address(self) -> str:
        """Where it is on the engine's bridge, which this machine is on as well."""
        networks = self._raw.attrs["NetworkSettings"]["Networks"].values()
        return next((str(network["IPAddress"]) for network in networks if network["IPAddress"]), "")

    def freeze(self) -> None:
        """Stop it from running, so that it costs nothing until `thaw`."""
        if not self._frozen and self.alive:
            with _answering(self.name):
                self._raw.pause()
            self._frozen = True

    def thaw(self) -> None:
        if self._frozen and self.alive:
            with _answering(self.name):
                self._raw.unpause()
        self._frozen = False

    def remove(self, log: Path) -> None:
        """Kill its processes and remove it; what it has said is added to ``log``."""
        with _answering(self.name):
            _keep_log(self._raw, log)
            self._raw.remove(force=True, v=True)
        self.close()


class _Compose:
    """``docker compose`` at work in the background, out of reach of a terminal's Ctrl-C."""

    def __init__(self, project: str, file: Path, arguments: Sequence[str], log: Path) -> None:
        self.log = log
        command = ("docker", "compose", "--progress", "plain", "--project-name", project, "--file", str(file))
        with log.open("ab") as output:
            self._popen = spawn([*command, *arguments], stdout=output)

    def wait(self, timeout_s: float | None = None) -> int:
        """Its exit code. Raises PipelineError if it still runs after ``timeout_s``."""
        try:
            return self._popen.wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise PipelineError(
                f"docker compose has not ended after {timeout_s:g} s; it said:\n{self.tail()}",
                "see whether the engine answers (docker info), or use --stack native",
            ) from error

    def end(self, timeout_s: float) -> None:
        """Let it end by itself, but not for longer than ``timeout_s``."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout_s)
        end_group(self._popen)

    def stop(self) -> None:
        if self._popen.poll() is None:
            self._popen.terminate()
        self.end(STOP_S)

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:])


def _keep_log(raw: Raw, log: Path) -> None:
    with log.open("a") as file:
        file.write(_text(raw.logs()))


def _text(output: Any) -> str:
    """What the SDK gives as bytes where it is not asked for a stream."""
    assert isinstance(output, bytes)
    return output.decode(errors="replace")


def _docker(*arguments: str, patiently: bool = False) -> subprocess.CompletedProcess[str]:
    """Run docker(1) to its end; not ``patiently``, the engine must answer within ``TIMEOUT_S``."""
    try:
        return run(["docker", *arguments], timeout_s=None if patiently else TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise PipelineError(
            f"`docker {' '.join(arguments[:2])}` has not ended after {TIMEOUT_S:g} s",
            "see whether the engine answers (docker info), or use --stack native",
        ) from error


@contextlib.contextmanager
def _answering(what: str) -> Iterator[None]:
    """Turn the SDK's errors into one that says what was wanted."""
    try:
        yield
    except (DockerException, requests.RequestException) as error:
        raise PipelineError(f"{what}: the Docker engine says: {error}", "see that it runs: docker info") from error
