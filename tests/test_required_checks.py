"""The checks that a branch can require: for each way in which what they need can end, they let merge what may merge.

GitHub counts a required check that was skipped as a success, so whatever happens these have to run and to say it.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from scripts.config import ROOT
from tests.factories import git
from tests.hosted import actions, workflow
from tests.hosted.executor import JobDone, World
from tests.hosted.service import Service
from tests.hosted.world import CALLER, caller

DOCUMENTED = (ROOT / "docs/github.md").read_text()
FILES = {**workflow.load(), "benchmark.yml": workflow.parse(caller("o/p", "0" * 40))}
"""Every workflow here, and the one that docs/github.md shows for other repositories."""
REACHED = {"backends": "fastapi", "regressed": "fastapi", "outcome": "regression"}
ENDS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("success", {}), ("success", REACHED), ("failure", {}), ("cancelled", {}), ("skipped", {}),
)  # fmt: skip
"""How a job can end: its result, and its outputs."""
INVALID: tuple[str, Mapping[str, str]] = ("failure", {"outcome": "invalid"})
"""How a session can end besides: it left a verdict, and nothing of a backend was valid."""
EVENTS: Mapping[str, Mapping[str, Any]] = {
    "pull_request": {"action": "opened"},
    "merge_group": {"action": "checks_requested"},
}


def required() -> Iterator[tuple[str, str]]:
    """File and job of each check that docs/github.md tells to require, by its name."""
    (listed,) = re.findall(r"^- Required checks: (.*?)\.\n", DOCUMENTED, re.MULTILINE | re.DOTALL)
    names = [*re.findall(r"\*\*(.+?)\*\*", listed), "Benchmark"]
    for name in names:
        found = [
            (f, job) for f, document in FILES.items() for job, j in document["jobs"].items() if j.get("name") == name
        ]
        assert len(found) == 1, f"{name} names {found}"
        yield found[0]


REQUIRED = list(required())


def two_sessions(reached: bool, first: str, second: str, regressed: bool) -> bool:
    """Whether sessions ended as they must: the first where there is anything to measure, the second to confirm it."""
    return first == ("success" if reached else "skipped") and second == ("success" if regressed else "skipped")


def verdict(event: str, results: Mapping[str, str], outputs: Mapping[str, Mapping[str, str]]) -> bool:
    regressed = bool(outputs["measure"].get("regressed"))
    reached = bool(outputs["reach"].get("backends"))
    reach = "success" if event == "pull_request" else "skipped"

    def ended(need: str, held: bool) -> str:
        """The decision, which is content here, has judged a session in which nothing was valid."""
        wanted = "success" if held else "skipped"
        return wanted if (results[need], outputs[need]) == INVALID else results[need]

    first, second = ended("measure", reached), ended("confirm", regressed)
    return results["reach"] == reach and two_sessions(reached, first, second, regressed)


def elsewhere(event: str, results: Mapping[str, str], outputs: Mapping[str, Mapping[str, str]]) -> bool:
    regressed = bool(outputs["first"].get("regressed"))
    return two_sessions(event == "pull_request", results["first"], results["second"], regressed)


def all_green(_: str, results: Mapping[str, str], __: object) -> bool:
    return set(results.values()) == {"success"}


MAY_MERGE: Mapping[str, Callable[[str, Mapping[str, str], Mapping[str, Mapping[str, str]]], bool]] = {
    "ci.yml": all_green,
    "pull-request.yml": verdict,
    "benchmark.yml": elsewhere,
}


def test_the_documented_ones_are_those_that_are_proved() -> None:
    assert {file for file, _ in REQUIRED} == set(MAY_MERGE)


@pytest.mark.parametrize(("file", "job"), REQUIRED)
def test_a_required_check_waits_for_every_job_and_comes_on_every_change(file: str, job: str) -> None:
    """A queue that merges waits for ever for a check that does not come; so does a pull request."""
    jobs = FILES[file]["jobs"]
    begun = workflow.triggers(FILES[file])
    assert begun.keys() >= {"pull_request", "merge_group"}
    for event in ("pull_request", "merge_group"):
        assert not {"paths", "paths-ignore", "branches", "branches-ignore"} & begun[event].keys()
    assert set(jobs[job]["needs"]) == set(jobs) - {job, "preview"}, "a preview of the site is nobody's business"


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(("file", "job"), REQUIRED)
def test_a_required_check_fails_unless_all_has_ended_as_it_must(
    workflows: World, monkeypatch: pytest.MonkeyPatch, file: str, job: str, event: str
) -> None:
    """Also where its own script is content with everything."""
    monkeypatch.setattr(actions, "use", lambda *_: {})
    workflows.stand_ins = {"decide": lambda *_: 0}
    needs = FILES[file]["jobs"][job]["needs"]
    sessions = {"measure", "confirm"}
    for way in itertools.product(*((*ENDS, INVALID) if need in sessions else ENDS for need in needs)):
        results = {need: result for need, (result, _) in zip(needs, way, strict=True)}
        outputs = {need: output for need, (_, output) in zip(needs, way, strict=True)}
        workflows.settled = {need: JobDone(need, results[need], dict(outputs[need])) for need in needs}
        workflows.settled["preview"] = JobDone("preview", "skipped")
        workflows.cancelled = "cancelled" in results.values()
        run = workflows.run(file, event, EVENTS[event], "HEAD")
        expected = MAY_MERGE[file](event, results, outputs)
        assert run.lets_merge(job) == expected, f"{way}: {run.own[job].result}\n{run.log}"


@pytest.fixture(scope="module")
def workflows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A repository with nothing but workflows."""
    folder = tmp_path_factory.mktemp("workflows")
    (folder / CALLER).parent.mkdir(parents=True)
    for path in workflow.FOLDER.glob("*.yml"):
        (folder / ".github/workflows" / path.name).write_text(path.read_text())
    (folder / CALLER).write_text(caller("o/p", "0" * 40))
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "Workflows")
    with Service() as service:
        yield World(folder / "runs", folder / ".git", service)
