"""The workflows, executed: from events to comments, history, issues and the site. Measuring is stood in for here by
stored sessions; `nox -s play` plays the same stories with real ones."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest

from scripts import checkout, config, records
from scripts.config import ROOT
from scripts.model import Run
from scripts.session.results import make_run_id
from scripts.verdict.judgement import judge
from scripts.verdict.record import encode_verdict
from scripts.verdict.text import MARKER
from tests.factories import git, make_paired_run
from tests.hosted import actions
from tests.hosted.executor import Job, Refused, RunDone, World, _settings
from tests.hosted.expressions import condition, evaluate, interpolate
from tests.hosted.service import unzip
from tests.hosted.world import (
    Author,
    completed,
    open_shop,
    open_world,
    run_comment,
    run_merge_group,
    run_pull_request,
)

BACKEND = "apps/fastapi/benchmark/workload.py"
COUNTED = records.read_run(ROOT / "history/runs/2026/11/20261124T134200Z-eb1d571-de6544.json").parity
"""What the backends really do for a request, at the newest recorded commit."""
STATUS = {"success": lambda: True, "failure": lambda: False, "always": lambda: True, "cancelled": lambda: False}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with open_world(tmp_path) as world:
        yield world


def stored_session(job: Job, environment: Mapping[str, str], slower: float = 0.0, statements: int = 168) -> int:
    """What `compare` leaves: a stored session's record, of the commits that this job would have measured."""
    backends = tuple(filter(None, environment["BACKENDS"].split(","))) or ("fastapi",)
    project = job.workspace / environment.get("BENCH_PROJECT", "")
    candidate = checkout.current(project)
    anchored = checkout.read_file("HEAD", "history/anchor.toml", project) or ""
    base = environment["BASE"] or anchored.split('commit = "')[1][:40]
    baseline = checkout.find(base, project)
    run: Run = make_paired_run(int(job.github["run_id"]), backends=backends, slower=slower, noise=0.002)
    parity = tuple(
        msgspec.structs.replace(
            counted,
            arm=arm,
            statements_per_request=statements if arm == "candidate" else counted.statements_per_request,
        )
        for arm in ("baseline", "candidate")
        for counted in COUNTED
        if counted.backend in backends
    )
    run_id = f"{make_run_id(candidate, datetime.now(UTC)).rpartition('-')[0]}-{job.github['run_id']}.1"
    run = msgspec.structs.replace(run, id=run_id, commit=candidate, baseline=baseline, layout="duet", parity=parity)
    verdict = judge(run, baseline, candidate, config.load().compare, {}, "nox -s compare")
    folder = job.workspace / "results" / run_id
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "fastapi.log").write_text("started")
    (folder.parent / "latest").symlink_to(run_id)
    records.write_run(run, folder / "run.json")
    (folder / "verdict.json").write_bytes(encode_verdict(verdict))
    regressed = [b.backend for b in verdict.backends if b.outcome.value == "regression"]
    with Path(environment["GITHUB_OUTPUT"]).open("a") as file:
        file.write(f"outcome={verdict.outcome.value}\nregressed={','.join(regressed)}\n")
    return 0


def stored_site(job: Job, _: Mapping[str, str]) -> int:
    """A site that says how many runs it has been given."""
    runs = [path for root in ("history", "results/data") for path in (job.workspace / root / "runs").rglob("*.json")]
    (job.workspace / "_site").mkdir()
    (job.workspace / "_site" / "index.html").write_text(f"{len(runs)} runs")
    return 0


def slower_pull(world: World, login: str = "fork") -> tuple[Author, dict[str, object]]:
    author = Author(world, login)
    author.change({BACKEND: author.read(BACKEND) + "\n# slower\n"}, "Take more time")
    return author, author.open_pull(7, "slow")


