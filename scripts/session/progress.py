"""What the terminal shows while a session goes on: a live table, or lines where there is no terminal."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from scripts.escape import plain
from scripts.model import Block, Profile
from scripts.report.sentences import DISTURBED
from scripts.session.block import Place
from scripts.session.timetable import Timetable
from scripts.words import count


def describe(block: Block) -> str:
    """A block in one line, its reasons when it is invalid or was disturbed."""
    if not block.valid:
        return "INVALID: " + "; ".join(violation.detail for violation in block.violations)
    latency = block.load.latency
    assert latency is not None  # a block without latency is invalid
    figures = (
        f"{block.load.throughput_rps:7.1f} requests/s   p95 {latency.p95_ms:7.0f} ms   "
        f"CPU {block.resources.cpu_ms_per_request or 0:5.1f} ms a request"
    )
    return figures + disturbed([block])


def disturbed(blocks: Sequence[Block]) -> str:
    """What disturbed blocks that were measured at once, to follow their figures; empty where nothing did."""
    found = "; ".join(dict.fromkeys(note.detail for block in blocks for note in block.disturbances))
    return f"   disturbed: {found}" if found else ""


class _Progress(ABC):
    """What both kinds of session tell in the same words; how a line is told, each says itself."""

    def __init__(self, console: Console, profile: Profile, labels: Mapping[str, str]) -> None:
        self._console, self._profile, self._labels = console, profile, labels
        self._last = ""
        self._timetable: Timetable | None = None

    def announced(self, timetable: Timetable) -> None:
        self._timetable = timetable
        self._console.print(
            f"about {timetable.announced_s / 60:.1f} min; at most {timetable.most_s / 60:.1f} min where something has "
            "to be measured again"
        )

    def left(self) -> str:
        """What is left just now, in words."""
        if self._timetable is None:
            return ""
        late = ", as everything is slower than it was at first" if self._timetable.late else ""
        return f"about {self._timetable.left_s / 60:.1f} min left{late}"

    def waiting(self, taken_cpus: float, limit_s: float) -> None:
        self._tell(
            f"waiting, for {limit_s:.0f} s at most, to measure again what was disturbed: "
            f"others take {taken_cpus:.2f} CPUs"
        )

    def settling(self, number: int, why: str) -> None:
        self._console.print(
            f"        {count(number, 'block')} not measured again, as {why}: the best that there is counts"
        )

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
        with self._console.status(_Now(self._words), refresh_per_second=1) as self._status:
            yield
        self._status = None

    def measuring(self, place: Place, finished: int) -> None:
        again = f", attempt {place.attempt}: {place.again}" if place.attempt > 1 else ""
        if place.part == 0:
            self._tell(
                f"round {place.round} of at most {self._profile.rounds}: {self._labels[place.backend]}, "
                f"{place.level} users{again}"
            )

    def measured(self, blocks: Sequence[Block], finished: int) -> None:
        if all(block.valid for block in blocks):
            text = "   ".join(
                f"{block.arm} {block.load.throughput_rps:.1f} requests/s, "
                f"CPU {block.resources.cpu_ms_per_request or 0:.1f} ms"
                for block in sorted(blocks, key=lambda block: block.arm)
            )
            text += disturbed(blocks)
        else:
            text = "; ".join(dict.fromkeys(describe(block) for block in blocks if not block.valid))
        self._console.print(f"        {text}")

    def _words(self) -> str:
        left = self.left()
        return f"{self._last or 'starting'} (at most {left})" if left else self._last or "starting"

    def _tell(self, text: str) -> None:
        if text != self._last:
            self._last = text
            if self._status is None:
                self._console.print(self._words())


class SessionProgress(_Progress):
    """Shows what runs, what is left, and the latest figures (implements `scripts.session.recorder.Progress`)."""

    def __init__(self, console: Console, profile: Profile, labels: Mapping[str, str]) -> None:
        super().__init__(console, profile, labels)
        self._total = len(labels) * len(profile.levels) * profile.rounds
        self._latest: dict[tuple[str, int], Block] = {}
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Left(self),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=self._total)
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

    def measuring(self, place: Place, finished: int) -> None:
        self._bar.update(self._task, completed=finished)
        text = f"{self._labels[place.backend]}, {place.level} users, round {place.round}"
        if place.attempt > 1:
            text = f"again, attempt {place.attempt}: {text}; {place.again}"
        elif self._live is None:
            text = f"[{finished + 1}/{self._total}] {text}"
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

    def _tell(self, text: str) -> None:
        """In the live display what goes on stays in the last line, with the time left beside it."""
        self._bar.update(self._task, description=text)
        if self._live is not None:
            self._live.update(self._render())
        elif self._last != text:
            left = self.left()
            self._console.print(f"{text} ({left})" if left else text)
        self._last = text

    def _render(self) -> RenderableType:
        title = f"requests/s so far (latest round; {DISTURBED} disturbed by others)"
        table = Table(title=title, expand=False)
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
        if not block.valid:
            return "invalid"
        return f"{block.load.throughput_rps:.1f}" + (f" {DISTURBED}" if block.disturbances else "")


class _Left(ProgressColumn):
    """The time left, as it is whenever the display is drawn."""

    def __init__(self, progress: _Progress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        return Text(self._progress.left())


class _Now:
    """A line whose words are asked for whenever it is drawn."""

    def __init__(self, words: Callable[[], str]) -> None:
        self._words = words

    def __rich__(self) -> Text:
        return Text(self._words())
