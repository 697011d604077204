"""What two sessions mean for a change, in data and in words."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from scripts import config
from scripts.model import Event, PipelineError
from scripts.steps.decide import main
from scripts.verdict import decision, decision_text
from scripts.verdict.decision import LABEL, Acceptance, Decision
from scripts.verdict.judgement import Outcome, Verdict, broken_backend, judge
from scripts.verdict.record import encode_verdict
from scripts.verdict.text import COMMENT_LIMIT, MARKER, named
from tests.factories import make_paired_run

SETTINGS = config.load()
BOTH = ("fastapi", "django_wsgi")
HOSTILE = "<img src=x onerror=alert(1)> | `a` [b](http://c) @everyone\n# d $x$"


def verdict(slower: float = 0.0, seed: int = 1, **changes: object) -> Verdict:
    run = make_paired_run(seed, slower=slower, noise=0.002, **changes)  # type: ignore[arg-type]
    return judge(run, run.commit, run.commit, SETTINGS.compare, {}, "nox -s compare -- main")


def decide(first: Verdict | None, second: Verdict | None = None, *accepted: Acceptance) -> Decision:
    return Decision(schema_version=1, first=first, second=second, accepted=accepted)


def event(kind: str = "accepted", backends: tuple[str, ...] = ("fastapi",), metrics: tuple[str, ...] = ()) -> Event:
    return Event(commit="a" * 40, kind=kind, text="wanted", backends=backends, metrics=metrics)  # type: ignore[arg-type]


BAD, GOOD = verdict(0.08), verdict(0.0, 2)


def test_one_session_alone_forbids_nothing() -> None:
    made = decide(BAD)
    assert [v.backend for v in made.suspected] == ["fastapi"]
    assert made.blocking == ()
    assert "gave no verdict: run it again" in decision_text.headline(made)


def test_two_sessions_that_agree_forbid_a_change() -> None:
    made = decide(BAD, verdict(0.07, 3))
    assert [v.backend for v in made.blocking] == ["fastapi"]
    assert decision_text.headline(made) == (
        f"Regression in {named(made.confirmed[0])}, confirmed by a second session on a fresh runner: "
        "look at it before this is merged."
    )
    text = decision_text.render(made)
    assert text.startswith(f"{MARKER}\n**Regression in FastAPI (")
    assert "`history/events.toml`" in text
    assert text.index("Second session") < text.index("First session")


def test_a_session_that_had_to_be_held_has_to_say_something() -> None:
    assert decide(None).unfinished
    assert decide(None, GOOD).unfinished
    assert decide(BAD).unfinished
    assert not decide(BAD, GOOD).unfinished
    assert not decide(GOOD).unfinished
    nothing = judge(None, GOOD.baseline, GOOD.candidate, SETTINGS.compare, {}, "x")
    assert not decide(nothing).unfinished, "nothing had to be measured"


def test_two_that_do_not_agree_forbid_nothing() -> None:
    made = decide(BAD, GOOD)
    assert made.blocking == ()
    assert "No confirmed change" in decision_text.headline(made)
    assert "First session" in decision_text.render(made)


def test_each_backend_has_to_be_confirmed_itself() -> None:
    both = verdict(0.08, backends=BOTH)
    made = decide(both, GOOD)
    assert [v.backend for v in made.suspected] == list(BOTH)
    assert made.blocking == ()
    only = msgspec.structs.replace(both, backends=tuple(b for b in both.backends if b.backend == "django_wsgi"))
    assert [v.backend for v in decide(BAD, only).blocking] == [], "the first did not say so of it"


def test_without_a_regression_the_first_session_is_the_verdict() -> None:
    assert decision_text.headline(decide(GOOD)).endswith("nothing has to be done.")
    assert "Nothing measurable changed" in decision_text.headline(
        decide(judge(None, GOOD.baseline, GOOD.candidate, SETTINGS.compare, {}, "x"))
    )
    assert "ended without a verdict" in decision_text.headline(decide(None))


def test_an_event_accepts_its_backend_and_metrics() -> None:
    confirmed = decide(BAD, BAD).confirmed
    regressed = tuple(f.metric for f in confirmed[0].findings if f.outcome is Outcome.REGRESSION)
    assert len(regressed) > 1
    assert decision.accept(confirmed, [event()], []) == [Acceptance(backend="fastapi", by="event", text="wanted")]
    assert decision.accept(confirmed, [event(metrics=regressed)], []) != []
    assert decision.accept(confirmed, [event(metrics=regressed[:1])], []) == [], "the others still block"
    assert decision.accept(confirmed, [event(kind="note")], []) == []
    assert decision.accept(confirmed, [event(backends=("django_wsgi",))], []) == []


def test_counts_and_failures_need_an_event_about_everything() -> None:
    more = verdict(0.0, statements=(168, 176))
    (confirmed,) = decide(more, more).confirmed
    assert decision.accept([confirmed], [event(metrics=tuple(SETTINGS.compare.metrics))], []) == []
    assert decision.accept([confirmed], [event()], []) != []
    broken = broken_backend(SETTINGS.backends[0], "candidate", "it exits")
    assert decision.accept([broken], [event(metrics=("throughput_rps",))], []) == []


def test_the_label_accepts_everything() -> None:
    made = decide(BAD, BAD)
    accepted = decision.accept(made.confirmed, [], ["bug", LABEL])
    made = decide(BAD, BAD, *accepted)
    assert made.blocking == ()
    assert "confirmed, and accepted" in decision_text.headline(made)
    assert f"by the label: {LABEL}" in decision_text.render(made)


def test_it_round_trips() -> None:
    made = decide(BAD, GOOD, Acceptance(backend="fastapi", by="event", text="x"))
    assert decision.decode(decision.encode(made), "x") == made


def document(**changes: object) -> bytes:
    return msgspec.json.encode(msgspec.to_builtins(decide(BAD, GOOD)) | changes)


MANY = msgspec.to_builtins(BAD) | {"backends": [msgspec.to_builtins(BAD.backends[0])] * 1_000}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        document(extra=1),
        document(schema_version=2),
        document(first={"schema_version": 1}),
        document(first=msgspec.to_builtins(BAD) | {"schema_version": 9}),
        document(first=msgspec.to_builtins(BAD) | {"false_alarms": "NaN"}),
        document().replace(b'"wall_s":', b'"wall_s":NaN,"x":'),
        document().replace(b'"wall_s":', b'"wall_s":Infinity,"x":'),
        document(first=MANY),
        document(accepted=[{"backend": "a", "by": "event", "text": "b"}] * 5_000),
    ],
)
def test_a_hostile_record_is_refused(data: bytes) -> None:
    with pytest.raises(PipelineError, match=r"decision\.json: "):
        decision.decode(data, "decision.json")


def hostile() -> Decision:
    backend = msgspec.structs.replace(BAD.backends[0], label=HOSTILE, backend=HOSTILE, reason=HOSTILE)
    commit = msgspec.structs.replace(BAD.candidate, subject=HOSTILE)
    bad = msgspec.structs.replace(BAD, backends=(backend,), candidate=commit, command=HOSTILE, stopped_by=HOSTILE)
    return decide(bad, bad, Acceptance(backend="x", by="event", text=HOSTILE))


def test_hostile_texts_are_shown_as_they_are() -> None:
    text = decision_text.render(hostile())
    shown = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert "<img" not in shown.replace("\\<img", "")
    assert "@everyone" not in shown
    assert "](http://" not in shown
    assert "\n# d" not in text


def test_a_comment_always_fits() -> None:
    backend = msgspec.structs.replace(BAD.backends[0], reason="x" * 3_000)
    long = msgspec.structs.replace(BAD, backends=(backend,) * 40)
    text = decision_text.render(decide(long, long))
    assert len(text) <= COMMENT_LIMIT
    assert text.endswith("verdict.json has it all._\n")


def test_a_run_without_a_record_is_told_honestly() -> None:
    text = decision_text.render_failure("cancelled", "https://github.com/o/r/actions/runs/1")
    assert text.startswith(f"{MARKER}\n**The benchmark was cancelled before it had a verdict: nothing can be said.**")
    assert "ended (failure)" in decision_text.render_failure("failure", "https://x")


def test_what_nothing_is_known_of_forbids_a_change() -> None:
    """A required check that has checked nothing must not be green."""
    nothing = verdict(invalid_rounds=range(1, 13))
    assert {b.outcome for b in nothing.backends} == {Outcome.INVALID}
    made = decide(nothing)
    assert [v.backend for v in made.unjudged] == ["fastapi"]
    assert decision_text.headline(made) == "Nothing can be said of FastAPI: too few pairs are valid. Run it again."
    assert "k6 used 0.93 CPUs" in decision_text.render(made)
    assert f"The label `{LABEL}` lets it pass" in decision_text.render(made)
    assert decide(GOOD).unjudged == ()
    assert decide(None).unjudged == ()


@pytest.mark.parametrize(("first", "code"), [(verdict(invalid_rounds=range(1, 13)), 4), (GOOD, 0)])
def test_the_check_fails_where_nothing_is_known(
    tmp_path: Path, first: Verdict, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_EVENT_PATH", raising=False)
    (tmp_path / "verdict.json").write_bytes(encode_verdict(first))
    assert main(["--base", "HEAD", "--first", str(tmp_path), "--output", str(tmp_path / "decision")]) == code
    assert (tmp_path / "decision/decision.json").exists()


def test_one_backend_of_several_is_enough() -> None:
    both = verdict(backends=BOTH)
    invalid = verdict(invalid_rounds=range(1, 13)).backends[0]
    made = decide(msgspec.structs.replace(both, backends=(invalid, both.backends[1])))
    assert [v.backend for v in made.unjudged] == ["fastapi"]


@pytest.mark.parametrize("second", [verdict(invalid_rounds=range(1, 13)), msgspec.structs.replace(GOOD, backends=())])
def test_a_second_session_that_says_nothing_does_not_acquit(second: Verdict) -> None:
    made = decide(BAD, second)
    assert [v.backend for v in made.unjudged] == ["fastapi"]
    assert "Nothing can be said of FastAPI" in decision_text.headline(made)
    baseline = broken_backend(SETTINGS.backends[0], "baseline", "it exits")
    assert decide(BAD, msgspec.structs.replace(second, backends=(baseline,))).unjudged == (baseline,)


def test_a_confirmed_regression_is_said_first() -> None:
    both = verdict(0.08, backends=BOTH)
    invalid = verdict(invalid_rounds=range(1, 13)).backends[0]
    first = msgspec.structs.replace(both, backends=(invalid, both.backends[1]))
    made = decide(first, msgspec.structs.replace(both, backends=(both.backends[1],)))
    assert [v.backend for v in made.blocking] == ["django_wsgi"]
    assert decision_text.headline(made).startswith(
        "Regression in Django WSGI (+8.0% CPU per request, 7.9 to 8.2), confirmed"
    )


def test_the_label_lets_pass_what_nothing_is_known_of() -> None:
    made = decide(verdict(invalid_rounds=range(1, 13)))
    accepted = decision.accept(made.unjudged, [], [LABEL])
    made = decide(made.first, None, *accepted)
    assert made.unjudged == ()
    assert f"Accepted for FastAPI by the label: {LABEL}" in decision_text.render(made)
