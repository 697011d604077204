"""How things run. Workflows say when, this file says how, ``scripts/`` says what, all under one name.

``nox -l`` lists the sessions. Arguments after ``--`` go to the step: ``nox -s bench -- --help``.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

import nox

nox.needs_version = ">=2025.2.9"
# Sessions share two environments, which nox cannot do by itself: one for the steps, one for the checks.
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "workflows", "tests"]

ROOT = Path(__file__).parent
UV = shutil.which("uv", path=Path(sys.executable).parent) or "uv"
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as main; main()"  # which is no module to be run
INTERRUPT_S = 60.0  # a step that is interrupted stops what it started before it ends
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HELD_BACK = ("env", "--block-signal=INT,TERM,HUP")  # not every env can
# What nox runs gets a Ctrl-C when nox ends without ending it first, as it does when it is killed (prctl(2)).
TIED = ("setpriv", "--pdeathsig", "INT") if shutil.which("setpriv") else ()
ALONE = "mysql or mariadb or stack or docker"  # tests that start servers and measure
runs_step = False
if not os.access(os.environ.get("HOME", ""), os.W_OK):  # without a home uv does not know where to keep things
    os.environ.setdefault("UV_CACHE_DIR", str(ROOT / ".cache" / "uv"))


def end(number: int, _frame: FrameType | None) -> NoReturn:
    """End nox as Ctrl-C does, and what it runs, which must be told: a signal to nox reaches nox alone.

    A terminal's Ctrl-C reaches both, and a check is not told again. A step is: it takes the second for the first.
    """
    if number != signal.SIGINT or runs_step or not in_foreground():
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGINT)
    raise KeyboardInterrupt


def in_foreground() -> bool:
    """Whether a Ctrl-C in this process's terminal reaches this process."""
    try:
        with Path("/dev/tty").open() as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


# SIGINT even where it is ignored: a shell has what it runs in the background of a script ignore it. But whoever has us
# ignore SIGHUP (nohup) wants us to go on. start_benchmark.sh has held them back: Python answers with a traceback.
for ending in ENDING:
    if ending != signal.SIGHUP or signal.getsignal(ending) != signal.SIG_IGN:
        signal.signal(ending, end)
signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def run(session: nox.Session, *command: str, step: bool = False) -> None:
    """Run a program. A ``step`` starts with signals held back, and lets them through when it is ready for them."""
    global runs_step
    runs_step = step
    held = HELD_BACK if step and subprocess.run([*HELD_BACK, "true"], capture_output=True).returncode == 0 else ()
    session.log(shlex.join(command))
    session.run(
        *held, *TIED, *command,
        log=False, external=True, interrupt_timeout=INTERRUPT_S, terminate_timeout=INTERRUPT_S,
    )  # fmt: skip


def environment(session: nox.Session, lock: str) -> str:
    """The Python of an environment with exactly what the lock says; found again while the lock is the same."""
    folder = ROOT / ".nox" / Path(lock).stem
    python, made_from = folder / "bin" / "python", folder / lock
    text = (ROOT / lock).read_text()
    if not made_from.exists() or made_from.read_text() != text:
        session.run_install(*TIED, UV, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        session.run_install(*TIED, UV, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), lock)
        made_from.write_text(text)
    return str(python)


def step(session: nox.Session) -> None:
    """Run the step that has the session's name, with the session's arguments."""
    run(session, environment(session, "requirements.txt"), "-m", "scripts", session.name, *session.posargs, step=True)


def check(session: nox.Session, program: str, *arguments: str) -> None:
    """Run a program of the development environment (Python's own as modules: a script does not stand every path)."""
    python = environment(session, "requirements-dev.txt")
    run(session, str(Path(python).with_name(program)), *arguments)


@nox.session
def up(session: nox.Session) -> None:
    """Start the stack, print its addresses, keep it running until Ctrl-C."""
    step(session)


@nox.session
def parity(session: nox.Session) -> None:
    """Prove that the backends do equal work, or name the difference."""
    step(session)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the backends under load and write results/<run id>/ (-- --help explains)."""
    step(session)


@nox.session
def report(session: nox.Session) -> None:
    """Write the report of a run again from its run.json."""
    step(session)


@nox.session
def record(session: nox.Session) -> None:
    """Keep a run's record under history/."""
    step(session)


@nox.session
def compare(session: nox.Session) -> None:
    """Measure two versions against each other: regression, improvement or no change (-- --help explains)."""
    step(session)


@nox.session
def comment(session: nox.Session) -> None:
    """Write a verdict as Markdown for a pull request."""
    step(session)


@nox.session
def reach(session: nox.Session) -> None:
    """Say which backends a change can reach, and where it left main."""
    step(session)


