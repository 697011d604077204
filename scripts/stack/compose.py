"""The stack in containers: MySQL and the backends as docker-compose.yml says, the load generator on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from scripts.config import PROJECT, Config
from scripts.cpus import parse_cpu_list
from scripts.load import k6
from scripts.model import Environment, Limits, PipelineError
from scripts.stack import (
    Instance,
    Say,
    Target,
    accounts,
    cage,
    cgroup_v1,
    composition,
    cores,
    engine,
    limits,
    machine,
    seccomp,
)
from scripts.stack.accounts import Database
from scripts.stack.database import HOST, START_TIMEOUT_S, free_port
from scripts.stack.layout import FIXED
from scripts.stack.leftovers import is_gone, remove_leftovers, session_name
from scripts.stack.process import uninterrupted, wait_until
from scripts.stack.sessions import await_ready, choose_ports, memory_folder

FILE = PROJECT / "docker-compose.yml"
MEMORY_NEEDED_MB = 64  # the backends' files
ADMINISTRATOR = "administrator"
DESCRIBE = """\
import importlib.metadata as m, json, platform
print(json.dumps([platform.python_version(), {d.name.lower().replace('_', '-'): d.version for d in m.distributions()}]))
"""


class ContainerInstance:
    """A backend in a container, which every restart makes anew. ``python``: the version inside.

    ``make`` gives a new container for the slot, whose processes lie in memory as a seed says, or, without one, by
    chance; ``create_database`` makes the target's database under an account's name.
    """

    def __init__(
        self,
        target: Target,
        slot: composition.Slot,
        cpus: str,
        wanted: Limits,
        log: Path,
        make: Callable[[ContainerInstance, int | None], engine.Container],
        create_database: Callable[[Target, str], None],
    ) -> None:
        self.target, self.slot = target, slot
        self._cpus, self._limits, self._log = cpus, wanted, log
        self._make, self._create_database = make, create_database
        self._container: engine.Container | None = None
        self._earlier_cpu_s = 0.0
        self.packages: Mapping[str, str] = {}
        self.python = ""

    @property
    def url(self) -> str:
        return self._url

    @property
    def data_dir(self) -> Path:
        return self.slot.folder

    @property
    def slot_number(self) -> int:
        return self.slot.number

    @property
    def account(self) -> str:
        return self.slot.account

    def start(self, seed: int | None = None) -> None:
        """Wait until a new container answers; then it is frozen."""
        container = self._container = self._make(self, seed)
        self._url = f"http://{HOST}:{self.slot.port}"
        if container.alive:
            self.cage = limits.cage_of(container.pid, self.target.name, self._cpus, self._limits)
        await_ready(self)
        direct = (container.address, self.target.backend.port)
        if _takes_connections(*direct):  # without the engine's proxy, which takes CPU, and on any core
            self._url = "http://{}:{}".format(*direct)
        if self.target.backend.packages and not self.packages:
            self.python, installed = json.loads(container.run("python", "-c", DESCRIBE))
            self.packages = {name: installed[name] for name in self.target.backend.packages if name in installed}
        self.freeze()

    @property
    def alive(self) -> bool:
        return self._container is not None and self._container.alive

    def tail(self, lines: int = 20) -> str:
        return self._container.tail(lines) if self._container else ""

    def freeze(self) -> None:
        if self._container:
            self._container.freeze()

    def thaw(self) -> None:
        if self._container:
            self._container.thaw()

    def restart(self, seed: int) -> None:
        self.stop()
        self._create_database(self.target, self.slot.account)
        self.start(seed)

    def stop(self) -> None:
        """Its container is gone then, and what it has said is in its log."""
        if self._container:
            self._earlier_cpu_s = self.cpu_s()
            self._container.remove(self._log)
            self._container = None

    def close(self) -> None:
        """The engine removes the container."""
        if self._container:
            self._container.close()

    def why_not_fixed(self) -> str:
        """Why its processes cannot be started without address space randomisation; empty where they can."""
        assert self._container is not None
        self.thaw()
        try:
            self._container.run(*FIXED, "true")
        except PipelineError as error:
            return error.message
        finally:
            self.freeze()
        return ""

    def cpu_s(self) -> float:
        """CPU seconds of every process that it ever had: each of its containers has a group of its own."""
        return self._earlier_cpu_s + (self.cage.cpu_s() if self._container else 0.0)


def _takes_connections(host: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=2):
        return bool(host)
    return False


class ContainerDatabase(Database):
    """MySQL in a container, which backends reach by its service's name and this program through ``published``."""

    def __init__(self, max_connections: int, published: int) -> None:
        super().__init__()
        self.host, self.port = composition.DATABASE, composition.DATABASE_PORT
        self.max_connections = max_connections
        self.published = published
        self._password = secrets.token_hex(16)
        self._container: engine.Container | None = None

    @property
    def setup(self) -> str:
        """SQL that the server runs once when it makes its data directory."""
        user = f"'{ADMINISTRATOR}'@'%'"
        return f"CREATE USER {user} IDENTIFIED BY '{self._password}';\nGRANT ALL ON *.* TO {user} WITH GRANT OPTION;\n"

    def start(self, container: engine.Container) -> None:
        """Wait until it takes connections. While it makes its data directory it listens to nobody."""
        self._container = container
        ready = wait_until(lambda: not self.alive or self._greets(), START_TIMEOUT_S)
        if not self.alive:
            raise self._gone()
        if not ready:
            raise PipelineError(
                f"database: no answer after {START_TIMEOUT_S:.0f} s; the end of its log:\n{self.tail()}",
                "see whether something else takes all of the machine's CPU or disk",
            )
        self._check_settings()

    def version(self) -> str:
        with self._cursor() as cursor:
            cursor.execute("SELECT VERSION()")
            text = str((cursor.fetchone() or ("",))[0])
        found = re.match(r"[\d.]+", text)
        return found[0] if found else text

    @property
    def alive(self) -> bool:
        return self._container is not None and self._container.alive

    def tail(self, lines: int = 20) -> str:
        return self._container.tail(lines) if self._container else ""

    def _greets(self) -> bool:
        """Whether the server itself answers whoever connects, and not only what stands before it."""
        with contextlib.suppress(OSError), socket.create_connection((HOST, self.published), timeout=5) as probe:
            return probe.recv(1) != b""
        return False

    def _log_in(self, user: str | None = None, password: str = "", database: str | None = None) -> Connection[Cursor]:
        return pymysql.connect(
            host=HOST,
            port=self.published,
            user=user or ADMINISTRATOR,
            password=password if user else self._password,
            database=database,
            autocommit=True,
            connect_timeout=5,
            read_timeout=accounts.ANSWER_S,
            write_timeout=accounts.ANSWER_S,
        )

    def _end(self) -> str:
        return ""


