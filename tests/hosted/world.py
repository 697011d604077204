"""A repository with this clone's files, authors who push to it, and the events that follow."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.config import ROOT
from tests.factories import git
from tests.hosted.executor import RunDone, World
from tests.hosted.service import REPOSITORY, Service

MARK_OF_TREE = "The files as they are here"
OURS = "bench/mark"
"""What this project's repository is called where another one calls its workflow."""
CALLER = ".github/workflows/benchmark.yml"


@contextmanager
def open_world(folder: Path) -> Iterator[World]:
    """A repository whose main is this clone's working tree, committed or not, upon this clone's history."""
    _provide()
    origin = folder / "origin.git"
    subprocess.run(["git", "clone", "--quiet", "--bare", "--no-tags", ROOT, origin], check=True)
    for key in ("uploadpack.allowAnySHA1InWant", "uploadpack.allowFilter"):
        git(origin, "config", key, "true")
    _point_main_to(origin, _commit_tree(origin, folder / "index"))
    with Service() as service:
        yield World(folder / "runs", origin, service)


def open_shop(world: World, folder: Path) -> World:
    """Another repository: examples/shop in a folder of it, and the caller that docs/github.md shows, which calls the
    workflow of ``world``'s main."""
    shutil.copytree(ROOT / "examples" / "shop", folder / "benchmark")
    main = git(world.origin, "rev-parse", "main").strip()
    (folder / ".github/workflows").mkdir(parents=True)
    (folder / CALLER).write_text(caller(OURS, main))
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "The shop")
    origin = folder.with_name(f"{folder.name}.git")
    subprocess.run(["git", "clone", "--quiet", "--bare", folder, origin], check=True)
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    theirs = World(folder.with_name(f"{folder.name}-runs"), origin, world.service)
    theirs.others[OURS] = world.origin
    return theirs


def caller(repository: str, commit: str) -> str:
    """The workflow of another repository, as docs/github.md shows it, with who is called filled in."""
    shown = re.search(r"```yaml\n(name: Benchmark\n.*?)```", (ROOT / "docs/github.md").read_text(), re.DOTALL)
    assert shown, "docs/github.md shows a caller"
    return shown[1].replace("OWNER/REPOSITORY", repository).replace("COMMIT", commit)


def _provide() -> None:
    """Make what clones share (`executor.SHARED`), if it is not there: it is what the first step would make."""
    made = {"requirements-nox.txt": ".venv", "requirements.txt": ".nox/requirements"}
    kept = [ROOT / folder / lock for lock, folder in made.items()]
    if all(path.exists() and path.read_text() == (ROOT / path.name).read_text() for path in kept):
        return
    subprocess.run(["./start_benchmark.sh", "-s", "reach", "--", "HEAD"], cwd=ROOT, check=True)


def _point_main_to(origin: Path, sha: str) -> None:
    for ref in git(origin, "for-each-ref", "--format=%(refname)").split():
        git(origin, "update-ref", "-d", ref)
    git(origin, "update-ref", "refs/heads/main", sha)
    git(origin, "symbolic-ref", "HEAD", "refs/heads/main")


def _commit_tree(origin: Path, index: Path) -> str:
    """A commit of this clone's working tree; its objects go into ``origin`` and not into this clone."""
    ours = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--path-format=absolute", "--git-path", "objects"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    environment = {
        **os.environ,
        "GIT_INDEX_FILE": str(index),
        "GIT_OBJECT_DIRECTORY": str(origin / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": ours,
    }

    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(ROOT), "-c", "user.name=Somebody", "-c", "user.email=some@body.org", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip()

    ask("read-tree", "HEAD")
    ask("add", "--all")
    tree, head = ask("write-tree"), ask("rev-parse", "HEAD")
    if tree == ask("rev-parse", "HEAD^{tree}"):
        return head
    return ask("commit-tree", tree, "-p", head, "-m", MARK_OF_TREE)


