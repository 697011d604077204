"""Runs workflows here: every job in order, its ``run:`` steps in bash in a clean clone, with GitHub's files and events.

A `World` is a repository (a bare one, and `Service` for its REST interface) in which workflows run. Conditions, needs,
outputs, matrices, permissions, called workflows and further attempts are done as documented; docs/github.md lists what
is not.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.config import ROOT
from tests.hosted import actions
from tests.hosted.expressions import condition, interpolate, to_string
from tests.hosted.service import REPOSITORY, Service
from tests.hosted.workflow import REMOTE, called, parse, triggers

STEP_S = 900.0
KEPT = (
    "PATH",
    "HOME",
    "LANG",
    "TERM",
    "UV_CACHE_DIR",
    "K6",
    "MYSQL_IMAGE",
    "PYTHON_IMAGE",
    "DEBIAN_IMAGE",
    "PIP_CONFIG_FILE",
)
"""What steps get of this machine's environment."""
SESSION = re.compile(r"-s (\w+)")
SHARED = (".venv", ".cache", ".nox/requirements")
"""What clones take from this clone instead of making it anew; it depends on the locks alone."""

TYPES = {"pull_request": ("opened", "synchronize", "reopened"), "merge_group": ("checks_requested",)}
"""The activities that begin a workflow which names none ("Events that trigger workflows")."""
MERGEABLE = ("success", "skipped", "neutral")
"""How a required check may have ended ("Troubleshooting required status checks")."""
ROBOTS = ("dependabot[bot]",)

StandIn = Callable[["Job", Mapping[str, str]], int]
"""Does a session's work in a test that is not about it: job and environment of the step -> exit code."""


class Refused(Exception):  # noqa: N818 (GitHub's answer)
    """GitHub would not start this workflow, or not give it this."""


@dataclass
class StepDone:
    name: str
    outcome: str
    log: str = ""


@dataclass
class JobDone:
    """What came of a job. ``result``: success, failure, cancelled or skipped. ``inner``: those of a called workflow."""

    name: str
    result: str
    outputs: dict[str, str] = field(default_factory=dict)
    steps: list[StepDone] = field(default_factory=list)
    summary: str = ""
    inner: dict[str, JobDone] = field(default_factory=dict)

    @property
    def log(self) -> str:
        return "\n".join(f"## {step.name}: {step.outcome}\n{step.log}" for step in self.steps)


@dataclass
class RunDone:
    """What came of a workflow's run. ``jobs``: those with steps, of called workflows as ``caller/job``; ``own``: the
    workflow's own, those that call others among them; ``title``: what ``run-name`` makes."""

    id: int
    attempt: int
    conclusion: str
    jobs: dict[str, JobDone]
    own: dict[str, JobDone]
    title: str = ""
    workflow: int = 0

    @property
    def log(self) -> str:
        return "\n".join(f"# {name}: {job.result}\n{job.log}" for name, job in self.jobs.items())

    def lets_merge(self, job: str) -> bool:
        """Whether a branch's rule that requires this job's check is content: a check that was skipped is enough."""
        return self.own[job].result in MERGEABLE


