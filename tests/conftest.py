"""What tests of real parts share: the project's own cache, cages, and folders in memory."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from scripts import checkout, config
from scripts.checkout import Revision
from scripts.model import PipelineError
from scripts.stack import leftovers, packages
from scripts.stack.choice import why_not_compose
from scripts.stack.limits import Cages
from tests.factories import LABELS, RUNS

ROOT = Path(__file__).parent.parent

# How fast this machine is says nothing of the code: tests hold on a loaded one.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """Files run side by side, as their tests share what they make. Played workflows share nothing, and are slow."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return nodeid if path.endswith("test_hosted.py") else path


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    return Shares(config, log)


@pytest.fixture(scope="session")
def cache() -> Path:
    """Where the project keeps what it has provided; tests use the same, so that nothing is fetched twice."""
    return ROOT / ".cache"


@pytest.fixture(scope="module")
def cages():
    """Cages of the kind that works here; a machine without limits still runs these tests."""
    with Cages(f"{leftovers.session_name()}-tests", allow_unlimited=True) as cages:
        yield cages


@pytest.fixture
def memory():
    """An empty folder on a tmpfs."""
    with tempfile.TemporaryDirectory(prefix="bench-tests-", dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def line() -> Sequence[Revision]:
    """The first commits of this repository's own line, as many as a history of `RUNS` runs needs."""
    try:
        return checkout.line("HEAD", LABELS)[:RUNS]
    except PipelineError as error:
        pytest.skip(error.message)


@pytest.fixture(scope="session")
def compose() -> None:
    """Skips where no containers can be run; .ci/run sees that they can."""
    if obstacle := why_not_compose(config.load()):
        pytest.skip(f"no containers: {obstacle}")


@pytest.fixture(scope="module")
def chromium():
    """A real browser: Debian's Chromium, which root installs where it is missing; others are told the command."""
    from playwright.sync_api import sync_playwright

    from tests.browser import launch

    try:
        packages.install(packages.browser_needs())
    except PipelineError as error:
        pytest.skip(f"no browser: {error.message}; {error.hint}")
    with sync_playwright() as playwright:  # its event loop must not outlive the module: others have their own
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(
    scope="module",
    params=[pytest.param("native", marks=pytest.mark.mysql), pytest.param("compose", marks=pytest.mark.docker)],
)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of stack that there is."""
    if request.param == "compose":
        request.getfixturevalue("compose")
    return str(request.param)
