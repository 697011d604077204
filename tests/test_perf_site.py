"""The benchmark of the site finds the changes of its history, with the step itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from perf import history, site
from scripts import checkout, config
from scripts.history.changes import read
from scripts.history.detection import over_history
from scripts.steps import build_site
from tests.factories import git

SEED = 20261124


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of 320 commits with a run at each: environments and steps lie close together."""
    folder = tmp_path_factory.mktemp("site")
    line = history.commits(folder / "repository", 320)
    assert len(line) == len(set(line)) == 320
    history.write(folder / "history", SEED, 0, 320, line)
    return folder


def test_detect_finds_something_to_show(made: Path) -> None:
    took = site.detect(made)
    assert took.seconds > 0
    found = read(made / "changes.json")
    assert (found.runs, found.left_out) == (320, 0)
    assert found.changes
    assert all(change.shown for change in found.changes)


def test_a_shorter_history_is_judged_too(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout.line, "__defaults__", (made / "repository",))
    last = sorted((made / "history/runs").rglob("*.json"))[299].stem
    found = over_history([made / "history"], config.load(), "main", print, as_of=last)
    assert found.runs == 300
    assert all(change.shown for change in found.changes)


def test_the_site_of_it_is_built(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", str(made / "repository/.git"))
    assert build_site.main(["--history", str(made / "history"), "--output", str(made / "site")]) == 0
    assert git(made / "repository", "rev-parse", "main").strip()[:7] in (made / "site/index.html").read_text()
