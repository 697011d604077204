"""The published data: what is read by scripts of the pages, and by whoever wants the numbers. Pure.

A page opened from a folder may not fetch, but may run scripts: each ``data/X.json`` lies beside ``data/X.js``, which
calls ``benchData("X", <the same JSON>)``; of series there is the script alone, as the tables hold the same numbers.
All have five significant digits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from scripts.model import METRICS, Direction, ParitySummary, Run
from scripts.pages import gaps
from scripts.pages.cards import measured
from scripts.pages.catalog import COLUMNS, METRIC_NAMES, Catalog, RunCard

SCHEMA_VERSION = 1
DIGITS = 5
SHORT = 7
"""Digits of a hash that name a commit to people."""

Array = np.ndarray[Any, np.dtype[Any]]
Files = dict[str, bytes]
"""Content by path in the site."""


def rounded(numbers: Array) -> Array:
    """Numbers of any shape with `DIGITS` significant digits, as 64-bit floats; NaN stays, and zero."""
    values = np.asarray(numbers, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(values)))
    digits = np.where(np.isfinite(magnitude), DIGITS - 1 - magnitude, 0.0)
    # Dividing by a power of ten above one is exact to the last bit, multiplying by one below is not.
    up, down = 10.0 ** np.maximum(digits, 0), 10.0 ** np.maximum(-digits, 0)
    return np.asarray(np.rint(values * up / down) * down / up)


def both(name: str, document: object) -> Files:
    """``data/<name>.json`` and its script."""
    text = msgspec.json.encode(document)  # NaN becomes null
    return {f"data/{name}.json": text + b"\n", f"data/{name}.js": _call(name, text)}


def script(name: str, document: object) -> tuple[str, bytes]:
    """The script alone: of what nobody but the pages reads in this form."""
    return f"data/{name}.js", _call(name, msgspec.json.encode(document))


def _call(name: str, text: bytes) -> bytes:
    return b"benchData(%b, %b);\n" % (msgspec.json.encode(name), text)


def index(catalog: Catalog, site: Mapping[str, str], shards: Iterable[str]) -> Files:
    """What there is, and where; ``site``: title, repository and head; ``shards``: those of `commits`."""
    return both(
        "index",
        {
            "schema_version": SCHEMA_VERSION,
            "site": dict(site),
            "backends": [{"name": name, "label": label} for name, label in catalog.labels.items()],
            "metrics": [
                {
                    "name": metric.name,
                    "label": metric.label,
                    "unit": metric.unit,
                    "better": "higher" if metric.direction is Direction.HIGHER else "lower",
                    "matters": terms.matters if (terms := catalog.config.compare.metrics.get(metric.name)) else 0,
                }
                for metric in METRICS.values()
            ],
            "levels": catalog.levels,
            "false_alarms": catalog.config.compare.false_alarms,
            "runs": len(catalog.cards),
            "newest": catalog.newest.id if catalog.newest else None,
            "anchor": catalog.anchor,
            "paths": {
                "runs": "runs.json",
                "runs_detail": "runs-detail.json",
                "subjects": "runs-subjects.json",
                "commits_in_order": "runs-commits.json",
                "run": "runs/<run id>.json",
                "commits": [f"commits/{shard}.json" for shard in shards],
                "series": "series/<backend>/<metric>/<level or all>.js",
                "ratios": "series/<backend>/<metric>/ratio-<level or all>.js",
                "reach": "series/<backend>/reach.js",
                "changes": "changes.json",
                "spread": "spread.json",
                "csv": [f"runs-{year}.csv.gz" for year in catalog.years],
                "parquet": [f"runs-{year}.parquet" for year in catalog.years],
            },
        },
    )


def runs(catalog: Catalog) -> Files:
    """Columns over all runs, oldest first: what a chart needs at once, and what it needs when somebody points at it."""
    cards = catalog.cards
    fingerprints = {name: place for place, name in enumerate(catalog.environments)}
    baselines = _numbered(card.baseline.sha for card in cards if card.baseline)
    scopes = _numbered(card.levels for card in cards)
    profiles = _numbered(card.profile for card in cards)
    columns = {
        "started": [card.time for card in cards],
        "committed": [card.committed for card in cards],
        "order": [catalog.order[card.commit.sha] for card in cards],
        "environment": [fingerprints[card.fingerprint] for card in cards],
        "baseline": [baselines[card.baseline.sha] if card.baseline else -1 for card in cards],
        "scope": [scopes[card.levels] for card in cards],
        "profile": [profiles[card.profile] for card in cards],
        "disturbed": [card.disturbed for card in cards],
        "environments": [
            {"fingerprint": name, "text": card.place, "fields": card.environment}
            for name, card in catalog.environments.items()
        ],
        "baselines": list(baselines),
        "scopes": list(scopes),
        "profiles": list(profiles),
    }
    detail = {"id": [card.id for card in cards], "commit": [card.commit.sha for card in cards]}
    subjects = [card.commit.subject for card in cards]
    names = [sha[:SHORT] for sha in catalog.order]
    return (
        both("runs", columns)
        | both("runs-commits", names)
        | both("runs-detail", detail)
        | both("runs-subjects", subjects)
    )


def commits(catalog: Catalog) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By the first two digits of the hash, each commit's runs, newest first; none of what only was a baseline.

    So a comparison of two commits finds their runs without a list of all.
    """
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    baselines = (card.baseline.sha for card in catalog.cards if card.baseline)
    for sha in sorted({*catalog.by_commit, *baselines} - {""}):
        found.setdefault(sha[:2], {})[sha] = [
            {
                "id": card.id,
                "baseline": card.baseline.sha if card.baseline else None,
                "environment": card.fingerprint,
                "levels": card.levels,
            }
            for card in reversed(catalog.by_commit.get(sha, ()))
        ]
    return found


