"""Commits, and what a change can reach: on a real repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts import checkout, config
from scripts.model import PipelineError

BACKENDS = ("fastapi", "django_wsgi")
CONFIGURED = tuple(backend for backend in config.load().backends if backend.name in BACKENDS)
SOURCES = {name: (f"apps/{name}", "apps/schema.sql") for name in BACKENDS}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    (root / "apps/fastapi").mkdir(parents=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "apps/fastapi/work.py", "one", "first")
    return root


def git(root: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.com"]
    return subprocess.run(
        ["git", *who, "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(root: Path, path: str, text: str, subject: str) -> str:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", subject)
    return git(root, "rev-parse", "HEAD")


def test_a_revision_is_found_and_what_is_none_is_named(repository: Path) -> None:
    sha = git(repository, "rev-parse", "HEAD")
    assert checkout.find("main", repository).sha == sha
    assert checkout.find(sha[:8], repository).subject == "first"
    for wrong in ("nowhere", "--output=x", ""):
        with pytest.raises(PipelineError, match="names no commit"):
            checkout.find(wrong, repository)


def test_where_two_lines_part(repository: Path) -> None:
    fork = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "--quiet", "-b", "topic")
    commit(repository, "apps/fastapi/work.py", "two", "on topic")
    git(repository, "checkout", "--quiet", "main")
    commit(repository, "README.md", "x", "on main")
    assert checkout.merge_base("main", "topic", repository) == fork
    git(repository, "checkout", "--quiet", "--orphan", "island")
    commit(repository, "apps/other", "x", "alone")
    with pytest.raises(PipelineError, match="no commit in common"):
        checkout.merge_base("main", "island", repository)


def test_changed_paths_of_commits_and_of_the_working_tree(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    second = commit(repository, "apps/django_wsgi/work.py", "x", "second")
    assert checkout.changed_paths(first, second, repository) == ["apps/django_wsgi/work.py"]
    (repository / "apps/fastapi/work.py").write_text("changed")
    (repository / "apps/fastapi/new.py").write_text("not tracked yet")
    assert checkout.changed_paths(second, None, repository) == ["apps/fastapi/new.py", "apps/fastapi/work.py"]


def test_a_line_of_commits_with_what_each_reaches(repository: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "checkout", "--quiet", "-b", "topic")
    topic = [
        commit(repository, "apps/fastapi/work.py", "two", "on topic"),
        commit(repository, "apps/schema.sql", "x", "for everybody"),
    ]
    git(repository, "checkout", "--quiet", "main")
    prose = commit(repository, "README.md", "x", "prose")
    git(repository, "merge", "--quiet", "--no-edit", "--no-ff", "topic")
    merge = git(repository, "rev-parse", "HEAD")
    line = checkout.line("main", BACKENDS, repository)
    assert {r.sha: r.reaches for r in line} == {
        first: ("fastapi",), topic[0]: ("fastapi",), topic[1]: BACKENDS, prose: (), merge: ()
    }  # fmt: skip
    assert (line[0].sha, line[-1].sha) == (first, merge)
    assert line[0].subject == "first"
    went = checkout.line(f"{first}..main", BACKENDS, repository, first_parent=True)
    assert [(r.sha, r.reaches) for r in went] == [(prose, ()), (merge, BACKENDS)]
    assert checkout.line("main..main", BACKENDS, repository) == []
    for wrong in ("nowhere", "--output=x"):
        with pytest.raises(PipelineError, match="names no commits"):
            checkout.line(wrong, BACKENDS, repository)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], []),
        (["README.md", "docs/x.svg", ".github/workflows/ci.yml"], []),
        (["apps/README.md", "apps/fastapi/README.md"], []),
        (["scripts/steps/bench.py", "k6/stepped.js", "bench.toml"], []),
        (["apps/fastapi/benchmark/views.py"], ["fastapi"]),
        (["apps/schema.sql"], ["fastapi", "django_wsgi"]),
        (["apps/django_wsgi/requirements.txt", "apps/fastapi/x"], ["fastapi", "django_wsgi"]),
        (["apps/unknown/x.py"], []),
    ],
)
def test_what_a_change_can_reach(paths: list[str], expected: list[str]) -> None:
    assert checkout.reached(paths, SOURCES) == expected


def test_the_sources_are_those_of_bench_toml() -> None:
    assert checkout.sources_of(CONFIGURED) == SOURCES


def test_the_backends_of_a_commit_are_exported_once(repository: Path, tmp_path: Path) -> None:
    first = git(repository, "rev-parse", "HEAD")
    commit(repository, "apps/fastapi/work.py", "two", "second")
    root = checkout.export(first, CONFIGURED, tmp_path / "cache", repository)
    assert (root / "apps/fastapi/work.py").read_text() == "one"
    assert not (root / "apps/django_wsgi").exists()
    assert checkout.export(first, CONFIGURED, tmp_path / "cache", repository) == root
    assert [p.name.partition("-")[0] for p in (tmp_path / "cache/revisions").iterdir()] == [first]


def test_a_commit_without_backends_is_named(repository: Path, tmp_path: Path) -> None:
    git(repository, "rm", "-r", "--quiet", "apps")
    git(repository, "commit", "--quiet", "--allow-empty", "--message", "gone")
    sha = git(repository, "rev-parse", "HEAD")
    with pytest.raises(PipelineError, match=f"commit {sha[:7]} has nothing of .*: apps/django_wsgi, apps/fastapi, "):
        checkout.export(sha, CONFIGURED, tmp_path, repository)
