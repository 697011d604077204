"""Real k6 runs against a local server, and its output read back with known answers."""

from __future__ import annotations

import gzip
import http.server
import json
import math
import os
import random
import shutil
import subprocess
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from scripts.load import k6, ndjson
from scripts.model import Arm, PipelineError, Workload
from scripts.stack.process import wait_until
from tests.processes import running

WORK = Workload()
DELAY_S = 0.05


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the contract wants, or wrongly, by path."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: two would meet delayed acknowledgements

    def do_POST(self) -> None:
        time.sleep(DELAY_S)
        answer = WORK.answer | {"execution_time": 0.01, "timestamp": time.time()}
        if self.path == "/wrong":
            answer["rows_created"] = 79
        body = json.dumps(answer).encode()
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST  # noqa: N815 (http.server's name)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def load(
    url: str,
    output: Path,
    users: int = 4,
    duration_s: float = 2.0,
    workload: Workload | None = WORK,
    method: str = "POST",
) -> k6.Result:
    generator = k6.find(os.environ.get("K6"))
    command = k6.command(generator, "stepped", output)
    subprocess.run(
        command,
        env=os.environ | k6.environment({"candidate": url}, users, duration_s, workload, method),
        check=True,
        capture_output=True,
    )
    return k6.read(output, 0.5, duration_s - 0.5)["candidate"]


def test_a_real_block(server: str, tmp_path: Path) -> None:
    load_, wrong, dropped = load(server + "/right", tmp_path / "raw.ndjson.gz")
    assert (wrong, dropped, load_.failed) == (0, 0, 0)
    assert load_.latency is not None
    assert load_.latency.p50_ms == pytest.approx(DELAY_S * 1000, rel=0.2)
    assert load_.throughput_rps == pytest.approx(4 / DELAY_S, rel=0.2)
    assert load_.concurrency == pytest.approx(4, rel=0.05)
    assert load_.throughput_rps * load_.latency.mean_ms / 1000 == pytest.approx(load_.concurrency)
    assert load_.load_s == pytest.approx(2.0, abs=0.3)


def test_without_a_contract_the_status_alone_is_looked_at(server: str, tmp_path: Path) -> None:
    output = tmp_path / "raw.ndjson.gz"
    got = load(server + "/wrong", output, duration_s=1.0, workload=None, method="GET")
    assert (got.load.failed, got.wrong_answers) == (0, 0)
    assert got.load.requests > 0
    assert load(server + "/broken", output, duration_s=1.0, workload=None).load.failed > 0
    assert load(server + "/right", output, duration_s=1.0, workload=None, method="PUT").load.failed > 0, (
        "it is asked for"
    )


def test_wrong_answers_are_counted(server: str, tmp_path: Path) -> None:
    result = load(server + "/wrong", tmp_path / "raw.ndjson.gz")
    assert result.load.failed == 0
    assert result.wrong_answers == result.load.requests > 0


def test_failures_are_counted_by_reason(server: str, tmp_path: Path) -> None:
    result = load(server + "/broken", tmp_path / "raw.ndjson.gz")
    assert result.load.failures == {"HTTP 500": result.load.requests}
    assert result.load.latency is None
    assert result.wrong_answers == 0, "a failed request is not counted twice"


def test_nobody_listens(tmp_path: Path) -> None:
    result = load("http://127.0.0.1:1/", tmp_path / "raw.ndjson.gz", users=1, duration_s=1.0)
    assert result.load.failed == result.load.requests > 0
    assert next(iter(result.load.failures)).startswith("k6 error 12")


