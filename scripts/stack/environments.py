"""The backends' own Python environments, made by uv from their locks and kept for the next time."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from scripts.model import PipelineError


def provide(app: Path, cache: Path) -> Path:
    """The Python of an environment with exactly what ``app``'s requirements.txt locks.

    The environment is found again by the lock's content, so two versions of a backend with one lock share it.
    """
    lock = app / "requirements.txt"
    if not lock.is_file():
        raise PipelineError(f"{lock}: missing", f"lock it: uv pip compile {app.name}/requirements.in (apps/README.md)")
    key = hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()[:12]
    folder = cache / "environments" / f"{app.name}-{key}"
    complete = folder / ".complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # two arms, or two sessions, may want the same one at once
        if not complete.exists():
            _make(folder, lock)
            complete.touch()
    return folder / "bin" / "python"


def _make(folder: Path, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    name = lock.parent.name
    python = str(folder / "bin" / "python")
    _uv("venv", "--quiet", "--python", sys.executable, str(folder), what=f"environment of {name}")
    _uv(
        *("pip", "sync", "--quiet", "--require-hashes", "--compile-bytecode", "--python", python, str(lock)),
        what=f"packages of {name}",
    )


def versions(python: Path, packages: Iterable[str]) -> dict[str, str]:
    """The installed versions of ``packages`` in the environment of ``python``; absent ones are left out."""
    site = next(python.parent.parent.glob("lib/python*/site-packages"))
    installed = {
        d.metadata["Name"].lower().replace("_", "-"): d.version
        for d in importlib.metadata.distributions(path=[str(site)])
    }
    return {name: installed[name] for name in packages if name in installed}


def _uv(*arguments: str, what: str) -> None:
    program = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if program is None:
        raise PipelineError("uv was found neither beside this Python nor on the PATH", "run `pip install uv`")
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise PipelineError(
            f"the {what} could not be installed:\n{done.stderr.strip()[-3000:]}",
            "check the network; a package that compiles needs gcc, pkg-config, libmariadb-dev and python3-dev",
        )
