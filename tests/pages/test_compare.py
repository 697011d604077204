"""The compare page in a real browser says what the reports say: the same numbers, the same words, the same refusals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from playwright.sync_api import Page, expect

from scripts.history import store
from scripts.model import METRICS, Run, Workload
from scripts.report import sentences
from scripts.report.contrast import contrast
from scripts.statistics.intervals import log_ratio_interval
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


@pytest.mark.parametrize(("one", "two"), [(FEW, FEW_AGAIN), (MANY, MANY_AGAIN), (FEW, MANY)])
def test_says_what_the_reports_say(tab, one, two):
    """`scripts.report.contrast` prints the same ratios, intervals and conditions; published numbers have five
    digits."""
    wanted = contrast(two, one)
    page = tab.open(address(one.id, two.id))
    assert state(page) == "Second divided by first: 4 backends at 2 levels."
    for name in LABELS:
        found = cells(page, name)
        for level in LEVELS:
            ratio = wanted.throughput[level][name]
            assert ratio is not None
            text = sentences.interval(ratio).replace("(", "").replace(")", "") if ratio.low else f"{ratio.ratio:.2f}x"
            assert found[str(level), "Throughput"].startswith(text)
            said = {True: ("better", "worse"), False: ("within noise",), None: ("no interval",)}[ratio.separated]
            assert found[str(level), "Throughput"].endswith(said)
        for metric, by_backend in wanted.overall.items():
            ratio = by_backend[name]
            assert ratio is not None
            sums = page.locator("ul.sums li", has_text=LABELS[name]).inner_text()
            assert f"{METRICS[metric].label} {sentences.interval(ratio)}" in sums
    differs = page.locator("#result").inner_text()
    for condition in wanted.conditions:
        assert condition in differs or condition.startswith("commit")


NUMBERS = """async ([a, b, backend, metric]) => {
  const loaded = await Promise.all([a, b].map((id) => benchLoad(`runs/${id}`)));
  const rounds = (run) => {
    const levels = new Map(), { blocks } = run;
    blocks.round.forEach((round, row) => {
      if (blocks.backend[row] !== run.backends.indexOf(backend) || blocks.arm[row] !== 0 || !blocks.valid[row]) return;
      if (!levels.has(blocks.level[row])) levels.set(blocks.level[row], new Map());
      levels.get(blocks.level[row]).set(round, blocks[metric][row]);
    });
    return levels;
  };
  const [first, second] = loaded.map(rounds);
  const both = [...second.keys()].filter((level) => first.has(level));
  return both.map((level) => [level, benchStats.logRatioInterval(second, first, level)]);
}"""


@pytest.mark.parametrize("metric", METRICS)
def test_numbers_are_those_of_python(tab, site, metric):
    """The same published data through stats.js and stats.py: ratio and interval to 1e-6."""
    page = tab.open("compare.html")
    for one, two in ((FEW, FEW_AGAIN), (MANY, MANY_AGAIN)):
        for backend in LABELS:
            first, second = (_rounds(site, run.id, backend, metric) for run in (one, two))
            for level, got in page.evaluate(NUMBERS, [one.id, two.id, backend, metric]):
                wanted = log_ratio_interval(second, first, level)
                assert wanted is not None
                assert [got[name] for name in ("ratio", "low", "high")] == pytest.approx(
                    [wanted.ratio, wanted.low, wanted.high], rel=1e-6
                )


def _rounds(site: Path, run_id: str, backend: str, metric: str) -> Mapping[int, dict[int, float]]:
    run = json.loads((site / "data" / "runs" / f"{run_id}.json").read_text())
    blocks, which = run["blocks"], run["backends"].index(backend)
    columns = zip(*(blocks[name] for name in ("backend", "level", "round", "valid", metric)), strict=True)
    found: dict[int, dict[int, float]] = {}
    for place, level, number, valid, value in columns:
        if place == which and valid:
            found.setdefault(level, {})[number] = value
    return found


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
        (FEW.id, FEW.id, "Both are the same run"),
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
    assert text.startswith("1.05x" if turned else "0.95x")
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
    page.locator("details summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("details table").first).to_be_visible()


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