def test_a_fork_that_makes_a_backend_slower(world: World) -> None:
    """Two sessions, a red check, one comment; then the author says that it is wanted, and the check is green."""
    world.stand_ins = {"compare": partial(stored_session, slower=0.08), "build_site": stored_site}
    author, event = slower_pull(world)
    run = run_pull_request(world, event)
    results = {name: job.result for name, job in run.jobs.items()}
    assert results == {
        "reach": "success",
        "measure/session": "success",
        "confirm/session": "success",
        "decide": "failure",
        "preview": "success",
    }, run.log
    assert run.jobs["reach"].outputs["backends"] == "fastapi"
    assert "::error title=Regression in FastAPI::Throughput -7." in run.jobs["decide"].log
    assert run.jobs["decide"].summary.startswith(f"{MARKER}\n**Regression in FastAPI (")
    names = sorted(artifact["name"] for artifact in world.service.artifacts)
    assert names == ["decision-1", "first-1", "first-logs-1", "preview-1", "second-1", "second-logs-1"]

    said = run_comment(world, completed(event, run))
    assert said.conclusion == "success", said.log
    (comment,) = world.service.comments[7]
    assert comment["body"] == run.jobs["decide"].summary
    assert "POST /repos/owner/project/issues/7/comments" in world.service.log

    slow = author.head
    events = author.read("history/events.toml")
    entry = f'\n[[events]]\ncommit = "{slow}"\nkind = "accepted"\nbackends = ["fastapi"]\ntext = "it is safer"\n'
    author.change({"history/events.toml": events + entry}, "Accept it")
    event = author.open_pull(7, "slow")
    run = run_pull_request(world, event)
    assert run.conclusion == "success", run.log
    run_comment(world, completed(event, run))
    (comment,) = world.service.comments[7]
    assert "confirmed, and accepted: nothing has to be done." in comment["body"]
    assert "it is safer" in comment["body"]


def test_a_first_alarm_that_the_second_session_does_not_confirm(world: World) -> None:
    slower = iter([0.08, 0.0])
    world.stand_ins = {"compare": lambda job, env: stored_session(job, env, next(slower)), "build_site": stored_site}
    _, event = slower_pull(world, "owner")
    run = run_pull_request(world, event)
    assert run.conclusion == "success", run.log
    assert run.jobs["confirm/session"].result == "success"
    run_comment(world, completed(event, run))
    assert "No confirmed change" in world.service.comments[7][0]["body"]


def test_the_label_counts_as_it_is_when_the_failed_job_is_run_again(world: World) -> None:
    world.stand_ins = {"compare": partial(stored_session, slower=0.08), "build_site": stored_site}
    _, event = slower_pull(world)
    run = run_pull_request(world, event)
    assert run.jobs["decide"].result == "failure", run.log
    world.service.labels[7] = ["benchmark: accepted"]
    run = run_pull_request(world, event, again=run)
    assert list(run.jobs) == ["decide"], "nothing is measured again"
    assert run.conclusion == "success", run.log
    run_comment(world, completed(event, run))
    assert "confirmed, and accepted" in world.service.comments[7][0]["body"]


def test_a_change_of_documents_is_not_measured(world: World) -> None:
    author = Author(world, "fork")
    author.change({"README.md": author.read("README.md") + "\nMore.\n", "apps/README.md": "x"}, "Explain")
    event = author.open_pull(7, "docs")
    run = run_pull_request(world, event)
    assert run.conclusion == "success", run.log
    assert {name for name, job in run.jobs.items() if job.result == "skipped"} == {"measure", "confirm", "preview"}
    assert "Nothing measurable changed" in run.jobs["decide"].summary
    assert run_comment(world, completed(event, run)).conclusion == "success"
    assert world.service.comments == {}


def test_a_session_that_fails_leaves_its_logs_and_an_honest_comment(world: World) -> None:
    def broken(job: Job, _: Mapping[str, str]) -> int:
        logs = job.workspace / "results" / "20261124T000000Z-abcdef0-1.1.failed" / "logs"
        logs.mkdir(parents=True)
        (logs / "compose.log").write_text("container fastapi is unhealthy")
        return 1

    world.stand_ins = {"compare": broken}
    _, event = slower_pull(world)
    run = run_pull_request(world, event)
    assert run.conclusion == "failure"
    logs = [artifact for artifact in world.service.artifacts if artifact["name"] == "first-logs-1"]
    assert b"compose.log" in logs[0]["data"]
    assert run.jobs["decide"].result == "failure", "nobody knows that it is fine"
    assert "::error title=No verdict::" in run.jobs["decide"].log
    run_comment(world, completed(event, run))
    assert "ended without a verdict" in world.service.comments[7][0]["body"]
    run_comment(world, completed(event, run, conclusion="cancelled", run_attempt=2))
    assert "was cancelled before it had a verdict" in world.service.comments[7][0]["body"]


