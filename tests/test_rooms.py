"""The rooms of scripts/: their order is held, shown, and mirrored by the tests."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from scripts.config import ROOT

LAYERS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]["layers"]
ROOMS = [layer for layer in LAYERS if (ROOT / "scripts" / layer).is_dir()]
LINT = "from importlinter.cli import lint_imports_command as main; main()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("statistics/intervals.py", "from scripts.history import store"),
        ("load/k6.py", "    from scripts.session import block"),
        ("model.py", "import scripts.report.summary"),
        ("bounds.py", "from scripts.model import Struct"),
        ("steps/bench.py", "from scripts.steps import compare"),
    ],
)
def test_an_import_from_above_is_an_error(copy: Path, file: str, line: str) -> None:
    path = copy / "scripts" / file
    indent = "def planted() -> None:\n" if line.startswith(" ") else ""
    path.write_text(f"{path.read_text()}\n\n{indent}{line}\n")
    done = lint(copy)
    assert done.returncode == 1, done.stdout
    assert "BROKEN" in done.stdout


def test_a_module_that_is_in_no_room_is_an_error(copy: Path) -> None:
    assert lint(copy).returncode == 0
    (copy / "scripts" / "helpers.py").touch()
    assert "scripts.helpers" in lint(copy).stdout


def test_contributing_shows_the_rooms_in_their_order() -> None:
    shown = re.findall(r"^\| `scripts/(\w+)/` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    assert shown == ROOMS
    assert {path.name for path in (ROOT / "scripts").iterdir() if path.is_dir()} - {"__pycache__"} == set(ROOMS)


def test_each_room_says_what_it_owns() -> None:
    for room in ROOMS:
        words = ast.get_docstring(ast.parse((ROOT / "scripts" / room / "__init__.py").read_text())) or ""
        assert len(words.splitlines()) > 2, room


def test_tests_mirror_the_rooms() -> None:
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()} - {"__pycache__", "data", "hosted"}
    assert folders == set(ROOMS)
