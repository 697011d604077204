"""The workflows as they are written: what they may do, what they call, what they name. What they do: test_hosted.py."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from scripts.config import ROOT, load
from scripts.model import METRICS
from scripts.verdict.decision import LABEL
from tests.hosted import workflow
from tests.hosted.actions import ACTIONS, INPUTS
from tests.test_steps import SESSIONS

WORKFLOWS = workflow.load()
STEPS = [(file, step) for file, document in WORKFLOWS.items() for step in workflow.steps(document)]
RUNS = [(file, step) for file, step in STEPS if "run" in step]
USES = [(file, step) for file, step in STEPS if "uses" in step]
JOBS = [(file, name, job) for file, document in WORKFLOWS.items() for name, job in document["jobs"].items()]
GATES = (
    'test "$RESULT" = success',
    'test "$ENDED" = true',
    'test -n "$REPOSITORY" && test -n "$COMMIT"',
    "echo 'Each pull request was measured before it was queued; main is measured after.' >> \"$GITHUB_STEP_SUMMARY\"",
)
RUNNERS = ("ubuntu-24.04", "${{ inputs.runner }}")
WRITERS = {("comment.yml", "publish"), ("track.yml", "record"), ("track.yml", "alert"), ("pages.yml", "deploy")}


def writes(job: Mapping[str, Any]) -> bool:
    return "write" in job.get("permissions", {}).values()


def test_there_are_those_that_are_documented() -> None:
    text = (ROOT / "docs" / "github.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+\.yml)` \|", text, re.MULTILINE)) == set(WORKFLOWS)


@pytest.mark.parametrize(("file", "step"), RUNS)
def test_every_step_that_does_something_is_a_nox_session(file: str, step: Mapping[str, Any]) -> None:
    if step["run"] in GATES:
        return
    found = re.match(r"\./start_benchmark\.sh -s (\w+|\"\$SESSION\")( --|$)", step["run"])
    assert found, f"{file}: {step['run']}"
    names = [found[1]]
    if found[1] == '"$SESSION"':
        names = WORKFLOWS[file]["jobs"]["check"]["strategy"]["matrix"]["session"]
    assert set(names) <= SESSIONS


def test_every_check_that_is_run_by_hand_is_run_by_ci() -> None:
    by_hand = re.findall(r"start_benchmark\.sh -s ([\w ]+?)(?: 2>|$)", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    checks = WORKFLOWS["ci.yml"]["jobs"]["check"]["strategy"]["matrix"]["session"]
    assert sorted(checks) == sorted(" ".join(by_hand).split())
    assert set(WORKFLOWS["ci.yml"]["jobs"]["all-green"]["needs"]) == set(WORKFLOWS["ci.yml"]["jobs"]) - {"all-green"}


@pytest.mark.parametrize(("file", "step"), RUNS)
def test_nothing_is_put_into_a_script(file: str, step: Mapping[str, Any]) -> None:
    assert "${{" not in step["run"], "inputs arrive through env:"


@pytest.mark.parametrize(("file", "step"), RUNS)
def test_scripts_are_sound(file: str, step: Mapping[str, Any]) -> None:
    script = "#!/bin/bash\n" + "".join(f"export {name}\n" for name in step.get("env", {})) + step["run"]
    done = subprocess.run(
        [str(Path(sys.executable).with_name("shellcheck")), "-"],
        input=script,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("file", "step"), USES)
def test_actions_are_pinned_and_every_key_exists(file: str, step: Mapping[str, Any]) -> None:
    name, _, commit = step["uses"].partition("@")
    assert commit == INPUTS[name]["commit"]
    assert set(step.get("with", {})) <= set(INPUTS[name]["inputs"])
    text = (workflow.FOLDER / file).read_text()
    assert f"{step['uses']} # {INPUTS[name]['version']}\n" in text


def test_the_actions_are_those_that_the_runner_knows() -> None:
    assert {step["uses"].partition("@")[0] for _, step in USES} == set(ACTIONS) == set(INPUTS)


@pytest.mark.parametrize(("file", "name", "job"), JOBS)
def test_jobs_are_bounded(file: str, name: str, job: Mapping[str, Any]) -> None:
    if workflow.called(job):
        assert workflow.called(job) in WORKFLOWS
        return
    assert 0 < job["timeout-minutes"] <= 360
    assert job["runs-on"] in RUNNERS


@pytest.mark.parametrize("file", WORKFLOWS)
def test_nothing_is_granted_to_all_jobs(file: str) -> None:
    assert WORKFLOWS[file]["permissions"] == {}
    assert "name" in WORKFLOWS[file]


def test_a_caller_grants_what_is_called() -> None:
    for _, _, job in JOBS:
        if not workflow.called(job):
            continue
        for _, name, inner in workflow.reachable(workflow.called(job), WORKFLOWS):
            for scope, level in inner.get("permissions", {}).items():
                assert job["permissions"].get(scope) in (level, "write"), f"{name}: {scope}"


def test_those_that_write_are_few_and_run_nothing_of_what_is_measured() -> None:
    found = {(file, name) for file, name, job in JOBS if writes(job) and not workflow.called(job)}
    assert found == WRITERS
    for file, name in found:
        for step in WORKFLOWS[file]["jobs"][name]["steps"]:
            session = re.search(r"-s (\w+)", step.get("run", ""))
            assert not session or session[1] in ("publish", "record", "detect", "alert")
            ref = step.get("with", {}).get("ref", "")
            assert ref in ("", "history"), "not what somebody else has written"


@pytest.mark.parametrize("event", ["pull_request", "pull_request_target"])
def test_no_job_that_writes_can_be_reached_from_a_pull_request(event: str) -> None:
    begun = [file for file, document in WORKFLOWS.items() if event in workflow.triggers(document)]
    assert begun == (["ci.yml", "pull-request.yml"] if event == "pull_request" else [])
    for file in begun:
        for where, name, job in workflow.reachable(file, WORKFLOWS):
            assert not writes(job), f"{file} reaches {name} of {where}, which writes"
            assert (where, name) not in WRITERS


def test_credentials_are_kept_only_where_history_is_pushed() -> None:
    for file, name, job in JOBS:
        for step in job.get("steps", ()):
            if step.get("uses", "").startswith("actions/checkout@"):
                kept = step["with"]["persist-credentials"]
                assert kept == ((file, name) == ("track.yml", "record")), f"{file}: {name}"


def test_nothing_depends_on_what_forks_do_not_see() -> None:
    """Neither secrets nor variables: to a pull request from a fork, or Dependabot's, they are empty."""
    for path in workflow.FOLDER.glob("*.yml"):
        assert not re.search(r"\b(secrets|vars)\.", path.read_text()), path.name


