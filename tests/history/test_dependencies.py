"""What changed in the packages, from real commits of a real repository."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.config import ROOT
from scripts.history import dependencies
from scripts.history.dependencies import between_commits, between_runs, compare, describe, normalise, parse_lock
from scripts.model import Run
from tests.factories import git, make_run

LOCK = """\
# made by a tool
--index-url https://example.org/simple
Django==5.2.18 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
uvicorn[standard]==0.54.0 ; sys_platform != 'win32' \\
    --hash=sha256:cc
numpy==2.1.0 ; python_full_version < '3.12'
numpy==2.3.0 ; python_full_version >= '3.12'
own.Package @ https://example.org/own-1.0.tar.gz
    # via uvicorn==9.9
"""
names = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z0-9]{1,4})?", fullmatch=True)
packages = st.dictionaries(names, st.from_regex(r"[0-9]{1,2}(\.[0-9]{1,2}){1,2}", fullmatch=True), max_size=8)


def test_a_lock_is_read() -> None:
    assert parse_lock(LOCK) == {
        "django": "5.2.18",
        "uvicorn": "0.54.0",
        "numpy": "2.1.0 | 2.3.0",
        "own-package": "https://example.org/own-1.0.tar.gz",
    }


@pytest.mark.parametrize("backend", ["fastapi", "django_wsgi", "django_asgi", "fast_django_asgi"])
def test_the_projects_own_locks_have_what_was_asked_for(backend: str) -> None:
    folder = ROOT / "apps" / backend
    lock = parse_lock((folder / "requirements.txt").read_text())
    asked = [line.partition("#")[0].strip() for line in (folder / "requirements.in").read_text().splitlines()]
    for line in filter(None, asked):
        name, _, version = line.partition("==")
        assert lock[normalise(name)] == (version or lock[normalise(name)])
    assert (folder / "requirements.txt").read_text().count("==") >= len(lock) > len(list(filter(None, asked)))


def test_changes_are_told_in_words() -> None:
    changes = compare("fastapi", {"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"})
    assert [describe(change) for change in changes] == ["a 1 removed", "c 3 -> 4", "d 5 added"]
    assert {change.backend for change in changes} == {"fastapi"}


@given(packages, packages)
def test_changes_lead_from_one_lock_to_the_other(before: dict[str, str], after: dict[str, str]) -> None:
    made = dict(before)
    for change in compare("x", before, after):
        assert made.pop(change.package, "") == change.before
        if change.after:
            made[change.package] = change.after
    assert made == after
    assert compare("x", before, before) == ()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: the second raises Django, drops one package, and adds the backend `late`."""
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    for backend in ("django_wsgi", "fastapi"):
        (tmp_path / "apps" / backend).mkdir(parents=True)
        (tmp_path / "apps" / backend / "requirements.txt").write_text("gunicorn==27.0.1\n")
    lock = tmp_path / "apps/django_wsgi/requirements.txt"
    lock.write_text("django==5.2.18\ngunicorn==27.0.1\nsqlparse==0.5\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "One")
    lock.write_text("django==5.2.19\ngunicorn==27.0.1\n")
    (tmp_path / "apps/late").mkdir()
    (tmp_path / "apps/late/requirements.txt").write_text("x==1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "Two")
    return tmp_path


def commits(repository: Path) -> tuple[str, str]:
    after, before = git(repository, "rev-list", "HEAD").split()
    return before, after


def run_of(commit: str, noted: dict[str, dict[str, str]]) -> Run:
    run = make_run(levels=(10,), rounds=1, labels={"fastapi": "FastAPI", "django_wsgi": "Django WSGI"})
    return msgspec.structs.replace(run, commit=msgspec.structs.replace(run.commit, sha=commit), packages=noted)


def test_between_commits(repository: Path) -> None:
    before, after = commits(repository)
    changes = between_commits(before, after, ["fastapi", "django_wsgi", "late", "never"], repository)
    assert [(change.backend, describe(change)) for change in changes] == [
        ("django_wsgi", "django 5.2.18 -> 5.2.19"),
        ("django_wsgi", "sqlparse 0.5 removed"),
    ]
    assert between_commits(after, after, ["django_wsgi"], repository) == ()


def test_between_runs_the_locks_say_it_and_what_was_installed_counts(repository: Path) -> None:
    before, after = commits(repository)
    first = run_of(before, {"fastapi": {"Gunicorn": "27.0.1"}, "django_wsgi": {"django": "5.2.18"}})
    second = run_of(after, {"fastapi": {"Gunicorn": "28.0.0"}, "django_wsgi": {"django": "5.2.19"}})
    told = [(change.backend, describe(change)) for change in between_runs(first, second, repository)]
    assert told == [
        ("fastapi", "gunicorn 27.0.1 -> 28.0.0"),
        ("django_wsgi", "django 5.2.18 -> 5.2.19"),
        ("django_wsgi", "sqlparse 0.5 removed"),
    ]


def test_between_runs_of_commits_that_are_not_here_the_notes_are_all_there_is(repository: Path) -> None:
    first = run_of("0" * 40, {"fastapi": {"fastapi": "0.164.0"}, "django_wsgi": {"django": "5.2.19"}})
    second = run_of("1" * 40, {"fastapi": {"fastapi": "0.165.0", "uvloop": "1"}, "django_wsgi": {"django": "5.2.19"}})
    assert [describe(change) for change in between_runs(first, second, repository)] == ["fastapi 0.164.0 -> 0.165.0"]


def test_this_repositorys_own_commits() -> None:
    """The ASGI parity fixes changed code and no package."""
    fixes = ("48795c74d789f9474f09671fe45305efff8e54cf", "35156e64c8342cd182ec720af3d70da149f78fa5")
    if dependencies.locked(fixes[0], "django_asgi") is None:
        pytest.skip("a shallow clone")
    assert between_commits(*fixes, ["django_asgi"]) == ()
