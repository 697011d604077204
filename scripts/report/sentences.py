"""The words and number formats that terminal, Markdown and HTML share. Pure; the text is plain and not yet escaped."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from scripts.config import PREFIX
from scripts.cpus import parse_cpu_list
from scripts.model import Run, Struct
from scripts.statistics.intervals import Ratio
from scripts.words import count, count_cpus, listing

if TYPE_CHECKING:  # summary.py uses this module for the terminal
    from scripts.report.summary import Cell, Level, Summary

BUSY, NEARLY_BUSY = 0.92, 0.75
"""Shares of a CPU: a backend below the first, with its servants above the second, was held back by them."""


class Remark(Struct):
    """A sentence about the whole run. ``bad``: numbers do not mean what they say; ``note``: know it; ``good``."""

    kind: Literal["bad", "note", "good"]
    text: str


def interval(ratio: Ratio) -> str:
    """``2.50x (2.41 to 2.59)``, or the ratio and that there is no interval."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.ratio:.2f}x (no interval)"
    return f"{ratio.ratio:.2f}x ({ratio.low:.2f} to {ratio.high:.2f})"


def outcome(run: Run, level: Level) -> str:
    """Who wins at a level: the winner's label, with those that the intervals do not separate from it."""
    if level.winner is None:
        return "nothing valid"
    label = run.labels[level.winner]
    if level.rivals:
        return f"{label}, within noise of {listing([run.labels[name] for name in level.rivals])}"
    return label


def headline(run: Run, summary: Summary) -> str:
    """Who has the highest throughput at how many levels; with unequal work, first that this is no comparison."""
    return leaders(run.labels, summary.wins, len(summary.levels), unequal=bool(summary.differences))


def leaders(labels: Mapping[str, str], wins: Mapping[str, int], total: int, *, unequal: bool) -> str:
    """`headline`, from the number of levels that each backend wins, most first, of ``total``."""
    if not wins:
        return "No block is valid: there is no result."
    caution = "Unequal work, so no fair comparison. " if unequal else ""
    first, *others = wins
    if wins[first] == total:
        where = {1: "at the only level", 2: "at both levels"}.get(total, f"at all {total} levels")
        return f"{caution}{labels[first]} has the highest throughput {where}."
    rest = "".join(f", {labels[name]} at {wins[name]}" for name in others)
    return f"{caution}{labels[first]} has the highest throughput at {wins[first]} of {total} levels{rest}."


def leads(run: Run, summary: Summary) -> tuple[str, ...]:
    """For each other backend, how far the overall winner is ahead where it wins: the range over levels."""
    if not summary.wins:
        return ()
    first = next(iter(summary.wins))
    sentences = []
    for position, name in enumerate(run.backends):
        cells = [level.cells[position] for level in summary.levels if level.winner == first]
        ratios = [cell.ratio for cell in cells if cell.ratio is not None]
        if name == first or not ratios:
            continue
        low, high = min(r.ratio for r in ratios), max(r.ratio for r in ratios)
        span = f"{low:.2f}x" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f}x to {high:.2f}x"
        close = [level.level for level in summary.levels if level.winner == first and name in level.rivals]
        noise = f"; within noise at {', '.join(map(str, close))} users" if close else ""
        sentences.append(f"{span} the throughput of {run.labels[name]}{noise}")
    return tuple(sentences)


def remarks(run: Run, summary: Summary) -> tuple[Remark, ...]:
    """What a reader must know before believing the numbers, worst first."""
    found = [*_parity(run, summary), *_validity(run, summary), *_disturbed(run, summary), *_held_back(run)]
    if not run.limited:
        found.append(Remark(kind="bad", text="No limits were in force: the backends could use the whole machine."))
    if not run.complete:
        why = f" ({run.stopped_by})" if run.stopped_by else ""
        found.append(Remark(kind="bad", text=f"The session was interrupted{why}: only its finished blocks are here."))
    if run.commit.dirty:
        found.append(Remark(kind="note", text="The working tree had changes that the commit does not contain."))
    found.append(Remark(kind="note", text=certainty(run, summary)))
    return tuple(sorted(found, key=lambda remark: ("bad", "note", "good").index(remark.kind)))


def certainty(run: Run, summary: Summary) -> str:
    """What the intervals are, or why there are none."""
    number = len({block.round for block in run.blocks})
    rounds = count(number, "round")
    if not summary.intervals:
        why = "One measurement shows no spread" if number <= 1 else "Too few valid blocks to show the spread"
        return f"{rounds}: no interval. {why}, so a lead may be noise."
    return (
        f"{rounds}: {100 * summary.confidence:g}% intervals, Student t over rounds of paired blocks. They cover noise "
        "within this session, not what all its rounds share."
    )


def _parity(run: Run, summary: Summary) -> list[Remark]:
    if not run.parity:
        return [Remark(kind="bad", text="Parity was not checked: the backends may do unequal work.")]
    if summary.differences:
        text = f"Unequal work ({count(len(summary.differences), 'difference')}): this does not compare the backends."
        return [Remark(kind="bad", text=text)]
    statements = {entry.statements_per_request for entry in run.parity}
    if len(statements) > 1:
        return [Remark(kind="bad", text="Unequal work: the statements for each request differ between backends.")]
    return [Remark(kind="good", text=f"Equal work: {count(statements.pop(), 'statement')} for each request.")]