def test_comments_follow_the_workflow_that_measures() -> None:
    trigger = workflow.triggers(WORKFLOWS["comment.yml"])["workflow_run"]
    assert trigger["workflows"] == [WORKFLOWS["pull-request.yml"]["name"]]
    assert trigger["types"] == ["completed"]


def test_a_schedule_is_alone_in_its_file() -> None:
    found = [file for file, document in WORKFLOWS.items() if "schedule" in workflow.triggers(document)]
    assert found == ["nightly.yml"]
    assert list(workflow.triggers(WORKFLOWS["nightly.yml"])) == ["schedule"]


def test_what_may_be_cancelled() -> None:
    cancel = {file: document.get("concurrency", {}).get("cancel-in-progress") for file, document in WORKFLOWS.items()}
    assert {file for file, value in cancel.items() if value} == {"ci.yml", "pull-request.yml"}
    assert "concurrency" not in WORKFLOWS["measure.yml"], "its callers have theirs"
    record = WORKFLOWS["track.yml"]["jobs"]["record"]["concurrency"]
    assert record == {"group": "history", "cancel-in-progress": False, "queue": "max"}
    comments = WORKFLOWS["comment.yml"]["concurrency"]
    assert "head_repository" in comments["group"]
    assert "head_branch" in comments["group"]
    assert comments["queue"] == "max", "none of several that wait is dropped"


def test_artifacts_have_a_name_of_their_own_in_each_session_and_attempt() -> None:
    for file, step in USES:
        if "/upload-" in step["uses"]:
            name = step["with"]["name"]
            assert "${{ github.run_attempt }}" in name
            assert "include-hidden-files" not in step["with"]
            if file in ("measure.yml", "compare.yml"):
                assert name.startswith("${{ inputs.name }}")
        if "/download-" in step["uses"] or "/deploy-" in step["uses"]:
            (name,) = [value for key, value in step["with"].items() if key.endswith("name")]
            assert "needs." in name, "of the attempt that made it, which another one may find"
    names = [(f, j["with"]["name"]) for f, _, j in JOBS if workflow.called(j) == "measure.yml"]
    assert len(names) == len(set(names)) == 3


def test_logs_are_kept_where_something_fails() -> None:
    (logs,) = [s for f, s in USES if f == "measure.yml" and "logs" in s["with"].get("name", "")]
    assert logs["if"] == "${{ !cancelled() }}"


def test_the_workflow_for_others_takes_its_own_commit_and_nothing_that_writes() -> None:
    (job,) = WORKFLOWS["compare.yml"]["jobs"].values()
    assert list(workflow.triggers(WORKFLOWS["compare.yml"])) == ["workflow_call"]
    assert job["permissions"] == {"contents": "read"}
    gate, own, theirs = job["steps"][:3]
    assert gate["env"] == {"REPOSITORY": own["with"]["repository"], "COMMIT": own["with"]["ref"]}
    assert own["with"]["ref"] == "${{ job.workflow_sha }}"
    assert "repository" not in theirs["with"], "the caller's"
    assert all("BENCH_PROJECT" in s["env"] for s in job["steps"] if re.search(r"-s (reach|compare)", s.get("run", "")))


def test_only_main_is_recorded_and_deployed() -> None:
    assert "github.ref == 'refs/heads/main'" in WORKFLOWS["track.yml"]["jobs"]["record"]["if"]
    assert "github.ref == 'refs/heads/main'" in WORKFLOWS["pages.yml"]["jobs"]["deploy"]["if"]


def test_what_is_asked_for_by_hand_names_what_exists() -> None:
    inputs = workflow.triggers(WORKFLOWS["track.yml"])["workflow_dispatch"]["inputs"]
    assert set(inputs["profile"]["options"]) == {profile.name for profile in load().profiles}
    assert inputs["metric"]["options"] == list(load().compare.metrics)
    assert set(inputs["metric"]["options"]) <= set(METRICS)
    text = (workflow.FOLDER / "track.yml").read_text()
    for task in inputs["task"]["options"]:
        assert f"inputs.task == '{task}'" in text


def test_dependabot_waits_and_names_every_lock() -> None:
    document = YAML(typ="safe").load((ROOT / ".github/dependabot.yml").read_text())
    for update in document["updates"]:
        assert update["cooldown"]["default-days"] >= 7
    folders = {f for update in document["updates"] for f in update.get("directories", [update.get("directory")])}
    assert {f"/apps/{backend.name}" for backend in load().backends} <= folders
    ecosystems = {update["package-ecosystem"] for update in document["updates"]}
    assert ecosystems == {"github-actions", "pip", "docker", "docker-compose"}


def test_the_label_is_documented() -> None:
    assert f"`{LABEL}`" in (ROOT / "docs/github.md").read_text()
