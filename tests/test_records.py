"""Run files: what is written is read back, and what is wrong is named."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.config import ROOT
from scripts.model import SCHEMA_VERSION, PipelineError, Run
from scripts.records import SMALLEST, UPGRADES, create, decode_run, encode_run, read_run, upgrade, write_run
from tests.factories import make_run

text = st.text(st.characters(codec="utf-8"))
numbers = st.just(0.0) | st.floats(SMALLEST, 1e12)


@st.composite
def runs(draw: st.DrawFn) -> Run:
    run = make_run(draw(st.integers(0, 99)), levels=(10, 50), rounds=1, complete=draw(st.booleans()))
    block = run.blocks[0]
    load = msgspec.structs.replace(
        block.load, throughput_rps=draw(numbers), failures=draw(st.dictionaries(text, st.integers(0, 9))), latency=None
    )
    blocks = (msgspec.structs.replace(block, load=load, raw=draw(text)), *run.blocks[1:])
    commit = msgspec.structs.replace(run.commit, subject=draw(text), branch=draw(text))
    return msgspec.structs.replace(run, blocks=blocks, commit=commit, labels={name: draw(text) for name in run.labels})


@given(runs())
def test_what_is_encoded_is_decoded_the_same(run: Run) -> None:
    assert decode_run(encode_run(run), "x") == run


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(runs())
def test_what_is_written_is_read_the_same_and_nothing_else_is_left(tmp_path: Path, run: Run) -> None:
    path = tmp_path / "run.json"
    write_run(run, path)
    assert read_run(path) == run
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]
    assert path.stat().st_mode & 0o777 == 0o644


Change = Callable[[dict[str, Any]], object]


def broken(change: Change) -> bytes:
    """A good run file with one change made to its JSON."""
    document = msgspec.json.decode(encode_run(make_run(levels=(10,), rounds=1)))
    change(document)
    return msgspec.json.encode(document)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d["blocks"][1].update(level="ten"), ["$.blocks[1].level", "Expected `int`", "got `str`"]),
        (lambda d: d["commit"].pop("sha"), ["$.commit", "missing required field `sha`"]),
        (lambda d: d.update(extra=1), ["unknown field `extra`"]),
        (lambda d: d.update(scenario="other"), ["$.scenario", "other"]),
        (lambda d: d["blocks"][0]["load"].update(load_s=None), ["$.blocks[0].load.load_s", "Expected `float`"]),
        (lambda d: d.pop("schema_version"), ["schema_version"]),
    ],
)
def test_a_wrong_file_is_named_with_the_key_and_what_was_expected(
    tmp_path: Path, change: Change, words: list[str]
) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(broken(change))
    with pytest.raises(PipelineError) as caught:
        read_run(path)
    for word in [str(path), *words]:
        assert word in caught.value.message


def test_a_newer_file_is_recognised_even_when_its_keys_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(broken(lambda d: d.update(schema_version=SCHEMA_VERSION + 1, novelty=True)))
    with pytest.raises(PipelineError, match="made by a newer version") as caught:
        read_run(path)
    assert "Update" in caught.value.hint


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_every_schema_version_is_read(version: int) -> None:
    path = ROOT / f"tests/data/run-v{version}.json"
    assert msgspec.json.decode(path.read_bytes())["schema_version"] == version
    run = read_run(path)
    assert run.schema_version == SCHEMA_VERSION
    assert run.blocks
    assert decode_run(encode_run(run), "x") == run


@pytest.mark.parametrize("rule", ["steal", "foreign"])
def test_what_others_took_was_invalid_once_and_is_disturbed(rule: str) -> None:
    """Its repetition counted then, and counts now: no figure of an old run changes."""
    lasting = {"rule": "failed", "detail": "d", "passing": False}

    def old(document: dict[str, Any]) -> None:
        document["schema_version"] = 2
        first, second, *_ = document["blocks"]
        first["violations"] = [{"rule": rule, "detail": "took 0.30 CPUs", "passing": True}]
        second["violations"] = [*first["violations"], lasting]
        for block in document["blocks"]:
            block.pop("disturbances")
            block["resources"].update(steal_cpus=0.3, foreign_cpus=-0.1)

    first, second, *others = decode_run(broken(old), "x").blocks
    assert first.valid
    assert [(one.rule, one.detail) for one in first.disturbances] == [(rule, "took 0.30 CPUs")]
    assert first.disturbed_cpus == (0.3 if rule == "steal" else 0.0)
    assert [one.rule for one in second.violations] == ["failed"]
    assert second.disturbances == first.disturbances
    assert all(block.valid and not block.disturbances for block in others)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("blocks"),
        lambda d: d.update(blocks=7),
        lambda d: d.update(blocks=[7]),
        lambda d: d["blocks"][0].update(violations=7),
        lambda d: d["blocks"][0].update(violations=[{"rule": "steal"}]),
        lambda d: d["blocks"][0].update(violations=[{"rule": "steal", "detail": "x"}], resources=None),
    ],
)
def test_what_is_no_old_run_is_named_as_it_always_was(change: Change) -> None:
    def old(document: dict[str, Any]) -> None:
        document["schema_version"] = 2
        change(document)

    with pytest.raises(PipelineError, match=r"x: not a valid run: .*blocks"):
        decode_run(broken(old), "x")


def test_every_recorded_figure_is_what_it_was() -> None:
    """In all that is recorded, each block has one attempt that was not disturbed: the one that counted and counts."""
    for path in sorted((ROOT / "history" / "runs").rglob("*.json")):
        document = msgspec.json.decode(path.read_bytes())
        counted = [number for number, one in enumerate(document["blocks"]) if not one["violations"]]
        run = read_run(path)
        assert {id(one) for one in run.counting} == {id(run.blocks[number]) for number in counted}, path


def test_there_is_an_upgrade_from_every_older_version() -> None:
    assert sorted(UPGRADES) == list(range(1, SCHEMA_VERSION))


def test_upgrades_are_made_one_after_another() -> None:
    steps = {
        1: lambda d: {**d, "wall_s": d["wall_ms"] / 1000},
        2: lambda d: {key: value for key, value in d.items() if key != "wall_ms"},
    }
    old = {"schema_version": 1, "wall_ms": 1500}
    assert upgrade(old, steps, 3) == {"schema_version": 3, "wall_s": 1.5}
    assert upgrade({"schema_version": 3}, steps, 3) == {"schema_version": 3}
    assert old == {"schema_version": 1, "wall_ms": 1500}


def test_an_older_file_becomes_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next raise of the version, rehearsed: today's file is the old one, and lacks what the new one has."""
    run = make_run(levels=(10,), rounds=1)
    document = msgspec.json.decode(encode_run(run))
    document["schema_version"] = SCHEMA_VERSION - 1
    document["profile"].pop("patience_s")
    rehearsed = {SCHEMA_VERSION - 1: lambda d: {**d, "profile": {**d["profile"], "patience_s": None}}}
    monkeypatch.setattr("scripts.records.UPGRADES", rehearsed)
    assert decode_run(msgspec.json.encode(document), "x") == run


