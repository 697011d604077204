"""A name in bench.toml that nothing has is an error of each step, never "nothing has changed"."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.config import ROOT
from tests.factories import git


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A clone of this repository, whose work tree may be changed."""
    clone = tmp_path / "project"
    subprocess.run(["git", "clone", "--quiet", "--shared", ROOT, clone], check=True)
    return clone


def configure(project: Path, pattern: str, replacement: str) -> None:
    path = project / "bench.toml"
    text, replaced = re.subn(pattern, replacement, path.read_text(), count=1)
    assert replaced
    path.write_text(text)


def run(project: Path, step: str, *arguments: str) -> tuple[int, str]:
    """A step's exit code, and all that it says."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts", step, *arguments],
        cwd=ROOT,
        env={**os.environ, "BENCH_PROJECT": str(project), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


# Steps for other projects: bisect, backfill and calibrate refuse one before they look (test_elsewhere_refused).
STEPS = [
    ("reach", "HEAD"),
    ("reach", "HEAD~1", "HEAD"),
    ("compare", "HEAD", "--output", "{out}"),
    ("compare", "HEAD~1", "HEAD", "--output", "{out}"),
    ("decide", "--base", "HEAD", "--output", "{out}"),
    ("bench", "smoke", "--stack", "native", "--output", "{out}"),
    ("bench", "smoke", "--stack", "compose", "--output", "{out}"),
    ("parity", "--stack", "native"),
    ("up", "--stack", "native"),
]


@pytest.mark.parametrize("step", STEPS, ids=" ".join)
def test_a_wrong_folder_is_an_error_of_each_step(project: Path, tmp_path: Path, step: tuple[str, ...]) -> None:
    configure(project, r'label = "FastAPI"', 'label = "FastAPI"\nfolder = "apps/fastpi"')
    (project / "apps/fastapi/work.py").write_text("changed")
    code, said = run(project, *(part.format(out=tmp_path / "out") for part in step))
    assert code == 1, said
    assert "bench.toml: [backends.fastapi] folder: apps/fastpi is" in said
    assert "as seen from bench.toml" in said
    assert "Nothing measurable changed" not in said
    if step[0] in ("reach", "compare", "decide"):
        assert "did you mean 'apps/fastapi'?" in said


@pytest.mark.parametrize("step", [STEPS[0], STEPS[5]], ids=" ".join)
def test_a_wrong_schema_is_an_error(project: Path, tmp_path: Path, step: tuple[str, ...]) -> None:
    configure(project, r'label = "FastAPI"', 'label = "FastAPI"\nschema = "schema.sql"')
    code, said = run(project, *(part.format(out=tmp_path / "out") for part in step))
    assert code == 1, said
    assert "bench.toml: [backends.fastapi] schema: apps/fastapi/schema.sql is" in said


def test_a_new_backend_is_no_wrong_name(project: Path) -> None:
    """It is in the work tree alone; and one that was taken away is in the commit alone."""
    configure(project, r'label = "FastAPI"', 'label = "FastAPI"\nfolder = "apps/flask"')
    git(project, "mv", "apps/fastapi", "apps/flask")
    assert run(project, "reach", "HEAD") == (0, f"since {git(project, 'rev-parse', 'HEAD')[:10]}: fastapi\n")
    git(project, "commit", "--quiet", "--all", "--message", "Moved")
    git(project, "rm", "-rq", "apps/flask")
    assert run(project, "reach", "HEAD")[1].endswith(": fastapi\n")
    git(project, "commit", "--quiet", "--all", "--message", "Gone")
    assert "apps/flask is neither in commit" in run(project, "reach", "HEAD")[1]


def test_what_is_left_of_a_folder_is_not_the_folder(project: Path) -> None:
    """Python's caches stay where a folder was renamed."""
    git(project, "mv", "apps/fastapi", "apps/flask")
    git(project, "commit", "--quiet", "--all", "--message", "Moved")
    (project / "apps/fastapi/__pycache__").mkdir(parents=True)
    (project / "apps/fastapi/__pycache__/work.pyc").write_bytes(b"x")
    code, said = run(project, "reach", "HEAD")
    assert (code, "folder: apps/fastapi is neither in commit" in said) == (1, True)


def test_a_tree_that_is_none_is_named(project: Path) -> None:
    code, said = run(project, "bench", "--tree", "/nowhere")
    assert code == 1
    assert "--tree /nowhere: no such folder" in said
