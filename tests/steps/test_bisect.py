"""The search over real commits of a real repository; only the measuring is another's: it reads what a commit costs."""

from __future__ import annotations

import math
import random
import subprocess
from pathlib import Path

import pytest

from scripts import checkout
from scripts.model import Commit, PipelineError
from scripts.statistics.bisection import Ending, Found
from scripts.statistics.intervals import Effect
from scripts.steps.bisect import between_revisions, describe, hunt, measured_effect
from tests.factories import git, make_paired_run

COST = "apps/fastapi/cost"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """24 commits, of which every third is prose; from commit 13 on a request costs 8% more; 20 does not start."""
    root = tmp_path / "repository"
    (root / "apps/fastapi").mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", root], check=True)
    for number in range(24):
        cost = "broken" if number == 20 else "108" if number >= 13 else "100"
        (root / "README.md").write_text(f"{number}")
        if number % 3 != 1 or number == 13:
            (root / COST).write_text(f"{cost} {number}")
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", f"Change {number}")
        git(root, "tag", f"c{number}")
    return root


def search(root: Path, seed: int) -> tuple[Found, list[Commit]]:
    rng = random.Random(seed)

    def cost(commit: Commit) -> float | None:
        text = checkout.read_file(commit.sha, COST, root)
        assert text
        return None if text.startswith("broken") else float(text.split()[0])

    def compare(baseline: Commit, candidate: Commit) -> Effect | None:
        first, last = cost(baseline), cost(candidate)
        if first is None or last is None:
            return None
        log_ratio = math.log(last / first) + rng.gauss(0, 0.006)
        return Effect(log_ratio=log_ratio, error=0.006, degrees=11, rounds=12)

    commits = between_revisions("c0", "c23", "fastapi", root)
    return hunt(commits, compare, level=0.01, confidence=0.95, most=25), commits


def test_the_commit_is_found_with_its_effect_and_sessions(repository: Path) -> None:
    right = 0
    for seed in range(20):
        found, commits = search(repository, seed)
        ids = [f"run-{number}" for number in range(len(found.sessions))]
        lines = describe(found, commits, ids, "CPU per request")
        right += found.ending is Ending.FOUND and "Change 13" in lines[0]
        assert len(found.sessions) <= 14
        assert f"{len(found.sessions)} sessions:" in lines
        assert all(any(run_id in line for line in lines) for run_id in ids)
    assert right >= 19


def test_only_commits_that_reach_the_backend_are_searched(repository: Path) -> None:
    commits = between_revisions("c0", "c23", "fastapi", repository)
    assert [commit.subject for commit in commits] == [
        f"Change {number}" for number in range(24) if number == 0 or number % 3 != 1 or number == 13
    ]
    with pytest.raises(PipelineError, match="no commit from c0 to c1 touches apps/fastapi"):
        between_revisions("c0", "c1", "fastapi", repository)
    with pytest.raises(PipelineError, match="c0 does not come after c5"):
        between_revisions("c5", "c0", "fastapi", repository)


def test_a_sessions_effect() -> None:
    effect = measured_effect(make_paired_run(slower=0.1), "fastapi", "cpu_ms_per_request")
    low, high = effect.interval(0.01)
    assert low < 1.1 < high
    with pytest.raises(PipelineError, match="1 valid round, which says nothing"):
        measured_effect(make_paired_run(rounds=2, invalid_rounds=(2,)), "fastapi", "cpu_ms_per_request")
