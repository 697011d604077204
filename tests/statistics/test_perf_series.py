"""The synthetic series are what they say, and the score counts what it says."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf.detect import BEGIN, END, RECORDED, draw, measure, render, rows, write
from perf.recorded import recorded_series, score_without_steps
from perf.scoring import MARGIN, matches, score
from perf.series import CLOSEST, LENGTHS, MOST_STEPS, NOISE_CV, NOISES, SIZES, Labelled, disturbance, labelled_series
from scripts import config
from scripts.statistics.changepoints import change_points


@pytest.mark.parametrize("noise", NOISES)
def test_series_keep_to_the_recipe(noise) -> None:
    series = labelled_series(1, 200, noise)
    for one in series:
        edges = [0, *sorted(one.steps), len(one.values)]
        assert min(np.diff(edges)) >= CLOSEST
        assert LENGTHS[0] <= len(one.values) <= LENGTHS[1]
        assert NOISE_CV[0] <= one.noise_cv <= NOISE_CV[1]
        assert set(one.steps.values()) <= set(SIZES)
        assert min(one.values) > 0
    assert {len(one.steps) for one in series} == set(range(MOST_STEPS + 1))
    assert series == labelled_series(1, 200, noise)
    assert series != labelled_series(2, 200, noise)
    assert not any(one.steps for one in labelled_series(1, 20, noise, with_steps=False))


def test_a_step_has_its_size() -> None:
    """Averages on both sides of a lone step, where noise is small."""
    for one in labelled_series(3, 300, "independent"):
        if len(one.steps) == 1 and one.noise_cv < 0.02 and len(one.values) > 100:
            ((index, size),) = one.steps.items()
            logs = np.log(one.values)
            step = abs(logs[index:].mean() - logs[:index].mean())
            error = one.noise_cv * np.sqrt(1 / index + 1 / (len(logs) - index))
            assert step == pytest.approx(np.log1p(size), abs=5 * error)


@pytest.mark.parametrize("noise", ["independent", "heavy-tailed", "AR(1)"])
def test_noise_has_its_spread(noise) -> None:
    rng = np.random.default_rng(1)
    spread = np.mean([np.std(disturbance(rng, noise, 0.05, 5000)) for _ in range(20)])
    assert spread == pytest.approx(0.05, rel=0.05)


def test_autocorrelation_and_drift_are_there() -> None:
    rng = np.random.default_rng(2)
    lagged = [np.corrcoef(noise[1:], noise[:-1])[0, 1] for noise in (disturbance(rng, "AR(1)", 1, 2000),) * 20]
    assert 0.15 < min(lagged) <= max(lagged) < 0.65
    ranges = [np.ptp(disturbance(rng, "drift", 1e-9, 200)) for _ in range(100)]
    assert 0.02 <= min(ranges) < 0.03 < 0.07 < max(ranges) <= 0.0801


indexes = st.sets(st.integers(0, 60), max_size=5)


@given(indexes, indexes)
def test_matching_is_one_to_one_near_and_as_large_as_can_be(truth: set[int], found: set[int]) -> None:
    pairs = matches(truth, found)
    assert pairs.keys() <= truth
    assert len(set(pairs.values())) == len(pairs)
    assert set(pairs.values()) <= found
    assert all(abs(index - place) <= MARGIN for index, place in pairs.items())
    few, many = sorted((truth, found), key=len)
    largest = max(
        sum(abs(a - b) <= MARGIN for a, b in zip(sorted(few), order, strict=True))
        for order in itertools.permutations(many, len(few))
    )
    assert len(pairs) == largest


def test_score_by_hand() -> None:
    one = Labelled(values=(1.0,) * 100, noise="independent", noise_cv=0.01, steps={20: 0.03, 60: 0.2})
    other = Labelled(values=(1.0,) * 100, noise="independent", noise_cv=0.01, steps={50: 0.2})
    result = score([one, other], [[24, 26, 60], [44]])
    assert result.recalls == {0.03: 1.0, 0.2: 0.5}
    assert result.precision == 0.5
    assert result.recall == pytest.approx(2 / 3)
    assert result.f1 == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert result.false_alarms == 1.0


def test_table_and_figure_of_a_real_measurement(tmp_path) -> None:
    results = {"ours": measure(change_points, 1, 4), "nothing": measure(lambda _: [], 1, 4)}
    table = rows(results)
    assert {len(row) for row in table} == {3}
    assert table[1][2] == "0.00"
    (tmp_path / "detect.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write(tmp_path / "detect.md", render(table, 1, 4))
    text = (tmp_path / "detect.md").read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("-->\nafter\n")
    assert "old" not in text
    assert f"| F1 | {table[1][1]} | 0.00 |" in text
    assert "nothing" in draw(results)


def test_recorded_series_are_those_of_sessions_without_a_change() -> None:
    series = recorded_series(RECORDED, config.load().compare)
    assert {len(several) for several in series.values()} == {4 * 7}  # backends, metrics
    for ratios, measured in zip(*series.values(), strict=True):
        assert 0.9 < statistics.geometric_mean(ratios) < 1.1
        assert len(measured) > len(ratios) >= 40
    assert score_without_steps([[1.0] * 50, [1.0] * 150], [[], [3, 70]]).false_alarms == 1.0
