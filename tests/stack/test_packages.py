import os
from pathlib import Path

import pytest

from scripts.model import PipelineError
from scripts.stack import packages
from scripts.stack.packages import Need

ABSENT = Need("no-such-package-of-ours", "test this", lambda: False)
PRESENT = Need("present", "test this", lambda: True)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture
def ordinary_user():
    """This process, for the time being, as somebody without rights."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    yield
    os.seteuid(before)


@pytest.fixture
def said():
    return []


def test_nothing_is_done_when_nothing_is_missing(said, ordinary_user):
    assert packages.install([PRESENT], said.append) == []
    assert said == []


def test_missing_are_found_without_asking_apt(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert packages.find_missing([PRESENT, ABSENT]) == [ABSENT]


def test_ordinary_user_gets_the_one_command(said, ordinary_user):
    with pytest.raises(PipelineError) as caught:
        packages.install([PRESENT, ABSENT, ABSENT._replace(package="another")], said.append)
    assert "no-such-package-of-ours, another missing, needed to test this" in caught.value.message
    assert "sudo apt-get install --yes --no-install-recommends no-such-package-of-ours another" in caught.value.hint
    assert said == []


def test_system_without_apt_is_told_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PipelineError, match="no-such-package-of-ours missing") as caught:
        packages.install([ABSENT])
    assert "apt-get" not in caught.value.hint


@needs_root
def test_failure_of_apt_names_its_error(monkeypatch, tmp_path, said):
    """A real apt, with no sources and a state of its own."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "apt.conf").write_text(
        f'Dir::State "{tmp_path}"; Dir::Cache "{tmp_path}/cache"; Dir::Etc::sourcelist "-"; Dir::Etc::sourceparts "-";'
    )
    monkeypatch.setenv("APT_CONFIG", str(tmp_path / "apt.conf"))
    with pytest.raises(PipelineError, match="Unable to locate package no-such-package-of-ours") as caught:
        packages.install([ABSENT], said.append)
    assert "apt-get install no-such-package-of-ours" in caught.value.hint
    assert said == ["Installing system packages to test this: no-such-package-of-ours"]


def test_program_outside_the_path_of_an_ordinary_user_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\n")
    assert packages.find_program("server") is None
    program.chmod(0o755)
    assert packages.find_program("nothing", "server") == program
    assert packages.find_program("ldconfig") in {Path("/usr/sbin/ldconfig"), Path("/sbin/ldconfig")}


def test_last_error_prefers_what_apt_marks():
    stderr = "W: Some index files failed\nE: Unable to fetch some archives\nsee the manual\n"
    assert packages.last_error(stderr) == "E: Unable to fetch some archives"
    assert packages.last_error("something\nelse\n\n") == "else"
    assert packages.last_error("") == "no message"
