"""Altair charts become SVG that lives in the page: its colours, its fonts, no script, no network.

The charts name their colours as CSS variables, so that one picture serves the light page, the dark
page and paper. Drawing needs the package vl-convert-python; without it the page shows the numbers
as tables and says which package draws them.
"""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from whet.report.tables import Table

PACKAGE = "vl-convert-python"
SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {"svg", "g", "path", "text", "tspan", "rect", "line", "circle", "defs", "clipPath"}

INK, QUIET, LINE, PAPER = "currentColor", "var(--quiet)", "var(--line)", "var(--paper)"
FIRST, SECOND = "var(--first)", "var(--second)"

LOOK = {
    "background": "transparent",
    "font": "DejaVu Sans",  # only to measure: a wide one, so that labels fit in the page's own font
    "padding": 2,
    "view": {"stroke": None},
    "axis": {
        "labelColor": QUIET,
        "titleColor": QUIET,
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titlePadding": 8,
        "gridColor": LINE,
        "domainColor": LINE,
        "tickColor": LINE,
        "labelLimit": 220,
    },
    "legend": {"labelColor": INK, "labelFontSize": 12, "title": None, "orient": "top", "symbolStrokeWidth": 2},
    "text": {"color": INK, "fontSize": 12},
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing with its words: ``alternative`` says in text what the drawing shows.

    ``svg`` maps a width class ("wide", "narrow" or "any") to a drawing; empty where none could be made.
    """

    caption: str
    alternative: str
    data: Table
    svg: dict[str, str] = field(default_factory=dict)


def can_draw() -> bool:
    """Whether the package that turns charts into SVG is installed."""
    return importlib.util.find_spec("vl_convert") is not None


def drawn(name: str, alternative: str, charts: dict[str, Callable[[], Any]]) -> dict[str, str]:
    """``{width class: svg}`` of the charts; empty where they cannot be drawn here."""
    if not can_draw():
        return {}
    return {width: to_svg(make(), f"{name}-{width}", alternative) for width, make in charts.items()}


def to_svg(chart: Any, name: str, alternative: str) -> str:
    """One chart as an ``<svg>`` element that reads as a single image with ``alternative`` as its text.

    :param name: unique on the page; keeps the ids of several drawings apart.
    """
    buffer = io.StringIO()
    chart.configure(**LOOK).save(buffer, format="svg")
    # The text was written by vl-convert a moment ago: no entities, no foreign document.
    root = ElementTree.fromstring(buffer.getvalue())  # noqa: S314
    width, height = root.attrib["width"], root.attrib["height"]
    _clean(root)
    _rename_ids(root, name)
    root.attrib = {
        "viewBox": f"0 0 {width} {height}",
        "style": f"--width: {width}px",
        "role": "img",
        "aria-label": alternative,
    }
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
    return ElementTree.tostring(root, encoding="unicode")


KEPT_OUT = {"font-family", "pointer-events", "role", "aria-label", "aria-roledescription", "aria-hidden", "class"}


def _clean(element: ElementTree.Element) -> None:
    """Drop what is empty, unknown or said elsewhere."""
    for child in list(element):
        if child.tag.removeprefix(SVG) not in ALLOWED or child.attrib.get("display") == "none" or _is_backdrop(child):
            element.remove(child)
        else:
            _clean(child)
    for key, value in list(element.attrib.items()):
        if key in KEPT_OUT or (key == "opacity" and value == "1"):
            del element.attrib[key]


def _rename_ids(root: ElementTree.Element, name: str) -> None:
    """Ids become unique on the page, and the same whenever the same chart is drawn (they are counted per process)."""
    named = [element for element in root.iter() if "id" in element.attrib]
    renamed = {element.attrib["id"]: f"{name}-{number}" for number, element in enumerate(named)}
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.attrib[key] = renamed[value]
            elif value.startswith("url(#"):
                element.attrib[key] = f"url(#{renamed[value[5:-1]]})"


def _is_backdrop(element: ElementTree.Element) -> bool:
    """Invisible shapes: the transparent background, and paths that only serve events."""
    if element.attrib.get("fill") == "transparent" and element.tag == f"{SVG}rect":
        return True
    shape = element.attrib.get("class") in ("background", "foreground")
    return shape and not element.attrib.get("stroke") and not element.attrib.get("fill")
