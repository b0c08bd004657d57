"""The page of several trainings, out of the files of the whole and of its runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from whet.files import write_json, write_text
from whet.report import write_report
from whet.report.series_page import series_sections


def stage(name: str, **more: Any) -> dict[str, Any]:
    score = {"value": 0.7, "low": 0.6, "high": 0.8}
    known = {
        "name": name,
        "task": "text-classification",
        "from": "/a/long/way/to/" + "a-base-" * 9,
        "state": "finished",
    }
    known |= {"why": None, "model": "full", "metric": "accuracy", "score": score, "ships": "full", "verdict": "ship"}
    return {**known, "rows": {"train": 1200}, "tokens": 34567, "seconds": 61.0, "size_bytes": 1e6, **more}


def finding(code: str, bin: str, message: str) -> dict[str, Any]:
    return {"code": code, "bin": bin, "message": message, "title": f"title of {code}", "place": "", "remedy": ""}


def made(folder: Path, *kinds: str) -> Path:
    """Two stages, one of which has a page, and a control of each kind."""
    others = [stage(f"sort.{kind}.0") for kind in kinds]
    write_json(folder / "stages.json", {"stages": [stage("adapt"), stage("sort"), *others], "last": "sort"})
    write_json(
        folder / "findings.json", [finding("X001", "tip", "It may have helped."), finding("X003", "passed", "-")]
    )
    write_text(folder / "runs" / "sort" / "report.html", "a page")
    own = [finding("E003", "issue", "like <always> the same"), finding("E012", "tip", "more memory")]
    own += [finding("X010", "passed", "keeps 98 %"), finding("X011", "not_applicable", "is not known")]
    for name in ("sort", *(one["name"] for one in others)):
        write_json(folder / "runs" / name / "findings.json", own)
    one = {"said": "better", "seeds": 2, "failed": 0, "value": 0.02, "low": 0.01, "high": 0.03}
    told = {"stage": "sort", "metric": "accuracy", "irrelevant": "general text", "words": "It may have helped."}
    told |= {"values": {kind: [0.7, 0.6] for kind in ("adapted", *kinds)}, "epochs": {"adapted": 2.0}}
    write_json(folder / "controls.json", {**told, "controls": [{"kind": kind, **one} for kind in kinds]})
    return folder


def page(folder: Path) -> str:
    return write_report(folder).read_text()


def test_a_stage_leads_to_its_own_page_where_it_has_one(tmp_path: Path):
    text = page(made(tmp_path, "none"))
    assert re.findall(r'<a href="(runs/[^"]*)">(\w+)</a>', text) == [("runs/sort/report.html", "sort")]


def test_what_was_noticed_in_the_trainings_stands_on_the_page_of_the_whole(tmp_path: Path):
    stages, controls = series_sections(made(tmp_path, "none", "irrelevant"))
    rows = [[cell.text for cell in row.cells] for row in stages.content["noticed"].rows]
    assert rows == [["sort", "E003", "like <always> the same"], ["sort", "X010", "keeps 98 %"]]
    rows = [[cell.text for cell in row.cells] for row in controls.content["noticed"].rows]
    assert rows == [["E003", "2", "sort.none.0, sort.irrelevant.0"], ["X010", "2", "sort.none.0, sort.irrelevant.0"]]
    assert "like &lt;always&gt; the same" in page(tmp_path)


def test_what_controls_say_stands_there_once_and_of_no_other_text_where_none_was_learnt(tmp_path: Path):
    text = page(made(tmp_path, "none"))
    assert text.count("It may have helped.") == 1 and "other text" not in text.lower()
    assert "The other text: general text" in page(made(tmp_path / "more", "none", "irrelevant"))


def test_numbers_of_a_table_that_is_stacked_have_their_names(tmp_path: Path):
    text = page(made(tmp_path, "none"))
    assert '<td data-label="Tokens" class="number" data-order="34567.0">34,567</td>' in text
    assert ".stacked td::before { content: attr(data-label)" in text
