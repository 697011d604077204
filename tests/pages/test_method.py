"""The page of the method: its numbers are those of bench.toml and of stored calibration sessions."""

from __future__ import annotations

import msgspec

from scripts.calibration.campaign import CalibrationSession
from scripts.model import Workload
from scripts.pages import method
from scripts.session.plant import Planted
from tests.catalogs import CONFIG, SHELL, make_catalog
from tests.documents import check
from tests.factories import make_paired_run

NONE, CPU = Planted(kind="none"), Planted(kind="cpu", size=0.05)


def session(seed: int, planted: Planted, pretend: Planted | None = None) -> CalibrationSession:
    """A session in which ``planted`` was, and that says ``pretend`` was."""
    run = make_paired_run(seed, backends=("fastapi",), rounds=14, of=14, noise=0.005, slower=planted.size)
    run = msgspec.structs.replace(run, id=f"{planted.kind}-{seed}")
    return CalibrationSession(schema_version=1, planted=pretend or planted, run=run)


def test_without_sessions_no_rate_is_claimed() -> None:
    found = check(method.render(make_catalog([]), SHELL, {}))
    assert "No calibration session is recorded yet" in found.text
    assert "sessions without any change said one (95% interval" not in found.text
    assert method.calibrated([], CONFIG.compare) is None


def test_the_rates_are_those_of_the_sessions() -> None:
    sessions = [session(seed, NONE) for seed in range(5)] + [session(seed, CPU) for seed in range(3)]
    sessions.append(session(9, Planted(kind="cpu", size=0.015), pretend=NONE))  # a false alarm
    one = method.calibrated(sessions, CONFIG.compare)
    assert one
    assert (one.sessions, one.same, one.alarms) == (9, 6, 1)
    assert 0 < one.low < 1 / 6 < one.high < 1
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=method.Calibrated) == one
    found = check(method.render(make_catalog([]), SHELL, {"native-duet": one}))
    assert "1 of 6 sessions without any change said one" in " ".join(found.text.split())
    rows = {row[0]: row[1:] for row in found.tables["native-duet: what sessions of known truth said"]}
    assert rows["fastapi, cpu 5%"][:2] == ["3", "3 of 3 (29 to 100%)"]
    assert rows["fastapi, the same code twice"][0] == "6"


def test_bounds_are_those_in_force() -> None:
    text = " ".join(check(method.render(make_catalog([]), SHELL, {})).text.split())
    assert f"{Workload().statements} data statements" in text
    assert f"k6 {CONFIG.validity.generator_cpus} CPUs" in text
    assert f"probability of {100 * CONFIG.compare.false_alarms:g}% at most" in text
