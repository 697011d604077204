"""Starting, limiting, metering and stopping what is measured.

*Stack*: a database and the backends, native or in containers, with one `Instance` for each arm of each backend. *Cage*:
processes with limits and CPUs, whose use is counted. *Meter*: the counters of a block. What is above this room sees a
`Stack` and does not know what it runs in; a further kind of stack is a module beside `native` and `compose`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from scripts.config import Backend, Config
from scripts.model import Arm, Environment, Limits, PipelineError, Struct

if TYPE_CHECKING:
    from scripts.load.k6 import Generator
    from scripts.stack.accounts import Database
    from scripts.stack.cage import Cage

Say = Callable[[str], None]
"""Tells the user one line of what is going on."""


class Target(Struct):
    """A backend of one arm, to be started from the folder ``app``. ``limits``: None for those of bench.toml."""

    backend: Backend
    app: Path
    arm: Arm = "candidate"
    limits: Limits | None = None

    @classmethod
    def of(cls, backend: Backend, root: Path, arm: Arm = "candidate") -> Target:
        """A backend of the project as it is in the folder ``root``."""
        return cls(backend=backend, app=Path(os.path.normpath(root.resolve() / backend.folder)), arm=arm)

    @property
    def name(self) -> str:
        """A plain identifier that tells the arms of a backend apart: its database, its group, its log."""
        return self.backend.name if self.arm == "candidate" else f"{self.backend.name}_{self.arm}"


class TargetError(PipelineError):
    """One target cannot be measured, whatever the others do; the message calls its folder as the repository does."""

    def __init__(self, target: Target, message: str, hint: str = "") -> None:
        super().__init__(message.replace(str(target.app), target.backend.folder), hint)
        self.target = target


def check_sources(target: Target) -> None:
    """Raise TargetError naming the key of bench.toml whose folder or file this version does not have."""
    backend, key = target.backend, f"bench.toml: [backends.{target.backend.name}]"
    if not target.app.is_dir():
        hint = "folder is what it is built from, as seen from bench.toml, or from the folder that --tree names"
        raise TargetError(target, f"{key} folder: {target.app} is not there", hint)
    if backend.schema and not (target.app / backend.schema).is_file():
        hint = 'schema is a file of SQL as seen from the folder; leave it empty (schema = "") where there is none'
        raise TargetError(target, f"{key} schema: {target.app}/{backend.schema} is not there", hint)


@contextlib.contextmanager
def naming(target: Target) -> Iterator[None]:
    """An error inside is this target's alone."""
    try:
        yield
    except PipelineError as error:
        raise TargetError(target, error.message, error.hint) from error


def candidates(config: Config, root: Path) -> tuple[Target, ...]:
    """Every backend of ``config``, of the project as it is in the folder ``root``."""
    return tuple(Target.of(backend, root) for backend in config.backends)


class Instance(Protocol):
    """One running backend of one arm."""

    target: Target
    packages: Mapping[str, str]
    """The versions of the packages that bench.toml names."""

    @property
    def url(self) -> str:
        """``http://127.0.0.1:18000``, without a path."""

    @property
    def data_dir(self) -> Path:
        """Where its file operations take place, as seen from here."""

    @property
    def slot_number(self) -> int:
        """Which of the places that instances can exchange it has now."""

    @property
    def account(self) -> str:
        """The name of its database, and of the user as which it logs in."""

    @property
    def cage(self) -> Cage: ...

    @property
    def alive(self) -> bool: ...

    def tail(self, lines: int = 20) -> str:
        """The end of its log."""

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def restart(self, seed: int) -> None:
        """End its processes, make its database anew and start new processes; they are ready, and frozen, then.

        ``seed``: whatever decides how the new processes lie in memory follows from it, as far as it can be decided.
        """


class Stack(Protocol):
    """The database server and the instances, up between ``__enter__`` and ``__exit__``.

    Each instance logs in to a database of its own as a user of its own.
    """

    environment: Environment
    limited: bool
    database_cage: Cage
    generator: Generator
    generator_cage: Cage

    @property
    def database(self) -> Database: ...

    @property
    def instances(self) -> Sequence[Instance]: ...

    def cpu_s(self) -> float:
        """CPU seconds so far of everything the stack has in cages, but for the generator."""

    def exchange(self, first: Instance, second: Instance) -> None:
        """Stop two instances; started again, each has what the other had: port, folder, account, and, where it outlives
        the processes, control group.

        What belongs to a place and not to the code then meets both.
        """


def check_alive(stack: Stack) -> None:
    """Raise an error with the end of the log of whatever has died."""
    if not stack.database.alive:
        raise PipelineError(
            f"the database server has stopped; the end of its log:\n{stack.database.tail()}",
            "look at the log above; too little memory or a full disk are the usual reasons",
        )
    for instance in stack.instances:
        if not instance.alive:
            raise TargetError(
                instance.target,
                f"backend {instance.target.name} has stopped; the end of its log:\n{instance.tail()}",
                f"mend {instance.target.app.parent.name}/{instance.target.app.name}, then run `nox -s parity`",
            )
