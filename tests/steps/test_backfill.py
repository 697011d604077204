"""The campaign over this repository's own history: what it plans, and short sessions for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts import checkout
from scripts.config import ROOT
from scripts.history import store
from scripts.history.gaps import read_unmeasured
from scripts.model import PipelineError
from scripts.session.sides import whole
from scripts.steps.backfill import main
from tests.factories import make_paired_run
from tests.steps.test_bench import Bench, bench  # noqa: F401  the fixture
from tests.steps.test_compare import BEFORE_DJANGO_ASGI, SHORT

STUDYS_FORM = "48795c7"
"""The commit that adds django_asgi."""


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """A history with the project's anchor, and no run."""
    folder = tmp_path / "history"
    folder.mkdir()
    (folder / "anchor.toml").write_text((ROOT / "history/anchor.toml").read_text())
    return folder


@pytest.fixture(autouse=True)
def whole_clone() -> None:
    if not checkout.exists(BEFORE_DJANGO_ASGI):
        pytest.skip("this clone is shallow")


def test_the_plan_says_what_is_next(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"{BEFORE_DJANGO_ASGI}..35156e6", "--plan", "--times", "2", "--history", str(history)]) == 0
    said = capsys.readouterr().out
    assert f"[0/10] {STUDYS_FORM} django_asgi in the published study's form: django_asgi, run 1 of 2" in said


def test_a_range_without_backends_is_named(history: Path) -> None:
    with pytest.raises(PipelineError, match=r"1b61e66\.\.1b61e66: no commit of it touches a backend"):
        main(["1b61e66..1b61e66", "--history", str(history)])
    with pytest.raises(PipelineError, match=r"anchor\.toml: cannot be read"):
        main(["--history", str(history / "nowhere")])


def test_a_session_of_which_nothing_counts_is_not_stored() -> None:
    """Neither by a campaign over the history, nor by one that calibrates: it would count as done."""
    assert whole(run := make_paired_run(rounds=2, invalid_rounds=(1,))) is run
    with pytest.raises(PipelineError, match="no valid pair of FastAPI") as caught:
        whole(make_paired_run(rounds=2, invalid_rounds=(1, 2)))
    assert caught.value.hint.startswith("nothing of it is stored; measure again when")


@pytest.mark.stack
def test_a_campaign_records_and_goes_on(bench: Callable[..., Bench], history: Path) -> None:  # noqa: F811
    arguments = ("48795c7..f80d1c9", *SHORT, "--history", str(history))
    running = bench(*arguments, step="backfill")
    assert running.end() == 0, running.text
    (run,) = store.read([history], print)
    assert run.commit.sha.startswith("f80d1c9")
    assert run.baseline
    assert run.baseline.sha.startswith("35156e6")
    assert run.backends == ("django_asgi",)
    again = bench(*arguments, step="backfill")
    assert again.end() == 0, again.text
    assert "every commit has its runs" in again.text
    assert len(store.read([history], print)) == 1
    assert read_unmeasured(history, print) == ()


@pytest.mark.stack
def test_a_backend_that_is_not_there_is_noted_and_not_tried_again(
    bench: Callable[..., Bench],  # noqa: F811
    history: Path,
) -> None:
    arguments = (f"{BEFORE_DJANGO_ASGI}~1..{BEFORE_DJANGO_ASGI}", "--backends", "django_asgi", *SHORT)
    running = bench(*arguments, "--history", str(history), step="backfill")
    assert running.end() == 0, running.text
    (entry,) = read_unmeasured(history, print)
    assert (entry.commit[:7], entry.backend) == (BEFORE_DJANGO_ASGI, "django_asgi")
    assert "the candidate does not run" in entry.reason
    assert store.read([history], print) == ()
    again = bench(*arguments, "--history", str(history), "--plan", step="backfill")
    assert again.end() == 0, again.text
    assert "every commit has its runs, or a note why not" in again.text
