"""Which stack ``auto`` takes, and that it says why."""

from __future__ import annotations

import shutil

import msgspec
import pytest

from scripts import config
from scripts.model import PipelineError
from scripts.stack import engine
from scripts.stack.choice import why_not_compose

SETTINGS = config.load()


def test_no_docker_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert why_not_compose(SETTINGS) == "no docker program is on the PATH"
    with pytest.raises(PipelineError) as caught:
        engine.find()
    assert "--stack native" in caught.value.hint


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker program is on the PATH")
def test_no_engine_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    assert "no Docker engine answers at unix:///nonexistent.sock" in why_not_compose(SETTINGS)


def test_another_database_engine_is_native() -> None:
    database = msgspec.structs.replace(SETTINGS.database, engine="mariadb")
    settings = msgspec.structs.replace(SETTINGS, database=database)
    assert why_not_compose(settings) == "the containers run MySQL, not mariadb"


@pytest.mark.docker
@pytest.mark.usefixtures("compose")
def test_absent_images_are_not_fetched_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_IMAGE", "local/no-such-image:1")
    assert why_not_compose(SETTINGS) == "local/no-such-image:1 not here yet: `docker pull` fetches it"
