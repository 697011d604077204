"""Charts for other sites: for each backend and metric an SVG file, and a page to put into an iframe. Pure."""

from __future__ import annotations

from scripts.model import METRICS
from scripts.pages import trend
from scripts.pages.catalog import Catalog
from scripts.pages.shell import Page, Shell

NEWEST = 100
"""Runs that an embedded chart shows."""


def path(backend: str, metric: str, suffix: str) -> str:
    """``embed/fastapi-throughput_rps.svg``"""
    return f"embed/{backend}-{metric}.{suffix}"


def files(catalog: Catalog, backend: str, shell: Shell) -> dict[str, str]:
    """The content of every file of a backend, by path, for each metric, whether it has been measured or not."""
    from scripts.report import charts

    found, runs = {}, trend.placed(catalog, backend, NEWEST)
    for metric in METRICS.values():
        title = f"{catalog.labels[backend]}: {metric.label}"
        picture = trend.picture(catalog, backend, metric, runs, title=title)
        page = Page(path=path(backend, metric.name, "html"), title=picture.title)
        found[path(backend, metric.name, "svg")] = charts.standalone(picture.svg)
        found[page.path] = shell.render("embed.html", page, picture=picture, backend=backend, metric=metric.name)
    return found
