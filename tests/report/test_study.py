"""The study's own artifacts."""

import json

import pytest

from scripts.report.study import all_figures, render_markdown, render_results, results, study_figures
from scripts.report.summary import summarize
from tests.factories import LABELS, make_run

KEYS = {
    *("framework", "concurrent_users", "duration", "total_requests", "successful_requests", "error_requests"),
    *("error_rate", "throughput", "avg_response_time", "p95_response_time", "p99_response_time"),
    *("avg_cpu_percent", "avg_memory_mb", "max_memory_mb"),
}
FIGURES = [f"{name}_vs_concurrency" for name in ("throughput", "error_rate", "cpu_usage", "duration", "total_requests")]


def test_results_have_the_keys_of_the_study_for_each_backend_and_level() -> None:
    run = make_run()
    rows = json.loads(render_results(run, summarize(run)))
    assert [(row["framework"], row["concurrent_users"]) for row in rows] == [(b, n) for n in run.levels for b in LABELS]
    for row in rows:
        assert row.keys() >= KEYS
        assert row["valid"] is True
        assert row["successful_requests"] + row["error_requests"] == row["total_requests"]
        # Seconds, not milliseconds: users = throughput x time (Little's law).
        assert row["throughput"] * row["avg_response_time"] == pytest.approx(row["concurrent_users"], rel=0.01)


def test_a_level_without_a_valid_block_is_null_and_says_why() -> None:
    run = make_run(levels=(10,), invalid=[("fastapi", 10, 0), ("fastapi", 10, 1)])
    row = results(run, summarize(run))[0]
    assert row["valid"] is False
    assert row["invalid_reasons"] == ["generator: k6 used 0.93 CPUs of at most 0.80"]
    known = ("framework", "label", "concurrent_users", "valid", "invalid_reasons", "disturbed_reasons", "rounds")
    assert {key for key, value in row.items() if value is not None} == set(known)


def test_figures_are_the_five_of_the_study_and_two_more() -> None:
    run = make_run(levels=(10, 20), invalid=[("fastapi", 10, 0), ("fastapi", 10, 1)])
    summary = summarize(run)
    assert list(study_figures(run, summary)) == FIGURES
    assert {*all_figures(run, summary)} == {*FIGURES, "latency_p95_vs_concurrency", "cpu_per_request_vs_concurrency"}
    for figure in all_figures(run, summary).values():
        assert figure.series["FastAPI"][10] is None
        assert figure.series["FastAPI"][20] is not None


def test_a_lost_round_does_not_halve_the_totals_of_a_figure() -> None:
    whole, lost = make_run(levels=(10,)), make_run(levels=(10,), invalid=[("fastapi", 10, 0)])
    for name in ("duration_vs_concurrency", "total_requests_vs_concurrency"):
        before = study_figures(whole, summarize(whole))[name].series["FastAPI"][10]
        after = study_figures(lost, summarize(lost))[name].series["FastAPI"][10]
        assert after == pytest.approx(before, rel=0.1)


def test_markdown_leads_with_the_outcome_and_says_what_is_wrong() -> None:
    run = make_run(
        levels=(10, 20),
        invalid=[("fastapi", 10, 0), ("fastapi", 10, 1), ("django_wsgi", 20, 1)],
        differences=("django_asgi: 128 statements, not 168",),
    )
    text = render_markdown(run, summarize(run))
    assert text.splitlines()[2].startswith("**Unequal work, so no comparison: nobody leads.**")
    assert "## Unequal work" in text
    assert "| 10 | INVALID (1) |" in text
    assert "1. generator: k6 used 0.93 CPUs of at most 0.80" in text
    assert " (1) |" in text.split("## Throughput")[1]


def test_markdown_tables_keep_their_columns_whatever_the_labels_are() -> None:
    run = make_run(levels=(10,), labels={"a": "x|y\n| z", "b": "`B`"}, subject="<script>|`")
    text = render_markdown(run, summarize(run))
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert "<script>" not in text.replace("\\<script\\>", "")
    assert {line.replace("\\|", "").count("|") for line in table} == {4, 5}
