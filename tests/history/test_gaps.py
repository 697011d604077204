"""What is measured next, so that a campaign can be interrupted and no commit is tried in vain."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from scripts.history.gaps import Gap, Unmeasured, forget, have, next_gap, note, read_unmeasured, wanted
from tests.factories import LIMITED_BY_K6, make_history, make_line, make_paired_run

NOTE = Unmeasured(
    schema_version=1, commit="a" * 40, subject="One", backend="fastapi", reason="it does not start", noted="2026-11-24",
    stack="native",
)  # fmt: skip


def test_only_what_a_commit_reaches_is_wanted() -> None:
    line = make_line(3, {0: ("fastapi", "django_wsgi"), 1: (), 2: ("django_asgi",)})
    assert wanted(line, ("fastapi", "django_asgi")) == [(line[0].sha, "fastapi"), (line[2].sha, "django_asgi")]


def test_runs_count_where_they_have_a_valid_pair_against_the_anchor() -> None:
    runs = make_history([0, 0, 1], {}, paired=True, levels=(10,), backends=("fastapi",))
    assert have(runs, "b" * 40) == {(f"{0:040x}", "fastapi"): 2, (f"{1:040x}", "fastapi"): 1}
    assert have(runs, "c" * 40) == {}
    assert have(make_history([0], {}), "b" * 40) == {}
    run = make_paired_run(rounds=2, invalid_rounds=(1, 2), violation=LIMITED_BY_K6)
    assert run.baseline
    assert have([run], run.baseline.sha) == {}


def test_backends_of_a_commit_are_measured_together() -> None:
    places = [("a", "fastapi"), ("a", "django_wsgi"), ("b", "fastapi")]
    assert next_gap(places, {}, (), 1) == Gap(commit="a", backends=("fastapi", "django_wsgi"), runs=0)
    assert next_gap(places, {("a", "fastapi"): 1}, (), 2) == Gap(commit="a", backends=("django_wsgi",), runs=0)
    assert next_gap(places, {}, {("a", "fastapi"), ("a", "django_wsgi")}, 1) == Gap(
        commit="b", backends=("fastapi",), runs=0
    )
    assert next_gap(places, dict.fromkeys(places, 1), (), 1) is None


@given(
    places=st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["x", "y", "z"])), unique=True),
    times=st.integers(1, 4),
    data=st.data(),
)
def test_a_campaign_ends_with_everything_measured_as_often_as_asked(
    places: list[tuple[str, str]], times: int, data: st.DataObject
) -> None:
    unable = set(data.draw(st.lists(st.sampled_from(places), unique=True)) if places else [])
    done: Counter[tuple[str, str]] = Counter()
    while gap := next_gap(places, done, unable, times):
        counts = [done[place] for place in places if place not in unable]
        assert max(counts) - min(counts) <= 1, "everything alike"
        done.update((gap.commit, name) for name in gap.backends)
    assert {place: times for place in places if place not in unable} == done


def test_notes_are_kept_and_checked(tmp_path: Path) -> None:
    assert read_unmeasured(tmp_path, print) == ()
    path = note(NOTE, tmp_path)
    note(NOTE, tmp_path)
    assert read_unmeasured(tmp_path, print) == (NOTE,)
    path.write_text("{}")
    said: list[str] = []
    assert read_unmeasured(tmp_path, said.append) == ()
    assert "fastapi.json: not a valid note" in said[0]
    forget((NOTE.commit, NOTE.backend), tmp_path)
    forget((NOTE.commit, NOTE.backend), tmp_path)
    assert read_unmeasured(tmp_path, print) == ()
