"""Jitter does not split a series; what changes speed does."""

from __future__ import annotations

import re

import msgspec
import pytest

from scripts.config import ROOT
from scripts.history import fingerprint
from scripts.model import Environment, Limits
from scripts.records import read_run
from tests.factories import make_run

LIMITS = Limits(cpus=1.0, memory_mb=2048)
BASE = msgspec.structs.replace(
    make_run(levels=(10,)).environment,
    cpu_model="Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz",
    kernel="6.8.0-1030-azure",
    os="Ubuntu 24.04.2 LTS",
    runner_image="ubuntu24 20251102.98.1",
    python="3.12.3",
    k6="1.1.0",
    database="mysql",
    database_version="8.4.3",
    backend_cpus="3",
    database_cpus="0-1",
    generator_cpus="0-1",
)

JITTER = {
    "kernel": "6.8.0-1041-azure",
    "os": "Ubuntu 24.04.3 LTS",
    "memory_mb": "7941",
    "randomised": "True",
    "runner_image": "ubuntu24 20251116.104.1",
    "python": "3.12.11",
    "k6": "1.4.2",
    "database_version": "8.4.7-0ubuntu1",
    "cpu_model": "Intel Xeon  Platinum 8370C @ 2.80GHz",
}
CHANGES = {
    "stack": "compose",
    "cpu_model": "AMD EPYC 7763 64-Core Processor",
    "cpu_count": "4",
    "kernel": "6.11.0-1018-azure",
    "os": "Ubuntu 22.04.5 LTS",
    "virtualization": "microsoft",
    "runner_image": "ubuntu22 20251102.98.1",
    "cgroup": "v2",
    "python": "3.13.3",
    "k6": "2.1.0",
    "database": "mariadb",
    "database_version": "9.7.3",
    "durability": "disk",
    "backend_cpus": "2-3",
    "database_cpus": "0",
    "generator_cpus": "2",
}


def changed(field: str, value: str) -> Environment:
    kind = type(getattr(BASE, field))
    return msgspec.structs.replace(BASE, **{field: kind(value)})


def test_it_is_short_and_the_same_everywhere() -> None:
    """A fixed figure: a series must not fall apart because of a new Python or library."""
    assert fingerprint.fingerprint(BASE, LIMITS) == "26a457e7"


@pytest.mark.parametrize("field", JITTER)
def test_jitter_does_not_split_a_series(field: str) -> None:
    other = changed(field, JITTER[field])
    assert other != BASE
    assert fingerprint.fingerprint(other, LIMITS) == fingerprint.fingerprint(BASE, LIMITS)
    assert fingerprint.differences(BASE, other) == {field: (str(getattr(BASE, field)), JITTER[field])}


@pytest.mark.parametrize("field", CHANGES)
def test_what_changes_speed_splits_it(field: str) -> None:
    assert fingerprint.fingerprint(changed(field, CHANGES[field]), LIMITS) != fingerprint.fingerprint(BASE, LIMITS)


def test_every_field_is_decided_on() -> None:
    """A new field of the environment has to be put in or out, here and in the document."""
    assert CHANGES.keys() | {"memory_mb", "randomised"} == set(Environment.__struct_fields__)
    decided = {field for names in fingerprint.PARTS for field in names.split(", ")}
    assert decided == CHANGES.keys()


def test_limits_split_a_series_and_so_does_their_absence() -> None:
    prints = {
        fingerprint.fingerprint(BASE, limits)
        for limits in (LIMITS, None, Limits(cpus=2.0, memory_mb=2048), Limits(cpus=1.0, memory_mb=1024))
    }
    assert len(prints) == 4
    run = make_run(levels=(10,))
    assert fingerprint.of(run) == fingerprint.fingerprint(run.environment, run.limits)
    assert fingerprint.of(msgspec.structs.replace(run, limited=False)) == fingerprint.fingerprint(run.environment, None)


def test_which_cpus_they_are_does_not_matter_but_sharing_does() -> None:
    def of(backend: str, database: str, generator: str) -> str:
        cpus = {"backend_cpus": backend, "database_cpus": database, "generator_cpus": generator}
        return fingerprint.fingerprint(msgspec.structs.replace(BASE, **cpus), LIMITS)

    assert of("0", "1", "1") == of("3", "2", "2")
    assert of("0", "1-2", "3") == of("3", "0,2", "1")
    assert len({of("0", "1", "1"), of("0", "1", "2"), of("0", "0", "0"), of("0", "1-2", "2"), of("", "", "")}) == 5


def test_the_recorded_run_has_a_name_for_people() -> None:
    run = read_run(ROOT / "tests/data/run-v1.json")
    assert fingerprint.describe(run.environment, run.limits) == (
        "Intel Xeon Processor @ 2.80GHz x 2, native, mysql 9.7 (memory), limits: 1 CPU, 2048 MB"
    )
    assert "ubuntu24" in fingerprint.describe(BASE, None)


def test_the_document_tells_of_every_field() -> None:
    rows = re.findall(r"^\| (`[^|]+) \| ([^|]+) \|", (ROOT / "docs/environment.md").read_text(), re.MULTILINE)
    told = {field: inside for names, inside in rows for field in re.findall(r"`(\w+)`", names)}
    assert told.keys() == {*Environment.__struct_fields__, "limits"}
    assert {field for field, inside in told.items() if inside == "nothing"} == {"memory_mb", "randomised"}
