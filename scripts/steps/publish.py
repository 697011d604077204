"""Verb ``publish``: a finished run of a pull request's workflow -> the one comment on that pull request.

This step holds a token that may write, so it runs the default branch's code and takes nothing on trust: the pull
request is found from the event, never from what the run says of itself, and its record is decoded strictly and shown
escaped.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Mapping, Sequence

import msgspec

from scripts import config
from scripts.github import artifact, runner
from scripts.github.client import Artifact, GitHub, Repository
from scripts.model import PipelineError
from scripts.verdict import decision, decision_text
from scripts.verdict.decision import Decision
from scripts.verdict.text import MARKER

SILENT: Mapping[str, str] = {
    "action_required": "it waits for somebody's approval",
    "skipped": "nothing of it was to be done",
    "neutral": "it says neither yes nor no",
    "stale": "it was never begun",
}
"""How a run ends that has nothing to say, and why not; every other end is told, with its record or without."""
TITLE = re.compile(r"#(\d{1,9})(?!\d)")
"""How pull-request.yml names its runs (``run-name``)."""


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
    display_title: str = ""
    workflow_id: int = 0


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
    settings = config.load()
    with GitHub.here() as github:
        number = find_pull_request(github, run)
        if number is None:
            runner.annotate("notice", "No comment", f"no open pull request is at {run.head_sha[:10]} any more")
            return 0
        if reason := nothing_to_say(github, run):
            runner.annotate("notice", "No comment", f"run {run.id} has nothing to say: {reason}")
            return 0
        attempt, archive = fetch(github, run)
        text = decision_text.render_failure(str(run.conclusion), run.html_url)
        nothing = False
        try:
            made = check(archive, run, [backend.name for backend in settings.backends])
            if made.first or attempt == run.run_attempt:
                text = decision_text.render(made)
                nothing = made.first is not None and not made.first.backends
        except PipelineError as error:
            runner.annotate("warning", "No record", error.message)
            if archive is not None:
                text = decision_text.render_failure(str(run.conclusion), run.html_url, error.message)
        finally:  # whatever a record brings about here, it does not leave an old comment standing
            print(f"pull request {number}: {_write(github, number, text, begin=not nothing)}")
    return 0


def _write(github: GitHub, number: int, text: str, *, begin: bool) -> str:
    """The text as the pull request's comment, or over the one that is there; what was done."""
    existing = github.own_comment(number, MARKER)
    if existing is None:
        if not begin:
            return "the change reaches no backend, so there is nothing to say"
        return f"comment {github.create_comment(number, text, MARKER)} written"
    if (existing.body or "").strip() == text.strip():
        return f"comment {existing.id} says so already"
    github.update_comment(existing.id, text)
    return f"comment {existing.id} updated"


def find_pull_request(github: GitHub, run: WorkflowRun) -> int | None:
    """The open pull request whose head is what was measured; None where there is none, or nobody can tell which.

    Of several from one branch it is the one that the run's title names. The title comes from the pull request's side:
    it chooses among those that the event leaves, and of one alone it is not asked, so that it can hide nothing. The
    event's own list of pull requests is empty where they come from forks.
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
    if len(found) > 1:
        found = [number for number in found if number == number_in(run.display_title)]
    return found[0] if found else None


def number_in(title: str) -> int | None:
    """The pull request's number in a run's title."""
    found = TITLE.match(title)
    return int(found[1]) if found else None


def nothing_to_say(github: GitHub, run: WorkflowRun) -> str:
    """Why what there is to read stays as it is; empty where this run has to be told."""
    conclusion = str(run.conclusion)
    if conclusion == "cancelled" and _has_follower(github, run):
        return "it was cancelled for a newer one"
    return SILENT.get(conclusion, "")


def _has_follower(github: GitHub, run: WorkflowRun) -> bool:
    """Whether the same pull request's commit has a newer run, or this run a newer attempt."""
    return any(
        (other.id, other.run_attempt) > (run.id, run.run_attempt)
        and other.workflow_id == run.workflow_id
        and number_in(other.display_title) == number_in(run.display_title)
        for other in github.runs(run.head_sha, run.event)
    )


def fetch(github: GitHub, run: WorkflowRun) -> tuple[int, bytes | None]:
    """The latest attempt that has uploaded an archive, and that; None where there is none, or too large to be read.

    Where only other jobs were run again, the decision is that of an earlier attempt, which counts if it has a verdict.
    Where GitHub itself does not answer, that is an error: a good comment is not replaced by one that knows nothing.
    """
    attempts = range(run.run_attempt, 0, -1)
    found = next(((n, some) for n in attempts if (some := github.artifacts(run.id, f"decision-{n}"))), None)
    if found is None or not _announced(found[1]):
        return run.run_attempt, None
    return found[0], github.download(found[1][0].id, artifact.ARCHIVE_LIMIT)


def _announced(found: Sequence[Artifact]) -> bool:
    """Whether there is just one, and of a size that is read."""
    return len(found) == 1 and not found[0].expired and found[0].size_in_bytes <= artifact.ARCHIVE_LIMIT


def check(archive: bytes | None, run: WorkflowRun, backends: Collection[str]) -> Decision:
    """The decision in an artifact's archive. Raises PipelineError where it is not there, or not about this run.

    ``backends``: those of this branch's bench.toml. A change that adds one is measured, and the job's summary has its
    numbers; here a name that nobody has reviewed is not shown.
    """
    if archive is None:
        raise PipelineError(f"run {run.id} has left no record of its decision that could be read")
    made = decision.decode(artifact.read_only_file(archive, decision.FILE), decision.FILE)
    for verdict in (made.first, made.second):
        if verdict and verdict.candidate.sha != run.head_sha:
            raise PipelineError(f"the record is about {verdict.candidate.sha[:10]}, not {run.head_sha[:10]}")
        for backend in verdict.backends if verdict else ():
            if backend.backend not in backends:
                raise PipelineError(f"the record has a backend {backend.backend}, which bench.toml here has not")
    return made