def _numbered(values: Iterable[Any]) -> dict[Any, int]:
    return {value: place for place, value in enumerate(dict.fromkeys(values))}


def series(catalog: Catalog, backend: str) -> Iterator[tuple[str, bytes]]:
    """All series of a backend: each metric at each level and over all, absolute and, with paired runs, as ratios.

    Columns: ``run`` (place in ``runs.json``) and ``value``; of a ratio ``low`` and ``high`` too, null without interval.
    """
    return (script(name, columns) for name, columns in _series(catalog, backend, 0))


def longer_series(
    catalog: Catalog, backend: str, known: int, old: Callable[[str], bytes]
) -> Iterator[tuple[str, bytes]]:
    """The same, of the ``old`` files by their paths, which have so many ``known`` runs of those in the catalog.

    Where one of them is damaged, all are made anew.
    """
    for name, columns in _series(catalog, backend, known):
        path, empty = script(name, dict.fromkeys(columns, ()))
        begins, parts = empty.split(b"]"), old(path).split(b"]")  # one after each column, and no others
        if len(parts) != len(begins) or not all(map(bytes.startswith, parts, begins)) or parts[-1] != begins[-1]:
            yield from series(catalog, backend)
            return
        for place, values in enumerate(columns.values()):
            comma = b"" if not values or parts[place].endswith(b"[") else b","
            parts[place] += comma + msgspec.json.encode(values)[1:-1]
        yield path, b"]".join(parts)


