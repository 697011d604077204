"""`import` as its user meets it: everything of a file is there afterwards, or an error or a line says what is not."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from scripts.exchange import collection
from scripts.exchange.collection import Key, Point
from scripts.exchange.files import Origin
from scripts.exchange.tables import decode_parquet
from scripts.model import Direction, PipelineError
from scripts.steps import import_

HIGHER, LOWER = Direction.HIGHER, Direction.LOWER
Series = dict[Key, tuple[Point, ...]]


def take(tmp_path: Path, source: Path | bytes | str, *arguments: str, name: str = "file") -> Series:
    """Import a file, or what is to be in one, and return the series that are kept."""
    if not isinstance(source, Path):
        path = tmp_path / name
        path.write_bytes(source.encode() if isinstance(source, str) else source)
        source = path
    root = tmp_path / "history"
    assert import_.main([*arguments[:1], str(source), *arguments[1:], "--name", "x", "--history", str(root)]) == 0
    return collection.series(collection.read(root, "x"))


def store(*entries: tuple[str, list[dict[str, Any]]], suite: str = "S", **more: Any) -> str:
    """github-action-benchmark's data.js: entries of a tool and its benches, a day apart."""
    listed = [
        {"commit": {"id": f"{n:040x}"}, "date": 1767225600000 + 86_400_000 * n, "tool": tool, "benches": benches}
        for n, (tool, benches) in enumerate(entries)
    ]
    return "window.BENCHMARK_DATA = " + json.dumps({"lastUpdate": 3, "repoUrl": "", "entries": {suite: listed}, **more})


def bench(value: object, unit: str, name: str = "b") -> dict[str, Any]:
    return {"name": name, "value": value, "unit": unit}


GAB = "github-action-benchmark"


@pytest.mark.parametrize(
    ("tool", "unit", "better"),
    [
        ("jmh", "ops/s", HIGHER),
        ("jmh", "ops/ms", HIGHER),
        ("jmh", "ops/us", HIGHER),
        ("jmh", "s/op", LOWER),
        ("jmh", "us/op", LOWER),
        ("go", "ns/op", LOWER),
        ("go", "MB/s", HIGHER),
        ("go", "B/op", LOWER),
        ("go", "allocs/op", LOWER),
        ("pytest", "iter/sec", HIGHER),
        ("benchmarkjs", "ops/sec", HIGHER),
        ("benchmarkjsInverse", "secs/op", LOWER),
        ("catch2", "ns", LOWER),
        ("googlecpp", "items_per_second", HIGHER),
        ("something new", "req/s", HIGHER),
        ("something new", "ms", LOWER),
        ("customSmallerIsBetter", "errors/s", LOWER),
        ("customBiggerIsBetter", "s", HIGHER),
    ],
)
def test_the_unit_says_which_way_is_better_unless_the_tool_does(
    tmp_path: Path, tool: str, unit: str, better: Direction
) -> None:
    (points,) = take(tmp_path, store((tool, [bench(1, unit)])), GAB).values()
    assert [point.direction for point in points] == [better]


@pytest.mark.parametrize(
    ("units", "values", "shown"),
    [
        (("ns", "us"), (990, 0.995), ("ns", [990, 995.0])),
        (("us/op", "ms/op", "ns/op"), (2, 0.5, 4000), ("us/op", [2, 500.0, 4.0])),
        (("µs", "μs", "s"), (2, 3, 1), ("µs", [2, 3, 1_000_000.0])),
        (("ops/s", "ops/ms"), (1500, 1.25), ("ops/s", [1500, 1250.0])),
        (("B", "KiB", "MB"), (512, 2, 1), ("B", [512, 2048.0, 1_000_000.0])),
        (("seconds", "milliseconds"), (1, 20), ("seconds", [1, 0.02])),
        (("op/s", "ops/sec"), (1, 2), ("op/s", [1, 2])),
    ],
)
def test_a_benchmark_whose_unit_changes_is_one_series_in_one_unit(
    tmp_path: Path, units: tuple[str, ...], values: tuple[float, ...], shown: tuple[str, list[float]]
) -> None:
    entries = [("catch2", [bench(value, unit)]) for value, unit in zip(values, units, strict=True)]
    (points,) = take(tmp_path, store(*entries), GAB).values()
    assert {point.unit for point in points} == {shown[0]}
    assert [point.value for point in points] == pytest.approx(shown[1], rel=1e-12)