def write(path: Path, rows: list[tuple[float, float]], marked_at: int = 0) -> None:
    """NDJSON in k6's own form: requests as (end in s, duration in ms), the load starting at second 100."""
    lines = [
        {
            "metric": "http_req_duration",
            "type": "Point",
            "data": {"time": stamp(end), "value": ms, "tags": {"status": "200"}},
        }
        for end, ms in rows
    ]
    lines.insert(
        marked_at, {"metric": "load_started", "type": "Point", "data": {"time": stamp(100), "value": 1, "tags": {}}}
    )
    with gzip.open(path, "wt") as file:
        file.write(
            '{"type":"Metric","data":{"name":"http_req_duration","type":"trend"},"metric":"http_req_duration"}\n'
        )
        file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)


def stamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{round(seconds % 1 * 1e9):09}Z"


def test_requests_crossing_the_edges_count_in_part(tmp_path: Path) -> None:
    """Window 101..103: one request half before it, one inside, one three quarters after it."""
    path = tmp_path / "raw.ndjson.gz"
    write(path, [(101.5, 1000), (102.5, 500), (106.0, 4000)], marked_at=2)
    result = k6.read(path, 1.0, 2.0)["candidate"]
    assert result.load.window_requests == pytest.approx(0.5 + 1 + 0.25)
    assert result.load.concurrency == pytest.approx((0.5 + 0.5 + 1) / 2)
    assert result.load.latency is not None
    assert result.load.latency.mean_ms == pytest.approx((0.5 * 1000 + 500 + 0.25 * 4000) / 1.75)
    assert result.load.latency.max_ms == 4000
    assert result.load.load_s == pytest.approx(6.0)


def test_quantiles_agree_with_exact_ones(tmp_path: Path) -> None:
    chance = random.Random(1)
    values = sorted(chance.lognormvariate(4, 1) for _ in range(5000))
    path = tmp_path / "raw.ndjson.gz"
    write(path, [(150, value) for value in values])
    latency = k6.read(path, 0.0, 100.0)["candidate"].load.latency
    assert latency is not None
    for share, seen in ((0.5, latency.p50_ms), (0.95, latency.p95_ms), (0.99, latency.p99_ms)):
        assert seen == pytest.approx(values[int(share * 5000) - 1], rel=0.001)