def main(world: World) -> str:
    return git(world.origin, "rev-parse", "main").strip()


def test_nightly_to_history_to_site(world: World) -> None:
    world.stand_ins = {"compare": stored_session, "build_site": stored_site}
    run = world.run("nightly.yml", "schedule", {"schedule": "17 3 * * *"}, main(world))
    assert run.conclusion == "success", run.log
    assert {name for name, job in run.jobs.items() if job.result == "success"} == {
        "track/measure/session",
        "track/record",
        "track/alert",
        "track/pages/build",
        "track/pages/deploy",
    }
    (recorded,) = git(world.origin, "ls-tree", "-r", "--name-only", "history").split()
    assert recorded.startswith("runs/20")
    stored = records.decode_run(git(world.origin, "show", f"history:{recorded}").encode(), recorded)
    assert stored.commit.sha == main(world)
    assert stored.baseline
    assert stored.baseline.sha in (git(world.origin, "show", "main:history/anchor.toml"))
    here = len(git(world.origin, "ls-tree", "-r", "--name-only", "main", "history/runs").split())
    assert (world.deployed / "index.html").read_text() == f"{here + 1} runs"
    assert world.service.issues == []


@pytest.mark.parametrize("file", ["track.yml", "nightly.yml", "pages.yml"])
@pytest.mark.parametrize("all_jobs", [True, False])
def test_what_is_run_again_deploys(world: World, monkeypatch: pytest.MonkeyPatch, file: str, all_jobs: bool) -> None:
    """All jobs, which build a second site in one run; or the one that failed, with the site of the attempt before."""
    world.stand_ins = {"compare": stored_session, "build_site": stored_site}
    event = {"track.yml": "push", "nightly.yml": "schedule", "pages.yml": "workflow_dispatch"}[file]
    deploy = actions.ACTIONS["actions/deploy-pages"]
    if not all_jobs:
        monkeypatch.setitem(actions.ACTIONS, "actions/deploy-pages", unavailable)
    run = world.run(file, event, {}, main(world))
    assert run.conclusion == ("success" if all_jobs else "failure"), run.log
    monkeypatch.setitem(actions.ACTIONS, "actions/deploy-pages", deploy)
    run = world.run(file, event, {}, main(world), again=run, all_jobs=all_jobs)
    assert run.conclusion == "success", run.log
    assert any(name.endswith("build") for name in run.jobs) == all_jobs
    assert (world.deployed / "index.html").is_file()


def unavailable(*_: object) -> dict[str, str]:
    raise actions.ActionError("Deployment failed, try again later.")


def test_other_jobs_that_are_run_again_leave_the_verdict_to_be_found(world: World) -> None:
    world.stand_ins = {"compare": stored_session, "build_site": lambda *_: 1}
    _, event = slower_pull(world)
    run = run_pull_request(world, event)
    assert (run.jobs["decide"].result, run.jobs["preview"].result) == ("success", "failure"), run.log
    world.stand_ins["build_site"] = stored_site
    run = run_pull_request(world, event, again=run)
    assert list(run.jobs) == ["preview"]
    run_comment(world, completed(event, run))
    assert "ended" not in world.service.comments[7][0]["body"]


def test_a_run_that_waits_for_approval_says_nothing(world: World) -> None:
    world.stand_ins = {"compare": stored_session, "build_site": stored_site}
    _, event = slower_pull(world)
    waiting = run_pull_request(world, event, approved=False)
    assert run_comment(world, completed(event, waiting)).conclusion == "success"
    assert world.service.comments == {}
    run = run_pull_request(world, event, again=waiting)
    assert run.conclusion == "success", run.log
    run_comment(world, completed(event, run))
    assert len(world.service.comments[7]) == 1


def test_a_required_check_fails_where_what_a_change_reaches_is_not_known(world: World) -> None:
    world.stand_ins = {"reach": lambda *_: 1}
    run = run_pull_request(world, slower_pull(world)[1])
    assert run.own["measure"].result == "skipped"
    assert not run.lets_merge("decide")


