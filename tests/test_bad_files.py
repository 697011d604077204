"""One bad file of the history is named, counted and left out; everything else goes on."""

from __future__ import annotations

import copy
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from scripts import config
from scripts.calibration import campaign
from scripts.checkout import Revision
from scripts.exchange import collection
from scripts.history import findings, gaps, store
from scripts.history.changes import decode
from scripts.history.events import read_anchor, read_events
from scripts.history.series import gather
from scripts.model import SCHEMA_VERSION, PipelineError, Run
from scripts.pages.cards import card_of
from scripts.records import decode_run, encode_run, read_run
from scripts.report.rendering import write_report
from scripts.report.summary import summarize
from scripts.steps import build_site, detect, export, report
from scripts.verdict import noise
from tests.factories import LABELS, make_history, make_line, make_paired_run
from tests.steps.test_detect_history import recorded

BAD: Sequence[Any] = (
    -1, 0, 1e-300, 5e-324, 1e300, 10**18, -(10**18), 2**63, 10**30, True, None, "", "x", "../../x", "nan", [], {},
    [[]], "\u202e", "--output=x", "0-99999999999", "20261199T999999Z", "0001-01-01T00:00:00",
    "9999-12-31T23:59:59-14:00",
)  # fmt: skip
MISSING = object()


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path to every value of a document, inner ones, too."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            yield from leaves(inner, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    document = copy.deepcopy(document)
    inner = document
    for key in path[:-1]:
        inner = inner[key]
    if value is MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return document


@pytest.mark.parametrize("paired", [False, True])
def test_whatever_is_accepted_can_be_used(paired: bool) -> None:
    """Each value of a run's file in turn is taken away, or is another one."""
    *others, run = (
        msgspec.structs.replace(run, blocks=run.blocks[:4])
        for run in make_history(range(9), {}, levels=(10,), paired=paired, backends=("fastapi",))
    )
    document = msgspec.json.decode(encode_run(run))
    accepted, refused = 0, 0
    for path in list(leaves(document))[1:]:
        for value in (*BAD, MISSING):
            one = decoded(msgspec.json.encode(changed(document, path, value)))
            if isinstance(one, str):
                assert one.startswith("name.json: ")
                assert len(one) < 300
                refused += 1
                continue
            accepted += 1
            if isinstance(value, int | float) or path[0] in ("environment", "profile", "labels"):
                use(one, others)
            else:
                card_of(one)
                collection.from_runs([one])
    assert accepted > 300
    assert refused > 1000


def decoded(data: bytes) -> Run | str:
    """A run, or what is wrong with it."""
    try:
        return decode_run(data, "name.json")
    except PipelineError as error:
        return error.message


def use(run: Run, others: list[Run]) -> None:
    terms = config.load().detect
    line = make_line(9)
    series, left_out = gather([*others, run], line, terms.worth_reporting)
    findings.find(series, line, terms, (), run.id, left_out)
    card_of(run)
    collection.from_runs([run])
    summarize(run)