def _series(catalog: Catalog, backend: str, first: int) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Names and columns, beginning with a run."""
    table = numbers_of(catalog.cards[first:], backend, catalog.levels)
    paired = any(card.baseline for card in catalog.cards)
    for m, metric in enumerate(METRIC_NAMES):
        for s, scope in enumerate(("all", *catalog.levels)):
            columns = table[:, s, m]
            name = f"series/{backend}/{metric}/"
            yield f"{name}{scope}", _columns(columns, first, {"value": 0})
            if paired:
                yield f"{name}ratio-{scope}", _columns(columns, first, {"value": 2, "low": 3, "high": 4})


def _columns(table: Array, first: int, wanted: Mapping[str, int]) -> dict[str, list[Any]]:
    """The runs that have the first of the wanted columns, with all of them."""
    (runs_,) = np.nonzero(np.isfinite(table[:, next(iter(wanted.values()))]))
    chosen = rounded(table[runs_][:, [*wanted.values()]])
    return {"run": (first + runs_).tolist()} | {name: chosen[:, place].tolist() for place, name in enumerate(wanted)}


def reach(catalog: Catalog, backend: str) -> tuple[str, bytes]:
    """What tells whether a line may join two commits, of each commit in the order of ``runs.json``: how many that can
    change the backend lie before it (as differences), and whether it is one.
    """
    steps = gaps.steps(catalog, backend)
    before = [count for count, _ in steps]
    return script(
        f"series/{backend}/reach",
        {"before": np.diff(before, prepend=0).tolist() if before else [], "own": [int(own) for _, own in steps]},
    )


def numbers_of(cards: Sequence[RunCard], backend: str, levels: Sequence[int]) -> Array:
    """The numbers of one backend: shape (runs, 1 + levels, metrics, `COLUMNS`), 32-bit, NaN where there is none."""
    table = np.full((len(cards), 1 + len(levels), len(METRIC_NAMES), len(COLUMNS)), np.nan, dtype=np.float32)
    alike: dict[tuple[Any, ...], list[int]] = {}
    for place, card in enumerate(cards):
        if backend in card.labels:
            key = (card.backends.index(backend), len(card.backends), card.levels, card.columns)
            alike.setdefault(key, []).append(place)
    for (position, backends, own, columns), places in alike.items():
        shape = (len(places), 1 + len(own), len(METRIC_NAMES), columns)
        size = len(cards[places[0]].numbers) // backends
        parts = (cards[place].numbers[position * size : (position + 1) * size] for place in places)
        stacked = np.frombuffer(b"".join(parts), dtype="<f4").reshape(shape)
        scopes = [0, *(1 + levels.index(level) for level in own)]
        table[np.ix_(places, scopes, range(len(METRIC_NAMES)), range(columns))] = stacked
    return table


def run(record: Run, card: RunCard) -> Files:
    """Everything of one run that a reader or a comparison needs, its parity and its blocks as columns.

    ``reasons``: why blocks are invalid, by their place in the columns; ``disturbed``: who took CPU while they were
    measured; ``counts``: whether figures are made of them. ``load_s``: under load; ``wall_s``: metered.
    """
    names = record.backends
    counting = {id(block) for block in record.counting}
    known = [block for block in record.blocks if block.backend in record.labels]
    numbers = rounded(np.array([measured(block) for block in known], dtype=np.float64).reshape(-1, len(METRIC_NAMES)))
    numbers[[not block.valid for block in known]] = np.nan
    document = {
        "schema_version": SCHEMA_VERSION,
        "id": record.id,
        "started": record.started,
        "commit": record.commit,
        "baseline": record.baseline,
        "layout": record.layout,
        "profile": record.profile,
        "scenario": record.scenario,
        "seed": record.seed,
        "environment": record.environment,
        "fingerprint": card.fingerprint,
        "place": card.place,
        "workload": record.workload,
        "limits": record.limits,
        "limited": record.limited,
        "labels": record.labels,
        "backends": names,
        "packages": record.packages,
        "parity": {
            field: [getattr(entry, field) for entry in record.parity] for field in ParitySummary.__struct_fields__
        },
        "complete": record.complete,
        "stopped_by": record.stopped_by,
        "wall_s": round(record.wall_s, 1),
        "load_s": round(record.load_s, 1),
        "waited_s": round(record.waited_s, 1),
        "blocks": {
            "index": [block.index for block in known],
            "round": [block.round for block in known],
            "backend": [names.index(block.backend) for block in known],
            "level": [block.level for block in known],
            "arm": [int(block.arm == "baseline") for block in known],
            "attempt": [block.attempt for block in known],
            "valid": [int(block.valid) for block in known],
            "counts": [int(id(block) in counting) for block in known],
            "requests": [block.load.requests for block in known],
            "failed": [block.load.failed for block in known],
            "load_s": rounded(np.array([block.load.load_s for block in known])).tolist(),
            "wall_s": rounded(np.array([block.resources.wall_s for block in known])).tolist(),
            **{name: numbers[:, place].tolist() for place, name in enumerate(METRIC_NAMES)},
        },
        "reasons": {
            place: [f"{violation.rule}: {violation.detail}" for violation in block.violations]
            for place, block in enumerate(known)
            if block.violations
        },
        "disturbed": {
            place: [f"{disturbance.rule}: {disturbance.detail}" for disturbance in block.disturbances]
            for place, block in enumerate(known)
            if block.valid and block.disturbances
        },
    }
    return both(f"runs/{record.id}", document)
