"""bench.toml into types. An error names the file, the key, what was expected, and the likely fix.

What is measured is the project: a folder with a bench.toml and a docker-compose.yml, this clone unless the variable
BENCH_PROJECT names another one, of any repository. All else (scripts, k6, the cache) is always this clone's.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from scripts.bounds import (
    LABEL_LENGTH,
    Cpus,
    Port,
    Probability,
    Share,
    Times,
)
from scripts.escape import plain
from scripts.model import METRICS, Layout, Limits, PipelineError, Profile, Struct, Workflows, Workload


class DatabaseSettings(Struct):
    """Which database server, and how safe its commits are."""

    engine: Literal["mysql", "mariadb"] = "mysql"
    durability: Literal["memory", "disk"] = "memory"
    isolation: Literal["READ-COMMITTED", "REPEATABLE-READ"] = "READ-COMMITTED"
    max_connections: Annotated[int, Meta(ge=1, le=100_000)] = 400


class ValidityBounds(Struct):
    """Outside these a block does not count (README, "When a number does not count")."""

    generator_cpus: Cpus
    shared_cpus: Share
    foreign_cpus: Cpus
    steal_cpus: Cpus
    concurrency_tolerance: Share
    clock_tolerance: Share = 0.001


class Backend(Struct):
    """A service under test. ``name`` is its key in bench.toml, and its service in docker-compose.yml.

    ``folder``: where it is built from, as seen from bench.toml (there by default ``apps/<name>``); ``schema``: the SQL
    that fills its database, as seen from that folder (empty: the service does it when it starts). ``endpoint`` is the
    one that is loaded, ``lists`` are those that give every row of a table. ``packages``: of Python, to be recorded.
    """

    name: str
    label: str
    folder: str
    port: Port
    endpoint: str
    health: str
    reset: str
    method: Literal["GET", "POST"] = "POST"
    lists: tuple[str, ...] = ()
    schema: str = "../schema.sql"
    packages: tuple[str, ...] = ()


class MetricTerms(Struct):
    """How a metric takes part in a comparison.

    ``share``: of the session's false alarms. ``matters``: the relative effect below which a difference is called no
    change. ``decides``: whether a session goes on until this metric is clear.
    """

    share: float
    matters: float
    decides: bool = False


class Comparison(Struct):
    """How two versions are compared: ``false_alarms`` is the probability that a session without any change says one.

    A session is looked at after ``first_look`` rounds and then after every ``look_every``.
    """

    layout: Layout
    false_alarms: Probability
    first_look: Annotated[int, Meta(ge=2, le=10_000)]
    look_every: Times
    metrics: dict[str, MetricTerms]


class Detection(Struct):
    """How changes are found over the history.

    ``false_alarms``: the probability that 100 runs in one environment without any change show one, over everything that
    is looked at. ``worth_reporting``: the relative effect from which a change of a metric is, by name; these are
    the metrics that are looked at.
    """

    false_alarms: Probability
    worth_reporting: dict[str, float]


class Config(Struct):
    """All of bench.toml. ``workload``: None where the backends do work of their own (docs/elsewhere.md)."""

    workload: Workload | None
    limits: Limits
    database: DatabaseSettings
    validity: ValidityBounds
    compare: Comparison
    detect: Detection
    workflows: Workflows
    backends: tuple[Backend, ...]
    profiles: tuple[Profile, ...]

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that tell every backend its work; none where that is its own."""
        return self.workload.environment if self.workload else {}


ROOT = Path(__file__).resolve().parent.parent
PROJECT = Path(os.environ.get("BENCH_PROJECT") or ROOT).resolve()
NOT_DATED = "commits are dated to backends under apps/ of this project; `nox -s compare` tells two versions apart there"
"""Why a step that looks at many commits is refused elsewhere, and what to do instead."""
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
    "workflows": Workflows,
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
    document = parse_toml(text, name)
    for key in document:
        if key not in KNOWN:
            raise PipelineError(f"{name}: unknown section [{key}]", suggest(key, list(KNOWN)))
    document = {key: value for key, value in parse_toml(inherited, "bench.toml").items() if key in INHERITED} | document
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


