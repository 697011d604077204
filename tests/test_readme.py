"""What the README says of figures, rules and bounds is what the project has."""

from __future__ import annotations

import re
import statistics
import tomllib
from pathlib import Path

from scripts import config, records, words
from scripts.config import ROOT
from scripts.model import Run
from scripts.report import sentences
from scripts.report.contrast import contrast
from scripts.report.summary import summarize
from scripts.session.validity import DISTURBING, PASSING, RULES
from scripts.statistics.intervals import Ratio

TEXT = (ROOT / "README.md").read_text()
WORDS = " ".join(TEXT.split())
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
RESULT = TEXT.partition("<!-- result:")[2].partition("<!-- /result -->")[0]
PUBLISHED = tomllib.loads((ROOT / "history/published/2025-09-22.toml").read_text())


def rows() -> dict[int, list[str]]:
    """The result's table by level."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in RESULT.splitlines()]
    return {int(cells[0]): cells[1:] for cells in lines if cells[0].isdigit()}


def linked(text: str) -> list[Run]:
    """The runs that a part of the text links to."""
    return [records.read_run(ROOT / path) for path in re.findall(r"\]\((history/runs/[^)]+\.json)\)", text)]


def recorded() -> Run:
    """The run that the result is of."""
    return linked(RESULT)[0]


def test_the_result_is_the_recorded_run() -> None:
    run = recorded()
    summary = summarize(run)
    assert sentences.headline(run, summary.standings) in RESULT
    for sentence in sentences.leads(run, summary.standings):
        assert sentence in RESULT
    assert rows().keys() == {level.level for level in summary.levels}
    for level in summary.levels:
        assert rows()[level.level][:4] == [words.figure(cell.throughput_rps) for cell in level.cells]
    assert f"{run.load_s / run.wall_s:.2f} of its wall time" in RESULT
    assert all(block.load.failed == 0 for block in run.blocks)


def test_the_conditions_of_the_result_are_the_recorded_ones() -> None:
    run = recorded()
    environment, profile, words = run.environment, run.profile, " ".join(RESULT.split())
    assert environment.database == "mysql"
    for fact in (
        f"commit `{run.commit.sha[:7]}`, {environment.cpu_model} with {environment.cpu_count} CPUs",
        f"MySQL {environment.database_version} with its data in {environment.durability}",
        f"k6 {environment.k6}, Python {environment.python}, {profile.rounds} rounds of {profile.duration_s:g} s",
        f"`-s bench -- {profile.name} --stack {environment.stack}`",
        f"of its wall time, {run.wall_s / 60:.1f} minutes",
    ):
        assert fact in words
    summary = summarize(run)
    assert not summary.invalid
    assert not any(entry.used for entry in summary.disturbed)
    some = NUMBERS[len(summary.disturbed)].capitalize()
    assert f"{some} of {len(run.blocks)} blocks was disturbed from outside and measured again; the repetition" in words


def test_the_figures_in_the_prose_are_the_recorded_runs() -> None:
    summary = summarize(recorded())
    cells = [{cell.backend: cell for cell in level.cells} for level in summary.levels]

    def ratios(one: str, other: str) -> list[float]:
        return [(here[one].throughput_rps or 0) / (here[other].throughput_rps or 1) for here in cells]

    def cpu_ms(name: str) -> str:
        return f"{statistics.geometric_mean(here[name].metrics['cpu_ms_per_request'] or 0 for here in cells):.0f}"

    over_wsgi = ratios("fastapi", "django_wsgi")
    assert f"FastAPI's throughput is {min(over_wsgi):.1f} to {max(over_wsgi):.1f} times that of Django WSGI" in WORDS
    assert f"Django WSGI, {statistics.geometric_mean(over_wsgi):.1f} times in the mean" in WORDS
    assert f"which has {statistics.geometric_mean(ratios('django_wsgi', 'django_asgi')):.1f} times its" in WORDS
    assert (
        f"{cpu_ms('fastapi')} ms for FastAPI, {cpu_ms('fast_django_asgi')} for fast-django-asgi, "
        f"{cpu_ms('django_wsgi')} for Django WSGI, {cpu_ms('django_asgi')} for Django ASGI" in WORDS
    )
    alike = [{*level.standing.ahead} >= {"fastapi", "fast_django_asgi"} for level in summary.levels]
    told = f"cannot be told apart at {NUMBERS[sum(alike)]} of {NUMBERS[len(alike)]} levels"
    assert told in WORDS
    asgi = [here["django_asgi"].throughput_rps or 0 for here in cells]
    assert f"repaired, it answers {min(asgi):.0f} to {max(asgi):.0f}" in WORDS


def test_the_studys_form_of_django_asgi_is_as_recorded() -> None:
    sentence = WORDS.partition("The study's form of Django ASGI")[2].partition("repaired, it answers")[0]
    run = linked(sentence)[0]
    rates = {
        name: [
            cell.throughput_rps or 0 for level in summarize(run).levels for cell in level.cells if cell.backend == name
        ]
        for name in run.backends
    }
    asgi, wsgi = rates["django_asgi"], statistics.geometric_mean(rates["django_wsgi"])
    assert f"{min(asgi):.0f} to {max(asgi):.0f} requests a second to WSGI's {wsgi:.0f} " in sentence
    assert f"commit `{run.commit.sha[:7]}`, `{run.profile.name}`, with `--allow-unequal`" in sentence
    assert any(entry.differences for entry in run.parity)


def test_the_containers_ratios_are_the_recorded_runs() -> None:
    sentence = WORDS.partition("in the `quick` profile, one stack soon after the other")[2]
    contained, native = linked(sentence)[:2]
    assert (contained.environment.stack, native.environment.stack) == ("compose", "native")
    overall = contrast(contained, native).overall
    said = {name: _ratio(ratio) for name, ratio in overall["throughput_rps"].items()}
    cpu = [ratio.ratio for ratio in overall["cpu_ms_per_request"].values() if ratio]
    assert (
        f"had {said['fastapi']} of the native throughput for FastAPI, {said['django_wsgi']} for Django WSGI" in sentence
    )
    assert f"{said['django_asgi']} for Django ASGI and {said['fast_django_asgi']} for fast-django-asgi" in sentence
    assert f"with {min(cpu):.2f} to {max(cpu):.2f} of the CPU a request" in sentence


def _ratio(ratio: Ratio | None) -> str:
    assert ratio
    return sentences.interval(ratio).replace("x", "")


def test_the_verdicts_that_are_shown_say_what_is_said_of_them() -> None:
    regression, improvement = (_changes(ROOT / f"docs/comments/{name}.md") for name in ("regression", "improvement"))
    effect, rounds = regression["CPU per request"]
    assert f"({effect:.0f}% more CPU a request after {rounds} rounds)" in WORDS
    (cpu, rounds), (throughput, _) = improvement["CPU per request"], improvement["Throughput"]
    assert f"({-cpu:.1f}% less CPU, {throughput:.1f}% more throughput after {rounds})" in WORDS


def _changes(comment: Path) -> dict[str, tuple[float, str]]:
    """By metric, the effect in percent and the rounds of a comment's first table."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in comment.read_text().splitlines()]
    changes = [cells for cells in lines if len(cells) == 8 and cells[3] in ("regression", "improvement")]
    return {metric: (float(effect.rstrip("%")), rounds) for _, metric, _, _, effect, _, _, rounds in changes}