def test_units_that_cannot_be_converted_are_series_of_their_own(tmp_path: Path) -> None:
    entries = [("jmh", [bench(1, "s/op")]), ("jmh", [bench(5, "ops/s")]), ("jmh", [bench(2, "s/op")])]
    found = take(tmp_path, store(*entries), GAB)
    assert {key.benchmark: [point.value for point in points] for key, points in found.items()} == {
        "b": [1, 2],
        "b [ops/s]": [5],
    }


@pytest.mark.parametrize("text", ["12", " 12 ", "1.2e1", "+12.0"])
def test_a_number_may_be_a_string(tmp_path: Path, text: str) -> None:
    (points,) = take(tmp_path, store(("go", [bench(text, "ns/op")])), GAB).values()
    assert [point.value for point in points] == [12]


def test_an_input_may_have_strings(tmp_path: Path) -> None:
    data = '[{"name": "a", "unit": "ms", "value": "12.3"}]'
    (points,) = take(tmp_path, data, "github-action-benchmark-input", name="customSmallerIsBetter.json").values()
    assert points[0].value == 12.3


@pytest.mark.parametrize("value", ["fast", "", None, True, [1], "12 ms", "0x10", "1_000"])
def test_what_is_no_number_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], value: object) -> None:
    script = store(("go", [bench(value, "ns/op", "bad"), bench(1, "ns/op")]))
    assert len(take(tmp_path, script, GAB)) == 1
    said = capsys.readouterr()
    assert "S: bad" in said.err
    assert "1 of 2 numbers" in said.err
    assert "1 series with 1 points" in said.out


def test_a_file_without_any_number_is_refused(tmp_path: Path) -> None:
    for script in (store(), store(("go", [bench("fast", "ns")])), '{"entries": {}}'):
        with pytest.raises(PipelineError, match="no numbers"):
            take(tmp_path, script, GAB)
        assert not (tmp_path / "history").exists()


def test_benches_that_are_no_objects_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = store(("go", [bench(1, "ns")]), ("go", [bench(2, "ns"), "odd"]))  # type: ignore[list-item]
    assert len(take(tmp_path, script, GAB)) == 1
    assert "entries['S'][1]" in capsys.readouterr().err


def test_the_store_may_be_plain_json(tmp_path: Path) -> None:
    script = store(("go", [bench(1, "ns")])).removeprefix("window.BENCHMARK_DATA = ")
    assert len(take(tmp_path, script, GAB)) == 1


@pytest.mark.parametrize("date", ["2026-01-01", "2026-01-01T00:00:00Z", 1767225600000.0])
def test_dates_are_understood(tmp_path: Path, date: object) -> None:
    script = store(("go", [bench(1, "ns")])).replace("1767225600000", json.dumps(date))
    (points,) = take(tmp_path, script, GAB).values()
    assert points[0].time_ms == 1767225600000


OTAVA = {"type": "csv", "file": "m.csv", "metrics": ["p99"]}
ROWS = "time,commit,p99\n2026-01-01,c0,100\n2026-01-02,c1,101\n"


def folder(tmp_path: Path, files: dict[str, str]) -> Path:
    made = tmp_path / "files"
    for name, text in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    return made


@pytest.mark.parametrize("cell", ["", " ", "nan", "NaN", "null", "n/a", "-"])
def test_a_cell_without_a_number_costs_only_that_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cell: str
) -> None:
    rows = f"time,commit,p99,p50\n2026-01-01,c0,100,50\n2026-01-02,c1,{cell},51\n2026-01-03,c2,101,52\n"
    found = take(tmp_path, rows, "otava", "--better", "lower", name="e.csv")
    assert {key.benchmark: [p.value for p in points] for key, points in found.items()} == {
        "p99": [100, 101],
        "p50": [50, 51, 52],
    }
    assert "2 series with 5 points" in capsys.readouterr().out


def test_a_cell_of_a_metric_that_is_text_is_named(tmp_path: Path) -> None:
    rows = "time,p99\n2026-01-01,100\n2026-01-02,fast\n2026-01-03,101\n"
    with pytest.raises(PipelineError, match=r"e\.csv: row 3: 'fast' in the column 'p99' is not a number"):
        take(tmp_path, rows, "otava", "--better", "lower", name="e.csv")


