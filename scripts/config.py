"""bench.toml into types. An error names the file, the key, what was expected, and the likely fix.

What is measured is the project: a folder with a bench.toml and a docker-compose.yml, this clone unless the variable
BENCH_PROJECT names another one, of any repository. All else (scripts, k6, the cache) is always this clone's.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from scripts.model import (
    METRICS,
    Backend,
    Comparison,
    Config,
    DatabaseSettings,
    Detection,
    Limits,
    PipelineError,
    Profile,
    Struct,
    ValidityBounds,
    Workload,
)

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Path(os.environ.get("BENCH_PROJECT") or ROOT).resolve()
PREFIX = f"BENCH_PROJECT={shlex.quote(str(PROJECT))} " if PROJECT != ROOT else ""
"""What a command that repeats a measurement begins with."""
CONFIG_PATH = PROJECT / "bench.toml"
INHERITED = ("validity", "compare", "detect", "profiles")
"""Sections that a project has from this one's bench.toml where its own has none."""
SECTIONS: Mapping[str, type[Struct]] = {
    "limits": Limits,
    "database": DatabaseSettings,
    "validity": ValidityBounds,
    "compare": Comparison,
    "detect": Detection,
}
TABLES: Mapping[str, type[Struct]] = {"backends": Backend, "profiles": Profile}
KNOWN = ("workload", *SECTIONS, *TABLES)
NAME = re.compile(r"[a-z][a-z0-9_]{0,22}")
NAME_WORDS = "a lower-case letter, then letters, digits and _, 23 at most: it names a database user and an image, too"
PATH = re.compile(r"/[!-~]*")

_S = TypeVar("_S", bound=Struct)
_Named = TypeVar("_Named", Backend, Profile)


def load(path: Path = CONFIG_PATH) -> Config:
    """Read and check a bench.toml; raise `PipelineError` naming the key that is wrong."""
    ours = ROOT / "bench.toml"
    return parse(_read(path), path.name, "" if path == ours else _read(ours))


def parse(text: str, name: str = "bench.toml", inherited: str = "") -> Config:
    """As `load`, from text; ``name`` is the file's name in messages, ``inherited`` a text with what is `INHERITED`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PipelineError(f"{name}: not valid TOML: {error}", "mend that line") from error
    for key in document:
        if key not in KNOWN:
            raise PipelineError(f"{name}: unknown section [{key}]", suggest(key, list(KNOWN)))
    document = {key: value for key, value in tomllib.loads(inherited).items() if key in INHERITED} | document
    sections: dict[str, Any] = {
        key: convert(document.get(key, {}), kind, f"{name}: [{key}]") for key, kind in SECTIONS.items()
    }
    tables: dict[str, Any] = {}
    for key, kind in TABLES.items():
        entries = document.get(key)
        if not isinstance(entries, dict) or not entries:
            raise PipelineError(f"{name}: no [{key}.NAME] section", f"add at least one [{key}.NAME]")
        tables[key] = tuple(
            convert(_named(entry, fields, key, name), kind, f"{name}: [{key}.{entry}]")
            for entry, fields in entries.items()
        )
    work = convert(document["workload"], Workload, f"{name}: [workload]") if "workload" in document else None
    config = Config(workload=work, **sections, **tables)
    _check(config, name)
    return config


def find(items: tuple[_Named, ...], name: str, what: str) -> _Named:
    """The backend or profile called ``name``; an error that lists those there are."""
    for item in items:
        if item.name == name:
            return item
    names = [item.name for item in items]
    raise PipelineError(f"unknown {what} {name!r}", f"{suggest(name, names)}; bench.toml has: {', '.join(names)}")


def convert(value: object, kind: type[_S], where: str) -> _S:
    """A table of TOML as a struct; an error names ``where``, the key, and what the struct takes."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message = str(error)
        hint = f"it takes: {', '.join(kind.__struct_fields__)}"
        if "unknown field" in message:
            hint = suggest(message.split("`")[1], list(kind.__struct_fields__)) + f"; {hint}"
        raise PipelineError(f"{where}: {message.replace(' - at `$.', ': at `')}", hint) from error


def suggest(key: str, known: list[str]) -> str:
    """The hint for a name that is not known."""
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"


