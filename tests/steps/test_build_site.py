"""The site as files: complete, the same however it came about, and nothing of the history can break out of it."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import mmap
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.history import store
from scripts.model import METRICS, PipelineError
from scripts.pages import badges, feed, published, tables
from scripts.pages.cache import Cache
from scripts.pages.cards import card_of
from scripts.pages.output import code_digest
from scripts.statistics.intervals import mean_ratios, paired_effect
from scripts.steps import build_site
from scripts.verdict.rounds import by_round, log_ratios
from tests.catalogs import SHELL, make_catalog
from tests.documents import check
from tests.factories import make_history, make_paired_run, make_run

ATOM = "{http://www.w3.org/2005/Atom}"


def record(root: Path, count: int, *, first: int = 0) -> None:
    single, paired = make_history(range(count), {}), make_history(range(count), {}, paired=True)
    for one, other in list(zip(single, paired, strict=True))[first:]:
        store.add(other if int(one.commit.sha, 16) % 2 else one, root)


def build(root: Path, output: Path, *more: str) -> None:
    assert build_site.main(["--history", str(root), "--output", str(output), *more]) == 0


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def compare_with_new(root: Path, grown: Path) -> None:
    build(root, grown.with_name("new"))
    there, new = content(grown), content(grown.with_name("new"))
    assert there.keys() == new.keys()
    assert [path for path in there if there[path] != new[path]] == []


def test_a_site_that_grew_is_the_one_that_is_built_at_once(tmp_path: Path) -> None:
    root, grown = tmp_path / "history", tmp_path / "grown"
    record(root, 4)
    build(root, grown)
    record(root, 6, first=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(published, "series", None)  # which would make all of it
        build(root, grown)
    compare_with_new(root, grown)


@pytest.mark.parametrize("how", ["earlier", "new level", "first baseline", "damaged"])
def test_a_site_that_changed_is_the_one_that_is_built_at_once(how: str, tmp_path: Path) -> None:
    root, grown = tmp_path / "history", tmp_path / "grown"
    runs = make_history(range(6), {})
    for run in runs[1:5]:
        store.add(run, root)
    build(root, grown)
    if how == "damaged":
        for path, damage in zip(sorted((grown / "data" / "series").rglob("*.js")), (-4, 0, 5), strict=False):
            path.write_bytes(path.read_bytes()[:damage])
    one = {
        "earlier": runs[0],
        "new level": make_history(range(6), {}, levels=(10, 20, 50))[5],
        "first baseline": make_history(range(6), {}, paired=True)[5],
        "damaged": runs[5],
    }
    store.add(one[how], root)
    build(root, grown)
    compare_with_new(root, grown)


def test_changes_from_a_file_are_not_taken_for_found_ones(tmp_path: Path) -> None:
    root, site, given = tmp_path / "history", tmp_path / "site", tmp_path / "changes.json"
    record(root, 3)
    build(root, site)
    nothing = (site / "data" / "changes.json").read_bytes()
    found = make_catalog(make_history(range(30), {("fastapi", 15): 1.4})).changes
    assert found
    assert found.changes
    given.write_bytes(msgspec.json.encode(found))
    build(root, site, "--changes", str(given))
    assert (site / "data" / "changes.json").read_bytes() != nothing
    build(root, site)
    assert (site / "data" / "changes.json").read_bytes() == nothing


def test_a_level_that_could_be_no_column_is_left_out(tmp_path: Path) -> None:
    root = tmp_path / "history"
    record(root, 2)
    path = store.add(make_history(range(3), {})[2], root)
    path.write_text(path.read_text().replace('"levels": [\n   10', f'"levels": [\n   {2**40}'))
    build(root, tmp_path / "site")
    assert "$.profile.levels[0]" in (tmp_path / "site" / "index.html").read_text()


def test_what_is_known_is_not_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, output = tmp_path / "history", tmp_path / "site"
    record(root, 3)
    build(root, output)
    build(root, output)
    assert " 0 were written and 0 removed" in capsys.readouterr().out.splitlines()[-1]
    lost = next((output / "run").iterdir())
    lost.unlink()
    build(root, output)
    assert lost.exists()


def test_what_is_left_over_goes(tmp_path: Path) -> None:
    root, output = tmp_path / "history", tmp_path / "site"
    record(root, 3)
    build(root, output)
    gone = next(root.rglob("*.json"))
    gone.unlink()
    (output / "data" / "stray").mkdir()
    (output / "data" / "stray" / "file").touch()
    build(root, output)
    assert not (output / "run" / f"{gone.stem}.html").exists()
    assert not (output / "data" / "stray").exists()


def test_every_link_leads_somewhere(tmp_path: Path) -> None:
    root, output = tmp_path / "history", tmp_path / "site"
    record(root, 4)
    build(root, output)
    there = set(content(output))
    for path in sorted(path for path in there if path.endswith(".html")):
        assert check((output / path).read_text()).targets(path) <= there, path


def test_an_empty_history_has_a_site(tmp_path: Path) -> None:
    (tmp_path / "history").mkdir()
    build(tmp_path / "history", tmp_path / "site")
    assert "build_site" in check((tmp_path / "site" / "index.html").read_text()).text


def test_damaged_and_hostile_files_are_named_and_break_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "history"
    record(root, 2)
    damaged = next(root.rglob("*.json"))
    damaged.write_text("{")
    run = make_run(levels=(10,), rounds=1)
    for number, (true, false) in enumerate({"fastapi": "../../../evil", run.commit.sha: "../../x"}.items()):
        path = store.add(msgspec.structs.replace(run, id=f"20261124T00000{number}Z-abcdef0-000001"), root)
        path.write_text(path.read_text().replace(f'"{true}"', f'"{false}"'))
    build(root, tmp_path / "site")
    said = capsys.readouterr().err
    assert "3 files of the history do not count" in said
    assert damaged.name in said
    assert "`key` in `$.labels`" in said
    assert "$.commit.sha" in said
    assert {path.name for path in tmp_path.iterdir()} == {"history", "site", ".site.cache"}


def test_of_several_roots_each_run_counts_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record(tmp_path / "one", 2)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    build(tmp_path / "one", tmp_path / "site", "--history", str(tmp_path / "two"))
    assert ": 2 runs, " in capsys.readouterr().out


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(PipelineError, match="holds other things than a site"):
        build(tmp_path, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_numbers_of_a_card_are_those_of_the_reports() -> None:
    run = make_paired_run(levels=(10, 50), rounds=7, invalid_rounds={3})
    card = card_of(run)
    for name, metric in METRICS.items():
        for levels, level in (((10, 50), None), ((10,), 10), ((50,), 50)):
            effect = paired_effect([*by_round(log_ratios(run.counting, metric, "fastapi"), levels).values()])
            found = card.ratio("fastapi", name, level)
            assert found is not None
            assert [found.low, found.high] == pytest.approx(effect.interval(0.05), rel=1e-6)
            assert found.ratio == pytest.approx(np.exp(effect.log_ratio), rel=1e-6)
        chosen = [block for block in run.select("fastapi", 10) if block.arm == "candidate"]
        assert card.value("fastapi", name, 10) == pytest.approx(metric.mean(chosen), rel=1e-6)


def test_a_ratio_needs_two_rounds_for_an_interval() -> None:
    ratio, low, high = mean_ratios(np.array([[0.1, np.nan], [np.nan, np.nan]]))
    assert ratio[0] == pytest.approx(np.exp(0.1))
    assert np.isnan([ratio[1], *low, *high]).all()


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_rounding_keeps_five_digits(value: float) -> None:
    assert published.rounded(np.array([value, -value])).tolist() == pytest.approx([value, -value], rel=5.1e-5)
    assert len(re.sub(r"e.*|\D|^0\.0*", "", repr(float(published.rounded(np.array(value))))).strip("0")) <= 5


def test_tables_hold_every_number() -> None:
    catalog = make_catalog([*make_history(range(3), {}), *make_history(range(3, 6), {}, paired=True)])
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(tables.csv_gz(catalog.cards)).decode())))
    parquet = pq.read_table(io.BytesIO(tables.parquet(catalog.cards, tuple(catalog.labels)))).to_pylist()
    assert len(rows) == len(parquet) == 3 * 8 + 3 * 16
    by_key = {(row["run"], row["backend"], row["level"], row["arm"]): row for row in parquet}
    for row in rows:
        other = by_key[row["run"], row["backend"], int(row["level"]), row["arm"]]
        card = catalog.by_id[row["run"]]
        read = card.value if row["arm"] == "candidate" else card.baseline_value
        for metric in METRICS:
            value = read(row["backend"], metric, int(row["level"]))
            assert float(row[metric]) == pytest.approx(value, rel=5.1e-5)
            assert other[metric] == pytest.approx(value, rel=5.1e-5)


def test_series_hold_what_the_cards_say() -> None:
    catalog = make_catalog([*make_history(range(3), {}), *make_history(range(3, 6), {}, paired=True)])
    files = dict(published.series(catalog, "fastapi"))
    assert len(files) == 2 * len(METRICS) * (1 + len(catalog.levels))
    path = "series/fastapi/cpu_ms_per_request/ratio-10"
    text = files[f"data/{path}.js"].decode()
    assert text.startswith(f'benchData("{path}", ')
    assert text.endswith(");\n")
    columns = msgspec.json.decode(text[len(f'benchData("{path}", ') : -len(");\n")])
    assert columns["run"] == [3, 4, 5]
    for run, value, low in zip(columns["run"], columns["value"], columns["low"], strict=True):
        ratio = catalog.cards[run].ratio("fastapi", "cpu_ms_per_request", 10)
        assert ratio is not None
        assert [value, low] == pytest.approx([ratio.ratio, ratio.low], rel=5.1e-5)


def test_a_longer_series_is_the_one_that_is_made_at_once() -> None:
    runs = [*make_history(range(3), {}), *make_history(range(3, 6), {}, paired=True)]
    whole, known = make_catalog(runs), make_catalog(runs[:4])
    old = dict(published.series(known, "fastapi"))
    assert dict(published.longer_series(whole, "fastapi", 4, old.__getitem__)) == dict(
        published.series(whole, "fastapi")
    )


def test_each_commit_has_its_runs_in_its_shard() -> None:
    catalog = make_catalog(make_history(range(3), {}, paired=True))
    shards = published.commits(catalog)
    found = {sha: [run["id"] for run in runs] for shard in shards.values() for sha, runs in shard.items()}
    assert all(sha.startswith(name) for name, shard in shards.items() for sha in shard)
    for card in catalog.cards:
        assert card.id in found[card.commit.sha]
        assert card.baseline
        assert card.baseline.sha in found


def test_a_cache_that_makes_no_sense_is_made_anew(tmp_path: Path) -> None:
    root, cache = tmp_path / "history", tmp_path / ".site.cache"
    record(root, 2)
    cache.write_text("a file, as there once was")
    build(root, tmp_path / "site")
    whole = content(cache)
    for name, data in whole.items():
        (cache / name).write_bytes(data[: len(data) // 2])
    build(root, tmp_path / "site")
    assert content(cache) == whole
    for chunk in (b"\xc1", b"\x91\x81\xa4path\xa1\xff"):  # no msgpack, and no UTF-8
        Cache(cache, code_digest()).keep_runs([chunk])
        build(root, tmp_path / "site")
        assert content(cache)["runs"] == whole["runs"]


def test_a_cache_that_cannot_be_mapped_is_kept_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENODEV, "no such device")

    record(tmp_path / "history", 2)
    monkeypatch.setattr(mmap, "mmap", refuse)
    build(tmp_path / "history", tmp_path / "site")
    monkeypatch.undo()
    compare_with_new(tmp_path / "history", tmp_path / "site")


def test_the_feed_has_an_entry_for_each_change() -> None:
    catalog = make_catalog(make_history(range(30), {("fastapi", 15): 1.4}))
    assert catalog.all_changes
    root = ElementTree.fromstring(feed.render(catalog, SHELL))
    entries = root.findall(f"{ATOM}entry")
    assert len(entries) == len(catalog.all_changes)
    for element in (root, *entries):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", element.findtext(f"{ATOM}updated", ""))
        assert element.findtext(f"{ATOM}id", "").startswith("urn:uuid:")
    links = {link.get("href") for entry in entries for link in entry.findall(f"{ATOM}link")}
    assert links == {f"changes.html#{change.id}" for change in catalog.all_changes}


def test_badges_say_what_a_backend_does() -> None:
    files = badges.files(make_catalog(make_history(range(2), {}, backends=("fastapi",))))
    measured = msgspec.json.decode(files["badge/fastapi.json"])
    assert re.fullmatch(r"[\d.,]+ requests/s at \d+ users", measured["message"])
    assert measured["schemaVersion"] == 1
    assert msgspec.json.decode(files["badge/django_wsgi.json"])["message"] == "not measured"
    for path in files:
        if path.endswith(".svg"):
            ElementTree.fromstring(files[path])
