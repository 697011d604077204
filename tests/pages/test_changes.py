"""The page of changes: what is to be looked at first, each with its evidence."""

from __future__ import annotations

from scripts.history.text import headline
from scripts.model import Event
from scripts.pages import changes as changes_page
from tests.catalogs import SHELL, make_catalog
from tests.documents import check
from tests.factories import make_history

SLOWER = make_history(range(20), {("fastapi", 12): 1.25})
ACCEPTED = Event(commit=f"{12:040x}", kind="accepted", text="worth <it>", backends=("fastapi",))


def test_what_became_worse_is_to_be_looked_at() -> None:
    catalog = make_catalog(SLOWER)
    html = changes_page.render(catalog, SHELL)
    found = check(html)
    assert catalog.changes
    (change,) = catalog.all_changes
    assert headline(catalog.changes) in " ".join(found.text.split())
    assert "open" in found.ids
    assert "past" not in found.ids
    assert changes_page.anchor(change) in found.ids
    evidence = found.tables["Series that show it"]
    assert len(evidence) == 1 + len(change.shown)
    assert {f"run/{change.before.run}.html", f"run/{change.after.run}.html", f"commit/{12:040x}.html"} <= (
        found.targets("changes.html")
    )
    assert any(link.startswith("trend/fastapi.html#metric=") for link in found.links)
    assert f"compare.html?a={change.before.commit}&b={change.after.commit}" in found.links


def test_what_is_accepted_is_past() -> None:
    found = check(changes_page.render(make_catalog(SLOWER, [ACCEPTED]), SHELL))
    assert "open" not in found.ids
    assert "past" in found.ids
    assert "accepted" in found.text
    assert "worth <it>" in found.text


def test_a_change_of_all_backends_blames_no_commit() -> None:
    runs = make_history(range(20), {(name, 12): 1.25 for name in SLOWER[0].labels})
    found = check(changes_page.render(make_catalog(runs), SHELL))
    assert "All backends: " in found.text
    assert "no commit is blamed" in found.text
    assert "open" not in found.ids


def test_a_count_is_certain() -> None:
    runs = make_history(range(12), {}, statements={("django_asgi", 6): 200})
    catalog = make_catalog(runs)
    entry = changes_page.entries(catalog.all_changes, catalog.labels)[0]
    assert entry.title == "Django ASGI: Statements a request 168 → 200"
    assert "a count, so certain" in entry.effect


def test_nobody_looked() -> None:
    assert "nox -s detect" in changes_page.render(make_catalog([]), SHELL)
