"""However a history looks, finding changes in it ends, and every finding has something to show."""

from __future__ import annotations

import math
import random

import pytest

from scripts import config
from scripts.checkout import Revision
from scripts.history.changes import Changes
from scripts.history.findings import find
from scripts.history.series import Frame, Moment, Series
from scripts.model import Workload
from tests.factories import LABELS, make_line

TERMS = config.load().detect
FRAMES = (Frame(workload=Workload(), environment="e"), Frame(workload=Workload(), baseline="b" * 40, layout="duet"))


def drifting(seed: int) -> tuple[list[Series], list[Revision]]:
    """Series of every backend over one line that share a wave, have steps of their own near each other, and gaps."""
    rng = random.Random(seed)
    commits = rng.randint(20, 60)
    moments = sorted(rng.choices(range(commits), k=rng.randint(commits, 3 * commits)))
    wave, period = rng.uniform(0, 0.1), rng.uniform(5, 50)
    found = []
    for backend in rng.sample(sorted(LABELS), rng.randint(1, 4)):
        steps = [(rng.randrange(commits), rng.gauss(0, 0.05)) for _ in range(rng.randint(0, 5))]
        for frame in FRAMES[: rng.randint(1, 2)]:
            for metric in TERMS.worth_reporting:
                levels = ((10, 50), (10,), (50,))[rng.randint(0, 2) :]
                for level in levels:
                    places = [place for place in moments if rng.random() < 0.9]
                    logs = [
                        wave * math.sin(place / period)
                        + sum(size for since, size in steps if since <= place)
                        + rng.gauss(0, 0.01)
                        for place in places
                    ]
                    found.append(
                        Series(
                            backend=backend,
                            metric=metric,
                            levels=level,
                            frame=frame,
                            moments=tuple(
                                Moment(run=f"{n:04}", commit=f"{place:040x}", position=place)
                                for n, place in enumerate(places)
                            ),
                            values=tuple(map(math.exp, logs)),
                        )
                    )
    return found, make_line(commits)


def check(found: Changes) -> None:
    for change in found.changes:
        assert change.shown
        assert change.backends == tuple(dict.fromkeys(one.backend for one in change.shown))
        assert (change.before.position, change.before.run) < (change.after.position, change.after.run)
        assert change.shown[0].tier is change.tier


@pytest.mark.parametrize("first", [0, 10])
def test_series_that_drift_and_step_at_the_same_time(first: int) -> None:
    for seed in range(first, first + 10):
        series, line = drifting(seed)
        check(find(series, line, TERMS, (), "last", 0))
