"""The trend page in a real browser: every control, by mouse and by keyboard, and the address that keeps the choice."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from playwright.sync_api import Page, expect

from scripts.history import store
from tests import hostile
from tests.browser import NARROW, build, visit
from tests.factories import make_run

pytestmark = pytest.mark.browser

FASTAPI = "trend/fastapi.html"
MEASURED = f"{FASTAPI}#scale=absolute"
SINGLE, PAIRED = 24, 8


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("trend")
    hostile.write(folder / "history")
    return build(folder / "history", folder / "site").as_uri() + "/"


@pytest.fixture
def tab(chromium, base):
    with visit(chromium, base) as tab:
        yield tab


def chosen(page: Page) -> dict[str, str]:
    """The choice in the address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).fragment).items()}


def choose(page: Page, name: str, value: str) -> None:
    page.locator(f"select[name={name}]").select_option(value)


def state(page: Page) -> str:
    expect(page.locator("#state")).not_to_contain_text("Loading")
    return page.locator("#state").inner_text()


def picture(page: Page) -> bytes:
    return page.locator("#chart canvas").screenshot()


def press(page: Page, *keys: str) -> None:
    page.locator("#chart").focus()
    for key in keys:
        page.keyboard.press(key)


def read(page: Page) -> str:
    """What is said of the run that is pointed at."""
    expect(page.locator("#readout a").last).to_be_visible()
    return page.locator("#readout").inner_text()


def test_values_as_measured_are_lines_of_what_can_be_compared(tab):
    page = tab.open(MEASURED)
    assert state(page).startswith("Throughput over all levels, in requests/s (higher is better): 32 of 32 runs")
    lines = page.locator("#legend li").all_inner_texts()
    assert len(lines) == 3  # two environments, and paired runs apart from those of one arm
    assert [line.rsplit("(", 1)[1] for line in lines] == ["18 runs)", "6 runs)", "8 runs)"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("metric", "latency_p95_ms", "Latency p95 over all levels, in ms (lower is better): 32 of 32 runs"),
        ("level", "50", "Throughput at 50 users, in requests/s (higher is better): 32 of 32 runs"),
        ("scale", "ratio", "Throughput over all levels, as ratio (higher is better): 8 of 8 runs"),
        ("along", "committed", "Throughput over all levels, in requests/s (higher is better): 32 of 32 runs"),
    ],
)
def test_choice_is_drawn_said_and_kept_in_the_address(tab, name, value, said):
    page = tab.open(MEASURED)
    before = state(page), picture(page)
    choose(page, name, value)
    expect(page.locator("#state")).to_contain_text(said)
    assert chosen(page) == ({} if name == "scale" else {"scale": "absolute", name: value})
    if name != "along":  # hostile runs are measured when they are committed
        assert picture(page) != before[1]
    again = tab.open(f"{FASTAPI}#{urlsplit(page.url).fragment}")
    assert state(again).startswith(said)
    assert again.locator(f"select[name={name}]").input_value() == value


@pytest.mark.parametrize(("order", "first"), [((0, 1, 2), "measured"), ((2, 0, 1), "committed")])
def test_a_history_measured_afterwards_opens_in_the_order_of_its_commits(chromium, tmp_path, order, first):
    for number, place in enumerate(order):
        run = make_run(number, levels=(10,))
        commit = msgspec.structs.replace(
            run.commit, sha=f"{place:040x}", committed_at=f"2026-11-1{place}T10:00:00+01:00"
        )
        changed = {
            "id": f"2026112{number}T100000Z-{number:07x}-{number:06x}",
            "started": f"2026-11-2{number}T10:00:00+00:00",
        }
        store.add(msgspec.structs.replace(run, commit=commit, **changed), tmp_path / "history")
    with visit(chromium, build(tmp_path / "history", tmp_path / "site").as_uri() + "/") as tab:
        assert tab.open(FASTAPI).locator("select[name=along]").input_value() == first


def test_nonsense_in_the_address_is_the_default(tab):
    page = tab.open(f"{FASTAPI}#metric=<script>&level=-1&scale=x&along=&from=never&to=2026-99-99&other=1")
    assert state(page).startswith("Throughput over all levels, as ratio (higher is better): 8 of 8 runs")


def test_dates_bound_the_figure(tab):
    page = tab.open(MEASURED)
    page.locator("input[name=from]").fill("2026-06-10")
    page.locator("input[name=to]").fill("2026-06-19")
    expect(page.locator("#state")).to_contain_text("10 of 32 runs, 10 Jun 2026 to 19 Jun 2026")
    assert chosen(page) == {"scale": "absolute", "from": "2026-06-10", "to": "2026-06-19"}
    page.get_by_role("button", name="Everything").click()
    expect(page.locator("#state")).to_contain_text("32 of 32 runs")
    assert chosen(page) == {"scale": "absolute"}


def test_buttons_move_and_zoom(tab):
    page = tab.open(f"{MEASURED}&from=2026-06-11&to=2026-06-20")
    for name, wanted in (("Closer", 5), ("Farther", 10), ("Earlier", 10), ("Later", 10)):
        page.get_by_role("button", name=name).click()
        expect(page.locator("#state")).to_contain_text(f": {wanted} of 32 runs")


def test_drag_zooms(tab):
    page = tab.open(MEASURED)
    box = page.locator("#chart .u-over").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 60, steps=5)
    page.mouse.up()
    expect(page.locator("#state")).to_contain_text("8 of 32 runs")
    assert {"scale", "from", "to"} == chosen(page).keys()
    again = tab.open(f"{FASTAPI}#{urlsplit(page.url).fragment}")
    expect(again.locator("#state")).to_contain_text("8 of 32 runs")


