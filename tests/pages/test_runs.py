"""The list of all runs and commits: complete, sorted, filtered, and there without a script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.history import store
from scripts.pages import runs
from tests.browser import NARROW, Visit, build, visit
from tests.catalogs import SHELL, make_catalog
from tests.documents import check
from tests.factories import make_history, make_run

MANY = 230


def test_every_run_up_to_a_hundred_is_linked_without_a_script() -> None:
    made = make_history(range(60), {}, levels=(10,))
    found = check(runs.render(make_catalog(made), SHELL))
    assert {f"run/{run.id}.html" for run in made} <= found.targets("runs.html")
    assert {f"commit/{run.commit.sha}.html" for run in made} <= found.targets("runs.html")


def test_each_backend_has_its_latest_value_and_its_last_change() -> None:
    made = make_history(range(20), {("fastapi", 12): 1.25})
    catalog = make_catalog(made)
    found = check(runs.render(catalog, SHELL))
    rows = found.tables["Latest value and last change"][1:]
    assert len(rows) == 4 * len(runs.NOW)
    assert [row[1] for row in rows[: len(runs.NOW)]] == ["Throughput", "Latency p95", "CPU per request", "Peak memory"]
    assert rows[0][3].endswith("%")
    assert rows[len(runs.NOW)][3] == "none found"
    assert f"changes.html#{catalog.all_changes[0].id}" in found.links


def test_an_empty_history_says_what_to_do() -> None:
    assert "./start_benchmark.sh -s record" in check(runs.render(make_catalog([]), SHELL)).text


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Every commit is measured twice but for the last; the newest run is the slowest."""
    folder = tmp_path_factory.mktemp("runs")
    for number in range(MANY + 1):
        run = make_run(number, levels=(10,))
        blocks = tuple(
            msgspec.structs.replace(block, load=msgspec.structs.replace(block.load, throughput_rps=1000.0 - number))
            for block in run.blocks
        )
        started = f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T10:00:00+00:00"
        sha = f"{number // 2:07x}".ljust(40, "a")
        commit = msgspec.structs.replace(run.commit, sha=sha, subject=f"Change {number // 2}", committed_at=started)
        identity = f"{started[:10].replace('-', '')}T100000Z-{sha[:7]}-{number:06x}"
        store.add(
            msgspec.structs.replace(run, id=identity, started=started, commit=commit, blocks=blocks), folder / "history"
        )
    return build(folder / "history", folder / "site").as_uri() + "/"


@pytest.fixture
def tab(chromium: Browser, base: str) -> Iterator[Visit]:
    with visit(chromium, base) as tab:
        yield tab


def first(page: Page, column: int) -> str:
    return page.locator("#list tbody tr").first.locator("th, td").nth(column).inner_text()


@pytest.mark.browser
def test_nothing_is_loaded_before_somebody_asks(tab: Visit) -> None:
    page = tab.open("runs.html")
    assert page.locator("#list tbody tr").count() == runs.NEWEST
    assert not [url for url in tab.requests if "/data/" in url]


@pytest.mark.browser
def test_runs_are_sorted_by_any_column(tab: Visit) -> None:
    page = tab.open("runs.html")
    page.locator("#list").get_by_role("button", name="value").click()
    expect(page.locator("#state")).to_have_text(f"200 of {MANY + 1} runs.")
    assert first(page, 2) == "1,000 requests/s"
    page.locator("#list").get_by_role("button", name="value").click()
    expect(page.locator("#list th[aria-sort=ascending]")).to_contain_text("value")
    assert first(page, 2) == f"{1000 - MANY} requests/s"
    page.get_by_role("button", name="Show more").click()
    expect(page.locator("#list tbody tr")).to_have_count(MANY + 1)
    again = tab.open("index.html")
    again = tab.open(f"runs.html#{page.url.partition('#')[2] or 'sort=value'}")
    expect(again.locator("#list th[aria-sort=ascending]")).to_contain_text("value")
    again.go_back()
    assert "index.html" in again.url


@pytest.mark.browser
def test_commits_have_their_runs_latest_value_and_change(tab: Visit) -> None:
    page = tab.open("runs.html")
    page.locator("select[name=list]").select_option("commits")
    expect(page.locator("#state")).to_have_text(f"{MANY // 2 + 1} commits.")
    assert [first(page, column) for column in (2, 3, 4)] == ["1", f"{1000 - MANY} requests/s", "-0.1%"]
    page.locator("input[name=text]").fill("change 11")
    expect(page.locator("#state")).to_have_text("7 commits.")
    page.locator("input[name=text]").fill(f"{3:07x}")
    expect(page.locator("#state")).to_have_text("1 commit.")
    page.locator("#list tbody a").first.click()  # the first click after typing
    page.wait_for_url("**/run/*.html")
    page.go_back()
    expect(page.locator("#state")).to_have_text("1 commit.")


@pytest.mark.browser
def test_filters_and_metrics_choose(tab: Visit) -> None:
    page = tab.open("runs.html#environment=0&metric=latency_p95_ms&backend=django_wsgi&sort=<b>&profile=99")
    expect(page.locator("#state")).to_have_text(f"200 of {MANY + 1} runs.")
    assert first(page, 2).endswith(" ms")
    assert page.locator("select[name=backend]").input_value() == "django_wsgi"
    assert page.locator("select[name=profile]").input_value() == ""


@pytest.mark.browser
def test_narrow_without_script_and_by_axe(chromium: Browser, base: str) -> None:
    with visit(chromium, base, width=NARROW, dark=True) as tab:
        page = tab.open("runs.html#list=commits")
        expect(page.locator("#state")).to_contain_text("commits")
        assert [*tab.overflow(), *tab.axe()] == []
    with visit(chromium, base, script=False) as tab:
        page = tab.open("runs.html")
        assert page.locator("#list tbody tr").count() == runs.NEWEST
        assert not page.locator("#filters").is_visible()


def test_the_page_is_in_the_navigation() -> None:
    assert ("runs", "runs.html", "Runs") in SHELL.sections()
    assert Path(runs.PATH).suffix == ".html"
