"""A run in the terminal: the closing table, what must be known of it, and where the report is."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from scripts import words
from scripts.escape import plain
from scripts.model import Run
from scripts.report import sentences
from scripts.report.summary import Cell, Level, Summary
from scripts.statistics.intervals import Ratio


def render_terminal(run: Run, summary: Summary, report_path: Path) -> Group:
    """The closing table: throughput, who leads and ratio with interval at each level, what is invalid, the report."""
    table = Table(title="Throughput in requests/s", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("users", justify="right")
    for name in run.backends:
        table.add_column(Text(plain(run.labels[name])), justify="right")
    notes = sentences.footnotes(summary)
    for level in summary.levels:
        table.add_row(str(level.level), *(_terminal_cell(level, cell, notes) for cell in level.cells))
    colours = {"bad": "bold red", "note": "yellow", "good": "green"}
    marks = {"bad": "!", "note": "i", "good": "ok"}
    remarks = Table.grid(padding=(0, 1))
    for remark in sentences.remarks(run, summary):
        remarks.add_row(*(Text(text, style=colours[remark.kind]) for text in (marks[remark.kind], plain(remark.text))))
    headline = Text(plain(sentences.headline(run, summary.standings)), style="bold")
    spread = f", then its {100 * summary.confidence:g}% interval" if summary.intervals else " (no interval)"
    legend = Text(f"Second line: the highest throughput divided by this one's{spread}.", style="dim")
    if any(cell.disturbances for level in summary.levels for cell in level.cells):
        legend.append(f" {sentences.DISTURBED} disturbed: others took CPU meanwhile.")
    reasons = [Text(f"[{number}] INVALID: {'; '.join(texts)}", style="red") for texts, number in notes.items()]
    report = Text.assemble("Report: ", (str(report_path), "bold cyan"), overflow="fold")
    return Group(table, legend, *reasons, Text(), headline, remarks, Text(), report)


def _short(ratio: Ratio) -> str:
    """The ratio and its interval, narrow enough for four backends in 80 columns."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.ratio:.2f}x"
    return f"{ratio.ratio:.2f}x {ratio.low:.2f}-{ratio.high:.2f}"


def _terminal_cell(level: Level, cell: Cell, notes: dict[tuple[str, ...], int]) -> Text:
    """Throughput above, standing below; who leads and what is invalid are told by words, not by colour alone."""
    mark = f"INVALID [{notes[cell.reasons]}]" if cell.reasons else ""
    if cell.throughput_rps is None:
        return Text(mark or "not measured", style="red" if mark else "dim")
    text = Text(words.figure(cell.throughput_rps))
    if mark:  # on the first line, as no row takes three
        text.append(f" {mark.removeprefix('INVALID ')}", style="red")
    standing = level.standing
    if cell.backend == standing.leader:
        text.append("\nLEADS")
        text.stylize("bold green")
    elif standing.kind == "alike" and cell.backend == standing.top:
        text.append("\nnot told apart")
    elif cell.ratio is not None:
        text.append(f"\n{_short(cell.ratio)}", style="dim")
    if cell.disturbances:
        text.append(f" {sentences.DISTURBED}", style="yellow")
    return text
