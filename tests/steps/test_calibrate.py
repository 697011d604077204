"""Known slow-downs for real: what is planted from outside is what a session sees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.calibration import campaign
from scripts.model import METRICS
from tests.processes import running as processes_with
from tests.steps.test_bench import Bench, bench  # noqa: F401  the fixture

pytestmark = pytest.mark.stack

SHORT = ("--rounds", "2", "--duration", "1", "--levels", "2")


@pytest.mark.parametrize("backend", ["fastapi", "django_wsgi", "django_asgi"])
def test_a_planted_statement_is_counted(bench: Callable[..., Bench], tmp_path: Path, backend: str) -> None:  # noqa: F811
    """In each of the three ways in which backends reach their database."""
    running = bench(
        *("--cases", "statement:3=1", "--backends", backend, "--store", str(tmp_path), *SHORT), step="calibrate"
    )
    assert running.end() == 0, running.text
    session = campaign.read_sessions(tmp_path / "native-duet-2-users")[0]
    counts = {summary.arm: summary.statements_per_request for summary in session.run.parity}
    assert counts == {"baseline": 168, "candidate": 171}
    assert "regression" in running.text


def test_a_campaign_sleeps_allocates_and_goes_on(bench: Callable[..., Bench], tmp_path: Path) -> None:  # noqa: F811
    common = ("--backends", "fastapi", "--store", str(tmp_path), *SHORT)
    first = bench("--cases", "sleep:200=1", "--minutes", "0.01", *common, step="calibrate")
    assert first.end() == 0, first.text
    again = bench("--cases", "sleep:200=1,memory:300=1", *common, step="calibrate")
    assert again.end() == 0, again.text
    assert "[2/2] fastapi, memory:300" in again.text, "the first is not measured again"
    sessions = {s.planted.kind: s for s in campaign.read_sessions(tmp_path / "native-duet-2-users")}

    def ratio(kind: str, metric: str) -> float:
        means = {
            arm: METRICS[metric].mean(b for b in sessions[kind].run.blocks if b.arm == arm)  # type: ignore[index]
            for arm in ("candidate", "baseline")
        }
        assert means["candidate"] is not None
        assert means["baseline"] is not None
        return means["candidate"] / means["baseline"]

    assert ratio("sleep", "latency_mean_ms") > 1.5
    assert ratio("memory", "peak_memory_mb") > 3


@pytest.mark.docker
@pytest.mark.usefixtures("compose")
def test_a_neighbour_is_recorded_with_its_session_in_containers_and_natively(
    bench: Callable[..., Bench],  # noqa: F811
    tmp_path: Path,
) -> None:
    for stack in ("native", "compose"):
        running = bench(
            *("--cases", "none=1", "--backends", "fastapi", "--store", str(tmp_path), *SHORT),
            *("--neighbour", "other:0.3"),
            step="calibrate",
            stack=stack,
        )
        assert running.end() == 0, running.text
        assert f"[1/1] fastapi, none, {stack} duet, beside other:0.3:steady; about " in running.text
        (session,) = campaign.read_sessions(tmp_path / f"{stack}-duet-neighbours-2-users")
        assert session.beside is not None
        assert session.beside.neighbour.text == "other:0.3:steady"
        assert session.beside.cpus == pytest.approx(0.3, abs=0.08)
        assert not session.run.environment.randomised
        assert {(b.round, b.arm, b.slot) for b in session.run.blocks} == {
            (1, "candidate", 0), (1, "baseline", 1), (2, "candidate", 1), (2, "baseline", 0)
        }  # fmt: skip
        assert not processes_with("scripts.calibration.neighbour")


def test_what_is_missing_is_listed_without_measuring(bench: Callable[..., Bench], tmp_path: Path) -> None:  # noqa: F811
    running = bench("--missing", "--list", "--store", str(tmp_path), step="calibrate")
    assert running.end() == 0, running.text
    lines = running.text.splitlines()
    assert "0 of 10: fastapi, none, compose duet" in lines[0]
    assert "0 of 1: fastapi, quota:0.05, native alternating" in running.text
    assert lines[-1].endswith(" min")
    assert not list(tmp_path.iterdir())


def test_what_a_request_costs_must_be_known_before_it_is_raised(
    bench: Callable[..., Bench],  # noqa: F811
    tmp_path: Path,
) -> None:
    running = bench(
        "--cases", "cpu:0.02=1", "--backends", "fastapi", "--store", str(tmp_path), *SHORT, step="calibrate"
    )
    assert running.end() == 1
    assert "measure a session of the case none first" in running.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--cases", "none"), "no number of sessions"),
        (("--cases", "magic:1=2"), "is no slow-down"),
        (("--neighbour", "backend:3"), "no neighbour"),
        (("--report",), "no session is stored there"),
    ],
)
def test_wrong_arguments_are_named(
    bench: Callable[..., Bench],  # noqa: F811
    tmp_path: Path,
    arguments: tuple[str, ...],
    words: str,
) -> None:
    running = bench(*arguments, "--store", str(tmp_path), step="calibrate")
    assert running.end() == 1
    assert words in running.text
