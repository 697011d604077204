"""Series to SVG, and SVG to PNG. The only user of pygal and of resvg.

One style for every figure (site/static/charts.css): a colour for each backend, and for each series a dash and a marker
of its own, so that nothing depends on colour. A figure holds no script, no reference to anything else and no random
name: the same input gives the same bytes.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element, SubElement

import pygal
import resvg_py
from pygal.etree import etree

from scripts.config import ROOT
from scripts.escape import plain
from scripts.model import Struct

STYLE = ROOT / "site" / "static" / "charts.css"
WIDTH, HEIGHT = 640, 420
PNG_ZOOM = 2
COLOURS = 7
MARKER_RADIUS = 5.0
LEGEND_ROW = 30
NAMED = 7
"""Names of places that the x axis has room for."""

# pygal's import hook for plugins has no find_spec: every later import in the process would warn (ImportWarning)
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]
etree.to_etree()  # pygal would use lxml where it happens to be installed, and its bytes differ


class Figure(Struct):
    """What to draw. ``series``: by label, y by x, None where there is no valid number (a gap); an x that it has not is
    passed over.

    ``spread``: likewise the ends of the intervals that there are, drawn as bars. ``unit`` is what the y axis counts;
    ``x_title`` names the x axis with its unit. With ``names``, x are places in an
    order, of which these have a name, and the axes begin where the data do: a trend is about differences, not about
    amounts. ``looks``: of each series its colour and its shape (dash and marker), by their numbers; the series' own
    place where there are none.
    """

    title: str
    unit: str
    x_title: str
    series: Mapping[str, Mapping[int, float | None]]
    names: Mapping[int, str] | None = None
    looks: Sequence[tuple[int, int]] = ()
    spread: Mapping[str, Mapping[int, tuple[float, float]]] = {}

    def look(self, place: int) -> tuple[int, int]:
        """Colour and shape of a series."""
        return self.looks[place] if self.looks else (place, place)


class XY(pygal.XY):  # type: ignore[misc]  # pygal has no types
    """Looks an attribute up in the state of the drawing, then in the chart: once, where pygal looks three times, which
    is a third of the time that a drawing takes.
    """

    def __getattribute__(self, name: str) -> Any:
        state = object.__getattribute__(self, "__dict__").get("state")
        if state is not None and name != "state" and name in state.__dict__:
            return state.__dict__[name]
        return object.__getattribute__(self, name)


def draw(figure: Figure) -> str:
    """The figure as an ``<svg>`` element without its style, to be put into a page that has ``style()``."""
    xs = sorted({x for points in figure.series.values() for x in points})
    ys = [y for points in figure.series.values() for y in points.values() if y is not None]
    ys += [high for ends in figure.spread.values() for _, high in ends.values()]
    named = figure.names is not None
    ticks = ticks_between(min(ys), max(ys)) if named and ys else y_ticks(max(ys, default=0.0))
    x_ticks = [0, *_thinned(xs)] if figure.names is None else _thinned(_first_of_each(figure.names), NAMED)
    chart = XY(
        width=WIDTH,
        height=HEIGHT,
        css=[],
        js=[],
        disable_xml_declaration=True,
        no_data_text="nothing valid to show",
        title=f"{plain(figure.title)} ({plain(figure.unit)})",
        x_title=plain(figure.x_title),
        legend_at_bottom=True,
        legend_at_bottom_columns=2,
        legend_box_size=20,
        truncate_legend=40,
        show_x_guides=False,
        allow_interruptions=True,
        range=(ticks[0], ticks[-1]),
        xrange=(xs[0] - 0.5, xs[-1] + 0.5) if named and xs else (0, max(xs, default=1)),
        x_labels=x_ticks if figure.series else None,
        y_labels=list(ticks) if figure.series else None,
        x_value_formatter=_tick if figure.names is None else lambda x: plain((figure.names or {}).get(round(x), "")),
        value_formatter=_tick,
        margin_right=32 if named else 20,  # half of the last name, which may stand at the end of the axis
        # pygal leaves room for whole rows of the legend only: that of the last of three lines would be outside
        margin_bottom=28 + (LEGEND_ROW if len(figure.series) % 2 else 0),
        truncate_label=-1,
        spacing=8,
        style=pygal.style.Style(
            title_font_size=16, label_font_size=13, legend_font_size=13, major_label_font_size=13, no_data_font_size=16
        ),
    )
    chart.uuid = "figure"
    for label, points in figure.series.items():
        chart.add(plain(label), sorted(points.items()))
    chart.add_xml_filter(lambda root: _finish(root, figure, xs))
    return str(chart.render(is_unicode=True))


def style() -> str:
    """The style sheet that ``draw``'s figures need."""
    return STYLE.read_text(encoding="utf-8")


