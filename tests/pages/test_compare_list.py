"""What a comparison found, as one list: filtered, sorted by each column, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.history import store
from scripts.model import Run
from tests.browser import NARROW, build, visit
from tests.factories import LABELS, make_run

pytestmark = pytest.mark.browser

HOSTILE = "A|B <script>window.pwned=1</script> [x](y) @team"


def sha(number: int) -> str:
    return f"{number:07x}".ljust(40, "a")


def named(run: Run, number: int, factor: float) -> Run:
    """A run with an identity of its own, in which all backends but the first have more throughput."""
    blocks = tuple(
        block
        if block.backend == "fastapi"
        else msgspec.structs.replace(
            block, load=msgspec.structs.replace(block.load, throughput_rps=block.load.throughput_rps * factor)
        )
        for block in run.blocks
    )
    commit = msgspec.structs.replace(run.commit, sha=sha(number % 2))
    labels = run.labels | {"django_wsgi": HOSTILE}
    name = f"202611{10 + number}T120000Z-{commit.sha[:7]}-{number:06x}"
    return msgspec.structs.replace(run, id=name, commit=commit, blocks=blocks, labels=labels)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("list")
    for number in range(6):  # each commit is measured again, which shows what runs of the same code differ by
        run = named(make_run(number, levels=(10, 50), rounds=8), number, 1.0 + number % 2)
        store.add(run, folder / "history")
    return build(folder / "history", folder / "site").as_uri() + "/", f"compare.html?a={sha(0)}&b={sha(1)}"


@pytest.fixture
def page(chromium: Browser, address: tuple[str, str]) -> Iterator[Page]:
    with visit(chromium, address[0]) as tab:
        yield tab.open(address[1])


def column(page: Page, number: int) -> list[str]:
    return page.locator(f"#list tbody tr > :nth-child({number})").all_inner_texts()


def test_only_what_changed_by_its_size_comes_first(page: Page) -> None:
    assert page.locator("#list input[name=changed]").is_checked()
    assert set(column(page, 6)) <= {"better", "worse"}
    changed = len(column(page, 6))
    ratios = [float(text.rstrip("x")) for text in column(page, 4)]
    assert ratios[0] > 1.8
    page.locator("#list input[name=changed]").uncheck()
    assert len(column(page, 6)) > changed
    assert LABELS["fastapi"] in column(page, 1)


@pytest.mark.parametrize(("head", "number"), [("backend", 1), ("metric", 2), ("users", 3)])
def test_any_column_sorts(page: Page, head: str, number: int) -> None:
    page.locator("#list input[name=changed]").uncheck()
    button = page.locator("#list").get_by_role("button", name=head)
    button.click()
    down = column(page, number)
    button.click()
    expect(page.locator("#list th[aria-sort=descending]")).to_contain_text(head)
    assert [*dict.fromkeys(column(page, number))] == [*dict.fromkeys(reversed(down))]
    assert page.evaluate("document.activeElement.textContent").startswith(head)


def test_a_filter_and_markdown_in_which_text_is_text(page: Page) -> None:
    page.locator("#list input[name=filter]").fill("a|b")
    assert len(set(column(page, 1))) == 1
    lines = page.locator("#list textarea").input_value().strip().splitlines()
    assert len(lines) == 2 + len(column(page, 1))
    assert lines[0] == "| backend | metric | users | ratio | interval | so |"
    assert all(line.replace("\\|", "").count("|") == 7 for line in lines)
    assert "<script" not in "".join(lines)
    assert "@team" not in "".join(lines)
    assert page.evaluate("window.pwned") is None


def test_it_fits_and_is_accessible(chromium: Browser, address: tuple[str, str]) -> None:
    with visit(chromium, address[0], width=NARROW, dark=True) as tab:
        page = tab.open(address[1])
        page.locator("#list summary").click()
        assert [*tab.overflow(), *tab.axe()] == []
