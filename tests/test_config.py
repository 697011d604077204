"""bench.toml is read whole, and what is wrong in it is named."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from scripts import config, options
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
        (r"cpus = 1.0", "cpus = 0", r"bench.toml: \[limits\]: Expected `float` > 0.0: at `cpus`", ""),
        (r"rows_updated = 5", "rows_updated = 50", r"\[workload\] rows_updated: more than rows_inserted", ""),
        (r"levels = \[5, 20\]", "levels = [5, 5]", r"\[profiles.smoke\] levels: names a level twice", ""),
        (r"levels = \[5, 20\]", "levels = []", r"\[profiles.smoke\]: Expected `array` of length >= 1: at `levels`", ""),
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
        (r'label = "FastAPI"', 'label = " "', r"\[backends.fastapi\] label: must be one line", ""),
        (r"port = 18000", 'port = 18000\nfolder = ""', r"\[backends.fastapi\] folder: must name a folder", ""),
        (
            r'stack = "compose"',
            'stack = "podman"',
            r"\[workflows\]: Invalid enum value 'podman': at `stack`",
            "it takes",
        ),
        (r'stack = "compose"', 'profile = "pr"', r"\[workflows\]: .*unknown field `profile`", "it takes: stack"),
        (r"\[limits\]", "[limits", r"bench.toml: not valid TOML: .*line", ""),
        (r"port = 18000", "port = 65536", r"\[backends.fastapi\]: Expected `int` <= 65535: at `port`", ""),
        (r"port = 18000", "port = 0", r"\[backends.fastapi\]: Expected `int` >= 1: at `port`", ""),
        (r"\[backends.fastapi\]", '[backends."../x"]', r"\[backends.../x\]: its name must be", ""),
        (r"memory_mb = 2048", f"memory_mb = {'9' * 5000}", r"bench.toml: not valid TOML: Exceeds the limit", ""),
        (r"memory_mb = 2048", f"memory_mb = {'[' * 9999}", r"bench.toml: not valid TOML: nested too deeply", ""),
        (r"share = 0.22", "share = 0.5", r"\[compare.metrics\]: the shares add up to 1.28, of 1 that there is", ""),
    ],
)
def test_a_wrong_key_is_named(pattern: str, replacement: str, message: str, hint: str) -> None:
    text, replaced = re.subn(pattern, replacement, TEXT, count=1)
    assert replaced
    with pytest.raises(PipelineError, match=message) as caught:
        config.parse(text)
    assert hint in caught.value.hint


NUMBERS = re.findall(r"^(\w+) = \[?[0-9.]+", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1", "1e300", "true", '"1"', "9223372036854775808"])
@pytest.mark.parametrize("key", sorted(set(NUMBERS)))
def test_an_absurd_number_is_refused_with_its_key(key: str, value: str) -> None:
    text = re.sub(rf"^({key} = \[?)[0-9.]+", rf"\g<1>{value}", TEXT, count=1, flags=re.MULTILINE)
    with pytest.raises(PipelineError, match=rf"bench\.toml: \[.*(\b{key}\b|\[\.\.\.\])") as caught:
        config.parse(text)
    assert caught.value.hint


@pytest.mark.parametrize("table", ["{ share = VALUE, matters = 0.1 }", "{ share = 0.1, matters = VALUE }"])
@pytest.mark.parametrize("value", ["nan", "inf", "-1", "0", "1.5"])
def test_an_absurd_number_of_a_metric_is_refused(table: str, value: str) -> None:
    text = re.sub(r"^latency_p50_ms = \{.*", f"latency_p50_ms = {table.replace('VALUE', value)}", TEXT, flags=re.M)
    with pytest.raises(PipelineError, match=r"bench\.toml: \[compare\.metrics\.latency_p50_ms\] (share|matters): must"):
        config.parse(text)


def test_what_is_not_utf_8_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bench.toml"
    path.write_bytes(TEXT.encode() + b"\n[profiles.\xff]\n")
    with pytest.raises(PipelineError, match=rf"bench\.toml: not UTF-8: byte 0xff in line {TEXT.count(chr(10)) + 2}"):
        config.load(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(PipelineError, match=r"bench\.toml: cannot be read: Is a directory"):
        config.load(path)


def options_of(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", default="pr")
    parser.add_argument("--minutes", type=options.minutes)
    options.add_session(parser)
    return parser.parse_args(arguments)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--levels", ["0", "-1", "nan", "1e3", "", ",", "1000001", "1,x", "9" * 5000]),
        ("--rounds", ["0", "-1", "10001"]),
        ("--duration", ["0", "-1", "nan", "inf", "1e300", "0.5"]),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(option: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(PipelineError, match=option):
            options.profile(options_of(f"{option}={value}"), config.load())


@pytest.mark.parametrize("given", ["--seed=-1", f"--seed={2**63}", "--minutes=nan", "--minutes=-1", "--rounds=1.5"])
def test_an_option_that_is_no_such_number_is_refused(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options_of(given)
    assert given.partition("=")[0] in capsys.readouterr().err


def test_what_workflows_do_is_read_alone() -> None:
    """The other sections may be those of a later version."""
    assert config.parse_workflows('[later]\nx = 1\n[workflows]\nstack = "native"\n', "x").stack == "native"
    assert config.parse_workflows("", "x").stack == "compose", "a base from before there was this"


@pytest.mark.parametrize("text", ["workflows = 1", "[workflows]\nstak = 1", "[workflows", '[workflows]\nstack = ""'])
def test_what_workflows_do_is_checked(text: str) -> None:
    with pytest.raises(PipelineError, match=r"abc:bench\.toml: "):
        config.parse_workflows(text, "abc:bench.toml")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(PipelineError, match="unknown backend 'fastpi'") as caught:
        config.find(config.load().backends, "fastpi", "backend")
    assert "did you mean 'fastapi'" in caught.value.hint
    assert "django_wsgi" in caught.value.hint


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="cannot be read"):
        config.load(tmp_path / "bench.toml")
