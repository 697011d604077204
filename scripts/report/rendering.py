"""A run to the files that people look at. Everything is rendered first, in pure functions; the files come last."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from markupsafe import Markup

from scripts import words
from scripts.model import METRICS, Block, Run
from scripts.records import replace
from scripts.report import charts, sentences, study
from scripts.report.summary import Cell, Summary, summarize
from scripts.templates import SITE, Picture, Row, Table, environment


def write_report(run: Run, directory: Path) -> Path:
    """Write every artifact of the report into the run's directory; returns the path of report.html.

    Each file is replaced in one step. Raises PipelineError when one cannot be written.
    """
    for name, data in artifacts(run).items():
        replace(directory / name, data)
    return directory / "report.html"


def artifacts(run: Run) -> dict[str, bytes]:
    """The content of every file of the report, by name; report.html last."""
    summary = summarize(run)
    files = {
        "incremental_benchmark_results.json": study.render_results(run, summary),
        "incremental_benchmark_report.md": study.render_markdown(run, summary).encode(),
    }
    for name, figure in study.study_figures(run, summary).items():
        svg = charts.standalone(charts.draw(figure))
        files |= {f"{name}.svg": svg.encode(), f"{name}.png": charts.to_png(svg)}
    return files | {"report.html": render_html(run, summary).encode()}


def render_html(run: Run, summary: Summary) -> str:
    """The whole report as one page that needs nothing else: no script, no remote reference, no other file."""
    css = "\n".join((SITE / "static" / name).read_text(encoding="utf-8") for name in ("base.css", "charts.css"))
    digest = base64.b64encode(hashlib.sha256(css.encode()).digest()).decode()
    page = environment().get_template("report.html").render(css=Markup(css), digest=digest, **context(run, summary))
    return page + "\n"


def context(run: Run, summary: Summary, places: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Everything that the templates of a run show: run_head.html and run_body.html; ``places`` as in `study`."""
    pictures = [picture(name, figure) for name, figure in study.all_figures(run, summary, places).items()]
    return {
        "run": run,
        "summary": summary,
        "headline": sentences.headline(run, summary.standings),
        "leads": sentences.leads(run, summary.standings),
        "foremost": "" if run.baseline else run.labels.get(sentences.foremost(summary.standings) or "", ""),
        "remarks": sentences.remarks(run, summary),
        "outcome": lambda level: sentences.outcome(run, level.standing),
        "figure": words.figure,
        "interval": sentences.interval,
        "notes": sentences.footnotes(summary),
        "pictures": pictures,
        "levels": tuple((level.level, _level_table(run, level.cells)) for level in summary.levels),
        "parity": _parity_table(run),
        "invalid": _invalid_table(run, summary),
        "disturbed": _disturbed_table(run, summary),
        "blocks": _blocks_table(run),
        "environment": _environment_table(run),
        "packages": _packages_table(run),
        "command": sentences.command(run),
    }


def picture(name: str, figure: charts.Figure) -> Picture:
    """A figure, drawn, with the table of its numbers."""
    return Picture(
        name=name,
        title=figure.title,
        svg=Markup(charts.draw(figure)),  # escaped by charts.py
        table=_figure_table(figure),
    )


def _figure_table(figure: charts.Figure) -> Table:
    xs = sorted({x for points in figure.series.values() for x in points})

    def cell(label: str, x: int) -> str:
        ends = figure.spread.get(label, {}).get(x)
        between = f" ({words.figure(ends[0])} to {words.figure(ends[1])})" if ends else ""
        return words.figure(figure.series[label].get(x)) + between

    rows = [(str(x), *(cell(label, x) for label in figure.series)) for x in xs]
    return Table(header=("users", *figure.series), rows=tuple(rows))


def with_interval(cell: Cell, metric: str) -> str:
    """``66.8 (60.1 to 74.2)``, or the figure alone where nothing shows its spread."""
    ends = cell.spread.get(metric)
    between = f" ({words.figure(ends[0])} to {words.figure(ends[1])})" if ends else ""
    return words.figure(cell.metrics[metric]) + between


_COLUMNS: dict[str, Callable[[Cell], str]] = {
    "valid rounds": lambda cell: str(cell.rounds),
    "requests/s": lambda cell: with_interval(cell, "throughput_rps"),
    "mean ms": lambda cell: with_interval(cell, "latency_mean_ms"),
    "p50 ms": lambda cell: with_interval(cell, "latency_p50_ms"),
    "p95 ms": lambda cell: with_interval(cell, "latency_p95_ms"),
    "p99 ms": lambda cell: with_interval(cell, "latency_p99_ms"),
    "errors": lambda cell: words.percent(cell.error_rate),
    "CPU %": lambda cell: words.figure(cell.cpu_percent),
    "CPU ms/request": lambda cell: with_interval(cell, "cpu_ms_per_request"),
    "database CPU ms/request": lambda cell: with_interval(cell, "database_cpu_ms_per_request"),
    "mean memory MiB": lambda cell: words.figure(cell.mean_memory_mb),
    "peak memory MiB": lambda cell: words.figure(cell.max_memory_mb),
}


