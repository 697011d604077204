"""The artifacts of the published study, under its names and in its shapes: figures, results, Markdown report.

Pure: a run and its summary in, figures and text out. Levels without a valid block have no numbers anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from scripts import words
from scripts.escape import markdown
from scripts.model import Run
from scripts.report import sentences
from scripts.report.charts import Figure
from scripts.report.summary import Cell, Summary

X_TITLE = "concurrent users"


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _each(cell: Cell, total: float | None) -> float | None:
    """The mean of one valid round, so that a lost round does not show as a dip."""
    return None if total is None else total / cell.rounds


def _metric(name: str) -> Callable[[Cell], float | None]:
    return lambda cell: cell.metrics[name]


_SPREAD = {
    "throughput_vs_concurrency": "throughput_rps",
    "latency_p95_vs_concurrency": "latency_p95_ms",
    "cpu_per_request_vs_concurrency": "cpu_ms_per_request",
}
"""The figures that show a metric, and so have intervals."""
_FIGURES: dict[str, tuple[str, str, Callable[[Cell], float | None]]] = {
    "throughput_vs_concurrency": ("Throughput", "requests/s", _metric("throughput_rps")),
    "error_rate_vs_concurrency": ("Error rate", "% of requests", lambda cell: _percent(cell.error_rate)),
    "cpu_usage_vs_concurrency": ("CPU usage of the backend", "% of one CPU", lambda cell: cell.cpu_percent),
    "duration_vs_concurrency": ("Duration of one round under load", "s", lambda cell: _each(cell, cell.duration_s)),
    "total_requests_vs_concurrency": (
        "Total requests of one round",
        "requests",
        lambda cell: _each(cell, cell.requests),
    ),
}
_MORE_FIGURES: dict[str, tuple[str, str, Callable[[Cell], float | None]]] = {
    "latency_p95_vs_concurrency": ("Latency, 95th percentile", "ms", _metric("latency_p95_ms")),
    "cpu_per_request_vs_concurrency": ("CPU time for each request", "ms", _metric("cpu_ms_per_request")),
}


def study_figures(run: Run, summary: Summary) -> dict[str, Figure]:
    """The study's five figures by file name without ending."""
    return {name: _figure(run, summary, name, *spec) for name, spec in _FIGURES.items()}


def all_figures(run: Run, summary: Summary, places: Mapping[str, int] | None = None) -> dict[str, Figure]:
    """The study's figures, with those that it lacks put after the throughput.

    ``places``: of backends, in a list that is longer than the run's, so that each looks alike in figures of all runs.
    """
    names = list(_FIGURES)
    specs = {names[0]: _FIGURES[names[0]]} | _MORE_FIGURES | {name: _FIGURES[name] for name in names[1:]}
    known = places or {}
    looks = [(known.get(name, place),) * 2 for place, name in enumerate(run.backends)]
    return {
        name: msgspec.structs.replace(_figure(run, summary, name, *spec), looks=tuple(looks))
        for name, spec in specs.items()
    }


def _figure(run: Run, summary: Summary, name: str, title: str, unit: str, of: Callable[[Cell], float | None]) -> Figure:
    cells = {run.labels[b]: [level.cells[place] for level in summary.levels] for place, b in enumerate(run.backends)}
    metric = _SPREAD.get(name, "")
    return Figure(
        title=title,
        unit=unit,
        x_title=X_TITLE,
        series={label: {cell.level: of(cell) for cell in row} for label, row in cells.items()},
        spread={
            label: {cell.level: cell.spread[metric] for cell in row if metric in cell.spread}
            for label, row in cells.items()
        },
    )


def results(run: Run, summary: Summary) -> list[dict[str, Any]]:
    """One object for each backend and level, in the study's keys.

    Sums over valid rounds: ``duration`` (seconds of wall time under load) and the request counts. Means over valid
    rounds: the others; ``max_memory_mb`` is the largest. ``error_rate`` is a fraction of all requests (0.01 is 1%),
    response times are seconds, ``avg_cpu_percent`` is percent of one CPU, memory is MiB. Where ``valid`` is false
    every measured number is null.
    """
    return [_result(run, cell) for level in summary.levels for cell in level.cells]


def _result(run: Run, cell: Cell) -> dict[str, Any]:
    succeeded = None if cell.requests is None or cell.failed is None else cell.requests - cell.failed

    def seconds(name: str) -> float | None:
        value = cell.metrics[name]
        return None if value is None else value / 1000

    return {
        "framework": cell.backend,
        "label": run.labels[cell.backend],
        "concurrent_users": cell.level,
        "valid": cell.rounds > 0,
        "invalid_reasons": list(cell.reasons),
        "disturbed_reasons": list(cell.disturbances),
        "rounds": cell.rounds,
        "duration": cell.duration_s,
        "total_requests": cell.requests,
        "successful_requests": succeeded,
        "error_requests": cell.failed,
        "error_rate": cell.error_rate,
        "throughput": cell.throughput_rps,
        "avg_response_time": seconds("latency_mean_ms"),
        "p50_response_time": seconds("latency_p50_ms"),
        "p95_response_time": seconds("latency_p95_ms"),
        "p99_response_time": seconds("latency_p99_ms"),
        "avg_cpu_percent": cell.cpu_percent,
        "cpu_ms_per_request": cell.metrics["cpu_ms_per_request"],
        "database_cpu_ms_per_request": cell.metrics["database_cpu_ms_per_request"],
        "avg_memory_mb": cell.mean_memory_mb,
        "max_memory_mb": cell.max_memory_mb,
    }


