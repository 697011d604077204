"""k6's output in every form that JSON allows, against a plain reader; what is none of it is refused. Pure."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.config import ROOT
from scripts.load import k6, ndjson
from scripts.model import PipelineError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WANTED = ("http_req_duration", "checks", "load_started")
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "two gzip members": lambda data: gzip.compress(data[:100]) + gzip.compress(data[100:]),
}
STARTED = {"metric": "load_started", "type": "Point", "data": {"time": "1970-01-01T00:01:40Z", "value": 1, "tags": {}}}


def plainly(data: bytes) -> list[tuple[str, float, dict[str, str]]]:
    points = [json.loads(line) for line in data.splitlines() if line.strip()]
    return [
        (point["metric"], point["data"]["value"], point["data"]["tags"])
        for point in points
        if point["type"] == "Point" and point["metric"] in WANTED
    ]


def ours(path: Path) -> list[tuple[str, float, dict[str, str]]]:
    rows = []
    for number, (alike, refused) in enumerate(ndjson.batches(path, WANTED)):
        for (metric, tags), samples in alike.items():
            try:
                json.loads(tags)
            except ValueError as error:  # whoever reads tags says so
                raise refused(samples.rows[0], error) from error
            for row, value in zip(samples.rows, samples.values, strict=True):
                rows.append(((number, row), (metric, value, json.loads(tags))))
    return [row for _, row in sorted(rows, key=lambda each: each[0])]


def shuffled(value: Any, order: bool) -> Any:
    if not isinstance(value, dict):
        return value
    items = [(key, shuffled(each, order)) for key, each in value.items()]
    return dict(reversed(items) if order else items)


def escaped(text: str) -> str:
    return text.replace("_", "\\u005f").replace("checks", "\\u0063hecks")


texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["}}}", "{", '"', "http_req_duration", '{"metric":"checks"', "a&b", "\\", "\n", "}}}\n"]
)
metrics = st.sampled_from([*WANTED, "http_req_duration{a:b}", "http_reqs", "vus", "checks_", "my metric", "é"])
lines = st.builds(
    lambda metric, value, tags, reverse, spaced, escape, end: (
        (escaped if escape else str)(
            json.dumps(
                shuffled(
                    {
                        "metric": metric,
                        "type": "Point",
                        "data": {"time": "2026-11-28T12:33:57.5+01:00", "value": value, "tags": tags},
                    },
                    reverse,
                ),
                separators=(", ", " : ") if spaced else (",", ":"),
                ensure_ascii=escape,
            )
        )
        + end
    ),
    metrics,
    st.floats(0, 1e9, allow_nan=False) | st.integers(0, 10**9),
    st.dictionaries(texts, texts, max_size=3),
    st.sampled_from([False, False, True]),
    st.sampled_from([False, False, True]),
    st.sampled_from([False, False, True]),
    st.sampled_from(["\n", "\n", "\n", "\r\n", "\n\n"]),
) | st.just(
    '{"type":"Metric","data":{"name":"checks","type":"rate","contains":"default","thresholds":[],"submetrics":null},'
    '"metric":"checks"}\n'
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.lists(lines, max_size=12).map("".join), st.integers(1, 400), st.booleans(), st.sampled_from([*COMPRESSED]))
def test_every_form_is_read_as_json_is(tmp_path: Path, text: str, chunk: int, ended: bool, compression: str) -> None:
    data = text.encode()
    data = data if ended else data.rstrip()
    path = tmp_path / "raw"
    path.write_bytes(COMPRESSED[compression](data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndjson, "CHUNK_BYTES", chunk)
        assert ours(path) == plainly(data)


WHOLE = "".join(
    f'{{"metric":"{metric}","type":"Point","data":{{"time":"2026-11-28T12:33:57.5Z","value":1,"tags":{{"status":"200"}}}}}}\n'
    for _ in range(20)
    for metric in ("http_reqs", "http_req_duration", "vus")
).encode()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.integers(1, len(WHOLE) - 2), st.integers(1, 300), st.integers(1, 400))
def test_a_piece_that_is_missing_loses_no_point_in_silence(tmp_path: Path, begin: int, size: int, chunk: int) -> None:
    """As when two write to one file, or a disk was full for a while."""
    data = WHOLE[:begin] + WHOLE[begin + size :]
    path = tmp_path / "raw"
    path.write_bytes(data)
    try:
        expected = plainly(data)
    except (ValueError, KeyError):
        expected = None
    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(PipelineError):
        patch.setattr(ndjson, "CHUNK_BYTES", chunk)
        found = ours(path)
        if expected is None:
            assert len(found) == data.count(b'"http_req_duration"'), "what is damaged is of no interest"
        else:
            assert found == expected


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_compressed_file_that_ends_early_is_unfinished(tmp_path: Path, compression: str, keep: float) -> None:
    data = COMPRESSED[compression](b"".join(b"%s %d" % (WHOLE, n) for n in range(20)).replace(b" ", b""))
    path = tmp_path / "raw"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(PipelineError, match=r"raw, line \d+: not k6's"):
        ours(path)


def test_a_last_line_that_ends_early_is_unfinished(tmp_path: Path) -> None:
    path = tmp_path / "raw"
    path.write_bytes(WHOLE[:-20])
    with pytest.raises(ndjson.UnfinishedError, match="raw, line 60: not k6's complete"):
        ours(path)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"\x00" * 5000, 1),
        (b"%PDF-1.7\n\x93\n", 1),
        (WHOLE + b"garbage\n" + WHOLE, 61),
        (WHOLE + b"[]\n", 61),
        (WHOLE + b"{}\n", 61),
        (WHOLE + b'"' + b"a" * 200_000, 61),
        (WHOLE + WHOLE.replace(b":1,", b":NaN,"), 61),
    ],
)
def test_what_is_no_output_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, line: int
) -> None:
    monkeypatch.setattr(ndjson, "LONGEST_LINE_BYTES", 100_000)
    monkeypatch.setattr(ndjson, "CHUNK_BYTES", 5_000)
    path = tmp_path / "raw"
    path.write_bytes(data)
    with pytest.raises(PipelineError, match=rf"raw, line {line}: not k6's"):
        ours(path)


def test_several_files_are_one_block(tmp_path: Path) -> None:
    """What several k6 wrote that ran at once: the window begins when the last one has started."""
    requests = [
        {"metric": "http_req_duration", "type": "Point", "data": {"time": f"1970-01-01T00:01:4{n}Z", "value": 100 + n}}
        for n in range(1, 9)
    ]
    texts = ["\n".join(json.dumps(each) for each in (STARTED, *part)) for part in (requests[::2], requests[1::2])]
    (tmp_path / "one").write_text("\n".join([texts[0], *texts[1].splitlines()[1:]]))
    (tmp_path / "a").write_text(texts[0])
    (tmp_path / "b").write_bytes(gzip.compress(texts[1].encode()))
    whole = k6.read(tmp_path / "one", 2.0, 5.0)["candidate"].load
    assert whole.requests == 8
    assert k6.read([tmp_path / "b", tmp_path / "a"], 2.0, 5.0)["candidate"].load == whole


def test_reading_needs_little_memory(tmp_path: Path) -> None:
    """At most 60 MB, whatever is imported for it, for a file of 30 MB."""
    path = tmp_path / "raw"
    with path.open("wb") as file:
        file.write(json.dumps(STARTED).encode() + b"\n")
        for _ in range(4000):
            file.write(WHOLE)
    code = (
        "import sys; from pathlib import Path; from scripts.load import k6; "
        "print(k6.read(Path(sys.argv[1]), 1, 1)['candidate'].load.requests, "
        "Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=True)
    requests, peak_kb = map(int, done.stdout.split())
    assert requests == 80_000
    assert peak_kb < 60 * 1024
