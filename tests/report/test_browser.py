"""The pages in a real browser: nothing overlaps, nothing is cut, no complaint in the console.

One start of headless Chromium a theme looks at all pages in frames of 360 and 1200 px.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (360, 1200)
THEMES = {"light": 1, "dark": 0}
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--enable-logging=stderr",
    "--log-level=0",
]

KINDS = ("spans", "answers", "similarity", "regression", "ranks")
EVIL_KINDS = tuple(f"evil-{kind}" for kind in KINDS)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


def browse(folder: Path, pages: dict[str, str], theme: str) -> tuple[dict[str, Any], list[str]]:
    """({page at width: what was seen}, lines of the console)."""
    frames = "".join(
        f'<iframe name="{html.escape(name)} at {width}" width="{width}" height="800" style="border:0" '
        f'srcdoc="{html.escape(page)}"></iframe>'
        for name, page in pages.items()
        for width in WIDTHS
    )
    script = (Path(__file__).parent / "measure.js").read_text(encoding="utf-8")
    wrapper = folder / f"{theme}.html"
    wrapper.write_text(
        f'<!DOCTYPE html><meta charset="utf-8"><pre id="result"></pre>{frames}<script>{script}</script>',
        encoding="utf-8",
    )
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder / theme}", "--window-size=1300,900"]
    command += [f"--blink-settings=preferredColorScheme={THEMES[theme]}", "--dump-dom", wrapper.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    seen = re.search(r'<pre id="result">(.*?)</pre>', done.stdout.decode(), re.S)
    complaints = [line for line in done.stderr.decode(errors="replace").splitlines() if ":CONSOLE" in line]
    assert seen and seen[1], f"the browser gave no result: {complaints} {done.stderr[-2000:]!r}"
    return {one["name"]: one for one in json.loads(html.unescape(seen[1]))}, complaints


@pytest.fixture(scope="module")
def seen(
    runs: dict[str, Path], task_runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[dict[str, Any], list[str]]]:
    folder = tmp_path_factory.mktemp("browser")
    pages = {name: (run / "report.html").read_text(encoding="utf-8") for name, run in (runs | task_runs).items()}
    return {theme: browse(folder, pages, theme) for theme in THEMES}


@pytest.mark.parametrize("theme", list(THEMES))
def test_console_is_silent(seen: dict[str, Any], theme: str) -> None:
    assert seen[theme][1] == []


@pytest.mark.parametrize("theme", list(THEMES))
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["support", "banking", "several", "pairs", "evil", *KINDS, *EVIL_KINDS])
def test_nothing_overlaps_or_is_cut(seen: dict[str, Any], name: str, width: int, theme: str) -> None:
    for state in ("folded", "opened"):
        found = seen[theme][0][f"{name} at {width}"][state]
        assert width - 20 <= found["width"] <= width
        assert found["num_texts"] > 200
        assert found["overflow"] <= 0, f"the page scrolls sideways by {found['overflow']} px"
        assert found["overlaps"] == []
        assert found["cut"] == []
        assert found["outside"] == []


@pytest.mark.parametrize("theme", list(THEMES))
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("name", "entries"), [("spans", 6), ("answers", 4)])
def test_marks_are_told_apart_without_colour(
    seen: dict[str, Any], name: str, entries: int, width: int, theme: str
) -> None:
    legend = seen[theme][0][f"{name} at {width}"]["legend"]
    assert len(legend) == entries
    looks = [tuple(sample["looks"]) for sample in legend]
    assert all(sample["height"] > 0 and sample["words"] for sample in legend)
    assert len(set(looks)) == entries, "two entries differ in nothing but colour"


def test_light_and_dark_differ(seen: dict[str, Any]) -> None:
    assert seen["light"][0]["support at 360"]["paper"] == "rgb(255, 255, 255)"
    assert seen["dark"][0]["support at 360"]["paper"] == "rgb(20, 23, 27)"


def test_a_click_on_a_heading_sorts(seen: dict[str, Any]) -> None:
    sorted_ = seen["light"][0]["support at 1200"]["sorted"]
    before, once, twice = sorted_["orders"]
    assert before != sorted(before)
    assert once == sorted(before)
    assert twice == sorted(before, reverse=True)
    assert sorted_["state"] == "descending"


def test_the_browser_would_notice(tmp_path: Path) -> None:
    """The same look at a page with each of these faults."""
    bad = (
        '<!DOCTYPE html><meta name="viewport" content="width=device-width"><body style="margin:0">'
        '<p style="width:2000px">much too wide a paragraph</p>'
        '<div style="position:relative"><b style="position:absolute">one above</b>'
        '<i style="position:absolute;left:9px">the other</i></div><br><br>'
        '<svg viewBox="0 0 50 20" width="50"><text x="40" y="15">cut off here</text></svg>'
        '<script>console.error("noticed")</script>'
    )
    found, complaints = browse(tmp_path, {"bad": bad}, "light")
    state = found["bad at 360"]["folded"]
    assert state["overflow"] > 1000
    assert state["overlaps"] == ["one above | the other"]
    assert state["cut"] == ["cut off here"]
    assert len(complaints) == len(WIDTHS) and "noticed" in complaints[0]