class World:
    """``origin``: the bare repository. ``variables``: what ``vars`` has. ``stand_ins``: by session.

    ``others``: further bare repositories by name, whose workflows may be called. ``settled``: jobs that are not run,
    as what came of them is given; ``cancelled``: whether somebody cancels the run while they do.
    """

    def __init__(self, folder: Path, origin: Path, service: Service) -> None:
        self.folder, self.origin, self.service = folder, origin, service
        self.variables: dict[str, str] = {}
        self.stand_ins: dict[str, StandIn] = {}
        self.others: dict[str, Path] = {}
        self.settled: dict[str, JobDone] = {}
        self.cancelled = False
        self.deployed = folder / "deployed"
        self._numbers = itertools.count(1)

    def run(
        self,
        file: str,
        event_name: str,
        event: Mapping[str, Any],
        sha: str,
        ref: str = "refs/heads/main",
        again: RunDone | None = None,
        *,
        all_jobs: bool = False,
        approved: bool = True,
        **dispatch: Any,
    ) -> RunDone:
        """Run a workflow as it is at ``sha``. ``dispatch``: the inputs of a workflow_dispatch.

        ``again``: a run of it, of which what has failed and what depends on that is run once more, or ``all_jobs``.
        ``approved``: not so is a first contributor's run, which ends at once and begins when somebody has approved it.
        """
        workflow = self.read(REPOSITORY, sha, file)
        if not _begins(triggers(workflow), event_name, event.get("action")):
            raise Refused(f"{file} is not begun by {event_name} {event.get('action', '')}")
        number = next(self._numbers)
        run_id, attempt = (again.id, again.attempt + 1) if again else (7_000_000 + number, 1)
        github = {
            "event_name": event_name,
            "event": dict(event),
            "sha": sha,
            "ref": ref,
            "repository": REPOSITORY,
            "run_id": str(run_id),
            "run_attempt": str(attempt),
            "api_url": self.service.url,
        }
        declared = triggers(workflow)[event_name].get("inputs", {}) if event_name == "workflow_dispatch" else {}
        inputs, folder = _inputs(declared, dispatch), self.folder / f"run{number}"
        scope = Scope(self, github, inputs, event_name, folder, REPOSITORY, sha)
        title = to_string(interpolate(str(workflow.get("run-name", file)), {"github": github, "inputs": inputs}))
        head = (event.get("pull_request") or {"head": {"sha": sha}})["head"]["sha"]
        known = self.service.add_run(
            run_id,
            run_attempt=attempt,
            event=event_name,
            head_sha=head,
            display_title=title,
            workflow_id=zlib.crc32(file.encode()),
        )
        jobs = scope.run(workflow, None, again.own if again and not all_jobs else {}) if approved else {}
        conclusion = _together(scope.done) if approved else "action_required"
        return RunDone(run_id, attempt, conclusion, jobs, scope.done, title, known["workflow_id"])

    def bare(self, repository: str) -> Path:
        """Where a repository is."""
        return self.origin if repository == REPOSITORY else self.others[repository]

    def read(self, repository: str, sha: str, file: str) -> dict[str, Any]:
        """A workflow as a commit has it."""
        command = ["git", "-C", str(self.bare(repository)), "show", f"{sha}:.github/workflows/{file}"]
        return parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    def fork_event(self, event: Mapping[str, Any]) -> bool:
        """Whether a pull request comes from a fork, or from Dependabot, which is treated alike."""
        pull = event.get("pull_request") or {}
        robot = pull.get("user", {}).get("login") in ROBOTS
        return bool(pull) and (robot or pull["head"]["repo"]["full_name"] != REPOSITORY)


