"""Figures: the same bytes for the same input, nothing remote, gaps for what is invalid, visible text in PNG."""

import io
import math
import os
import re
import struct
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

import pytest
import resvg_py
from hypothesis import given
from hypothesis import strategies as st

from scripts.report.charts import (
    COLOURS,
    NAMED,
    STYLE,
    Figure,
    draw,
    marker,
    standalone,
    ticks_between,
    to_png,
    y_ticks,
)
from scripts.report.study import study_figures
from scripts.report.summary import summarize
from tests.factories import make_run

GOLDEN = Path(__file__).parent.parent / "data" / "throughput_vs_concurrency.svg"
SVG = "{http://www.w3.org/2000/svg}"


def figure(**series: Mapping[int, float | None]) -> Figure:
    return Figure(title="Throughput", unit="requests/s", x_title="concurrent users", series=series)


def nodes(svg: str, name: str) -> list[ElementTree.Element]:
    """Elements of the plotted series (not of the legend) with this class."""
    root = ElementTree.fromstring(svg)
    series = [group for group in root.iter(f"{SVG}g") if group.get("class", "").startswith("series")]
    return [node for group in series for node in group.iter() if name in node.get("class", "").split()]


def test_golden_figure() -> None:
    """UPDATE_GOLDEN=1 writes the file anew; look at it before you commit it."""
    run = make_run(invalid=[("django_wsgi", 20, 0), ("django_asgi", 30, 0), ("django_asgi", 30, 1)])
    svg = standalone(draw(study_figures(run, summarize(run))["throughput_vs_concurrency"]))
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(svg, encoding="utf-8")
    assert svg == GOLDEN.read_text(encoding="utf-8")


def test_same_input_same_bytes() -> None:
    drawn = figure(a={10: 1.0, 20: 2.0}, b={10: 3.0, 20: None})
    assert standalone(draw(drawn)) == standalone(draw(drawn))
    assert to_png(standalone(draw(drawn))) == to_png(standalone(draw(drawn)))


def test_nothing_remote_and_no_script() -> None:
    svg = standalone(draw(figure(a={10: 1.0}))).replace("http://www.w3.org/2000/svg", "")
    svg = svg.replace("http://www.w3.org/1999/xlink", "")
    for word in ("http", "//", "<script", "href", "@import", "url(", "<!--", "style="):
        assert word not in svg.replace("/*", "").replace("*/", ""), word


def test_an_invalid_point_is_a_gap() -> None:
    svg = draw(figure(a={10: 5.0, 20: 6.0, 30: None, 40: 7.0, 50: 8.0}))
    assert len(nodes(svg, "dot")) == 4
    assert len(nodes(svg, "line")) == 2
    assert "30: " not in svg


def test_a_series_without_a_valid_point_keeps_its_place_in_the_legend() -> None:
    svg = draw(figure(a={10: None, 20: None}, b={10: 1.0, 20: 2.0}))
    assert len(nodes(svg, "dot")) == 2
    assert all("M" in node.get("d", "") for node in nodes(svg, "dot"))
    assert ">a</text>" in svg
    assert 'class="series color-1 dash-1"' in svg


@pytest.mark.parametrize("series", [{}, {"a": {}}, {"a": {10: None}}, {"a": {10: 0.0, 20: 0.0}}, {"a": {10: 5.0}}])
def test_little_or_no_data_still_draws(series: dict[str, dict[int, float | None]]) -> None:
    svg = standalone(draw(figure(**series)))
    ElementTree.fromstring(svg)
    assert to_png(svg).startswith(b"\x89PNG")


def test_points_tell_their_value_and_the_axis_starts_at_zero() -> None:
    svg = draw(figure(a={10: 45.25, 100: 44.0}))
    assert "a, 10: 45.25 requests/s" in svg
    assert ">0</text>" in svg
    assert ">100</text>" in svg
    assert "Throughput (requests/s)" in svg


def test_series_differ_by_shape_and_dash_not_only_by_colour() -> None:
    shapes = {marker(index, 0, 0) for index in range(5)}
    assert len(shapes) == 5
    svg = standalone(draw(figure(a={1: 1.0})))
    dashes = re.findall(r"\.dash-\d \{ stroke-dasharray: ([\d ]+);", svg)
    assert len(dashes) == len(set(dashes)) == COLOURS - 1  # the first line is whole


def test_more_series_than_colours() -> None:
    svg = draw(figure(**{f"s{index}": {1: float(index + 1), 2: 3.0} for index in range(COLOURS + 2)}))
    assert svg.count(">s8</text>") == 1


@given(st.text(), st.text())
def test_any_text_gives_well_formed_svg(label: str, title: str) -> None:
    drawn = Figure(title=title, unit="ms", x_title="users", series={label: {10: 1.0}})
    root = ElementTree.fromstring(standalone(draw(drawn)))
    assert not list(root.iter(f"{SVG}script"))


def test_hostile_label_is_text() -> None:
    svg = draw(figure(**{"</text><script>alert(1)</script>": {10: 1.0}}))
    assert "<script" not in svg


def test_png_shows_text_on_a_machine_without_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    svg = standalone(draw(figure(a={10: 1.0, 20: 2.0})))
    with_fonts = to_png(svg)
    bare = partial(resvg_py.svg_to_bytes, skip_system_fonts=True)
    monkeypatch.setattr("scripts.report.charts.resvg_py.svg_to_bytes", bare)
    assert to_png(svg) == with_fonts
    rows = first_rows(with_fonts, 64)
    title = [pixel for row in rows[20:] for pixel in row[::4]]
    assert min(title) < 80, "dark letters"
    assert max(title) == 255, "on white"