def fill(kind: str, path: Path, good: bytes) -> None:
    """Make ``path`` a file that is none; ``good`` is what it should hold."""
    if kind == "folder":
        path.mkdir()
    elif kind == "dangling":
        path.symlink_to(path.with_name("nothing"))
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        short = Path(f"/tmp/bench-tests-{os.getpid()}")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(short))
        short.rename(path)
    elif kind in ("empty", "half", "deep"):
        path.write_bytes({"empty": b"", "half": good[: len(good) // 2], "deep": b"[" * 100_000}[kind])
    else:
        document = msgspec.json.decode(good)
        block, version = ("blocks", 0), b'"schema_version": %d' % SCHEMA_VERSION
        data = {
            "deep inside": good.replace(version, b'"x": ' + b'{"a":' * 100_000 + version, 1),
            "not utf-8": good.replace(b"FastAPI", b"Fast\xff"),
            "surrogate": good.replace(b"FastAPI", b"Fast\\ud800"),
            "many digits": good.replace(b'"seed": ', b'"seed": ' + b"9" * 5000, 1),
            "infinite": good.replace(b'"wall_s": ', b'"wall_s": 1e999', 1),
            "nan": good.replace(b'"wall_s": ', b'"wall_s": NaN', 1),
            "newer": good.replace(version, b'"schema_version": %d' % (SCHEMA_VERSION + 1), 1),
            "never was": good.replace(version, b'"schema_version": 0', 1),
            "negative": msgspec.json.encode(changed(document, (*block, "load", "throughput_rps"), -1.0)),
            "tiny": msgspec.json.encode(changed(document, (*block, "load", "throughput_rps"), 1e-300)),
            "huge": msgspec.json.encode(changed(document, (*block, "load", "throughput_rps"), 1e300)),
            "no latency": msgspec.json.encode(changed(document, (*block, "load", "latency"), {})),
            "no blocks": msgspec.json.encode(changed(document, ("blocks",), MISSING)),
            "hash": msgspec.json.encode(changed(document, ("commit", "sha"), "--output=written")),
            "cpus": msgspec.json.encode(changed(document, ("environment", "backend_cpus"), "0-4000000000")),
            "stranger": msgspec.json.encode(changed(document, (*block, "backend"), "stranger")),
        }
        path.write_bytes(data[kind])


KINDS = (
    "folder", "dangling", "loop", "pipe", "device", "socket", "empty", "half", "deep", "deep inside", "not utf-8",
    "surrogate", "many digits", "infinite", "nan", "newer", "never was", "negative", "tiny", "huge", "no latency",
    "no blocks", "hash", "cpus", "stranger",
)  # fmt: skip


@pytest.fixture
def history(tmp_path: Path, line: Sequence[Revision]) -> tuple[Path, int]:
    """20 good runs, and a bad one of every kind."""
    root = tmp_path / "history"
    runs = recorded(root, line, {("fastapi", 12): 1.25})
    good = store.locate(runs[0].id)
    for number, kind in enumerate(KINDS):
        fill(kind, root / good.with_name(f"20261124T23{number:02}00Z-abcdef0-000001.json"), (root / good).read_bytes())
    (root / "runs/2026/11/not a run.json").write_text("{}")
    Path(os.fsdecode(os.fsencode(root) + b"/runs/2026/11/\xff\x1b[2J.json")).write_text("{}")
    (root / "runs/2027").symlink_to(root / "runs/2026")
    (root / "runs/2028").write_text("not a folder")
    return root, len(KINDS) + 4


def test_every_bad_file_is_named_and_counted_and_the_rest_is_judged(
    history: tuple[Path, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, bad = history
    out = tmp_path / "changes.json"
    assert detect.main(["--history", str(root), "--output", str(out)]) == 0
    assert [change.backends for change in decode(out.read_bytes(), "out").changes] == [("fastapi",)]
    said = capsys.readouterr().err
    said.encode()
    assert "\x1b" not in said
    assert f"files of the history that were skipped: {bad} (runs that were read: 20)" in said
    for number, kind in enumerate(KINDS):
        assert f"20261124T23{number:02}00Z-abcdef0-000001.json: " in said, kind

    assert export.main(["csv", str(tmp_path / "export"), "--history", str(root)]) == 0
    assert f"skipped: {bad} (runs that were read: 20)" in capsys.readouterr().err

    assert build_site.main(["--history", str(root), "--output", str(tmp_path / "site")]) == 0
    printed = capsys.readouterr()
    assert f"{bad} files of the history do not count" in printed.err
    assert ": 20 runs, " in printed.out


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for somebody who is not root."""
    run = make_history([0], {})[0]
    store.add(run, tmp_path)
    hidden = tmp_path / "runs/2025"
    hidden.mkdir()
    real = os.scandir

    def scandir(path: str) -> Any:
        if str(path) == str(hidden):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    said: list[str] = []
    assert store.read([tmp_path], said.append) == (run,)
    assert f"{hidden}: cannot be read: Permission denied" in said[0]


@pytest.mark.parametrize("top", ["file", "dangling"])
def test_runs_that_are_no_folder_are_named(top: str, tmp_path: Path) -> None:
    if top == "file":
        (tmp_path / "runs").write_text("x")
    else:
        (tmp_path / "runs").symlink_to("nowhere")
    said: list[str] = []
    assert store.read([tmp_path], said.append) == ()
    assert "runs: cannot be read" in said[0]


@pytest.mark.parametrize("kind", KINDS)
def test_one_bad_file_by_itself_is_an_error_with_its_name(kind: str, tmp_path: Path) -> None:
    good = encode_run(make_history([0], {})[0])
    path = tmp_path / "run.json"
    fill(kind, path, good)
    for read in (lambda: read_run(path), lambda: report.main([str(tmp_path)])):
        with pytest.raises(PipelineError, match=r"run\.json: (not a valid run|cannot be read|made by a newer)"):
            read()


def test_a_good_run_still_has_its_report(tmp_path: Path) -> None:
    write_report(make_history([0], {})[0], tmp_path)


def test_a_bad_note_is_left_out_and_named(tmp_path: Path) -> None:
    good = gaps.Unmeasured(
        schema_version=1, commit="a" * 40, subject="s", backend="fastapi", reason="r", noted="n", stack="native"
    )
    path = gaps.note(good, tmp_path)
    for kind in ("folder", "dangling", "pipe", "empty", "deep", "half"):
        fill(kind, path.with_name(f"{kind}.json"), path.read_bytes())
    path.with_name("hash.json").write_bytes(path.read_bytes().replace(b"a" * 40, b"--output=x"))
    path.with_name("name.json").write_bytes(path.read_bytes().replace(b"fastapi", b"../x"))
    path.with_name("version.json").write_bytes(
        path.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 9')
    )
    said: list[str] = []
    assert gaps.read_unmeasured(tmp_path, said.append) == (good,)
    assert len(said) == 9
    assert all("is left out" in line for line in said)


def test_a_bad_calibration_session_is_left_out_and_named(tmp_path: Path) -> None:
    for kind in ("folder", "dangling", "pipe", "empty", "deep"):
        fill(kind, tmp_path / f"{kind}.json", b"{}")
    said: list[str] = []
    assert campaign.read_sessions(tmp_path, said.append) == []
    assert len(said) == 5


Reader = Callable[[Path], object]
PAIRED = msgspec.structs.replace(make_paired_run(), layout="duet")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("anchor.toml", read_anchor),
        ("events.toml", lambda root: read_events(root, LABELS)),
        ("native.json", lambda root: noise.priors_for(PAIRED, root)),
    ],
)
@pytest.mark.parametrize("kind", ["not utf-8", "folder", "dangling", "deep", "many digits"])
def test_what_people_keep_is_named_with_what_is_wrong(name: str, read: Reader, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if kind in ("folder", "dangling"):
        fill(kind, path, b"{}")
    else:
        data = {
            "not utf-8": b'# fine\n"\xff" = 1\n',
            "deep": b"a = " + b"[" * 9999,
            "many digits": b"a = " + b"9" * 5000,
        }
        path.write_bytes(data[kind] if path.suffix == ".toml" else data[kind].removeprefix(b"a = "))
    with pytest.raises(PipelineError, match=name) as caught:
        read(tmp_path)
    assert caught.value.hint
    if kind == "not utf-8" and path.suffix == ".toml":
        assert "not UTF-8: byte 0xff in line 2" in caught.value.message


@pytest.mark.parametrize("key", ["ratio", "between", "degrees"])
@pytest.mark.parametrize("value", [b"-1", b"1e300", b"1e999", b'"1"', b"null", b"NaN"])
def test_an_absurd_prior_is_refused_with_its_key(key: str, value: bytes, tmp_path: Path) -> None:
    good = {"ratio": b"1.5", "between": b"1e-4", "degrees": b"5"}
    fields = b", ".join(b'"%s": %s' % (name.encode(), (good | {key: value})[name]) for name in good)
    path = noise.write_priors(noise.setting_of(PAIRED), {}, tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"priors": {}', b'"priors": {"fastapi/throughput_rps": {%s}}' % fields))
    with pytest.raises(PipelineError, match=r"native\.json: ") as caught:
        noise.priors_for(PAIRED, tmp_path)
    if value != b"NaN":  # which is no JSON
        assert "fastapi/throughput_rps" in caught.value.message
        assert key in caught.value.message
