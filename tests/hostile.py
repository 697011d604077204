"""A history as rich as the site can show, by people who mean harm: every text in it tries to be more than text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from scripts import checkout
from scripts.config import ROOT
from scripts.history import store
from scripts.model import PipelineError, Run, Violation
from tests.factories import LABELS, git, make_history

TEXT = (
    "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>\"'&amp;</title></textarea>"
    "{{ 7*7 }}${7*7}\u202e\u2028]]>--><!-- javascript:window.pwned=1"
)
SEEN = "<script>window.pwned=1</script>"
"""What of it a reader sees."""
STEP_AT = 12
START = datetime(2026, 6, 1, tzinfo=UTC)


def runs() -> list[Run]:
    """24 runs of one arm, the last 6 in another environment; then 8 paired runs. Each of a day and commit of its own.

    FastAPI becomes slower at run STEP_AT. The commits are the oldest of this repository, where this clone has them.
    """
    single = make_history(range(24), {("fastapi", STEP_AT): 1.25})
    paired = make_history(range(24, 32), {("fastapi", 28): 1.1}, paired=True, seed=2)
    made = [*single, *paired]
    try:
        shas = [revision.sha for revision in checkout.line("HEAD", LABELS)][: len(made)]
    except PipelineError:
        shas = [run.commit.sha for run in made]
    return [_spoiled(run, sha, day, day >= 18) for day, (run, sha) in enumerate(zip(made, shas, strict=True))]


def _spoiled(run: Run, sha: str, day: int, moved: bool) -> Run:
    replace = msgspec.structs.replace
    started = START + timedelta(days=day)
    first, *rest = run.blocks
    violation = Violation(rule="failed", detail=TEXT, passing=False)
    return replace(
        run,
        id=f"{started:%Y%m%dT%H%M%SZ}-{sha[:7]}-{day:06x}",
        started=started.isoformat(),
        commit=replace(run.commit, sha=sha, subject=f"{day} {TEXT}", branch=TEXT, committed_at=started.isoformat()),
        environment=replace(run.environment, cpu_model=f"{TEXT} {moved}", runner_image=TEXT),
        profile=replace(run.profile, name=TEXT),
        packages={name: {TEXT: f"{day // 10}", "gunicorn": TEXT} for name in run.labels},
        blocks=(replace(first, violations=(violation,)), *rest) if day % 5 == 0 else run.blocks,
        stopped_by=TEXT,
    )


def write(root: Path) -> list[Run]:
    """Record them beneath ``root``, with an event that is pinned to this repository's newest commit."""
    written = runs()
    for run in written:
        store.add(run, root)
    head = git(ROOT, "rev-parse", "HEAD").strip()
    text = msgspec.json.encode(TEXT).decode().replace("\u202e", "\\u202e").replace("\u2028", "\\u2028")
    (root / "events.toml").write_text(
        f'[[events]]\ncommit = "{head}"\nkind = "note"\ntext = {text}\n', encoding="utf-8"
    )
    return written
