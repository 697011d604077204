"""Which format files are in, by what is in them: pure."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from typing import Any

from scripts.exchange import asv, bencher, github_action, harnesses, k6_summary, otava, tables
from scripts.exchange.files import Files
from scripts.model import PipelineError


def recognise(files: Files) -> str:
    """The name of the format. Raises PipelineError where none fits, naming the first file."""
    names = {PurePosixPath(name).name for name in files}
    if otava.CONFIGURATION in names:
        return otava.OTAVA
    if "benchmarks.json" in names and len(files) > 1:
        return asv.ASV
    found = [form for name, data in files.items() if (form := _of_file(name, data))]
    if not found:
        first = min(files, default="it")
        raise PipelineError(f"{first}: in no format that is known by its content", "say which: import FORMAT FILE")
    if len(set(found)) > 1:
        raise PipelineError(f"files of several formats: {', '.join(sorted(set(found)))}", "import them one by one")
    return found[0]


def _of_file(name: str, data: bytes) -> str | None:
    if data.startswith(b"PAR1"):
        return tables.PARQUET
    text = data.decode("utf-8-sig", errors="replace").strip()
    if text.startswith(github_action.PREFIX):
        return github_action.STORE
    if text.startswith(("{", "[")):
        return _of_json(text)
    header = text.partition("\n")[0]
    columns = {cell.strip().strip('"') for cell in header.split(",")}
    if {"suite", "benchmark", "value"} <= columns:
        return tables.CSV
    if {"Type", "Name", "Request Count"} <= columns:
        return harnesses.LOCUST
    return otava.OTAVA if name.lower().endswith((".csv", ".tsv")) else None


def _of_json(text: str) -> str | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(document, list):
        if _all(document, "benchmark", "primaryMetric"):
            return harnesses.JMH
        return github_action.INPUT if _all(document, "name", "value") else None
    if isinstance(document.get("entries"), dict):
        return github_action.STORE
    if {"commit_hash", "results"} <= document.keys():
        return asv.ASV
    if _all(document.get("benchmarks"), "name", "stats"):
        return harnesses.PYTEST
    if _all(document.get("results"), "command", "mean"):
        return harnesses.HYPERFINE
    if k6_summary.matches(document):
        return k6_summary.K6
    measured = document and all(isinstance(given, dict | list) and given for given in document.values())
    return bencher.BENCHER if measured else None


def _all(listed: Any, *keys: str) -> bool:
    """Whether it is a list of objects, at least one, that have these keys."""
    return (
        isinstance(listed, list) and bool(listed) and all(isinstance(o, dict) and {*keys} <= o.keys() for o in listed)
    )
