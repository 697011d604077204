"""Two versions side by side, for real: from revisions to a verdict, with what can be wrong with them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import records
from scripts.config import ROOT
from scripts.verdict.judgement import Outcome
from scripts.verdict.record import decode_verdict
from scripts.verdict.text import MARKER
from tests.steps.test_bench import Bench, bench  # noqa: F401  the fixture

pytestmark = pytest.mark.stack

SHORT = ("--rounds", "2", "--duration", "1", "--levels", "2")
BEFORE_DJANGO_ASGI = "beb3943"
"""Three backends, none of them django_asgi."""
FIRST = "7af6f01"
"""No backend at all."""


def test_a_commit_with_itself(bench: Callable[..., Bench], tmp_path: Path, kind: str) -> None:  # noqa: F811
    arguments = ("HEAD", "HEAD", "--backends", "fastapi", *SHORT, "--output", str(tmp_path))
    running = bench(*arguments, step="compare", stack=kind)
    assert running.end() == 0, running.text
    folder = (tmp_path / "latest").resolve()
    run = records.read_run(folder / "run.json")
    assert run.complete
    assert run.environment.stack == kind
    assert run.baseline == run.commit
    assert {(b.arm, b.round, b.generation) for b in run.blocks} == {
        (arm, number, number) for arm in ("candidate", "baseline") for number in (1, 2)
    }
    first = [b.arm for b in run.blocks if b.position == 0 and b.attempt == 1]
    assert sorted(first) == ["baseline", "baseline", "candidate", "candidate"], "each is as often first"
    for block in run.blocks:
        assert block.load.failed == 0
        assert block.resources.database_cpu_ms_per_request
    verdict = decode_verdict((folder / "verdict.json").read_bytes(), "verdict.json")
    assert verdict.backends[0].statements == (168, 168)
    assert verdict.outcome in (Outcome.INCONCLUSIVE, Outcome.NO_CHANGE)

    comment = bench(str(folder / "verdict.json"), "--output", str(tmp_path / "comment.md"), step="comment")
    assert comment.end() == 0, comment.text
    assert (tmp_path / "comment.md").read_text().startswith(MARKER)


def test_a_change_that_reaches_no_backend_ends_at_once(bench: Callable[..., Bench], tmp_path: Path) -> None:  # noqa: F811
    running = bench("HEAD", "HEAD", "--output", str(tmp_path), step="compare")
    assert running.end() == 0, running.text
    assert "Nothing measurable changed" in running.text
    verdict = decode_verdict(next(tmp_path.glob("*/verdict.json")).read_bytes(), "verdict.json")
    assert verdict.backends == ()


def test_a_baseline_without_the_backend_is_a_verdict(bench: Callable[..., Bench], tmp_path: Path) -> None:  # noqa: F811
    running = bench(BEFORE_DJANGO_ASGI, "--backends", "django_asgi", *SHORT, "--output", str(tmp_path), step="compare")
    assert running.end() == 0, running.text
    assert "Cannot be compared in Django ASGI" in running.text
    verdict = decode_verdict(next(tmp_path.glob("*/verdict.json")).read_bytes(), "verdict.json")
    assert verdict.outcome is Outcome.INCOMPARABLE
    assert "the baseline does not run" in verdict.backends[0].reason


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), ("'nowhere' names no commit", "git log")),
        ((FIRST,), ("has nothing of what backends are built from: apps/django_asgi", "later commit")),
        (("HEAD", "--backends", "flask"), ("unknown backend 'flask'",)),
        (("HEAD", "--profile", "rp"), ("unknown profile 'rp'", "bench.toml has: smoke")),
    ],
)
def test_what_cannot_be_compared_is_named(
    bench: Callable[..., Bench],  # noqa: F811
    arguments: tuple[str, ...],
    words: tuple[str, ...],
) -> None:
    if subprocess.run(["git", "-C", ROOT, "cat-file", "-e", FIRST], check=False, capture_output=True).returncode:
        pytest.skip("this clone is shallow")
    running = bench(*arguments, step="compare")
    assert running.end() == 1
    for word in words:
        assert word in running.text


def test_a_verdict_that_is_none_is_named(bench: Callable[..., Bench], tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "verdict.json").write_text("{}")
    running = bench(str(tmp_path / "verdict.json"), step="comment")
    assert running.end() == 1
    assert "not a valid verdict" in running.text
