"""The page of a commit: its runs, what may have changed with it, and its neighbours on the line."""

from __future__ import annotations

import msgspec

from scripts import words
from scripts.model import Event
from scripts.pages import commit as commit_page
from tests.catalogs import ANCHOR, SHELL, make_catalog
from tests.documents import check
from tests.factories import make_history

RUNS = make_history([*range(20), 12], {("fastapi", 12): 1.25})
SHA = f"{12:040x}"


def test_a_commit_that_was_measured() -> None:
    catalog = make_catalog(RUNS, [Event(commit=SHA, kind="dependency", text="new <driver>")])
    facts = commit_page.facts(SHA, catalog)
    found = check(commit_page.render(catalog.by_commit[SHA][::-1], facts, SHELL))
    assert facts.before
    assert facts.after
    targets = found.targets(commit_page.path(SHA))
    assert {f"run/{run.id}.html" for run in RUNS if run.commit.sha == SHA} <= targets
    assert {commit_page.path(f"{11:040x}"), commit_page.path(f"{13:040x}")} <= targets
    assert f"https://example.org/bench/compare/{11:040x}...{SHA}" in found.links
    assert "new <driver>" in found.text
    assert "FastAPI: " in found.text
    card = catalog.by_commit[SHA][-1]
    rows = found.tables["Throughput (requests/s), mean over all levels"]
    assert rows[1][1] == words.figure(card.value("fastapi", "throughput_rps"))


def test_a_commit_that_was_not_measured_says_how() -> None:
    catalog = make_catalog(RUNS)
    found = check(commit_page.render((), commit_page.facts(ANCHOR.commit, catalog), SHELL))
    assert "Not measured" in found.text
    assert "nox -s backfill" in found.text
    assert ANCHOR.reason in found.text


def test_every_commit_that_pages_name_has_a_page() -> None:
    catalog = make_catalog(RUNS, [Event(commit=f"{50:040x}", kind="note", text="noted")])
    assert {f"{50:040x}", ANCHOR.commit, *(run.commit.sha for run in RUNS)} <= set(catalog.commits)
    for sha in catalog.commits:
        facts = commit_page.facts(sha, catalog)
        found = check(commit_page.render(catalog.by_commit.get(sha, ()), facts, SHELL))
        named = {target for target in found.targets(commit_page.path(sha)) if target.startswith("commit/")}
        assert named <= {commit_page.path(other) for other in catalog.commits}
        assert msgspec.msgpack.encode(facts)
