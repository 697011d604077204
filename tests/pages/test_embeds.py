"""Charts for other sites: one of each kind for every backend and metric, each complete in itself."""

from __future__ import annotations

from xml.etree import ElementTree

import msgspec

from scripts.model import METRICS
from scripts.pages import embeds
from tests.catalogs import SHELL, make_catalog
from tests.documents import check
from tests.factories import make_history


def test_every_metric_has_both() -> None:
    runs = [
        msgspec.structs.replace(run, started=f"2026-11-2{day}T12:00:00Z")
        for day, run in enumerate(make_history(range(5), {}))
    ]
    found = embeds.files(make_catalog(runs), "fastapi", SHELL)
    assert set(found) == {embeds.path("fastapi", m, kind) for m in METRICS for kind in ("svg", "html")}
    page = check(found["embed/fastapi-throughput_rps.html"])
    assert "trend/fastapi.html" in page.targets("embed/fastapi-throughput_rps.html")
    svg = ElementTree.fromstring(found["embed/fastapi-throughput_rps.svg"])
    assert len([node for node in svg.iter() if node.get("class") == "dot"]) >= 5
    assert not [node for node in svg.iter() if node.tag.endswith("script")]


def test_what_was_never_measured_is_said() -> None:
    found = embeds.files(make_catalog(make_history(range(3), {}, backends=("fastapi",))), "django_wsgi", SHELL)
    assert "nothing valid to show" in found["embed/django_wsgi-latency_p95_ms.svg"]
