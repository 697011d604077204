"""The report's files: self-contained, whole, and proof against the text they show."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from scripts import words
from scripts.model import PipelineError, Run
from scripts.report.rendering import artifacts, context, render_html, write_report
from scripts.report.summary import summarize
from tests.factories import LABELS, make_run

HOSTILE = "</title></style><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7 * 7 }}\x1b[2J\u202e \"'>&amp;"
VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Tags and attributes of a page, with its tags checked for balance."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def render(run: Run) -> str:
    return render_html(run, summarize(run))


def hostile_run() -> Run:
    """Every text that a run can hold is hostile."""
    run = make_run(levels=(10,), labels=dict.fromkeys(LABELS, HOSTILE), subject=HOSTILE, invalid=[("fastapi", 10, 0)])
    labels = {name: f"{name} {HOSTILE}" for name in LABELS}
    environment = msgspec.structs.replace(run.environment, cpu_model=HOSTILE, kernel=HOSTILE, runner_image=HOSTILE)
    blocks = tuple(
        msgspec.structs.replace(
            block,
            violations=tuple(msgspec.structs.replace(v, rule=HOSTILE, detail=HOSTILE) for v in block.violations),
        )
        for block in run.blocks
    )
    return msgspec.structs.replace(
        run,
        id=HOSTILE,
        labels=labels,
        environment=environment,
        blocks=blocks,
        packages={"fastapi": {HOSTILE: HOSTILE}},
        commit=msgspec.structs.replace(run.commit, sha=HOSTILE),
        profile=msgspec.structs.replace(run.profile, name=HOSTILE),
        stopped_by=HOSTILE,
        complete=False,
    )


@pytest.mark.parametrize(
    "run", [make_run(), make_run(rounds=1, levels=(5,)), hostile_run()], ids=["full", "one", "bad"]
)
def test_page_needs_nothing_else_and_runs_nothing(run: Run) -> None:
    page = Page(render(run))
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "embed", "image", "use"}
    for tag, attributes in page.tags:
        assert not {name for name in attributes if name.startswith("on")}, tag
        assert not attributes.keys() & {"src", "href", "xlink:href", "style", "srcset", "action"}, tag


def test_policy_allows_the_style_of_the_page_and_nothing_else() -> None:
    html = render(make_run(levels=(10,)))
    styles = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(styles) == 1
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    policies = [a["content"] for tag, a in Page(html).tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"]
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]


def test_hostile_text_is_shown_as_text() -> None:
    words = Page(render(hostile_run())).words
    assert "<script>alert(1)</script>" in words
    assert "{{ 7 * 7 }}" in words
    assert "\x1b" not in words
    assert "\u202e" not in words


def test_page_leads_with_the_outcome() -> None:
    words = Page(render(make_run())).words
    order = [
        "fast-django-asgi leads at all 10 levels.",
        "Equal work: 168 statements for each request.",
        "Who leads at each level",
        "Figures",
        "Every level",
        "Parity: what one request does",
        "No block is invalid",
        "Where it ran",
        "--seed 1",
    ]
    places = [words.rindex(text) for text in order]
    assert places == sorted(places)


def test_invalid_blocks_are_named_and_have_no_number() -> None:
    run = make_run(levels=(10,), invalid=[("fastapi", 10, 0), ("fastapi", 10, 1)], repeated=[("django_asgi", 10, 0)])
    words = Page(render(run)).words
    assert "3 of 9 blocks invalid" in words
    assert "INVALID [1]" in words
    assert "repeated with success" in words
    assert "missing from the results" in words
    assert f"{run.blocks[0].load.throughput_rps:.1f}" in words or not run.blocks[0].valid
    for block in run.blocks:
        if block.backend == "fastapi":
            assert f">{block.load.throughput_rps:.1f}<" not in render(run)


def test_every_block_has_a_row_and_an_invalid_one_no_metrics() -> None:
    run = make_run(levels=(10,), repeated=[("fastapi", 10, 1)])
    table = context(run, summarize(run))["blocks"]
    assert len(table.rows) == len(run.blocks) == 9
    for block, row in zip(run.blocks, table.rows, strict=True):
        assert len(row) == len(table.header)
        assert row[-1] == ("valid" if block.valid else "INVALID")
        assert (words.NOTHING in row) is not block.valid


def test_a_run_without_parity_or_blocks_is_reported_too() -> None:
    run = msgspec.structs.replace(make_run(levels=(10,)), parity=(), blocks=())
    assert "No block is valid: there is no result." in Page(render(run)).words


def test_every_artifact_is_written_and_the_same_every_time(tmp_path: Path) -> None:
    run = make_run(levels=(10, 20))
    report = write_report(run, tmp_path)
    assert report == tmp_path / "report.html"
    names = {"report.html", "incremental_benchmark_report.md", "incremental_benchmark_results.json"}
    for figure in ("throughput", "error_rate", "cpu_usage", "duration", "total_requests"):
        names |= {f"{figure}_vs_concurrency.svg", f"{figure}_vs_concurrency.png"}
    assert {entry.name for entry in tmp_path.iterdir()} == names
    assert artifacts(run) == {name: (tmp_path / name).read_bytes() for name in names}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="absent"):
        write_report(make_run(levels=(10,), rounds=1), tmp_path / "absent")