def test_pointing_reads_a_run_and_a_click_opens_it(tab):
    page = tab.open(MEASURED)
    press(page, "End")
    last = page.locator("#readout a").last.get_attribute("href")
    press(page, "Home")
    box = page.locator("#chart .u-over").bounding_box()
    x, y = box["x"] + box["width"] * (1 - 0.02 / 1.04), box["y"]  # there is room of 2% on both sides
    while page.locator("#readout a").last.get_attribute("href") != last:
        y += 10
        assert y < box["y"] + box["height"], "nowhere is the run read"
        page.mouse.move(x, y)
        page.evaluate("new Promise(requestAnimationFrame)")
    page.mouse.click(x, y)  # once: a second click could meet a page that is leaving
    page.wait_for_url("**/run/*.html")
    assert page.url.endswith(last.removeprefix(".."))


def test_keyboard_reads_every_run_and_opens_one(tab):
    page = tab.open(MEASURED)
    press(page, "Home")
    first = read(page)
    assert "1 Jun 2026, 00:00 UTC" in first
    assert hostile.SEEN in first
    assert "\u202e" not in page.content()
    press(page, "ArrowRight", "ArrowRight", "PageDown", "ArrowLeft")
    expect(page.locator("#readout")).to_contain_text("measured 12 Jun 2026")
    press(page, "End")
    expect(page.locator("#readout")).to_contain_text("measured 2 Jul 2026")
    press(page, "+")
    expect(page.locator("#state")).to_contain_text("16 of 32 runs")
    press(page, "0")
    expect(page.locator("#state")).to_contain_text("32 of 32 runs")
    press(page, "Home")
    read(page)
    press(page, "Enter")
    page.wait_for_url("**/run/20260601T*.html")


def test_ratio_has_its_interval(tab):
    page = tab.open(f"{FASTAPI}#scale=ratio&level=10")
    press(page, "Home")
    said = read(page)
    assert "x (" in said
    assert "against bbbbbbb" in said


def test_line_can_be_switched_off(tab):
    page = tab.open(MEASURED)
    expect(page.locator("#state")).to_contain_text("32 of 32 runs")
    page.locator("#legend input").first.uncheck()
    expect(page.locator("#state")).to_contain_text("14 of 32 runs")
    press(page, "Home")
    expect(page.locator("#readout")).to_contain_text("measured 19 Jun 2026")
    page.locator("#legend input").first.check()
    expect(page.locator("#state")).to_contain_text("32 of 32 runs")


def test_every_level_has_a_small_figure_that_chooses_it(tab):
    page = tab.open(f"{MEASURED}&metric=cpu_ms_per_request")
    assert not any("/cpu_ms_per_request/10" in url for url in tab.requests)  # what nobody looks at is not loaded
    page.locator("#multiples").scroll_into_view_if_needed()
    expect(page.locator("#multiples figure canvas")).to_have_count(2)
    page.locator("#multiples").get_by_role("link", name="50 users").click()
    expect(page.locator("#state")).to_contain_text("CPU per request at 50 users")
    assert chosen(page) == {"scale": "absolute", "metric": "cpu_ms_per_request", "level": "50"}


def test_numbers_of_the_figure(tab):
    page = tab.open(f"{MEASURED}&from=2026-06-10&to=2026-06-19")
    page.locator("#numbers summary").click()
    rows = page.locator("#numbers tbody tr")
    expect(rows).to_have_count(10)
    expect(rows.first).to_contain_text("19 Jun 2026")
    choose(page, "level", "10")
    expect(page.locator("#numbers thead")).to_contain_text("Throughput")
    rows.first.get_by_role("link").first.click()
    page.wait_for_url("**/run/20260619T*.html")


def test_other_backends_keep_the_choice(tab):
    page = tab.open(f"{MEASURED}&metric=latency_p95_ms&level=50")
    page.locator("#backends").get_by_role("link", name="Django ASGI").click()
    page.wait_for_url("**/trend/django_asgi.html*")
    assert state(page).startswith("Latency p95 at 50 users")


def test_what_happened_is_listed_with_its_sign_and_number(tab):
    page = tab.open(FASTAPI)
    kinds = [item.get_attribute("data-kind") for item in page.locator("ol.marks > li").all()]
    assert {"environment", "dependency", "event"} <= set(kinds)
    assert page.locator("ol.marks > li svg.sign").count() == len(kinds)
    assert page.locator("ol.marks", has_text=hostile.SEEN).count() == 1


def test_without_script_the_newest_runs_are_there(chromium, base):
    with visit(chromium, base, script=False) as tab:
        page = tab.open(FASTAPI)
        assert not page.locator("#explorer").is_visible()
        assert page.locator("#newest figure svg").count() == 4
        page.locator("#newest summary").first.click()
        assert page.locator("#newest table").first.locator("tbody tr").count() == 30


def test_narrow_and_dark(chromium, base):
    with visit(chromium, base, width=NARROW, dark=True) as tab:
        page = tab.open(MEASURED)
        page.locator("#multiples").scroll_into_view_if_needed()
        expect(page.locator("#multiples figure canvas")).to_have_count(2)
        assert tab.overflow() == []
        assert tab.axe() == []


def test_first_view_is_light(tab):
    """What a page loads before anybody touches it, of its own files: scripts read columns, not runs."""
    tab.open(FASTAPI)
    names = {url.rsplit("/", 1)[1] for url in tab.requests}
    assert "runs.js" in names
    assert not any(name.startswith(("runs-detail", "runs-subjects", "2026")) for name in names)
