"""The folder of runs: one place for each, added once, read as one from several roots, nothing skipped silently."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts import records
from scripts.config import ROOT
from scripts.history import store
from scripts.model import PipelineError, Run
from tests.factories import make_run


def run_at(moment: str, token: str = "f0f0f0") -> Run:
    """A small run with an id that begins with ``moment``."""
    return msgspec.structs.replace(make_run(levels=(10,), rounds=1), id=f"{moment}-0000001-{token}")


def silent(text: str) -> None:
    raise AssertionError(f"unexpected warning: {text}")


def test_the_recorded_runs_of_this_project_lie_where_they_belong() -> None:
    found = store.read([ROOT / "history"], silent)
    assert "20261123T234538Z-505d93b-de89bc" in [run.id for run in found]


def test_the_place_follows_from_the_id_alone(tmp_path: Path) -> None:
    run = msgspec.structs.replace(run_at("20261130T235959Z", "19876543210.2"), started="2026-12-01T00:00:31Z")
    assert store.add(run, tmp_path) == tmp_path / "runs/2026/11/20261130T235959Z-0000001-19876543210.2.json"


@pytest.mark.parametrize("bad", ["", "latest", "20261123T120000Z-0000001", "20261123T120000Z-0000001-../../x", "../x"])
def test_what_is_not_an_id_has_no_place(bad: str, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="expected <UTC time>-<short commit>-<token>"):
        store.add(msgspec.structs.replace(make_run(levels=(10,)), id=bad), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_duplicate_id_is_refused_and_what_was_there_stays(tmp_path: Path) -> None:
    run = run_at("20261123T120000Z")
    path = store.add(run, tmp_path)
    before = path.read_bytes()
    with pytest.raises(PipelineError, match="already recorded") as caught:
        store.add(msgspec.structs.replace(run, seed=99), tmp_path)
    assert str(path) in caught.value.message
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_several_roots_are_read_as_one_in_order_of_time(tmp_path: Path) -> None:
    runs = [
        run_at(moment) for moment in ("20250101T000000Z", "20261123T120000Z", "20261123T120001Z", "20270101T000000Z")
    ]
    here, there = tmp_path / "here", tmp_path / "there"
    for run, roots in zip(runs, [[there], [here], [here, there], [there]], strict=True):
        for root in roots:
            store.add(run, root)
    assert store.read([here, there], silent) == tuple(runs)
    assert store.read([there, here], silent) == tuple(runs)
    assert next(store.iterate([here, there], silent)) == runs[0]


def test_identical_runs_count_once_and_different_ones_are_named(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    run = run_at("20261123T120000Z")
    store.add(run, here)
    other = store.add(msgspec.structs.replace(run, seed=99), there)
    said: list[str] = []
    assert store.read([here, there], said.append) == (run,)
    assert said == [
        "files of the history that were skipped: 1 (runs that were read: 1)\n"
        f"  {other}: differs from {here / store.locate(run.id)}, which has the same id"
    ]
    store.add(run, tmp_path / "third")
    assert store.read([here, tmp_path / "third"], silent) == (run,)


def test_what_is_no_run_is_skipped_counted_and_named(tmp_path: Path) -> None:
    good = run_at("20261123T120000Z")
    path = store.add(good, tmp_path)
    folder = path.parent
    (folder / "20261123T120001Z-0000001-aa.json").write_bytes(path.read_bytes()[:500])
    (folder / "20261123T120002Z-0000001-aa.json").write_bytes(b'{"schema_version": 99}')
    shutil.copy(path, folder / "20261123T120003Z-0000001-aa.json")
    shutil.copy(path, tmp_path / "runs" / path.name)
    nested = tmp_path / "runs" / "backup" / path.relative_to(tmp_path)
    nested.parent.mkdir(parents=True)
    shutil.copy(path, nested)
    (folder / "README.md").write_text("hello")
    (folder / f".{path.name}.x1y2").write_bytes(b"half")
    (folder / "20261123T120004Z-0000001-aa.json").symlink_to(tmp_path / "absent")
    said: list[str] = []
    assert store.read([tmp_path], said.append) == (good,)
    assert len(said) == 1
    first, *lines = said[0].splitlines()
    assert first == "files of the history that were skipped: 8 (runs that were read: 1)"
    named = dict(line.strip().split(": ", 1) for line in lines)
    assert named[str(tmp_path / "runs" / path.name)].startswith("not a run's file")
    assert named[str(nested)].startswith("not a run's file")
    reasons = {Path(name).name: reason for name, reason in named.items() if Path(name).parent == folder}
    assert "not a valid run" in reasons["20261123T120001Z-0000001-aa.json"]
    assert "made by a newer version" in reasons["20261123T120002Z-0000001-aa.json"]
    assert f"holds another run than its name says: {good.id}" in reasons["20261123T120003Z-0000001-aa.json"]
    assert "No such file" in reasons["20261123T120004Z-0000001-aa.json"]
    assert "not a run's file" in reasons["README.md"]
    assert "not a run's file" in reasons[f".{path.name}.x1y2"]


def test_a_root_without_runs_is_empty_and_one_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    assert store.read([tmp_path], silent) == ()
    with pytest.raises(PipelineError, match="absent: no such folder"):
        store.read([tmp_path / "absent"], silent)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 59), st.sets(st.integers(0, 2), min_size=1)), unique_by=lambda pair: pair[0]))
def test_however_runs_are_spread_over_roots_each_is_read_once(
    tmp_path_factory: pytest.TempPathFactory, spread: list[tuple[int, set[int]]]
) -> None:
    roots = [tmp_path_factory.mktemp("root") for _ in range(3)]
    for second, where in spread:
        for number in where:
            store.add(run_at(f"20261123T1200{second:02}Z"), roots[number])
    ids = [run.id for run in store.read(roots, silent)]
    assert ids == sorted(run_at(f"20261123T1200{second:02}Z").id for second, _ in spread)


def test_a_run_of_every_schema_version_is_read(tmp_path: Path) -> None:
    for path in sorted((ROOT / "tests/data").glob("run-v*.json")):
        run = records.read_run(path)
        folder = (tmp_path / store.locate(run.id)).parent
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / f"{run.id}.json")
    assert store.read([tmp_path], silent)
