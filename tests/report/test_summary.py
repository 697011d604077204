"""From blocks to who leads: what counts, what does not, and how it is said."""

import io
import math
import random
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from scripts.config import ROOT
from scripts.model import METRICS, Run
from scripts.records import read_run
from scripts.report import sentences, study
from scripts.report.rendering import render_html
from scripts.report.standing import standings
from scripts.report.summary import summarize
from scripts.report.terminal import render_terminal
from tests.factories import FAILED, LABELS, make_block, make_paired_run, make_run
from tests.test_model import taken

ESCAPE = "\x1b"


def terminal(run: Run, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(render_terminal(run, summarize(run), Path("results/x/report.html")))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_leader_and_ratios_at_each_level() -> None:
    run = make_run()
    summary = summarize(run)
    assert [level.standing.leader for level in summary.levels] == ["fast_django_asgi"] * 10
    for level in summary.levels:
        cells = {cell.backend: cell for cell in level.cells}
        assert cells["fast_django_asgi"].ratio is None
        slow, fast = cells["django_wsgi"].ratio, cells["fast_django_asgi"].throughput_rps
        assert slow is not None
        assert fast is not None
        assert slow.ratio == pytest.approx(fast / (cells["django_wsgi"].throughput_rps or math.nan))
        assert slow.low is not None
        assert slow.high is not None
        assert slow.low < slow.ratio < slow.high
        assert slow.degrees == 10


def test_sums_and_means_over_rounds() -> None:
    run = make_run(levels=(10,), rounds=2)
    blocks = run.select("fastapi", 10)
    cell = summarize(run).levels[0].cells[0]
    assert cell.requests == sum(block.load.requests for block in blocks)
    assert cell.duration_s == pytest.approx(sum(block.load.load_s for block in blocks))
    assert cell.cpu_percent == pytest.approx(97)
    assert cell.error_rate == 0
    assert cell.rounds == 2
    for name, metric in METRICS.items():
        assert cell.metrics[name] == metric.mean(blocks)


def test_a_level_without_a_valid_block_has_no_number() -> None:
    run = make_run(levels=(10, 20), invalid=[("fastapi", 10, 0), ("fastapi", 10, 1)])
    cell = summarize(run).levels[0].cells[0]
    numbers = [
        *(cell.duration_s, cell.requests, cell.failed, cell.error_rate, cell.cpu_percent),
        *(cell.mean_memory_mb, cell.max_memory_mb, cell.ratio, *cell.metrics.values()),
    ]
    assert numbers == [None] * len(numbers)
    assert cell.rounds == 0
    assert cell.reasons == ("generator: k6 used 0.93 CPUs of at most 0.80",)


def test_nobody_wins_by_the_absence_of_another() -> None:
    run = make_run(levels=(10,), invalid=[("fast_django_asgi", 10, 0), ("fast_django_asgi", 10, 1)])
    (standing,) = summarize(run).standings
    assert (standing.kind, standing.leader, standing.missing) == ("missing", None, ("fast_django_asgi",))
    said = sentences.headline(run, (standing,))
    assert said == "fast-django-asgi has no valid block at 10 users: nobody leads there."
    assert sentences.outcome(run, standing) == "no leader: no valid block of fast-django-asgi"


def test_one_backend_alone_leads_nothing() -> None:
    run = make_run(levels=(10, 20), labels={"fastapi": "FastAPI"})
    assert {standing.kind for standing in summarize(run).standings} == {"alone"}
    assert "leads" not in sentences.headline(run, summarize(run).standings)
    assert "LEADS" not in terminal(run)
    invalid = [(name, 10, number) for name in list(LABELS)[1:] for number in (0, 1)]
    (standing,) = summarize(make_run(levels=(10,), invalid=invalid)).standings
    assert (standing.kind, standing.leader) == ("alone", None)


def test_without_an_interval_nobody_leads() -> None:
    run = make_run(levels=(10, 20), rounds=1)
    assert {standing.kind for standing in summarize(run).standings} == {"open"}
    assert sentences.headline(run, summarize(run).standings).startswith("Who leads is not known")
    assert "LEADS" not in terminal(run)


def test_the_headline_counts_no_noise_as_a_lead() -> None:
    """On the recorded run of ten levels, the intervals separate the two fastest at two."""
    run = read_run(next((ROOT / "history" / "runs").rglob("20261124T130427Z-b23d0b6-9d6aa5.json")))
    said = sentences.headline(run, summarize(run).standings)
    assert said == "FastAPI leads at 2 of 10 levels; FastAPI and fast-django-asgi cannot be told apart at 8."


def test_equal_backends_rarely_lead() -> None:
    """Of simulated sessions of backends that are all the same, an interval of 95% a pair says a lead in few."""
    labels = {name: name for name in "ab"}
    rng = random.Random(3)
    led = levels = 0
    for _ in range(150):
        run = make_run(1, levels=(10, 20), rounds=8, labels=labels)
        blocks = [
            msgspec.structs.replace(
                block, load=msgspec.structs.replace(block.load, throughput_rps=math.exp(rng.gauss(4, 0.05)))
            )
            for block in run.blocks
        ]
        found = standings(msgspec.structs.replace(run, blocks=tuple(blocks)))
        levels += len(found)
        led += sum(standing.leader is not None for standing in found)
    assert led <= 0.09 * levels


def test_a_session_without_a_valid_block_has_no_winner() -> None:
    run = make_run(levels=(10,), rounds=1, invalid=[(name, 10, 0) for name in LABELS])
    summary = summarize(run)
    assert summary.levels[0].standing.leader is None
    assert sentences.headline(run, summary.standings) == "No block is valid: there is no result."
    assert "INVALID" in terminal(run)


def test_repeated_blocks_are_counted_apart_from_lost_ones() -> None:
    summary = summarize(make_run(levels=(10, 20), invalid=[("fastapi", 10, 0)], repeated=[("django_asgi", 20, 1)]))
    assert [(entry.block.backend, entry.repeated) for entry in summary.invalid if entry.repeated] == [
        ("django_asgi", True)
    ]
    assert [entry.block.backend for entry in summary.lost] == ["fastapi"]
    asgi = summary.levels[1].cells[2]
    assert (asgi.rounds, asgi.reasons) == (2, ())


def test_the_baseline_arm_is_not_mixed_in() -> None:
    run = make_run(levels=(10,))
    slow = msgspec.structs.replace(make_block("fastapi", 10, 0, seed=99), arm="baseline")
    both = msgspec.structs.replace(run, blocks=(*run.blocks, slow))
    assert summarize(both) == summarize(run)


def test_backends_within_noise_are_not_told_apart() -> None:
    run = make_run(levels=(10,), labels={"a": "Alpha", "b": "Beta"})
    (standing,) = summarize(run).standings
    assert (standing.kind, standing.leader, standing.ahead) == ("alike", None, ("a", "b"))
    assert sentences.outcome(run, standing) == "cannot be told apart: Alpha and Beta"
    said = sentences.headline(run, (standing,))
    assert said == "Alpha and Beta cannot be told apart at the only level."
    assert "not told apart" in terminal(run)
    assert "LEADS" not in terminal(run)


@pytest.mark.parametrize("width", [80, 100])
def test_terminal_fits_and_says_who_leads_in_words(width: int) -> None:
    text = terminal(make_run(levels=(10, 20)), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert text.count("LEADS") + text.count("not told apart") == 2, "one for each level"
    assert "LEADS" in text
    assert ESCAPE not in text
    assert "…" not in text
    assert "95% interval" in text
    assert "Report: results/x/report.html" in text


def test_terminal_names_invalid_blocks_with_their_reason() -> None:
    text = terminal(make_run(levels=(10,), rounds=1, invalid=[("fastapi", 10, 0)], violation=FAILED))
    assert "INVALID [1]" in text
    assert "[1] INVALID: failures: 12 of 310 requests failed: status 500 (12)" in text


def test_one_round_says_that_there_is_no_interval() -> None:
    text = terminal(make_run(levels=(5, 20), rounds=1))
    assert "1 round: no interval" in text
    assert "95%" not in text


def test_unequal_work_and_interruption_come_first() -> None:
    run = make_run(levels=(10,), differences=("django_asgi: 128 statements, not 168",), complete=False)
    limited = msgspec.structs.replace(run, limited=False, parity=())
    assert [r.kind for r in sentences.remarks(run, summarize(run))][:2] == ["bad", "bad"]
    assert "Unequal work" in sentences.headline(run, summarize(run).standings)
    text = terminal(limited)
    for words in ("Parity was not checked", "No limits were in force", "interrupted (Ctrl-C)"):
        assert words in text


def test_hostile_labels_and_details_are_only_text() -> None:
    run = make_run(levels=(10,), labels={"a": "[red]Alpha[/red]\x1b[2J", "b": "Beta"})
    text = terminal(run)
    assert "[red]Alpha[/red]" in text
    assert ESCAPE not in text


def test_a_backend_of_which_nothing_counts_is_named_with_its_rules() -> None:
    run = make_run(levels=(10, 20), rounds=1, invalid=[("fastapi", 10, 0), ("fastapi", 20, 0), ("django_wsgi", 10, 0)])
    assert run.lacking == ("fastapi",)
    assert sentences.missing(run) == "no valid block of FastAPI (generator 2x)"
    assert sentences.missing(run) in terminal(run, 300)
    assert make_run().lacking == ()
    assert sentences.missing(make_run()) == ""


def test_a_pair_counts_only_where_both_arms_do() -> None:
    run = make_paired_run(rounds=2)
    assert run.lacking == ()
    half = [msgspec.structs.replace(b, violations=(FAILED,)) if b.arm == "baseline" else b for b in run.blocks]
    lacking = msgspec.structs.replace(run, blocks=tuple(half))
    assert lacking.lacking == ("fastapi",)
    assert sentences.missing(lacking) == f"no valid pair of FastAPI (failures {len(half) // 2}x)"
    other_arm = [b for b in run.blocks if (b.arm == "baseline") == bool(b.index % 2)]
    assert msgspec.structs.replace(run, blocks=tuple(other_arm)).lacking == ("fastapi",), "no two of one pair"
    assert make_paired_run(rounds=2, invalid_rounds=(1,)).lacking == ()


def test_what_helps_depends_on_the_rules() -> None:
    places = [(name, 10, 0) for name in LABELS]
    assert "when nothing else runs" in sentences.what_to_do(make_run(levels=(10,), rounds=1, invalid=places))
    failed = make_run(levels=(10,), rounds=1, invalid=places, violation=FAILED)
    assert sentences.what_to_do(failed).startswith("mend this, then measure again: 12 of 310 requests failed")


def used(run: Run, own: float, database: float) -> Run:
    """The run with these CPUs used in every block, by the backend and by the database."""
    blocks = tuple(
        msgspec.structs.replace(
            b,
            resources=msgspec.structs.replace(
                b.resources, cpu_s=own * b.resources.wall_s, database_cpu_s=database * b.resources.wall_s
            ),
        )
        for b in run.blocks
    )
    return msgspec.structs.replace(run, blocks=blocks)


def held_back(run: Run) -> list[str]:
    return [r.text for r in sentences.remarks(run, summarize(run)) if " back. " in r.text]


def test_a_backend_that_its_servants_held_back_is_named() -> None:
    run = make_run(levels=(10,), rounds=2)
    assert held_back(used(run, 0.97, 0.8)) == []
    assert held_back(used(run, 0.5, 0.3)) == [], "idle for another reason"
    texts = held_back(used(run, 0.88, 0.8))
    assert len(texts) == 4
    assert texts[0].startswith("FastAPI used 0.88 of its 1 CPU, while database and generator used 0.85 of theirs")
    assert "they held it back" in texts[0]
    assert "they held it back" in " ".join(terminal(used(run, 0.88, 0.8)).split())


def test_two_versions_that_share_a_core_are_not_held_back_by_their_servants() -> None:
    """Each has half of the core, and one database serves both."""
    run = make_paired_run()
    assert held_back(used(run, 0.48, 0.8)) == []
    (text,) = held_back(used(run, 0.35, 0.8))
    assert text.startswith("Both versions of FastAPI together used 0.70 of their 1 CPU, while database and generator")
    apart = msgspec.structs.replace(  # one after the other, each has the core to itself
        run, blocks=tuple(msgspec.structs.replace(b, raw=f"{b.arm}-{b.raw}") for b in run.blocks)
    )
    assert held_back(used(apart, 0.97, 0.8)) == []
    (text,) = held_back(used(apart, 0.48, 0.8))
    assert text.startswith("FastAPI used 0.48 of its 1 CPU")


def test_of_the_recorded_paired_runs_none_was_held_back() -> None:
    """All were measured as duets, with the core of the backends used up."""
    runs = [run for path in sorted((ROOT / "history/runs").rglob("*.json")) if (run := read_run(path)).baseline]
    assert runs
    assert [text for run in runs for text in held_back(run)] == []


def disturbed(run: Run, backend: str, rounds: tuple[int, ...], cpus: float, used: float = 0.7) -> Run:
    """The run, in some of whose rounds others took CPU of a backend, which had the rest."""
    blocks = []
    for block in run.blocks:
        if block.backend == backend and block.round in rounds:
            resources = msgspec.structs.replace(block.resources, cpu_s=used * block.resources.wall_s)
            block = msgspec.structs.replace(block, disturbances=taken(cpus), resources=resources)
        blocks.append(block)
    return msgspec.structs.replace(run, blocks=tuple(blocks))


def test_a_ratio_is_as_uncertain_as_what_was_taken() -> None:
    """Others took 0.3 CPUs of one that could use all of it: its throughput may be too low by 30% of that."""
    quiet = make_run(levels=(10, 50))
    for rounds, share in (((0, 1), 1.0), ((0,), 0.5)):
        noisy = disturbed(quiet, "django_wsgi", rounds, 0.3)
        for level, before in zip(summarize(noisy).levels, summarize(quiet).levels, strict=True):
            cells = {cell.backend: (cell.ratio, old.ratio) for cell, old in zip(level.cells, before.cells, strict=True)}
            now, then = cells["django_wsgi"]
            assert now is not None
            assert then is not None
            assert now.ratio == then.ratio
            assert now.low == pytest.approx((then.low or 0) * 0.7**share)
            assert now.high == then.high
            assert cells["fastapi"][0] == cells["fastapi"][1], "the others were left alone"


def test_a_leader_whose_lead_may_come_from_others_does_not_lead() -> None:
    run = make_run(levels=(10,), rounds=4, labels={name: LABELS[name] for name in ("fastapi", "django_wsgi")})
    assert summarize(run).levels[0].standing.kind == "leads"
    noisy = disturbed(run, "django_wsgi", (0, 1, 2, 3), 0.65, used=0.3)
    assert summarize(noisy).levels[0].standing.kind == "alike"
    assert "cannot be told apart" in sentences.headline(noisy, summarize(noisy).standings)
    assert "not told apart" in terminal(noisy)


def test_what_was_disturbed_is_told_apart() -> None:
    run = disturbed(make_run(levels=(10,)), "fastapi", (0,), 0.31)
    summary = summarize(run)
    (entry,) = summary.disturbed
    assert entry.used
    assert entry.reasons == ("foreign: others used 0.31 CPUs (bound 0.1)",)
    assert not summary.invalid
    shown = terminal(run)
    assert "○ disturbed" in shown
    (remark,) = (one for one in sentences.remarks(run, summary) if "disturbed" in one.text)
    assert remark.kind == "note"
    assert remark.text.startswith("1 of 8 blocks disturbed (foreign 1x; up to 0.31 CPUs taken); all of them count")
    page, text = render_html(run, summary), study.render_markdown(run, summary)
    assert "○ disturbed" in page
    assert "foreign: others used 0.31 CPUs" in page
    assert " ○ |" in text
    reasons = {row["framework"]: row["disturbed_reasons"] for row in study.results(run, summary)}
    assert reasons["fastapi"] == list(entry.reasons)
    assert reasons["django_wsgi"] == []


def test_a_disturbed_block_that_was_measured_again_counts_nowhere() -> None:
    run = make_run(levels=(10,))
    noisy = disturbed(run, "fastapi", (0,), 0.31)
    better = [
        msgspec.structs.replace(block, attempt=2)
        for block in run.blocks
        if (block.backend, block.round) == ("fastapi", 0)
    ]
    both = summarize(msgspec.structs.replace(noisy, blocks=(*noisy.blocks, *better)))
    assert [level.cells for level in both.levels] == [level.cells for level in summarize(run).levels]
    assert [entry.used for entry in both.disturbed] == [False]


def test_a_paired_run_says_candidate_against_baseline() -> None:
    """Its backends were not to be compared with each other, and both arms shared a core."""
    run = make_paired_run(backends=("fastapi", "django_wsgi"), slower=0.05)
    said = sentences.headline(run, summarize(run).standings)
    assert said.startswith("Candidate divided by baseline, CPU per request: FastAPI 1.0")
    assert "leads" not in said
    assert sentences.leads(run, summarize(run).standings) == ()
    alone = make_paired_run(rounds=1)
    assert "no interval" in sentences.headline(alone, summarize(alone).standings)


def test_no_recorded_paired_run_is_said_to_be_held_back() -> None:
    runs = [read_run(path) for path in sorted((ROOT / "history" / "runs").rglob("*.json"))]
    paired = [run for run in runs if run.baseline]
    assert paired
    assert [run.id for run in paired if held_back(run)] == []


def test_any_label_can_lead() -> None:
    run = make_run(levels=(10,), labels={"a": "{x} | {0}", "b": "Beta"})
    assert "{x} | {0}" in sentences.headline(run, summarize(run).standings)