def test_a_merge_group_is_not_measured_and_says_so(world: World) -> None:
    run = run_merge_group(world)
    assert {name for name, job in run.own.items() if job.result != "skipped"} == {"decide"}
    assert run.lets_merge("decide"), run.log
    assert "was measured before it was queued" in run.jobs["decide"].summary
    event = completed({"pull_request": {"head": HEAD}}, run)
    event["workflow_run"]["event"] = "merge_group"
    assert run_comment(world, event).conclusion == "skipped"


HEAD = {"sha": "0" * 40, "ref": "gh-readonly-queue/main/pr-7", "repo": None}


@pytest.mark.parametrize(("login", "user"), [("fork", "fork"), ("owner", "dependabot[bot]"), ("owner", "owner")])
def test_what_the_base_branch_says_holds_for_every_pull_request(world: World, login: str, user: str) -> None:
    """A fork's sees no variables, and may change the file; whose branch it is aimed at decides."""
    seen: list[str] = []

    def compared(job: Job, environment: Mapping[str, str]) -> int:
        seen.append(environment["STACK"])
        return stored_session(job, environment, slower=0.08)

    world.stand_ins = {"compare": compared, "build_site": stored_site}
    owner, settings = Author(world), Author(world).read("bench.toml")
    native = settings.replace('stack = "compose"', 'stack = "native"')
    owner.change({"bench.toml": native}, "Without Docker")
    owner.push()
    author = Author(world, login)
    author.change({BACKEND: author.read(BACKEND) + "\n# slower\n", "bench.toml": settings}, "Take more time")
    run_pull_request(world, author.open_pull(7, "slow", user={"login": user}))
    assert seen == ["native", "native"]


def test_a_pull_request_that_is_aimed_at_another_branch_is_measured_again(world: World) -> None:
    bases: list[str] = []

    def compared(job: Job, environment: Mapping[str, str]) -> int:
        bases.append(environment["BASE"])
        return stored_session(job, environment)

    world.stand_ins = {"compare": compared, "build_site": stored_site}
    author = Author(world)
    author.change({BACKEND: author.read(BACKEND) + "\n# released\n"}, "Release")
    release = author.push("release")
    author.change({BACKEND: author.read(BACKEND) + "\n# slower\n"}, "Take more time")
    run_pull_request(world, author.open_pull(7, "slow"))
    event = author.retarget(7, "slow", "release")
    run = run_pull_request(world, event)
    assert bases == [main(world), release]
    run_comment(world, completed(event, run))
    assert len(world.service.comments[7]) == 1


def test_two_pull_requests_of_one_branch_have_a_comment_each(world: World) -> None:
    slower = iter([0.08, 0.08, 0.0])
    world.stand_ins = {"compare": lambda job, env: stored_session(job, env, next(slower)), "build_site": stored_site}
    author = Author(world)
    author.push("release")
    author.change({BACKEND: author.read(BACKEND) + "\n# slower\n"}, "Take more time")
    events = author.open_pull(7, "slow"), author.open_pull(8, "slow", "release")
    for event in events:
        run_comment(world, completed(event, run_pull_request(world, event)))
    assert "Regression" in world.service.comments[7][0]["body"]
    assert "Regression" not in world.service.comments[8][0]["body"]


def test_backfill_may_come_first(world: World) -> None:
    """Before anything is recorded there is no data branch, for the site neither."""
    seen: list[Path] = []

    def filled(job: Job, environment: Mapping[str, str]) -> int:
        seen.append(job.workspace / "results/data")
        return stored_session(job, {**environment, "BASE": "", "GITHUB_OUTPUT": os.devnull})

    world.stand_ins = {"backfill": filled, "build_site": stored_site}
    run = world.run("pages.yml", "workflow_dispatch", {}, main(world))
    assert run.conclusion == "success", run.log
    run = world.run("track.yml", "workflow_dispatch", {}, main(world), task="backfill")
    assert run.jobs["backfill"].result == "success", run.log
    assert [list(folder.iterdir()) for folder in seen] == [[]]
    world.stand_ins["compare"] = stored_session
    world.run("track.yml", "push", {}, main(world))
    run = world.run("track.yml", "workflow_dispatch", {}, main(world), task="backfill")
    assert [path.name for path in seen[1].iterdir()] == ["runs"], run.log


