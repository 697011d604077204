"""The words and number formats that terminal, Markdown and HTML share. Pure; the text is plain and not yet escaped."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from scripts.config import PREFIX
from scripts.cpus import parse_cpu_list
from scripts.model import METRICS, Run, Struct
from scripts.report.standing import Standing
from scripts.statistics.intervals import Ratio, paired_effect
from scripts.verdict.rounds import by_round, log_ratios
from scripts.words import count, count_cpus, listing

if TYPE_CHECKING:  # summary.py uses this module for the terminal
    from scripts.report.summary import Cell, Summary

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


def outcome(run: Run, standing: Standing) -> str:
    """Who leads at a level, or why nobody does."""
    labels = run.labels
    top, ahead = labels.get(standing.top or "", ""), [labels[name] for name in standing.ahead]
    missing = f"no valid block of {listing([labels[name] for name in standing.missing])}" if standing.missing else ""
    match standing.kind:
        case "nothing":
            return "nothing valid"
        case "unequal":
            return "no comparison: unequal work"
        case "alone":
            return f"no comparison: {missing or f'{top} alone was measured'}"
        case "open":
            return "not known: no interval"
        case "missing":
            return f"no leader: {missing}"
        case "alike":
            return f"cannot be told apart: {listing(ahead)}"
        case _:
            return top


def headline(run: Run, standings: Sequence[Standing]) -> str:
    """Who leads at how many levels, who cannot be told apart, and where nobody can say; of a paired run, its ratios."""
    if run.baseline:
        return against_baseline(run)
    labels, total = run.labels, len(standings)
    kinds = Counter(standing.kind for standing in standings)
    if kinds["nothing"] == total:
        return "No block is valid: there is no result."
    if kinds["unequal"]:
        return "Unequal work, so no comparison: nobody leads."
    if len(labels) == 1:
        return f"{next(iter(labels.values()))} was measured alone: there is nobody to compare it with."
    if kinds["open"] == total:
        return f"Who leads is not known: nothing shows how much {_levels(total)} of {listing([*labels.values()])} vary."
    return " ".join([*_led(labels, standings), *_unled(labels, standings)])


def against_baseline(run: Run) -> str:
    """What a paired run answers: the CPU that a request of the candidate takes, divided by the baseline's."""
    metric, parts = METRICS["cpu_ms_per_request"], []
    for name, label in run.labels.items():
        ratios = log_ratios(run.blocks, metric, name)
        rounds = list(by_round(ratios, sorted(ratios)).values())
        if len(rounds) > 1:
            effect = paired_effect(rounds)
            low, high = effect.interval(0.05)
            parts.append(f"{label} {math.exp(effect.log_ratio):.3f} ({low:.3f} to {high:.3f})")
        elif rounds:
            parts.append(f"{label} {math.exp(rounds[0]):.3f} (no interval)")
    if not parts:
        return "No pair is valid: there is no result."
    return f"Candidate divided by baseline, {metric.label}: {', '.join(parts)}."


def _led(labels: Mapping[str, str], standings: Sequence[Standing]) -> Iterator[str]:
    """``FastAPI leads at 2 of 10 levels; FastAPI and Flask cannot be told apart at 8.``"""
    total = len(standings)
    leaders = Counter(standing.leader for standing in standings if standing.leader).most_common()
    alike = Counter(standing.ahead for standing in standings if standing.kind == "alike").most_common()
    parts = [(f"{labels[name]} leads", number) for name, number in leaders]
    parts += [(f"{listing([labels[n] for n in names])} cannot be told apart", number) for names, number in alike]
    said = [
        f"{text} {f'at {number}' if place and number < total else _where(number, total)}"
        for place, (text, number) in enumerate(parts)
    ]
    if said:
        yield f"{'; '.join(said)}."


def _unled(labels: Mapping[str, str], standings: Sequence[Standing]) -> Iterator[str]:
    """``At 10 users Django WSGI has no valid block: nobody leads there.``"""
    lacking = [standing for standing in standings if standing.missing]
    for missing in dict.fromkeys(standing.missing for standing in lacking):
        levels = [str(standing.level) for standing in lacking if standing.missing == missing]
        yield (
            f"{listing([labels[name] for name in missing])} {'has' if len(missing) == 1 else 'have'} no valid block at "
            f"{listing(levels)} users: nobody leads there."
        )
    if unknown := [str(standing.level) for standing in standings if standing.kind == "open"]:
        yield f"At {listing(unknown)} users nothing shows the spread: who leads there is not known."


def _levels(number: int) -> str:
    return f"the {number} levels" if number > 1 else "the level"


def _where(number: int, total: int) -> str:
    if number < total:
        return f"at {number} of {total} levels"
    return {1: "at the only level", 2: "at both levels"}.get(total, f"at all {total} levels")


def leads(run: Run, standings: Sequence[Standing]) -> tuple[str, ...]:
    """For each other backend, how far the foremost one is ahead of it where it has the most: the range over levels."""
    first = None if run.baseline else foremost(standings)
    shown = [standing for standing in standings if standing.top == first and standing.kind in ("leads", "alike")]
    sentences = []
    for name in run.backends if first else ():
        ratios = {standing.level: standing.ratios[name] for standing in shown if name in standing.ratios}
        ahead = [ratio for ratio in ratios.values() if ratio.separated]
        close = [str(level) for level, ratio in ratios.items() if not ratio.separated]
        parts = [f"{_span(ahead)} the throughput of {run.labels[name]}"] if ahead else []
        if close:
            who = "" if ahead else f"{run.labels[name]} "
            parts.append(f"{who}cannot be told apart from it at {listing(close)} users")
        sentences += [", ".join(parts)] if parts else []
    return tuple(sentences)


def foremost(standings: Sequence[Standing]) -> str | None:
    """The backend that leads most often, or else is most often among those ahead; None where nobody can be."""
    led = Counter(standing.leader for standing in standings if standing.leader)
    ahead = Counter(name for standing in standings if standing.kind in ("leads", "alike") for name in standing.ahead)
    return max(ahead, key=lambda name: (led[name], ahead[name]), default=None)


def _span(ratios: Sequence[Ratio]) -> str:
    """One ratio with its interval, or the range of several."""
    low, high = (f"{end(one.ratio for one in ratios):.2f}x" for end in (min, max))
    return interval(ratios[0]) if len(ratios) == 1 else low if low == high else f"{low} to {high}"


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
        return f"{rounds}: no interval. {why}, so who leads is not known."
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
    total = len(run.blocks)
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
