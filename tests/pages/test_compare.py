"""The compare page in a browser: a change is said only beyond what runs of the same code differ by; what is refused."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from scripts.config import ROOT
from scripts.history import store
from scripts.model import Run, Workload
from scripts.pages import repeats
from scripts.pages.cards import card_of
from scripts.records import read_run
from tests import hostile
from tests.browser import NARROW, build, visit
from tests.factories import LABELS, make_paired_run, make_run

pytestmark = pytest.mark.browser

LEVELS = (10, 50)


def named(run: Run, number: int, **changed: Any) -> Run:
    """The run with an id and a commit of its own."""
    sha = f"{number:07x}".ljust(40, "a")
    commit = msgspec.structs.replace(run.commit, sha=sha, subject=f"Change {number}")
    run_id = f"202611{10 + number}T120000Z-{sha[:7]}-{number:06x}"
    return msgspec.structs.replace(run, **{"id": run_id, "commit": commit, **changed})


FEW = named(make_run(1, levels=LEVELS), 1)
FEW_AGAIN = named(make_run(2, levels=LEVELS, invalid=[("fastapi", 10, 0)]), 2)
MANY = named(make_run(3, levels=LEVELS, rounds=8), 3)
MANY_AGAIN = named(make_run(4, levels=(*LEVELS, 90), rounds=7, repeated=[("fastapi", 50, 1)]), 4)
ELSEWHERE = named(make_run(5, levels=LEVELS), 5, environment=msgspec.structs.replace(FEW.environment, python="3.13.5"))
OTHER_WORK = named(make_run(6, levels=LEVELS), 6, workload=Workload(transactions=9))
PAIRED = named(make_paired_run(7, slower=0.05), 7, baseline=FEW.commit, layout="duet")
OTHER_LEVELS = named(make_run(8, levels=(20,)), 8)
UNKNOWN_WORK = named(make_run(9, levels=LEVELS), 9, workload=None)
RUNS = (FEW, FEW_AGAIN, MANY, MANY_AGAIN, ELSEWHERE, OTHER_WORK, PAIRED, OTHER_LEVELS, UNKNOWN_WORK)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    for run in RUNS:
        store.add(run, folder / "history")
    return build(folder / "history", folder / "site")


@pytest.fixture
def tab(chromium, site):
    with visit(chromium, site.as_uri() + "/") as tab:
        yield tab


def address(a: str, b: str) -> str:
    return f"compare.html?a={a}&b={b}"


def state(page: Page) -> str:
    expect(page.locator("#state")).not_to_contain_text("Loading")
    return page.locator("#state").inner_text()


def cells(page: Page, backend: str) -> dict[tuple[str, str], str]:
    """What the table of a backend says, by users and metric."""
    table = page.locator(f"section#{backend} table.ratios")
    heads = table.locator("thead th").all_inner_texts()
    found: dict[tuple[str, str], str] = {}
    for row in table.locator("tbody tr").all():
        users, *texts = row.locator("th, td").all_inner_texts()
        found |= {(users, head): " ".join(text.split()) for head, text in zip(heads[1:], texts, strict=True)}
    return found


HISTORY = ROOT / "history"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(HISTORY, tmp_path_factory.mktemp("recorded") / "site")


def words_of(page: Page) -> list[str]:
    return page.locator("small.said").all_inner_texts()


def test_pairs_of_equal_code_say_no_change(chromium, recorded):
    """All recorded runs of the same commit, environment and levels, each with each: 90 pages."""
    cards = [card_of(read_run(path)) for path in sorted(HISTORY.rglob("runs/**/*.json"))]
    pairs = [
        (one.id, two.id)
        for one, two in combinations(cards, 2)
        if one.commit.sha == two.commit.sha and repeats.frame_of(one) == repeats.frame_of(two)
    ]
    assert len(pairs) == 90
    changed = []
    with visit(chromium, recorded.as_uri() + "/") as tab:
        for one, two in pairs:
            page = tab.open(address(one, two))
            assert state(page).startswith("Second divided by first")
            assert page.locator("small.said").count() > 0
            if {"better", "worse"} & set(words_of(page)):
                changed.append((one, two))
    assert len(changed) <= 0.01 * len(pairs), changed


def test_runs_measured_once_have_no_interval(tab):
    """Nothing says what two sessions of the same code differ by: no number of their rounds does."""
    page = tab.open(address(FEW.id, FEW_AGAIN.id))
    assert state(page) == "Second divided by first: 4 backends at 2 levels."
    assert set(words_of(page)) == {"no interval"}
    expect(page.locator("#verdict")).to_contain_text("Nothing is known")
    card, other = card_of(FEW), card_of(FEW_AGAIN)
    for name in LABELS:
        for level in LEVELS:
            first, second = (one.value(name, "throughput_rps", level) for one in (card, other))
            assert first is not None
            assert second is not None
            assert cells(page, name)[str(level), "Throughput"].startswith(f"{second / first:.2f}x")


SIMULATED = """([pages, level]) => pages.map(([tests, sides]) => sides.some(([one, two, spread]) =>
  benchStats.separated(benchStats.apart(one, two, spread, level / tests))))"""


def test_simulated_pages_of_equal_code_say_no_change(tab):
    """Sessions that differ from each other by more than their rounds do, a spread that is known from few repeats."""
    rng = np.random.default_rng(7)
    pages = []
    for _ in range(2000):
        tests = int(rng.choice([7, 32, 352]))
        degrees = int(rng.choice([2, 4, 16]))
        sides = []
        for _ in range(tests):
            spread = {"variance": float(rng.chisquare(degrees) / degrees * 1e-4), "degrees": degrees}
            one, two = (rng.normal(0, 0.01, int(rng.integers(1, 5))).tolist() for _ in range(2))
            sides.append([one, two, spread])
        pages.append([tests, sides])
    page = tab.open("compare.html")
    said = [x for at in range(0, 2000, 200) for x in page.evaluate(SIMULATED, [pages[at : at + 200], 0.005])]
    assert sum(said) <= 0.01 * len(said)


def test_other_environment_is_refused(tab):
    page = tab.open(address(FEW.id, ELSEWHERE.id))
    expect(page.get_by_role("alert")).to_contain_text("Not compared. They were measured in different environments")
    expect(page.locator("#result")).to_contain_text("environment python: 3.13.5 instead of 3.11.7")
    assert page.locator("table.ratios").count() == 0


def test_a_shared_core_is_not_compared_with_an_own_one(tab):
    page = tab.open(address(MANY.id, PAIRED.id))
    expect(page.get_by_role("alert")).to_contain_text("Not compared. In a duet two versions share a core")


def test_other_work_is_refused(tab):
    page = tab.open(address(FEW.id, OTHER_WORK.id))
    expect(page.get_by_role("alert")).to_contain_text("Not compared. Their requests did different work")
    expect(page.locator("#result")).to_contain_text("workload transactions: 9 instead of 8")
    for sides in ((FEW.id, UNKNOWN_WORK.id), (UNKNOWN_WORK.id, FEW.id)):
        page = tab.open(address(*sides))
        expect(page.get_by_role("alert")).to_contain_text("Not compared. Their requests did different work")


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (FEW.id, FEW.id, "Both are the same"),
        (FEW.id, "<img src=x onerror=alert(1)>", "There is no run “<img src=x onerror=alert(1)>”"),
        (f"{FEW.id}/../../static/run", FEW.id, f"There is no run “{FEW.id}/../../static/run”"),
        (FEW.id, "ffff", "No run has measured a commit ffff"),
        (FEW.id, "0000", f"begins the hashes of {len(RUNS)} measured commits"),
        (FEW.id, OTHER_LEVELS.id, "They have no backend and level in common"),
    ],
)
def test_what_cannot_be_compared_is_said(tab, a, b, said):
    page = tab.open("compare.html")
    page.locator("input[name=a]").fill(a)
    page.locator("input[name=b]").fill(b)
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_contain_text(said)
    assert page.locator("table.ratios").count() == 0


def test_a_run_that_is_not_there_is_said(tab):
    missing = "20200101T000000Z-aaaaaaa-000000"
    page = tab.open(address(FEW.id, missing))
    expect(page.locator("#state")).to_contain_text(f"There is no run “{missing}”")
    assert all(missing in problem or "ERR_FILE_NOT_FOUND" in problem for problem in tab.problems), tab.problems
    tab.problems.clear()  # the browser says itself that there is no such file


@pytest.mark.parametrize(
    ("a", "b"), [(FEW.id, MANY.id), (FEW.commit.sha, MANY.commit.sha[:9]), (FEW.id, MANY.commit.sha)]
)
def test_runs_and_commits_are_compared_without_the_list_of_all(tab, a, b):
    page = tab.open(address(a, b))
    assert state(page).startswith("Second divided by first")
    assert not [name for name in tab.requests if "/data/runs" in name and "/data/runs/" not in name]


def test_commits_are_compared_by_their_newest_comparable_runs(tab):
    page = tab.open(address(FEW.commit.sha, MANY.commit.sha[:9]))
    assert state(page).startswith("Second divided by first")
    links = [link.get_attribute("href") for link in page.locator("#result dl a").all()]
    assert f"run/{FEW.id}.html" in links
    assert f"run/{MANY.id}.html" in links


@pytest.mark.parametrize("turned", [False, True])
def test_commits_of_one_paired_session_are_compared_in_it(tab, turned):
    """Both arms were measured at once: 5% more time is 5% less throughput."""
    sides = [FEW.commit.sha, PAIRED.commit.sha]
    page = tab.open(address(*(reversed(sides) if turned else sides)))
    assert state(page) == "Second divided by first: 1 backend at 1 level."
    expect(page.locator("#result dl")).to_contain_text("its baseline")
    text = cells(page, "fastapi")["10", "Throughput"]
    assert text.startswith("1.05" if turned else "0.95")
    assert text.endswith("better" if turned else "worse")


def test_address_and_history_keep_the_choice(tab):
    page = tab.open(address(FEW.id, FEW_AGAIN.id))
    assert state(page).startswith("Second divided by first")
    page.get_by_role("button", name="Swap").click()
    expect(page.locator("input[name=a]")).to_have_value(FEW_AGAIN.id)
    expect(page.locator("table.ratios")).to_have_count(4)
    assert parse_qs(urlsplit(page.url).query) == {"a": [FEW_AGAIN.id], "b": [FEW.id]}
    page.go_back()
    expect(page.locator("input[name=a]")).to_have_value(FEW.id)
    expect(page.locator("table.ratios")).to_have_count(4)


def test_by_keyboard_alone(tab):
    page = tab.open("compare.html")
    page.locator("input[name=a]").focus()
    page.keyboard.type(FEW.id)
    page.keyboard.press("Tab")
    page.keyboard.type(FEW_AGAIN.id)
    page.keyboard.press("Enter")
    expect(page.locator("table.ratios")).to_have_count(4)
    assert page.locator("#known option").count() == len(RUNS)


def test_suggested_pair_is_compared(tab):
    page = tab.open("compare.html")
    page.locator("#suggestions a").first.click()
    expect(page.locator("table.ratios").first).to_be_visible()


@pytest.mark.parametrize("dark", [False, True])
def test_is_accessible(chromium, site, dark):
    with visit(chromium, site.as_uri() + "/", width=NARROW, dark=dark) as tab:
        page = tab.open(address(FEW.id, FEW_AGAIN.id))
        expect(page.locator("table.ratios")).to_have_count(4)
        assert tab.axe() == []
        assert tab.overflow() == []


def test_hostile_history_is_text(chromium, tmp_path):
    hostile.write(tmp_path / "history")
    base = build(tmp_path / "history", tmp_path / "site").as_uri() + "/"
    one, *_, two = [run for run in hostile.runs()[:18] if not run.baseline]
    with visit(chromium, base) as tab:
        page = tab.open(address(one.id, two.id))
        expect(page.locator("#result")).to_contain_text(hostile.SEEN)
        page.locator("input[name=a]").focus()
        assert page.evaluate("window.pwned") is None


def test_without_script_it_says_so(chromium, site):
    with visit(chromium, site.as_uri() + "/", script=False) as tab:
        page = tab.open("compare.html")
        assert "it needs scripts" in page.locator("body").inner_text()


def test_published_runs_are_what_was_recorded(site):
    """The data that the page reads has every valid block's throughput, to five digits."""
    for run in RUNS:
        published = json.loads((site / "data" / "runs" / f"{run.id}.json").read_text())["blocks"]["throughput_rps"]
        recorded = [block.load.throughput_rps if block.valid else None for block in run.blocks]
        assert published == [None if value is None else pytest.approx(value, rel=1e-4) for value in recorded]