def test_a_regression_opens_an_issue_that_its_mending_closes(world: World) -> None:
    """A count is certain, so that one run each is enough."""
    world.stand_ins = {"build_site": stored_site}
    author = Author(world)
    event = {"ref": "refs/heads/main"}
    for subject, statements, states in (
        ("Good", 168, []),
        ("One more SELECT in each transaction", 176, ["open"]),
        ("Without it again", 168, ["closed"]),
    ):
        world.stand_ins["compare"] = partial(stored_session, statements=statements)
        author.change({BACKEND: f"# {subject}\n" + author.read(BACKEND)}, subject)
        run = world.run("track.yml", "push", event, author.push())
        assert run.conclusion == "success", run.log
        assert [issue["state"] for issue in world.service.issues] == states, run.log
    (issue,) = world.service.issues
    assert issue["title"].startswith("Regression in FastAPI: Statements a request 168 -> 176 since")
    assert "One more SELECT in each transaction" in issue["body"]
    assert "Closed by itself: the figures have recovered" in issue["body"]


def test_a_record_job_that_is_repeated_changes_nothing(world: World) -> None:
    world.stand_ins = {"compare": stored_session, "build_site": stored_site}
    world.run("track.yml", "push", {}, main(world))
    tip = git(world.origin, "rev-parse", "history")
    (kept,) = [artifact for artifact in world.service.artifacts if artifact["name"] == "track-1"]

    def again(job: Job, _: Mapping[str, str]) -> int:
        unzip(kept["data"], job.workspace / "results")
        return 0

    world.stand_ins["compare"] = again
    run = world.run("track.yml", "push", {}, main(world))
    assert run.jobs["record"].result == "success", run.log
    assert git(world.origin, "rev-parse", "history") == tip


def test_by_hand_from_another_branch_nothing_is_recorded_or_deployed(world: World) -> None:
    world.stand_ins = {"compare": stored_session, "build_site": stored_site}
    world.run("track.yml", "push", {}, main(world))
    before = git(world.origin, "rev-parse", "history"), world.deployed.stat().st_mtime
    sha = Author(world).push("branch")
    run = world.run("track.yml", "workflow_dispatch", {}, sha, "refs/heads/branch")
    assert run.jobs["record"].result == run.jobs["alert"].result == run.jobs["pages"].result == "skipped"
    run = world.run("pages.yml", "workflow_dispatch", {}, sha, "refs/heads/branch")
    assert run.jobs["build"].result == "success", run.log
    assert run.jobs["deploy"].result == "skipped"
    assert (git(world.origin, "rev-parse", "history"), world.deployed.stat().st_mtime) == before


def test_by_hand_inputs_are_checked(world: World) -> None:
    with pytest.raises(Refused, match="task: 'deploy' is not one of"):
        world.run("track.yml", "workflow_dispatch", {}, main(world), task="deploy")
    run = world.run(
        "track.yml", "workflow_dispatch", {}, main(world), task="bisect", backends="fastapi", range="--upload=x..-y"
    )
    assert run.jobs["bisect"].result == "failure"
    assert "names no commit of this repository" in run.jobs["bisect"].log
    assert {name for name, job in run.jobs.items() if job.result != "skipped"} == {"bisect"}
    run = world.run("track.yml", "workflow_dispatch", {}, main(world), task="calibrate", backends="$(touch x)")
    assert "unknown backend '$(touch x)'" in run.jobs["calibrate"].log


@pytest.fixture
def shop(world: World, tmp_path: Path) -> World:
    return open_shop(world, tmp_path / "shop")


def run_shop(shop: World, path: str, text: str) -> RunDone:
    """What the caller makes of a pull request that adds a text to a file."""
    author = Author(shop, "fork")
    author.change({path: author.read(path) + text}, "Change it")
    return run_pull_request(shop, author.open_pull(7, "change"), file="benchmark.yml")


def test_another_repository_has_its_own_backends_compared(shop: World) -> None:
    seen: list[Mapping[str, str]] = []

    def compared(job: Job, environment: Mapping[str, str]) -> int:
        seen.append(environment)
        stored_session(job, {**environment, "BACKENDS": "fastapi"}, slower=0.08)
        return 3 if environment["FAIL"] else 0

    shop.stand_ins = {"compare": compared}
    run = run_shop(shop, "benchmark/service/shop.rb", "# slower\n")
    first, second = run.jobs["first/session"], run.jobs["second/session"]
    assert (first.result, second.result) == ("success", "failure"), run.log
    assert [s["BACKENDS"] for s in seen] == ["shop", "fastapi"], "what it reaches, then what has become worse"
    assert {s["BASE"] for s in seen} == {main(shop)}
    assert {s["BENCH_PROJECT"] for s in seen} == {"project/benchmark"}
    assert "**Regression in FastAPI" in first.summary
    names = sorted(artifact["name"] for artifact in shop.service.artifacts)
    assert names == ["first-1", "first-logs-1", "second-1", "second-logs-1"]


