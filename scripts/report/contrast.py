"""One run over another of the same backends: the ratio of their figures, and what differs in how they were made."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from scripts import words
from scripts.escape import plain
from scripts.model import METRICS, Block, Metric, PipelineError, Run, Struct
from scripts.report import sentences
from scripts.statistics.intervals import Ratio, Rounds, log_ratio_interval

SHOWN = tuple(METRICS[name] for name in ("throughput_rps", "cpu_ms_per_request", "database_cpu_ms_per_request"))


class Contrast(Struct):
    """Ratios of ``run`` to ``other``, None where one has no valid block.

    ``throughput``: by level and backend. ``overall``: by metric name and backend, over all levels and rounds.
    ``conditions``: what of environment and settings differs, as ``name: this instead of that``.
    """

    throughput: dict[int, dict[str, Ratio | None]]
    overall: dict[str, dict[str, Ratio | None]]
    conditions: tuple[str, ...]


def contrast(run: Run, other: Run, confidence: float = 0.95) -> Contrast:
    """Compare two runs of different sessions, on one machine one soon after the other if it is to mean anything.

    Rounds of different sessions have nothing in common, so that pairing them by their number (`log_ratio_interval`)
    takes nothing out; it only makes independent differences of them. The interval covers the noise within the
    sessions, not what each has of its own (one start of the processes, one hour of the day).
    """
    names = [name for name in run.labels if name in other.labels]
    levels = [level for level in run.levels if level in other.levels]
    if not names or not levels:
        raise PipelineError(
            f"runs {run.id} and {other.id} have no backend and level in common", "name two runs of one profile"
        )
    if run.layout != other.layout:
        one, two = (source.layout or "one version alone" for source in (run, other))
        raise PipelineError(
            f"runs {run.id} ({one}) and {other.id} ({two}) shared their core differently: no ratio of code",
            "name two runs of one profile",
        )

    def rates(source: Run, name: str, metric: Metric) -> dict[int, Rounds]:
        return {level: _by_round(source.select(name, level), metric) for level in levels}

    def overall(metric: Metric, name: str) -> Ratio | None:
        one, two = ({0: _flat(rates(source, name, metric))} for source in (run, other))
        return log_ratio_interval(one, two, 0, confidence)

    first, *_ = SHOWN
    by_name = {name: (rates(run, name, first), rates(other, name, first)) for name in names}
    return Contrast(
        throughput={
            level: {name: log_ratio_interval(*by_name[name], level, confidence) for name in names} for level in levels
        },
        overall={metric.name: {name: overall(metric, name) for name in names} for metric in SHOWN},
        conditions=tuple(_conditions(run, other)),
    )


def _by_round(blocks: Iterable[Block], metric: Metric) -> Rounds:
    return {block.round: value for block in blocks if (value := metric.of(block)) is not None and value > 0}


def _flat(rates: dict[int, Rounds]) -> Rounds:
    """All levels' rounds as rounds of one, numbered alike in both runs."""
    return {level * 1_000_000 + number: value for level, rounds in rates.items() for number, value in rounds.items()}


def _conditions(run: Run, other: Run) -> Iterable[str]:
    for part in ("commit", "environment", "limits", "workload"):
        ours, theirs = getattr(run, part), getattr(other, part)
        for field in ("sha",) if part == "commit" else ours.__struct_fields__:
            one, two = getattr(ours, field), getattr(theirs, field)
            if one != two:
                yield f"{part} {field}: {one} instead of {two}"
    for name in run.packages.keys() & other.packages.keys():
        for package, version in run.packages[name].items():
            if version != other.packages[name].get(package):
                yield f"{package} of {name}: {version} instead of {other.packages[name].get(package)}"


def render_contrast(run: Run, other: Run, found: Contrast) -> Group:
    """A row a level, then one over all levels for each of `SHOWN`, then the conditions that differ."""
    names = list(next(iter(found.throughput.values())))
    title = f"Run {run.id} divided by run {other.id}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("throughput at")
    for name in names:
        table.add_column(Text(plain(run.labels[name])), justify="right")
    for level, ratios in found.throughput.items():
        table.add_row(words.count(level, "user"), *(_cell(ratios[name]) for name in names))
    table.add_section()
    for metric in SHOWN:
        ratios = found.overall[metric.name]
        table.add_row(f"{metric.label}, all levels", *(_cell(ratios[name]) for name in names))
    lines = [Text(plain(line)) for line in found.conditions] or [Text("nothing that is recorded")]
    return Group(table, Text("What differs:", style="bold"), *lines)


def _cell(ratio: Ratio | None) -> str:
    return words.NOTHING if ratio is None else sentences.interval(ratio)
