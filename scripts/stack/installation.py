"""Which database server runs: one of this system, a private one, or MariaDB; and its empty data directory."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from scripts.config import DatabaseSettings
from scripts.model import PipelineError, Struct
from scripts.stack import mysql_prefix, packages
from scripts.stack.leftovers import session_folder
from scripts.stack.process import run

OLDEST_MYSQL = (8, 0)
TITLES = {"mysql": "MySQL", "mariadb": "MariaDB"}


class Installation(Struct):
    """A database server that can be run.

    ``command`` is the program; ``options`` tell it where its own files are; ``template`` is an empty data directory of
    this very version to copy (0.1 s; making one takes 3 s).
    """

    engine: Literal["mysql", "mariadb"]
    version: str
    command: tuple[str, ...]
    options: tuple[str, ...]
    template: Path

    @property
    def title(self) -> str:
        """``MySQL 8.4.6``"""
        return f"{TITLES[self.engine]} {self.version}"


class Server(NamedTuple):
    """A server program that was found and answers for its version."""

    version: str
    command: tuple[str, ...]
    options: tuple[str, ...] = ()


def provide(settings: DatabaseSettings, cache: Path, say: Callable[[str], None] = print) -> Installation:
    """A server of the engine that is asked for; what it takes is said through ``say``.

    MySQL is a `mysqld` of this system, else one in a private folder in ``cache``. Where this system can have neither,
    MariaDB stands in, and the installation is named so. Raises PipelineError where it could be had but not now.
    """
    engine, server = settings.engine, None
    if engine == "mysql":
        try:
            server = _find_server("mysql", "mysqld") or _provide_prefix(cache, say)
        except mysql_prefix.UnavailableError as unavailable:
            try:
                engine, server = "mariadb", _provide_mariadb(say)
            except PipelineError:
                raise unavailable from None
            say(f"MySQL: {unavailable.message}. MariaDB {server.version} stands in for it, and the run says so.")
    if server is None:
        server = _provide_mariadb(say)
    template = _provide_template(engine, server, cache)
    return Installation(
        engine=engine, version=server.version, command=server.command, options=server.options, template=template
    )


def base_options(engine: str, options: Sequence[str], data: Path) -> list[str]:
    """What every start of a server begins with."""
    # --no-defaults must come first. The server refuses to run as root unless it is told to.
    user = ["--user=root"] if os.geteuid() == 0 else []
    secure = ["--secure-file-priv=NULL"] if engine == "mysql" else []
    return ["--no-defaults", *options, *secure, *user, f"--datadir={data}"]


def parse_version(engine: str, output: str) -> str | None:
    """``8.4.6`` from what the server's ``--version`` prints, or None if it is another engine or too old a MySQL.

    >>> parse_version("mysql", "mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))")
    '9.7.4'
    """
    found = re.search(r"Ver (\d+)\.(\d+)\.(\d+)", output)
    if found is None or ("MariaDB" in output) != (engine == "mariadb") or "Percona" in output:
        return None
    if engine == "mysql" and (int(found[1]), int(found[2])) < OLDEST_MYSQL:
        return None
    return ".".join(found.groups())


def _provide_prefix(cache: Path, say: Callable[[str], None]) -> Server:
    prefix = mysql_prefix.provide(cache, say)
    command = mysql_prefix.server_command(prefix)
    version = _read_version("mysql", command)
    if version is None:
        raise PipelineError(f"{prefix}: its MySQL server does not run", "remove that folder and run this again")
    return Server(version, command, mysql_prefix.server_options(prefix))


def _provide_mariadb(say: Callable[[str], None]) -> Server:
    packages.install(packages.mariadb_needs(), say)
    found = _find_server("mariadb", "mariadbd")
    if found is None:
        raise PipelineError("`mariadbd` is there but does not run", "`mariadbd --version` may say why")
    return found


def _find_server(engine: str, program: str) -> Server | None:
    """The system's own server, if it is what its name says and may use our folders."""
    path = packages.find_program(program)
    # Ubuntu's full server package confines the program to /var/lib/mysql; a private one is not confined.
    if path is None or (engine == "mysql" and Path("/etc/apparmor.d/usr.sbin.mysqld").exists()):
        return None
    version = _read_version(engine, (str(path),))
    return Server(version, (str(path),)) if version else None


def _read_version(engine: str, command: tuple[str, ...]) -> str | None:
    try:
        done = run([*command, "--no-defaults", "--version"], timeout_s=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_version(engine, done.stdout) if done.returncode == 0 else None


def _provide_template(engine: str, server: Server, cache: Path) -> Path:
    """The empty data directory of this version, from ``cache`` or made there, whole or not at all."""
    template = cache / f"data-{engine}-{server.version}"
    if template.is_dir():
        return template
    cache.mkdir(parents=True, exist_ok=True)
    with session_folder("data", cache) as name:
        data = Path(name).resolve() / "data"
        data.mkdir(mode=0o700)
        base = base_options(engine, server.options, data)
        if engine == "mysql":
            command = [*server.command, *base, "--initialize-insecure", "--loose-innodb-redo-log-capacity=8M"]
        else:
            script = str(packages.find_program("mariadb-install-db"))
            command = [script, *base, "--auth-root-authentication-method=normal", "--skip-test-db"]
        done = run(command)
        if done.returncode != 0:
            end = "\n".join((done.stdout + done.stderr).splitlines()[-15:])
            raise PipelineError(
                f"{TITLES[engine]} {server.version}: its data directory could not be made:\n{end}",
                f"the lines above name the cause; a full disk at {cache} is the usual one",
            )
        mysql_prefix.publish(data, template)
    return template
