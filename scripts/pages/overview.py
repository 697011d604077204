"""The overview: where the backends stand today, what changed lately, and what the published study said. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from scripts import words
from scripts.model import Run, Struct
from scripts.pages import changes as changes_page
from scripts.pages.catalog import Catalog, Published
from scripts.pages.shell import Page, Shell, moment
from scripts.report import sentences
from scripts.report.summary import Cell, Summary, summarize
from scripts.templates import Picture, Table

LATEST_RUNS, LATEST_CHANGES = 12, 5
FIGURES = (
    "throughput_vs_concurrency",
    "latency_p95_vs_concurrency",
    "cpu_per_request_vs_concurrency",
    "cpu_usage_vs_concurrency",
)


class Standing(Struct):
    """A backend in a run. ``sample``: its line and marker. ``peak``: its level of highest throughput; the other figures
    are at the middle level. ``behind``: at how many levels it leads or is not told apart from who does, or how far the
    foremost is ahead of it.
    """

    name: str
    label: str
    sample: Markup
    peak: Cell | None
    behind: str
    middle: int
    throughput: str
    latency_p95_ms: str
    cpu_ms: str
    memory_mb: float | None
    statements: int | None
    equal: bool | None


def render(catalog: Catalog, shell: Shell, run: Run | None) -> str:
    """The page; ``run`` is the catalog's `featured` one, None where there is none."""
    page = Page(path="index.html", title="Overview", section="overview", description="Where the backends stand today")
    ordered = sorted(catalog.all_changes, key=lambda change: change.alert)  # what is to be looked at comes first
    common = {
        "damaged": catalog.damaged,
        "changes": changes_page.entries(tuple(ordered), catalog.labels)[:LATEST_CHANGES],
        "looked": catalog.changes is not None,
        "found": len(catalog.all_changes),
        "latest": tuple(reversed(catalog.cards[-LATEST_RUNS:])),
        "runs": len(catalog.cards),
        "commits": len(catalog.by_commit),
    }
    if run is None:
        return shell.render("overview_empty.html", page, **common)
    summary = summarize(run)
    return shell.render(
        "overview.html",
        page,
        **common,
        run=run,
        started=moment(run.started),
        summary=summary,
        headline=sentences.headline(run, summary.standings),
        remarks=sentences.remarks(run, summary),
        outcome=lambda level: sentences.outcome(run, level.standing),
        notes=sentences.footnotes(summary),
        standings=tuple(_standing(run, summary, position, shell) for position in range(len(run.backends))),
        pictures=_pictures(run, summary, shell),
        studies=tuple(
            (study, _ratios(study, run, summary), _rates(study, run, summary)) for study in catalog.published
        ),
    )


