"""Verb ``alert``: changes.json -> one issue for each open regression, opened, kept up to date and closed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts import checkout, config
from scripts.escape import markdown
from scripts.github import alerts, alerts_text, runner
from scripts.github.alerts import LABEL, Action, Close, Open, Update
from scripts.github.client import GitHub
from scripts.history import changes


def main(arguments: Sequence[str]) -> int:
    """Returns 0 when the issues say what the changes say."""
    parser = argparse.ArgumentParser(
        prog="nox -s alert --",
        description="Open an issue for each regression of the history that is confirmed, not accepted and not "
        "recovered; bring those up to date that are there; close those that are over. Doing it twice changes nothing.",
    )
    parser.add_argument("changes", nargs="?", type=Path, default=Path("results/changes.json"), metavar="FILE")
    parser.add_argument("--line", default="HEAD", metavar="REVISION", help="the commits up to this one (default: HEAD)")
    parser.add_argument("--print", action="store_true", help="ask nobody; print the issues that would be opened")
    args = parser.parse_args(arguments)
    config.refuse_elsewhere("alert", config.NOT_DATED)
    found = changes.read(args.changes)
    settings = config.load()
    labels = {backend.name: backend.label for backend in settings.backends}
    line = {revision.sha: place for place, revision in enumerate(checkout.line(args.line, labels))}
    gates = settings.detect.worth_reporting
    if args.print:
        for action in alerts.plan(found, [], line, gates):
            if isinstance(action, Open):
                print(f"{alerts_text.title(action.change, labels)}\n\n{alerts_text.body(action.change, labels)}")
        return 0
    with GitHub.here() as github:
        actions = alerts.plan(found, github.own_issues(LABEL), line, gates)
        lines = [_carry_out(github, action, labels) for action in actions]
    said = [line for line in lines if line] or ["no issue has to be opened, changed or closed"]
    print("\n".join(said))
    runner.add_summary("".join(f"- {markdown(line)}\n" for line in said))
    return 0


def _carry_out(github: GitHub, action: Action, labels: Mapping[str, str]) -> str:
    """Do it, and say what was done; nothing where the issue said so already."""
    match action:
        case Open(change=change):
            title = alerts_text.title(change, labels)
            number = github.create_issue(title, alerts_text.body(change, labels), LABEL)
            return f"issue #{number} opened for {change.id}"
        case Update(issue=issue, change=change, reopen=reopen):
            title, body = alerts_text.title(change, labels), alerts_text.body(change, labels)
            if reopen:
                github.update_issue(issue.number, title=title, body=body, state="open")
                return f"issue #{issue.number} opened again for {change.id}"
            if issue.title == title and (issue.body or "").strip() == body.strip():
                return ""
            github.update_issue(issue.number, title=title, body=body)
            return f"issue #{issue.number} brought up to date for {change.id}"
        case Close(issue=issue, ending=ending):
            reason = "completed" if ending in ("recovered", "accepted") else "not_planned"
            body = alerts_text.closed_body(action, labels)
            github.update_issue(issue.number, body=body, state="closed", state_reason=reason)
            return f"issue #{issue.number} closed: {ending}"
