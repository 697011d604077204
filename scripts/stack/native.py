"""The stack without Docker: a private database server and the backends, each in a cage of its own."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.config import Config, DatabaseSettings
from scripts.cpus import parse_cpu_list
from scripts.load import k6
from scripts.model import Environment, Limits, PipelineError
from scripts.stack import Instance, Say, Target, cage, cores, engine, environments, limits, machine, naming, packages
from scripts.stack.database import DatabaseServer
from scripts.stack.database import provide as provide_database
from scripts.stack.layout import FIXED, lay_out
from scripts.stack.leftovers import CACHE, is_gone, remove_leftovers, session_folder, session_name
from scripts.stack.process import Process, preparing, uninterrupted
from scripts.stack.sessions import await_ready, check_port_free, choose_ports, memory_folder

MEMORY_NEEDED_MB = 1024  # the database's data, and the backends' files


class Slot(NamedTuple):
    """All that a running backend has beside its code. ``variables``: those of its environment that follow from it."""

    number: int
    port: int
    folder: Path
    cage: cage.Cage
    account: str
    variables: Mapping[str, str]


class NativeInstance:
    """A backend as processes in a cage. ``create_database`` makes the target's database under an account's name."""

    def __init__(
        self, target: Target, slot: Slot, python: Path, log: Path, create_database: Callable[[Target, str], None]
    ) -> None:
        self.target, self.slot, self.log = target, slot, log
        self.packages: Mapping[str, str] = environments.versions(python, target.backend.packages)
        self._python, self._create_database = python, create_database
        self._process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.slot.port}"

    @property
    def data_dir(self) -> Path:
        return self.slot.folder / "data"

    @property
    def slot_number(self) -> int:
        return self.slot.number

    @property
    def account(self) -> str:
        return self.slot.account

    @property
    def cage(self) -> cage.Cage:
        return self.slot.cage

    def start(self, seed: int | None = None) -> None:
        """Start gunicorn with the app's own gunicorn.conf.py; it is not ready yet (`await_ready`).

        ``seed``: of how it lies in memory (`lay_out`); without one that is left to chance.
        """
        _, port, folder, cage, account, variables = self.slot
        check_port_free(self.target.name, port)
        self._create_database(self.target, account)
        self.data_dir.mkdir(parents=True, exist_ok=True)
        app = folder / "app"
        if not app.exists():  # a copy, so that both arms' code lies at paths of one length (`lay_out`)
            shutil.copytree(self.target.app, app, ignore=shutil.ignore_patterns("__pycache__"))
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "BIND": f"127.0.0.1:{port}",
            "DATA_DIR": str(self.data_dir),
            **variables,
        }
        command = [str(self._python), "-m", "gunicorn"]
        if seed is not None:
            environment = lay_out(environment, seed)
            command = [*FIXED, *command]
        self._process = Process(self.target.name, command, log=self.log, cage=cage, cwd=app, env=environment)

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.alive

    def tail(self, lines: int = 20) -> str:
        return self._process.tail(lines) if self._process else ""

    def freeze(self) -> None:
        if self._process:
            self._process.freeze()

    def thaw(self) -> None:
        if self._process:
            self._process.thaw()

    def restart(self, seed: int) -> None:
        self.stop()
        self.start(seed)
        await_ready(self)
        self.freeze()

    def stop(self) -> None:
        if self._process:
            self._process.stop()
            self._process = None  # its cage may be another instance's from now on


class NativeStack:
    """``with NativeStack(...) as stack:`` everything is up inside and nothing is left outside."""

    def __init__(
        self, config: Config, targets: Sequence[Target], logs: Path, say: Say, *, allow_unlimited: bool = False
    ) -> None:
        self._config, self._targets, self._logs, self._say = config, targets, logs, say
        self._allow_unlimited = allow_unlimited
        self._exit = contextlib.ExitStack()
        self.instances: tuple[NativeInstance, ...] = ()

    def __enter__(self) -> NativeStack:
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
        return self._cages.cpu_s() - self.generator_cage.cpu_s()

    def exchange(self, first: Instance, second: Instance) -> None:
        assert isinstance(first, NativeInstance)
        assert isinstance(second, NativeInstance)
        first.stop()
        second.stop()
        one, other = first.slot.folder / "app", second.slot.folder / "app"
        aside = one.with_name("aside")
        for source, goal in ((one, aside), (other, one), (aside, other)):
            source.rename(goal)
        first.slot, second.slot = second.slot, first.slot
        for instance in (first, second):
            instance.cage.enforce(self._limits(instance.target))

    def _provide_python(self, target: Target) -> Path:
        with naming(target):
            return environments.provide(target.app, CACHE, self._say)

    def _limits(self, target: Target) -> Limits | None:
        return (target.limits or self._config.limits) if self.limited else None

    def _choose_ports(self) -> dict[str, int]:
        """Where one is in use, a killed session's containers may have it; only then is an engine asked."""
        try:
            return choose_ports(self._targets)
        except PipelineError:
            with contextlib.suppress(PipelineError), contextlib.closing(engine.find()) as found:
                found.remove_leftovers(is_gone)
            return choose_ports(self._targets)

    def _start(self, cleaning: contextlib.ExitStack) -> None:
        config = self._config
        remove_leftovers(self._say)
        ports = self._choose_ports()
        self._cages = cleaning.enter_context(limits.Cages(session_name(), allow_unlimited=self._allow_unlimited))
        self.limited = self._cages.kind != "none"
        facts = machine.read_machine()
        allowed = os.sched_getaffinity(0)
        cpus = cores.allot_cpus(cores.read_cores(allowed))
        self.generator = k6.find(os.environ.get("K6"))

        packages.provide_build_tools(self._say)
        CACHE.mkdir(exist_ok=True)
        with preparing() as pool:
            self._say("providing the database and the backends' environments")
            installing = pool.submit(provide_database, config.database, CACHE, self._say)
            made = dict(zip(self._targets, pool.map(self._provide_python, self._targets), strict=True))
            installation = installing.result()

        cleaning.callback(os.sched_setaffinity, 0, allowed)
        os.sched_setaffinity(0, parse_cpu_list(cpus.database))  # not even this program runs on the backend's CPU
        memory = Path(cleaning.enter_context(memory_folder(MEMORY_NEEDED_MB)))
        self.database_cage = self._cages.make("database", cpus.database)
        self.generator_cage = self._cages.make("generator", cpus.generator)
        self._say(f"starting {installation.title}, its data in {_place(config.database)}")
        data = memory
        if config.database.durability == "disk":
            data = Path(cleaning.enter_context(session_folder("disk", CACHE)))
        self.database = cleaning.enter_context(
            DatabaseServer(installation, config.database, self.database_cage, data, self._logs / "database.log")
        )
        for target in self._targets:
            slot = Slot(
                number=len(self.instances),
                port=ports[target.name],
                folder=memory / f"{len(self.instances):02}",
                cage=self._cages.make(target.name, cpus.backend, self._limits(target)),
                account=target.name,
                variables={**config.environment, **self.database.account(target.name)},
            )
            log = self._logs / f"{target.name}.log"
            instance = NativeInstance(target, slot, made[target], log, self.database.create_database_for)
            cleaning.callback(instance.stop)
            instance.start()
            self.instances += (instance,)
        self._say(f"starting {', '.join(dict.fromkeys(t.backend.label for t in self._targets))}")
        for instance in self.instances:
            await_ready(instance)
            instance.freeze()
        self.environment = Environment(
            stack="native",
            **facts._asdict(),
            cgroup={"scope": "v2"}.get(self._cages.kind, self._cages.kind),  # type: ignore[arg-type]
            python=platform.python_version(),
            k6=self.generator.version,
            database=installation.engine,
            database_version=installation.version,
            durability=config.database.durability,
            backend_cpus=cpus.backend,
            database_cpus=cpus.database,
            generator_cpus=cpus.generator,
        )


def _place(settings: DatabaseSettings) -> str:
    return "memory" if settings.durability == "memory" else f"{CACHE.name}/ on disk"