def test_what_reaches_nothing_elsewhere_is_not_measured(shop: World) -> None:
    run = run_shop(shop, "benchmark/README.md", "More.\n")
    assert run.conclusion == "success", run.log
    assert {name for name, job in run.jobs.items() if job.result != "skipped"} == {"first/session", "verdict"}
    session = run.jobs["first/session"]
    assert {step.outcome for step in session.steps if step.name.startswith(("Compare", "Say"))} == {"skipped"}


def test_a_caller_may_not_be_exceeded(world: World) -> None:
    author = Author(world)
    text = author.read(".github/workflows/nightly.yml")
    author.change({".github/workflows/nightly.yml": text.replace("issues: write", "issues: read")}, "Less")
    world.stand_ins = {"compare": stored_session, "build_site": stored_site}
    sha = author.push()
    with pytest.raises(Refused, match="job alert wants issues: write"):
        world.run("nightly.yml", "schedule", {}, sha)


@pytest.mark.parametrize(("login", "pushed"), [("fork", False), ("owner", True)])
def test_a_forks_token_cannot_write_whatever_its_workflow_asks_for(world: World, login: str, pushed: bool) -> None:
    """Whoever may push to the repository may do this, too: the same change is the control."""
    author = Author(world, login)
    text = author.read(".github/workflows/pull-request.yml")
    head, decide, rest = text.partition("  decide:\n")
    rest = rest.replace("contents: read", "contents: write").replace("persist-credentials: false", "")
    rest = re.sub(r"run: \./start_benchmark\.sh -s decide .*", "run: git push origin HEAD:refs/heads/taken", rest)
    author.change({".github/workflows/pull-request.yml": head + decide + rest, "README.md": "x"}, "Take more")
    run = run_pull_request(world, author.open_pull(7, "evil"))
    (push,) = [step for step in run.jobs["decide"].steps if step.name.startswith("Is there")]
    assert push.outcome == ("success" if pushed else "failure"), push.log
    assert ("refs/heads/taken" in git(world.origin, "for-each-ref")) == pushed


EXPRESSIONS = [
    ("1 < 2 && 'A' == 'a'", True),
    ("'' || 'x'", "x"),
    ("true && 'yes' || ''", "yes"),
    ("null == 0", True),
    ("contains(fromJSON('[\"a\", \"b\"]'), 'B')", True),
    ("join(a.*.b, '+')", "1+2"),
    ("a[1].b", "2"),
    ("format('{0}-{1}', 'a', c)", "a-3"),
    ("!(c != 3) && startsWith('Hello', 'he')", True),
    ("missing.deeper.still", None),
    ("'it''s'", "it's"),
]


@pytest.mark.parametrize(("text", "value"), EXPRESSIONS)
def test_expressions(text: str, value: object) -> None:
    contexts = {"a": [{"b": "1"}, {"b": "2"}], "c": 3, "missing": None}
    assert evaluate(text, contexts) == value


def test_conditions_and_texts() -> None:
    assert interpolate("a ${{ x }} b ${{ y }}", {"x": True, "y": None}) == "a true b "
    assert interpolate("${{ x }}", {"x": False}) is False
    failed = {**STATUS, "success": lambda: False, "failure": lambda: True}
    assert not condition("${{ x }}", {"x": True}, failed), "success() is meant"
    assert condition("${{ !cancelled() && x }}", {"x": True}, failed)
    assert condition("failure()", {}, failed)
    with pytest.raises(ValueError, match="no context 'nothing'"):
        evaluate("nothing.at.all", {})


def test_environment_files() -> None:
    text = "a=1\nb<<END\ntwo\nlines\nEND\nc=x=y\n"
    assert dict(_settings(text)) == {"a": "1", "b": "two\nlines", "c": "x=y"}
    assert json.dumps(list(_settings(""))) == "[]"