@pytest.mark.parametrize("column", ["branch", "environment"])
def test_branches_are_series_of_their_own(tmp_path: Path, column: str) -> None:
    rows = f"time,commit,{column},p99\n2026-01-01,c0,main,100\n2026-01-02,c1,feature,150\n2026-01-03,c2,main,101\n"
    found = take(tmp_path, rows, "otava", "--better", "lower", name="b.csv")
    assert {key.environment: [p.value for p in points] for key, points in found.items()} == {
        "main": [100, 101],
        "feature": [150],
    }


@pytest.mark.parametrize(
    "configuration",
    [
        json.dumps({"tests": {"s": OTAVA}}),
        "tests:\n  s:\n    type: csv\n    file: m.csv\n    metrics:\n      - p99\n",
        "tests:\n  s:\n    type: csv\n    file: data/../m.csv # as Otava is started elsewhere\n    metrics: {p99: }\n",
        "templates:\n  t: {type: csv, metrics: {p99: {direction: -1}}}\ntests:\n  s: {inherit: [t], file: ./m.csv}\n",
        "tests:\n  s: {type: csv, file: /srv/bench/m.csv, time_column: time, metrics: {p99: {column: p99}}}\n",
    ],
)
def test_an_otava_yaml_is_yaml(tmp_path: Path, configuration: str) -> None:
    found = take(tmp_path, folder(tmp_path, {"otava.yaml": configuration, "m.csv": ROWS}), "otava", "--better", "lower")
    ((key, points),) = found.items()
    assert key == Key("s", "", "p99")
    assert [(point.value, point.direction) for point in points] == [(100, LOWER), (101, LOWER)]


def test_a_files_delimiter_quotes_and_scale_are_honoured(tmp_path: Path) -> None:
    test = {
        "type": "csv",
        "file": "m.csv",
        "metrics": {"p99": {"scale": 1000}},
        "csv_options": {"delimiter": ";", "quote_char": "'"},
    }
    files = {"otava.yaml": json.dumps({"tests": {"s": test}}), "m.csv": "time;note;p99\n2026-01-01;'a;b';0.5\n"}
    (points,) = take(tmp_path, folder(tmp_path, files), "otava", "--better", "lower").values()
    assert [point.value for point in points] == [500]
    assert points[0].snapshot_extra == {"note": "a;b"}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_delimiter_is_seen(tmp_path: Path, delimiter: str) -> None:
    rows = ROWS.replace(",", delimiter)
    assert len(take(tmp_path, rows, "otava", "--better", "lower", name="s.csv")) == 1


def test_two_tests_of_one_file_are_two_suites(tmp_path: Path) -> None:
    tests = {"a": OTAVA, "b": {**OTAVA, "metrics": {"other": {"column": "p99", "direction": 1}}}}
    found = take(tmp_path, folder(tmp_path, {"otava.yaml": json.dumps({"tests": tests}), "m.csv": ROWS}), "otava")
    assert {(key.suite, key.benchmark) for key in found} == {("a", "p99"), ("b", "other")}


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ("tests: [", r"otava\.yaml: .*not valid YAML"),
        ("tests: 1", r"otava\.yaml: tests: expected names of tests"),
        ("tests: {s: 1}", r"otava\.yaml: tests: s: expected"),
        ("tests: {s: {type: csv}}", r"otava\.yaml: tests: s: .*'file'"),
        ("tests: {s: {type: csv, file: n.csv, metrics: [p99]}}", r"otava\.yaml: tests: s: .*n\.csv"),
        ("tests: {s: {type: csv, file: m.csv, metrics: [p98]}}", r"m\.csv: .*no column 'p98'"),
        ("tests: {s: {type: csv, file: m.csv, metrics: p99}}", r"otava\.yaml: tests: s: metrics"),
        ("tests: {s: {type: csv, file: m.csv, time_column: t, metrics: [p99]}}", r"m\.csv: .*no column 't'"),
        ("tests: {s: {type: csv, file: m.csv, metrics: {p99: {direction: up}}}}", r"s: metrics: p99: direction"),
        ("tests: {s: {type: csv, file: m.csv, metrics: {p99: {scale: x}}}}", r"s: metrics: p99: scale"),
        ("tests: {s: {type: csv, file: m.csv, inherit: [t], metrics: [p99]}}", r"s: .*template 't'"),
        ("tests: {s: {type: csv, file: m.csv, metrics: [p99], csv_options: {delimiter: ab}}}", r"csv_options"),
        ("tests: {s: &a {type: csv, x: *b}}", r"not valid YAML"),
        ("tests: {s: !!python/object:os.system {}}", r"not valid YAML"),
    ],
)
def test_what_an_otava_yaml_has_wrong_is_named(tmp_path: Path, configuration: str, message: str) -> None:
    source = folder(tmp_path, {"otava.yaml": configuration, "m.csv": ROWS})
    with pytest.raises(PipelineError, match=message):
        take(tmp_path, source, "otava", "--better", "lower")