def _named(entry: str, fields: object, table: str, file: str) -> object:
    """An entry's table with what its name alone says."""
    if not isinstance(fields, dict):
        return fields
    if "name" in fields:
        raise PipelineError(
            f"{file}: [{table}.{entry}]: unknown field `name`", f"{entry!r} is its name; rename the section"
        )
    return {"name": entry} | ({"folder": f"apps/{entry}"} if table == "backends" else {}) | fields


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError as error:
        raise PipelineError(
            f"{path}: cannot be read: {error.strerror}",
            "run from a clone of the project; BENCH_PROJECT names the folder of another one",
        ) from error


def _check(config: Config, name: str) -> None:
    """What the types cannot say."""

    def need(condition: bool, where: str, message: str) -> None:
        if not condition:
            raise PipelineError(f"{name}: {where}: {message}", "mend that key")

    if (work := config.workload) is not None:
        for field in work.__struct_fields__:
            need(getattr(work, field) >= 0, f"[workload] {field}", "must not be negative")
        need(work.rows_inserted >= 1, "[workload] rows_inserted", "must be at least 1")
        need(work.rows_updated <= work.rows_inserted, "[workload] rows_updated", "more than rows_inserted")
        need(work.rows_deleted <= work.rows_inserted, "[workload] rows_deleted", "more than rows_inserted")
    need(config.limits.cpus > 0, "[limits] cpus", "must be above 0")
    need(config.limits.memory_mb >= 64, "[limits] memory_mb", "must be at least 64")
    compare = config.compare
    need(0 < compare.false_alarms < 1, "[compare] false_alarms", "must be a probability, such as 0.01")
    need(compare.first_look >= 2, "[compare] first_look", "must be at least 2: one round shows no spread")
    need(compare.look_every >= 1, "[compare] look_every", "must be at least 1")
    need(bool(compare.metrics), "[compare.metrics]", "must name at least one metric")
    for metric, terms in compare.metrics.items():
        where = f"[compare.metrics.{metric}]"
        need(metric in METRICS, where, f"no such metric; there are: {', '.join(METRICS)}")
        need(terms.share > 0, f"{where} share", "must be above 0")
        need(terms.matters > 0, f"{where} matters", "must be above 0, such as 0.02")
    detect = config.detect
    need(0 < detect.false_alarms < 1, "[detect] false_alarms", "must be a probability, such as 0.01")
    need(bool(detect.worth_reporting), "[detect.worth_reporting]", "must name at least one metric")
    for metric, effect in detect.worth_reporting.items():
        where = f"[detect.worth_reporting] {metric}"
        need(metric in METRICS, where, f"no such metric; there are: {', '.join(METRICS)}")
        need(effect > 0, where, "must be above 0, such as 0.03")
    for backend in config.backends:
        where = f"[backends.{backend.name}]"
        need(NAME.fullmatch(backend.name) is not None, where, f"its name must be {NAME_WORDS}")
        need(bool(backend.label.strip()), f"{where} label", "must say something")
        need(bool(backend.folder), f"{where} folder", 'must name a folder as seen from here ("." is this one)')
        for key in ("endpoint", "health", "reset", "lists"):
            value = getattr(backend, key)
            for path in (value,) if isinstance(value, str) else value:
                message = f"{path!r} is no path of a URL, which begins with a slash and has no spaces, e.g. /health"
                need(PATH.fullmatch(path) is not None, f"{where} {key}", message)
    ports = [backend.port for backend in config.backends]
    need(len(set(ports)) == len(ports), "[backends]", "two backends have the same port")
    for profile in config.profiles:
        where = f"[profiles.{profile.name}]"
        need(bool(profile.levels) and min(profile.levels) >= 1, f"{where} levels", "must be numbers of at least 1")
        need(len(set(profile.levels)) == len(profile.levels), f"{where} levels", "names a level twice")
        need(profile.rounds >= 1, f"{where} rounds", "must be at least 1")
        need(profile.duration_s >= 1, f"{where} duration_s", "must be at least 1")
        need(profile.warmup_s >= 1, f"{where} warmup_s", "must be at least 1")
        need(profile.pairs >= 1, f"{where} pairs", "must be at least 1")
        need(profile.attempts >= 1, f"{where} attempts", "must be at least 1")
        need(profile.patience_s >= 0, f"{where} patience_s", "must not be negative")
        need(profile.gap_s >= 0, f"{where} gap_s", "must not be negative")
