"""Apache Otava's configuration, ``otava.yaml``: which columns of which CSV files are metrics, and what they mean.

Facts from Otava's sources (otava/config.py, otava/test_config.py): ``metrics`` is a list of columns or an object by
name; ``inherit`` names templates, later ones and the test itself win; a ``file`` is found from where Otava is started.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from scripts.exchange.files import decode_text, number, wrong
from scripts.model import Direction

SIGNS = {Direction.HIGHER: 1, Direction.LOWER: -1}
HINT = "give an otava.yaml that Otava reads, or import the CSV file itself, with --better"


class Metric(NamedTuple):
    """``scale``: what the column's numbers are multiplied by."""

    name: str
    column: str
    direction: Direction | None = None
    scale: int | float = 1
    unit: str | None = None


class Test(NamedTuple):
    """One table. What is None or empty is for the table to say."""

    name: str
    file: str
    time_column: str | None = None
    metrics: Sequence[Metric] = ()
    delimiter: str | None = None
    quote: str = '"'


def read(name: str, data: bytes, tables: Sequence[str], warn: Callable[[str], None]) -> list[Test]:
    """The tests of type csv; others are named to ``warn``. Raises PipelineError naming the test and the key."""
    from ruamel.yaml import YAML  # here, since nothing else needs it
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe", pure=True).load(decode_text(name, data, "YAML"))
    except (YAMLError, ValueError, RecursionError) as error:
        raise wrong(name, f"not valid YAML: {' '.join(str(error).split())}", HINT) from error
    document = _object(document, name, "names of sections")
    templates = _object(document.get("templates") or {}, f"{name}: templates", "names of templates")
    found = []
    for test, given in _object(document.get("tests") or {}, f"{name}: tests", "names of tests").items():
        where = f"{name}: tests: {test}"
        settings = _inherited(where, _object(given, where, "settings"), templates)
        if settings.get("type", "csv") != "csv":
            warn(f"{where}: is of type {settings['type']}, which is not in a file: left out")
            continue
        found.append(_test(where, str(test), settings, tables))
    return found


def _inherited(where: str, given: dict[str, Any], templates: Mapping[str, Any]) -> dict[str, Any]:
    names = given.get("inherit") or []
    merged: dict[str, Any] = {}
    for name in names if isinstance(names, list) else [names]:
        if not isinstance(templates.get(name), dict):
            raise wrong(where, f"there is no template {name!r}", HINT)
        merged = _merged(merged, templates[name])
    return _merged(merged, given)


def _merged(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(one[key], other[key])
        for key in one
        if isinstance(one[key], dict) and isinstance(other.get(key), dict)
    }
    return {**one, **other, **both}


def _test(where: str, name: str, settings: dict[str, Any], tables: Sequence[str]) -> Test:
    if not isinstance(settings.get("file"), str):
        raise wrong(where, "expected the name of a CSV file as 'file'", HINT)
    options = _object(settings.get("csv_options") or {}, f"{where}: csv_options", "delimiter and quote_char")
    for key, value in options.items():
        if not isinstance(value, str) or len(value) != 1:
            raise wrong(where, f"csv_options: {key}: expected one character, not {value!r}", HINT)
    return Test(
        name=name,
        file=_table(where, settings["file"], tables),
        time_column=None if settings.get("time_column") is None else str(settings["time_column"]),
        metrics=_metrics(where, settings.get("metrics")),
        delimiter=options.get("delimiter", ","),
        quote=options.get("quote_char", '"'),
    )


def _table(where: str, file: str, tables: Sequence[str]) -> str:
    """The table that a path means, which may begin elsewhere. Raises PipelineError where none or several can be it."""
    path = PurePosixPath(file)
    if str(path) in tables:
        return str(path)
    alike = [table for table in tables if PurePosixPath(table).name == path.name]
    if len(alike) != 1:
        raise wrong(
            where, f"{file}: {'not there' if not alike else f'which of {alike}?'}", "give the folder that has it"
        )
    return alike[0]


def _metrics(where: str, given: Any) -> list[Metric]:
    if isinstance(given, list):
        return [Metric(name=str(name), column=str(name)) for name in given]
    metrics = []
    for name, settings in _object(given, f"{where}: metrics", "a list of columns, or settings by name").items():
        place = f"{where}: metrics: {name}"
        settings = _object(settings or {}, place, "settings")
        scale, sign = number(settings.get("scale", 1)), settings.get("direction", 0)
        if scale is None:
            raise wrong(place, f"scale: expected a number, not {settings['scale']!r}", HINT)
        if str(sign) not in ("-1", "0", "1"):
            raise wrong(place, f"direction: expected 1 or -1, not {sign!r}", HINT)
        metrics.append(
            Metric(
                name=str(name),
                column=str(settings.get("column", name)),
                direction={sign: direction for direction, sign in SIGNS.items()}.get(int(sign)),
                scale=scale,
                unit=None if settings.get("unit") is None else str(settings["unit"]),
            )
        )
    return metrics


def _object(value: Any, where: str, of: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(where, f"expected {of}", HINT)
    return value
