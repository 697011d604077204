"""The stack in containers: MySQL and the backends as docker-compose.yml says, the load generator on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from scripts.config import PROJECT, Config
from scripts.cpus import parse_cpu_list
from scripts.load import k6
from scripts.model import Environment, Limits, PipelineError
from scripts.stack import Instance, Say, Target, accounts, cage, cgroup_v1, composition, cores, engine, limits, machine
from scripts.stack.accounts import Database
from scripts.stack.database import HOST, START_TIMEOUT_S, free_port
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
    """A backend in a container. ``python``: the version inside."""

    def __init__(
        self,
        target: Target,
        url: str,
        data_dir: Path,
        container: engine.Container,
        cpus: str,
        wanted: Limits,
        renew_database: Callable[[], None],
    ) -> None:
        self.target, self.url, self.data_dir = target, url, data_dir
        self._container, self._cpus, self._limits = container, cpus, wanted
        self.account, self.slot_number = target.name, 0
        self._renew_database = renew_database
        self._earlier_cpu_s = 0.0
        self.packages: Mapping[str, str] = {}
        self.python = ""

    def start(self) -> None:
        """Find its processes and wait until it answers; then it is frozen."""
        if self._container.alive:
            self.cage = limits.cage_of(self._container.pid, self.target.name, self._cpus, self._limits)
        await_ready(self)
        if self.target.backend.packages and not self.packages:
            self.python, installed = json.loads(self._container.run("python", "-c", DESCRIBE))
            self.packages = {name: installed[name] for name in self.target.backend.packages if name in installed}
        self.freeze()

    @property
    def alive(self) -> bool:
        return self._container.alive

    def tail(self, lines: int = 20) -> str:
        return self._container.tail(lines)

    def freeze(self) -> None:
        self._container.freeze()

    def thaw(self) -> None:
        self._container.thaw()

    def restart(self, seed: int) -> None:
        """The seed stays without effect: an engine does not let a container's address space be laid out."""
        self._earlier_cpu_s = self.cpu_s()
        self._renew_database()
        self._container.restart()
        self.start()

    def cpu_s(self) -> float:
        """CPU seconds of every process that it ever had (the engine makes a new group when it starts it again)."""
        return self._earlier_cpu_s + self.cage.cpu_s()


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
        """They stay: a container keeps its port, its network and its environment for life."""

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
        place = composition.Place(
            ports=ports,
            database_port=database.published,
            folder=folder,
            accounts={target.name: database.account(target.name) for target in targets},
        )
        self._file = folder / "compose.json"
        file = self._engine.read(FILE)
        self._engine.write(composition.compose(file, config, targets, cpus, place), self._file)
        administrator = folder / composition.SETUP
        administrator.write_text(database.setup)
        administrator.chmod(0o644)  # for the server's user inside; nobody else gets into `folder`
        for target in targets:
            data_dir = composition.data_dir(place, target)
            data_dir.mkdir()
            data_dir.chmod(0o777)  # likewise

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
        self._start_backends(cleaning, place, cpus)
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
        )

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

    def _start_backends(self, cleaning: contextlib.ExitStack, place: composition.Place, cpus: cores.Cpus) -> None:
        self._engine.up(self._session, self._file, [target.name for target in self._targets], self._logs)
        for target in self._targets:
            container = self._engine.container(self._session, target.name)
            cleaning.callback(container.close)
            self.instances += (
                ContainerInstance(
                    target,
                    f"http://{HOST}:{place.ports[target.name]}",
                    composition.data_dir(place, target),
                    container,
                    cpus.backend,
                    target.limits or self._config.limits,
                    partial(self.database.create_database_for, target, target.name),
                ),
            )
        for instance in self.instances:
            instance.start()
        missing = [f"{i.target.name}: {text}" for i in self.instances for text in i.cage.missing()]
        self.limited = not missing
        if missing and not self._allow_unlimited:
            raise PipelineError(
                f"the engine has not set the limits that it was asked for: {'; '.join(missing)}",
                "see `docker info` for its warnings; or pass --allow-unlimited, and the run will say so",
            )

    def _log(self, service: str) -> Path:
        return self._logs / f"{'database' if service == composition.DATABASE else service}.log"
