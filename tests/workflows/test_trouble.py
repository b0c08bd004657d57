"""What may go wrong while a run works: rows that change, too little memory, losses that are not finite."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import whet
from tests import made_rows
from tests.made_runs import Runs
from whet.errors import Interrupted, UserError
from whet.files import Lock
from whet.tasks.text_classification import ClassificationLoss
from whet.workflows import gathering, starting
from whet.workflows.fit import fit
from whet.workflows.training import not_better

from .contents import check_same, states

Loss = Callable[..., Any]


pytestmark = pytest.mark.usefixtures("no_report")


def fit_from_python(runs: Runs, kind: str, out: Path, **more: Any) -> whet.Run:
    options = {**{name.replace(".", "__"): value for name, value in runs.options(kind).items()}, **more}
    return whet.fit(options.pop("data__source"), **options, out=out)


def findings(run: Path) -> dict[str, dict[str, Any]]:
    """The last finding of every code."""
    return {one["code"]: one for one in json.loads((run / "findings.json").read_text())}


def facts(run: Path, model: str) -> dict[str, Any]:
    return dict(json.loads((run / "stages" / "facts" / f"{model}.json").read_text()))


# --- the source -----------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text("text,label\nnothing,left\n")])
def test_a_source_that_changes_after_reading_does_not_matter(runs: Runs, tmp_path: Path, change: Callable[[Path], Any]):
    """All that a run needs of its rows lies in its folder."""
    source = tmp_path / "messages.csv"
    source.write_bytes(runs.data().read_bytes())
    options = {name: value for name, value in runs.options("probe").items() if name != "data.source"}

    def changed(event: Any) -> None:
        row = event.to_json()
        if (row.get("stage"), row.get("state")) == ("read", "finished"):
            change(source)

    run = whet.fit(
        source, **{k.replace(".", "__"): v for k, v in options.items()}, out=tmp_path / "run", on_event=changed
    )
    assert run.scores == whet.open_run(runs.finished("probe")).scores


def test_a_source_that_changes_while_it_is_read(runs: Runs, tmp_path: Path):
    source = made_rows.single(tmp_path)

    def told(what: str, done: int, total: int | None) -> None:
        with source.open("a") as file:
            file.write("one more,card\n")

    recipe = starting.recipe_of({**runs.options("probe"), "data.source": str(source)}, None)
    _, folder = starting.start(recipe, tmp_path / "run")
    with pytest.raises(UserError) as raised:
        list(fit(recipe, folder, told, lambda: False))
    assert str(raised.value) == f"D010 {source}: changed while it was read. " + (
        "Wait until nothing writes to it, then start again."
    )
    assert not folder.path.exists()


# --- the folder -----------------------------------------------------------------------------------


def test_a_folder_in_use(runs: Runs, tmp_path: Path):
    """Another process is at work on it."""
    recipe = starting.recipe_of(runs.options("probe"), None)
    _, folder = starting.start(recipe, tmp_path / "run")
    with contextlib.suppress(Interrupted):
        list(fit(recipe, folder, lambda *_: None, lambda: True))
    with Lock(folder.path), pytest.raises(UserError) as raised:
        whet.resume(folder.path)
    assert str(raised.value).startswith(f"F020 {folder.path}: is in use by process {os.getpid()}.")
    assert states(folder.path) == "interrupted"


def test_a_mistake_of_ours_leaves_a_failed_run_that_can_go_on(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("whet.workflows.evaluating.score_all", lambda *_, **__: 1 / 0)
        fit_from_python(runs, "probe", run)
    assert states(run) == "failed"
    with pytest.raises(UserError, match=r"F015 .* is failed, not finished"):
        whet.open_run(run)
    whet.resume(run)
    check_same(run, runs.finished("probe"))


# --- memory ---------------------------------------------------------------------------------------


@pytest.fixture
def patched_loss(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[Loss, Any], Any]], None]]:
    """Puts something between the loss and who asks for it: a function of (the known loss, the batch)."""
    known = ClassificationLoss.__call__

    def put(instead: Callable[[Loss, Any], Any]) -> None:
        def call(self: ClassificationLoss, model: Any, batch: Any) -> Any:
            return instead(lambda: known(self, model, batch), batch)

        monkeypatch.setattr(ClassificationLoss, "__call__", call)

    yield put


def test_out_of_memory_makes_smaller_micro_batches(runs: Runs, tmp_path: Path, patched_loss: Any):
    """The same batch a step, cut smaller: bit for bit the run that was asked to cut it so."""
    sizes: list[int] = []

    def small(loss: Loss, batch: Any) -> Any:
        if batch.num_tokens > 100:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        sizes.append(batch.num_tokens)
        return loss()

    patched_loss(small)
    once: dict[str, Any] = {"training__batch_tokens": 256, "training__restarts": 0}
    run = fit_from_python(runs, "full", tmp_path / "run", **once)
    found = findings(run.path)["E004"]
    assert found["bin"] == "issue"
    assert found["place"] == "full"
    said = re.search(r"micro-batches of (\d+) tokens, not \d+; same batch \(2 times\)", found["message"])
    assert said is not None, found["message"]
    assert max(sizes) <= int(said[1])
    asked = fit_from_python(runs, "full", tmp_path / "asked", training__micro_batch_tokens=int(said[1]), **once)
    for name in ("predictions/full.test.parquet", "models/full/model.safetensors"):
        assert (run.path / name).read_bytes() == (asked.path / name).read_bytes()
    for name in ("steps", "tokens", "best_step"):
        assert facts(run.path, "full")[name] == facts(asked.path, "full")[name]


def test_out_of_memory_with_a_single_row(runs: Runs, tmp_path: Path, patched_loss: Any):
    def never(loss: Loss, batch: Any) -> Any:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    patched_loss(never)
    with pytest.raises(UserError) as raised:
        fit_from_python(runs, "full", tmp_path / "run")
    assert str(raised.value).startswith("T001 full: memory runs out even with one row at a time. Lower data.max_length")
    assert states(tmp_path / "run") == "failed"


# --- losses ---------------------------------------------------------------------------------------


def not_finite_at(steps: set[int]) -> Callable[[Loss, Any], Any]:
    """The loss of these calls, counted from 1, is not a number."""
    calls = 0

    def loss(known: Loss, batch: Any) -> Any:
        nonlocal calls
        found = known()
        if found.total.is_meta:  # a step without numbers, for the plan
            return found
        calls += 1
        if calls in steps:
            return type(found)(found.total * float("nan"), found.num_counted)
        return found

    return loss


def test_a_loss_that_is_not_finite_once(runs: Runs, tmp_path: Path, patched_loss: Any):
    patched_loss(not_finite_at({3}))
    run = fit_from_python(runs, "full", tmp_path / "run")
    found = findings(run.path)
    assert found["E001"]["message"] == "step 2 was skipped: its loss or gradient is not finite"
    assert "E002" not in found
    assert states(run.path) == "finished"


def test_losses_that_are_not_finite_several_times(runs: Runs, tmp_path: Path, patched_loss: Any):
    """After three in a row: back to the best state, with half the rate."""
    patched_loss(not_finite_at({3, 4, 5}))
    run = fit_from_python(runs, "full", tmp_path / "run", training__batch_tokens=256)
    found = findings(run.path)
    assert found["E001"]["message"].endswith("(3 times)")
    assert found["E002"]["message"].startswith("back to the state of step 0, with half the rate")
    assert facts(run.path, "full")["ended"] != "diverged"


def test_losses_that_are_never_finite(runs: Runs, tmp_path: Path, patched_loss: Any):
    """Training is given up, the state it began with is kept, and the run ends with its evidence."""
    patched_loss(not_finite_at(set(range(1, 1000))))
    run = fit_from_python(runs, "full", tmp_path / "run", training__batch_tokens=64, training__restarts=0)
    codes = [(one["code"], one["bin"]) for one in json.loads((run.path / "findings.json").read_text())]
    assert codes.count(("E002", "issue")) == 2
    given_up = findings(run.path)["E002"]["message"]
    assert given_up.startswith("Training was given up after 9 steps, its losses no longer finite")
    assert "of step 0, was kept" in given_up
    assert facts(run.path, "full")["ended"] == "diverged"
    assert run.scores["full"].keys() == run.scores["probe"].keys()


# --- nothing learnt, and no time ------------------------------------------------------------------


def test_a_run_that_learns_nothing_is_started_again(runs: Runs, tmp_path: Path):
    """Labels that have nothing to do with the texts, a head drawn at random, and a rate that moves nothing."""
    texts = [text for text, _ in made_rows.texts(120, seed=9)]
    rows = [(text, "often" if number % 10 < 7 else "seldom") for number, text in enumerate(texts)]
    source = made_rows.write_csv(tmp_path / "rows.csv", ["text", "label"], list(rows))
    run = whet.fit(
        source,
        base=str(runs.base()),
        method="full",
        out=tmp_path / "run",
        evaluation__resamples=100,
        head__start="random",
        training__learning_rate=1e-9,
        training__epochs=1.0,
        training__restarts=2,
    )
    found = findings(run.path)["E003"]
    assert found["message"].startswith("attempt 3 was not better than always saying the same (accuracy ")
    assert found["message"].endswith("(3 times)")
    assert found["bin"] == "issue"
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    assert [one["attempt"] for one in events if one["kind"] == "end"] == [0, 1, 2]
    assert run.verdict["ship"] != "full"


def test_a_time_limit_is_found(runs: Runs, tmp_path: Path):
    run = fit_from_python(runs, "full", tmp_path / "run", training__max_seconds=1e-6, training__restarts=0)
    assert facts(run.path, "full")["ended"] == "max_seconds"
    assert facts(run.path, "full")["steps"] == 1
    assert findings(run.path)["E005"]["message"].startswith("Training stopped at its time limit, after 1 steps")


def test_early_stopping_is_found(runs: Runs, tmp_path: Path):
    run = fit_from_python(
        runs, "full", tmp_path / "run", training__epochs=30.0, training__patience=1, training__learning_rate=1e-9
    )
    assert facts(run.path, "full")["ended"] == "patience"
    assert findings(run.path)["E007"]["bin"] == "passed"


def test_an_index_that_cannot_be_used_is_said_and_stops_nothing(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The folder is the run; the index only lists it."""
    monkeypatch.setenv("WHET_STORE", "nonsense")
    said: list[dict[str, Any]] = []
    options = {name.replace(".", "__"): value for name, value in runs.options("probe").items()}
    run = whet.fit(
        options.pop("data__source"),
        **options,
        out=tmp_path / "run",
        on_event=lambda event: said.append(event.to_json()),
    )
    assert states(run.path) == "finished"
    assert [one["message"][:4] for one in said if one["kind"] == "said" and "WHET_STORE" in one["message"]] == ["S001"]


@pytest.mark.parametrize(
    ("metric", "floor", "level"),
    [("accuracy", 0.6667, "accuracy 66.7"), ("r2", 0.0, "R² 0.000"), ("spearman", 0.0, "Spearman 0.000")],
)
def test_what_saying_the_same_gets_is_written_as_its_metric_is(metric: str, floor: float, level: str):
    """R² is no percentage."""
    assert not_better(0, metric, floor) == f"attempt 1 was not better than always saying the same ({level})"


def test_each_model_that_kept_nothing_of_its_training_is_named() -> None:
    """E014 stood there twice, and nobody could tell of whom."""
    facts = {"best_step": 0, "steps": 9, "ended": "completed"}
    found = list(gathering._endings({"full": facts, "distilled": facts}))
    assert [one.code for one in found] == ["E014", "E014"]
    assert [one.message.partition(":")[0] for one in found] == ["full", "distilled"]