def _standing(run: Run, summary: Summary, position: int, shell: Shell) -> Standing:
    from scripts.report import rendering

    name = run.backends[position]
    cells = [level.cells[position] for level in summary.levels]
    measured = [cell for cell in cells if cell.throughput_rps is not None]
    peak = max(measured, key=lambda cell: cell.throughput_rps or 0, default=None)
    middle = cells[len(cells) // 2] if cells else None

    def shown(cell: Cell | None, metric: str) -> str:
        return rendering.with_interval(cell, metric) if cell else words.NOTHING

    parity = next((entry for entry in run.parity if entry.backend == name and entry.arm == "candidate"), None)
    return Standing(
        name=name,
        label=run.labels[name],
        sample=_sample(shell.places.get(name, position)),
        peak=peak,
        throughput=shown(peak, "throughput_rps"),
        behind=_behind(run, summary, position),
        middle=middle.level if middle else 0,
        latency_p95_ms=shown(middle, "latency_p95_ms"),
        cpu_ms=shown(middle, "cpu_ms_per_request"),
        memory_mb=max((cell.max_memory_mb for cell in measured if cell.max_memory_mb is not None), default=None),
        statements=parity.statements_per_request if parity else None,
        equal=not parity.differences if parity else None,
    )


def _sample(place: int) -> Markup:
    """The backend's line with its marker, as in the figures; a picture of what the label says."""
    from scripts.report import charts

    shape = charts.marker(place, 20, 8)
    return Markup(  # numbers only
        f'<svg class="pygal-chart" viewBox="0 0 40 16" aria-hidden="true"><g class="legend"><g '
        f'class="{charts.look_class(place, place)}"><path class="line" d="M0 8h40"/><path class="dot" d="{shape}"/>'
        "</g></g></svg>"
    )


def _behind(run: Run, summary: Summary, position: int) -> str:
    """``leads at 2 of 10 levels, not told apart at 6``, or ``FastAPI has 1.82x to 2.02x its throughput``."""
    name, total = run.backends[position], words.count(len(summary.levels), "level")
    first = sentences.foremost(summary.standings)
    if first is None:
        return ""
    led = sum(standing.leader == name for standing in summary.standings)
    alike = sum(standing.kind == "alike" and name in standing.ahead for standing in summary.standings)
    parts = [f"leads at {led}"] if led else []
    parts += [f"not told apart from the best at {alike}"] if alike else []
    if parts:
        return f"{', '.join(parts)} of {total}"
    found = [
        standing.ratios[name].ratio
        for standing in summary.standings
        if standing.top == first and name in standing.ratios
    ]
    return f"{run.labels[first]} has {_span(found)} its throughput" if found else ""


def _span(ratios: Sequence[float]) -> str:
    low, high = f"{min(ratios):.2f}x", f"{max(ratios):.2f}x"
    return low if low == high else f"{low} to {high}"


def _pictures(run: Run, summary: Summary, shell: Shell) -> tuple[Picture, ...]:
    from scripts.report import rendering, study

    figures = study.all_figures(run, summary, shell.places)
    return tuple(rendering.picture(name, figures[name]) for name in FIGURES)


def _ratios(study: Published, run: Run, summary: Summary) -> Table:
    """For each backend: statements a request, and how far today's foremost was ahead of it, then and here."""
    fastest = max(study.throughput_rps, key=lambda name: sum(study.throughput_rps[name]))
    foremost = sentences.foremost(summary.standings)
    first = foremost if foremost in study.throughput_rps else fastest
    here = _throughputs(run, summary)
    parity = {entry.backend: entry.statements_per_request for entry in run.parity if entry.arm == "candidate"}
    rows = []
    for name, rates in study.throughput_rps.items():
        then = [fast / slow for fast, slow in zip(study.throughput_rps[first], rates, strict=True) if slow]
        now = [
            fast / slow
            for level in study.levels
            if (fast := here.get((first, level))) and (slow := here.get((name, level)))
        ]
        rows.append(
            (
                run.labels.get(name, name),
                _text(study.statements_per_request.get(name)),
                _text(parity.get(name)),
                "1" if name == first else _span(then) if then else words.NOTHING,
                "1" if name == first and now else _span(now) if now else words.NOTHING,
            )
        )
    label = run.labels.get(first, first)
    header = ("backend", "statements, study", "statements, here", f"{label} divided by it, study", "here")
    return Table(header=header, rows=tuple(rows))


def _rates(study: Published, run: Run, summary: Summary) -> Table:
    """Requests/s of the io-intensive endpoint at each of the study's levels: of its cycle of endpoints, one is this."""
    here = _throughputs(run, summary)
    header = ["users"]
    for name in study.throughput_rps:
        header += [f"{run.labels.get(name, name)}, study", "here"]
    rows = []
    for place, level in enumerate(study.levels):
        row = [str(level)]
        for name, rates in study.throughput_rps.items():
            row += [words.figure(rates[place] / study.endpoints_per_cycle), words.figure(here.get((name, level)))]
        rows.append(tuple(row))
    return Table(header=tuple(header), rows=tuple(rows))


def _throughputs(run: Run, summary: Summary) -> dict[tuple[str, int], float]:
    return {
        (cell.backend, level.level): cell.throughput_rps
        for level in summary.levels
        for cell in level.cells
        if cell.throughput_rps is not None
    }


def _text(number: int | None) -> str:
    return words.NOTHING if number is None else str(number)
