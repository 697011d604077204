"""A verdict in words: what is said first, what is escaped, what fits."""

from __future__ import annotations

import io
import re

import msgspec
import pytest
from rich.console import Console

from scripts import config
from scripts.model import Run
from scripts.verdict.judgement import BackendVerdict, Outcome, Verdict, broken_backend, judge
from scripts.verdict.text import COMMENT_LIMIT, MARKER, headline, percent, render_comment, render_terminal
from tests.factories import make_paired_run

TERMS = config.load().compare
HOSTILE = "<img src=x onerror=alert(1)> | `a` [b](http://c) @everyone\n# d $x$ ~~e~~"


def verdict_of(run: Run, *broken: BackendVerdict) -> Verdict:
    assert run.baseline is not None
    return judge(run, run.baseline, run.commit, TERMS, {}, "nox -s compare -- main", broken)


def terminal(verdict: Verdict, width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render_terminal(verdict))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_first_line_says_the_verdict_and_whether_anything_is_to_be_done() -> None:
    regression = verdict_of(make_paired_run(slower=0.05))
    cpu = next(f for f in regression.backends[0].findings if f.metric == "cpu_ms_per_request" and f.level is None)
    assert cpu.ratio is not None
    assert cpu.low is not None
    assert cpu.high is not None
    size = f"{percent(cpu.ratio)} CPU per request, {100 * (cpu.low - 1):.1f} to {100 * (cpu.high - 1):.1f}"
    assert headline(regression) == f"Regression in FastAPI ({size}): look at it before this is merged."
    assert render_comment(regression).splitlines()[:2] == [MARKER, f"**{headline(regression)}**"]
    assert "nothing has to be done" in headline(verdict_of(make_paired_run(noise=0.002)))
    assert "measure again" in headline(verdict_of(make_paired_run(invalid_rounds=range(1, 13))))
    assert terminal(regression).strip().endswith(headline(regression))


def test_a_change_that_reaches_nothing() -> None:
    commit = make_paired_run().commit
    nothing = judge(None, commit, commit, TERMS, {}, "nox -s compare", ())
    assert headline(nothing).startswith("Nothing measurable changed")
    assert "./start_benchmark.sh -s compare" in render_comment(nothing)


def test_what_changed_comes_before_everything_else() -> None:
    text = render_comment(verdict_of(make_paired_run(slower=0.05)))
    changed, _, rest = text.partition("<details>")
    assert "| FastAPI | Throughput | all | regression | -4." in changed
    assert "Peak memory" not in changed
    assert "Peak memory" in rest
    assert text.count("<details>") == text.count("</details>") == 3


def test_counts_are_named_as_certain() -> None:
    text = render_comment(verdict_of(make_paired_run(statements=(168, 176))))
    assert "176 statements a request instead of 168; a count, so certain" in text


def test_a_broken_arm_says_why() -> None:
    backend = config.load().backends[1]
    broken = broken_backend(backend, "baseline", "no lock <b>here</b>")
    text = render_comment(verdict_of(make_paired_run(), broken))
    assert "Cannot be compared in Django WSGI" in text
    assert "no lock \\<b\\>here" in text


@pytest.mark.parametrize("field", ["subject", "branch", "sha"])
def test_what_others_wrote_is_escaped(field: str) -> None:
    run = make_paired_run(slower=0.05)
    commit = msgspec.structs.replace(run.commit, **{field: HOSTILE})
    verdict = judge(run, commit, commit, TERMS, {}, f"nox -s compare -- {HOSTILE}", ())
    verdict = msgspec.structs.replace(verdict, stopped_by=HOSTILE)
    lines = [
        line for line in render_comment(verdict).splitlines() if not line.startswith("    ")
    ]  # code shows as it is
    shown = "\n".join(lines)
    for pattern in (r"(?<!\\)<img", r"(?<!\\)\[b", r"^# d", "@everyone", "http://"):
        assert not re.search(pattern, shown, re.MULTILINE)


def test_a_comment_always_fits() -> None:
    run = make_paired_run(levels=tuple(range(1, 200)), pairs=1, rounds=6, of=6)
    text = render_comment(verdict_of(run))
    assert len(text) <= COMMENT_LIMIT
    assert "Cut here" in text
    assert text.count("<details>") == text.count("</details>")


def test_labels_of_every_outcome_have_a_word_for_what_is_to_be_done() -> None:
    from scripts.verdict.text import STYLES, TO_DO

    assert set(TO_DO) == set(STYLES) == set(Outcome)


def row(text: str, metric: str) -> list[str]:
    line = next(line for line in text.splitlines() if f"| {metric} |" in line)
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_nothing_is_inconclusive_beside_an_interval_that_leaves_out_equality() -> None:
    """Four rounds that show 21% less throughput at 95%, and not at the error rate of a session."""
    run = make_paired_run(4, rounds=4, of=8, slower=0.27, noise=0.07)
    finding = next(f for f in verdict_of(run).backends[0].findings if f.metric == "throughput_rps")
    assert finding.outcome is Outcome.INCONCLUSIVE
    assert finding.low is not None
    assert finding.high is not None
    assert finding.high < 1, "the 95% interval"
    said = row(render_comment(verdict_of(run)), "Throughput")
    assert said[3] == "inconclusive"
    assert finding.test_low is not None
    assert finding.test_high is not None
    assert finding.test_low < 1 < finding.test_high
    assert f"{100 * (finding.test_high - 1):+.1f}%" in said[5]
    assert "% sure" in said[5]
    assert "% sure" in terminal(verdict_of(run))


def test_no_change_beside_an_interval_that_leaves_out_equality_says_why() -> None:
    run = make_paired_run(slower=0.004, noise=0.0005)
    said = row(render_comment(verdict_of(run)), "CPU per request")
    assert said[3] == "no change: smaller than what matters, 1%"
    assert row(render_comment(verdict_of(make_paired_run(noise=0.002))), "CPU per request")[3] == "no change"


def test_a_session_that_stopped_before_a_look_says_so_beside_its_interval() -> None:
    run = make_paired_run(rounds=3, of=8, slower=0.5, noise=0.0005)
    assert (
        row(render_comment(verdict_of(run)), "Throughput")[3] == "inconclusive: stopped before the look after round 4"
    )


def test_an_interval_that_ends_nowhere_has_a_word_for_it() -> None:
    run = make_paired_run(rounds=2, of=2, slower=0.5, noise=0.05)
    assert "to anything" in row(render_comment(verdict_of(run)), "CPU per request")[5]


def test_no_row_of_the_terminals_table_takes_three_lines() -> None:
    """At 80 columns, of any verdict: what needs more words has them beneath the table."""
    runs = (
        make_paired_run(noise=0.002),
        make_paired_run(slower=0.05),
        make_paired_run(noise=0.2, rounds=5),
        make_paired_run(invalid_rounds=range(1, 13)),
    )
    for run in runs:
        text = terminal(verdict_of(run), 80)
        assert max(map(len, text.splitlines())) <= 80
        for label in ("CPU per request", "Latency p99", "Peak memory"):
            assert sum(line.lstrip().startswith(label) for line in text.splitlines()) == 1


def test_an_effect_that_only_a_doubling_would_show_is_said_so() -> None:
    assert "only a doubling" in render_comment(verdict_of(make_paired_run(noise=1.0, rounds=4)))
