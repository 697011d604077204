"""Verb ``publish``: a finished run of a pull request's workflow -> the one comment on that pull request.

This step holds a token that may write, so it runs the default branch's code and takes nothing on trust: the pull
request is found from the event, never from what the run says of itself, and its record is decoded strictly and shown
escaped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from scripts import artifact, decision, decision_text, runner
from scripts.decision import Decision
from scripts.escape import plain
from scripts.github import Artifact, GitHub, Repository
from scripts.model import PipelineError
from scripts.verdict_text import MARKER


class WorkflowRun(msgspec.Struct, frozen=True):
    """What is used of the event's ``workflow_run``; ``head_repository`` is null where a fork was deleted."""

    id: int
    run_attempt: int
    event: str
    conclusion: str | None
    html_url: str
    head_sha: str
    head_branch: str | None
    head_repository: Repository | None


class _Event(msgspec.Struct, frozen=True):
    workflow_run: WorkflowRun


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the comment says what the run says, or there is nothing to comment on."""
    argparse.ArgumentParser(
        prog="nox -s publish --",
        description="Write what a run of the pull request workflow says as the pull request's comment, or over the "
        "one that is there. Reads a workflow_run event (GITHUB_EVENT_PATH) and asks GitHub for the rest.",
    ).parse_args(arguments)
    run = runner.event(_Event).workflow_run
    with GitHub.here() as github:
        number = find_pull_request(github, run)
        if number is None:
            runner.annotate("notice", "No comment", f"no open pull request is at {run.head_sha[:10]} any more")
            return 0
        made = read_decision(github, run)
        text = decision_text.render(made) if made else decision_text.render_failure(str(run.conclusion), run.html_url)
        existing = github.own_comment(number, MARKER)
        if existing is None:
            if made and made.first and not made.first.backends:
                print(f"pull request {number}: the change reaches no backend, so there is nothing to say")
                return 0
            print(f"pull request {number}: comment {github.create_comment(number, text, MARKER)} written")
        elif (existing.body or "").strip() == text.strip():
            print(f"pull request {number}: comment {existing.id} says so already")
        else:
            github.update_comment(existing.id, text)
            print(f"pull request {number}: comment {existing.id} updated")
    return 0


def find_pull_request(github: GitHub, run: WorkflowRun) -> int | None:
    """The one open pull request whose head is what was measured; None where there is none or more than one.

    The event's own list of pull requests is empty where they come from forks.
    """
    if run.event != "pull_request" or run.head_repository is None or not run.head_branch:
        return None
    found = [
        pull.number
        for pull in github.pulls(run.head_repository.owner.login, run.head_branch)
        if pull.state == "open"
        and pull.head.sha == run.head_sha
        and pull.head.repo is not None
        and pull.head.repo.full_name == run.head_repository.full_name
    ]
    return found[0] if len(found) == 1 else None


def read_decision(github: GitHub, run: WorkflowRun) -> Decision | None:
    """What the run has uploaded; None, with a warning in the log, where it is not there or not what it should be.

    Where GitHub itself does not answer, that is an error: a good comment is not replaced by one that knows nothing.
    """
    found = github.artifacts(run.id, f"decision-{run.run_attempt}")
    archive = github.download(found[0].id, artifact.ARCHIVE_LIMIT) if _announced(found) else None
    try:
        return check(archive, run)
    except PipelineError as error:
        runner.annotate("warning", "No record", error.message[:500])
        return None


def _announced(found: Sequence[Artifact]) -> bool:
    """Whether there is just one, and of a size that is read."""
    return len(found) == 1 and not found[0].expired and found[0].size_in_bytes <= artifact.ARCHIVE_LIMIT


def check(archive: bytes | None, run: WorkflowRun) -> Decision:
    """The decision in an artifact's archive. Raises PipelineError where it is not there, or not about this run."""
    if archive is None:
        raise PipelineError(f"run {run.id} has left no record of its decision that could be read")
    made = decision.decode(artifact.read_only_file(archive, decision.FILE), decision.FILE)
    for verdict in (made.first, made.second):
        if verdict and verdict.candidate.sha != run.head_sha:
            raise PipelineError(f"the record is about {plain(verdict.candidate.sha)[:10]}, not {run.head_sha[:10]}")
    return made