def test_memory_does_not_grow_with_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "CHUNK_BYTES", 1 << 14)
    peaks = []
    for requests in (4_000, 24_000):
        path = tmp_path / f"{requests}.ndjson.gz"
        write(path, [(100 + i / 1000, 10.0) for i in range(requests)])
        tracemalloc.start()
        assert k6.read(path, 0.0, 1000.0)["candidate"].load.requests == requests
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0], "six times the requests"


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_truncated_output_is_refused(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "raw.ndjson.gz"
    write(path, [(101, 10.0)] * 1000)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(PipelineError, match=r"raw.ndjson.gz, line \d+: not k6's complete NDJSON"):
        k6.read(path, 0.0, 1.0)


def test_a_program_that_is_not_k6() -> None:
    with pytest.raises(PipelineError, match="is not k6"):
        k6.find("true")
    with pytest.raises(PipelineError, match="is not a program"):
        k6.find("/nowhere/k6")


def point(metric: str, seconds: float | str, value: object, **tags: str) -> str:
    """A line of NDJSON as k6 writes it; ``value`` in JSON, so that it may be what k6 never writes."""
    time_ = seconds if isinstance(seconds, str) else stamp(seconds)
    data = json.dumps({"time": time_, "value": "VALUE", "tags": tags}, separators=(",", ":"))
    return f'{{"metric":"{metric}","type":"Point","data":{data.replace(json.dumps("VALUE"), str(value))}}}\n'


STARTED = point("load_started", 100, 1)
DUET: tuple[Arm, ...] = ("candidate", "baseline")


def write_lines(path: Path, *lines: str) -> Path:
    with gzip.open(path, "wt") as file:
        file.writelines(lines)
    return path


def test_a_request_that_took_no_time_counts(tmp_path: Path) -> None:
    """Window 101..103: requests of no time at its edges, within and beside it, one of a nanosecond, one real."""
    path = tmp_path / "raw.ndjson.gz"
    write(path, [(100.5, 0), (101, 0), (102, 0), (102.5, 500), (102.6, 1e-6), (103, 0), (104, 0)])
    load_ = k6.read(path, 1.0, 2.0)["candidate"].load
    assert load_.requests == 7
    assert load_.window_requests == pytest.approx(4, abs=0.5)
    assert load_.window_requests <= 4
    assert load_.latency is not None
    assert load_.latency.max_ms == 500
    assert load_.latency.p50_ms < 0.01
    numbers = [load_.throughput_rps, load_.concurrency, *msgspec.structs.astuple(load_.latency)]
    assert all(map(math.isfinite, numbers))


def test_a_block_of_requests_that_took_no_time_has_numbers(tmp_path: Path) -> None:
    path = tmp_path / "raw.ndjson.gz"
    write(path, [(101.5, 0), (102, 0)])
    load_ = k6.read(path, 1.0, 2.0)["candidate"].load
    assert load_.throughput_rps == 1
    assert load_.latency is not None
    assert set(msgspec.structs.astuple(load_.latency)) == {0}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (point("http_req_duration", 101, -1), "http_req_duration cannot be -1"),
        (point("http_req_duration", 101, 1e9), r"http_req_duration cannot be 1e\+09"),
        (point("http_req_duration", 101, "1e999"), "out of range|cannot be inf"),
        (point("http_req_duration", 101, "NaN"), "malformed|invalid"),
        (point("http_req_duration", 101, "null"), r"Expected `float`, got `null` - at `\$.data.value`"),
        (point("http_req_duration", 101, '"12"'), "Expected `float`, got `str`"),
        (point("http_req_duration", "yesterday", 1), "Invalid RFC3339"),
        (point("http_req_duration", "2026-02-30T00:00:00Z", 1), "Invalid RFC3339"),
        (point("http_req_duration", "2026-02-28T00:00:00", 1), "timezone"),
        (point("checks", 101, 2), "checks cannot be 2"),
        (point("dropped_iterations", 101, -3), "dropped_iterations cannot be -3"),
        (point("load_started", 101, 1), "the load starts a second time"),
        ('{"metric":"checks","type":"Point"}\n', "missing required field `data`"),
        ('{"metric":"checks","type":"Point","data":' + '{"a":' * 100_000 + "\n", "recursion|depth"),
    ],
)
def test_what_k6_never_writes_is_refused_by_file_and_line(tmp_path: Path, line: str, words: str) -> None:
    path = write_lines(tmp_path / "raw.ndjson.gz", STARTED, point("http_req_duration", 101, 5, status="200"), line)
    with pytest.raises(PipelineError, match=rf"raw\.ndjson\.gz, line 3: .*({words})") as caught:
        k6.read(path, 0.5, 2.0)
    assert "measure the block again" in caught.value.hint


@pytest.mark.parametrize("metric", ["http_req_duration", "checks", "dropped_iterations"])
@pytest.mark.parametrize("tags", [{"scenario": "x"}, {}])
def test_a_point_of_a_scenario_that_was_not_loaded_is_refused(
    tmp_path: Path, metric: str, tags: dict[str, str]
) -> None:
    path = write_lines(tmp_path / "raw.ndjson.gz", STARTED, point(metric, 101, 1, status="200", **tags))
    with pytest.raises(PipelineError, match=r"line 2: .*scenario '.*' is none of candidate, baseline"):
        k6.read(path, 0.5, 2.0, DUET)


def test_each_arm_has_its_own_points(tmp_path: Path) -> None:
    rows = [point("http_req_duration", 101, 5, status="200", scenario=arm) for arm in (*DUET, "baseline")]
    wrong = point("checks", 101, 0, scenario="baseline")
    found = k6.read(write_lines(tmp_path / "raw.ndjson.gz", rows[0], STARTED, *rows[1:], wrong), 0.5, 2.0, DUET)
    assert {arm: (result.load.requests, result.wrong_answers) for arm, result in found.items()} == {
        "candidate": (1, 0),
        "baseline": (2, 1),
    }


