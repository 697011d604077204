"""What the README says of figures, rules and bounds is what the project has."""

from __future__ import annotations

import re
import statistics
import tomllib

from scripts import config, history, prose
from scripts.config import ROOT
from scripts.model import Run
from scripts.summary import summarize
from scripts.validity import PASSING, RULES

TEXT = (ROOT / "README.md").read_text()
RESULT = TEXT.partition("<!-- result:")[2].partition("<!-- /result -->")[0]
PUBLISHED = tomllib.loads((ROOT / "history/published/2025-09-22.toml").read_text())


def rows() -> dict[int, list[str]]:
    """The result's table by level."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in RESULT.splitlines()]
    return {int(cells[0]): cells[1:] for cells in lines if cells[0].isdigit()}


def recorded() -> Run:
    """The run that the result's part links to."""
    path = re.search(r"\]\((history/runs/[^)]+\.json)\)", RESULT)
    assert path
    return history.read_run(ROOT / path[1])


def test_the_result_is_the_recorded_run() -> None:
    run = recorded()
    summary = summarize(run)
    assert prose.headline(run, summary) in RESULT
    for sentence in prose.leads(run, summary):
        assert sentence in RESULT
    assert rows().keys() == {level.level for level in summary.levels}
    for level in summary.levels:
        assert rows()[level.level][:4] == [prose.figure(cell.throughput_rps) for cell in level.cells]
    assert f"{run.load_s / run.wall_s:.2f} of its wall time" in RESULT
    assert all(block.load.failed == 0 for block in run.blocks)


def test_the_figures_in_the_prose_are_the_recorded_runs() -> None:
    run = recorded()
    cells = [{cell.backend: cell for cell in level.cells} for level in summarize(run).levels]

    def ratios(one: str, other: str) -> list[float]:
        return [(here[one].throughput_rps or 0) / (here[other].throughput_rps or 1) for here in cells]

    def cpu_ms(name: str) -> str:
        return f"{statistics.geometric_mean(here[name].metrics['cpu_ms_per_request'] or 0 for here in cells):.0f}"

    over_wsgi = ratios("fastapi", "django_wsgi")
    words = " ".join(TEXT.split())
    assert f"FastAPI's throughput is {min(over_wsgi):.1f} to {max(over_wsgi):.1f} times that of Django WSGI" in words
    assert f"Django WSGI, {statistics.geometric_mean(over_wsgi):.1f} times in the mean" in words
    assert f"which has {statistics.geometric_mean(ratios('django_wsgi', 'django_asgi')):.1f} times its" in words
    assert (
        f"{cpu_ms('fastapi')} ms for FastAPI, {cpu_ms('fast_django_asgi')} for fast-django-asgi, "
        f"{cpu_ms('django_wsgi')} for Django WSGI, {cpu_ms('django_asgi')} for Django ASGI" in words
    )


def test_the_studys_figures_are_quoted_rightly() -> None:
    for index, level in enumerate(PUBLISHED["levels"]):
        quoted = rows()[level][4:]
        assert quoted == [f"{rates[index]:.0f}" for rates in PUBLISHED["throughput_rps"].values()]


def test_every_rule_of_validity_is_explained() -> None:
    for rule, words in RULES.items():
        assert f"| `{rule}` | {words} |" in TEXT
    assert f"disturbed from outside ({', '.join(f'`{rule}`' for rule in PASSING)})" in TEXT
    assert f"up to {config.find(config.load().profiles, 'full', 'profile').attempts} times" in TEXT


def test_every_profile_is_offered() -> None:
    for profile in config.load().profiles:
        assert f"`{profile.name}` profile" in TEXT or f"-s bench -- {profile.name}" in TEXT
