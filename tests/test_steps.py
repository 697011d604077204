"""Steps, modules, nox sessions and documents hold together."""

from __future__ import annotations

import ast
import re
import subprocess
import sys

import pytest

from scripts.__main__ import STEPS, main, module_of
from scripts.config import ROOT, load

NOX = ast.parse((ROOT / "noxfile.py").read_text())
SESSIONS = {
    node.name.removesuffix("_")  # import_ is the session "import"
    for node in NOX.body
    if isinstance(node, ast.FunctionDef) and any("session" in ast.unparse(d) for d in node.decorator_list)
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_a_module_a_session_and_explains_itself(step: str) -> None:
    assert step in SESSIONS
    module = ast.parse((ROOT / "scripts" / "steps" / f"{module_of(step)}.py").read_text())
    assert any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in module.body)
    shown = subprocess.run(
        [sys.executable, "-m", "scripts", step, "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"usage: nox -s {step} --" in shown.stdout


def test_the_steps_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert list(re.findall(r"^  (\w+) ", capsys.readouterr().out, re.MULTILINE)) == list(STEPS)


def test_an_unknown_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bnech"]) == 2
    assert "unknown step 'bnech'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "CONTRIBUTING.md",
        "apps/README.md",
        "docs/github.md",
        "docs/elsewhere.md",
        "examples/shop/README.md",
    ],
)
def test_documents_name_what_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    for session in re.findall(r"(?:nox|start_benchmark\.sh) -s (\w+)", text):
        assert session in SESSIONS, f"{name}: nox session {session}"
    profiles = {profile.name for profile in load().profiles}
    for profile in re.findall(r"-s bench -- (\w+)", text):
        assert profile in profiles, f"{name}: profile {profile}"
    for path in re.findall(r"`((?:scripts|apps|tests|history|k6|site|docs)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), f"{name}: {path}"
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert (ROOT / name).parent.joinpath(target).exists(), f"{name}: link to {target}"
