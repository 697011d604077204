"""Another repository's service, in another language, measured by the same code: examples/shop."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from ruamel.yaml import YAML

from scripts import checkout, config, records
from scripts.config import ROOT
from scripts.model import PipelineError
from scripts.stack import candidates, composition
from scripts.stack.cores import Cpus
from scripts.stack.process import wait_until
from scripts.verdict.judgement import Outcome
from scripts.verdict.record import decode_verdict
from tests.factories import git
from tests.steps.test_bench import Bench, bench  # noqa: F401  the fixture

SHOP = ROOT / "examples" / "shop"
SHORT = "\n[profiles.pr]\nlevels = [4]\nrounds = 6\nduration_s = 1\nwarmup_s = 1\n"
ALL_AT_ONCE = """\
    rows = database.query("SELECT id, price_cents FROM products WHERE id IN (#{products.join(', ')})")
    rows.to_h { |row| row.values_at('id', 'price_cents') }
"""
ONE_BY_ONE = """\
    products.to_h do |product|
      [product, database.query("SELECT price_cents FROM products WHERE id = #{product}").first['price_cents']]
    end
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The shop, in a folder of somebody's repository; the second commit asks for each price by itself."""
    root = tmp_path / "repository"
    shutil.copytree(SHOP, root / "shop")
    git(root, "init", "--quiet", "--initial-branch=trunk")
    source = root / "shop/service/shop.rb"
    text = source.read_text()
    assert ALL_AT_ONCE in text
    for subject, changed in (
        ("All prices at once", text),
        ("Each price by itself", text.replace(ALL_AT_ONCE, ONE_BY_ONE)),
    ):
        source.write_text(changed)
        git(root, "add", "--all")
        git(root, "commit", "--quiet", "--message", subject)
    return root


def test_a_short_file_inherits_the_rest() -> None:
    settings, ours = config.load(SHOP / "bench.toml"), config.load(ROOT / "bench.toml")
    assert settings.workload is None
    assert [backend.name for backend in settings.backends] == ["shop"]
    assert (settings.compare, settings.validity, settings.detect) == (ours.compare, ours.validity, ours.detect)
    assert settings.profiles == ours.profiles
    assert settings.limits.memory_mb == 512


def test_what_a_change_reaches_and_what_a_version_is_made_of(repository: Path, tmp_path: Path) -> None:
    root = repository / "shop"
    backends = config.load(root / "bench.toml").backends
    sources = checkout.sources_of(backends, root)
    assert sources == {"shop": ("shop/service", "shop/schema.sql")}
    changed = checkout.changed_paths("HEAD~1", "HEAD", root)
    assert changed == ["shop/service/shop.rb"]
    assert checkout.reached(changed, sources) == ["shop"]
    assert checkout.reached(["shop/docker-compose.yml", "shop/README.md", "elsewhere/x.rb"], sources) == []

    before = checkout.export(checkout.find("HEAD~1", root).sha, backends, tmp_path / "cache", root)
    assert before.name == "shop"
    assert ALL_AT_ONCE in (before / "service/shop.rb").read_text()
    assert (before / "schema.sql").exists()
    assert not (before / "bench.toml").exists(), "the harness is that of the working tree"


def test_a_service_that_is_built_from_the_whole_repository(repository: Path, tmp_path: Path) -> None:
    root = repository / "shop"
    (backend,) = config.load(root / "bench.toml").backends
    whole = msgspec.structs.replace(backend, folder="..", schema="shop/schema.sql")
    sources = checkout.sources_of([whole], root)
    assert sources == {"shop": (".", "shop/schema.sql")}
    assert checkout.reached(["Makefile"], sources) == checkout.reached(["lib/deep/x.rb"], sources) == ["shop"]
    tree = checkout.export(git(root, "rev-parse", "HEAD").strip(), [whole], tmp_path / "cache", root)
    (target,) = candidates(msgspec.structs.replace(config.load(root / "bench.toml"), backends=(whole,)), tree)
    assert (target.app / "shop/service/shop.rb").exists()
    assert (target.app / whole.schema).exists()


def test_what_lies_outside_the_repository_is_named(repository: Path) -> None:
    root = repository / "shop"
    (backend,) = config.load(root / "bench.toml").backends
    for changed in ({"folder": "../.."}, {"schema": "/etc/schema.sql"}):
        with pytest.raises(PipelineError, match=r"\[backends\.shop\]: .* is not in the repository"):
            checkout.sources_of([msgspec.structs.replace(backend, **changed)], root)


def test_the_shops_files_agree() -> None:
    (shop,) = config.load(SHOP / "bench.toml").backends
    service = YAML(typ="safe").load((SHOP / "docker-compose.yml").read_text())["services"][shop.name]
    assert service["build"]["context"] == shop.folder
    assert service["ports"] == [f"127.0.0.1:{shop.port}:{shop.port}"]
    assert service["environment"]["BIND"] == f"0.0.0.0:{shop.port}"
    assert (SHOP / shop.folder / shop.schema).exists()


def place(*names: str) -> composition.Place:
    folder = Path("/dev/shm/bench-7-x")
    slots = {
        name: composition.Slot(
            n, 20000 + n, folder / f"{n:02}", name, {"DATABASE_PASSWORD": "secret", "DATABASE_NAME": name}
        )
        for n, name in enumerate(names)
    }
    return composition.Place(slots=slots, database_port=30000, folder=folder)