def _level_table(run: Run, cells: Iterable[Cell]) -> Table:
    rows = [(run.labels[cell.backend], *(of(cell) for of in _COLUMNS.values())) for cell in cells]
    return Table(header=("backend", *_COLUMNS), rows=tuple(rows))


def _parity_table(run: Run) -> Table:
    """What one request does, a column for each backend."""
    control = list(dict.fromkeys(word for entry in run.parity for word in entry.control_per_request))
    rows: list[Row] = [
        ("data statements", *(str(entry.statements_per_request) for entry in run.parity)),
        ("rows affected", *(str(entry.rows_per_request) for entry in run.parity)),
        *((word, *(str(entry.control_per_request.get(word, 0)) for entry in run.parity)) for word in control),
        ("connections opened", *(f"{entry.connections_per_request:g}" for entry in run.parity)),
        ("file operations", *(str(entry.file_operations) for entry in run.parity)),
        ("bytes of the answer", *(str(entry.answer_bytes) for entry in run.parity)),
        ("equal work", *("NO" if entry.differences else "yes" for entry in run.parity)),
    ]
    arms = {"candidate": "", "baseline": ", baseline"}
    heads = [run.labels.get(entry.backend, entry.backend) + arms[entry.arm] for entry in run.parity]
    return Table(header=("one request", *heads), rows=tuple(rows))


def _invalid_table(run: Run, summary: Summary) -> Table:
    outcome = {True: "repeated with success", False: "missing from the results"}
    return _named_blocks(run, [(entry.block, entry.reasons, outcome[entry.repeated]) for entry in summary.invalid])


def _disturbed_table(run: Run, summary: Summary) -> Table:
    outcome = {True: "counts", False: "quieter ones count"}
    return _named_blocks(run, [(entry.block, entry.reasons, outcome[entry.used]) for entry in summary.disturbed])


def _named_blocks(run: Run, entries: Iterable[tuple[Block, tuple[str, ...], str]]) -> Table:
    """Blocks of which there is something to say: why, and what became of them."""
    rows = [
        (
            str(block.index),
            run.labels.get(block.backend, block.backend),
            *(str(number) for number in (block.level, block.round, block.attempt)),
            "; ".join(reasons),
            outcome,
        )
        for block, reasons, outcome in entries
    ]
    return Table(header=("block", "backend", "users", "round", "attempt", "reasons", "outcome"), rows=tuple(rows))


def _blocks_table(run: Run) -> Table:
    """A row for each block of every arm, in the order measured; an invalid one has no metrics."""
    shown = [metric for name, metric in METRICS.items() if name == "throughput_rps" or "latency" in name]
    heads = ("block", "round", "backend", "users", "attempt", "requests")
    measured = ("requests/s", *(metric.label for metric in shown[1:]), "k6 CPUs", "foreign CPUs", "stolen CPUs")
    rows = []
    for block in run.blocks:
        label, used = run.labels.get(block.backend, block.backend), block.resources
        counts = (block.index, block.round, label, block.level, block.attempt, block.load.requests)
        cpus = (used.generator_cpus, used.foreign_cpus, used.steal_cpus)
        figures = [words.figure(value) for value in (*(metric.of(block) for metric in shown), *cpus)]
        rows.append((*map(str, counts), *figures, state(block)))
    return Table(header=(*heads, *measured, "state"), rows=tuple(rows))


def state(block: Block) -> str:
    """Whether a block's numbers are right, and whether they are noisier than others, in a word."""
    if not block.valid:
        return "INVALID"
    return f"{sentences.DISTURBED} disturbed" if block.disturbances else "valid"


def _environment_table(run: Run) -> Table:
    facts = msgspec.structs.asdict(run.environment) | {
        "limits": f"{run.limits.cpus:g} CPU, {run.limits.memory_mb} MiB for each backend"
        + ("" if run.limited else " (NOT IN FORCE)"),
        "workload": ", ".join(f"{key} {value}" for key, value in run.workload.answer.items()) if run.workload else "",
        "profile": f"{run.profile.name}: {run.profile.rounds} x {run.profile.duration_s:g} s at each level",
        "seed": str(run.seed),
        "under load": f"{run.load_s:.0f} of {run.wall_s:.0f} s",
    }
    facts["randomised"] = "yes" if run.environment.randomised else "no"
    rows = [(name.replace("_", " "), str(value) or words.NOTHING) for name, value in facts.items()]
    return Table(header=("what", "value"), rows=tuple(rows))


def _packages_table(run: Run) -> Table:
    names = sorted({package for versions in run.packages.values() for package in versions})
    rows = [(name, *(run.packages.get(b, {}).get(name, words.NOTHING) for b in run.backends)) for name in names]
    return Table(header=("package", *run.labels.values()), rows=tuple(rows))
