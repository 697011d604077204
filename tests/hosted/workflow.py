"""Workflow files as data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from scripts.config import ROOT

FOLDER = ROOT / ".github" / "workflows"
LOCAL = "$/.github/workflows/"
"""How a job calls a workflow of the same repository, at the same commit."""
REMOTE = re.compile(r"([\w.-]+/[\w.-]+)/\.github/workflows/([\w.-]+)@([0-9a-f]{40})")
"""How it calls one of another repository: that, the file, the commit."""


def parse(text: str) -> dict[str, Any]:
    """A YAML document; as YAML 1.2, so that ``on`` is a key and not true."""
    document: dict[str, Any] = YAML(typ="safe").load(text)
    return document


def load(folder: Path = FOLDER) -> dict[str, dict[str, Any]]:
    """Every workflow, by the name of its file."""
    return {path.name: parse(path.read_text()) for path in sorted(folder.glob("*.yml"))}


def triggers(workflow: Mapping[str, Any]) -> dict[str, Any]:
    """The events that begin it, with their settings."""
    on = workflow["on"]
    return {on: {}} if isinstance(on, str) else {key: value or {} for key, value in on.items()}


def called(job: Mapping[str, Any]) -> str:
    """The file of the workflow that a job calls; empty where it has steps of its own."""
    return str(job["uses"]).removeprefix(LOCAL) if "uses" in job else ""


def reachable(file: str, workflows: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every job that a workflow runs, itself and through the workflows that it calls: file, name, job."""
    for name, job in workflows[file]["jobs"].items():
        yield file, name, job
        if called(job):
            yield from reachable(called(job), workflows)


def steps(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job.get("steps", ())