def test_tests_of_other_types_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tests = {"s": OTAVA, "g": {"type": "graphite", "prefix": "a.b"}}
    source = folder(tmp_path, {"otava.yaml": json.dumps({"tests": tests}), "m.csv": ROWS})
    assert len(take(tmp_path, source, "otava", "--better", "lower")) == 1
    assert "g: is of type graphite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b"time,p99,p99\n2026-01-01,1,2\n", "two columns are called 'p99'"),
        (b"time,p99\n2026-01-01,\xff\n", "not CSV in UTF-8"),
        (b"time,p99\n2026-01-01,1\x00\n", "has no column of numbers"),
        (b"time,p99\n\n2026-01-01,1\n2026-01-02\n", "row 4 has 1 cells"),
    ],
)
def test_a_damaged_table_is_named(tmp_path: Path, rows: bytes, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        take(tmp_path, rows, "otava", "--better", "lower", name="e.csv")


OLD: dict[str, Any] = {
    "commit_hash": "4" * 40, "date": 1767225600000, "params": {"machine": "m"}, "python": "2.7", "requirements": {},
    "results": {
        "s.time_a": 0.4,
        "s.time_p": {"params": [["1", "2"]], "result": [0.5, None], "stats": [{"ci_99": [0.4, 0.6]}, None]},
        "s.time_n": None,
    },
    "started_at": {"s.time_a": 1767225600001}, "version": 1,
}  # fmt: skip


def test_an_old_file_of_asv_is_read(tmp_path: Path) -> None:
    found = take(tmp_path, folder(tmp_path, {"m/44444444-e.json": json.dumps(OLD)}), "asv")
    assert {key.benchmark: [p.value for p in points] for key, points in found.items()} == {
        "time_a": [0.4],
        "time_p(1)": [0.5],
    }
    points = {key.benchmark: points[0] for key, points in found.items()}
    assert (points["time_p(1)"].lower, points["time_p(1)"].upper) == (0.4, 0.6)
    assert points["time_a"].extra["started_at"] == 1767225600001
    assert points["time_a"].environment == "m/py2.7"


@pytest.mark.parametrize("document", [{"version": 3}, {"version": 1}, {**OLD, "results": {"a": [1]}}, {}, [], "{"])
def test_a_file_of_asv_that_cannot_be_read_is_named_and_costs_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], document: Any
) -> None:
    text = document if isinstance(document, str) else json.dumps(document)
    source = folder(tmp_path, {"m/44444444-e.json": json.dumps(OLD), "m/odd.json": text})
    assert len(take(tmp_path, source, "asv")) == 2
    assert "m/odd.json: " in capsys.readouterr().err


BMF = {
    "svc": {
        "latency": {"value": 12.0},
        "throughput": {"value": 800.0},
        "Build Time": {"value": 3.0},
        "own": {"value": 1},
    }
}


def directions(found: Series) -> dict[str, Direction | None]:
    return {key.benchmark: points[0].direction for key, points in found.items()}


def test_benchers_measures_have_a_direction(tmp_path: Path) -> None:
    found = take(tmp_path, json.dumps(BMF), "bencher", "--better", "higher")
    assert directions(found) == {"latency": LOWER, "throughput": HIGHER, "Build Time": LOWER, "own": HIGHER}
    units = {key.benchmark: points[0].unit for key, points in found.items()}
    assert (units["latency"], units["throughput"]) == ("ns", "ops/s")


