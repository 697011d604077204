"""verdict.json, written and read. It may come from anybody: whatever is read can be shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from scripts.escape import plain
from scripts.model import BROKEN, METRICS, Environment, PipelineError, Profile
from scripts.verdict.judgement import SCHEMA_VERSION, BackendVerdict, Finding, Outcome, Verdict, worst

MOST_ROWS = 2000
"""More backends and findings than any session has; a record with more is not one of ours."""
MOST = 1_000_000_000
"""More than any session has of anything that its profile or its environment counts."""


def encode_verdict(verdict: Verdict) -> bytes:
    """verdict.json"""
    return msgspec.json.format(msgspec.json.encode(verdict), indent=1) + b"\n"


def decode_verdict(data: bytes, name: str) -> Verdict:
    """A verdict from JSON that anybody may have written; PipelineError names the file and the key that is wrong."""
    again = "make it anew: nox -s compare"
    try:
        verdict = msgspec.json.decode(data, type=Verdict)
    except BROKEN as error:
        raise PipelineError(f"{name}: not a valid verdict: {plain(str(error))}", again) from error
    if wrong := contradiction(verdict):
        raise PipelineError(f"{name}: not a valid verdict: {wrong}", again)
    return verdict


def contradiction(verdict: Verdict) -> str:
    """What in a record cannot be, in words and with its place; empty where all of it fits together."""
    if verdict.schema_version != SCHEMA_VERSION:
        return f"schema_version {verdict.schema_version}, this version reads {SCHEMA_VERSION}"
    if 1 + sum(1 + len(backend.findings) for backend in verdict.backends) > MOST_ROWS:
        return f"more than {MOST_ROWS} rows, which no session has"
    if verdict.outcome is not worst(backend.outcome for backend in verdict.backends):
        return f"outcome is {verdict.outcome.value!r}, which none of its backends has as its worst"
    if again := repeated(backend.backend for backend in verdict.backends):
        return f"backend {again} occurs twice"
    if not (verdict.baseline.sha and verdict.candidate.sha):
        return "'' is no commit's full hash"
    if (verdict.environment is None) != (verdict.profile is None):
        return "environment and profile come together"
    return (
        _conditions(verdict.environment, verdict.profile)
        or next((f"backend {one.backend}: {wrong}" for one in verdict.backends if (wrong := _of_backend(one))), "")
        or _beyond(verdict)
    )


def repeated(keys: Iterable[str]) -> str:
    """The first that occurs a second time; empty for none."""
    return next((key for key, times in Counter(keys).items() if times > 1), "")


def _conditions(environment: Environment | None, profile: Profile | None) -> str:
    numbers = (profile.rounds, profile.pairs, profile.duration_s) if profile else ()
    if not all(0 < number <= MOST for number in (*numbers, environment.cpu_count if environment else 1)):
        return "rounds, pairs, duration_s and cpu_count are numbers above 0"
    return ""


def _of_backend(backend: BackendVerdict) -> str:
    if any(failed > requests for failed, requests in zip(backend.failed, backend.requests, strict=True)):
        return "more failed requests than requests"
    regressed = any(finding.outcome is Outcome.REGRESSION for finding in backend.findings)
    if backend.outcome is Outcome.REGRESSION and not (regressed or backend.more_statements or backend.reason):
        return "a regression that nothing shows"
    if again := repeated(_where(finding) for finding in backend.findings):
        return f"{again} occurs twice"
    return next((f"{_where(one)}: {wrong}" for one in backend.findings if (wrong := _of_finding(one, backend))), "")


def _of_finding(finding: Finding, backend: BackendVerdict) -> str:
    if finding.metric not in METRICS:
        return f"no such metric; there are: {', '.join(METRICS)}"
    if finding.rounds > backend.rounds:
        return f"{finding.rounds} of {backend.rounds} rounds"
    low, ratio, high = finding.low, finding.ratio, finding.high
    if low is None or ratio is None or high is None or finding.smallest_seen is None or finding.test_level is None:
        if finding.outcome is not Outcome.INVALID or (low, ratio, high) != (None, None, None):
            return "an effect has all its numbers, and what is invalid has none"
        return ""
    if finding.outcome in (Outcome.INVALID, Outcome.INCOMPARABLE):
        return f"an effect that is {finding.outcome.value!r}"
    rounding = 1 + 1e-9
    return "" if ratio > 0 and low <= ratio * rounding and ratio <= high * rounding else "not within its interval"


def _beyond(verdict: Verdict) -> str:
    """What the session's profile does not have."""
    if verdict.profile is None:
        return "a finding of no session" if any(backend.findings for backend in verdict.backends) else ""
    for backend in verdict.backends:
        if backend.rounds > verdict.profile.rounds:
            return f"backend {backend.backend}: {backend.rounds} rounds of {verdict.profile.rounds}"
        for level in (finding.level for finding in backend.findings):
            if level is not None and level not in verdict.profile.levels:
                return f"backend {backend.backend}: level {level} is none of its profile's"
    return ""


def _where(finding: Finding) -> str:
    level = "all levels" if finding.level is None else f"level {finding.level}"
    return f"{plain(finding.metric)[:50]!r}, {level}"
