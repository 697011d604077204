"""What a step prints, where everything that others wrote tries to be more than text."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.live import Live
from rich.table import Table

from scripts import __main__ as steps
from scripts import escape, records, terminal
from scripts.config import ROOT
from scripts.github import runner
from scripts.model import PipelineError
from scripts.verdict import decision
from scripts.verdict.record import encode_verdict
from tests import hostile
from tests.factories import make_run
from tests.verdict.test_decision import BAD, decide

LOUD = (
    "\x1b]0;title\x07\x1b[2J\x1b[31m\x9b2J\x90q\x9c\u202e\u2066\u200b\u200d\ufeff\u00ad\u3164\U000e0041\x00\x08\x7f\r"
    "::set-output name=a::b\n::add-mask::secret\n \t::stop-commands::x\u2028::debug::x\x85::error::x\x0b"
    "##[add-mask]x [red]x[/] [/] :bomb:"
)


def check(text: str, *, bytes_: int = 200_000) -> None:
    """Nothing in it is more than text, for a terminal or for a hosted runner."""
    shown = {c for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Cn", "Zl", "Zp")}
    assert not shown, shown
    assert "\u3164" not in text
    assert not [line for line in text.splitlines() if line.strip().startswith("::")]
    assert "##[" not in text
    assert "\U0001f4a3" not in text
    assert len(text) < bytes_


def printed(text: str) -> str:
    buffer = io.StringIO()
    with contextlib.redirect_stdout(buffer), contextlib.redirect_stderr(buffer), terminal.guarded():
        print(text)
        print("a", text, sep="", file=sys.stderr)
        sys.stdout.writelines([text, "\n"])
        console = terminal.console(width=40)
        console.print(text)
        console.print(f"· {text}", style="bold")
        console.print(text, soft_wrap=True)
        table = Table(text, title=text)
        table.add_row(text)
        console.print(table)
        console.log(text)
        terminal.fail("step", PipelineError(text, text))
    return buffer.getvalue()


def test_no_way_of_printing_lets_it_through() -> None:
    said = printed(LOUD)
    check(said)
    assert ": :set-output name=a::b" in said
    assert "[red]x[/]" in said


@given(st.text())
def test_whatever_is_printed_is_text(text: str) -> None:
    check(printed(text))


def test_what_is_ours_is_left_as_it_is() -> None:
    ours = "a::b\n  std::vector\n\ta\tb\nGröße ✓ 速度 → × 🚀 ✔️\n"
    with contextlib.redirect_stdout(io.StringIO()) as buffer, terminal.guarded():
        print(ours, end="")
        terminal.console(width=80).print("x", ours)
    assert buffer.getvalue().startswith(ours)
    assert "🚀" in buffer.getvalue()[len(ours) :]


def test_colours_and_live_displays_are_richs_own() -> None:
    with contextlib.redirect_stdout(io.StringIO()) as buffer, terminal.guarded():
        console = terminal.console(width=80, force_terminal=True, color_system="standard")
        console.print(LOUD, style="red")
        with Live(LOUD, console=console, auto_refresh=False) as live:
            print(f"printed meanwhile {LOUD}")
            live.update(LOUD, refresh=True)
    said = buffer.getvalue()
    assert "\x1b[31m" in said
    assert "\x1b[?25l" in said
    for never in ("\x1b]", "\x1b[2J", "\x07", "\x9b", "\u202e", "\n::", "\r::"):
        assert never not in said


def test_an_error_is_as_long_as_can_be_read_and_its_hint_is_ours(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.fail("x", PipelineError("a\nwhat to do: run this\n" + "b" * 10**6 + "the end", "c" * 10**6))
    said = capsys.readouterr().err
    assert len(said) < 7_000
    assert "more characters" in said
    assert "the end\n" in said, "the last words of a log say most"
    assert [line[:12] for line in said.splitlines()] == ["x: a", "  what to do", "  bbbbbbbbbb", "what to do: "]


def test_annotations_are_short_and_alone_are_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    with terminal.guarded():
        runner.annotate("warning", LOUD * 100, LOUD * 1000)
        print("::debug::")
    command, other = capsys.readouterr().out.splitlines()
    assert command.startswith("::warning title=")
    check(command.removeprefix("::warning"), bytes_=4_000)
    assert other == ": :debug::"


@pytest.mark.parametrize("fault", ["KeyError", "PipelineError", "SystemExit"])
def test_a_fault_of_ours_says_it_safely_too(fault: str) -> None:
    """A traceback, a parser's complaint, an exit: the interpreter and argparse print them."""
    code = (
        "import sys; from scripts import __main__ as m, terminal; from scripts.steps import report\n"
        "from scripts.model import PipelineError\n"
        f"def fail(_): raise {fault}({LOUD!r})\n"
        "report.main = fail; sys.excepthook = terminal.show_fault; sys.exit(m.main(['report']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    if fault != "SystemExit":  # its text is printed by the interpreter, and none of ours has one
        check(done.stderr + done.stdout)
    assert done.returncode == 1


def run(*arguments: str, code: int | None = None) -> str:
    """All that a step prints, in a process of its own."""
    command = [sys.executable, "-m", "scripts", *arguments]
    done = subprocess.run(command, capture_output=True, check=False, cwd=ROOT)
    said = (done.stdout + done.stderr).decode()
    assert code is None or done.returncode == code, said
    assert "Traceback" not in said
    check(said)
    return said


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A history, a run, a verdict, a decision and a bench.toml whose every text is loud."""
    root = tmp_path_factory.mktemp("loud")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hostile, "TEXT", LOUD)
        replace = msgspec.structs.replace
        recorded = [replace(run, labels=dict.fromkeys(run.labels, LOUD)) for run in hostile.runs()]
    for one in recorded:
        path = root / "history" / "runs" / one.id[:4] / one.id[4:6] / f"{one.id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(records.encode_run(one))
    (root / "history" / "runs" / "\x1b[2J\u202e.json").write_text("{}")
    single = root / "run"
    single.mkdir()
    (single / "run.json").write_bytes(records.encode_run(recorded[-1]))
    (root / "other.json").write_bytes(records.encode_run(make_run()))
    commit = replace(BAD.candidate, subject=LOUD, branch=LOUD, committed_at=LOUD)
    finding = replace(BAD.backends[0].findings[0], ratio=None, low=None, high=None, reason=LOUD)
    finding = replace(finding, smallest_seen=None, test_level=None, outcome=BAD.outcome.INVALID)
    backend = replace(BAD.backends[0], label=LOUD[:90], reason=LOUD, findings=(*BAD.backends[0].findings[1:], finding))
    verdict = replace(
        BAD,
        backends=(backend,),
        candidate=commit,
        command=LOUD,
        stopped_by=LOUD,
        invalid_blocks={LOUD: 2},
        run_id=LOUD,
    )
    for name in ("first", "second"):
        (root / name).mkdir()
        (root / name / "verdict.json").write_bytes(encode_verdict(verdict))
    (root / "decision.json").write_bytes(decision.encode(decide(verdict, verdict)))
    return {"root": root, "history": root / "history", "run": single, "other": root / "other.json"}


def test_report(texts: Mapping[str, Path]) -> None:
    run("report", str(texts["run"]), code=0)
    for path in (texts["run"]).glob("*.md"):
        check(path.read_text())


def test_comment(texts: Mapping[str, Path]) -> None:
    assert "Regression" in run("comment", str(texts["root"] / "first" / "verdict.json"), code=0)


def test_decide(texts: Mapping[str, Path], tmp_path: Path) -> None:
    first, second = (f"--{name}={texts['root'] / name}" for name in ("first", "second"))
    run("decide", "--base=HEAD", first, second, f"--output={tmp_path}")


def test_detect_alert_and_site(texts: Mapping[str, Path], tmp_path: Path) -> None:
    changes = tmp_path / "changes.json"
    run("detect", f"--history={texts['history']}", f"--output={changes}")
    if changes.exists():
        run("alert", "--print", str(changes))
    run("build_site", f"--history={texts['history']}", f"--output={tmp_path / 'site'}")


def test_errors_that_quote_keys_and_arguments(texts: Mapping[str, Path], tmp_path: Path) -> None:
    long = LOUD.replace("\x00", "") * 500
    for name in ("verdict.json", "run.json", "changes.json"):
        document = msgspec.json.encode({"schema_version": 1, long: 1})
        (tmp_path / name).write_bytes(document)
    assert len(run("comment", str(tmp_path / "verdict.json"), code=1)) < 7_000
    assert len(run("report", str(tmp_path), code=1)) < 7_000
    assert len(run("alert", str(tmp_path / "changes.json"), code=1)) < 7_000
    quiet = LOUD.replace("\x00", "")
    run("comment", quiet, code=1)
    run("comment", "x", quiet, code=2)
    run("detect", f"--line={quiet}")
    run(quiet, code=2)
    run("export", quiet)
    (tmp_path / "series.jsonl").write_text(f'{{"values": ["{escape.plain(LOUD)}"]}}\n{LOUD}\n')
    run("detect", f"--series={tmp_path / 'series.jsonl'}", code=1)


def test_bench_toml(tmp_path: Path) -> None:
    """Of another project (BENCH_PROJECT), which anybody may have written."""
    from scripts.config import parse

    ours = (ROOT / "bench.toml").read_text()
    key = msgspec.json.encode(escape.plain(LOUD)).decode()
    for spoiled in (
        f"{ours}\n[{key}]\n",
        f"{ours}\n[backends.{key}]\n",
        f"{ours}\n[profiles.{key}]\n",
        ours.replace("[limits]", f"[limits]\n{key} = 1"),
        ours.replace('label = "FastAPI"', f"label = {msgspec.json.encode(LOUD).decode()}".replace("\x7f", r"\u007f")),
        ours.replace('label = "FastAPI"', f'label = "{"x" * 101}"'),
        ours.replace("[backends.fastapi]", '[backends."a,b"]'),
        ours.replace("[backends.fastapi]", '[backends."a\\nb"]'),
    ):
        with pytest.raises(PipelineError) as caught:
            parse(spoiled)
        with contextlib.redirect_stderr(io.StringIO()) as buffer, terminal.guarded():
            terminal.fail("x", caught.value)
        check(buffer.getvalue(), bytes_=7_000)


def test_the_one_way_in_guards_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert steps.main(["comment", f"/{LOUD[:-30]}".replace("\x00", "")]) == 1
    check(capsys.readouterr().err)
    assert not hasattr(sys.stdout, "for_console"), "it is over with the step"