@dataclass
class Scope:
    """A workflow that runs, called or not: its contexts, and where its jobs have their folders.

    ``repository`` and ``commit`` are those of its file, which are its caller's or not; ``github`` is about the caller.
    """

    world: World
    github: dict[str, Any]
    inputs: dict[str, Any]
    trigger: str
    folder: Path
    repository: str
    commit: str
    done: dict[str, JobDone] = field(default_factory=dict)

    def run(
        self, workflow: Mapping[str, Any], granted: Mapping[str, str] | None, kept: Mapping[str, JobDone]
    ) -> dict[str, JobDone]:
        """``granted``: what the calling job may do, None where there is none.

        ``kept``: the jobs of the attempt before; those that have failed are run again, and those that depend on them.
        """
        done = self.done
        everything: dict[str, JobDone] = {}
        for name, job in _in_order(workflow["jobs"]):
            if name in self.world.settled:
                done[name] = everything[name] = self.world.settled[name]
                continue
            if _is_kept(name, workflow["jobs"], kept):
                done[name] = kept[name]
                continue
            needs = {other: done[other] for other in _needed(job)}
            context = self.contexts({o: {"result": j.result, "outputs": j.outputs} for o, j in needs.items()})
            upstream = [done[other].result for other in _ancestors(name, workflow["jobs"])]
            status = {
                "success": lambda: all(result == "success" for result in upstream),  # noqa: B023 (called at once)
                "failure": lambda: "failure" in upstream,  # noqa: B023
                "always": lambda: True,
                "cancelled": lambda: self.world.cancelled,
            }
            if not condition(job.get("if"), context, status):
                done[name] = everything[name] = JobDone(name, "skipped")
                continue
            allowed = self._permissions(job.get("permissions", workflow.get("permissions", {})), granted, name)
            if file := called(job):
                where = self._where(file)
                callee = self.world.read(*where)
                before = kept[name].inner if name in kept else {}
                inner, ran = self._call(where, callee, job, context, allowed, name, before)
                everything |= {f"{name}/{key}": value for key, value in ran.items()}
                outputs = self._outputs(triggers(callee)["workflow_call"].get("outputs", {}), inner)
                done[name] = JobDone(name, _together(inner), outputs, inner=inner)
                continue
            legs = [Job(self, name, job, {**context, "matrix": leg}, allowed) for leg in _matrix(job)]
            for number, leg in enumerate(legs):
                everything[name if len(legs) == 1 else f"{name}[{number}]"] = done[name] = leg.run()
            if len(legs) > 1:
                done[name] = JobDone(name, _together({k: v for k, v in everything.items() if k.startswith(f"{name}[")}))
        return everything

    def contexts(self, needs: Mapping[str, Any]) -> dict[str, Any]:
        """What expressions see; a fork's pull request sees no variables."""
        variables = {} if self.world.fork_event(self.github["event"]) else self.world.variables
        return {"github": self.github, "inputs": self.inputs, "needs": needs, "vars": variables}

    def _where(self, file: str) -> tuple[str, str, str]:
        """Repository, commit and file of a called workflow."""
        found = REMOTE.fullmatch(file)
        return (found[1], found[3], found[2]) if found else (self.repository, self.commit, file)

    def _call(
        self,
        where: tuple[str, str, str],
        callee: Mapping[str, Any],
        job: Mapping[str, Any],
        context: Mapping[str, Any],
        allowed: Mapping[str, str],
        name: str,
        kept: Mapping[str, JobDone],
    ) -> tuple[dict[str, JobDone], dict[str, JobDone]]:
        """The called workflow's own jobs, and all that were run for it."""
        repository, commit, file = where
        given = {key: interpolate(v, context) if isinstance(v, str) else v for key, v in job.get("with", {}).items()}
        declared = triggers(callee)["workflow_call"].get("inputs", {})
        if unknown := set(given) - set(declared):
            raise Refused(f"{file} has no inputs {', '.join(sorted(unknown))}")
        folder = self.folder / name
        inner = Scope(self.world, self.github, _inputs(declared, given), self.trigger, folder, repository, commit)
        ran = inner.run(callee, allowed, kept)
        return inner.done, ran

    @staticmethod
    def _outputs(declared: Mapping[str, Any], jobs: Mapping[str, JobDone]) -> dict[str, str]:
        context = {"jobs": {name: {"result": job.result, "outputs": job.outputs} for name, job in jobs.items()}}
        return {name: to_string(interpolate(output["value"], context)) for name, output in declared.items()}

    def _permissions(self, wanted: Mapping[str, str], granted: Mapping[str, str] | None, name: str) -> dict[str, str]:
        """What a job may do; a called workflow may not want more than its caller has."""
        order = ("none", "read", "write")
        for scope, level in wanted.items():
            if granted is not None and order.index(level) > order.index(granted.get(scope, "none")):
                raise Refused(f"job {name} wants {scope}: {level}, but its caller may only {granted.get(scope)}")
        if self.world.fork_event(self.github["event"]):
            return {scope: "read" for scope, level in wanted.items() if scope != "id-token" and level != "none"}
        return dict(wanted)


