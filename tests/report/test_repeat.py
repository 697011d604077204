"""The command that a report, the site and a verdict print measures the same again."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import msgspec
import pytest

from scripts import config, options
from scripts.config import Config
from scripts.model import Profile, Run
from scripts.report import sentences
from scripts.steps import bench, compare
from tests.factories import make_paired_run, make_run

OTHERS = {"help", "output", "tree", "anchor", "fail_on_regression", "patience"}
"""Options that change where things lie or what is said at the end, and those that the arguments printed stand for."""
PARSERS = {"bench": bench._parser(config.load()), "compare": compare._parser()}


def single() -> Run:
    """Nothing of it is as it is without options."""
    run = make_run(seed=7, levels=(10, 50), rounds=3, labels={"fastapi": "FastAPI", "django_wsgi": "Django WSGI"})
    profile = msgspec.structs.replace(run.profile, name="quick", duration_s=2.3456789)
    environment = msgspec.structs.replace(run.environment, stack="compose", database="MariaDB", durability="disk")
    return msgspec.structs.replace(run, profile=profile, environment=environment, limited=False)


def paired() -> Run:
    run = make_paired_run(seed=8, backends=("django_asgi",), levels=(20, 30))
    other = msgspec.structs.replace(run.commit, sha="b" * 40)
    return msgspec.structs.replace(run, baseline=other, layout="duet")


def parsed(command: str, step: str) -> argparse.Namespace:
    before, _, after = command.partition(" -- ")
    assert before == f"./start_benchmark.sh -s {step}"
    return PARSERS[step].parse_args(shlex.split(after))


def assert_the_same(run: Run, args: argparse.Namespace) -> tuple[Config, Profile]:
    settings, profile = options.apply(args, config.load()), options.profile(args, config.load())
    assert args.stack == run.environment.stack
    assert args.seed == run.seed
    assert (profile.name, profile.levels, profile.rounds) == (run.profile.name, run.profile.levels, run.profile.rounds)
    assert profile.duration_s == run.profile.duration_s
    assert {backend.name for backend in settings.backends} == set(run.backends)
    assert settings.database.engine == run.environment.database.lower()
    assert settings.database.durability == run.environment.durability
    assert args.allow_unequal == any(entry.differences for entry in run.parity)
    assert args.allow_unlimited == (not run.limited)
    return settings, profile


@pytest.mark.parametrize("differences", [(), ("django_wsgi: 128 statements, not 168",)])
def test_a_session(differences: tuple[str, ...]) -> None:
    run = single()
    parity = tuple(msgspec.structs.replace(entry, differences=differences) for entry in run.parity)
    run = msgspec.structs.replace(run, parity=parity)
    assert_the_same(run, parsed(sentences.command(run), "bench"))
    assert_the_same(plain := make_run(), parsed(sentences.command(plain), "bench"))


def test_a_paired_session() -> None:
    run = paired()
    args = parsed(sentences.command(run), "compare")
    assert_the_same(run, args)
    assert (args.base, args.head) == ("b" * 40, run.commit.sha)


def test_a_paired_session_of_changes_that_no_commit_has() -> None:
    run = paired()
    dirty = msgspec.structs.replace(run, commit=msgspec.structs.replace(run.commit, dirty=True))
    assert parsed(sentences.command(dirty), "compare").head is None


def test_backends_that_could_not_be_measured_are_asked_for_again() -> None:
    assert parsed(sentences.command(paired(), ["fastapi"]), "compare").backends == "fastapi,django_asgi"


@pytest.mark.parametrize("step", PARSERS)
def test_no_option_is_forgotten(step: str) -> None:
    """A new one is in the command, or said here to change nothing that is measured."""
    run = single() if step == "bench" else paired()
    words = set(shlex.split(sentences.command(msgspec.structs.replace(run, limited=False))))
    there = {action.dest for action in PARSERS[step]._actions if words.intersection(action.option_strings)}
    named = {action.dest for action in PARSERS[step]._actions if action.option_strings}
    assert named - OTHERS - there <= {"allow_unequal"}


def test_the_project_is_named_where_it_is_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sentences, "PREFIX", f"BENCH_PROJECT={tmp_path} ")
    assert sentences.command(make_run()).startswith(f"BENCH_PROJECT={tmp_path} ./start_benchmark.sh -s bench -- full ")
