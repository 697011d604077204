"""What the terminal shows while a session goes on: a live table, or lines where there is no terminal."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from scripts.escape import plain
from scripts.model import Block, Profile
from scripts.session.block import Place


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


class _Progress(ABC):
    """What both kinds of session tell in the same words; how a line is told, each says itself."""

    def __init__(self, console: Console, profile: Profile, labels: Mapping[str, str]) -> None:
        self._console, self._profile, self._labels = console, profile, labels
        self._last = ""

    def warming(self, backend: str) -> None:
        self._tell(f"warming up {self._labels[backend]}")

    def repeating(self, reason: str) -> None:
        self._console.print(f"        measured again: {reason}")

    @abstractmethod
    def _tell(self, text: str) -> None: ...


class PairedProgress(_Progress):
    """Shows a paired session: what runs, what is left at most, and the latest pair (`recorder.Progress`)."""

    def __init__(self, console: Console, profile: Profile, labels: Mapping[str, str]) -> None:
        super().__init__(console, profile, labels)
        self._status: Status | None = None

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Keep one line up to date during the session, where there is a terminal."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("starting", refresh_per_second=1) as self._status:
            yield
        self._status = None

    def measuring(self, place: Place, finished: int, remaining_s: float) -> None:
        again = f", attempt {place.attempt}" if place.attempt > 1 else ""
        if place.part == 0:
            self._tell(
                f"round {place.round} of at most {self._profile.rounds}: {self._labels[place.backend]}, "
                f"{place.level} users{again} (at most {max(remaining_s, 0) / 60:.1f} min left)"
            )

    def measured(self, blocks: Sequence[Block], finished: int) -> None:
        if all(block.valid for block in blocks):
            text = "   ".join(
                f"{block.arm} {block.load.throughput_rps:.1f} requests/s, "
                f"CPU {block.resources.cpu_ms_per_request or 0:.1f} ms"
                for block in sorted(blocks, key=lambda block: block.arm)
            )
        else:
            text = "; ".join(dict.fromkeys(describe(block) for block in blocks if not block.valid))
        self._console.print(f"        {text}")

    def waiting(self) -> None:
        self._tell("waiting: something else takes CPU from this machine")

    def _tell(self, text: str) -> None:
        if self._status is not None:
            self._status.update(text)
        elif text != self._last:
            self._console.print(text)
        self._last = text


class SessionProgress(_Progress):
    """Shows what runs, what is left, and the latest figures (implements `scripts.session.recorder.Progress`)."""

    def __init__(self, console: Console, profile: Profile, labels: Mapping[str, str]) -> None:
        super().__init__(console, profile, labels)
        self._total = len(labels) * len(profile.levels) * profile.rounds
        self._latest: dict[tuple[str, int], Block] = {}
        self._remaining_s = 0.0
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=self._total, left="")
        self._live: Live | None = None

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the display up during the session. It redraws only between blocks and once a second."""
        if not self._console.is_terminal:
            yield
            return
        with Live(self._render(), console=self._console, refresh_per_second=1, transient=True) as self._live:
            yield
        self._live = None

    def measuring(self, place: Place, finished: int, remaining_s: float) -> None:
        again = f", attempt {place.attempt}" if place.attempt > 1 else ""
        left = f"about {max(remaining_s, 0) / 60:.1f} min left"
        self._bar.update(self._task, completed=finished, left=left)
        text = f"{self._labels[place.backend]}, {place.level} users, round {place.round}{again}"
        if self._live is None:
            self._console.print(f"[{finished + 1}/{self._total}] {text} ({left})")
        else:
            self._tell(text)

    def measured(self, blocks: Sequence[Block], finished: int) -> None:
        for block in blocks:
            self._latest[block.backend, block.level] = block
        self._last = ""
        self._bar.update(self._task, completed=finished)
        if self._live is None:
            for block in blocks:
                self._console.print(f"        {describe(block)}")
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
            self._console.print(text)
        else:
            self._live.update(self._render())

    def _render(self) -> RenderableType:
        table = Table(title="requests/s so far (latest round)", expand=False)
        table.add_column("users", justify="right")
        for label in self._labels.values():
            table.add_column(Text(plain(label)), justify="right")
        for level in self._profile.levels:
            cells = [self._cell(self._latest.get((backend, level))) for backend in self._labels]
            table.add_row(str(level), *cells)
        return Group(table, self._bar)

    @staticmethod
    def _cell(block: Block | None) -> str:
        if block is None:
            return "·"
        return f"{block.load.throughput_rps:.1f}" if block.valid else "invalid"
