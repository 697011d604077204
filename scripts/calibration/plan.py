"""Which sessions the campaign of docs/calibration.md wants of both stacks, the most informative first. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scripts.calibration.campaign import Case, Stack
from scripts.calibration.neighbour import Neighbour, kinds
from scripts.model import Layout
from scripts.session.plant import Planted

STACKS: tuple[Stack, ...] = ("compose", "native")
AT_LEAST_SAME, AT_LEAST_SLOWER = 24, 12
"""So many sessions, over all neighbours, of the same code and of code that is 2% slower."""
SAME = Planted(kind="none")
SLOWER = (Planted(kind="cpu", size=0.02), Planted(kind="cpu", size=0.01))
OTHERS = (
    Planted(kind="statement", size=1),
    Planted(kind="sleep", size=1),
    Planted(kind="memory", size=8),
)
QUOTA = Planted(kind="quota", size=0.05)
"""Felt only where it binds, so not in a duet, whose arms have half a core each."""


def campaign(backends: Sequence[str]) -> list[Case]:
    """Everything. Of cases of which the same share is done the first one is next (`scripts.calibration.campaign`)."""
    return [
        *(_case(name, SAME, 10, stack) for stack in STACKS for name in backends),
        *(_case(name, planted, 3, stack) for planted in SLOWER for stack in STACKS for name in backends),
        *under_neighbours(backends),
        *(_case(name, planted, 1, stack) for planted in OTHERS for stack in STACKS for name in backends),
        *(_case(name, QUOTA, 1, stack, "alternating") for stack in STACKS for name in backends),
    ]


def under_neighbours(backends: Sequence[str]) -> list[Case]:
    """Each kind of neighbour beside the same code and beside 2% more CPU, the backends and the stacks taking turns."""
    found = []
    for number, neighbour in enumerate(kinds()):
        name, stack = backends[number % len(backends)], STACKS[number // len(backends) % len(STACKS)]
        found.append(_case(name, SAME, 1, stack, neighbour=neighbour))
        if number < AT_LEAST_SLOWER:
            found.append(_case(name, SLOWER[0], 1, stack, neighbour=neighbour))
    other: dict[Stack, Stack] = {"native": "compose", "compose": "native"}
    again = [one for one in found if one.planted == SAME][: AT_LEAST_SAME - len(kinds())]
    return [*found, *(_case(one.backend, SAME, 1, other[one.stack], neighbour=one.neighbour) for one in again)]


def _case(
    backend: str,
    planted: Planted,
    sessions: int,
    stack: Stack,
    layout: Layout = "duet",
    neighbour: Neighbour | None = None,
) -> Case:
    return Case(backend=backend, planted=planted, sessions=sessions, stack=stack, layout=layout, neighbour=neighbour)


def stores(cases: Iterable[Case]) -> list[str]:
    """The folders, beneath history/calibration/, of the sessions of these cases."""
    return list(dict.fromkeys(store(case) for case in cases))


def store(case: Case) -> str:
    """``compose-duet``, and with neighbours beside it, which nothing else is to be mixed with: another one."""
    return f"{case.stack}-{case.layout}{'-neighbours' if case.neighbour else ''}"
