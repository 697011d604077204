"""What calibration makes of sessions whose truth is known, and the simulator beneath it."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from scripts import config
from scripts.calibration import campaign, false_alarms, plan, stacks
from scripts.calibration import text as calibration_text
from scripts.calibration.campaign import CalibrationSession, Case
from scripts.calibration.neighbour import Beside, kinds
from scripts.calibration.neighbour import parse as parse_neighbour
from scripts.model import PipelineError
from scripts.session.plant import Planted, parse
from scripts.statistics import simulate
from scripts.statistics.simulate import Drawn
from scripts.statistics.spread import Prior
from scripts.verdict import noise
from scripts.verdict.judgement import looks
from tests.factories import make_paired_run

TERMS = config.load().compare
NONE = Planted(kind="none")


def session(seed: int, planted: Planted = NONE, backend: str = "fastapi", noise: float = 0.005) -> CalibrationSession:
    run = make_paired_run(seed, backends=(backend,), rounds=14, of=14, noise=noise, slower=planted.size)
    run = msgspec.structs.replace(run, id=f"{planted.text.replace(':', '-')}-{backend}-{seed}", layout="duet")
    return CalibrationSession(schema_version=1, planted=planted, run=run)


@pytest.mark.parametrize("text", ["none", "cpu:0.02", "quota:0.01", "statement:1", "sleep:0.5", "memory:64"])
def test_a_slow_down_is_written_as_it_is_read(text: str) -> None:
    assert parse(text).text == text


@pytest.mark.parametrize("text", ["", "quota", "quota:1", "quota:-1", "cpu:x", "magic:1", "none:1", "sleep:nan"])
def test_what_is_no_slow_down_is_explained(text: str) -> None:
    with pytest.raises(PipelineError, match="is no slow-down") as caught:
        parse(text)
    assert "quota:0.02" in caught.value.hint


def test_a_campaign_goes_on_where_it_was() -> None:
    wanted = [Case(backend=b, planted=NONE, sessions=2) for b in ("fastapi", "django_wsgi")]
    stored: list[CalibrationSession] = []
    order = []
    while (case := campaign.next_case(wanted, stored)) is not None:
        order.append(case.backend)
        stored.append(session(len(stored), backend=case.backend))
    assert order == ["fastapi", "django_wsgi"] * 2


def test_the_whole_campaign_has_what_was_promised_and_begins_with_what_tells_most() -> None:
    names = [backend.name for backend in config.load().backends]
    cases = plan.campaign(names)
    assert len(set(cases)) == len(cases), "no case twice, which would be done as soon as one is"

    def number(**wanted: object) -> int:
        return sum(c.sessions for c in cases if all(getattr(c, key) == value for key, value in wanted.items()))

    for stack in ("native", "compose"):
        assert number(planted=NONE, stack=stack, neighbour=None) == 40
        for share in (0.01, 0.02):
            assert number(planted=Planted(kind="cpu", size=share), stack=stack, neighbour=None) == 12
        for kind in ("statement", "sleep", "memory", "quota"):
            assert sum(c.sessions for c in cases if c.planted.kind == kind and c.stack == stack) >= 4
    beside = [case for case in cases if case.neighbour]
    assert {case.neighbour for case in beside} == set(kinds())
    assert sum(case.sessions for case in beside if case.planted == NONE) >= 24
    assert sum(case.sessions for case in beside if case.planted == Planted(kind="cpu", size=0.02)) >= 12
    assert {case.stack for case in beside} == {"native", "compose"}
    first = campaign.next_case(cases, [])
    assert first is not None
    assert (first.planted, first.stack, first.neighbour) == (NONE, "compose", None)


def test_sessions_beside_a_neighbour_are_cases_of_their_own() -> None:
    neighbour = parse_neighbour("backend:0.3")
    quiet = Case(backend="fastapi", planted=NONE, sessions=2)
    loud = msgspec.structs.replace(quiet, neighbour=neighbour, sessions=1)
    one, other = session(1), msgspec.structs.replace(session(2), beside=Beside(neighbour=neighbour, seed=3, cpus=0.3))
    assert (quiet.count([one, other]), loud.count([one, other])) == (1, 1)
    assert campaign.missing([quiet, loud], [one, other]) == [(quiet, 1)]
    assert plan.store(quiet) == "native-duet"
    assert plan.store(loud) == "native-duet-neighbours"
    contained = msgspec.structs.replace(quiet, stack="compose")
    assert contained.count([one, other]) == 0
    assert loud.text == "fastapi, none, native duet, beside backend:0.3:steady"


def test_the_time_left_is_that_of_sessions_of_the_same_stack() -> None:
    cases = [Case(backend="fastapi", planted=NONE, sessions=3, stack=stack) for stack in ("native", "compose")]
    stored = session(1)
    minutes = stored.run.wall_s / 60
    assert campaign.minutes_left(cases, [stored], {}) == pytest.approx(2 * minutes + 3 * campaign.SESSION_MIN)
    assert campaign.minutes_left(cases, [stored], {"compose": [4.0, 6.0]}) == pytest.approx(2 * minutes + 15)
    assert campaign.minutes_left(cases, [stored], {"native": [10.0]}) == pytest.approx(20 + 3 * campaign.SESSION_MIN)


def test_a_session_of_before_there_were_neighbours_had_none(tmp_path: Path) -> None:
    path = campaign.write_session(session(1), tmp_path)
    path.write_bytes(path.read_bytes().replace(b',"beside":null', b""))
    (one,) = campaign.read_sessions(tmp_path)
    assert one.neighbour is None


def in_containers(one: CalibrationSession, *, randomised: bool = False) -> CalibrationSession:
    environment = msgspec.structs.replace(one.run.environment, stack="compose", randomised=randomised)
    return msgspec.structs.replace(one, run=msgspec.structs.replace(one.run, environment=environment))


def test_both_stacks_are_shown_side_by_side_and_sessions_by_neighbour() -> None:
    natively = [session(seed) for seed in range(3)]
    contained = [in_containers(session(seed, noise=0.01)) for seed in range(10, 13)]
    chance = [in_containers(session(20), randomised=True)]
    beside = Beside(neighbour=parse_neighbour("both:0.5:bursts"), seed=3, cpus=0.97)
    loud = [msgspec.structs.replace(session(seed, noise=0.02), beside=beside) for seed in range(30, 33)]
    wanted = [Case(backend="fastapi", planted=NONE, sessions=4, stack=stack) for stack in ("native", "compose")]
    text = "\n".join(stacks.sections(natively, [*contained, *chance, *loud], TERMS, wanted))
    row = next(line for line in text.splitlines() if line.startswith("| fastapi | CPU per request | 3, 42 |"))
    native_sd, contained_sd = float(row.split("|")[4].strip(" %")), float(row.split("|")[7].strip(" %"))
    assert contained_sd == pytest.approx(2 * native_sd, rel=0.3), "and nothing of what was left to chance is in it"
    assert "| both:0.5:bursts:" not in text
    found = next(
        line for line in text.splitlines() if line.startswith("| both:0.5:bursts | native | none | fastapi | 3")
    )
    assert "| 0.97 | 0 | x " in found
    assert "**0 of 3 sessions of the same code beside a neighbour say a change.**" in text
    assert "| none, duet | native | 1 | 4 |" in text
    assert "| none, duet | compose | 1 | 4 |" in text, text


def test_what_has_not_been_measured_is_said() -> None:
    text = "\n".join(stacks.sections([session(1), session(2)], [], TERMS, []))
    assert "**Nothing has been measured in containers in this setting.**" in text
    assert "**No session has had a neighbour so far.**" in text
    assert "the campaign is complete" in text


def test_sessions_are_stored_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    one = session(1)
    path = campaign.write_session(one, tmp_path)
    assert campaign.read_sessions(tmp_path) == [one]
    path.write_text("{")
    said: list[str] = []
    assert campaign.read_sessions(tmp_path, said.append) == []
    assert f"{path.name}: not a calibration session" in said[0]


def test_false_alarms_and_power_are_counted() -> None:
    planted = Planted(kind="cpu", size=0.05)
    sessions = [session(seed) for seed in range(6)] + [session(seed, planted) for seed in range(4)]
    effects = {e.planted.text: e for e in campaign.summarize_effects(sessions, TERMS)}
    assert effects["none"].sessions == 6
    assert effects["none"].wrong == 0
    assert effects["cpu:0.05"].found == 4
    assert effects["cpu:0.05"].covered >= effects["cpu:0.05"].intervals - 1
    assert effects["none"].intervals == 6 * len(TERMS.metrics)


def test_the_noise_that_was_put_in_is_found() -> None:
    found = campaign.measure_noise([session(seed, noise=0.01) for seed in range(12)], TERMS)
    cost = next(n for n in found if n.metric == "cpu_ms_per_request")
    assert cost.rounds == 12 * 14
    assert cost.round_sd == pytest.approx(0.01, rel=0.15)
    assert cost.pair_sd == pytest.approx(0.01 / 3, rel=0.15)
    assert cost.process_sd == pytest.approx(0.01, rel=0.15)
    assert cost.session_p > 0.001
    assert math.isnan(cost.place), "the arms stayed in their slots"


def test_what_slots_differ_by_is_found_and_taken_out() -> None:
    sessions = []
    for seed in range(12):
        run = make_paired_run(seed, rounds=8, of=8, noise=0.003, slots_differ=0.01)
        run = msgspec.structs.replace(run, id=f"none-fastapi-{seed}")
        sessions.append(CalibrationSession(schema_version=1, planted=NONE, run=run))
    cost = next(n for n in campaign.measure_noise(sessions, TERMS) if n.metric == "cpu_ms_per_request")
    assert cost.place == pytest.approx(0.01, abs=4 * cost.place_error)
    assert cost.round_sd == pytest.approx(0.003, rel=0.25)
    prior = campaign.fit_priors(sessions, TERMS)["fastapi/cpu_ms_per_request"]
    assert prior.between == pytest.approx(9e-6, rel=0.6), "what slots differ by is not in it"
    effects = campaign.summarize_effects(sessions, TERMS)
    assert effects[0].wrong == 0


def test_priors_are_kept_and_read_for_the_setting_that_they_were_made_in(tmp_path: Path) -> None:
    sessions = [session(seed, noise=0.01) for seed in range(10)]
    run = msgspec.structs.replace(sessions[0].run, layout="duet")
    priors = campaign.fit_priors(sessions, TERMS)
    prior = priors["fastapi/cpu_ms_per_request"]
    assert prior.ratio == pytest.approx(1 + 9 * 2, rel=0.4), "a round's own noise, and a third of it for each pair"
    assert prior.between == pytest.approx(1e-4, rel=0.4)
    noise.write_priors(noise.setting_of(run), priors, tmp_path)
    assert noise.priors_for(run, tmp_path) == priors
    profile, environment = run.profile, run.environment
    others = {
        "levels": msgspec.structs.replace(run, profile=msgspec.structs.replace(profile, levels=(2,))),
        "windows": msgspec.structs.replace(run, profile=msgspec.structs.replace(profile, duration_s=1.0)),
        "pairs": msgspec.structs.replace(run, profile=msgspec.structs.replace(profile, pairs=1)),
        "layout": msgspec.structs.replace(run, layout="alternating"),
        "stack": msgspec.structs.replace(run, environment=msgspec.structs.replace(environment, stack="compose")),
        "database": msgspec.structs.replace(run, environment=msgspec.structs.replace(environment, database="MariaDB")),
        "durability": msgspec.structs.replace(run, environment=msgspec.structs.replace(environment, durability="disk")),
    }
    assert {name: noise.priors_for(other, tmp_path) for name, other in others.items()} == {name: {} for name in others}
    shorter = msgspec.structs.replace(run, profile=msgspec.structs.replace(profile, rounds=4))
    assert noise.priors_for(shorter, tmp_path) == priors, "how many rounds there are makes no round noisier"
    (tmp_path / "native.json").write_text("[]")
    with pytest.raises(PipelineError, match=r"native\.json"):
        noise.priors_for(run, tmp_path)


def test_the_document_names_its_figures_and_has_no_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(false_alarms, "SESSIONS", 200)
    sessions = [session(seed) for seed in range(4)] + [session(9, Planted(kind="cpu", size=0.05))]
    files = calibration_text.render(sessions, [], TERMS, Path("docs/calibration.md"))
    text = files[Path("docs/calibration.md")].decode()
    assert "nan" not in text
    assert "0 of 4" in text
    assert "| fastapi | cpu:0.05 | 1 | 1 of 1" in text
    for name in ("calibration_power.svg", "calibration_alarms.svg"):
        assert files[Path("docs") / name].startswith(b"<svg")
        assert f"]({name})" in text


# --- the simulator ------------------------------------------------------------------------------------------------

METRICS = ("throughput_rps", "cpu_ms_per_request")
LOOKS = looks(make_paired_run(of=14).profile, TERMS)
SD = np.diag([1e-4, 1e-4])
PAIRS = np.array([5e-5, 5e-5])
"""What pairs explain: half of the variance."""
PRIORS = {metric: Prior(ratio=2.0, between=5e-5, degrees=16.0) for metric in METRICS}


def drawn(seed: int, sessions: int = 8000, session_sd: float = 0.0) -> Drawn:
    offsets = np.full(2, session_sd)
    return simulate.draw(SD, PAIRS, offsets, sessions, LOOKS[-1], np.random.default_rng(seed))


def test_simulated_sessions_without_change_keep_the_error_rate() -> None:
    terms = msgspec.structs.replace(TERMS, false_alarms=0.05)
    found = simulate.say(drawn(1, 20_000), METRICS, terms, LOOKS, 1, {})
    shares = sum(terms.metrics[m].share for m in METRICS) / sum(t.share for t in terms.metrics.values())
    assert 0.3 * 0.05 * shares < found.changed <= 0.05 * shares + 0.003, (
        "small changes are not said, and offsets are allowed for that these have not"
    )


def test_a_right_prior_finds_more_and_errs_no_more() -> None:
    same, truth, four = drawn(2), np.array([-0.03, 0.03]), LOOKS[:1]
    alone, helped = (simulate.say(same + truth, METRICS, TERMS, four, 1, p).changed for p in ({}, PRIORS))
    assert helped > alone + 0.1
    assert simulate.say(same, METRICS, TERMS, LOOKS, 1, PRIORS).changed <= 0.005


def test_resampled_sessions_have_no_effect_whatever_was_recorded() -> None:
    rng = np.random.default_rng(3)
    recorded = Drawn(rng.normal(0.02, 0.01, (200, 2)), np.full((200, 2), 1e-5))  # both metrics off to one side
    found = simulate.resample(recorded, np.zeros(2), 4000, 14, rng)
    assert found.rounds.shape == found.within.shape == (4000, 14, 2)
    assert abs(found.rounds.mean()) < 0.001
    assert found.rounds.std() == pytest.approx(math.hypot(0.02, 0.01), rel=0.05), "moved a little, and no wider"


def test_what_sessions_differ_by_is_found_over_all_metrics() -> None:
    sessions = [session(seed) for seed in range(40)]
    apart = [
        msgspec.structs.replace(one, run=make_paired_run(seed, rounds=14, of=14, slower=0.01 * (-1) ** seed))
        for seed, one in enumerate(sessions)
    ]
    alike, unlike = (campaign.session_share(some, campaign.measure_noise(some, TERMS)) for some in (sessions, apart))
    assert alike < 0.06
    assert unlike == pytest.approx((0.01 / 0.005) ** 2, rel=0.3), "in units of a round's variance"