def _validity(run: Run, summary: Summary) -> list[Remark]:
    total = sum(block.arm == "candidate" for block in run.blocks)
    if not summary.invalid:
        return [Remark(kind="good", text=f"All {count(total, 'block')} are valid.")] if total else []
    lost = len(summary.lost)
    repeated = len(summary.invalid) - lost
    parts = []
    if text := missing(run):
        parts.append(text)
    if repeated:
        parts.append(f"{repeated} repeated with success")
    if lost:
        parts.append(f"{lost} without a valid repetition, shown as invalid and left out of every number")
    text = f"{len(summary.invalid)} of {count(total, 'block')} invalid: {', '.join(parts)}."
    return [Remark(kind="bad" if lost else "note", text=text)]


DISTURBED = "○"
"""Marks what was disturbed: a hollow point."""


def _disturbed(run: Run, summary: Summary) -> list[Remark]:
    """What others took, and what is made of it."""
    if not summary.disturbed:
        return []
    used = [entry.block for entry in summary.disturbed if entry.used]
    total = sum(block.arm == "candidate" for block in run.blocks)
    who = Counter(one.rule for entry in summary.disturbed for one in entry.block.disturbances)
    worst = max(entry.block.disturbed_cpus for entry in summary.disturbed)
    why = ", ".join(f"{rule} {number}x" for rule, number in who.most_common())
    text = f"{len(summary.disturbed)} of {count(total, 'block')} disturbed ({why}; up to {worst:.2f} CPUs taken)"
    if not used:
        return [Remark(kind="note", text=f"{text}: quiet ones took their place.")]
    count_ = "all of them count" if len(used) == len(summary.disturbed) else f"{len(used)} of them count"
    return [
        Remark(
            kind="note",
            text=f"{text}; {count_}, marked {DISTURBED}, as nothing quieter was measured. Their throughput is too "
            "low by up to what others took, and intervals are as much wider; CPU per request says more.",
        )
    ]


def missing(run: Run) -> str:
    """Of which backends nothing counts, and which rules of validity say so; empty where each has something."""
    if not run.lacking:
        return ""
    rules = Counter(v.rule for b in run.blocks if b.backend in run.lacking for v in b.violations)
    why = ", ".join(f"{rule} {number}x" for rule, number in rules.most_common()) or "none was measured"
    what = "pair" if run.baseline else "block"
    return f"no valid {what} of {listing([run.labels[name] for name in run.lacking])} ({why})"


def what_to_do(run: Run) -> str:
    """What helps where something is `missing`."""
    violations = [v for b in run.blocks if b.backend in run.lacking for v in b.violations]
    if all(violation.passing for violation in violations):
        return "measure again when nothing else runs on this machine (bounds: bench.toml [validity])"
    lasting = dict.fromkeys(violation.detail for violation in violations if not violation.passing)
    return f"mend this, then measure again: {'; '.join(list(lasting)[:3])}"


def _held_back(run: Run) -> list[Remark]:
    """Backends that did not use up their own CPU under load while those that serve them nearly used up theirs.

    Arms that were loaded at once share that CPU, so that what both of them used counts; k6 wrote one file for both.
    """
    environment = run.environment
    others = len(parse_cpu_list(environment.database_cpus) | parse_cpu_list(environment.generator_cpus))
    found = []
    for backend in run.backends:
        blocks = {b.raw: b for b in run.counting if b.backend == backend and b.arm == "candidate"}
        at_once = [b for b in run.blocks if b.backend == backend and b.raw in blocks]
        wall_s = math.fsum(b.resources.wall_s for b in blocks.values())
        if not wall_s:
            continue
        own = math.fsum(b.resources.cpu_s for b in at_once) / wall_s
        used = math.fsum(
            b.resources.database_cpu_s + b.resources.generator_cpus * b.resources.wall_s for b in blocks.values()
        )
        if own < BUSY * run.limits.cpus and used / wall_s > NEARLY_BUSY * others:
            who, its, it = run.labels[backend], "its", "it"
            if len(at_once) > len(blocks):
                who, its, it = f"Both versions of {who} together", "their", "them"
            text = (
                f"{who} used {own:.2f} of {its} {count_cpus(run.limits.cpus)}, while database and generator used "
                f"{used / wall_s:.2f} of theirs: they held {it} back. CPU per request says more than throughput here."
            )
            found.append(Remark(kind="note", text=text))
    return found


def footnotes(summary: Summary) -> dict[tuple[str, ...], int]:
    """A number for each distinct set of reasons, in the order of levels and backends."""
    cells: list[Cell] = [cell for level in summary.levels for cell in level.cells if cell.reasons]
    return {reasons: number for number, reasons in enumerate(dict.fromkeys(cell.reasons for cell in cells), 1)}


def command(run: Run, beside: Sequence[str] = ()) -> str:
    """The command that measures the same again, with everything that options can have changed.

    ``beside``: backends that were asked for and could not be measured.
    """
    named = {
        "stack": run.environment.stack,
        "backends": ",".join(dict.fromkeys((*beside, *run.backends))),
        "levels": ",".join(map(str, run.profile.levels)),
        "rounds": str(run.profile.rounds),
        "duration": repr(run.profile.duration_s).removesuffix(".0"),
        "seed": str(run.seed),
        "database": run.environment.database.lower(),
        "durability": run.environment.durability,
    }
    flags = {
        "allow-unequal": any(entry.differences for entry in run.parity),
        "allow-unlimited": not run.limited,
    }
    step, what = "bench", [run.profile.name]
    if run.baseline:
        head = [] if run.commit.dirty else [run.commit.sha]  # else the working tree, which no commit contains
        step, what = "compare", [run.baseline.sha, *head, "--profile", run.profile.name]
    words = [*what, *(word for name, value in named.items() for word in (f"--{name}", value))]
    words += [f"--{name}" for name, given in flags.items() if given]
    return f"{PREFIX}./start_benchmark.sh -s {step} -- {shlex.join(words)}"
