"""Runs become series: in one environment, or as ratios; in the order of the line, whenever they were measured."""

from __future__ import annotations

import math

import msgspec
import pytest

from scripts.history import fingerprint
from scripts.history.series import COUNTS, Series, gather
from scripts.model import METRICS
from tests.factories import LABELS, LIMITED_BY_K6, make_history, make_line, make_run


def only(series: tuple[Series, ...], backend: str, metric: str, levels: tuple[int, ...] = ()) -> Series:
    (found,) = [s for s in series if (s.backend, s.metric, s.levels) == (backend, metric, levels)]
    return found


def test_absolute_values_are_of_one_environment() -> None:
    runs = make_history([0, 1, 2], {})
    other = msgspec.structs.replace(runs[1].environment, cpu_model="Xeon")
    runs[1] = msgspec.structs.replace(runs[1], environment=other)
    series, left_out = gather(runs, make_line(3), ["throughput_rps"])
    assert left_out == 0
    measured = [s for s in series if not s.counted]
    assert {s.frame.environment for s in measured} == {fingerprint.of(runs[0]), fingerprint.of(runs[1])}
    assert len(measured) == 2 * len(LABELS) * 3, "two environments; each level, and both"
    counts = [s for s in series if s.counted]
    assert len(counts) == len(LABELS) * len(COUNTS)
    assert all(len(s.moments) == 3 for s in counts), "counts do not depend on the environment"


def test_a_value_is_the_mean_over_rounds_and_levels() -> None:
    (run,) = make_history([0], {})
    series, _ = gather([run], make_line(1), ["throughput_rps"])
    metric = METRICS["throughput_rps"]
    each = [metric.mean(run.select("fastapi", level)) or 0 for level in (10, 50)]
    assert only(series, "fastapi", "throughput_rps", (10,)).values[0] == pytest.approx(each[0])
    assert only(series, "fastapi", "throughput_rps", (10, 50)).values[0] == pytest.approx(math.sqrt(each[0] * each[1]))


def test_ratios_join_environments() -> None:
    runs = make_history([0, 1], {("fastapi", 1): 1.25}, paired=True, levels=(10,), backends=("fastapi",))
    other = msgspec.structs.replace(runs[1].environment, cpu_model="Xeon")
    runs[1] = msgspec.structs.replace(runs[1], environment=other)
    series, _ = gather(runs, make_line(2), ["cpu_ms_per_request", "throughput_rps"])
    cpu = only(series, "fastapi", "cpu_ms_per_request", (10,))
    assert (cpu.frame.environment, cpu.frame.baseline, cpu.frame.layout) == ("", "b" * 40, "duet")
    assert cpu.values == pytest.approx((1, 1.25), rel=0.01)
    assert only(series, "fastapi", "throughput_rps", (10,)).values == pytest.approx((1, 0.8), rel=0.01)


def test_the_order_is_that_of_the_line_and_then_of_time() -> None:
    series, _ = gather(make_history([2, 0, 1, 0], {}), make_line(3), ["throughput_rps"])
    for one in series:
        assert [moment.position for moment in one.moments] == [0, 0, 1, 2]
        assert one.moments[0].run < one.moments[1].run
        assert [one.index(moment) for moment in one.moments] == [0, 1, 2, 3]
        assert (one.before(1), one.until(1)) == (2, 3)


def test_runs_off_the_line_are_counted() -> None:
    runs = make_history([0, 1, 2, 7], {})
    runs[1] = msgspec.structs.replace(runs[1], commit=msgspec.structs.replace(runs[1].commit, dirty=True))
    series, left_out = gather(runs, make_line(3), ["throughput_rps"])
    assert left_out == 2
    assert {moment.position for one in series for moment in one.moments} == {0, 2}


def test_a_run_that_lacks_a_level_is_in_the_series_of_the_others() -> None:
    line = make_line(2)
    place = [("fastapi", 50, number) for number in range(2)]
    run = make_run(1, levels=(10, 50), invalid=place, violation=LIMITED_BY_K6)
    series, _ = gather([run], line, ["throughput_rps"])
    assert [s.levels for s in series if s.backend == "fastapi" and not s.counted] == [(10,)]
    assert [s.levels for s in series if s.backend == "django_wsgi" and not s.counted] == [(10, 50), (10,), (50,)]
