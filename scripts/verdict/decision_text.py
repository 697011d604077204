"""A decision in words: a pull request's comment, which is also the summary of its check. Pure; all is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from scripts import words
from scripts.escape import markdown, shortened
from scripts.model import METRICS
from scripts.verdict import text as verdict_text
from scripts.verdict.decision import LABEL, Decision
from scripts.verdict.judgement import BackendVerdict, Finding
from scripts.verdict.text import MARKER

NO_VERDICT = "The session ended without a verdict: nothing can be said."
REASON_LIMIT = 300
HOW_TO_ACCEPT = (
    "Is it wanted? Add an `accepted` event with the commit and the backend to `history/events.toml` in this pull "
    f"request; or put the label `{LABEL}` on it and run the failed job again, which takes seconds."
)

HOW_TO_GO_ON = (
    "Below is why: what others on the machine disturbed is valid another time, requests that fail have to be mended. "
    f"The label `{LABEL}` lets it pass without a verdict."
)


def headline(decision: Decision) -> str:
    """The verdict, how sure it is, and whether anything is to be done, in one line."""
    if decision.first is None:
        return f"{NO_VERDICT} Run it again."
    suspected, unjudged = decision.suspected, decision.unjudged
    if unjudged and not decision.blocking:
        return f"Nothing can be said of {_labels(unjudged)}: too few pairs are valid. Run it again."
    if not suspected:
        return verdict_text.headline(decision.first)
    if decision.second is None:
        return (
            f"A first session says regression in {_labels(suspected)}, and the second, which would confirm it, gave no "
            "verdict: run it again."
        )
    if decision.blocking:
        return (
            f"Regression in {_labels(decision.blocking)}, confirmed by a second session on a fresh runner: look at it "
            "before this is merged."
        )
    if decision.confirmed:
        return f"Regression in {_labels(decision.confirmed)}, confirmed, and accepted: nothing has to be done."
    return (
        f"No confirmed change: a first session said regression in {_labels(suspected)}, and a second on a fresh runner "
        "did not. Nothing has to be done."
    )


def render(decision: Decision) -> str:
    """Markdown of at most COMMENT_LIMIT characters; the first line is the verdict and what is to be done."""
    lines = [MARKER, f"**{markdown(headline(decision))}**", ""]
    if decision.blocking:
        lines += [HOW_TO_ACCEPT, ""]
    elif decision.unjudged:
        lines += [HOW_TO_GO_ON, ""]
    labels = {verdict.backend: verdict.label for verdict in (decision.first.backends if decision.first else ())}
    lines += [
        f"- Accepted for {markdown(labels.get(a.backend, a.backend))} by the {a.by}: {markdown(a.text)}"
        for a in decision.accepted
    ]
    if decision.second:
        lines += ["", "### Second session, on a fresh runner", *verdict_text.body(decision.second)]
        lines += ["", "### First session"]
    if decision.first:
        lines += verdict_text.body(decision.first)
    return verdict_text.fitted("\n".join(lines) + "\n")


def render_failure(conclusion: str, url: str, refused: str = "") -> str:
    """The comment where a run has left no decision that can be read. ``url``: of the run, from GitHub itself.

    ``refused``: why the one that it has left was not read.
    """
    what = "was cancelled" if conclusion == "cancelled" else f"ended ({markdown(conclusion)})"
    verdict = "a verdict that could be read" if refused else "a verdict"
    lines = [MARKER, f"**The benchmark {what} before it had {verdict}: nothing can be said.**", ""]
    if refused:
        lines += [f"What it left was refused: {markdown(shortened(refused, REASON_LIMIT))}", ""]
    return "\n".join([*lines, f"[Its log]({url}) says why. This comment is replaced when it has run again.", ""])


def _labels(verdicts: Iterable[BackendVerdict]) -> str:
    return words.listing([verdict_text.named(verdict) for verdict in verdicts])


def finding_words(finding: Finding) -> str:
    """``Throughput -8.1% at 10 users``"""
    where = f" at {finding.level} users" if finding.level else ""
    effect = f" {verdict_text.percent(finding.ratio)}" if finding.ratio is not None else ""
    return f"{METRICS[finding.metric].label}{effect}{where}"