@pytest.mark.parametrize(
    ("tags", "failures"),
    [
        ({"status": "200", "expected_response": "true"}, {}),
        ({"status": "200"}, {}),
        ({"status": "503"}, {"HTTP 503": 1}),
        ({"status": "404", "expected_response": "false"}, {"HTTP 404": 1}),
        ({"status": "0", "error_code": "1212"}, {"k6 error 1212": 1}),
        ({}, {"k6 error ?": 1}),
        ({"status": ""}, {"HTTP ": 1}),
    ],
)
def test_a_request_is_good_only_where_its_tags_say_so(
    tmp_path: Path, tags: dict[str, str], failures: dict[str, int]
) -> None:
    path = write_lines(tmp_path / "raw.ndjson.gz", STARTED, point("http_req_duration", 101, 5, **tags))
    assert k6.read(path, 0.5, 2.0)["candidate"].load.failures == failures


def test_an_output_without_a_start_is_refused(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "raw.ndjson.gz", point("http_req_duration", 101, 5, status="200"))
    with pytest.raises(PipelineError, match=r"raw\.ndjson\.gz: k6 wrote no load_started point"):
        k6.read(path, 0.5, 2.0)


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/nonexistent/interpreter\n", "it cannot be run: No such file or directory"),
        ("neither script nor program\n", "it cannot be run: Exec format error"),
        ("", "it cannot be run: Exec format error"),
        ("#!/bin/sh\nexit 3\n", "`version` ended with code 3"),
        ("#!/bin/sh\nkill -KILL $$\n", "`version` ended with code -9"),
        ("#!/bin/sh\n", "it says '' to `version`"),
        ("#!/bin/sh\nprintf 'k6 v\\377.2.3'\n", "it says "),
        ("#!/bin/sh\nsleep 60.125\n", "it has not answered to `version` within 1 s"),
        ("#!/bin/sh\nsleep 60.125 & sleep 60.125\n", "it has not answered to `version` within 1 s"),
        ("#!/bin/sh\nkill -STOP $$\n", "it has not answered to `version` within 1 s"),
        ("#!/bin/sh\ncat; exit 4\n", "`version` ended with code 4"),
    ],
)
def test_what_is_no_k6_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, words: str) -> None:
    monkeypatch.setattr(k6, "VERSION_S", 1.0)
    path = program(tmp_path / "k6", text)
    with pytest.raises(PipelineError) as raised:
        k6.find(str(path))
    assert raised.value.message.startswith(f"{path} is not k6: ")
    assert words in raised.value.message
    assert "K6" in raised.value.hint
    assert wait_until(lambda: not running("60.125"), 10), "what it has started is ended, too"


@pytest.mark.parametrize("path", ["/etc/passwd", "/etc", "/nonexistent", "no-such-k6", "a\nb"])
def test_what_is_no_program_is_said(path: str) -> None:
    with pytest.raises(PipelineError, match="is not a program"):
        k6.find(path)


def test_scripts_may_lie_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """k6 makes URLs of their paths."""
    generator = k6.find(os.environ.get("K6"))
    for name in ("a b$HOME", 'it\'s "b"', "é%25", "a#b?c", "{x},y"):
        folder = tmp_path / name
        shutil.copytree(k6.SCRIPTS, folder / "k6")
        monkeypatch.setattr(k6, "SCRIPTS", folder / "k6")
        command = k6.command(generator, "stepped", folder / "raw.ndjson.gz")
        environment = k6.environment({"candidate": "http://127.0.0.1:9/"}, 1, 1.0, None)
        done = subprocess.run(
            [command[0], "inspect", "--include-system-env-vars", command[-1]],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (name, done.stderr)