class Job:
    """One job (or one leg of its matrix), on a runner of its own."""

    def __init__(
        self,
        scope: Scope,
        name: str,
        job: Mapping[str, Any],
        context: Mapping[str, Any],
        permissions: Mapping[str, str],
    ) -> None:
        self.scope, self.name, self._job, self.permissions = scope, name, job, permissions
        self.github, self.service = scope.github, scope.world.service
        self.deployed = scope.world.deployed
        leg = "".join(f"-{to_string(value)}" for value in context["matrix"].values())
        self.folder = scope.folder / f"{name}{leg}"
        self.workspace, self.temp = self.folder / "workspace", self.folder / "temp"
        self.workspace.mkdir(parents=True)
        self.temp.mkdir()
        self.token = self.service.token(permissions)
        self._context = {
            **context,
            "github": {**self.github, "token": self.token, "workspace": str(self.workspace)},
            "job": {"workflow_repository": scope.repository, "workflow_sha": scope.commit},
            "runner": {"temp": str(self.temp), "os": "Linux"},
            "steps": {},
        }
        environment = job.get("environment", "")
        self.environment = environment if isinstance(environment, str) else environment["name"]
        self._added: dict[str, str] = {}
        self._path: list[str] = []
        (self.folder / "event.json").write_text(json.dumps(self.github["event"]))

    def need(self, scope: str, level: str) -> None:
        """Fail as GitHub does where the job's token does not allow something."""
        if self.permissions.get(scope) not in (level, "write"):
            raise actions.ActionError(f"{scope}: {level} is not granted to job {self.name}")

    def settle(self) -> None:
        """Take what depends on the locks alone from this clone."""
        for name in SHARED:
            source, target = ROOT / name, self.workspace / name
            if source.exists():
                target.parent.mkdir(exist_ok=True)
                target.symlink_to(source.resolve())
        with (self.workspace / ".git/info/exclude").open("a") as file:
            file.write("/.venv\n/.cache\n/.nox\n")

    def run(self) -> JobDone:
        done = JobDone(self.name, "success")
        for number, step in enumerate(self._job["steps"]):
            status = {
                "success": lambda: done.result == "success",
                "failure": lambda: done.result == "failure",
                "always": lambda: True,
                "cancelled": lambda: self.scope.world.cancelled,
            }
            name = str(step.get("name") or step.get("uses", "").partition("@")[0])
            if not condition(step.get("if"), self._context, status):
                done.steps.append(StepDone(name, "skipped"))
                self._note(step, "skipped", {})
                continue
            made, outputs = self._step(step, name, number)
            done.steps.append(made)
            self._note(step, made.outcome, outputs)
            if made.outcome == "failure" and not step.get("continue-on-error"):
                done.result = "failure"
        done.outputs = {
            key: to_string(interpolate(value, self._context)) for key, value in self._job.get("outputs", {}).items()
        }
        done.summary = "".join(path.read_text() for path in sorted(self.folder.glob("*.summary")))
        return done

    def _note(self, step: Mapping[str, Any], outcome: str, outputs: Mapping[str, str]) -> None:
        if "id" in step:
            self._context["steps"][step["id"]] = {"outputs": outputs, "outcome": outcome, "conclusion": outcome}

    def _step(self, step: Mapping[str, Any], name: str, number: int) -> tuple[StepDone, dict[str, str]]:
        if "uses" in step:
            given = {
                k: interpolate(v, self._context) if isinstance(v, str) else v for k, v in step.get("with", {}).items()
            }
            try:
                return StepDone(name, "success"), actions.use(self, step["uses"], given)
            except actions.ActionError as error:
                return StepDone(name, "failure", str(error)), {}
        files = {key: self.folder / f"{number:02}.{key}" for key in ("env", "output", "path", "summary")}
        for path in files.values():
            path.touch()
        own = {key: to_string(interpolate(str(value), self._context)) for key, value in step.get("env", {}).items()}
        environment = {**self._environment(files), **own}
        session = SESSION.search(step["run"])
        stand_in = self.scope.world.stand_ins.get(session[1]) if session else None
        code, log = (stand_in(self, environment), "") if stand_in else self._bash(step["run"], environment)
        self._added |= dict(_settings(files["env"].read_text()))
        self._path += files["path"].read_text().split()
        outputs = dict(_settings(files["output"].read_text()))
        return StepDone(name, "failure" if code else "success", log), outputs

    def _bash(self, script: str, environment: Mapping[str, str]) -> tuple[int, str]:
        path = self.folder / "step.sh"
        path.write_text(script)
        done = subprocess.run(
            ["bash", "-e", str(path)],
            cwd=self.workspace,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=STEP_S,
            check=False,
        )
        return done.returncode, done.stdout

    def _environment(self, files: Mapping[str, Path]) -> dict[str, str]:
        kept = {key: os.environ[key] for key in KEPT if key in os.environ}
        kept["PATH"] = os.pathsep.join([*self._path, kept["PATH"]])
        upper = ("repository", "sha", "ref", "run_id", "run_attempt", "event_name", "api_url")
        return {
            **kept,
            **self._added,
            **{f"GITHUB_{key.upper()}": self.github[key] for key in upper},
            "CI": "true",
            "GITHUB_ACTIONS": "true",
            "GITHUB_JOB": self.name,
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_ENV": str(files["env"]),
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_PATH": str(files["path"]),
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "RUNNER_TEMP": str(self.temp),
            "ImageOS": "ubuntu24",
            "ImageVersion": "20261101.1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "COLUMNS": "200",
        }


