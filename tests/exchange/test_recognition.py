"""Formats by their content, and the tools whose results only come in."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.exchange import READERS
from scripts.exchange.collection import from_runs, points
from scripts.exchange.files import Origin
from scripts.exchange.recognition import recognise
from scripts.load import k6
from scripts.model import Direction, PipelineError
from tests.factories import make_run

HIGHER, LOWER = Direction.HIGHER, Direction.LOWER
SCRIPT = """
import { check } from 'k6';
import { Counter, Trend } from 'k6/metrics';
const own = new Trend('own_time', true);
const count = new Counter('own_count');
export const options = { iterations: 2, thresholds: { own_time: ['p(95)<500'], 'own_time{a:b}': ['avg<9'] } };
export default function () { own.add(12.5, { a: 'b' }); count.add(2); check(1, { ok: (x) => x === 1 }); }
"""
SUMMARY = "export function handleSummary(data) { return { 'handled.json': JSON.stringify(data) }; }"

TREND = {"avg": 12.5, "min": 12, "med": 12.5, "max": 13, "p(90)": 12.9, "p(95)": 13}
MACHINE = {
    "version": "1.0.0",
    "metadata": {"generatedAt": "2026-01-01T00:00:00Z", "k6Version": "2.0.0"},
    "config": {"execution": "local", "script": "s.js"},
    "results": {
        "metrics": [
            {"name": "http_req_duration", "type": "trend", "contains": "time", "values": TREND},
            {"name": "http_reqs", "type": "counter", "contains": "default", "values": {"count": 10, "rate": 5.0}},
            {"name": "checks", "type": "rate", "contains": "default", "values": {"rate": 1, "passes": 2, "fails": 0}},
        ],
        "checks": [],
    },
}
EXPORT = {
    "root_group": {},
    "metrics": {
        "http_req_duration": {**TREND, "thresholds": {"p(95)<500": False}},
        "http_reqs": {"count": 10, "rate": 5.0},
        "checks": {"passes": 2, "fails": 0, "value": 1},
    },
}
HYPERFINE = {
    "results": [{"command": "sleep 0", "mean": 0.1, "min": 0.09, "max": 0.2, "times": [0.1], "parameters": {"n": "1"}}]
}
PYTEST = {
    "machine_info": {}, "commit_info": {"id": "abc"}, "datetime": "2026-01-01T00:00:00+00:00",
    "benchmarks": [{"name": "test_a", "fullname": "t.py::test_a", "stats": {"mean": 0.5, "min": 0.4, "max": 0.6}}],
}  # fmt: skip
JMH = [
    {"benchmark": "a.B.get", "mode": "thrpt", "params": {"size": "10"},
     "primaryMetric": {"score": 100.0, "scoreUnit": "ops/s", "scoreError": "NaN", "scoreConfidence": ["NaN", 101.0]},
     "secondaryMetrics": {"gc.alloc.rate.norm": {"score": 16.0, "scoreUnit": "B/op"}}},
]  # fmt: skip
LOCUST = """Type,Name,Request Count,Failure Count,Median Response Time,Requests/s,Failures/s,95%
GET,/shop,10,1,20,5.0,0.5,40
,Aggregated,10,1,20,5.0,0.5,N/A
"""


def read(content: Any, name: str = "file.json") -> dict[str, tuple[Any, ...]]:
    data = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    made = READERS[recognise({name: data})].decode({name: data}, Origin(commit="c"))
    return {p.benchmark: (p.value, p.unit, p.direction) for p in points(made)}


@pytest.mark.parametrize("name", READERS)
def test_what_is_written_is_recognised(name: str) -> None:
    samples = {"hyperfine": HYPERFINE, "pytest-benchmark": PYTEST, "jmh": JMH, "k6-summary": EXPORT, "locust": LOCUST}
    if name in samples:
        sample = samples[name]
        files = {"x": sample.encode() if isinstance(sample, str) else json.dumps(sample).encode()}
    else:
        files = dict(READERS[name].encode(from_runs([make_run(levels=(10,), rounds=1)])))  # type: ignore[union-attr]
    assert recognise(files) == name


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b"[]", b"1", b'{"a": 1}', b"hello", b"\xff\xfe\x00"])
def test_what_is_in_no_known_format_is_named(data: bytes) -> None:
    with pytest.raises(PipelineError, match=r"what\.txt: in no format"):
        recognise({"what.txt": data})


def test_files_of_several_formats_are_refused() -> None:
    with pytest.raises(PipelineError, match="files of several formats: hyperfine, jmh"):
        recognise({"a": json.dumps(HYPERFINE).encode(), "b": json.dumps(JMH).encode()})


@pytest.mark.parametrize("document", [EXPORT, MACHINE])
def test_k6s_summaries_say_the_same_in_each_shape(document: Any) -> None:
    found = read(document)
    assert found["http_req_duration p(95)"] == (13, "ms", LOWER)
    assert found["http_reqs rate"] == (5.0, None, HIGHER)
    assert found["checks rate"] == (1, None, HIGHER)
    assert found["checks fails"] == (0, None, LOWER)
    assert len(found) == 11


def test_k6_itself_is_read(tmp_path: Path) -> None:
    (tmp_path / "s.js").write_text(SCRIPT)
    (tmp_path / "h.js").write_text(SCRIPT + SUMMARY)
    for arguments in (("--summary-export", "exported.json", "s.js"), ("h.js",)):
        subprocess.run([str(k6.find().path), "run", "-q", *arguments], cwd=tmp_path, check=False, capture_output=True)
    exported, handled = (read((tmp_path / f"{name}.json").read_text()) for name in ("exported", "handled"))
    assert exported.keys() == handled.keys()
    assert handled["own_time p(95)"] == (12.5, "ms", LOWER)
    assert exported["own_time p(95)"] == (12.5, None, None)  # an export does not say that it is a time
    assert exported["own_count count"] == handled["own_count count"] == (4, None, None)
    assert exported["checks rate"] == handled["checks rate"] == (1, None, HIGHER)
    assert "own_time{a:b} avg" in handled


def test_harnesses_are_read() -> None:
    assert read(HYPERFINE) == {"sleep 0 (n=1)": (0.1, "s", LOWER)}
    assert read(PYTEST) == {"t.py::test_a": (0.5, "s", LOWER)}
    assert read(JMH) == {
        "a.B.get (size=10)": (100.0, "ops/s", HIGHER),
        "a.B.get (size=10) gc.alloc.rate.norm": (16.0, "B/op", LOWER),
    }
    found = read(LOCUST, "run_stats.csv")
    assert found["GET /shop 95%"] == (40, "ms", LOWER)
    assert found["GET /shop Requests/s"] == (5.0, "requests/s", HIGHER)
    assert found["Aggregated Failures/s"] == (0.5, "failures/s", LOWER)
    assert found["Aggregated 95%"] == (None, "ms", LOWER)


@pytest.mark.parametrize(
    ("format", "document"),
    [
        ("k6-summary", {"metrics": {"a": 1}}),
        ("k6-summary", {"metrics": {"a": {"avg": "x"}}}),
        ("k6-summary", {"metrics": {}}),
        ("k6-summary", {"results": {"metrics": [1]}}),
        ("k6-summary", []),
        ("hyperfine", {"results": [{"command": "a"}]}),
        ("hyperfine", {"results": [{"mean": 1}]}),
        ("hyperfine", {"results": 1}),
        ("pytest-benchmark", {"benchmarks": [{"name": "a"}]}),
        ("pytest-benchmark", {"benchmarks": [], "datetime": "yesterday"}),
        ("jmh", [{"benchmark": "a"}]),
        ("jmh", [{"primaryMetric": {}}]),
        ("locust", 1),
    ],
)
def test_what_is_wrong_is_named(format: str, document: Any) -> None:
    with pytest.raises(PipelineError, match="f: "):
        READERS[format].decode({"f": json.dumps(document).encode()}, Origin())