def test_each_measure_can_be_given_a_direction(tmp_path: Path) -> None:
    options = ("--better", "lower", "--better", "own=higher", "--better", "latency=higher")
    assert directions(take(tmp_path, json.dumps(BMF), "bencher", *options)) == {
        "latency": HIGHER,
        "throughput": HIGHER,
        "Build Time": LOWER,
        "own": HIGHER,
    }


@pytest.mark.parametrize(
    ("option", "message"),
    [("up", "--better up"), ("own=up", "--better own=up"), ("owm=higher", "no benchmark 'owm'.*")],
)
def test_a_direction_that_cannot_be_is_named(tmp_path: Path, option: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        take(tmp_path, json.dumps(BMF), "bencher", "--better", option)


def test_what_has_no_direction_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    take(tmp_path, json.dumps(BMF), "bencher")
    said = capsys.readouterr().err
    assert "which way is better" in said
    assert "own" in said
    assert "latency" not in said


def test_newer_bencher_has_parameters(tmp_path: Path) -> None:
    entries = [
        {
            "parameters": {"op": "read", "size_mb": 16},
            "measures": {"latency": {"value": 42, "p99": 97, "lower_value": 40}},
        },
        {"parameters": {"size_mb": 16.0, "op": "read"}, "measures": {"throughput": {"value": 5}}},
        {"parameters": {}, "measures": {"latency": {"p99": 2}}},
        {"measures": {"latency": {"p50": 1}}},
    ]
    found = take(tmp_path, json.dumps({"svc": entries}), "bencher")
    assert {(key.suite, key.benchmark): p[0].value for key, p in found.items()} == {
        ("svc (op=read, size_mb=16)", "latency"): 42,
        ("svc (op=read, size_mb=16)", "latency p99"): 97,
        ("svc (op=read, size_mb=16)", "throughput"): 5,
        ("svc", "latency p99"): 2,
        ("svc", "latency p50"): 1,
    }
    read = found[Key("svc (op=read, size_mb=16)", "", "latency p99")]
    assert (read[0].direction, read[0].unit) == (LOWER, "ns")
    assert found[Key("svc (op=read, size_mb=16)", "", "latency")][0].lower == 40


@pytest.mark.parametrize(
    "document",
    [
        {"svc": [1]},
        {"svc": [{"parameters": {}}]},
        {"svc": [{"measures": {"latency": 1}}]},
        {"svc": [{"measures": {"latency": {"p99": "x"}}}]},
        {"svc": [{"parameters": {"a": [1]}, "measures": {"latency": {"p99": 1}}}]},
        {"svc": [{"measures": {"latency": {"p99": 1}}}], "other": {"latency": {"value": 1}}},
        {"svc": [{"measures": {"latency": {"p99": 1}}, "more": 1}]},
    ],
)
def test_newer_bencher_that_is_wrong_is_named(tmp_path: Path, document: Any) -> None:
    with pytest.raises(PipelineError, match=r"bmf\.json: '(svc|other)"):
        take(tmp_path, json.dumps(document), "bencher", name="bmf.json")


TABLE = "suite,benchmark,value\ns,b,1\ns,b,{}\ns,b,3\n"


@pytest.mark.parametrize(
    ("format", "text", "name"),
    [
        ("csv", TABLE.format("nan"), "t.csv"),
        ("csv", TABLE.format("inf"), "t.csv"),
        ("csv", TABLE.format("1e999"), "t.csv"),
        ("csv", TABLE.format("-Infinity"), "t.csv"),
        ("otava", "time,b\n2026-01-01,1\n2026-01-02,inf\n2026-01-03,3\n", "t.csv"),
        ("otava", "time,b\n2026-01-01,1\n2026-01-02,1e999\n2026-01-03,3\n", "t.csv"),
        (GAB, store(*(("go", [bench(value, "ns")]) for value in (1, "inf", 3))), "data.js"),
        ("asv", json.dumps({**OLD, "results": {"a": 1, "b": float("inf"), "c": 3}}), "a.json"),
    ],
)
def test_numbers_without_end_are_missing_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], format: str, text: str, name: str
) -> None:
    found = take(tmp_path, text, format, "--better", "lower", name=name)
    assert sorted(point.value or 0 for points in found.values() for point in points) == [1, 3]
    said = capsys.readouterr()
    assert "with 2 points" in said.out
    assert "1 of 3 numbers" in said.err


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_numbers_that_json_does_not_have_are_named(tmp_path: Path, number: str) -> None:
    for format, text in (
        (GAB, store(("go", [bench("@", "ns")]))),
        ("github-action-benchmark-input", '[{"name": "a", "unit": "s", "value": "@"}]'),
        ("bencher", '{"a": {"b": {"value": "@"}}}'),
    ):
        with pytest.raises(PipelineError, match=r"file: not valid JSON: .*(byte|Number out of range - at)"):
            take(tmp_path, text.replace('"@"', number), format, "--better", "lower")


