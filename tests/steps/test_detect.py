"""`python -m scripts detect` as a program: lines in, lines out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.config import ROOT
from scripts.model import PipelineError
from scripts.statistics.changepoints import change_points
from scripts.steps import import_
from scripts.steps.detect import main, read_series

STEP = [100.0, 101, 99, 100, 102, 98, 100, 101, 99, 100, 120.0, 121, 119, 120, 122, 118, 120, 121, 119, 120]


def run(text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts", "detect", *(arguments or ("--series", "-"))],
        cwd=ROOT, input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_one_line_out_for_one_line_in() -> None:
    lines = [STEP, [], [1], [3.0] * 40, [None, *STEP], [-value for value in STEP]]
    done = run("".join(json.dumps({"values": values}) + "\n" for values in lines))
    assert (done.returncode, done.stderr) == (0, "")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found == [{"change_points": places} for places in ([10], [], [], [], [11], [10])]


def test_an_answer_comes_before_the_next_question() -> None:
    """A program may ask, read, and ask again through pipes."""
    command = [sys.executable, "-m", "scripts", "detect", "--series", "-"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        for values, places in (STEP, [10]), (STEP[:10], []):
            process.stdin.write(json.dumps({"values": values, "name": "other keys are left alone"}) + "\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline()) == {"change_points": places}
        process.stdin.close()
        assert process.wait() == 0


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("", "is empty"),
        ("[1, 2]", 'expected an object with an array "values"'),
        ('{"value": [1]}', 'expected an object with an array "values"'),
        ('{"values": 1}', 'expected an object with an array "values"'),
        ('{"values": [1, "2"]}', 'values[1]: expected a number or null, not "2"'),
        ('{"values": [true]}', "values[0]: expected a number or null, not true"),
        ('{"values": [1' + "0" * 400 + "]}", "values[0]: too large for a number"),
        ('{"values": [1, 2', "Expecting ',' delimiter"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_bad_line_is_named_and_all_others_are_answered(line: str, complaint: str) -> None:
    done = run(json.dumps({"values": STEP}) + f"\n{line}\n" + json.dumps({"values": STEP}) + "\n")
    assert done.returncode == 1
    assert done.stdout == '{"change_points": [10]}\n' * 2
    assert "standard input, line 2: " in done.stderr
    assert "1 of 3 lines" in done.stderr
    assert complaint in done.stderr
    assert "what to do: a line looks like this" in done.stderr
    assert "Traceback" not in done.stderr


def test_bytes_that_are_not_text() -> None:
    with pytest.raises(PipelineError, match="f, line 1: "):
        list(read_series([b'{"values": "\xff\xfe"}\n'], "f"))


def test_missing_values_keep_their_indexes() -> None:
    values = next(read_series([b'{"values": [1, NaN, null, 2.5]}'], "f"))
    assert values[0] == 1
    assert values[1] != values[1]
    assert values[2] is None
    assert change_points([*[None] * 5, *STEP[:10], *[float("nan")] * 3, *STEP[10:]]) == [18]


@pytest.mark.parametrize("infinite", ["Infinity", "-Infinity", "1e999"])
def test_infinite_values_are_missing_and_that_is_said(infinite: str) -> None:
    done = run(json.dumps({"values": [*STEP[:5], "@", *STEP[5:]]}).replace('"@"', infinite) + "\n")
    assert (done.returncode, done.stdout) == (0, '{"change_points": [11]}\n')
    assert "standard input, line 1: 1 of 21 values are infinite and count as missing" in done.stderr


def test_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "series.jsonl").write_text(json.dumps({"values": STEP}))  # no newline at the end
    assert main(["--series", str(tmp_path / "series.jsonl")]) == 0
    assert capsys.readouterr().out == '{"change_points": [10]}\n'
    with pytest.raises(PipelineError, match="cannot be read: No such file"):
        main(["--series", str(tmp_path / "nothing")])


def test_what_was_imported_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"2026-01-{day + 1:02},c{day:02},{value}" for day, value in enumerate(STEP)]
    (tmp_path / "s.csv").write_text("time,commit,p99\n" + "\n".join(reversed(rows)) + "\n")
    history = ["--history", str(tmp_path)]
    assert import_.main([str(tmp_path / "s.csv"), "--better", "lower", *history]) == 0
    capsys.readouterr()
    assert main(["--imported", "s", *history]) == 0
    assert capsys.readouterr().out == (
        "s: p99: worse by +20.0%, from 100 to 120, after c09, at c10, 2026-01-11\n1 change in 1 series\n"
    )
    with pytest.raises(PipelineError, match=r"absent\.json: cannot be read"):
        main(["--imported", "absent", *history])