def first_rows(png: bytes, count: int) -> list[bytes]:
    """The first rows of an 8-bit RGBA PNG, unfiltered (PNG specification, section 9)."""
    stream, data, width = io.BytesIO(png[8:]), b"", 0
    while head := stream.read(8):
        length, kind = struct.unpack(">I4s", head)
        body = stream.read(length + 4)[:length]
        if kind == b"IHDR":
            width = int.from_bytes(body[:4], "big")
            assert body[8:10] == b"\x08\x06"
        if kind == b"IDAT":
            data += body
    raw, stride = zlib.decompress(data), width * 4
    rows, above = [], bytes(stride)
    for y in range(count):
        filtering, *line = raw[y * (stride + 1) : (y + 1) * (stride + 1)]
        for i in range(stride):
            a, b, c = (line[i - 4] if i >= 4 else 0), above[i], (above[i - 4] if i >= 4 else 0)
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            line[i] = (line[i] + (0, a, b, (a + b) // 2, nearest)[filtering]) & 255
        above = bytes(line)
        rows.append(above)
    return rows


@given(st.floats(min_value=1e-6, max_value=1e12))
def test_ticks_start_at_zero_reach_the_top_and_are_few(top: float) -> None:
    ticks = y_ticks(top)
    assert ticks[0] == 0
    assert ticks[-1] >= top * (1 - 1e-6)
    assert 2 <= len(ticks) <= 7
    assert ticks[-2] < top * (1 + 1e-6)


@pytest.mark.parametrize("top", [0.0, -1.0, math.nan, math.inf])
def test_ticks_without_data(top: float) -> None:
    assert y_ticks(top) == (0.0, 1.0)


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_of_a_trend_enclose_it(first: float, second: float) -> None:
    low, high = sorted((first, second))
    ticks = ticks_between(low, high)
    assert ticks[0] <= low + 1e-9 * high
    assert high - 1e-9 * high <= ticks[-1]
    assert 2 <= len(ticks) <= 8


def test_a_trend_names_the_first_run_of_each_commit() -> None:
    names = {1: "aaaaaaa", 2: "aaaaaaa", 4: "bbbbbbb", 5: "ccccccc"}
    values: dict[int, float | None] = {1: 40.0, 2: 41.5, 3: None, 4: 40.5, 5: 42.0}
    trend = Figure(title="Throughput", unit="requests/s", x_title="commits", series={"one": values}, names=names)
    svg = draw(trend)
    assert [svg.count(f">{name}</text>") for name in ("aaaaaaa", "bbbbbbb", "ccccccc")] == [1, 1, 1]
    assert "one, bbbbbbb: 40.5 requests/s" in svg
    assert (len(nodes(svg, "dot")), len(nodes(svg, "line"))) == (4, 2)
    assert draw(Figure(title="T", unit="ms", x_title="commits", series={"one": {1: 1.0}}, names={1: "aaaaaaa"}))
    assert draw(Figure(title="T", unit="ms", x_title="commits", series={}, names={}))


@given(st.integers(1, 200))
def test_names_of_a_trend_do_not_touch(commits: int) -> None:
    names = {x: f"{x:07x}" for x in range(1, commits + 1)}
    values: dict[int, float | None] = dict.fromkeys(names, 1.0)
    svg = draw(Figure(title="T", unit="ms", x_title="commits", series={"one": values}, names=names))
    assert 1 <= sum(f">{name}</text>" in svg for name in names.values()) <= NAMED


def test_a_point_that_a_line_has_not_is_passed_over_and_none_is_a_gap() -> None:
    joined = draw(figure(a={10: 5.0, 30: 6.0}, b={20: 1.0}))
    assert len(nodes(joined, "line")) == 1
    assert len(nodes(draw(figure(a={10: 5.0, 20: None, 30: 6.0}, b={20: 1.0})), "line")) == 0


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_lines_have_a_contrast_of_three_to_one_in_light_and_dark() -> None:
    light, dark = STYLE.read_text(encoding="utf-8").split("@media (prefers-color-scheme: dark)")
    for text in (light, dark):
        paper = re.findall(r"\.background \{ fill: (#\w{6})", text)[0]
        lines = re.findall(r"(\.color-\d|\.axis \.line|\.chart text) \{[^}]*?(?:stroke|fill): (#\w{6})", text)
        assert len({name for name, _ in lines if name.startswith(".color")}) == COLOURS
        assert len(dict(lines)) == len({colour for _, colour in lines})
        for name, colour in lines:
            low, high = sorted((luminance(paper), luminance(colour)))
            assert (high + 0.05) / (low + 0.05) >= 3, (name, colour)


@pytest.mark.parametrize("lines", range(1, 8))
def test_every_line_is_in_the_legend_and_inside_the_figure(lines: int) -> None:
    series = {f"line {number}": {10: 1.0, 20: 2.0} for number in range(lines)}
    root = ElementTree.fromstring(draw(Figure(title="t", unit="u", x_title="x", series=series)))
    height = float(root.get("viewBox", "").split()[3])
    group = next(node for node in root.iter(f"{SVG}g") if node.get("class") == "legends")
    top = float(group.get("transform", "").rstrip(")").split(",")[1])
    rows = [top + float(text.get("y", 0)) for text in group.iter(f"{SVG}text")]
    assert len(rows) == lines
    assert max(rows) < height
