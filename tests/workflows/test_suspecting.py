"""Doubtful labels from rows to a file, and back."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.made_runs import Runs
from whet.errors import UserError
from whet.evaluation.label_noise import WEAK
from whet.workflows import suspecting
from whet.workflows.suspecting import suspects

pytest.importorskip("cleanlab")


def silent(*_: object) -> None:
    return None


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_says_what_is_doubtful(runs: Runs):
    run = runs.finished("probe")
    found = json.loads((run / "data" / "label_noise.json").read_text())
    told = {one["code"]: one for one in json.loads((run / "findings.json").read_text())}["W007"]
    weak = found["accuracy"] < WEAK  # a base of random weights knows little: what it doubts accuses nobody
    assert told["bin"] == ("not_applicable" if weak else "tip")
    assert told["evidence"]["count"] == len(found["rows"]) > 0
    assert found["num_rows"] == found["num_judged"]
    assert {"split", "line", "text", "given", "suggested"} <= set(told["evidence"]["examples"][0])


def test_the_file_of_a_run_is_that_of_its_data(runs: Runs, tmp_path: Path):
    run = runs.finished("probe")
    before = sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*"))
    told = suspects(str(run), {}, tmp_path / "run.csv", False, silent)
    assert before == sorted((path, path.stat().st_mtime_ns) for path in run.rglob("*"))
    options = runs.options("probe")
    data = options.pop("data.source")
    suspects(data, options, tmp_path / "data.csv", False, silent)
    assert (tmp_path / "run.csv").read_bytes() == (tmp_path / "data.csv").read_bytes()
    kept = json.loads((run / "data" / "label_noise.json").read_text())
    assert told["rows"] == kept["rows"]
    rows = rows_of(tmp_path / "run.csv")
    lines = Path(data).read_text().splitlines()
    for row in rows:
        assert lines[int(row["line"]) - 1] == f"{row['text']},{row['label']}"
        assert row["suggested"] != row["label"] and row["corrected"] == ""


def test_all_splits(runs: Runs, tmp_path: Path):
    found = suspects(str(runs.finished("probe")), {}, tmp_path / "all.csv", True, silent)
    assert found["num_rows"] == 120
    assert {one["split"] for one in found["rows"]} == {"train", "validation", "test"}


@dataclass
class Keyed:
    """What rows are bound by."""

    hashes: Any
    groups: Any


def test_rows_are_kept_together_over_all_splits():
    train = Keyed(np.array([1, 2, 3], np.uint64), np.array([10, 11, 10], np.uint64))
    validation = Keyed(np.array([2, 9], np.uint64), np.array([12, 13], np.uint64))
    splits: Any = {"train": train, "validation": validation, "test": Keyed(np.array([9, 4], np.uint64), None)}
    keys = suspecting._together(splits)
    assert {name: len(one) for name, one in keys.items()} == {"train": 3, "validation": 2, "test": 2}
    first, second, third, fourth, fifth, sixth, last = np.concatenate(list(keys.values())).tolist()
    assert first == third and second == fourth and fifth == sixth
    assert len({first, second, fifth, last}) == 4, "what nothing binds is not taken for one"
    (alone,) = suspecting._together({"train": splits["test"]}).values()
    assert alone.tolist() == [9, 4]


def test_corrections_find_their_way_into_the_next_run(runs: Runs, tmp_path: Path):
    suspects(str(runs.finished("probe")), {}, tmp_path / "suspects.csv", False, silent)
    rows = rows_of(tmp_path / "suspects.csv")
    rows[0]["corrected"] = rows[0]["suggested"]
    with (tmp_path / "back.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    run = runs.fit("probe", tmp_path / "run", data__corrections=str(tmp_path / "back.csv"))
    told = [one for one in json.loads((run / "findings.json").read_text()) if one["code"] == "W007"]
    assert len(told) == 1 and "1 row: label corrected by data.corrections" in told[0]["message"]


def test_several_labels(runs: Runs, tmp_path: Path):
    found = suspects(str(runs.finished("full-separator")), {}, tmp_path / "several.csv", False, silent)
    assert found["rows"] and isinstance(found["rows"][0]["given"], list)


def test_refusals_and_the_switch(runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(UserError, match="D087"):
        suspects("rows.csv", {"task": "regression"}, tmp_path / "x.csv", False, silent)
    run = runs.fit("probe", tmp_path / "off", evaluation__label_noise=False)
    assert not (run / "data" / "label_noise.json").exists()
    monkeypatch.setattr("whet.workflows.suspecting.can_look", lambda: False)
    with pytest.raises(UserError, match=r"D088 .*whet\[labels\]"):
        suspects("rows.csv", {}, tmp_path / "x.csv", False, silent)
    run = runs.fit("probe", tmp_path / "missing")
    told = {one["code"]: one for one in json.loads((run / "findings.json").read_text())}["W007"]
    assert told["bin"] == "not_applicable" and "cleanlab" in told["message"]
