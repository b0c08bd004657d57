"""The section on prompting, built from scores and prompting.json."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from whet.evaluation.break_even import Prices, standing
from whet.report import write_report

from .reading import Element, read

EVIL = "<script>alert('x')</script>"


def facts(asked: str, labels: int, price: bool = False, **more: Any) -> dict[str, Any]:
    spread = {"low": 0.5, "mean": 1.0, "high": 2.0}
    tokens = {"low": 100.0, "mean": 1234.0, "high": 2000.0}
    money = {"low": 0.0005, "mean": 0.001, "high": 0.002} if price else None
    about = {
        "asked": asked,
        "here": not price,
        "instruction": f"Name the label. {EVIL}",
        "weighed": not price,
        "calibrated": True,
        "spent": {"requests": 900, "cached": 12, "tokens_in": 1, "tokens_out": 1, "seconds": 95.0, "price": 0.9},
        "shots": {"wanted": 4, "mean": 3.5, "rows_with_fewer": 9},
        "rows_cut": 2,
        "unparsable": {"validation": 1, "test": 17},
        "counted": {"numbers out of range": 3},
        "a_request": {"seconds": spread, "tokens_in": tokens, "tokens_out": None, "price": money},
        "labels": labels,
        "spread": None,
    }
    return {"prompting": about | more}


SPREAD = {
    "metric": "accuracy",
    "rows": 200,
    "validation": [0.5, 0.71, None],
    "test": [0.52, 0.7, 0.6],
    "draws": [[1, 2], [3, 4], [5, 6]],
    "best": 1,
}


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a run in which two baselines are ways of prompting."""
    folder = tmp_path / "run"
    shutil.copytree(runs["support"], folder)
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    first = next(iter(scores["models"]))
    scores["models"] |= {"zero_shot": scores["models"][first], "few_shot": scores["models"][first]}
    (folder / "scores.json").write_text(json.dumps(scores), encoding="utf-8")
    return folder


BOTH = Prices(3.6, 0.05)


def put(folder: Path, price: bool = False, prices: Prices = BOTH) -> Element:
    ways = {"few_shot": facts("somebody", 20, price, spread=SPREAD), "zero_shot": facts("somebody", 0, price)}
    tuned = {"train_seconds": 600.0, "predict_rows_per_second": 100.0}
    (folder / "prompting.json").write_text(json.dumps(standing(ways, "full", tuned, 2000, prices)), encoding="utf-8")
    write_report(folder)
    page = read((folder / "report.html").read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    return page.one("section", id="prompting")


def cells(table: Element) -> dict[str, list[str]]:
    rows = table.one("tbody").all("tr")
    return {row.children[0].text: [cell.text for cell in row.children[1:]] for row in rows}


def test_a_run_without_prompting_has_no_such_section(runs: dict[str, Path]):
    page = read((runs["support"] / "report.html").read_text(encoding="utf-8"))
    assert page.all("section", id="prompting") == []


def test_scores_costs_and_the_break_even(run: Path):
    section = put(run)
    assert section.one("h2").text == "Fine-tune or prompt"
    quality, costs, draws = section.all("table")
    found = cells(quality)
    assert list(found) == ["full tuned", "zero_shot without examples", "few_shot with examples"]
    assert found["few_shot with examples"][1:] == [
        "3.5 fewer in 9 rows: no room",
        "50.0 to 71.0 2 draws",
        "none answers were weighed",
    ]
    made = cells(costs)
    full = next(value for name, value in made.items() if name.startswith("full"))
    assert full[0] == "10.0 ms" and set(full[1:]) == {"–"}
    assert made["few_shot"] == [
        "1.0 s 0.50 s to 2.0 s",
        "1,234 100 to 2,000",
        "–",
        "–",
        "300 to 1,200",
        "50,000 to 200,000",
        "1,980",
    ]
    assert made["zero_shot"][-1] == "2,000"
    assert "By the price, fine-tuning pays after about 50,000 to 200,000 requests." in section.text
    rows = cells(draws)
    assert rows["2 answers the test rows"] == ["71.0 %", "70.0 %", "3, 4"] and rows["3"][0] == "–"
    assert "few_shot: 900 requests and 12 known from before, 95.0 s, price 0.900." in section.text
    assert "numbers out of range: 3" in section.text and EVIL in section.text
    assert "2 rows had no room and were shortened" in section.text


def test_prices_that_are_not_known_are_named(run: Path):
    assert "prompting.machine_price is not in the recipe" in put(run, prices=Prices()).text
    assert "prompting.label_price is not in the recipe" in put(run, prices=Prices(3.6)).text
    paid = put(run, price=True, prices=Prices(3.6))
    assert cells(paid.all("table")[1])["few_shot"][3] == "0.001 0.0005 to 0.002"
    assert cells(paid.all("table")[0])["few_shot with examples"][-1] == "17"


def test_a_strange_file_costs_the_section_alone(run: Path):
    (run / "prompting.json").write_text("[1, 2]", encoding="utf-8")
    write_report(run)
    page = read((run / "report.html").read_text(encoding="utf-8"))
    assert "unexpected form" in page.one("section", id="prompting").text
    assert page.one("section", id="verdict")
    (run / "prompting.json").write_text('{"ways": {}}', encoding="utf-8")
    write_report(run)
    page = read((run / "report.html").read_text(encoding="utf-8"))
    assert "No language model was asked" in page.one("section", id="prompting").text
