"""The actions that the workflows use, done here: what they leave behind, by their documentation and source."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.hosted.expressions import to_string
from tests.hosted.service import unzip

if TYPE_CHECKING:
    from tests.hosted.executor import Job

INPUTS: dict[str, dict[str, Any]] = json.loads((Path(__file__).parent / "actions.json").read_text())["actions"]
NO_CREDENTIALS = "file:///this-clone-has-no-credentials"
SITE_LIMIT = 1 << 30


class ActionError(Exception):
    """A step that uses an action has failed."""


def use(job: Job, uses: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Do what an action does, and return its outputs."""
    name, _, commit = uses.partition("@")
    known = INPUTS[name]
    if commit != known["commit"]:
        raise ActionError(f"{uses}: the inputs are those of {known['commit']}")
    if unknown := set(given) - set(known["inputs"]):
        raise ActionError(f"{name} has no inputs {', '.join(sorted(unknown))}")
    filled = {key: str(value) for key, value in known["inputs"].items() if value is not None}
    filled |= {key: to_string(value) for key, value in given.items()}
    return ACTIONS[name](job, filled)


def checkout(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """actions/checkout: only what it fetches is there, and a push works only with the credentials that it leaves.

    Another repository can be read if it is public, as those of a `World` are; it is its commit that is named then.
    """
    job.need("contents", "read")
    repository = given.get("repository") or job.github["repository"]
    folder = job.workspace / given.get("path", "")
    folder.mkdir(parents=True, exist_ok=True)
    ref = given.get("ref", "")
    sha = ref or job.github["sha"]
    _git(folder, "init", "--quiet", "--initial-branch=none")
    _git(folder, "remote", "add", "origin", f"file://{job.scope.world.bare(repository)}")
    if given["fetch-depth"] == "0":
        _git(folder, "fetch", "--quiet", "origin", "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")
        _git(folder, "fetch", "--quiet", "--no-tags", "origin", sha)
    else:
        _git(folder, "fetch", "--quiet", "--no-tags", f"--depth={given['fetch-depth']}", "origin", sha)
    branch = job.github["ref"].removeprefix("refs/heads/")
    local = [] if ref or branch == job.github["ref"] else ["-B", branch]
    _git(folder, "checkout", "--quiet", *(local or ["--detach"]), "FETCH_HEAD")
    if given["persist-credentials"] != "true" or job.permissions.get("contents") != "write":
        _git(folder, "config", "remote.origin.pushurl", NO_CREDENTIALS)
    if folder == job.workspace:
        job.settle()
    return {}


def setup_python(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """actions/setup-python: the Python of this machine serves."""
    return {"python-version": given["python-version"]}


def upload_artifact(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """actions/upload-artifact: no hidden files, no overwriting; paths begin at what all the given ones share."""
    patterns = [line.strip() for line in given["path"].splitlines() if line.strip()]
    found: list[Path] = []
    for pattern in patterns:
        for match in sorted(job.workspace.glob(pattern)):
            found += [p for p in match.rglob("*") if p.is_file()] if match.is_dir() else [match]
    visible = [p for p in found if not any(part.startswith(".") for part in p.relative_to(job.workspace).parts)]
    if not visible:
        if given["if-no-files-found"] == "error":
            raise ActionError(f"no files were found with the provided path: {given['path']}")
        return {"artifact-id": ""}
    base = Path(os.path.commonpath([_searched(job.workspace, pattern) for pattern in patterns]))
    base = base if base.is_dir() else base.parent
    files = {str(p.relative_to(base)): p.read_bytes() for p in visible}
    return {"artifact-id": _upload(job, given["name"], files)}


def _upload(job: Job, name: str, files: Mapping[str, bytes]) -> str:
    """The new artifact's id. A name is free again in a further attempt, where the earlier artifact stays beside it."""
    try:
        made = job.service.add_artifact(int(job.github["run_id"]), name, files, attempt=int(job.github["run_attempt"]))
    except ValueError as error:
        raise ActionError(str(error)) from error
    return str(made["id"])


def _artifacts(job: Job, name: str) -> list[dict[str, Any]]:
    """Those of this run, of any attempt, the newest first."""
    run = int(job.github["run_id"])
    found = [a for a in job.service.artifacts if a["workflow_run"]["id"] == run and a["name"] == name]
    return found[::-1]


def _searched(workspace: Path, pattern: str) -> Path:
    """The part of a path before its first wildcard."""
    parts = []
    for part in Path(pattern).parts:
        if any(c in part for c in "*?["):
            break
        parts.append(part)
    return workspace.joinpath(*parts)


def download_artifact(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """actions/download-artifact, of the same run: of two of a name the newer one."""
    found = _artifacts(job, given["name"])
    if not found:
        raise ActionError(f"artifact not found for name: {given['name']}")
    folder = job.workspace / given["path"]
    unzip(found[0]["data"], folder)
    return {"download-path": str(folder)}


def upload_pages_artifact(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """actions/upload-pages-artifact: Pages takes no links, and sites of up to 1 GB."""
    folder = job.workspace / given["path"]
    files = sorted(folder.rglob("*"))
    if not (folder / "index.html").is_file():
        raise ActionError(f"{given['path']} has no index.html")
    if links := [path for path in files if path.is_symlink() or (path.is_file() and path.stat().st_nlink > 1)]:
        raise ActionError(f"the site has links: {links[0].relative_to(folder)}")
    if sum(path.stat().st_size for path in files) > SITE_LIMIT:
        raise ActionError("the site is too large")
    visible = [path for path in files if path.is_file() and not path.name.startswith(".")]
    return {"artifact_id": _upload(job, given["name"], {str(p.relative_to(folder)): p.read_bytes() for p in visible})}


def deploy_pages(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """actions/deploy-pages, which needs two permissions, the environment, and just one artifact of that name."""
    job.need("pages", "write")
    job.need("id-token", "write")
    if job.environment != "github-pages":
        raise ActionError("deploying needs the environment github-pages")
    found = _artifacts(job, given["artifact_name"])
    if len(found) != 1:
        raise ActionError(f'{len(found)} artifacts named "{given["artifact_name"]}" were found for this workflow run')
    if job.deployed.exists():
        shutil.rmtree(job.deployed)
    unzip(found[0]["data"], job.deployed)
    return {"page_url": "https://owner.example/project/"}


ACTIONS: dict[str, Callable[[Job, Mapping[str, str]], dict[str, str]]] = {
    "actions/checkout": checkout,
    "actions/setup-python": setup_python,
    "actions/upload-artifact": upload_artifact,
    "actions/download-artifact": download_artifact,
    "actions/upload-pages-artifact": upload_pages_artifact,
    "actions/deploy-pages": deploy_pages,
}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ActionError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout
