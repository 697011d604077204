"""Verb ``decide``: one or two verdicts of a pull request -> decision.json, the job's summary, and the check's exit."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from scripts import checkout, config
from scripts.github import runner
from scripts.github.client import GitHub
from scripts.history import events
from scripts.model import Event, PipelineError
from scripts.records import replace
from scripts.session.sides import find_base
from scripts.verdict import decision, decision_text
from scripts.verdict.decision import Decision
from scripts.verdict.judgement import BackendVerdict, Verdict, judge
from scripts.verdict.record import decode_verdict

REGRESSION = 3
"""The exit code for a confirmed regression that nobody has accepted; `compare --fail-on-regression` has the same."""
NO_VERDICT = 4
"""The exit code where a session that had to be held has left no verdict: nothing is known to be fine."""
EPILOG = """\
examples:
  nox -s decide -- --first results/latest                       what a pull request's check would say
  nox -s decide -- --first first --second second --base main
"""


class _PullRequest(msgspec.Struct):
    number: int


class _Event(msgspec.Struct):
    pull_request: _PullRequest | None = None


def main(arguments: Sequence[str]) -> int:
    """0: nothing forbids the change; 3: a confirmed regression does that nobody has accepted; 4: nobody knows."""
    args = _parser().parse_args(arguments)
    base = find_base(args.base, "HEAD")
    made = Decision(
        schema_version=decision.SCHEMA_VERSION,
        first=read_verdict(args.first) or _nothing_reached(base),
        second=read_verdict(args.second),
    )
    if made.confirmed:
        accepted = decision.accept(made.confirmed, _own_events(base, args.history), [])
        made = msgspec.structs.replace(made, accepted=tuple(accepted))
    if made.blocking or made.unjudged:
        labelled = decision.accept((*made.blocking, *made.unjudged), [], _labels())
        made = msgspec.structs.replace(made, accepted=(*made.accepted, *labelled))
    args.output.mkdir(parents=True, exist_ok=True)
    replace(args.output / decision.FILE, decision.encode(made))
    text = decision_text.render(made)
    runner.add_summary(text)
    print(decision_text.headline(made))
    for verdict in made.blocking[: runner.ANNOTATIONS]:
        runner.annotate("error", f"Regression in {verdict.label}", _what(verdict))
    if not made.blocking and (made.unfinished or made.unjudged):
        runner.annotate("error", "No verdict", decision_text.headline(made))
        return NO_VERDICT
    return REGRESSION if made.blocking else 0


def read_verdict(folder: Path | None) -> Verdict | None:
    """The verdict beneath a folder; None where there is none. Raises PipelineError for several."""
    found = [path for path in sorted(folder.rglob("verdict.json")) if "latest" not in path.parts] if folder else []
    if len(found) > 1:
        raise PipelineError(f"{folder}: holds {len(found)} verdicts", "name the folder of one session")
    return decode_verdict(found[0].read_bytes(), str(found[0])) if found else None


def _nothing_reached(base: str) -> Verdict | None:
    """The verdict of a change that reaches no backend, which no session has to be held for."""
    settings = config.load()
    checkout.check_sources(settings.backends, [base, None])
    if checkout.reached(checkout.changed_paths(base), checkout.sources_of(settings.backends)):
        return None
    return judge(
        None, checkout.find(base), checkout.current(), settings.compare, {}, "./start_benchmark.sh -s compare", ()
    )


def _own_events(base: str, history: Path) -> list[Event]:
    """The events that are pinned to the change's own commits."""
    backends = [backend.name for backend in config.load().backends]
    own = {revision.sha for revision in checkout.line(f"{base}..HEAD", backends)}
    return [event for event in events.read_events(history, backends) if event.commit in own]


def _labels() -> list[str]:
    """The pull request's labels as they are now: a run that is repeated has the event of the first, with the old ones.

    None outside a pull request's workflow.
    """
    if not os.environ.get("GITHUB_EVENT_PATH") or not os.environ.get("GITHUB_TOKEN"):
        return []
    pull_request = runner.event(_Event).pull_request
    if pull_request is None:
        return []
    with GitHub.here() as github:
        return github.labels(pull_request.number)


def _what(verdict: BackendVerdict) -> str:
    worse = [decision_text.finding_words(f) for f in verdict.findings if f.outcome is verdict.outcome]
    return "; ".join(worse) or verdict.reason or "see the job's summary"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="nox -s decide --",
        description="Say what the verdicts of one session, or of two on different machines, mean for a change: a "
        "regression is confirmed where both say so, and forbids the change unless an accepted event of one of its own "
        f"commits or the label `{decision.LABEL}` accepts it. A session without a verdict forbids it, too.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--base", help="the branch or commit that the change is meant for (default: main)")
    parser.add_argument("--first", type=Path, metavar="FOLDER", help="with verdict.json of the first session")
    parser.add_argument("--second", type=Path, metavar="FOLDER", help="with that of the session that confirms")
    parser.add_argument("--history", type=Path, default=config.PROJECT / "history", help="folder with events.toml")
    parser.add_argument("--output", type=Path, default=Path("results/decision"), help="folder for decision.json")
    return parser
