"""What the terminal shows while a session goes on: a live table, or lines where there is no terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scripts.model import Block, Profile
from scripts.session import Planned


def describe(block: Block) -> str:
    """A block in one line, its reasons when it is invalid."""
    if not block.valid:
        return "INVALID: " + "; ".join(violation.detail for violation in block.violations)
    latency = block.load.latency
    assert latency is not None  # a block without latency is invalid
    return (
        f"{block.load.throughput_rps:7.1f} requests/s   p95 {latency.p95_ms:7.0f} ms   "
        f"CPU {block.resources.cpu_ms_per_request or 0:5.1f} ms a request"
    )


class SessionProgress:
    """Shows what runs, what is left, and the latest figures (implements `scripts.session.Progress`)."""

    def __init__(self, console: Console, profile: Profile, labels: Mapping[str, str]) -> None:
        self._console, self._profile, self._labels = console, profile, labels
        self._total = len(labels) * len(profile.levels) * profile.rounds
        self._latest: dict[tuple[str, int], Block] = {}
        self._remaining_s = 0.0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=self._total, left="")
        self._live: Live | None = None
        self._last = ""

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the display up during the session. It redraws only between blocks and once a second."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self._render(), console=self._console, refresh_per_second=1, transient=True) as self._live:
            yield
        self._live = None

    def warming(self, backend: str) -> None:
        self._tell(f"warming up {self._labels[backend]}")

    def measuring(self, planned: Planned, attempt: int, finished: int, remaining_s: float) -> None:
        again = f", attempt {attempt}" if attempt > 1 else ""
        left = f"about {max(remaining_s, 0) / 60:.1f} min left"
        self._bar.update(self._task, completed=finished, left=left)
        text = f"{self._labels[planned.backend]}, {planned.level} users, round {planned.round}{again}"
        if self._live is None:
            self._console.print(f"[{finished + 1}/{self._total}] {text} ({left})", highlight=False, markup=False)
        else:
            self._tell(text)

    def measured(self, block: Block, finished: int) -> None:
        self._latest[block.backend, block.level] = block
        self._last = ""
        self._bar.update(self._task, completed=finished)
        if self._live is None:
            self._console.print(f"        {describe(block)}", highlight=False, markup=False)
        else:
            self._live.update(self._render())

    def waiting(self) -> None:
        text = "waiting: something else takes CPU from this machine"
        if self._live is not None:
            self._tell(text)
        elif self._last != text:
            self._console.print(text)
        self._last = text

    def _tell(self, text: str) -> None:
        self._bar.update(self._task, description=text)
        if self._live is None:
            self._console.print(text, highlight=False, markup=False)
        else:
            self._live.update(self._render())

    def _render(self) -> RenderableType:
        table = Table(title="requests/s so far (latest round)", expand=False)
        table.add_column("users", justify="right")
        for label in self._labels.values():
            table.add_column(label, justify="right")
        for level in self._profile.levels:
            cells = [self._cell(self._latest.get((backend, level))) for backend in self._labels]
            table.add_row(str(level), *cells)
        return Group(table, self._bar)

    @staticmethod
    def _cell(block: Block | None) -> str:
        if block is None:
            return "·"
        return f"{block.load.throughput_rps:.1f}" if block.valid else "invalid"