def standalone(svg: str) -> str:
    """A figure from ``draw`` as a file of its own."""
    head, tail = svg.split(">", 1)
    return f"{head}><style>{style().strip()}</style>{tail}\n"


def to_png(svg: str) -> bytes:
    """A standalone figure as PNG, twice its size, light, with a font from a Python package (none need be installed)."""
    fonts = resources.files("font_source_sans_pro") / "files"
    with resources.as_file(fonts) as folder:
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=svg,
                zoom=PNG_ZOOM,
                background="#ffffff",
                font_files=[str(folder / f"SourceSansPro-{weight}.ttf") for weight in ("Regular", "Bold")],
                font_family="Source Sans Pro",
                sans_serif_family="Source Sans Pro",
            )
        )


def y_ticks(top: float, wanted: int = 5) -> tuple[float, ...]:
    """Round numbers from 0 up to at least ``top``, steps of 1, 2 or 5 times a power of ten; ``(0, 1)`` for no data."""
    if not (math.isfinite(top) and top > 0):
        return (0.0, 1.0)
    step = _step(top, wanted)
    return tuple(round(step * number, 12) for number in range(math.ceil(top / step - 1e-9) + 1))


def _step(span: float, wanted: int) -> float:
    """The smallest 1, 2 or 5 times a power of ten that divides ``span`` into at most ``wanted``."""
    power = 10.0 ** math.floor(math.log10(span / wanted))
    return next(factor * power for factor in (1, 2, 5, 10, 20) if factor * power * wanted >= span)


