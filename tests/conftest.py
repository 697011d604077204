"""What tests of real parts share: the project's own cache, cages, and folders in memory."""

import os
import tempfile
from pathlib import Path

import pytest

from scripts import config
from scripts.stack.choice import why_not_compose
from scripts.stack.limits import Cages

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where the project keeps what it has provided; tests use the same, so that nothing is fetched twice."""
    return ROOT / ".cache"


@pytest.fixture(scope="module")
def cages():
    """Cages of the kind that works here; a machine without limits still runs these tests."""
    with Cages(f"bench-tests-{os.getpid()}", allow_unlimited=True) as cages:
        yield cages


@pytest.fixture
def memory():
    """An empty folder on a tmpfs."""
    with tempfile.TemporaryDirectory(prefix="bench-tests-", dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def compose() -> None:
    """Skips where no containers can be run; .ci/run sees that they can."""
    if obstacle := why_not_compose(config.load()):
        pytest.skip(f"no containers: {obstacle}")


@pytest.fixture(
    scope="module",
    params=[pytest.param("native", marks=pytest.mark.mysql), pytest.param("compose", marks=pytest.mark.docker)],
)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of stack that there is."""
    if request.param == "compose":
        request.getfixturevalue("compose")
    return str(request.param)