def render_results(run: Run, summary: Summary) -> bytes:
    """``results`` as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(results(run, summary)), indent=2) + b"\n"


def render_markdown(run: Run, summary: Summary) -> str:
    """The study's report: the outcome first, then its tables, then what they rest on."""
    labels = [run.labels[name] for name in run.backends]
    notes = sentences.footnotes(summary)
    lines = [
        f"# Benchmark of {markdown(', '.join(labels))}",
        "",
        f"**{markdown(sentences.headline(run, summary.standings))}**",
        "",
    ]
    first = run.labels.get(sentences.foremost(summary.standings) or "", "")
    lines += [f"- {markdown(f'{first}: {lead}')}." for lead in sentences.leads(run, summary.standings)]
    words = {"bad": "**Caution:** ", "note": "", "good": ""}
    lines += [f"- {words[remark.kind]}{markdown(remark.text)}" for remark in sentences.remarks(run, summary)]
    if summary.differences:
        lines += ["", "## Unequal work", "", *(f"- {markdown(text)}" for text in summary.differences)]
    lines += ["", "## Who leads at each level", "", *_winners(run, summary)]
    for title, of in _TABLES:
        rows = [[str(level.level), *(_cell(cell, of, notes) for cell in level.cells)] for level in summary.levels]
        lines += ["", f"## {title}", "", *_table(["Users", *labels], rows)]
    if notes:
        lines += ["", "INVALID: no round has a valid block. (n): a round is missing.", ""]
        lines += [f"{number}. {markdown('; '.join(reasons))}" for reasons, number in notes.items()]
    if summary.disturbed:
        lines += ["", f"{sentences.DISTURBED}: others took CPU meanwhile; the number is right, but noisier.", ""]
        reasons = dict.fromkeys("; ".join(entry.reasons) for entry in summary.disturbed if entry.used)
        lines += [f"- {markdown(reason)}" for reason in reasons]
    lines += ["", "## What was measured", "", *_facts(run)]
    return "\n".join(lines) + "\n"


_TABLES: tuple[tuple[str, Callable[[Cell], str]], ...] = (
    ("Throughput (requests/s)", lambda cell: words.figure(cell.throughput_rps)),
    ("Error rate", lambda cell: words.percent(cell.error_rate)),
    ("Mean latency (ms)", lambda cell: words.figure(cell.metrics["latency_mean_ms"])),
    ("Latency, 95th percentile (ms)", lambda cell: words.figure(cell.metrics["latency_p95_ms"])),
    ("Latency, 99th percentile (ms)", lambda cell: words.figure(cell.metrics["latency_p99_ms"])),
    ("CPU usage (% of one CPU)", lambda cell: words.figure(cell.cpu_percent)),
    ("CPU time for each request (ms)", lambda cell: words.figure(cell.metrics["cpu_ms_per_request"])),
    (
        "Database CPU time for each request (ms)",
        lambda cell: words.figure(cell.metrics["database_cpu_ms_per_request"]),
    ),
    ("Peak memory (MiB)", lambda cell: words.figure(cell.max_memory_mb)),
    ("Duration of one round under load (s)", lambda cell: words.figure(_each(cell, cell.duration_s))),
    ("Total requests of one round", lambda cell: words.figure(_each(cell, cell.requests))),
)


def _cell(cell: Cell, of: Callable[[Cell], str], notes: dict[tuple[str, ...], int]) -> str:
    note = f" ({notes[cell.reasons]})" if cell.reasons else ""
    if cell.disturbances:
        note = f" {sentences.DISTURBED}{note}"
    return of(cell) + note if cell.rounds else ("INVALID" + note if note else "not measured")


def _winners(run: Run, summary: Summary) -> list[str]:
    """The study's "Winner" table: who leads, and the highest throughput divided by each other backend's."""
    rows = []
    for level in summary.levels:
        ratios = ["" if cell.ratio is None else sentences.interval(cell.ratio) for cell in level.cells]
        rows.append([str(level.level), sentences.outcome(run, level.standing), *ratios])
    return _table(["Users", "Leads", *(f"against {run.labels[name]}" for name in run.backends)], rows)


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table; the texts are escaped here."""
    escaped = [[markdown(text) for text in row] for row in (header, *rows)]
    return [f"| {' | '.join(row)} |" for row in (escaped[0], ["---:"] * len(header), *escaped[1:])]


def _facts(run: Run) -> list[str]:
    env = run.environment
    return [
        f"- Commit {markdown(run.commit.sha[:12])} ({markdown(run.commit.subject)}), {markdown(run.started)}",
        f"- {markdown(env.database)} {markdown(env.database_version)}, durability {env.durability}; "
        f"Python {markdown(env.python)}; k6 {markdown(env.k6)}; {markdown(env.os)}, {env.stack}",
        f"- {markdown(env.cpu_model)}, {env.cpu_count} CPUs; backend on {markdown(env.backend_cpus)}, "
        f"{run.limits.cpus:g} CPU and {run.limits.memory_mb} MiB each",
        f"- Profile {markdown(run.profile.name)}: {run.profile.duration_s:g} s for each backend, level and round",
        f"- Again: {markdown(sentences.command(run))}",
        "- As data: incremental\\_benchmark\\_results.json; with figures: report.html",
    ]
