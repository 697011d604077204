"""The overview: which run stands for today, and that it says what that run's report says."""

from __future__ import annotations

import msgspec

from scripts import words
from scripts.pages import overview
from scripts.report import sentences
from scripts.report.summary import summarize
from tests.catalogs import SHELL, STUDY, make_catalog
from tests.documents import check
from tests.factories import make_history, make_run


def test_the_newest_whole_curve_of_all_backends_stands_for_today() -> None:
    curve = make_run(1)
    some = make_run(2, labels={"fastapi": "FastAPI"})
    short = make_run(3, levels=(10, 50))
    stopped = make_run(4, complete=False)
    ids = {number: msgspec.structs.replace(run, id=f"2026112{number}T120000Z-{number:07x}-a")
           for number, run in enumerate((curve, some, short, stopped), 3)}  # fmt: skip
    chosen = make_catalog(list(ids.values())).featured
    assert chosen
    assert chosen.id == ids[3].id
    newest = make_catalog([ids[4], ids[5]]).featured
    assert newest
    assert newest.id == ids[5].id
    assert make_catalog([]).featured is None


def test_it_says_what_the_report_says() -> None:
    run = make_run(differences=("django_asgi: 128 statements instead of 168",))
    summary = summarize(run)
    found = check(overview.render(make_catalog([run]), SHELL, run))
    assert sentences.headline(run, summary.standings) in found.text
    assert all(remark.text in found.text for remark in sentences.remarks(run, summary))
    assert "✗ unequal work" in found.text
    winners = found.tables["Who leads at each level"]
    assert [row[0] for row in winners[1:]] == [str(level.level) for level in summary.levels]
    assert set(overview.FIGURES) < set(found.ids)
    assert {f"run/{run.id}.html", "trend/fastapi.html", f"commit/{run.commit.sha}.html"} <= found.targets("index.html")


def test_the_study_stands_beside_what_was_reproduced() -> None:
    run = make_run(levels=(10, 20, 50))
    found = check(overview.render(make_catalog([run], studies=(STUDY,)), SHELL, run))
    rows = {row[0]: row[1:] for row in found.tables["What the study published, and what equal work gives"][1:]}
    assert rows["Django WSGI"][:3] == ["296", "168", "4.00x"]
    means = {
        (cell.backend, level.level): cell.throughput_rps or 0 for level in summarize(run).levels for cell in level.cells
    }
    ratios = [means["fastapi", level] / means["django_wsgi", level] for level in (10, 50)]
    assert rows["Django WSGI"][3] == f"{min(ratios):.2f}x to {max(ratios):.2f}x"
    rates = found.tables["Requests/s of the io-intensive endpoint"]
    assert rates[1][:3] == ["10", "100", words.figure(means["fastapi", 10])]


def test_changes_that_need_a_look_come_first_and_damaged_files_are_named() -> None:
    runs = make_history(range(20), {("fastapi", 8): 1.25, ("django_wsgi", 14): 0.8})
    catalog = make_catalog(runs, damaged=["runs/2026/11/x.json: not a <valid> run"])
    found = check(overview.render(catalog, SHELL, runs[-1]))
    assert len(catalog.all_changes) == 2
    assert found.text.index("FastAPI: ") < found.text.index("Django WSGI: ")
    assert "not a <valid> run" in found.text
    assert "1 file of the history cannot be read" in found.text


def test_an_empty_history_says_what_to_do() -> None:
    found = check(overview.render(make_catalog([]), SHELL, None))
    assert "./start_benchmark.sh -s record" in found.text
