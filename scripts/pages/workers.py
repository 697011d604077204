"""Work spread over the processors."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

Told = Callable[[int, int], None]
"""Is told how many parts are done, of how many."""

_work: Callable[[Any], Any]


def spread(work: Callable[[T], R], parts: Sequence[T], told: Told = lambda _done, _all: None) -> Iterator[R]:
    """The results of ``work`` on each part, in the order of the parts.

    With two parts or more they are made by forked processes, which have at hand what this one has in memory; ``work``
    and ``parts`` need not be picklable, results must be.
    """
    told(0, len(parts))
    processes = min(len(os.sched_getaffinity(0)), len(parts))
    if processes < 2:
        for done, part in enumerate(parts, 1):
            yield work(part)
            told(done, len(parts))
        return
    global _work
    _work = lambda place: work(parts[place])  # noqa: E731 (inherited by the fork)
    with multiprocessing.get_context("fork").Pool(processes, _prepare) as pool:
        for done, result in enumerate(pool.imap(_at, range(len(parts))), 1):
            yield result
            told(done, len(parts))
        pool.close()
        pool.join()


def _prepare() -> None:
    """Ctrl-C goes to all processes of a terminal; the one that started the others ends them.

    What is inherited is not garbage: looking for some in it would copy all of its memory.
    """
    gc.freeze()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def _at(place: int) -> Any:
    return _work(place)
