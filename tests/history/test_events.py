"""Anchor and events are read whole, and what is wrong in them is named."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from scripts import checkout, config
from scripts.config import ROOT
from scripts.history.events import parse_anchor, parse_events, read_anchor, read_events
from scripts.model import PipelineError
from tests.factories import LABELS, git

ANCHOR = (ROOT / "history/anchor.toml").read_text()
EVENTS = (ROOT / "history/events.toml").read_text()
PARITY_FIXES = ("f80d1c9", "fb2d187", "4fef69f", "35156e6")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "One")
    return tmp_path


def test_the_projects_own_files() -> None:
    assert read_anchor(ROOT / "history").commit.startswith("35156e6")
    events = read_events(ROOT / "history", [backend.name for backend in config.load().backends])
    assert tuple(event.commit[:7] for event in events[:4]) == PARITY_FIXES
    assert all(event.kind == "fix" and event.backends == ("django_asgi",) for event in events[:4])


def test_an_event_concerns_what_it_names() -> None:
    text = (
        EVENTS
        + f"""
[[events]]
commit = "{"0" * 40}"
kind = "accepted"
text = "known"
backends = ["fastapi"]
metrics = ["throughput_rps", "latency_p50_ms"]
"""
    )
    *fixes, accepted = parse_events(text, "events.toml", LABELS, Path("/"))
    assert accepted.concerns("fastapi", "latency_p50_ms")
    assert not accepted.concerns("fastapi", "peak_memory_mb")
    assert not accepted.concerns("django_asgi", "latency_p50_ms")
    assert fixes[0].concerns("django_asgi", "peak_memory_mb")
    assert not fixes[0].concerns("fastapi", "peak_memory_mb")


@pytest.mark.parametrize(
    ("pattern", "replacement", "message", "hint"),
    [
        (r'commit = "f80d1c9\w+"', 'commit = "f80d1c9"', r"event 1 \(f80d1c9\): commit: 'f80d1c9' is not", "rev-parse"),
        (r'commit = "fb2d187\w+"\n', "", r"event 2: .*missing required field `commit`", "it takes: commit, kind"),
        (r'kind = "fix"', 'kind = "fixed"', r"event 1: Invalid enum value 'fixed': at `kind`", "it takes"),
        (r'kind = "fix"', 'knd = "fix"', r"event 1: .*`knd`", "did you mean 'kind'"),
        (
            r'\["django_asgi"\]',
            '["django"]',
            r"event 1 \(f80d1c9\): backends: 'django' is not known",
            "did you mean 'django_",
        ),
        (r'\["django_asgi"\]', '"django_asgi"', r"event 1: Expected `array`, got `str`: at `backends`", ""),
        (r"backends = .*", 'metrics = ["rps"]', r"event 1 \(f80d1c9\): metrics: 'rps' is not known", "throughput_rps"),
        (r'text = ".*"', 'text = " "', r"event 1 \(f80d1c9\): text: is empty", "what happened"),
        (
            r'kind = "fix"\nback.*',
            'kind = "accepted"',
            r"event 1 \(f80d1c9\): backends: is empty",
            "names the",
        ),
        (r"\[\[events\]\]", "[[event]]", r"events.toml: event: is not known", "did you mean 'events'"),
        (r"(?s)\[\[events\]\].*", "events = 1", r"events.toml: events: is not a list of tables", "[[events]]"),
        (r"\[\[events\]\]", "[[events]", r"events.toml: not valid TOML: .*line", "mend"),
    ],
)
def test_a_wrong_event_is_named(pattern: str, replacement: str, message: str, hint: str) -> None:
    text, replaced = re.subn(pattern, replacement, EVENTS, count=1)
    assert replaced
    with pytest.raises(PipelineError, match=message) as caught:
        parse_events(text, "events.toml", LABELS)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r"\[anchor\]", "[anker]", "anchor.toml: anker: is not known"),
        (r"reason = .*", "", r"anchor.toml: \[anchor\]: .*missing required field `reason`"),
        (r'reason = ".*"', 'reason = ""', r"anchor.toml: \[anchor\]: reason: is empty"),
        (r'commit = ".*"', 'commit = "main"', r"anchor.toml: \[anchor\]: commit: 'main' is not a full commit hash"),
        (r"(?s).*", "", r"anchor.toml: \[anchor\]: .*missing required field `commit`"),
    ],
)
def test_a_wrong_anchor_is_named(pattern: str, replacement: str, message: str) -> None:
    text = re.sub(pattern, replacement, ANCHOR, count=1)
    with pytest.raises(PipelineError, match=message):
        parse_anchor(text, "anchor.toml")


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"anchor\.toml: cannot be read: No such file"):
        read_anchor(tmp_path)
    assert read_events(tmp_path, LABELS) == ()


def test_a_commit_that_the_repository_does_not_have_is_named(repository: Path) -> None:
    with pytest.raises(PipelineError, match=r"event 1 \(f80d1c9\): commit: f80d1c96\w+ is not in this repository"):
        parse_events(EVENTS, "events.toml", LABELS, repository)
    with pytest.raises(PipelineError, match=r"\[anchor\]: commit: 35156e64\w+ is not in this repository"):
        parse_anchor(ANCHOR, "anchor.toml", repository)
    sha = git(repository, "rev-parse", "HEAD").strip()
    assert checkout.unknown_commits([sha, "0" * 40, sha], repository) == ("0" * 40,)
    tree = git(repository, "rev-parse", "HEAD^{tree}").strip()
    assert checkout.unknown_commits([tree], repository) == (tree,)


def test_where_nobody_can_tell_nothing_is_called_unknown(tmp_path: Path, repository: Path) -> None:
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "Two")
    shallow = tmp_path / "shallow"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", f"file://{repository}", shallow], check=True)
    for place in (shallow, Path("/")):
        assert len(parse_events(EVENTS, "events.toml", LABELS, place)) == EVENTS.count("[[events]]")
