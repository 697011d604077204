"""The backends' own Python environments, made by uv from their locks and kept for the next time."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TextIO

from scripts.config import ROOT
from scripts.model import PipelineError
from scripts.stack.leftovers import CACHE
from scripts.stack.process import await_turn, run


def provide(app: Path, cache: Path, say: Callable[[str], None] = print) -> Path:
    """The Python of an environment with exactly what ``app``'s requirements.txt locks.

    The environment is found again by the lock's content, so two versions of a backend with one lock share it. While
    another session makes it, that is waited for, and said.
    """
    lock = app / "requirements.txt"
    if not lock.is_file():
        raise PipelineError(f"{lock}: missing", f"lock it: uv pip compile {app.name}/requirements.in (apps/README.md)")
    key = hashlib.sha256(sys.version.encode() + lock.read_bytes()).hexdigest()[:12]
    folder = cache / "environments" / f"{app.name}-{key}"
    complete = folder / ".complete"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a+") as turn:  # two arms, or two sessions, may want the same one
        await_turn(turn, lambda: say(f"waiting for the environment of {app.name}: {_holder(turn)} is making it"))
        turn.truncate(0)
        turn.write(f"process {os.getpid()} ({ROOT})")
        turn.flush()
        if not complete.exists():
            _make(folder, lock)
            complete.touch()
    return folder / "bin" / "python"


def _holder(turn: TextIO) -> str:
    """Who holds the lock, as it says there itself."""
    turn.seek(0)
    return turn.read() or "another session"


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
    environment = dict(os.environ)
    if not os.access(environment.get("HOME", ""), os.W_OK):  # as in noxfile.py, for steps that nox has not started
        environment.setdefault("UV_CACHE_DIR", str(CACHE / "uv"))
    done = run([program, *arguments], env=environment)
    if done.returncode:
        raise PipelineError(
            f"the {what} could not be installed:\n{done.stderr.strip()[-3000:]}",
            "check the network; a package that compiles needs gcc, pkg-config, libmariadb-dev and python3-dev",
        )