def _settings(text: str) -> Iterator[tuple[str, str]]:
    """``name=value`` and ``name<<END ... END`` of an environment file."""
    lines = iter(text.splitlines())
    for line in lines:
        name, equals, value = line.partition("=")
        if not equals or "<<" in name:
            name, _, end = line.partition("<<")
            value = "\n".join(itertools.takewhile(lambda inner, end=end: inner != end, lines))  # type: ignore[misc]
        yield name, value


def _inputs(declared: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """With defaults; a choice has to be one of its options."""
    filled = {}
    for name, terms in declared.items():
        value = given.get(name, terms.get("default"))
        if terms.get("type") == "choice" and value not in terms["options"]:
            raise Refused(f"{name}: {value!r} is not one of {', '.join(terms['options'])}")
        if terms.get("type") == "boolean" and not isinstance(value, bool):
            raise Refused(f"{name}: {value!r} is not a boolean")
        filled[name] = value
    return filled


def _needed(job: Mapping[str, Any]) -> list[str]:
    needs = job.get("needs", [])
    return [needs] if isinstance(needs, str) else list(needs)


def _ancestors(name: str, jobs: Mapping[str, Any]) -> set[str]:
    found: set[str] = set()
    for other in _needed(jobs[name]):
        found |= {other, *_ancestors(other, jobs)}
    return found


def _begins(events: Mapping[str, Any], name: str, activity: str | None) -> bool:
    """Whether an event begins a workflow: it is named there, and so is its activity, where it has one that counts."""
    terms = events.get(name)
    types = terms.get("types", TYPES.get(name)) if isinstance(terms, dict) else None
    return terms is not None and (types is None or activity is None or activity in types)


def _is_kept(name: str, jobs: Mapping[str, Any], before: Mapping[str, JobDone]) -> bool:
    """Whether "Re-run failed jobs" leaves a job as it was: "all failed jobs and their dependents" are run again."""
    if name not in before or before[name].result in ("failure", "cancelled"):
        return False
    return not any(before[other].result in ("failure", "cancelled") for other in _ancestors(name, jobs))


def _in_order(jobs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return sorted(jobs.items(), key=lambda item: len(_ancestors(item[0], jobs)))


def _matrix(job: Mapping[str, Any]) -> list[dict[str, Any]]:
    axes = job.get("strategy", {}).get("matrix", {})
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _together(jobs: Mapping[str, JobDone]) -> str:
    results = [job.result for job in jobs.values()]
    for worst in ("failure", "cancelled"):
        if worst in results:
            return worst
    return "success" if "success" in results or not results else "skipped"