@nox.session
def decide(session: nox.Session) -> None:
    """Say what one session's verdict, or two of different machines, mean for a change."""
    step(session)


@nox.session
def publish(session: nox.Session) -> None:
    """Write what a finished run of the pull request workflow says as the pull request's comment."""
    step(session)


@nox.session
def calibrate(session: nox.Session) -> None:
    """Measure how often a verdict is wrong and what it can see; goes on where it was (-- --help explains)."""
    step(session)


@nox.session
def backfill(session: nox.Session) -> None:
    """Measure and record commits that have no run yet; goes on where it was (-- --help explains)."""
    step(session)


@nox.session
def detect(session: nox.Session) -> None:
    """Say what changed over the history, and at which commit (-- --series FILE: where any series change)."""
    step(session)


@nox.session
def alert(session: nox.Session) -> None:
    """Open, bring up to date and close the issues about regressions of the history."""
    step(session)


@nox.session
def build_site(session: nox.Session) -> None:
    """Make the static site _site/ of the recorded history (-- --help explains)."""
    step(session)


@nox.session
def serve(session: nox.Session) -> None:
    """Show the site in a browser, and make it again when anything changes."""
    step(session)


@nox.session
def bisect(session: nox.Session) -> None:
    """Find the commit that changed a metric, from noisy sessions (-- --help explains)."""
    step(session)


@nox.session
def export(session: nox.Session) -> None:
    """Write the history in another tool's format."""
    step(session)


@nox.session(name="import")
def import_(session: nox.Session) -> None:
    """Keep series that another tool recorded under history/imported/."""
    step(session)


@nox.session
def perf(session: nox.Session) -> None:
    """Measure the project's own parts against others (-- detect, -- site)."""
    run(session, environment(session, "requirements-perf.txt"), "-m", "perf", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests side by side, then those that need the machine to themselves (or pytest with the arguments)."""
    parts = [["-n", "logical", "-m", f"not ({ALONE})"], ["-m", ALONE]]
    failed = False
    for part in [session.posargs] if session.posargs else parts:
        try:
            check(session, "python", "-m", "pytest", *part)
        except nox.command.CommandFailed:
            failed = True
    if failed:
        session.error("pytest failed, see above")


@nox.session
def screenshots(session: nox.Session) -> None:
    """Take the README's pictures of the site in _site/ (or of the one given), docs/site/*.png, in real Chromium."""
    check(session, "python", "-m", "tests.screenshots", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style with ruff (-- --fix mends what it can), and that rooms import only rooms below them."""
    check(session, "ruff", "check", *session.posargs, ".")
    check(session, "ruff", "format", *([] if "--fix" in session.posargs else ["--check"]), ".")
    check(session, "python", "-c", LINT_IMPORTS, "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy, strictly."""
    check(session, "python", "-m", "mypy", *session.posargs)


@nox.session
def workflows(session: nox.Session) -> None:
    """Check the workflows, the shell scripts and the containers' files."""
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(".github/workflows/*.yml"))
    check(session, "zizmor", "--offline", "--quiet", "--persona=pedantic", "--strict-collection", ".github")
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        check(session, "python", "-m", "check_jsonschema", "--builtin-schema", schema, *files)
    check(
        session, "python", "-m", "check_jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml"
    )
    check(session, "shellcheck", "start_benchmark.sh", ".ci/run", "apps/databases.sh")
    examples = [str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("examples/*/docker-compose.yml"))]
    check(
        session,
        "python",
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        "docker-compose.yml",
        *examples,
    )
    check(session, "hadolint", "apps/Dockerfile", *map(str, sorted(ROOT.glob("examples/*/*/Dockerfile"))))


@nox.session
def play(session: nox.Session) -> None:
    """Play the workflows from event to comment, site and issue, with real sessions (-- pull-request)."""
    check(session, "python", "-m", "tests.hosted.play", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Lock the dependencies of scripts/ and of the tests with hashes (-- --upgrade for the newest)."""
    options = [
        *("--universal", "--python-version", "3.11", "--generate-hashes", "--no-annotate", "--no-header"),
        *("--no-emit-index-url", "--quiet", *session.posargs),
    ]
    compile_ = (UV, "pip", "compile", *options)
    session.run(*compile_, "--group", "nox", "-o", "requirements-nox.txt")
    session.run(*compile_, "pyproject.toml", "-o", "requirements.txt")
    session.run(
        *compile_, "pyproject.toml", "--group", "dev", "-c", "requirements.txt", "-o", "requirements-dev.txt",
    )  # fmt: skip
    session.run(*compile_, "pyproject.toml", "--group", "perf", "-o", "requirements-perf.txt")  # asks for its own numpy
    for app in sorted(ROOT.glob("apps/*/requirements.in")):
        session.run(*compile_, str(app), "-o", str(app.with_suffix(".txt")))