class ComposeStack:
    """``with ComposeStack(...) as stack:`` everything is up inside and nothing is left outside but images."""

    database_cage: cage.Cage

    def __init__(
        self, config: Config, targets: Sequence[Target], logs: Path, say: Say, *, allow_unlimited: bool = False
    ) -> None:
        self._config, self._targets, self._logs, self._say = config, targets, logs, say
        self._allow_unlimited = allow_unlimited
        self._session = session_name()
        self._exit = contextlib.ExitStack()
        self.instances: tuple[ContainerInstance, ...] = ()

    def __enter__(self) -> ComposeStack:
        try:
            self._start(self._exit)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with uninterrupted():
            self._exit.close()

    def cpu_s(self) -> float:
        return self.database_cage.cpu_s() + sum(instance.cpu_s() for instance in self.instances)

    def exchange(self, first: Instance, second: Instance) -> None:
        assert isinstance(first, ContainerInstance)
        assert isinstance(second, ContainerInstance)
        first.stop()
        second.stop()
        first.slot, second.slot = second.slot, first.slot

    def _start(self, cleaning: contextlib.ExitStack) -> None:
        config, targets = self._config, self._targets
        if config.database.engine != "mysql":
            raise PipelineError(
                f"the containers run MySQL, not {config.database.engine}", "choose --stack native, or --database mysql"
            )
        self._engine = engine.find()
        cleaning.callback(self._engine.close)
        self._engine.remove_leftovers(is_gone)
        remove_leftovers(self._say)
        ports = choose_ports(targets)
        facts = machine.read_machine()
        allowed = os.sched_getaffinity(0)
        cpus = cores.allot_cpus(cores.read_cores(allowed))
        self.generator = k6.find(os.environ.get("K6"))
        cages = cleaning.enter_context(limits.Cages(self._session, allow_unlimited=True))
        self.generator_cage = cages.make("generator", cpus.generator)

        folder = Path(cleaning.enter_context(memory_folder(MEMORY_NEEDED_MB)))
        database = ContainerDatabase(config.database.max_connections, free_port())
        self.database = database
        slots = {
            target.name: composition.Slot(
                number, ports[target.name], folder / f"{number:02}", target.name, database.account(target.name)
            )
            for number, target in enumerate(targets)
        }
        self._cpus, self._compose, self._randomised = cpus, self._engine.read(FILE), False
        self._paired = len({target.arm for target in targets}) > 1
        self._place = composition.Place(slots=slots, database_port=database.published, folder=folder)
        if self._paired and self._engine.filters_calls():
            profile = folder / "seccomp.json"
            profile.write_text(json.dumps(seccomp.profile()))
            self._place = msgspec.structs.replace(self._place, seccomp=str(profile))
        self._file = folder / "compose.json"
        file = self._compose
        self._engine.write(self._model(), self._file)
        administrator = folder / composition.SETUP
        administrator.write_text(database.setup)
        administrator.chmod(0o644)  # for the server's user inside; nobody else gets into `folder`
        for slot in slots.values():
            slot.folder.mkdir()
            slot.folder.chmod(0o777)  # likewise

        self._engine.fetch(composition.base_images(file), self._say)
        cleaning.callback(self._engine.remove_superseded_images)
        cleaning.callback(self._engine.remove, self._session)
        cleaning.callback(self._engine.keep_logs, self._session, self._log)
        labels = ", ".join(dict.fromkeys(target.backend.label for target in targets))
        self._say(f"building the images of {labels}, as far as they are not built yet")
        self._engine.build(self._session, self._file, [target.name for target in targets], self._logs)
        cleaning.callback(os.sched_setaffinity, 0, allowed)
        os.sched_setaffinity(0, parse_cpu_list(cpus.database))  # not even this program runs on the backend's CPU
        self._start_database(cleaning, cpus)
        self._say(f"starting {labels}")
        self._start_backends(cleaning)
        self.environment = Environment(
            stack="compose",
            **facts._asdict(),
            cgroup="v1" if isinstance(self.database_cage, cgroup_v1.V1Cage) else "v2",
            python=", ".join(dict.fromkeys(instance.python for instance in self.instances if instance.python)),
            k6=self.generator.version,
            database="mysql",
            database_version=database.version(),
            durability=config.database.durability,
            backend_cpus=cpus.backend,
            database_cpus=cpus.database,
            generator_cpus=cpus.generator,
            randomised=self._randomised,
        )

    def _model(self) -> dict[str, Any]:
        """What Compose is to start; each backend's container in the slot that it has now."""
        now = {instance.target.name: instance.slot for instance in self.instances}
        place = msgspec.structs.replace(self._place, slots={**self._place.slots, **now})
        return composition.compose(self._compose, self._config, self._targets, self._cpus, place)

    def _make(self, instance: ContainerInstance, seed: int | None) -> engine.Container:
        """A new container for a backend, which starts it."""
        name = instance.target.name
        if seed is not None:
            model = self._model()
            model["services"][name] = composition.laid_out(
                model["services"][name],
                self._engine.command(composition.image(instance.target)),
                seed,
                fixed=not self._randomised,
            )
            self._engine.write(model, self._file)
            self._engine.up(self._session, self._file, [name], self._logs)
        return self._engine.container(self._session, name)

    def _start_database(self, cleaning: contextlib.ExitStack, cpus: cores.Cpus) -> None:
        place = "memory" if self._config.database.durability == "memory" else "a volume on disk"
        self._say(f"starting MySQL, its data in {place}")
        self._engine.up(self._session, self._file, [composition.DATABASE], self._logs)
        container = self._engine.container(self._session, composition.DATABASE)
        cleaning.callback(container.close)
        self.database.start(container)
        self.database_cage = limits.cage_of(container.pid, "database", cpus.database, None)
        for target in self._targets:
            self.database.create_database_for(target, target.name)

    def _start_backends(self, cleaning: contextlib.ExitStack) -> None:
        self._engine.up(self._session, self._file, [target.name for target in self._targets], self._logs)
        for target in self._targets:
            wanted = target.limits or self._config.limits
            slot, log = self._place.slots[target.name], self._log(target.name)
            instance = ContainerInstance(
                target, slot, self._cpus.backend, wanted, log, self._make, self.database.create_database_for
            )
            cleaning.callback(instance.close)
            self.instances += (instance,)
        for instance in self.instances:
            instance.start()
        if self._paired:
            obstacles = [f"{i.target.name}: {text}" for i in self.instances if (text := i.why_not_fixed())]
            self._randomised = bool(obstacles)
            if obstacles:
                self._say(f"how the arms lie in memory is left to chance, so they will differ more: {obstacles[0]}")
        missing = [f"{i.target.name}: {text}" for i in self.instances for text in i.cage.missing()]
        self.limited = not missing
        if missing and not self._allow_unlimited:
            raise PipelineError(
                f"the engine has not set the limits that it was asked for: {'; '.join(missing)}",
                "see `docker info` for its warnings; or pass --allow-unlimited, and the run will say so",
            )

    def _log(self, service: str) -> Path:
        return self._logs / f"{'database' if service == composition.DATABASE else service}.log"
