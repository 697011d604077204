"""What is said of a pull request: one session's verdict, or that of two where the first says "regression". Pure.

A regression is *confirmed* where a second session, on another runner, says so of the same backend. It is *accepted*
where somebody has written down that it is wanted. A check fails for those that are confirmed and not accepted, and
where a session has left no verdict, or has nothing valid to say of a backend.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from scripts.bounds import Name
from scripts.escape import plain
from scripts.model import BROKEN, Event, PipelineError, Struct
from scripts.verdict.judgement import BackendVerdict, Outcome, Verdict
from scripts.verdict.record import contradiction, repeated

SCHEMA_VERSION = 1
LABEL = "benchmark: accepted"
"""The label of a pull request whose regressions are accepted, all of them."""
FILE = "decision.json"


class Acceptance(Struct):
    """That a backend's regression is wanted, and who says so: an event of history/events.toml, or the label."""

    backend: Name
    by: Literal["event", "label"]
    text: str


class Decision(Struct):
    """``first`` is None where the session ended without a verdict, ``second`` where there was none."""

    schema_version: int
    first: Verdict | None
    second: Verdict | None
    accepted: tuple[Acceptance, ...] = ()

    @property
    def suspected(self) -> tuple[BackendVerdict, ...]:
        """What the first session says is a regression."""
        return _regressions(self.first)

    @property
    def confirmed(self) -> tuple[BackendVerdict, ...]:
        """What both sessions say is one, as the second measured it."""
        names = {verdict.backend for verdict in self.suspected}
        return tuple(verdict for verdict in _regressions(self.second) if verdict.backend in names)

    @property
    def unfinished(self) -> bool:
        """Whether a session that had to be held has left no verdict: the first, or one to confirm what it says."""
        return self.first is None or (bool(self.suspected) and self.second is None)

    @property
    def blocking(self) -> tuple[BackendVerdict, ...]:
        """What is confirmed and not accepted."""
        return self._without_accepted(self.confirmed)

    @property
    def unjudged(self) -> tuple[BackendVerdict, ...]:
        """Of what nothing is known, by the session that had to say it, and what nobody has accepted without."""
        second = {verdict.backend: verdict for verdict in self.second.backends} if self.second else {}
        found = [
            verdict for verdict in (self.first.backends if self.first else ()) if verdict.outcome is Outcome.INVALID
        ]
        for verdict in self.suspected if self.second else ():
            again = second.get(verdict.backend)
            if again is None or again.outcome in (Outcome.INVALID, Outcome.INCOMPARABLE):
                found.append(again or verdict)
        return self._without_accepted(found)

    def _without_accepted(self, verdicts: Iterable[BackendVerdict]) -> tuple[BackendVerdict, ...]:
        accepted = {acceptance.backend for acceptance in self.accepted}
        return tuple(verdict for verdict in verdicts if verdict.backend not in accepted)


def _regressions(verdict: Verdict | None) -> tuple[BackendVerdict, ...]:
    return tuple(b for b in verdict.backends if b.outcome is Outcome.REGRESSION) if verdict else ()


def accept(confirmed: Iterable[BackendVerdict], events: Sequence[Event], labels: Iterable[str]) -> list[Acceptance]:
    """Which of the confirmed regressions are accepted. ``events``: those of the pull request's own commits.

    An event that names metrics accepts a regression of those only: what is seen in others, in counts or in failing
    requests still blocks.
    """
    if LABEL in labels:
        return [Acceptance(backend=verdict.backend, by="label", text=LABEL) for verdict in confirmed]
    accepted = [event for event in events if event.kind == "accepted"]
    found = []
    for verdict in confirmed:
        texts = [_accepting(verdict, metric, accepted) for metric in _regressed(verdict)]
        if all(texts):
            reasons = "; ".join(dict.fromkeys(text for text in texts if text))
            found.append(Acceptance(backend=verdict.backend, by="event", text=reasons))
    return found


def _regressed(verdict: BackendVerdict) -> list[str]:
    """The metrics that show a regression; "" where it is not a metric that does."""
    metrics = [f.metric for f in verdict.findings if f.outcome is Outcome.REGRESSION]
    return [*dict.fromkeys(metrics), *([""] if verdict.more_statements or verdict.reason or not metrics else [])]


def _accepting(verdict: BackendVerdict, metric: str, accepted: Sequence[Event]) -> str:
    """The text of the first event that accepts a regression of this metric."""
    return next((event.text for event in accepted if event.concerns(verdict.backend, metric)), "")


def encode(decision: Decision) -> bytes:
    """decision.json"""
    return msgspec.json.format(msgspec.json.encode(decision), indent=1) + b"\n"


def decode(data: bytes, name: str) -> Decision:
    """A decision from JSON that anybody may have written; PipelineError names the file and what is wrong."""
    again = "make it anew: nox -s decide"
    try:
        decision = msgspec.json.decode(data, type=Decision)
    except BROKEN as error:
        raise PipelineError(f"{name}: not a valid decision: {plain(str(error))}", again) from error
    if wrong := _contradiction(decision):
        raise PipelineError(f"{name}: not a valid decision: {wrong}", again)
    return decision


def _contradiction(decision: Decision) -> str:
    """What in a decision cannot be, as `record.contradiction` says it of its verdicts."""
    if decision.schema_version != SCHEMA_VERSION:
        return f"schema_version {decision.schema_version}, this version reads {SCHEMA_VERSION}"
    verdicts = {"first": decision.first, "second": decision.second}
    for place, verdict in verdicts.items():
        if verdict and (wrong := contradiction(verdict)):
            return f"{place}: {wrong}"
    names = {backend.backend for verdict in verdicts.values() if verdict for backend in verdict.backends}
    accepted = [acceptance.backend for acceptance in decision.accepted]
    if again := repeated(accepted):
        return f"accepted: backend {again} occurs twice"
    unknown = [name for name in accepted if name not in names]
    return f"accepted: backend {unknown[0]} has no verdict" if unknown else ""