def test_a_version_that_never_was_is_refused() -> None:
    with pytest.raises(PipelineError, match="there is no schema_version 0"):
        decode_run(broken(lambda d: d.update(schema_version=0)), "x")


def test_a_file_is_created_once(tmp_path: Path) -> None:
    create(tmp_path / "a", b"first")
    with pytest.raises(FileExistsError):
        create(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff\xfe", b'{"schema_version": 1, "id": "\xff"}', b"null"])
def test_what_is_not_a_run_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(data)
    with pytest.raises(PipelineError, match=r"run\.json: not a valid run"):
        read_run(path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="No such file") as caught:
        read_run(tmp_path / "run.json")
    assert "nox -s bench" in caught.value.hint


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_run_that_would_not_read_back_is_not_written(tmp_path: Path, number: float) -> None:
    path = tmp_path / "run.json"
    write_run(make_run(levels=(10,)), path)
    before = path.read_bytes()
    with pytest.raises(PipelineError, match="wall_s"):
        write_run(msgspec.structs.replace(make_run(), wall_s=number), path)
    resources = msgspec.structs.replace(make_run().blocks[0].resources, cpu_ms_per_request=number)
    block = msgspec.structs.replace(make_run().blocks[0], resources=resources)
    with pytest.raises(PipelineError, match="NaN"):
        write_run(msgspec.structs.replace(make_run(), blocks=(block,)), path)
    assert path.read_bytes() == before


def test_text_that_is_not_unicode_is_refused() -> None:
    with pytest.raises(PipelineError, match="not Unicode"):
        encode_run(make_run(subject="\udcff"))


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    write_run(make_run(levels=(10,)), path)
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scripts.records.os.fsync", full)
    with pytest.raises(PipelineError, match="No space left"):
        write_run(make_run(2), path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.json"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="absent"):
        write_run(make_run(levels=(10,)), tmp_path / "absent" / "run.json")
