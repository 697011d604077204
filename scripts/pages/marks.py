"""What happened along the history of one backend, as marks of its trend: changes, events, dependencies, environments.

Pure. The page lists them, each with its number; static/trend.js draws them into the figure at the run that they name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from scripts import words
from scripts.history import dependencies, fingerprint
from scripts.history import text as changes_text
from scripts.history.changes import Change
from scripts.model import Struct
from scripts.pages.catalog import Catalog, RunCard

KINDS = {
    "worse": "Became worse",
    "better": "Became better",
    "event": "Event",
    "dependency": "Dependencies",
    "environment": "Environment",
}
"""What marks are of, and what they are called; each has a shape of its own (static/chart.js)."""


class Mark(Struct):
    """``run``: the index in `Catalog.cards` of the first run that has it; ``before``: of the last run that has not.

    ``title`` says what happened, ``lines`` more of it; ``link``: path and fragment of the page that says all.
    """

    kind: str
    run: int | None
    title: str
    lines: tuple[str, ...] = ()
    link: tuple[str, str] | None = None
    before: int | None = None


def marks_of(catalog: Catalog, backend: str) -> tuple[Mark, ...]:
    """Every mark of a backend, in the order of the runs; those that no run has (yet) come last."""
    places = {card.id: index for index, card in enumerate(catalog.cards)}
    found = [
        *(_change(change, places) for change in catalog.changes_of(backend)),
        *_events(catalog, backend),
        *_upgrades(catalog, backend, places),
        *_environments(catalog, backend),
    ]
    return tuple(sorted(found, key=lambda mark: (mark.run is None, mark.run or 0)))


def _change(change: Change, places: dict[str, int]) -> Mark:
    lead = change.shown[0]
    effect, interval = changes_text.size(lead)
    size = effect if interval == "certain" else f"{effect} ({interval})"
    accepted = " Accepted." if change.accepted else ""
    return Mark(
        kind="better" if lead.better else "worse",
        run=places.get(change.after.run),
        before=places.get(change.before.run),
        title=f"{changes_text.what(lead)}: {size}, confidence {words.sure(change.confidence)}.{accepted}",
        lines=tuple(changes_text.notes_on(change)),
        link=("changes.html", change.id),
    )


def _events(catalog: Catalog, backend: str) -> Iterator[Mark]:
    """An event stands at the first run of its commit or of one after it, by the line."""
    order = sorted(
        (place, index)
        for index, card in enumerate(catalog.cards)
        if (place := catalog.places.get(card.commit.sha)) is not None and backend in card.labels
    )
    for event in catalog.events:
        if event.backends and backend not in event.backends:
            continue
        place = catalog.places.get(event.commit)
        at = len(order) if place is None else bisect_left(order, (place, -1))
        about = f" ({words.listing(event.metrics)})" if event.metrics else ""
        known = event.commit in catalog.commits
        yield Mark(
            kind="event",
            run=order[at][1] if at < len(order) else None,
            title=f"{event.text}{about}",
            lines=(f"{event.kind}, commit {event.commit[:7]}",),
            link=(f"commit/{event.commit}.html", "") if known else None,
        )


def _upgrades(catalog: Catalog, backend: str, places: dict[str, int]) -> Iterator[Mark]:
    for upgrade in catalog.upgrades:
        packages = [dependencies.describe(change) for change in upgrade.packages if change.backend == backend]
        if packages:
            yield Mark(
                kind="dependency",
                run=places.get(upgrade.run),
                title=words.listing(packages),
                link=(f"run/{upgrade.run}.html", ""),
            )


def _environments(catalog: Catalog, backend: str) -> Iterator[Mark]:
    """Where an environment begins that the backend was not measured in before, and what is new in it."""
    numbers = numbered(catalog)
    seen: set[str] = set()
    last: RunCard | None = None
    for index, card in enumerate(catalog.cards):
        if backend not in card.labels or card.fingerprint in seen:
            continue
        if last is not None:
            new = fingerprint.differences(last.environment, card.environment)
            yield Mark(
                kind="environment",
                run=index,
                title=f"environment {numbers[card.fingerprint]} begins: {card.place}",
                lines=tuple(f"{field}: {old or 'none'} -> {now or 'none'}" for field, (old, now) in new.items()),
                link=(f"run/{card.id}.html", ""),
            )
        seen.add(card.fingerprint)
        last = card


def numbered(catalog: Catalog) -> dict[str, int]:
    """A number for each environment, by its fingerprint, in the order in which the runs have them."""
    return {name: number for number, name in enumerate(catalog.environments, 1)}
