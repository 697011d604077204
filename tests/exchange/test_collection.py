"""Collections: from recorded runs, on disk, and as series."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings

from scripts.exchange import collection
from scripts.exchange.collection import Key, by_environment, from_points, from_runs, points, series, to_iso, to_ms
from scripts.exchange.model import Collection, Measurement, Snapshot, Suite
from scripts.history import fingerprint
from scripts.model import METRICS, Direction, PipelineError
from tests.exchange.strategies import collections, times_ms
from tests.factories import LABELS, make_run


def test_runs_become_a_suite_for_each_backend_and_a_snapshot_for_each_run() -> None:
    runs = [make_run(seed, levels=(10, 50)) for seed in (1, 2)]
    made = from_runs(runs)
    assert [suite.name for suite in made.suites] == list(LABELS)
    assert all(len(suite.snapshots) == 2 for suite in made.suites)
    snapshot = made.suites[0].snapshots[1]
    assert snapshot.commit == runs[1].commit.sha
    assert snapshot.environment == fingerprint.of(runs[1])
    assert to_iso(snapshot.time_ms or 0) == "2026-11-23T12:00:00.000+00:00"
    assert len(snapshot.measurements) == 2 * len(METRICS)
    found = {m.benchmark: m for m in snapshot.measurements}["throughput_rps at 50 users"]
    blocks = runs[1].select("fastapi", 50)
    assert found.value == METRICS["throughput_rps"].mean(blocks)
    rates = [block.load.throughput_rps for block in blocks]
    assert (found.lower, found.upper) == (min(rates), max(rates))
    assert found.direction is Direction.HIGHER


def test_invalid_blocks_and_the_baseline_are_left_out() -> None:
    run = make_run(levels=(10, 50), rounds=1, invalid=[("fastapi", 10, 0)])
    blocks = tuple(
        msgspec.structs.replace(block, arm="baseline") if block.backend == "django_wsgi" else block
        for block in run.blocks
    )
    made = from_runs([msgspec.structs.replace(run, blocks=blocks)])
    suites = {suite.name: suite.snapshots[0].measurements for suite in made.suites}
    assert {m.benchmark.partition(" at ")[2] for m in suites["fastapi"]} == {"50 users"}
    assert suites["django_wsgi"] == ()


def test_series_leave_out_what_has_no_value_and_tell_namesakes_apart() -> None:
    def snapshot(commit: str, *pairs: tuple[str, float | None]) -> Snapshot:
        return Snapshot(
            commit=commit, time_ms=1, measurements=tuple(Measurement(benchmark=n, value=v) for n, v in pairs)
        )

    made = Collection(
        format="x",
        suites=(
            Suite(
                name="s",
                snapshots=(
                    snapshot("a", ("f", 1.0), ("f", 2.0), ("g", None)),
                    snapshot("b", ("f", 3.0), ("f (2)", 4.0), ("g", 5.0)),
                ),
            ),
        ),
    )
    values = {key.benchmark: [point.value for point in found] for key, found in series(made).items()}
    assert values == {"f": [1.0, 3.0], "f (2)": [2.0, 4.0], "g": [5.0]}
    assert series(made).keys() == {Key("s", "", name) for name in values}


@given(collections())
def test_points_are_all_of_a_collection(made: Collection) -> None:
    assert from_points(points(made), made.format) == made


@given(collections())
def test_suites_of_one_environment_keep_every_measurement(made: Collection) -> None:
    apart = by_environment(made)
    assert all(len({snapshot.environment for snapshot in suite.snapshots}) == 1 for suite in apart)
    assert sum(len(s.measurements) for suite in apart for s in suite.snapshots) == len(list(points(made)))


@given(times_ms)
def test_times_are_exact_to_the_millisecond(time_ms: int) -> None:
    assert to_ms(datetime.fromisoformat(to_iso(time_ms))) == time_ms


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(collections())
def test_what_is_written_is_read_the_same(tmp_path: Path, made: Collection) -> None:
    path = collection.write(tmp_path, "some.thing-1", made)
    assert path == tmp_path / "imported/some.thing-1.json"
    assert collection.read(tmp_path, "some.thing-1") == made


def test_what_is_not_there_or_wrong_is_named(tmp_path: Path) -> None:
    collection.write(tmp_path, "other", Collection(format="csv", suites=()))
    with pytest.raises(PipelineError, match=r"imported/absent\.json: cannot be read") as caught:
        collection.read(tmp_path, "absent")
    assert "other" in caught.value.hint
    for name in ("../x", "", ".hidden", "a/b"):
        with pytest.raises(PipelineError, match="not a file name"):
            collection.locate(tmp_path, name)
    (tmp_path / "imported/bad.json").write_text('{"format": "csv", "suites": [], "schema_version": 2}')
    with pytest.raises(PipelineError, match=r"bad\.json: not an imported collection: .*schema_version"):
        collection.read(tmp_path, "bad")
