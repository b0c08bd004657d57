"""The page of a search, out of what sweep.json holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from whet.report import sweep_page, tradeoff

CHOSE = "chose the setting, does not judge"


def value(mean: float) -> dict[str, Any]:
    return {"value": mean, "low": mean - 0.02, "high": mean + 0.02}


def made(**more: Any) -> dict[str, Any]:
    costs = {
        "train_seconds": 61.0,
        "trainable_parameters": 5e5,
        "total_parameters": 2.3e7,
        "size_bytes": 3.4e6,
        "base_bytes": 9.1e7,
        "added_bytes": 1.1e9,
        "predict_rows_per_second": 500.0,
    }
    row = {"is_baseline": False, "kind": "lora", "near_best": True, "failed": ["too large"], "left_out": 1}
    row |= {"costs": costs, "num_seeds": 2, "trial": 7, "name": "trial 7", "words": "trial 7 (LoRA)", "ships": True}
    row |= {"setting": {"method": "lora", "training.learning_rate": 0.00123}, "value": value(0.71)}
    row["seeds"] = [
        {"seed": 0, "run": "trials/0007", "value": 0.75, "judges": False, "cut": False, "note": CHOSE},
        {"seed": 1, "run": "seeds/0007-1", "value": 0.7, "judges": True, "cut": False, "note": ""},
        {
            "seed": 2,
            "run": "seeds/0007-2",
            "value": 0.44,
            "judges": False,
            "cut": True,
            "note": "cut short by the time",
        },
        {"seed": 3, "run": None, "value": None, "judges": False, "cut": False, "note": "failed: too large"},
    ]
    row |= {"forgetting": {"way": "probes", "value": 0.012, "low": -0.004, "high": 0.03}}
    own = {**row, "trial": 1, "name": "trial 1", "words": "the recipe as it stands (LoRA)", "ships": False}
    own |= {
        "setting": {},
        "seeds": [],
        "failed": [],
        "left_out": 0,
        "near_best": False,
        "value": value(0.69),
        "forgetting": None,
    }
    base = {"name": "majority", "words": "always giving the most <frequent> answer", "kind": "majority"}
    base |= {"is_baseline": True, "value": value(0.5), "num_seeds": 1, "ships": False, "near_best": False, "costs": {}}
    trials = [
        {"number": 1, "state": "complete", "setting": {}, "value": 0.69, "seconds": 60.0, "why": "", "ended": ""},
        {"number": 2, "state": "pruned", "setting": {"method": "full"}, "value": None, "seconds": 20.0, "ended": ""},
    ]
    for one, curve in zip(trials, ([[0.5, 0.6], [1.0, 0.69]], [[0.5, 0.4]]), strict=True):
        one |= {"curve": curve, "why": one.get("why", "worse than half of the others by then")}
    shares = {"method": 0.7, "training.learning_rate": 0.3}
    weighed = {
        "over all": {"num_trials": 12, "foretold": 0.62, "importance": shares},
        "with full": {"num_trials": 10, "foretold": 0.0, "importance": {"training.learning_rate": 1.0}},
    }
    evidence = {"groups": weighed, "told": ["over all"]}
    finding = {
        "code": "X032",
        "bin": "passed",
        "title": "Choices that mattered",
        "message": "Choices tell.",
        "remedy": "",
        "evidence": evidence,
    }
    return {
        "task": "text-classification",
        "base": "minilm",
        "metric": "accuracy",
        "num_test_rows": 784,
        "search": {"metric": "auto"},
        "validation_metric": "accuracy",
        "trials": trials,
        "table": [base, row, own],
        "verdict": {"reason": "Trial 7 (LoRA) is 2 points better."},
        "findings": [finding],
        "counts": {"complete": 1, "pruned": 1, "failed": 0},
        **more,
    }


def test_the_page(tmp_path: Path):
    page = sweep_page.write(tmp_path, made()).read_text()
    assert "Trial 7 (LoRA) is 2 points better." in page and "most &lt;frequent&gt; answer" in page
    assert "1 cut short, 1 failed, 1 left out for time" in page and "lora, training.learning_rate 0.00123" in page
    assert "as the recipe has it" in page and "worse than half of the others" in page
    for anchor in ("sweep", "tradeoff", "choices", "trials"):
        assert f'<section id="{anchor}"' in page
    assert "foretell 62" in page and "with full" not in page
    assert page.count("<svg") == 4  # the trade-off twice, the choices, the curves
    assert "2\N{NO-BREAK SPACE}ms" in page and "61.0\N{NO-BREAK SPACE}s" in page


def test_every_training_is_told(tmp_path: Path):
    """Also that which chose the setting, that which time cut, and that which failed."""
    told = sweep_page.trainings(made())
    assert told is not None
    shown = [[cell.text for cell in row.cells[1:]] for row in told.rows]
    percent = "\N{NO-BREAK SPACE}%"
    assert shown == [
        ["0", f"75.0{percent}", CHOSE],
        ["1", f"70.0{percent}", "judges"],
        ["2", f"44.0{percent}", "cut short by the time"],
        ["3", "\N{EN DASH}", "failed: too large"],
    ]
    assert f">{CHOSE}<" in sweep_page.write(tmp_path, made()).read_text()
    older = made()
    older["table"] = [{name: value for name, value in row.items() if name != "seeds"} for row in older["table"]]
    assert sweep_page.trainings(older) is None and "Every training" not in sweep_page.write(tmp_path, older).read_text()


def test_of_memory_the_page_says_what_was_measured(tmp_path: Path):
    page = sweep_page.write(tmp_path, made()).read_text()
    assert ">Memory added</th>" in page and "by which the process grew" in page and "1.1\N{NO-BREAK SPACE}GB" in page


def test_where_little_is_known(tmp_path: Path):
    found = made()
    bare = {"code": "X032", "bin": "not_applicable", "message": "Fewer than 10 trials.", "remedy": "", "evidence": {}}
    found |= {"findings": [bare], "trials": found["trials"][:1], "table": found["table"][:1]}
    page = sweep_page.write(tmp_path, found).read_text()
    assert "Fewer than 10 trials." in page and "Fewer than two models" in page


def test_settings_in_words():
    assert sweep_page.shown({}) == "as the recipe has it"
    assert sweep_page.shown({"method": "full", "training.epochs": 2.0, "lora.rank": 4}) == (
        "full, training.epochs 2, lora.rank 4"
    )
    assert sweep_page.milliseconds(None) == "\N{EN DASH}"


def test_validation_is_written_as_test_rows_are():
    found = made()
    assert sweep_page.look(0.9, found) == "90.0\N{NO-BREAK SPACE}%" and sweep_page.look(None, found) == "\N{EN DASH}"
    assert sweep_page.look(0.9, made(validation_metric="")) == "0.9000", "an older search does not say"
    assert sweep_page.look(-1.25, made(task="language-modeling", validation_metric="likelihood")) == "1.2500"
    assert sweep_page.look(-0.25, made(search={"metric": "mae"})) == "0.250"


def test_an_adapter_is_as_large_as_what_must_be_shipped(tmp_path: Path):
    page = sweep_page.write(tmp_path, made()).read_text()
    assert "94.4\N{NO-BREAK SPACE}MB" in page and "3.4\N{NO-BREAK SPACE}MB without its base" in page
    assert sweep_page.shipped_bytes({"size_bytes": 5.0}) == 5.0 and sweep_page.shipped_bytes({}) is None


def test_findings_have_marks_and_tables_become_blocks(tmp_path: Path):
    page = sweep_page.write(tmp_path, made()).read_text()
    assert '<li class="finding passed">' in page and page.count('class="stacked"') == 3


# --- the trade-off --------------------------------------------------------------------------------


def dots(*places: tuple[str, float, float]) -> list[dict[str, Any]]:
    return [
        {"name": name, "seconds": seconds, "value": at, "low": at - 2, "high": at + 2, "kind": "searched"}
        for name, seconds, at in places
    ]


@pytest.mark.parametrize("width", [300, 620])
def test_no_name_lies_over_another_or_leaves_the_drawing(width: int):
    crowd = [(f"trial {number}, contrastive", 7.0 + 0.1 * number, 77.5 + 0.2 * number) for number in range(5)]
    rows = dots(("majority", 0.02, 12.0), ("probe", 0.9, 77.5), *crowd)
    across, down = tradeoff.axes(rows, width)
    boxes = []
    for one in tradeoff.names(rows, across, down):
        at, length = across.place(one["seconds"]), tradeoff.LETTER * len(one["name"])
        left = at if one["align"] == "left" else at - length
        low = down.place(one["value"]) - tradeoff.LINE / 2
        box = tradeoff.Box(left + 0.01, low + 0.01, left + length - 0.01, low + tradeoff.LINE - 0.01)
        assert box.left >= 0 and box.right <= width, one
        assert not any(box.meets(other) for other in boxes), one
        boxes.append(box)
    assert len(boxes) == len(rows)


def test_the_axis_of_time_has_plain_numbers():
    assert tradeoff.marks(tradeoff.Axis(0.02, 20.0, 300, ratios=True)) == [0.1, 1.0, 10.0]
    assert tradeoff.marks(tradeoff.Axis(0.5, 9.0, 300, ratios=True)) == [0.5, 1.0, 2.0, 5.0]
    axis = tradeoff.Axis(0.02, 20.0, 300, ratios=True)
    assert axis.value(axis.place(3.0)) == pytest.approx(3.0)
    svg = tradeoff.cloud(dots(("a", 0.01, 50.0), ("b", 30.0, 60.0)), "Accuracy, percent", 300)
    assert "'~g'" in json.dumps(svg.to_dict()) and "10m" not in json.dumps(svg.to_dict())