def ticks_between(low: float, high: float, wanted: int = 4) -> tuple[float, ...]:
    """Round numbers around the range from ``low`` to ``high`` (steps as in `y_ticks`), at least two.

    A range of less than a twentieth of its values is widened to that, so that noise does not look like a mountain.
    """
    least = 0.05 * max(abs(low), abs(high)) or 1.0
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
    step = _step(high - low, wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(round(step * number, 12) for number in range(first, last + 1))


def _first_of_each(names: Mapping[int, str]) -> list[int]:
    """The first place of each name."""
    return sorted({name: x for x, name in sorted(names.items(), reverse=True)}.values())


def _thinned(xs: list[int], most: int = 12) -> list[int]:
    """Every x, or so many fewer that their labels do not touch."""
    stride = math.ceil(len(xs) / most) or 1
    return xs[stride - 1 :: stride]


def _tick(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e5 else f"{value:,.0f}"


def _finish(root: Element, figure: Figure, xs: list[int]) -> Element:
    """Leave only what is drawn, give each series its marker, and each point its value as a native tooltip."""
    marks: list[Mark] = []
    root.set("role", "img")
    root.set("aria-label", f"{plain(figure.title)}, {plain(figure.unit)}, against {plain(figure.x_title)}")
    root.attrib.pop("id", None)
    for parent in list(root.iter()):
        for child in list(parent):
            unwanted = not isinstance(child.tag, str) or child.tag in ("defs", "desc", "script")
            if unwanted or "tooltip-overlay" in child.get("class", ""):
                parent.remove(child)
        for name in ("style", "id"):
            parent.attrib.pop(name, None)
        if parent.get("class", "").startswith("series "):
            index = int(parent.get("class", "").split("serie-")[1].split()[0])
            parent.set("class", f"series {look_class(*figure.look(index))}")
            if any(child.get("class") == "dots" for child in parent):
                marks += _mark(parent, index, list(figure.series.items())[index], xs, figure)
    _bars(marks)
    for index, legend in enumerate(node for node in root.iter("g") if node.get("class", "").startswith("legend ")):
        _legend(legend, *figure.look(index))
    return root


def look_class(colour: int, shape: int) -> str:
    """The classes of a series, as charts.css has them."""
    return f"color-{colour % COLOURS} dash-{shape % COLOURS}"


class Mark(NamedTuple):
    """A point as it is drawn in its ``group``: its value, where that lies, and the ends of its interval."""

    group: Element
    value: float
    x: float
    y: float
    ends: tuple[float, float] | None


def _mark(
    group: Element, index: int, series: tuple[str, Mapping[int, float | None]], xs: list[int], figure: Figure
) -> list[Mark]:
    """Replace pygal's circles, which are in the order of the points that exist."""
    label, points = series
    drawn = [(x, y) for x in xs if (y := points.get(x)) is not None]
    circles = [dots for dots in group if dots.get("class") == "dots"]
    marks = []
    for dots, (x, y) in zip(circles, drawn, strict=True):
        at_x, at_y = (float(dots[0].get(name, 0)) for name in ("cx", "cy"))
        ends = figure.spread.get(label, {}).get(x)
        marks.append(Mark(group, y, at_x, at_y, ends))
        where = str(x) if figure.names is None else figure.names.get(x, "")
        dots.clear()
        SubElement(dots, "path", {"class": "dot", "d": marker(figure.look(index)[1], at_x, at_y)})
        value = f"{y:,.4g}{f' ({ends[0]:,.4g} to {ends[1]:,.4g})' if ends else ''} {plain(figure.unit)}"
        SubElement(dots, "title").text = f"{plain(label)}, {plain(where)}: {value}"
    return marks


def _bars(marks: Sequence[Mark]) -> None:
    """A bar from end to end of each interval, behind the points. The axis is linear: two points that differ show it."""
    if len({mark.value for mark in marks}) < 2:
        return
    one, two = min(marks, key=lambda mark: mark.value), max(marks, key=lambda mark: mark.value)
    slope = (two.y - one.y) / (two.value - one.value)
    for mark in marks:
        if mark.ends:
            low, high = (mark.y + slope * (end - mark.value) for end in mark.ends)
            path = f"M{mark.x:.1f} {low:.1f} V{high:.1f} m-4 0 h8 M{mark.x - 4:.1f} {low:.1f} h8"
            mark.group.insert(0, Element("path", {"class": "spread", "d": path}))


def _legend(legend: Element, colour: int, shape: int) -> None:
    """A piece of the line with its marker instead of a coloured box."""
    box = legend[0]
    x, y, width, height = (float(box.get(name, 0)) for name in ("x", "y", "width", "height"))
    legend.remove(box)
    sample = Element("g", {"class": look_class(colour, shape)})
    SubElement(sample, "path", {"class": "line", "d": f"M{x:g} {y + height / 2:g} h{width:g}"})
    SubElement(sample, "path", {"class": "dot", "d": marker(shape, x + width / 2, y + height / 2)})
    legend.insert(0, sample)
    legend.set("class", "legend")


def marker(index: int, x: float, y: float, radius: float = MARKER_RADIUS) -> str:
    """The path of a series' marker around a point: circle, square, triangle, diamond, cross, and again."""
    r, w = radius, 1.25 * radius
    shapes = (
        f"M{x - r:g} {y:g} a{r:g} {r:g} 0 1 0 {2 * r:g} 0 a{r:g} {r:g} 0 1 0 {-2 * r:g} 0 z",
        f"M{x - 0.85 * r:g} {y - 0.85 * r:g} h{1.7 * r:g} v{1.7 * r:g} h{-1.7 * r:g} z",
        f"M{x:g} {y - 1.2 * r:g} l{1.15 * r:g} {2 * r:g} h{-2.3 * r:g} z",
        f"M{x:g} {y - w:g} l{w:g} {w:g} l{-w:g} {w:g} l{-w:g} {-w:g} z",
        f"M{x - r:g} {y - r:g} l{2 * r:g} {2 * r:g} m0 {-2 * r:g} l{-2 * r:g} {2 * r:g}",
    )
    return shapes[index % len(shapes)]
