"""``whet gate`` and ``whet compare`` on the command line: exit codes, files, words."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.made_compared import two
from tests.made_runs import Runs

from .calling import Whet

NOT_TIMED = "max_slower: null\nmax_ece: null\nmax_slice_flips: null\n"


def test_exit_codes_of_gate(whet: Whet, tmp_path: Path):
    """0: go on; 1: a limit does not hold; 2: the question was wrong."""
    limits = tmp_path / "gate.yaml"
    limits.write_text(NOT_TIMED)
    old, new = two(tmp_path / "bad", 600, broke=range(80))
    words = ["gate", str(new), "--against", str(old), "--limits", str(limits)]
    stopped = whet(words)
    assert stopped.code == 1, stopped.err
    assert stopped.out.rstrip().endswith("Failed: quality, flips.")
    assert whet([*words, "--max-drop", "0.5", "--max-flips", "0.5"]).code == 0
    assert whet(["gate", str(old), "--against", str(new), "--limits", str(limits)]).out.rstrip().endswith("Passed.")
    wrong = whet([*words, "--max-flips", "5", "--metric", "acuracy", "--max-drop=-1"])
    assert wrong.code == 2 and all(f"V122 --{name}" in wrong.err for name in ("max-flips", "metric", "max-drop"))
    assert "'acuracy', which is no metric. Did you mean 'accuracy'?" in wrong.err
    assert whet(["gate", str(new)]).code == 2


def test_what_nobody_can_tell(whet: Whet, tmp_path: Path):
    limits = tmp_path / "gate.yaml"
    limits.write_text(NOT_TIMED)
    old, new = two(tmp_path / "open", 200, broke=range(4), fixed=range(4, 8))
    words = ["gate", str(new), "--against", str(old), "--limits", str(limits)]
    open_ = whet(words)
    assert open_.code == 0
    assert "Cannot tell: quality" in open_.out and "so go on" in open_.out
    strict = whet([*words, "--strict"])
    assert strict.code == 1 and "--strict stops here" in strict.out


def test_equal_answers_are_said_in_the_table(whet: Whet, tmp_path: Path):
    limits = tmp_path / "gate.yaml"
    limits.write_text("max_slower: null\nmax_ece: null\n")
    old, new = two(tmp_path / "same", 200)
    answer = whet(["gate", str(new), "--against", str(old), "--limits", str(limits), "--max-flips", "0"])
    assert answer.code == 0
    for name in ("quality", "flips", "flips in slices"):
        (row,) = (line for line in answer.out.splitlines() if line.startswith(f" {name}  "))
        assert "passed" in row and "equal answers" in row and " - " not in row, row
    assert "equal answers to every row" in " ".join(whet(["gate", "--help"]).out.split())


def test_where_nothing_was_looked_at_nothing_has_passed(whet: Whet, tmp_path: Path):
    """What the base forgot was measured for neither run, and no other limit is set."""
    limits = tmp_path / "gate.yaml"
    limits.write_text(f"{NOT_TIMED}max_drop: null\nmax_flips: null\n")
    old, new = two(tmp_path / "open", 200)
    words = ["gate", str(new), "--against", str(old), "--limits", str(limits)]
    open_ = whet(words)
    assert open_.code == 0
    assert open_.out.rstrip().endswith("Cannot tell: no limit could be looked at (nothing stops it, so go on).")
    strict = whet([*words, "--strict"])
    assert strict.code == 1
    assert strict.out.rstrip().endswith("Cannot tell: no limit could be looked at (--strict stops here).")


def test_json_of_gate_is_the_last_line(whet: Whet, tmp_path: Path):
    limits = tmp_path / "gate.yaml"
    limits.write_text(NOT_TIMED)
    old, new = two(tmp_path / "bad", 600, broke=range(80))
    answer = whet(["gate", str(new), "--against", str(old), "--limits", str(limits), "--json"])
    assert answer.code == 1
    assert len(answer.out.splitlines()) == 1
    found = json.loads(answer.out)
    assert found["state"] == "failed" and found["go_on"] is False
    assert [one["name"] for one in found["outcomes"]] == ["quality", "flips", "forgetting"]
    assert "quality: Accuracy is" in answer.err


def test_compare_writes_rows_and_a_page(whet: Whet, tmp_path: Path):
    runs = [str(one) for one in two(tmp_path, 120, broke=range(7), fixed=range(7, 10))]
    table, page = tmp_path / "rows.csv", tmp_path / "page.html"
    answer = whet(["compare", *runs, "--rows", str(table), "--html", str(page)])
    assert answer.code == 0, answer.err
    assert "new/full beside old/full, row by row: 7 broke, 3 fixed." in answer.out
    assert "option" in answer.out and "lora" in answer.out
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [row["change"] for row in rows] == ["broke"] * 7 + ["fixed"] * 3
    assert rows[0]["run"] == "new/full" and rows[0]["against"] == "old/full"
    assert "Runs side by side" in page.read_text(encoding="utf-8")
    told = json.loads(whet(["compare", *runs, "--json", "--html", str(page)]).out)
    assert told["html"] == str(page) and told["rows"] is None


def test_an_ending_that_says_no_format_is_refused_at_once(whet: Whet, tmp_path: Path):
    runs = [str(one) for one in two(tmp_path, 60)]
    answer = whet(["compare", *runs, "--rows", str(tmp_path / "rows.txt")])
    assert answer.code == 2 and "F017" in answer.err


def test_gate_on_trained_runs(whet: Whet, runs: Runs):
    """Models that are kept are timed; what the tiny ones are worth decides nothing here."""
    answer = whet(["gate", str(runs.finished("full")), "--against", str(runs.finished("probe")), "--json"])
    assert answer.code in (0, 1), answer.err
    found = {one["name"]: one for one in json.loads(answer.out)["outcomes"]}
    assert set(found) == {"quality", "flips", "flips in slices", "calibration", "forgetting", "latency"}
    timed = found["latency"]
    assert timed["value"] is not None or "not kept as a model" in timed["message"]
