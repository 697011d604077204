"""What is drawn, in real Chromium: read from the calls that draw, from layout, and from the tab's own history."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from scripts import checkout
from scripts.history import store
from scripts.model import Run
from tests import hostile
from tests.browser import NARROW, WIDE, Visit, build, build_with_changes, visit
from tests.factories import LABELS, make_paired_run, make_run

pytestmark = pytest.mark.browser

FASTAPI = "trend/fastapi.html"
ALONG = "#scale=absolute&along=committed"
SIGN_PX, SIGNS_PX = 10, 49  # a sign's width, and the height above the figure in which they are
RECORD = """
window.drawn = [];
const Real = Path2D, context = CanvasRenderingContext2D.prototype;
window.Path2D = class extends Real { constructor(d) { super(d); this.d = d; } };
for (const kind of ["stroke", "fill"]) {
  const real = context[kind];
  context[kind] = function (...of) {
    drawn.push({ kind, d: of[0]?.d ?? "", dash: this.getLineDash(), text: "", colour: `${this[`${kind}Style`]}` });
    return real.apply(this, of);
  };
}
const write = context.fillText;
context.fillText = function (text, ...at) {
  drawn.push({ kind: "text", d: "", dash: [], text, align: this.textAlign });
  return write.call(this, text, ...at);
};
"""
SHIFTS = """
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifted += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def at(run: Run, number: int, sha: str, hour: int = 0) -> Run:
    """The run as of a commit of its own, ``number`` days after the first, measured at one hour of one day."""
    commit = msgspec.structs.replace(run.commit, sha=sha, committed_at=f"2026-06-{number + 1:02d}T10:00:00+00:00")
    started = f"2026-11-24T{hour:02d}:{number:02d}:00+00:00"
    name = f"20261124T{hour:02d}{number:02d}00Z-{sha[:7]}-{number:06x}"
    return msgspec.structs.replace(run, id=name, started=started, commit=commit)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The hostile history, with its changes."""
    folder = tmp_path_factory.mktemp("figures")
    hostile.write(folder / "history")
    return build_with_changes(folder / "history", folder).as_uri() + "/"


def each_kind(base: str) -> list[str]:
    """A page of each kind that is made of runs."""
    runs = sorted(path.stem for path in (Path(base.removeprefix("file://")) / "run").iterdir())
    ends = [f"run/{runs[0]}.html", f"run/{runs[-1]}.html"]
    return ["index.html", FASTAPI, "runs.html", "changes.html", *ends, f"compare.html?a={runs[0]}&b={runs[1]}"]


@pytest.fixture(scope="module")
def reaching() -> list[str]:
    """Commits of this repository that can change FastAPI."""
    found = [revision.sha for revision in checkout.line("HEAD", LABELS) if "fastapi" in revision.reaches]
    if len(found) < 6:
        pytest.skip("this clone has no commits to measure")
    return found


@pytest.fixture
def tab(chromium: Browser, base: str) -> Iterator[Visit]:
    with visit(chromium, base) as tab:
        tab.page.add_init_script(RECORD)
        yield tab


def drawn(page: Page) -> list[dict[str, Any]]:
    page.locator("#chart canvas").wait_for()
    page.evaluate("new Promise(requestAnimationFrame)")
    found: list[dict[str, Any]] = page.evaluate("drawn")
    return found


def where(d: str) -> tuple[float, float]:
    x, y = re.findall(r"-?[\d.]+", d)[:2]
    return float(x), float(y)


def test_a_dash_is_of_lines_and_never_of_what_marks_a_point(tab: Visit) -> None:
    strokes = [one for one in drawn(tab.open(FASTAPI + ALONG)) if one["kind"] == "stroke" and one["d"]]
    lines = [one for one in strokes if "L" in one["d"]]
    markers = [one for one in strokes if "L" not in one["d"]]
    assert len(markers) > 30
    assert any(one["dash"] for one in lines)
    assert not any(one["dash"] for one in markers if re.search("[ahlv]", one["d"]))


@pytest.mark.parametrize("level", ["all", "10", "50"])
def test_numbers_of_the_axis_are_what_they_say(tab: Visit, level: str) -> None:
    """Evenly apart as they are written: 9.3, 9.5, 9.8 is none of it."""
    page = tab.open(FASTAPI)
    metrics = page.locator("select[name=metric] option").evaluate_all("(all) => all.map((one) => one.value)")
    for metric in metrics:
        for scale in ("absolute", "ratio"):
            page = tab.open("index.html")  # so that the same page is another one
            found = drawn(tab.open(f"{FASTAPI}#metric={metric}&scale={scale}&level={level}"))
            texts = [one["text"] for one in found if one["kind"] == "text" and one["align"] == "right"]
            numbers = [
                float(text.rstrip("x").replace(",", "")) for text in texts if re.fullmatch(r"-?[\d,]+(\.\d+)?x?", text)
            ]
            marks = sorted(set(numbers))
            steps = {round(after - before, 9) for before, after in pairwise(marks)}
            assert len(steps) == 1, (metric, scale, texts)


def test_no_sign_lies_on_another(chromium: Browser, tmp_path: Path, reaching: list[str]) -> None:
    """A change and two events at one commit are three signs."""
    runs = [make_run(number, levels=(10,)) for number in range(4)]
    for number, run in enumerate(runs):
        moved = msgspec.structs.replace(run.environment, python=f"3.{10 + number // 2}")
        store.add(at(msgspec.structs.replace(run, environment=moved), number, reaching[number]), tmp_path / "history")
    note = '[[events]]\ncommit = "{}"\nkind = "fix"\ntext = "{}"\n'
    events = "".join(note.format(reaching[2], text) for text in ("one", "two"))
    (tmp_path / "history" / "events.toml").write_text(events, encoding="utf-8")
    with visit(chromium, build(tmp_path / "history", tmp_path / "site").as_uri() + "/") as tab:
        tab.page.add_init_script(RECORD)
        page = tab.open(FASTAPI + "#along=committed")
        fills = [one["d"] for one in drawn(page) if one["kind"] == "fill" and one["d"]]
        signs = [where(d) for d in fills if where(d)[1] < SIGNS_PX][-3:]  # of the last drawing
        assert page.locator("ol.marks > li[data-run]").count() == 3
        assert len(signs) == 3
        for place, (x, y) in enumerate(signs):
            assert all(abs(x - x2) >= SIGN_PX or abs(y - y2) >= SIGN_PX for x2, y2 in signs[place + 1 :])


def test_everything_that_is_drawn_has_its_words(tab: Visit) -> None:
    page = tab.open(FASTAPI + "#scale=ratio&along=committed")
    expect(page.locator("#signs")).to_contain_text("95% interval")
    expect(page.locator("#signs")).to_contain_text("equal")
    page = tab.open("index.html")
    page = tab.open(FASTAPI + ALONG)
    drawn(page)
    expect(page.locator("#signs")).to_contain_text("band")
    expect(page.locator("#signs")).to_contain_text("dotted")
    expect(page.locator("#signs")).not_to_contain_text("95% interval")


def test_a_colour_is_a_backend_on_every_page(chromium: Browser, tmp_path: Path) -> None:
    """Also of a run that measured few of them, in the whole report and in the brief page."""
    some = {name: LABELS[name] for name in ("fastapi", "django_asgi")}
    for number in range(23):
        run = make_run(
            number, levels=(10, 20, 30, 40, 50) if number == 22 else (10,), labels=some if number < 22 else LABELS
        )
        store.add(at(run, number, f"{number:040x}"), tmp_path / "history")
    site = build(tmp_path / "history", tmp_path / "site")
    colour = (
        "(node) => node.closest('svg').querySelector('[class*=color-]').getAttribute('class').match(/color-\\d/)[0]"
    )
    with visit(chromium, site.as_uri() + "/") as tab:
        page = tab.open("index.html")
        cards = page.locator(".card h3")
        known = {card.inner_text().strip(): card.locator("svg path").first.evaluate(colour) for card in cards.all()}
        assert len(set(known.values())) == 4
        for name in sorted(path.name for path in (site / "run").iterdir())[:21:20]:
            page = tab.open(f"run/{name}")
            page.locator("#environment").wait_for()
            legends = page.locator("svg.pygal-chart").first.locator("g.legend")
            seen = {
                (legend.locator("text").text_content() or ""): re.search(r"color-\d", legend.inner_html())[0]  # type: ignore[index]
                for legend in legends.all()
            }
            assert seen == {label: known[label] for label in some.values()}
        for name, label in LABELS.items():
            page = tab.open(f"trend/{name}.html")
            expect(page.locator("#legend svg").first).to_be_visible()
            for html in (page.locator("#legend").inner_html(), page.locator("#newest").inner_html()):
                assert set(re.findall(r"color-\d", html)) == {known[label]}


def test_the_axis_names_commits_and_not_times_of_day(chromium: Browser, tmp_path: Path) -> None:
    """Of a backfill, in which all is measured in one hour: also the figures that need no script."""
    for number in range(12):
        store.add(
            at(make_run(number, levels=(10,)), 11 - number, f"{number:x}" * 40, hour=number), tmp_path / "history"
        )
    with visit(chromium, build(tmp_path / "history", tmp_path / "site").as_uri() + "/") as tab:
        tab.page.add_init_script(RECORD)
        page = tab.open(FASTAPI + ALONG)
        texts = {one["text"] for one in drawn(page)}
        hashes = [text for text in texts if re.fullmatch(r"(.)\1{6}", text)]
        assert len(hashes) >= 4
        assert not [text for text in texts if re.search(r"\d\d:\d\d", text)]
        figure = page.locator("#newest figure").first
        assert sum(bool(re.fullmatch(r"(.)\1{6}", text)) for text in figure.locator("text").all_text_contents()) >= 4
        boxes = [dot.bounding_box() for dot in figure.locator("svg .series path.dot").all()]
        middles = sorted(box["x"] + box["width"] / 2 for box in boxes if box)
        assert len(middles) == 12
        assert min(b - a for a, b in pairwise(middles)) > 0.5 * (middles[-1] - middles[0]) / 11


def test_no_line_bridges_commits_that_were_not_measured(chromium: Browser, tmp_path: Path, reaching: list[str]) -> None:
    for number in (0, 1, 2, 4, 5):
        store.add(at(make_run(number, levels=(10,)), number, reaching[number]), tmp_path / "history")
    with visit(chromium, build(tmp_path / "history", tmp_path / "site").as_uri() + "/") as tab:
        tab.page.add_init_script(RECORD)
        for along in ("committed", "measured"):
            tab.open("index.html")
            page = tab.open(f"{FASTAPI}#along={along}")
            line = [one["d"] for one in drawn(page) if one["kind"] == "stroke" and "L" in one["d"]][-1]
            assert (line.count("M"), line.count("L")) == (2, 3)
        assert page.locator("#newest figure").first.locator("svg .series path.line").count() == 2


def test_the_first_tap_reads_and_the_second_opens(chromium: Browser, base: str) -> None:
    with visit(chromium, base, width=NARROW, touch=True) as tab:
        page = tab.open(FASTAPI)
        page.locator("#chart").focus()
        page.keyboard.press("End")
        last = page.locator("#readout a").last
        expect(last).to_be_visible()
        href = last.get_attribute("href") or ""
        page.keyboard.press("Home")
        expect(page.locator("#readout a").last).not_to_have_attribute("href", href)
        box = page.locator("#chart .u-over").bounding_box()
        assert box
        x, y = box["x"] + box["width"] * (1 - 0.02 / 1.04), box["y"] + 5
        while last.get_attribute("href") != href:
            y += 20
            assert y < box["y"] + box["height"], "nowhere is the run read"
            page.touchscreen.tap(x, y)
            page.wait_for_timeout(300)
            assert "/trend/" in page.url
        page.touchscreen.tap(x, y)
        page.wait_for_url("**/run/*.html")


@pytest.mark.parametrize("width", [NARROW, 768, WIDE])
def test_nothing_shifts_while_a_page_is_made(chromium: Browser, base: str, width: int) -> None:
    found = {}
    with visit(chromium, base, width=width) as tab:
        tab.page.add_init_script(SHIFTS)
        tab.page.route(re.compile(r"static/(trend|run|runs|compare)\.js"), _late)  # the page is painted before it
        for path in [*each_kind(base), FASTAPI + ALONG]:
            tab.open("method.html")
            page = tab.open(path)
            page.wait_for_timeout(200)
            multiples = page.locator("#multiples")
            if multiples.count():
                multiples.scroll_into_view_if_needed()
                page.locator("#multiples canvas").first.wait_for()
            page.wait_for_timeout(100)
            found[path] = page.evaluate("shifted")
    assert {path: shift for path, shift in found.items() if shift >= 0.1} == {}


def _late(route: Route) -> None:
    time.sleep(0.3)
    route.continue_()


def test_paper_is_narrower_than_the_window(chromium: Browser, base: str) -> None:
    """Printing makes no figure anew: what there is has to fit."""
    with visit(chromium, base) as tab:
        tab.page.add_init_script("window.ResizeObserver = class { observe() {} disconnect() {} };")
        page = tab.open(FASTAPI)
        page.locator("#multiples").scroll_into_view_if_needed()
        page.locator("#multiples canvas").first.wait_for()
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 700, "height": 1000})
        for canvas in page.locator("canvas").all():
            box = canvas.bounding_box()
            assert box
            assert box["height"] > 50
            assert box["x"] + box["width"] <= 700
        assert not tab.overflow()


def test_back_goes_back_through_what_was_chosen(tab: Visit) -> None:
    tab.open("index.html")
    page = tab.open(FASTAPI)
    page.get_by_role("button", name="Closer").click()
    expect(page.locator("#state")).not_to_contain_text(": 8 of 8 runs")
    page.locator("select[name=metric]").select_option("latency_p95_ms")
    expect(page.locator("#state")).to_contain_text("Latency p95")
    page.go_back()
    expect(page.locator("#state")).to_contain_text("Throughput")
    expect(page.locator("#state")).not_to_contain_text(": 8 of 8 runs")
    page.go_back()
    expect(page.locator("#state")).to_contain_text(": 8 of 8 runs")
    assert FASTAPI in page.url
    page.go_forward()
    expect(page.locator("#state")).not_to_contain_text(": 8 of 8 runs")


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_the_keyboard_stops_only_where_something_scrolls(chromium: Browser, base: str, width: int) -> None:
    stops = """() => [...document.querySelectorAll(".scroll")]
      .filter((box) => box.offsetParent !== null && !box.closest("details:not([open])"))
      .filter((box) => (box.scrollWidth > box.clientWidth) !== (box.tabIndex === 0))
      .map((box) => box.getAttribute("aria-label"))"""
    with visit(chromium, base, width=width) as tab:
        for path in [*each_kind(base), "method.html"]:
            page = tab.open(path)
            page.wait_for_timeout(200)
            assert page.evaluate(stops) == [], path
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            page.wait_for_timeout(200)
            assert page.evaluate(stops) == [], path


def test_a_backend_with_pairs_opens_with_ratios_and_their_intervals(tab: Visit) -> None:
    page = tab.open(FASTAPI)
    expect(page.locator("#state")).to_contain_text("as ratio")
    assert page.locator("#legend li").count() == 1
    page.locator("#numbers summary").click()
    expect(page.locator("#numbers tbody tr")).to_have_count(8)
    assert all(" to " in text for text in page.locator("#numbers tbody td:nth-child(4)").all_inner_texts())


def test_all_backends_are_in_one_figure(tab: Visit) -> None:
    page = tab.open(FASTAPI)
    page.locator("select[name=lines]").select_option("all")
    expect(page.locator("#legend li")).to_have_count(len(LABELS))
    names = page.locator("#legend li").all_inner_texts()
    assert [name.strip().partition(",")[0] for name in names] == [*LABELS.values()]
    assert len(set(re.findall(r"color-\d", page.locator("#legend").inner_html()))) == len(LABELS)
    expect(page.locator("#state")).to_contain_text("32 of 32 runs")
    assert "lines=all" in page.url


@pytest.mark.parametrize(
    ("scale", "wanted"),
    [("zero", r"0"), ("percent", r"[+-]\d+(\.\d+)?%"), ("log", r"[\d.,]+")],
)
def test_the_scale_of_values_can_be_chosen(tab: Visit, scale: str, wanted: str) -> None:
    page = tab.open(f"{FASTAPI}#scale=absolute&y={scale}&lines=all")
    texts = [one["text"] for one in drawn(page)]
    assert [text for text in texts if re.fullmatch(wanted, text)], texts
    page.locator("#chart").focus()
    page.keyboard.press("Home")
    expect(page.locator("#readout")).to_contain_text("0.00% from the first" if scale == "percent" else "requests/s")


def test_every_kind_of_figure_is_drawn_without_a_single_run(chromium: Browser, tmp_path: Path) -> None:
    """A metric that nobody measured, at each scale."""
    store.add(make_paired_run(1), tmp_path / "history")
    with visit(chromium, build(tmp_path / "history", tmp_path / "site").as_uri() + "/") as tab:
        for scale in ("fitted", "zero", "log", "percent"):
            for range_ in ("", "&from=2001-01-01&to=2001-01-02"):
                page = tab.open(f"{FASTAPI}#y={scale}{range_}")
                expect(page.locator("#state")).to_contain_text("of 1 run")


def test_this_history_has_no_finding_of_axe_at_any_width(chromium: Browser, base: str) -> None:
    found = []
    for width in (NARROW, 768, 1440):
        with visit(chromium, base, width=width, dark=width == 768) as tab:
            for path in (FASTAPI, "runs.html", "index.html"):
                tab.open(path).wait_for_timeout(200)
                found += [*tab.axe(), *tab.overflow()]
    assert found == []
