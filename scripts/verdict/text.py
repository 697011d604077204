"""A verdict in words: for the terminal, and as Markdown for a pull request. Pure; everything measured is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from scripts import words
from scripts.escape import TEXT_LIMIT, markdown, plain
from scripts.model import METRICS, Commit
from scripts.verdict.judgement import BackendVerdict, Finding, Outcome, Verdict

COMMENT_LIMIT = 65_536
"""Characters that a comment may have; GitHub refuses longer ones."""
MARKER = "<!-- benchmark verdict -->"
STYLES = {
    Outcome.REGRESSION: "bold red",
    Outcome.INCOMPARABLE: "bold yellow",
    Outcome.INVALID: "bold yellow",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.IMPROVEMENT: "bold green",
    Outcome.NO_CHANGE: "green",
}
TO_DO = {
    Outcome.REGRESSION: "look at it before this is merged.",
    Outcome.INCOMPARABLE: "mend or choose another baseline.",
    Outcome.INVALID: "nothing can be said; measure again.",
    Outcome.INCONCLUSIVE: "nothing has to be done; a longer session would say more.",
    Outcome.IMPROVEMENT: "nothing has to be done.",
    Outcome.NO_CHANGE: "nothing has to be done.",
}
HEADS = ("backend", "metric", "users", "verdict", "effect", "95% interval", "would see from", "rounds")
OPEN = 11.0
"""An interval that goes on to this ratio ends nowhere."""
FOREMOST = ("cpu_ms_per_request", "throughput_rps")
"""What a headline gives the size of, where these show it."""
NOTHING_SEEN = 1.0
"""A session that can see no effect below this, which is a doubling, sees nothing."""
CHANGES = (Outcome.REGRESSION, Outcome.IMPROVEMENT)
CLOSE = "\n\n</details>"
CUT = "\n\n_Cut here: the rest did not fit; verdict.json has it all._\n"


def headline(verdict: Verdict) -> str:
    """The verdict, where, of what size, and whether anything is to be done, in one line."""
    if not verdict.backends:
        return "Nothing measurable changed: no file that a backend runs differs. Nothing has to be done."
    where = [named(v) for v in verdict.backends if v.outcome is verdict.outcome]
    what = verdict.outcome.value
    return f"{what[0].upper()}{what[1:]} in {words.listing(where)}: {TO_DO[verdict.outcome]}"


def named(backend: BackendVerdict) -> str:
    """``FastAPI (+26.5% CPU per request, 25.2 to 27.7)``: a backend, with what shows best what is said of it."""
    size = size_of(backend)
    return f"{backend.label} ({size})" if size else backend.label


def size_of(backend: BackendVerdict) -> str:
    """The size of what is said of a backend, with its interval; the count of statements where nothing else shows it."""
    alike = [f for f in backend.findings if f.outcome is backend.outcome and f.ratio is not None]
    order = [*FOREMOST, *METRICS]
    found = min(alike, key=lambda f: (f.level is not None, order.index(f.metric)), default=None)
    if found is None or found.ratio is None or found.low is None or found.high is None:
        before, after = backend.statements
        changed = before is not None and after is not None and before != after
        return f"{after} statements a request instead of {before}" if changed else ""
    label = METRICS[found.metric].label
    label = label if label.startswith("CPU") else f"{label[0].lower()}{label[1:]}"
    at = "" if found.level is None else f" at {words.count(found.level, 'user')}"
    high = f"{100 * (found.high - 1):.1f}" if found.high < OPEN else "anything"
    return f"{percent(found.ratio)} {label}{at}, {100 * (found.low - 1):.1f} to {high}"


def render_terminal(verdict: Verdict) -> RenderableType:
    """A table for each backend, narrow enough for 80 columns, and the verdict below."""
    notes = [Text(plain(line), style="yellow") for line in notes_on(verdict)]
    tables = [_terminal_table(backend) for backend in verdict.backends if backend.findings]
    return Group(*tables, *notes, Text(plain(headline(verdict)), style=STYLES[verdict.outcome]))


def _terminal_table(backend: BackendVerdict) -> Group:
    """A line for each finding; what needs more words has them beneath the table."""
    title = Text(f"{plain(backend.label)}, {words.count(backend.rounds, 'round')}", style="table.title")
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("metric")
    for head in ("users", "verdict", "effect, 95% interval", "sees"):
        table.add_column(head, justify="right")
    notes: dict[str, int] = {}
    for finding in backend.findings:
        _, metric, users, outcome, effect, interval, seen, _ = _row(backend, finding)
        said, _, note = outcome.partition(": ")
        numbers, _, level = interval.partition(",")
        if finding.ratio is None:
            note, effect = effect, "-"
        elif level:
            note = (
                f"{note}; the interval that decided, {level.strip()}" if note else f"the interval that decided,{level}"
            )
        mark = f" [{notes.setdefault(note, len(notes) + 1)}]" if note and note != "-" else ""
        shown = effect if finding.ratio is None else f"{effect} ({numbers.replace('%', '')})"
        style = STYLES[finding.outcome]
        seen = seen.replace("only a doubling", ">100%")
        table.add_row(metric, users, Text(plain(said) + mark, style=style), Text(plain(shown)), seen)
    return Group(table, *(Text(plain(f"[{number}] {note}"), style="dim") for note, number in notes.items()))


def render_comment(verdict: Verdict) -> str:
    """Markdown of at most COMMENT_LIMIT characters; the first line is the verdict and what is to be done."""
    return fitted("\n".join([MARKER, f"**{markdown(headline(verdict))}**", "", *body(verdict)]) + "\n")


def body(verdict: Verdict) -> list[str]:
    """What is behind a headline, as lines of Markdown: what changed, and folded what else was compared, and how."""
    changed = [(b, f) for b in verdict.backends for f in b.findings if f.outcome in CHANGES]
    lines = [f"- {markdown(note)}" for note in notes_on(verdict)]
    if changed:
        lines += ["", *_table(changed)]
    if verdict.backends:
        rest = [(b, f) for b in verdict.backends for f in b.findings if f.outcome not in CHANGES]
        lines += _folded("Everything that was compared", _table(rest))
        lines += _folded("How it was measured", [f"- {line}" for line in _conditions(verdict)])
    return lines + _folded("Repeat it", ["", f"    {plain(repeated(verdict.command), TEXT_LIMIT)}", ""])


def repeated(command: str) -> str:
    """A command that works in a fresh clone, where nox is not there yet."""
    head, nox, tail = command.partition("nox -s ")
    return f"{head}./start_benchmark.sh -s {tail}" if nox and not head.endswith("/") else command


def fitted(text: str) -> str:
    """The text, cut on purpose where it is longer than a comment may be."""
    if len(text) <= COMMENT_LIMIT:
        return text
    return text[: COMMENT_LIMIT - len(CUT) - len(CLOSE)].rpartition("\n")[0] + CLOSE + CUT


def notes_on(verdict: Verdict) -> list[str]:
    """What counts say, what could not be measured, and why."""
    notes = []
    for backend in verdict.backends:
        before, after = backend.statements
        if before is not None and after is not None and before != after:
            notes.append(f"{backend.label}: {after} statements a request instead of {before}; a count, so certain.")
        if backend.reason:
            notes.append(f"{backend.label}: {backend.reason}.")
    if verdict.stopped_by:
        notes.append(f"The session stopped early: {verdict.stopped_by}")
    return notes


def _row(backend: BackendVerdict, finding: Finding) -> tuple[str, ...]:
    metric = METRICS[finding.metric]
    users = "all" if finding.level is None else str(finding.level)
    head = (backend.label, metric.label, users)
    if finding.ratio is None or finding.low is None or finding.high is None or finding.smallest_seen is None:
        return (*head, finding.outcome.value, finding.reason or "-", "-", "-", str(finding.rounds))
    seen = f"{100 * finding.smallest_seen:.1f}%" if finding.smallest_seen < NOTHING_SEEN else "only a doubling"
    return (*head, _said(finding), percent(finding.ratio), _interval(finding), seen, str(finding.rounds))


def _said(finding: Finding) -> str:
    """The outcome, with the words that it needs beside a 95% interval that leaves out equality."""
    said = finding.outcome.value
    if finding.outcome is Outcome.NO_CHANGE and _leaves_out_equality(finding):
        return f"{said}: smaller than what matters, {100 * finding.matters:g}%"
    return f"{said}: {finding.reason}" if finding.reason else said


def _interval(finding: Finding) -> str:
    """The 95% interval; the wider one that decided, and its level, where only that one has room for equality."""
    low, high, level = finding.low, finding.high, ""
    if finding.outcome is Outcome.INCONCLUSIVE and _leaves_out_equality(finding) and finding.test_level:
        low, high, level = finding.test_low, finding.test_high, f", {100 * (1 - finding.test_level):.4g}% sure"
    if low is None or high is None:
        return "-"
    return f"{percent(low)} to {percent(high) if high < OPEN else 'anything'}{level}"


def _leaves_out_equality(finding: Finding) -> bool:
    return finding.low is not None and finding.high is not None and not finding.low <= 1 <= finding.high


def percent(ratio: float) -> str:
    """``+2.1%`` for 1.021."""
    return f"{100 * (ratio - 1):+.1f}%"


def _table(rows: Iterable[tuple[BackendVerdict, Finding]]) -> list[str]:
    lines = [f"| {' | '.join(HEADS)} |", "|---|---|---:|---|---:|---:|---:|---:|"]
    return lines + [f"| {' | '.join(markdown(cell) for cell in _row(b, f))} |" for b, f in rows]


def _folded(title: str, lines: Sequence[str]) -> list[str]:
    return ["", "<details>", f"<summary>{title}</summary>", "", *lines, "", CLOSE.strip()]


def _conditions(verdict: Verdict) -> list[str]:
    lines = [f"baseline {_commit(verdict.baseline)}", f"candidate {_commit(verdict.candidate)}"]
    if verdict.environment and verdict.profile:
        env, profile = verdict.environment, verdict.profile
        lines += [
            markdown(
                f"{env.cpu_model} with {env.cpu_count} CPUs, {env.os}, {env.database} {env.database_version} "
                f"({env.durability}), k6 {env.k6}, {f'Python {env.python}, ' if env.python else ''}{env.stack} stack"
            ),
            f"layout {verdict.layout}, at most {profile.rounds} rounds of {profile.pairs} pairs of "
            f"{profile.duration_s:g} s, {verdict.wall_s / 60:.1f} minutes in all",
            f"{verdict.blocks} blocks, of which invalid: "
            + (", ".join(f"{count} x {markdown(rule)}" for rule, count in verdict.invalid_blocks.items()) or "none"),
            f"a session without any change says one with a probability of at most {verdict.false_alarms:.1%}",
        ]
    for backend in verdict.backends:
        before, after = backend.statements
        if after is not None:
            lines.append(f"{markdown(backend.label)}: {before} statements a request before, {after} after")
    return lines


def _commit(commit: Commit) -> str:
    changes = ", with uncommitted changes" if commit.dirty else ""
    return f"{markdown(commit.sha[:7])} {markdown(commit.subject)}{changes}"
