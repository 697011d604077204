"""bench.toml is read whole, and what is wrong in it is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import config
from scripts.config import CONFIG_PATH
from scripts.model import PipelineError, Workload

TEXT = CONFIG_PATH.read_text()


def test_the_projects_own_file() -> None:
    settings = config.load()
    assert [b.name for b in settings.backends] == ["fastapi", "django_wsgi", "django_asgi", "fast_django_asgi"]
    assert [b.port for b in settings.backends] == [18000, 18001, 18002, 18003]
    assert config.find(settings.profiles, "full", "profile").levels == tuple(range(10, 101, 10))
    assert settings.workload
    assert settings.workload.statements == 168
    assert [b.folder for b in settings.backends] == [f"apps/{b.name}" for b in settings.backends]


def test_the_contracts_answer() -> None:
    assert Workload().answer == {
        "file_operations": 2,
        "db_operations": 8,
        "rows_created": 80,
        "rows_updated": 40,
        "rows_deleted": 80,
    }


@pytest.mark.parametrize(
    ("pattern", "replacement", "message", "hint"),
    [
        (r"port = 18000", "prot = 18000", r"bench.toml: \[backends.fastapi\]: .*`prot`", "did you mean 'port'"),
        (r"port = 18000", 'port = "x"', r"\[backends.fastapi\]: Expected `int`, got `str`: at `port`", "it takes"),
        (r"port = 18001", "port = 18000", "two backends have the same port", ""),
        (r"\[limits\]", "[limit]", r"unknown section \[limit\]", "did you mean 'limits'"),
        (r"cpus = 1.0", "cpus = 0", r"\[limits\] cpus: must be above 0", ""),
        (r"rows_updated = 5", "rows_updated = 50", r"\[workload\] rows_updated: more than rows_inserted", ""),
        (r"levels = \[5, 20\]", "levels = [5, 5]", r"\[profiles.smoke\] levels: names a level twice", ""),
        (r"levels = \[5, 20\]", "levels = []", r"\[profiles.smoke\] levels: must be numbers", ""),
        (r"engine = \"mysql\"", 'engine = "postgres"', r"\[database\]: Invalid enum value 'postgres': at `engine`", ""),
        (r"peak_memory_mb = 0.05\n", "peak_memory = 0.05\n", r"worth_reporting\] peak_memory: no such metric", ""),
        (r"throughput_rps = 0.03", "throughput_rps = 0", r"worth_reporting\] throughput_rps: must be above 0", ""),
        (r"\[backends.fastapi\]", "[backends.FastAPI]", r"\[backends.FastAPI\]: its name must be a lower-case", ""),
        (r"\[backends.fastapi\]", f"[backends.{'a' * 24}]", r"its name must be .* 23 at most", ""),
        (r"\[backends.fastapi\]", '[backends."fast api"]', r"\[backends.fast api\]: its name must be", ""),
        (
            r"port = 18000",
            'port = 18000\nname = "x"',
            r"bench.toml: \[backends.fastapi\]: unknown field `name`",
            "rename",
        ),
        (r"levels = \[5, 20\]", 'levels = [5]\nname = "x"', r"\[profiles.smoke\]: unknown field `name`", "rename"),
        (r'"/io-intensive"', '"io-intensive"', r"\[backends.fastapi\] endpoint: 'io-intensive' is no path", ""),
        (r'health = "/health"', 'health = "/he alth"', r"\[backends.fastapi\] health: '/he alth' is no path", ""),
        (r'reset = "/reset"', 'reset = ""', r"\[backends.fastapi\] reset: '' is no path", ""),
        (r'"/users", ', '"users", ', r"\[backends.fastapi\] lists: 'users' is no path", ""),
        (r'label = "FastAPI"', 'label = " "', r"\[backends.fastapi\] label: must say something", ""),
        (r"port = 18000", 'port = 18000\nfolder = ""', r"\[backends.fastapi\] folder: must name a folder", ""),
        (r"\[limits\]", "[limits", r"bench.toml: not valid TOML: .*line", ""),
    ],
)
def test_a_wrong_key_is_named(pattern: str, replacement: str, message: str, hint: str) -> None:
    text, replaced = re.subn(pattern, replacement, TEXT, count=1)
    assert replaced
    with pytest.raises(PipelineError, match=message) as caught:
        config.parse(text)
    assert hint in caught.value.hint


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(PipelineError, match="unknown backend 'fastpi'") as caught:
        config.find(config.load().backends, "fastpi", "backend")
    assert "did you mean 'fastapi'" in caught.value.hint
    assert "django_wsgi" in caught.value.hint


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="cannot be read"):
        config.load(tmp_path / "bench.toml")
