"""asv's results folder."""

from __future__ import annotations

import json
import statistics
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.exchange.asv import COLUMNS, decode, encode
from scripts.exchange.collection import from_runs, points
from scripts.exchange.files import Origin
from scripts.exchange.model import Collection
from scripts.model import Direction, PipelineError
from tests.exchange.strategies import collections, times_ms
from tests.factories import make_run

# Written as asv 0.6 writes it: a plain benchmark, one with parameters, a failed one, a skipped one, an unknown one.
RESULTS: dict[str, Any] = {
    "commit_hash": "1111111111111111111111111111111111111111",
    "env_name": "virtualenv-py3.12-numpy2.1",
    "date": 1771513003000,
    "params": {"arch": "x86_64", "machine": "cheetah", "numpy": "2.1", "python": "3.12"},
    "python": "3.12",
    "requirements": {"numpy": "2.1"},
    "env_vars": {"OMP_NUM_THREADS": "1"},
    "result_columns": list(COLUMNS),
    "results": {
        "keys.Time.time_one": [[0.25], [], "abc1", 1771600000000, 2.5, [0.24], [0.26], [0.245], [0.255], [10], [5]],
        "keys.time_two": [[1.0, None, float("nan"), 4.0], [["10", "20"], ["'a'", "'b'"]], "abc2", 1771600000001],
        "keys.time_failed": [None, [], "abc3"],
        "other.track_size": [[344], [], "abc4"],
        "toplevel": [[1], []],
    },
    "durations": {"<build>": 12.5},
    "version": 2,
}
BENCHMARKS = {
    "keys.Time.time_one": {"name": "keys.Time.time_one", "type": "time", "unit": "seconds", "params": []},
    "other.track_size": {"name": "other.track_size", "type": "track", "unit": "bytes", "direction": "higher is better"},
    "version": 2,
}
FILES = {
    "benchmarks.json": json.dumps(BENCHMARKS).encode(),
    "cheetah/machine.json": b'{"machine": "cheetah", "version": 1}',
    "cheetah/11111111-virtualenv-py3.12-numpy2.1.json": json.dumps(RESULTS).encode(),
}


def test_results_are_understood() -> None:
    found = {(point.suite, point.benchmark): point for point in points(decode(FILES, Origin()))}
    assert {key: point.value for key, point in found.items()} == {
        ("keys", "Time.time_one"): 0.25,
        ("keys", "time_two(10, 'a')"): 1.0,
        ("keys", "time_two(10, 'b')"): None,
        ("keys", "time_two(20, 'a')"): None,
        ("keys", "time_two(20, 'b')"): 4.0,
        ("keys", "time_failed"): None,
        ("other", "track_size"): 344,
        ("", "toplevel"): 1,
    }
    one = found["keys", "Time.time_one"]
    assert (one.unit, one.lower, one.upper, one.direction) == ("seconds", 0.24, 0.26, Direction.LOWER)
    assert one.extra["stats_number"] == 10
    assert (one.commit, one.time_ms) == (RESULTS["commit_hash"], RESULTS["date"])
    assert one.environment == "cheetah/virtualenv-py3.12-numpy2.1"
    assert found["other", "track_size"].direction is Direction.HIGHER


def test_results_come_in_and_go_out_the_same() -> None:
    files = encode(decode(FILES, Origin()))
    assert files.keys() == FILES.keys()
    document = json.loads(files["cheetah/11111111-virtualenv-py3.12-numpy2.1.json"])
    same = (
        "commit_hash",
        "env_name",
        "date",
        "params",
        "python",
        "requirements",
        "env_vars",
        "result_columns",
        "version",
    )
    assert {key: document[key] for key in same} == {key: RESULTS[key] for key in same}
    for name in ("keys.Time.time_one", "other.track_size", "toplevel"):
        assert document["results"][name] == RESULTS["results"][name]
    assert document["results"]["keys.time_two(20, 'b')"][0] == [4.0]
    assert json.loads(files["benchmarks.json"])["other.track_size"]["direction"] == "higher is better"
    assert points(decode(files, Origin())).__next__().value == 0.25


@given(
    collections(extras=False, bounds=False, times=times_ms, environments=st.sampled_from(["m/e1", "m/e2", "n"])),
)
def test_what_goes_out_comes_in_the_same(made: Collection) -> None:
    """With one snapshot for each commit and environment, and times of commits in order, as asv has it."""
    number = 0
    suites = []
    for suite in made.suites:
        snapshots = []
        for snapshot in suite.snapshots:
            number += 1
            snapshots.append(msgspec.structs.replace(snapshot, commit=f"{number:08x}" + "0" * 32, time_ms=number))
        suites.append(msgspec.structs.replace(suite, name=suite.name.replace(".", "_"), snapshots=tuple(snapshots)))
    made = msgspec.structs.replace(made, suites=tuple(suites))
    if not made.suites:
        return

    def known(collection: Collection) -> set[tuple[Any, ...]]:
        return {
            (p.suite, p.environment, p.commit, p.time_ms, p.benchmark, float(p.value or 0)) for p in points(collection)
        }

    back = decode(encode(made), Origin())
    assert known(back) == known(made)
    directed = {(p.suite, p.benchmark): p.direction for p in points(back)}
    for point in points(made):
        if sum((p.suite, p.benchmark) == (point.suite, point.benchmark) for p in points(made)) == 1:
            assert directed[point.suite, point.benchmark] is (point.direction or Direction.LOWER)


def test_several_runs_of_a_commit_become_samples() -> None:
    run = make_run(levels=(10,), rounds=1)
    runs = [msgspec.structs.replace(make_run(seed, levels=(10,), rounds=1), commit=run.commit) for seed in (1, 2, 3)]
    files = encode(from_runs(runs))
    (name,) = [name for name in files if name not in ("benchmarks.json",) and not name.endswith("machine.json")]
    row = json.loads(files[name])["results"]["fastapi.throughput_rps at 10 users"]
    values = [run.select("fastapi", 10)[0].load.throughput_rps for run in runs]
    cells = dict(zip(COLUMNS, row, strict=False))
    assert cells["samples"] == [pytest.approx(values)]
    assert cells["result"] == [pytest.approx(statistics.median(values))]
    assert cells["stats_ci_99_a"] is None


def test_commits_that_asv_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(PipelineError, match=r"00000000-\.json: two commits begin with these 8 digits"):
        encode(from_runs([make_run(1, levels=(10,)), make_run(2, levels=(10,))]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 3}, "is of version 3"),
        ({"results": None}, "is not a result file of asv"),
        ({"params": None}, "is not a result file of asv"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], message: str) -> None:
    name = "cheetah/11111111-virtualenv-py3.12-numpy2.1.json"
    with pytest.raises(PipelineError, match=rf"{name}: {message}"):
        decode({**FILES, name: json.dumps({**RESULTS, **change}).encode()}, Origin())
    with pytest.raises(PipelineError, match="no results found"):
        decode({"readme.txt": b""}, Origin())
    with pytest.raises(PipelineError, match=r"x\.json: not valid JSON"):
        decode({"x.json": b"{"}, Origin())
