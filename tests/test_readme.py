"""What the README says of figures, rules and bounds is what the project has."""

from __future__ import annotations

import re
import tomllib

from scripts import config, history, prose
from scripts.config import ROOT
from scripts.summary import summarize
from scripts.validity import RULES

TEXT = (ROOT / "README.md").read_text()
RESULT = TEXT.partition("<!-- result:")[2].partition("<!-- /result -->")[0]
PUBLISHED = tomllib.loads((ROOT / "history/published/2025-09-22.toml").read_text())


def rows() -> dict[int, list[str]]:
    """The result's table by level."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in RESULT.splitlines()]
    return {int(cells[0]): cells[1:] for cells in lines if cells[0].isdigit()}


def test_the_result_is_the_recorded_run() -> None:
    path = re.search(r"\]\((history/runs/[^)]+\.json)\)", RESULT)
    assert path
    run = history.read_run(ROOT / path[1])
    summary = summarize(run)
    assert prose.headline(run, summary) in RESULT
    for sentence in prose.leads(run, summary):
        assert sentence in RESULT
    assert rows().keys() == {level.level for level in summary.levels}
    for level in summary.levels:
        assert rows()[level.level][:4] == [prose.figure(cell.throughput_rps) for cell in level.cells]
    assert f"{run.load_s / run.wall_s:.2f} of its wall time" in RESULT
    assert all(block.load.failed == 0 for block in run.blocks)


def test_the_studys_figures_are_quoted_rightly() -> None:
    for index, level in enumerate(PUBLISHED["levels"]):
        quoted = rows()[level][4:]
        assert quoted == [f"{rates[index]:.0f}" for rates in PUBLISHED["throughput_rps"].values()]


def test_every_rule_of_validity_is_explained() -> None:
    for rule, words in RULES.items():
        assert f"| `{rule}` | {words} |" in TEXT
    assert f"up to {config.find(config.load().profiles, 'full', 'profile').attempts} times" in TEXT


def test_every_profile_is_offered() -> None:
    for profile in config.load().profiles:
        assert f"`{profile.name}` profile" in TEXT or f"-s bench -- {profile.name}" in TEXT