def parse_workflows(text: str, name: str) -> Workflows:
    """The section [workflows] alone of a bench.toml, whose other sections may be those of another version."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PipelineError(f"{name}: not valid TOML: {error}", "mend that line") from error
    return convert(document.get("workflows", {}), Workflows, f"{name}: [workflows]")


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
        message = _words(str(error))
        hint = f"it takes: {', '.join(kind.__struct_fields__)}"
        if "unknown field" in message:
            hint = suggest(message.split("`")[1], list(kind.__struct_fields__)) + f"; {hint}"
        raise PipelineError(f"{where}: {message}", hint) from error


def _words(message: str) -> str:
    """What msgspec says, without its own words for a place and a pattern."""
    said = message.replace(" - at `$.", ": at `")
    return re.sub(r"Expected `str` matching regex .*(?=: at )", "Expected another form of text", said)


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


def refuse_elsewhere(what: str, hint: str) -> None:
    """Raises PipelineError where another project is measured: for what holds for this one's backends alone."""
    if PROJECT != ROOT:
        raise PipelineError(f"{what} does not work for other projects yet (BENCH_PROJECT={PROJECT})", hint)


def history_folder(given: Path | None) -> Path:
    """The folder of the history that is written to: the one that is ``given``, or this project's own.

    Raises PipelineError where another project is measured and none is given: a folder ``history`` there is not ours.
    """
    if given is None:
        refuse_elsewhere("a history", "name a folder for it: --history FOLDER")
    return given or PROJECT / "history"


def read_text(path: Path, hint: str) -> str:
    """A text file of UTF-8. Raises PipelineError naming the file, and the line that is none; ``hint``: what to do where
    the file cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PipelineError(f"{path}: cannot be read: {error.strerror}", hint) from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PipelineError(
            f"{path}: not UTF-8: byte 0x{data[error.start]:02x} in line {line}", "save the file as UTF-8"
        ) from error


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """TOML as a dictionary; ``name`` is what an error calls the file."""
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise PipelineError(f"{name}: not valid TOML: nested too deeply", "mend that") from error
    except ValueError as error:  # a number of too many digits, too
        raise PipelineError(f"{name}: not valid TOML: {error}", "mend that line") from error


def _read(path: Path) -> str:
    return read_text(path, "run from a clone of the project; BENCH_PROJECT names the folder of another one")


def _check(config: Config, name: str) -> None:
    """What the types cannot say."""

    def need(condition: bool, where: str, message: str) -> None:
        if not condition:
            raise PipelineError(f"{name}: {where}: {message}", "mend that key")

    if (work := config.workload) is not None:
        need(work.rows_updated <= work.rows_inserted, "[workload] rows_updated", "more than rows_inserted")
        need(work.rows_deleted <= work.rows_inserted, "[workload] rows_deleted", "more than rows_inserted")
    compare = config.compare
    need(bool(compare.metrics), "[compare.metrics]", "must name at least one metric")
    for metric, terms in compare.metrics.items():  # whose keys msgspec does not name
        where = f"[compare.metrics.{metric}]"
        need(metric in METRICS, where, f"no such metric; there are: {', '.join(METRICS)}")
        need(0 < terms.share <= 1, f"{where} share", "must be above 0, and at most 1")
        need(0 < terms.matters <= 1, f"{where} matters", "must be above 0, such as 0.02, and at most 1")
    shares = math.fsum(terms.share for terms in compare.metrics.values())
    need(shares <= 1 + 1e-9, "[compare.metrics]", f"the shares add up to {shares:g}, of 1 that there is")
    detect = config.detect
    need(bool(detect.worth_reporting), "[detect.worth_reporting]", "must name at least one metric")
    for metric, effect in detect.worth_reporting.items():
        where = f"[detect.worth_reporting] {metric}"
        need(metric in METRICS, where, f"no such metric; there are: {', '.join(METRICS)}")
        need(0 < effect <= 1, where, "must be above 0, such as 0.03, and at most 1")
    for backend in config.backends:
        where = f"[backends.{backend.name}]"
        need(NAME.fullmatch(backend.name) is not None, where, f"its name must be {NAME_WORDS}")
        fits = backend.label == plain(backend.label, LABEL_LENGTH) != ""
        need(fits, f"{where} label", f"must be one line of 1 to {LABEL_LENGTH} characters")
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
        need(len(set(profile.levels)) == len(profile.levels), f"{where} levels", "names a level twice")