def test_a_table_keeps_columns_that_it_does_not_know_and_branches_apart(tmp_path: Path) -> None:
    rows = "suite,benchmark,value,branch,pool\ns,b,1,main,5\ns,b,2,feature,6\ns,b,3,main,7\n"
    found = take(tmp_path, rows, "csv", name="t.csv")
    assert {key.environment: [p.value for p in points] for key, points in found.items()} == {
        "main": [1, 3],
        "feature": [2],
    }
    assert found[Key("s", "feature", "b")][0].extra == {"branch": "feature", "pool": "6"}


def table(**columns: Any) -> bytes:
    sink = io.BytesIO()
    parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.mark.parametrize("column", ["suite", "note", "extra"])
def test_a_parquet_file_that_would_explode_is_refused(tmp_path: Path, column: str) -> None:
    rows = 11_000
    columns: dict[str, Any] = {"suite": ["s"] * rows, "benchmark": ["b"] * rows, "value": [1.0] * rows}
    columns[column] = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 100_000]))
    data = table(**columns)
    assert len(data) < 200_000
    with pytest.raises(PipelineError, match=r"t\.parquet: its values need more than 1000 MB"):
        take(tmp_path, data, "parquet", name="t.parquet")


def test_a_damaged_parquet_file_is_named(tmp_path: Path) -> None:
    whole = table(suite=["s"] * 50, benchmark=["b"] * 50, value=[float(n) for n in range(50)], extra=["{}"] * 50)
    dice = random.Random(1)
    for _ in range(200):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        for damaged in (bytes(data), whole[: dice.randrange(len(whole))]):
            with contextlib.suppress(PipelineError):  # any other error fails the test
                decode_parquet({"t.parquet": damaged}, Origin())


def test_a_large_collection_is_kept_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GitHub takes no file of 100 MB."""
    monkeypatch.setattr(collection, "LARGE", 100_000)
    benches = [bench(value, "ns/op", f"benchmark {value} of a suite") for value in range(200)]
    script = store(*(("go", benches) for _ in range(40)))
    take(tmp_path, script, GAB, name="data.js")
    (kept,) = (tmp_path / "history/imported").iterdir()
    assert kept.name == "x.json.gz"
    assert kept.stat().st_size < len(script) / 10
    assert json.loads(gzip.decompress(kept.read_bytes()))["format"] == GAB
    with pytest.raises(PipelineError, match=r"x\.json\.gz: is there already"):
        take(tmp_path, script, GAB, name="data.js")
    take(tmp_path, store(("go", benches[:1])), GAB, "--replace")
    (kept,) = (tmp_path / "history/imported").iterdir()
    assert kept.name == "x.json"


def test_the_newest_numbers_are_added_to_those_of_earlier_commits(tmp_path: Path) -> None:
    for commit, value in (("a", 12), ("b", 13)):
        text = json.dumps({"svc": {"latency": {"value": value}}})
        (points,) = take(tmp_path, text, "bencher", "--commit", commit, "--add").values()
    assert [(point.commit, point.value) for point in points] == [("a", 12), ("b", 13)]
    with pytest.raises(PipelineError, match="svc: the same numbers of the same commit are there already"):
        take(tmp_path, text, "bencher", "--commit", "b", "--add")
    with pytest.raises(PipelineError, match="cannot be added to bencher"):
        take(tmp_path, store(("go", [bench(1, "ns")])), GAB, "--add")
