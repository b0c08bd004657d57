from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whet.errors import UserError
from whet.store.folder import FILES, is_gone, read_folder, stamp_of
from whet.store.rows import ScoreRow

from .runfolders import RECIPE, SCORES, make_run, score, state, write


def codes(error: pytest.ExceptionInfo[UserError]) -> list[str]:
    return [problem.code for problem in error.value.problems]


def test_every_column_comes_from_the_files(tmp_path: Path) -> None:
    record = read_folder(make_run(tmp_path / "run"))
    run = record.run
    assert record.problems == ()
    assert (run.id, run.name, run.state, run.whet) == ("00c0ffee", "tickets", "finished", "0.1.0")
    assert run.folder == tmp_path / "run"
    assert run.started_at == datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert run.finished_at == datetime(2026, 3, 1, 10, 5, 30, 250000, tzinfo=UTC)
    assert run.started_at.tzinfo is UTC
    assert (run.task, run.base, run.seed, run.data) == ("text-classification", "minilm", 7, "tickets")
    assert run.method == "probe+full"  # the recipe says auto
    assert run.num_train_rows == 4990
    assert (run.split, run.metric, run.verdict, run.ship) == ("test", "accuracy", "ship", "probe")
    assert run.recipe_hash == hashlib.sha256(RECIPE.encode()).hexdigest()


def test_scores_of_every_split_are_read(tmp_path: Path) -> None:
    found = set(read_folder(make_run(tmp_path)).scores)
    assert found == {
        ScoreRow("test", "majority", "accuracy", **score(0.25)),
        ScoreRow("test", "probe", "accuracy", **score(0.5)),
        ScoreRow("test", "probe", "macro_f1", **score(0.75)),
        ScoreRow("test", "full", "accuracy", **score(0.875)),
        ScoreRow("test without leaks", "full", "accuracy", **score(0.75)),
        ScoreRow("validation", "full", "accuracy", **score(0.625)),
    }


def test_a_run_that_just_began_has_a_state_and_nothing_else(tmp_path: Path) -> None:
    write(tmp_path / "state.json", {"id": "ab", "state": "running"})
    record = read_folder(tmp_path)
    assert record.problems == ()
    assert record.scores == ()
    assert record.run.name == tmp_path.name
    assert record.run.started_at is None
    assert record.run.recipe_hash is None


def test_a_metric_without_a_finite_value_has_no_row(tmp_path: Path) -> None:
    make_run(tmp_path)
    models = {"full": {"ece": {"value": None}, "mcc": {"value": 0.5, "low": None}, "f": 0.25, "n": {"value": 1e999}}}
    write(tmp_path / "scores.json", {"split": "test", "models": models})
    assert set(read_folder(tmp_path).scores) == {
        ScoreRow("test", "full", "mcc", 0.5),
        ScoreRow("test", "full", "f", 0.25),
    }


def test_a_run_scored_on_validation_has_each_score_once(tmp_path: Path) -> None:
    make_run(tmp_path)
    models = {"full": {"accuracy": score(0.5)}}
    write(tmp_path / "scores.json", {"split": "validation", "models": models, "validation": models})
    assert read_folder(tmp_path).scores == (ScoreRow("validation", "full", "accuracy", **score(0.5)),)


def test_a_folder_without_state_is_no_run(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(UserError) as caught:
            read_folder(folder)
        assert codes(caught) == ["S020"]


@pytest.mark.parametrize("content", ["", "{", "[1]", "\xff\xfe", "[" * 100_000, '{"id": 1e400'])
def test_a_damaged_state_is_an_error_that_names_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(UserError) as caught:
        read_folder(tmp_path)
    assert codes(caught) == ["S021"]
    assert str(tmp_path / "state.json") in str(caught.value)


@pytest.mark.parametrize("value", [{}, {"id": "a"}, {"id": 4, "state": "finished"}, {"id": "a", "state": "done"}])
def test_the_state_of_another_program_is_refused(tmp_path: Path, value: Any) -> None:
    write(tmp_path / "state.json", value)
    with pytest.raises(UserError) as caught:
        read_folder(tmp_path)
    assert codes(caught) == ["S022"]


def test_other_damaged_files_are_reported_and_their_columns_stay_empty(tmp_path: Path) -> None:
    make_run(tmp_path, started_at="yesterday")
    write(tmp_path / "scores.json", json.dumps(SCORES)[:-40])
    write(tmp_path / "verdict.json", "[]")
    write(tmp_path / "recipe.yaml", "task: [\n")
    (tmp_path / "data" / "ledger.json").unlink()
    (tmp_path / "data" / "ledger.json").mkdir()
    record = read_folder(tmp_path)
    assert [(problem.code, Path(problem.where).name) for problem in record.problems] == [
        ("S021", "recipe.yaml"),
        ("S021", "scores.json"),
        ("S021", "verdict.json"),
        ("S022", "state.json"),
        ("S021", "ledger.json"),
    ]
    run = record.run
    assert (run.started_at, run.metric, run.verdict, run.num_train_rows) == (None, None, None, None)
    assert run.task == "text-classification"  # as resolved
    assert run.finished_at is not None


def test_a_link_and_the_folder_behind_it_are_one_run(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    (tmp_path / "latest").symlink_to("run")
    assert read_folder(tmp_path / "latest").run == read_folder(tmp_path / "run").run


@pytest.mark.parametrize("name", [b"caf\xe9", b"nul\0"])
def test_a_path_that_is_no_text_is_refused(tmp_path: Path, name: bytes) -> None:
    with pytest.raises(UserError) as caught:
        read_folder(tmp_path / os.fsdecode(name))
    assert codes(caught) == ["S024"]
    str(caught.value).encode()


def test_the_stamp_changes_with_every_file_that_is_read(tmp_path: Path) -> None:
    make_run(tmp_path)
    seen = {stamp_of(tmp_path)}
    for name in FILES:
        (tmp_path / "new").write_bytes((tmp_path / name).read_bytes())
        os.replace(tmp_path / "new", tmp_path / name)  # as whet.files writes
        seen.add(stamp_of(tmp_path))
    assert len(seen) == 1 + len(FILES)


def test_only_a_missing_run_is_gone(tmp_path: Path) -> None:
    make_run(tmp_path / "run")
    assert not is_gone(tmp_path / "run")
    assert is_gone(tmp_path)
    assert is_gone(tmp_path / "run" / "state.json" / "below")
    assert not is_gone(tmp_path / ("x" * 300))  # the system gave another answer than "not there"


NAMES = ["id", "name", "state", "started_at", "split", "primary", "models", "value", "splits", "train", "kept", "ship"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["auto", "test"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(ANYTHING, min_size=4, max_size=4), torn=st.binary(max_size=20))
def test_whatever_the_files_hold_the_answer_is_a_record_or_a_problem(
    tmp_path: Path, parts: list[Any], torn: bytes
) -> None:
    first = parts[0]
    write(tmp_path / "state.json", state() | (first if isinstance(first, dict) else {}))
    for name, value in zip(("scores.json", "verdict.json", "data/ledger.json"), parts[1:], strict=True):
        write(tmp_path / name, json.dumps(value))
    (tmp_path / "recipe.yaml").write_bytes(torn)
    try:
        record = read_folder(tmp_path)
    except UserError as error:
        assert {problem.code for problem in error.problems} <= {"S021", "S022"}
    else:
        assert record.run.id
        str(record).encode()