class Author:
    """Somebody with a clone who commits and pushes, to the repository or, as from a fork, to a pull request of it."""

    def __init__(self, world: World, login: str = "owner") -> None:
        self.world, self.login = world, login
        self.clone = Path(tempfile.mkdtemp(prefix=f"{login}-", dir=world.origin.parent))
        subprocess.run(["git", "clone", "--quiet", world.origin, self.clone], check=True)

    @property
    def head(self) -> str:
        return git(self.clone, "rev-parse", "HEAD").strip()

    def change(self, files: Mapping[str, str], subject: str) -> str:
        """Commit new contents of files; the commit's hash."""
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "--quiet", "--message", subject)
        return self.head

    def read(self, name: str) -> str:
        return (self.clone / name).read_text()

    def push(self, branch: str = "main") -> str:
        git(self.clone, "push", "--quiet", str(self.world.origin), f"HEAD:refs/heads/{branch}")
        return self.head

    def open_pull(self, number: int, branch: str, base: str = "main", **changes: Any) -> dict[str, Any]:
        """Open a pull request with the clone's HEAD; or push to it again. Its event."""
        head, main = self.head, git(self.world.origin, "rev-parse", base).strip()
        git(self.clone, "push", "--quiet", "--force", str(self.world.origin), f"HEAD:refs/pull/{number}/head")
        git(self.clone, "checkout", "--quiet", "--detach", main)
        git(self.clone, "merge", "--quiet", "--no-ff", "--message", "Merge", head)
        git(self.clone, "push", "--quiet", "--force", str(self.world.origin), f"HEAD:refs/pull/{number}/merge")
        git(self.clone, "checkout", "--quiet", "--detach", head)
        self.world.service.pulls = [p for p in self.world.service.pulls if p["number"] != number]
        pull = self.world.service.open_pull(number, self.login, branch, head, **changes)
        pull["base"] = {"sha": main, "ref": base}
        return {"action": "opened", "number": number, "pull_request": pull, "repository": {"full_name": REPOSITORY}}

    def retarget(self, number: int, branch: str, base: str) -> dict[str, Any]:
        """Aim a pull request at another branch, with the same commits. Its event."""
        before = next(pull["base"] for pull in self.world.service.pulls if pull["number"] == number)
        changes = {"base": {"ref": {"from": before["ref"]}, "sha": {"from": before["sha"]}}}
        return {**self.open_pull(number, branch, base), "action": "edited", "changes": changes}


def run_pull_request(
    world: World,
    event: Mapping[str, Any],
    again: RunDone | None = None,
    file: str = "pull-request.yml",
    **how: Any,
) -> RunDone:
    """What pull-request.yml makes of a pull request, or another workflow that pull requests begin."""
    ref = f"refs/pull/{event['number']}/merge"
    sha = git(world.origin, "rev-parse", ref).strip()
    return world.run(file, "pull_request", event, sha, ref, again, **how)


def run_merge_group(world: World, file: str = "pull-request.yml") -> RunDone:
    """What a workflow makes of a group of pull requests that a merge queue is about to merge into main."""
    sha = git(world.origin, "rev-parse", "main").strip()
    ref = f"refs/heads/gh-readonly-queue/main/pr-7-{sha}"
    group = {"head_sha": sha, "head_ref": ref, "base_sha": sha, "base_ref": "refs/heads/main"}
    return world.run(file, "merge_group", {"action": "checks_requested", "merge_group": group}, sha, ref)


def completed(event: Mapping[str, Any], run: RunDone, **changes: Any) -> dict[str, Any]:
    """The workflow_run event when a pull request's run has ended."""
    head = event["pull_request"]["head"]
    return {
        "action": "completed",
        "workflow_run": {
            "id": run.id,
            "run_attempt": run.attempt,
            "name": "Pull request",
            "display_title": run.title,
            "workflow_id": run.workflow,
            "event": "pull_request",
            "conclusion": run.conclusion,
            "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{run.id}",
            "head_sha": head["sha"],
            "head_branch": head["ref"],
            "head_repository": head["repo"],
            "pull_requests": [],
            **changes,
        },
    }


def run_comment(world: World, event: Mapping[str, Any]) -> RunDone:
    """What comment.yml makes of a completed run."""
    return world.run("comment.yml", "workflow_run", event, git(world.origin, "rev-parse", "main").strip())
