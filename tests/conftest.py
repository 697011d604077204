"""What tests of real parts share: the project's own cache, cages, and folders in memory."""

import os
import tempfile
from pathlib import Path

import pytest

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
