"""Ratios of one run to another."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from scripts.model import PipelineError, Run
from scripts.records import write_run
from scripts.report.contrast import contrast
from scripts.steps.report import main
from tests.factories import make_paired_run, make_run


def slowed(run: Run, factor: float) -> Run:
    """The run with every throughput multiplied by ``factor``."""
    blocks = tuple(
        msgspec.structs.replace(
            block, load=msgspec.structs.replace(block.load, throughput_rps=block.load.throughput_rps * factor)
        )
        for block in run.blocks
    )
    return msgspec.structs.replace(run, blocks=blocks)


def test_a_known_difference_is_found_at_every_level_and_over_all() -> None:
    found = contrast(slowed(make_run(seed=1), 0.8), make_run(seed=2))
    for name in ("fastapi", "django_wsgi", "django_asgi", "fast_django_asgi"):
        for ratios in found.throughput.values():
            ratio = ratios[name]
            assert ratio is not None
            assert ratio.ratio == pytest.approx(0.8, abs=0.05)
            assert ratio.high is not None
            assert ratio.high < 1
        overall = found.overall["throughput_rps"][name]
        assert overall is not None
        assert overall.pairs == 20
        assert overall.low is not None
        assert overall.high is not None
        assert overall.low < 0.8 < overall.high
        assert overall.high - overall.low < 0.04
        cpu = found.overall["cpu_ms_per_request"][name]
        assert cpu is not None
        assert cpu.ratio == pytest.approx(1, abs=0.05)


def test_what_differs_is_listed() -> None:
    run = make_run(seed=1)
    environment = msgspec.structs.replace(run.environment, stack="compose", python="3.13.5")
    other = msgspec.structs.replace(run, environment=environment)
    assert contrast(run, run).conditions == ()
    assert contrast(other, run).conditions == (
        "environment stack: compose instead of native",
        "environment python: 3.13.5 instead of 3.11.7",
    )


def test_an_invalid_block_has_no_ratio() -> None:
    places = [("fastapi", 10, 0), ("fastapi", 10, 1)]
    found = contrast(make_run(levels=(10, 20), invalid=places), make_run(levels=(10, 20), seed=2))
    assert found.throughput[10]["fastapi"] is None
    assert found.throughput[20]["fastapi"] is not None
    assert found.overall["throughput_rps"]["fastapi"] is not None


def test_runs_without_anything_in_common_are_refused() -> None:
    with pytest.raises(PipelineError, match="no backend and level in common"):
        contrast(make_run(levels=(10,)), make_run(levels=(20,)))


def test_a_shared_core_is_not_compared_with_an_own_one() -> None:
    paired = msgspec.structs.replace(make_paired_run(1), layout="duet")
    with pytest.raises(PipelineError, match=r"\(one version alone\) and .* \(duet\) shared their core differently"):
        contrast(make_run(levels=(10,)), paired)


def test_the_report_shows_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        write_run(make_run(seed=seed, levels=(10, 20)), tmp_path / name / "run.json")
    assert main([str(tmp_path / "one"), "--against", str(tmp_path / "two" / "run.json")]) == 0
    shown = capsys.readouterr().out
    assert "divided by run" in shown
    assert "all levels" in shown
    assert "commit sha" in shown