def test_a_compose_file_that_says_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(composition, "PROJECT", SHOP)
    settings = config.load(SHOP / "bench.toml")
    targets = candidates(settings, SHOP)
    file: dict[str, Any] = {
        "services": {
            "mysql": {"image": "mysql:8.4", "environment": {"MYSQL_USER": "shop", "MYSQL_ROOT_PASSWORD": "x"}},
            "shop": {
                "build": {"context": str(SHOP / "service")},
                "environment": {"DATABASE_NAME": "mine", "COLOUR": "red"},
                "container_name": "one",
                "deploy": {"resources": {"limits": {"cpus": "4"}}},
                "networks": {"inner": None},
                "restart": "always",
            },
        }
    }
    assert composition.base_images(file) == ["mysql:8.4"]
    services = composition.compose(file, settings, targets, Cpus("3", "0-1", "2"), place("shop"))["services"]
    assert services["mysql"]["tmpfs"] == ["/var/lib/mysql"], "in memory, whatever the file says"
    assert services["mysql"]["environment"] == {"MYSQL_ROOT_PASSWORD": "x"}
    shop = services["shop"]
    assert shop["build"]["context"] == str(SHOP / "service")
    assert shop["build"]["dockerfile"] == str(SHOP / "service/Dockerfile"), "it belongs to the version"
    assert shop["environment"] == {
        "COLOUR": "red",
        "DATABASE_NAME": "shop",
        "DATABASE_PASSWORD": "secret",
        "BIND": "0.0.0.0:18010",
    }
    assert shop["ports"][0]["target"] == 18010
    assert not shop.keys() & {"container_name", "deploy", "networks", "restart"}
    file["services"]["shop"]["build"] = {"context": str(SHOP)}
    with pytest.raises(PipelineError, match=r"shop is built from .*, but bench\.toml says service"):
        composition.compose(file, settings, targets, Cpus("3", "0-1", "2"), place("shop"))
    file["services"]["shop"] = {"image": "shop:1"}
    with pytest.raises(PipelineError, match=r"service shop is not built"):
        composition.compose(file, settings, targets, Cpus("3", "0-1", "2"), place("shop"))
    del file["services"]["mysql"]
    with pytest.raises(PipelineError, match=r"docker-compose\.yml: no service mysql"):
        composition.compose(file, settings, targets, Cpus("3", "0-1", "2"), place("shop"))


@pytest.fixture
def debian(compose: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shop is built from the Debian that is here already, which has Python in it."""
    monkeypatch.setenv("DEBIAN_IMAGE", os.environ.get("PYTHON_IMAGE", "python:3.13-slim-trixie"))


@pytest.mark.stack
@pytest.mark.docker
@pytest.mark.usefixtures("debian")
def test_the_shop_works_by_itself() -> None:
    """``docker compose up --wait``, for people who know nothing of this project."""
    (shop,) = config.load(SHOP / "bench.toml").backends
    compose = ["docker", "compose", "--project-name", f"bench-{os.getpid()}"]
    try:
        subprocess.run([*compose, "up", "--build", "--wait"], cwd=SHOP, check=True, timeout=300)
        address = f"http://127.0.0.1:{shop.port}"
        assert wait_until(lambda: httpx.get(address + shop.health).is_success, 10)
        order = httpx.post(address + shop.endpoint)
        assert order.is_success, order.text
        assert order.json()["order"] == 1
        assert httpx.post(address + shop.reset).json() == {"status": "ok"}
        assert httpx.get(address + "/nothing").status_code == 404
    finally:
        subprocess.run([*compose, "logs"], cwd=SHOP, check=False)
        subprocess.run([*compose, "down", "--volumes", "--rmi", "local"], cwd=SHOP, check=True, timeout=120)


@pytest.mark.stack
@pytest.mark.docker
@pytest.mark.usefixtures("debian")
def test_the_slower_version_is_found(
    bench: Callable[..., Bench],  # noqa: F811
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BENCH_PROJECT", str(repository / "shop"))
    with (repository / "shop/bench.toml").open("a") as file:
        file.write(SHORT)
    running = bench("HEAD~1", "HEAD", "--output", str(tmp_path / "results"), step="compare", stack="compose")
    assert running.end() == 0, running.text
    folder = (tmp_path / "results" / "latest").resolve()
    run = records.read_run(folder / "run.json")
    assert run.complete
    again = f"BENCH_PROJECT={repository / 'shop'} ./start_benchmark.sh -s compare"
    assert again in (folder / "verdict.json").read_text()
    assert run.workload is None
    assert run.commit.subject == "Each price by itself"
    assert all(not summary.differences for summary in run.parity)
    assert sum(block.load.failed for block in run.blocks) == 0
    (shop,) = decode_verdict((folder / "verdict.json").read_bytes(), "verdict.json").backends
    assert shop.statements == (4, 23)
    assert shop.outcome is Outcome.REGRESSION
    cost, throughput = (
        next(f for f in shop.findings if f.metric == metric and f.level is None)
        for metric in ("cpu_ms_per_request", "throughput_rps")
    )
    assert cost.outcome is Outcome.REGRESSION, running.text
    assert throughput.high is not None  # four rounds are enough to end the session, if not always to be sure of this
    assert throughput.high < 1, running.text
