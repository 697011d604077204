"""github-action-benchmark: its store comes in and goes out as the same JSON value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.config import ROOT
from scripts.exchange import collection
from scripts.exchange.collection import by_environment, from_runs, points, series
from scripts.exchange.files import Origin
from scripts.exchange.github_action import PREFIX, decode_input, decode_store, encode_input, encode_store
from scripts.exchange.model import Collection
from scripts.model import Direction, PipelineError
from tests.exchange.strategies import collections, json_values, names, numbers, objects, shas, text, times_ms
from tests.factories import make_run

GOLDEN = (ROOT / "tests/data/github-action-benchmark.js").read_bytes()
TOOLS = ["cargo", "go", "pytest", "customBiggerIsBetter", "customSmallerIsBetter", "something new"]


def parse(script: bytes) -> Any:
    """As the action does it: what follows the prefix, by its length, is JSON."""
    start = f"{PREFIX} = ".encode()
    assert script.startswith(start)
    return json.loads(script[len(start) :])


def store(script: bytes) -> Collection:
    return decode_store({"data.js": script}, Origin())


def test_a_store_with_every_oddity_comes_in_and_goes_out_without_loss() -> None:
    assert parse(encode_store(store(GOLDEN))["data.js"]) == parse(GOLDEN)
    assert list(parse(encode_store(store(GOLDEN))["data.js"])["entries"]) == list(parse(GOLDEN)["entries"])


def test_what_is_meant_is_understood() -> None:
    found = series(store(GOLDEN))
    rust = "Rust [ci skip] (nightly, x86_64)"
    connect = found[collection.Key(rust, "", "connect")]
    assert [(point.value, point.commit[:4], point.time_ms) for point in connect] == [
        (39056, "1111", 1771513003896),
        (38812, "2222", 1771400000000),
    ]
    assert connect[0].direction is Direction.LOWER
    assert connect[0].unit == "ns/iter"
    assert connect[0].extra == {"range": "± 8021"}
    assert {key.benchmark for key in found if key.suite == rust} == {
        "connect",
        "commit(t)",
        "commit(t) (2)",
        "tiny",
        "text",
    }
    assert [point.direction for point in found[collection.Key("Python", "", "test_a")]] == [None, Direction.HIGHER]
    assert [point.direction for point in found[collection.Key("Throughput", "", "rate")]] == [Direction.HIGHER]


@pytest.mark.parametrize("end", [b"", b"\n", b";", b";\n"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n"])
def test_however_the_script_begins_and_ends(start: bytes, end: bytes) -> None:
    assert store(start + GOLDEN.strip() + end) == store(GOLDEN)


benches = st.fixed_dictionaries(
    {"name": names}, optional={"value": numbers | json_values, "unit": text, "range": json_values, "extra": text}
)
entries = st.fixed_dictionaries(
    {
        "commit": st.fixed_dictionaries({"id": shas | text}, optional={"message": text, "author": json_values})
        | json_values
    },
    optional={
        "date": times_ms | json_values,
        "tool": st.sampled_from(TOOLS) | json_values,
        "benches": st.lists(benches | objects, max_size=3) | json_values,
        "cpu": json_values,
    },
)
stores = st.fixed_dictionaries(
    {"entries": st.dictionaries(text, st.lists(entries, max_size=3), max_size=3)},
    optional={"lastUpdate": times_ms, "repoUrl": text, "xAxis": json_values},
)


@given(stores)
def test_any_store_comes_in_and_goes_out_without_loss(document: dict[str, Any]) -> None:
    script = f"{PREFIX} = {json.dumps(document)}".encode()
    assert parse(encode_store(store(script))["data.js"]) == document


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture], max_examples=20)
@given(stores)
def test_nothing_is_lost_on_disk_either(tmp_path: Path, document: dict[str, Any]) -> None:
    collection.write(tmp_path, "kept", store(f"{PREFIX} = {json.dumps(document)}".encode()))
    assert parse(encode_store(collection.read(tmp_path, "kept"))["data.js"]) == document


def test_the_history_becomes_a_store_that_the_actions_page_can_show() -> None:
    made = from_runs([make_run(seed, levels=(10,)) for seed in (1, 2)])
    document = parse(encode_store(made)["data.js"])
    environment = made.suites[0].snapshots[0].environment
    assert f"fastapi on {environment}, higher is better" in document["entries"]
    assert len(document["entries"]) == 2 * 4
    for name, listed in document["entries"].items():
        assert len(listed) == 2
        for entry in listed:
            assert entry["tool"] == ("customBiggerIsBetter" if "higher" in name else "customSmallerIsBetter")
            assert entry["commit"]["message"] == "Make the four backends do equal work"
            assert entry["commit"]["committer"]["username"] == ""
            assert all({"name", "value", "unit", "range"} == bench.keys() for bench in entry["benches"])
    assert document["lastUpdate"] == made.suites[0].snapshots[1].time_ms


@given(collections(extras=False, bounds=False, times=times_ms))
def test_what_goes_out_comes_in_as_the_same_series(made: Collection) -> None:
    """Of measurements with a direction; the store has no place for others."""

    def flat(suites: Collection, of: Direction) -> list[tuple[Any, ...]]:
        return [
            (point.commit, point.time_ms, point.benchmark, point.value, point.unit)
            for suite in by_environment(suites)
            for point in points(Collection(format="x", suites=(suite,)))
            if point.direction is of
        ]

    back = decode_store(encode_store(made), Origin())
    for direction in Direction:
        assert sorted(map(repr, flat(back, direction))) == sorted(map(repr, flat(made, direction)))


def test_inputs_are_the_newest_numbers_by_direction() -> None:
    made = from_runs([make_run(seed, levels=(10,)) for seed in (1, 2)])
    files = encode_input(made)
    assert sorted(files) == ["customBiggerIsBetter.json", "customSmallerIsBetter.json"]
    (first, *_) = json.loads(files["customBiggerIsBetter.json"])
    newest = made.suites[0].snapshots[1]
    assert first["name"] == f"fastapi on {newest.environment}: throughput_rps at 10 users"
    assert first["value"] == newest.measurements[0].value
    back = decode_input(files, Origin(commit="c", time_ms=5))
    assert {m.direction for m in back.suites[0].snapshots[0].measurements} == set(Direction)
    assert back.suites[0].snapshots[0].commit == "c"


@given(st.lists(st.fixed_dictionaries({"name": names, "value": numbers, "unit": names}, optional={"extra": text})))
def test_an_input_comes_in_and_goes_out_the_same(listed: list[dict[str, Any]]) -> None:
    name = "customSmallerIsBetter.json"
    back = encode_input(decode_input({name: json.dumps(listed).encode()}, Origin()))
    assert json.loads(back.get(name, b"[]")) == listed


def test_an_input_needs_a_direction() -> None:
    data = b'[{"name": "a", "unit": "s", "value": 1}]'
    with pytest.raises(PipelineError, match=r"out\.json: nothing says which way is better") as caught:
        decode_input({"out.json": data}, Origin())
    assert "--better" in caught.value.hint
    made = decode_input({"out.json": data}, Origin(direction=Direction.HIGHER))
    assert made.suites[0].snapshots[0].measurements[0].direction is Direction.HIGHER


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (b"", "does not begin with"),
        (b"{}", "entries is not an object"),
        (b"window.BENCHMARK_DATA = {", "not valid JSON"),
        (b"window.BENCHMARK_DATA = []", r"\$ is not an object"),
        (b"window.BENCHMARK_DATA = {}", "entries is not an object"),
        (b'window.BENCHMARK_DATA = {"entries": {"a": 1}}', r"entries\['a'\] is not a list"),
        (b'window.BENCHMARK_DATA = {"entries": {"a": [1]}}', r"entries\['a'\]\[0\] is not an object"),
        (b'window.BENCHMARK_DATA = {"entries": {"\xff": []}}', "not valid JSON"),
        (b'window.BENCHMARK_DATA = {"entries": {}, "x": "\\ud800"}', "not valid JSON"),
    ],
)
def test_what_is_no_store_is_named(script: bytes, message: str) -> None:
    with pytest.raises(PipelineError, match=rf"data\.js: {message}"):
        store(script)


@pytest.mark.parametrize(
    "data", [b"{}", b"[1]", b'[{"name": "a"}]', b'[{"value": 1}]', b'[{"name": "a", "value": "x"}]']
)
def test_what_is_no_input_is_named(data: bytes) -> None:
    with pytest.raises(PipelineError, match=r"customBiggerIsBetter\.json: "):
        decode_input({"customBiggerIsBetter.json": data}, Origin())
