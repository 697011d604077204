"""Steps that would be wrong about another project's services say so, and write nothing there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from scripts.config import ROOT
from scripts.history import store
from tests.factories import git, make_run

SHOP = ROOT / "examples" / "shop"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder of somebody's repository with two commits that touch its service, whose code is under apps/, too."""
    root = tmp_path / "repository"
    shutil.copytree(SHOP, root)
    (root / "service").rename(root / "apps-orders")
    (root / "apps").mkdir()
    (root / "apps-orders").rename(root / "apps/orders")
    (root / "schema.sql").rename(root / "apps/schema.sql")
    text = (root / "bench.toml").read_text().replace("[backends.shop]", "[backends.orders]")
    (root / "bench.toml").write_text(text.replace('folder = "service"', 'folder = "apps/orders"'))
    (root / "history").mkdir()
    (root / "history/ours.txt").write_text("the user's own")
    git(tmp_path, "init", "--quiet", "--initial-branch=main", str(root))
    for subject in ("one", "two"):
        (root / "apps/orders/new.rb").write_text(subject)
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", subject)
    return root


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts", *arguments],
        cwd=ROOT,
        env={**os.environ, "BENCH_PROJECT": str(project)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "step",
    [
        ["bisect", "HEAD~1", "HEAD", "--backend", "orders"],
        ["backfill"],
        ["backfill", "--plan"],
        ["calibrate", "--minutes", "0"],
        ["calibrate", "--report"],
        ["detect"],
        ["alert", "--print"],
        ["build_site"],
        ["serve"],
        ["compare", "--anchor"],
        ["record"],
        ["record", "--push"],
        ["import", "bencher", "pyproject.toml"],
    ],
)
def test_a_step_that_would_be_wrong_says_so(step: Sequence[str], project: Path) -> None:
    done = run(project, *step)
    assert done.returncode == 1, done.stderr
    assert f"does not work for other projects yet (BENCH_PROJECT={project})" in done.stderr
    assert "what to do: " in done.stderr
    assert "restore it with git" not in done.stderr
    assert not git(project, "status", "--porcelain").strip(), "nothing is written there"
    assert [path.name for path in (project / "history").iterdir()] == ["ours.txt"]


def test_with_a_folder_of_its_own_a_history_is_kept(project: Path, tmp_path: Path) -> None:
    run_ = make_run(levels=(10,), rounds=1)
    recorded = store.add(run_, tmp_path / "results")
    kept = tmp_path / "kept"
    done = run(project, "record", str(recorded.parent), "--history", str(kept))
    assert done.returncode == 0, done.stderr
    assert (kept / store.locate(run_.id)).exists()
    done = run(project, "export", "csv", str(tmp_path / "out"), "--history", str(kept))
    assert done.returncode == 0, done.stderr


def test_help_is_given_everywhere(project: Path) -> None:
    assert run(project, "bisect", "--help").returncode == 0