def test_what_comes_from_the_settings_is_as_they_are() -> None:
    settings = config.load()
    work, limits, compare = settings.workload, settings.limits, settings.compare
    assert work
    profiles = {profile.name: profile for profile in settings.profiles}
    pr, quick, full = profiles["pr"], profiles["quick"], profiles["full"]
    *most, last = map(str, quick.levels)
    for fact in (
        f"each on {limits.cpus:g} CPU and {limits.memory_mb / 1024:g} GB, against one MySQL",
        f"from {full.levels[0]} to {full.levels[-1]} users",
        f"writes, reads and deletes {work.file_operations} files and runs {work.transactions} transactions with "
        f"{work.statements} data statements",
        f"{100 * compare.false_alarms:g}% of sessions without any change may say one",
        f"after {compare.first_look} rounds at the earliest and {pr.rounds} at the latest",
        f"show one with a probability of {100 * settings.detect.false_alarms:g}% at most",
        f"the `quick` profile: {', '.join(most)} and {last} users, {quick.rounds} rounds",
        f"the study's {NUMBERS[len(full.levels)]} levels, {full.duration_s:g} s each, {full.rounds} rounds",
        f"to {profiles['extended'].levels[-1]} users |",
    ):
        assert fact in WORDS


def test_the_studys_figures_are_quoted_rightly() -> None:
    for index, level in enumerate(PUBLISHED["levels"]):
        quoted = rows()[level][4:]
        assert quoted == [f"{rates[index]:.0f}" for rates in PUBLISHED["throughput_rps"].values()]


def test_every_rule_of_validity_is_explained() -> None:
    for rule, meaning in (RULES | DISTURBING).items():
        assert f"| `{rule}` | {meaning} |" in TEXT
    assert f"may have come from outside ({', '.join(f'`{rule}`' for rule in PASSING)})" in TEXT
    assert f"up to {config.find(config.load().profiles, 'full', 'profile').attempts} times" in " ".join(TEXT.split())


def test_every_profile_is_offered() -> None:
    for profile in config.load().profiles:
        assert f"`{profile.name}` profile" in TEXT or f"-s bench -- {profile.name}" in TEXT
