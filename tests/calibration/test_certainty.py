"""Settings compared by the certainty that they give in the same time."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from scripts.calibration import certainty
from scripts.calibration.campaign import CalibrationSession
from scripts.model import Block, Layout, Run
from scripts.session.plant import Planted
from scripts.verdict import noise
from tests.factories import make_paired_run

METRICS = ("throughput_rps", "cpu_ms_per_request")
BEGAN = datetime(2026, 11, 24, 12, tzinfo=UTC)


def timed(run: Run, seconds: float) -> Run:
    """The run with rounds that start ``seconds`` after each other."""

    def at(block: Block) -> Block:
        started = BEGAN + timedelta(seconds=seconds * (block.round - 1))
        return msgspec.structs.replace(block, started=started.isoformat().replace("+00:00", "Z"))

    return msgspec.structs.replace(run, blocks=tuple(at(block) for block in run.blocks))


def session(seed: int, layout: Layout, noise: float, seconds: float, planted: str = "none") -> CalibrationSession:
    run = make_paired_run(seed, backends=("fastapi",), rounds=14, of=14, noise=noise)
    run = msgspec.structs.replace(timed(run, seconds), layout=layout)
    kind = Planted(kind="none") if planted == "none" else Planted(kind="cpu", size=0.02)
    return CalibrationSession(schema_version=1, planted=kind, run=run)


def test_the_setting_that_is_surer_in_the_same_time_comes_first() -> None:
    quiet = [session(seed, "duet", 0.005, 12) for seed in range(6)]
    noisy = [session(seed, "alternating", 0.02, 6) for seed in range(6)]
    found = certainty.compare_settings([*noisy, *quiet], METRICS)
    assert [(one.metric, one.setting.layout) for one in found] == [
        (metric, layout) for metric in sorted(METRICS) for layout in ("duet", "alternating")
    ]
    assert [one.round_s for one in found] == [12, 6, 12, 6]
    assert {one.rounds for one in found} == {6 * 14}
    assert found[0].error == pytest.approx(found[0].round_sd / math.sqrt(180 / 12))


def test_sessions_with_a_slow_down_do_not_count() -> None:
    assert certainty.compare_settings([session(1, "duet", 0.01, 12, "cpu:0.02")], METRICS) == []


def test_one_round_has_no_length_and_a_single_arm_no_setting() -> None:
    run = make_paired_run(1, backends=("fastapi",), rounds=1, of=14)
    assert certainty.round_s(run) is None
    with pytest.raises(ValueError, match="not a paired run"):
        noise.setting_of(msgspec.structs.replace(run, layout=None))
