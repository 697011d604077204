"""System packages of Debian and Ubuntu: what is missing, and installing it, never silently.

What is missing is found by looking for the thing itself (a program, a header), not for the package, so that a compiler
or a Python from elsewhere counts, and so that nothing is asked of the network when nothing is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from scripts.model import PipelineError

# What mysqlclient's own build looks for, in its order.
CLIENT_LIBRARIES = ("mysqlclient", "mariadb", "libmariadb", "perconaserverclient")


class Need(NamedTuple):
    """A package, what it is needed for (it completes "to ..."), and whether what it gives is already here."""

    package: str
    purpose: str
    present: Callable[[], bool]


def build_needs() -> tuple[Need, ...]:
    """What it takes to compile mysqlclient for the running interpreter."""
    purpose = "build mysqlclient, Django's driver"
    # With --no-install-recommends gcc comes without the C library's headers.
    return (
        Need("gcc", purpose, lambda: find_program("cc", "gcc") is not None),
        Need("libc6-dev", purpose, Path("/usr/include/stdio.h").exists),
        Need("pkg-config", purpose, lambda: find_program("pkg-config", "pkgconf") is not None),
        Need("libmariadb-dev", purpose, _has_client_library),
        Need(f"python{sys.version_info.major}.{sys.version_info.minor}-dev", purpose, _has_python_header),
    )


def provide_build_tools(say: Callable[[str], None] = print) -> None:
    """See that mysqlclient can be compiled; raise PipelineError where we may not install what it takes."""
    install(build_needs(), say)


def mariadb_needs() -> tuple[Need, ...]:
    """The MariaDB server without its system service, and the programs that its set-up script calls."""
    purpose = "run MariaDB"
    return (
        Need("mariadb-server-core", purpose, lambda: find_program("mariadbd") is not None),
        Need("mariadb-client-core", purpose, lambda: find_program("mariadb") is not None),
    )


def browser_needs() -> tuple[Need, ...]:
    """What the tests of the site's pages drive."""
    return (
        Need(
            "chromium", "test the site in a browser", lambda: find_program("chromium", "chromium-browser") is not None
        ),
    )


def find_program(*names: str) -> Path | None:
    """The first of ``names`` on the PATH or in the system's sbin folders, which an ordinary user's PATH leaves out."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return Path(found)
    return None


def find_missing(needs: Sequence[Need]) -> list[Need]:
    return [need for need in needs if not need.present()]


def install(needs: Sequence[Need], say: Callable[[str], None] = print) -> list[str]:
    """Install what of ``needs`` is missing and return its package names; raise PipelineError where we may not."""
    missing = find_missing(needs)
    if not missing:
        return []
    packages = [need.package for need in missing]
    reason = f"to {' and to '.join(dict.fromkeys(need.purpose for need in missing))}"
    listed = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise PipelineError(
            f"{', '.join(packages)} missing, needed {reason}",
            "install what your system calls these Debian packages, then run this again",
        )
    if os.geteuid() != 0:
        raise PipelineError(
            f"{', '.join(packages)} missing, needed {reason}",
            f"run: sudo apt-get update && sudo apt-get install --yes --no-install-recommends {listed}",
        )
    say(f"Installing system packages {reason}: {listed}")
    arguments = ["install", "--yes", "--no-install-recommends", *packages]
    # Lists may be absent (container images) or name versions that are gone: only then are they fetched.
    if _apt_get(arguments) is not None:
        updated = _apt_get(["update"])
        failed = _apt_get(arguments)
        if failed is not None:
            raise PipelineError(
                f"apt-get could not install {listed}: {failed}" + (f"; apt-get update: {updated}" if updated else ""),
                f"see that the machine reaches its package archive and has disk space; `apt-get install {listed}` "
                "shows the whole error",
            )
    absent = [need.package for need in find_missing(needs)]
    if absent:
        raise PipelineError(
            f"{', '.join(absent)} installed, but what is needed {reason} is still not found",
            "see that the PATH contains /usr/bin and /usr/sbin",
        )
    return packages


def _apt_get(arguments: Sequence[str]) -> str | None:
    """None if it worked, else the last error that it named."""
    done = subprocess.run(
        ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments],
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else last_error(done.stderr)


def last_error(stderr: str) -> str:
    """The last line that apt or dpkg marks as an error, else the last line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    marked = [line for line in lines if line.startswith(("E:", "dpkg-deb: error", "dpkg: error"))]
    return (marked or lines or ["no message"])[-1]


def _has_client_library() -> bool:
    program = find_program("pkg-config", "pkgconf")
    if program is None:
        return False
    return any(subprocess.run([program, "--exists", name], check=False).returncode == 0 for name in CLIENT_LIBRARIES)


def _has_python_header() -> bool:
    return (Path(sysconfig.get_path("include")) / "Python.h").exists()
