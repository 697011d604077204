"""Real MySQL in a private folder, from the distribution's own signed packages, without root.

apt works on lists, a cache and an (empty) package status of its own, so nothing of the system is read or changed but
its sources; the packages are unpacked, not installed. Debian carries MySQL in its unstable suite only, Ubuntu in every
suite. The server runs through the C library that was unpacked with it, so the system's may be older.

Sources: apt.conf(5), apt-get(8) ``indextargets``, dpkg-deb(1), ld.so(8).
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from scripts.model import PipelineError
from scripts.stack.leftovers import session_folder
from scripts.stack.packages import last_error
from scripts.stack.process import run

NEEDED_MB = 700
KEYRINGS = (
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
)
# Packages that the closure contains for maintainer scripts or for what a benchmark's server never does.
UNUSED = re.compile(r"perl|libperl|libgdbm|libdb5|libc-gconv|openssl-provider|debconf|lsb-base|psmisc")


class UnavailableError(PipelineError):
    """This system has no way to a private MySQL, today or tomorrow (a network that is down is not this)."""


class Target(NamedTuple):
    """One package index that the system's apt sources name."""

    uri: str
    release: str
    component: str


def provide(cache: Path, say: Callable[[str], None] = print) -> Path:
    """The folder with the unpacked server: the one in ``cache``, else a new one, which appears whole or not at all."""
    prefix = cache / "mysql"
    if prefix.exists():
        return prefix
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise UnavailableError(
            "there is no `mysqld` here, and no apt to take one from",
            "install MySQL 8.0 or later so that `mysqld` is on the PATH (its service need not run)",
        )
    cache.mkdir(parents=True, exist_ok=True)
    free_mb = shutil.disk_usage(cache).free >> 20
    if free_mb < NEEDED_MB:
        raise PipelineError(
            f"{cache}: {free_mb} MB are free, and a private MySQL needs {NEEDED_MB} MB while it is unpacked",
            "free some disk space",
        )
    say("Fetching MySQL into a private folder (about 60 MB, once; the system is not changed)")
    with session_folder("mysql", cache) as name:
        work = Path(name).resolve()
        packages = _download(work)
        _unpack(packages, work / "prefix")
        publish(work / "prefix", prefix)
    return prefix


def publish(made: Path, place: Path) -> None:
    """Rename the finished folder ``made`` to ``place``, unless another session was quicker: its folder is as good."""
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():
            raise


def server_command(prefix: Path) -> tuple[str, ...]:
    """How to run the server of ``prefix``: through its own dynamic loader, with its own libraries only."""
    prefix = prefix.resolve()
    loader = next(path for folder in ("usr/lib64", "lib64", "usr/lib", "lib") for path in _loaders(prefix / folder))
    libraries = [path for root in ("usr/lib", "lib") for path in sorted((prefix / root).glob("*-linux-*"))]
    libraries.append(prefix / "usr/lib/mysql/private")
    return (str(loader), "--library-path", ":".join(map(str, libraries)), str(prefix / "usr/sbin/mysqld"))


def server_options(prefix: Path) -> tuple[str, ...]:
    """Where the server finds its own files, since the paths that were compiled in are not these."""
    usr = prefix.resolve() / "usr"
    return (
        f"--basedir={usr}",
        f"--lc-messages-dir={usr}/share/mysql",
        f"--character-sets-dir={usr}/share/mysql/charsets",
        f"--plugin-dir={usr}/lib/mysql/plugin",
    )


def choose_archive(targets: Iterable[Target], codename: str) -> str | None:
    """The URI of the distribution's own archive among ``targets``: third parties have other suites or components."""
    releases = (codename, "sid", "unstable", "testing", "stable", "oldstable")
    own = [target for target in targets if target.component == "main" and target.release in releases]
    return min(own, key=lambda target: releases.index(target.release)).uri if own else None


def choose_package(names: Iterable[str]) -> str | None:
    """The newest server among package names: the one without a version in its name where there is one."""
    versions = {}
    for name in names:
        matched = re.fullmatch(r"mysql-server-core(?:-(\d+)\.(\d+))?", name)
        if matched:
            versions[name] = tuple(int(part or 999) for part in matched.groups())
    return max(versions, key=lambda name: versions[name]) if versions else None


