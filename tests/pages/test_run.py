"""The page of a run: the whole report or the brief one, and what it depends on."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import msgspec
import pytest

from scripts import words
from scripts.model import METRICS, Event, Run
from scripts.pages import published
from scripts.pages import run as run_page
from scripts.report import sentences
from scripts.report.rendering import render_html
from scripts.report.study import study_figures
from scripts.report.summary import summarize
from scripts.templates import SITE
from tests.catalogs import SHELL, make_catalog
from tests.documents import Document, check
from tests.factories import make_history, make_run

HOSTILE = "<script>alert(1)</script>\u202e{{ 7 * 7 }}"


def number(text: str) -> float:
    return float(text.replace(",", ""))


def page(run: Run, *others: Run, detailed: bool = True) -> tuple[str, Document]:
    catalog = make_catalog([*others, run])
    facts = msgspec.structs.replace(run_page.facts(catalog.cards[-1], catalog), detailed=detailed)
    html = run_page.render(run, catalog.cards[-1], facts, SHELL)
    return html, check(html)


def test_the_whole_report_is_on_the_page() -> None:
    run = make_run(invalid=[("django_wsgi", 20, 0)])
    html, found = page(run)
    summary = summarize(run)
    assert sentences.headline(run, summary.standings) in found.text
    assert set(study_figures(run, summary)) < set(found.ids)
    report = Document(render_html(run, summary))
    assert {caption: found.tables[caption] for caption in report.tables} == report.tables
    assert html.count("<svg") == 7
    assert {f"commit/{run.commit.sha}.html", f"data/runs/{run.id}.json"} <= found.targets(run_page.path(run.id))


def test_the_brief_page_has_the_same_numbers() -> None:
    run = make_run(invalid=[("django_wsgi", 20, 0), ("django_wsgi", 20, 1)])
    _, found = page(run, detailed=False)
    summary = summarize(run)
    assert sentences.headline(run, summary.standings) in found.text
    assert len(found.tables) == len(METRICS)
    for metric in METRICS.values():
        header, *rows = found.tables[f"{metric.label} ({metric.unit})"]
        assert header == ["users", *run.labels.values()]
        for row, level in zip(rows, summary.levels, strict=True):
            assert row[0] == str(level.level)
            for text, cell in zip(row[1:], level.cells, strict=True):
                value = cell.metrics[metric.name]
                assert text == words.NOTHING if value is None else number(text) == pytest.approx(value, rel=0.01)


@pytest.mark.parametrize("detailed", [True, False])
def test_text_of_others_is_text(detailed: bool) -> None:
    run = make_run(subject=HOSTILE, labels={"fastapi": HOSTILE, "django_wsgi": "</table>"})
    html, found = page(run, detailed=detailed)
    assert "<script>alert" not in html
    assert "\u202e" not in html
    assert "<script>alert(1)</script>\ufffd{{ 7 * 7 }}" in found.text


def test_a_paired_run_says_its_ratios() -> None:
    (run,) = make_history([5], {("fastapi", 0): 1.25}, paired=True)
    for detailed in (True, False):
        _, found = page(run, detailed=detailed)
        rows = {row[0]: row[1:] for row in found.tables["Candidate divided by baseline"]}
        assert 1.23 < float(rows["CPU per request"][0].split()[0]) < 1.27
        assert 0.78 < float(rows["Throughput"][0].split()[0]) < 0.82
        assert "to" in rows["Throughput"][0]
        assert f"-s compare -- {'b' * 40} {run.commit.sha} --profile {run.profile.name} " in found.text
        if detailed:
            parity = found.tables["Seen by the database server and the file system"]
            heads = [f"{label}{arm}" for label in run.labels.values() for arm in ("", ", baseline")]
            assert sorted(parity[0][1:]) == sorted(heads)


def test_a_page_depends_on_its_neighbours_only() -> None:
    runs = make_history(range(6), {})
    before, after = make_catalog(runs[:5]), make_catalog(runs)
    for place in range(4):
        old, new = run_page.facts(before.cards[place], before), run_page.facts(after.cards[place], after)
        assert msgspec.msgpack.encode(old) == msgspec.msgpack.encode(new)
    assert run_page.facts(before.cards[4], before).newer is None
    newer = run_page.facts(after.cards[4], after).newer
    assert newer
    assert newer.id == runs[5].id


def test_changes_and_events_stand_at_their_runs() -> None:
    runs = make_history(range(20), {("fastapi", 12): 1.25})
    catalog = make_catalog(runs, [Event(commit=f"{12:040x}", kind="fix", text=HOSTILE)])
    facts = run_page.facts(catalog.cards[12], catalog)
    assert [change.backends for change in facts.changes] == [("fastapi",)]
    found = check(run_page.render(runs[12], catalog.cards[12], facts, SHELL))
    assert "FastAPI: " in found.text
    assert HOSTILE.replace("\u202e", "\ufffd") in found.text
    assert run_page.facts(catalog.cards[3], catalog).changes == ()


def test_old_runs_are_brief_unless_something_changed() -> None:
    number = run_page.NEWEST + 20
    catalog = make_catalog(make_history(range(number), {("fastapi", 10): 1.25}, levels=(10,)))
    detailed = [run_page.facts(card, catalog).detailed for card in catalog.cards]
    assert detailed == [place in (9, 10) or place >= 20 for place in range(number)]


@pytest.mark.browser
def test_the_rest_of_the_report_is_drawn_from_tables_and_data(chromium, tmp_path: Path) -> None:
    from tests.browser import visit

    run = make_run(invalid=[("django_wsgi", 20, 0), ("django_wsgi", 20, 1)])
    html, _ = page(run, detailed=False)
    _, whole = page(run)
    path = tmp_path / run_page.path(run.id)
    path.parent.mkdir()
    path.write_text(html, encoding="utf-8")
    for name, data in published.run(run, make_catalog([run]).cards[-1]).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    copytree(SITE / "static", tmp_path / "static")
    figures = study_figures(run, summarize(run)).values()
    with visit(chromium, tmp_path.as_uri() + "/", width=360, dark=True) as tab:
        seen = tab.open(run_page.path(run.id))
        seen.locator("#environment").wait_for()
        assert seen.locator("svg[role=img]").count() == len(METRICS) + len(figures) - 1  # throughput is a metric
        first = seen.locator("svg").first
        assert first.locator(".series .dot").count() == 4 * len(run.levels) - 1
        with_a_gap = first.locator(".series .line").nth(1).get_attribute("d") or ""
        assert with_a_gap.count("M") == 2
        for details in seen.locator("details").all():
            details.evaluate("element => { element.open = true; }")
        shown = Document(seen.content()).tables
        for figure in figures:
            _, *rows = shown[f"{figure.title} ({figure.unit})"]
            for place, points in enumerate(figure.series.values(), 1):
                for row, value in zip(rows, points.values(), strict=True):
                    assert (
                        row[place] == words.NOTHING
                        if value is None
                        else number(row[place]) == pytest.approx(value, rel=0.01)
                    )
        same = ("Seen by the database server and the file system", "Invalid blocks", "Package versions")
        assert {name: shown[name] for name in same} == {name: whole.tables[name] for name in same}
        environment = dict(shown["Environment"])
        assert environment.pop("workload").startswith("file_operations 2, transactions 8")  # as settings, not as counts
        assert environment.items() <= dict(whole.tables["Environment"]).items()
        assert len(shown["All blocks"]) == 1 + len(run.blocks)
        assert tab.overflow() == []
        assert tab.axe() == []


@pytest.mark.browser
def test_a_page_without_its_data_says_so(chromium, tmp_path: Path) -> None:
    from tests.browser import visit

    run = make_run()
    path = tmp_path / run_page.path(run.id)
    path.parent.mkdir()
    path.write_text(page(run, detailed=False)[0], encoding="utf-8")
    copytree(SITE / "static", tmp_path / "static")
    with visit(chromium, tmp_path.as_uri() + "/") as tab:
        seen = tab.open(run_page.path(run.id))
        assert f"data/runs/{run.id}.js cannot be loaded" in seen.locator("#rest [role=alert]").inner_text()
        assert seen.locator("svg[role=img]").count() == len(METRICS)
        assert len(tab.problems) == 2
        tab.problems.clear()