def _loaders(folder: Path) -> list[Path]:
    return sorted(folder.glob("ld-linux*.so.*"))


def _download(work: Path) -> list[Path]:
    """The server's package and every library that it needs, as files in ``work``."""
    environment = _private_apt(work)
    _run(["apt-get", "update", "-o", "APT::Update::Error-Mode=any"], environment, work)
    found = _run(["apt-cache", "search", "--names-only", "^mysql-server-core"], environment, work)
    package = choose_package(line.split(" ")[0] for line in found.splitlines())
    if package is None:
        raise UnavailableError(
            "neither this system nor its package archive has a MySQL server",
            "install MySQL 8.0 or later so that `mysqld` is on the PATH (its service need not run)",
        )
    planned = _run(["apt-get", "install", "--simulate", package], environment, work)
    closure = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    downloads = work / "packages"
    downloads.mkdir()
    _run(["apt-get", "download", *(name for name in closure if not UNUSED.match(name))], environment, downloads)
    return sorted(downloads.glob("*.deb"))


def _private_apt(work: Path) -> dict[str, str]:
    """Set up an apt of our own in ``work``; returns the environment that makes apt use it."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    (work / "status").touch()
    lines = [
        f'Dir::State::lists "{work}/lists";',
        f'Dir::State::status "{work}/status";',
        f'Dir::Cache "{work}/cache";',
        'APT::Install-Recommends "false";',
        'APT::Get::AllowUnauthenticated "false";',
        'Acquire::Languages "none";',
        'Acquire::Retries "2";',
        'Acquire::http::Timeout "20";',
        'APT::Sandbox::User "root";',  # the user _apt may not enter our folder
        'quiet "2";',
    ]
    system = _os_release()
    if system.get("ID") == "debian":
        (work / "sources.list").write_text(_debian_source(system.get("VERSION_CODENAME", "")))
        lines += [f'Dir::Etc::sourcelist "{work}/sources.list";', 'Dir::Etc::sourceparts "-";']
    (work / "apt.conf").write_text("\n".join(lines) + "\n")
    return {**os.environ, "APT_CONFIG": str(work / "apt.conf"), "LC_ALL": "C"}


def _debian_source(codename: str) -> str:
    """The unstable suite of the archive that this machine already uses, verified with Debian's keyring."""
    template = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
    command = ["apt-get", "indextargets", "--no-release-info", "--format", template, "Created-By: Packages"]
    output = run(command).stdout
    uri = choose_archive((Target(*line.split("|")) for line in output.splitlines() if line.count("|") == 2), codename)
    keyring = next((path for path in KEYRINGS if path.exists()), None)
    if uri is None or keyring is None:
        raise UnavailableError(
            "no Debian archive in the apt sources" if uri is None else f"{KEYRINGS[0]} is missing",
            "install MySQL 8.0 or later so that `mysqld` is on the PATH (its service need not run)",
        )
    return f"deb [signed-by={keyring}] {uri} unstable main\n"


def _os_release() -> dict[str, str]:
    path = Path("/etc/os-release")
    lines = path.read_text().splitlines() if path.exists() else []
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines)}


def _unpack(packages: Sequence[Path], prefix: Path) -> None:
    """Unpack all ``packages`` into ``prefix``, without documentation."""

    def unpack(package: Path) -> None:
        _run(["dpkg-deb", "--extract", str(package), str(prefix)], dict(os.environ), package.parent)

    prefix.mkdir()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(unpack, packages))
    for folder in ("doc", "man", "locale", "lintian"):
        shutil.rmtree(prefix / "usr/share" / folder, ignore_errors=True)


def _run(command: Sequence[str], env: dict[str, str], cwd: Path) -> str:
    done = run(command, env=env, cwd=cwd)
    if done.returncode != 0:
        error = last_error(done.stderr)
        full = "No space left on device" in done.stderr
        raise PipelineError(
            f"private MySQL: `{' '.join(command[:2])}` failed: {error}",
            f"free some disk space at {cwd.parent}"
            if full
            else "see that the machine reaches its package archive, then run this again; or install MySQL 8.0 or "
            "later so that `mysqld` is on the PATH; or pass --database mariadb to use MariaDB",
        )
    return done.stdout
