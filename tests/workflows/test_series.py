"""Several trainings from one recipe: carried out, stopped, gone on with, failed, and held against controls."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

import whet
from tests import made_rows, made_runs
from tests.made_models import WORDS, make_base
from whet.cli.app import app
from whet.cli.live import render
from whet.data.forms import Examples, Shape, writing
from whet.data.predictions import load as load_predictions
from whet.data.row_form import Choice
from whet.errors import Interrupted, UserError
from whet.evaluation.controls import Held
from whet.files import write_json
from whet.folder import RunFolder
from whet.recipe import from_options, load
from whet.seeds import generator
from whet.store.index import open_store
from whet.workflows import controlling, making, preparing, selecting, starting, training, using
from whet.workflows.fit import fit
from whet.workflows.nodes import Node, nodes_of
from whet.workflows.running import Running
from whet.workflows.series import Series, _take_rows

QUICK = "{resamples: 100, label_noise: false}"


@pytest.fixture(autouse=True)
def drawn_without(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The pages of single runs have tests of their own."""
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
    yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked language model, texts of a domain, and labelled rows."""
    root = tmp_path_factory.mktemp("series")
    base = make_base(root / "base", "bert", language=True)
    path = base / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mask_token": "<unk>"}))
    texts = [" ".join(str(w) for w in generator(0, "pool", row).choice(WORDS, 12)) for row in range(90)]
    (root / "pool.txt").write_text("\n".join(texts) + "\n")
    made_rows.single(root)
    return root


def written(place: Path, name: str, more: str = "", adapt: str = "", sort: str = "") -> Path:
    path = place / f"{name}.yaml"
    path.write_text(
        f"base: {place / 'base'}\n"
        "method: full\n"
        f"evaluation: {QUICK}\n"
        "forgetting: {measure: false}\n"
        "training: {epochs: 2, learning_rate: 0.01}\n"
        f"{more}"
        "stages:\n"
        "  - name: adapt\n"
        "    task: fill-mask\n"
        "    method: full\n"
        f"    data: {{source: {place / 'pool.txt'}}}\n"
        f"    evaluation: {QUICK}\n"
        "    forgetting: {measure: false}\n"
        "    training: {epochs: 2, learning_rate: 0.005}\n"
        f"{adapt}"
        "  - name: sort\n"
        f"    data: {{source: {place / 'messages.csv'}}}\n"
        f"{sort}"
    )
    return path


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def chain(place: Path) -> Iterator[whet.Run]:
    with made_runs.quiet_machine(place / "store.sqlite"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
        chosen = "    selection: {way: dsir, rows: 30}\n"
        yield whet.fit(written(place, "chain", adapt=chosen), out=place / "chain")


def test_each_stage_is_a_whole_run(chain: whet.Run, place: Path):
    for name, task in (("adapt", "fill-mask"), ("sort", "text-classification")):
        folder = RunFolder(chain.path / "runs" / name)
        assert folder.read_state()["state"] == "finished"
        assert load(folder.recipe).task == task and folder.model.is_dir() and folder.scores.exists()
    begun_from = load(RunFolder(chain.path / "runs" / "sort").recipe).base
    assert begun_from == str((chain.path / "runs" / "adapt" / "model").resolve())


def test_the_second_stage_begins_from_what_the_first_learnt(chain: whet.Run, place: Path):
    """The probe leaves its base as it is: it must be that of the first stage's model."""
    from safetensors.numpy import load_file

    sort = RunFolder(chain.path / "runs" / "sort")
    probe = using.kept_models(sort)["probe"]
    name = "bert.encoder.layer.0.attention.self.query.weight"
    began, tuned, last = (
        load_file(path / "model.safetensors")[name]
        for path in (place / "base", chain.path / "runs" / "adapt" / "model", probe)
    )
    assert np.array_equal(last, tuned) and not np.array_equal(began, tuned)


def test_the_whole_answers_by_its_last_stage(chain: whet.Run, place: Path):
    texts = ["where is my order", "my card was charged"]
    found = [one.label for one in chain.predict(texts)]
    assert found == [one.label for one in whet.open_run(chain.path / "runs" / "sort").predict(texts)]
    (place / "new.txt").write_text("\n".join(texts) + "\n")
    said = list(using.predict(chain.path, str(place / "new.txt"), Choice(), lambda *_: None))
    assert [one.answer.label for one in said] == found


def test_the_summary_has_a_row_for_each_stage(chain: whet.Run):
    found = chain.summary
    assert [one["name"] for one in found["stages"]] == ["adapt", "sort"]
    adapt, sort = found["stages"]
    assert adapt["rows"]["train"] == 30 and adapt["metric"] == "token_nats" and sort["metric"] == "accuracy"
    assert sort["from"] == "adapt" and sort["score"]["low"] <= sort["score"]["value"] <= sort["score"]["high"]
    assert sort["size_bytes"] > 0 and sort["tokens"] > 0 and adapt["why"] is None
    assert found["scores"] == read(chain.path / "runs/sort/scores.json")["models"]
    assert found["verdict"] == chain.verdict and found["controls"] is None
    assert "X003" in [one.code for one in chain.findings]
    page = chain.report.read_text()
    assert "What came of each stage" in page and "adapt" in page and "Test texts seen before" in page


def test_the_index_lists_the_whole_and_not_its_stages(chain: whet.Run, place: Path):
    with open_store(f"sqlite:///{place / 'store.sqlite'}") as store:
        rows = [row for row in store.runs() if place / "chain" in (row.folder, *row.folder.parents)]
    assert [(row.name, row.state, row.metric) for row in rows] == [("chain", "finished", "accuracy")]
    assert rows[0].score is not None


def test_rows_are_chosen_for_the_task_and_all_of_them_stand_on_record(chain: whet.Run):
    data = chain.path / "runs" / "adapt" / "data"
    told, ledger = read(data / "selection.json"), read(data / "ledger.json")["splits"]["train"]
    assert (told["way"], told["chosen"], told["pool"]) == ("dsir", 30, 54)
    assert told["target"].endswith("runs/sort") and told["target_rows"] == 72
    table = pq.read_table(data / "selection.parquet").to_pydict()
    assert len(table["row"]) == 54 and sum(table["chosen"]) == 30
    assert ledger["read"] == ledger["kept"] + sum(one["count"] for one in ledger["dropped"])
    assert {one["code"]: one["count"] for one in ledger["dropped"]} == {"D091": 24}
    weights, chosen = np.asarray(table["weight"]), np.asarray(table["chosen"])
    assert told["mean_weight_chosen"] == pytest.approx(weights[chosen].mean())
    assert told["most_like"][0]["weight"] == pytest.approx(weights.max(), abs=1e-3)
    assert not (data / "pool.arrow").exists()
    findings = read(chain.path / "runs" / "adapt" / "findings.json")
    assert "X002" in [one["code"] for one in findings]


def test_stopped_and_gone_on_with_it_is_as_never_stopped(chain: whet.Run, place: Path, tmp_path: Path):
    """Stopped in the first stage and again in the second."""
    recipe = load(place / "chain.yaml")
    _, folder = starting.start(recipe, tmp_path / "run")
    for limit in (10, 14):
        asked = 0

        def should_stop(limit: int = limit) -> bool:
            nonlocal asked
            asked += 1
            return asked > limit

        with pytest.raises(Interrupted):
            list(fit(recipe, folder, lambda *_: None, should_stop))
        assert folder.read_state()["state"] == "interrupted"
    whet.resume(folder.path)
    for name in ("adapt", "sort"):
        for split in ("validation", "test"):
            here, there = (
                load_predictions(RunFolder(run / "runs" / name).predictions("full", split))
                for run in (folder.path, chain.path)
            )
            assert here.ids.tolist() == there.ids.tolist()
            for field in ("scores", "nats"):
                if hasattr(here, field):
                    assert np.array_equal(getattr(here, field), getattr(there, field))
    for name in ("adapt", "sort"):
        weights = "runs/" + name + "/model/model.safetensors"
        assert (folder.path / weights).read_bytes() == (chain.path / weights).read_bytes()
    with pytest.raises(UserError, match="F014"):
        whet.resume(folder.path)


def test_a_stage_begins_from_what_was_trained_and_not_from_what_ships(place: Path, tmp_path: Path):
    """The verdict of the first stage ships its probe, whose trunk is the untouched base."""
    series = Series(load(written(place, "untouched")), RunFolder(tmp_path), lambda *_: None, lambda: False, fit)
    first, last = series.place("adapt"), series.by_name["sort"]
    foreseen = series.final(last, foreseen=True).base
    for name, known in (
        ("scores.json", {"models": {"probe": {}, "full": {}}}),
        ("shipped.json", {"model": "probe"}),
        ("resolved.yaml", {"method": {"value": "full", "reason": ""}}),
    ):
        write_json(first.path / name, known)
    (first.models / "full").mkdir(parents=True)
    assert series.final(last).base == str(first.models / "full")
    write_json(first.path / "scores.json", {"models": {"probe": {}, "full": {}, "distilled": {}}})
    (first.models / "distilled").mkdir()
    assert series.final(last).base == str(first.models / "distilled")
    assert foreseen == series.final(last, foreseen=True).base == str(first.model)


def test_a_series_that_was_moved_answers_by_an_adapter_upon_the_model_of_a_stage(place: Path, tmp_path: Path):
    texts = ["where is my order", "my card was charged"]
    more = "    method: lora\n    lora: {rank: 2}\n"
    run = whet.fit(written(place, "adapter", sort=more), out=tmp_path / "here")
    sort = run.path / "runs" / "sort"
    adapters = [one.parent for one in (sort / "model", *sort.glob("models/*")) for one in one.glob("adapter_model.*")]
    assert adapters, "it is an adapter that is kept"
    before = using.open_model(adapters[0]).about.base
    assert before == str(run.path / "runs" / "adapt" / "model")
    said = [one.label for one in run.predict(texts)]
    (tmp_path / "there").mkdir()
    moved = Path(shutil.move(run.path, tmp_path / "there" / "moved"))
    assert [one.label for one in whet.open_run(moved).predict(texts)] == said
    there = moved / adapters[0].relative_to(run.path)
    model = using.open_model(there)
    assert model.about.base == str(moved / "runs" / "adapt" / "model")


# --- what is refused, and what fails ------------------------------------------------------------------


def test_what_is_wrong_with_any_stage_is_told_before_one_trains(place: Path, tmp_path: Path):
    path = written(place, "wrong", adapt="    selection: {way: dsir, rows: 5000}\n", sort="    head: {pooling: mean}\n")
    path.write_text(path.read_text().replace("messages.csv", "nowhere.csv"))
    with pytest.raises(UserError) as caught:
        whet.fit(path, out=tmp_path / "run")
    found = {one.code: one.where for one in caught.value.problems}
    assert "stage 'adapt'" in found["D090"] and "stage 'sort'" in found["D001"]
    assert not (tmp_path / "run").exists()


def test_a_stage_that_needs_one_that_failed_is_not_begun(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = written(place, "failing")
    recipe = load(path)
    _, folder = starting.start(recipe, tmp_path / "run")

    def broken(*_: Any) -> Any:
        raise UserError(whet.Problem("T001", "full", "memory runs out."))

    with monkeypatch.context() as patch:
        patch.setattr("whet.workflows.training.fine_tune", broken)
        with pytest.raises(UserError) as caught:
            list(fit(recipe, folder, lambda *_: None, lambda: False))
    told = {one.code: one for one in caught.value.problems}
    assert "stage 'adapt'" in told["T001"].where and "needs 'adapt', which failed" in told["F030"].what
    assert "whet resume" in told["F030"].remedy
    stages = {one["name"]: one for one in read(folder.path / "stages.json")["stages"]}
    assert stages["adapt"]["state"] == "failed" and "needs 'adapt'" in stages["sort"]["why"]
    assert folder.read_state()["state"] == "failed"
    assert "memory runs out" in (folder.path / "report.html").read_text()
    with pytest.raises(UserError, match="F015"):
        using.answering(folder.path)
    shutil.rmtree(folder.path)


def test_a_control_that_failed_leaves_the_evidence_and_is_gone_on_with(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recipe = load(written(place, "half", more="controls: {kinds: [none], seeds: 2}\n"))
    _, folder = starting.start(recipe, tmp_path / "run")
    fine_tune = training.fine_tune

    def broken(run: Running, name: str) -> Any:
        if run.folder.path.name == "sort.none.1":
            raise UserError(whet.Problem("T001", "full", "memory runs out."))
        yield from fine_tune(run, name)

    with monkeypatch.context() as patch, pytest.raises(UserError, match="T001"):
        patch.setattr("whet.workflows.training.fine_tune", broken)
        list(fit(recipe, folder, lambda *_: None, lambda: False))
    assert folder.read_state()["state"] == "failed" and folder.verdict.exists()
    assert read(folder.path / "controls.json")["controls"][0]["failed"] == 1
    assert using.answering(folder.path).model and using.open_model(folder.path).task == "text-classification"
    kept = (folder.path / "runs/sort/verdict.json").stat().st_mtime_ns
    whet.resume(folder.path)
    assert folder.read_state()["state"] == "finished"
    assert read(folder.path / "controls.json")["controls"][0]["failed"] == 0
    assert (folder.path / "runs/sort/verdict.json").stat().st_mtime_ns == kept, "what was finished is not done again"


def test_a_stage_teaches_another_one_on_texts_without_labels(place: Path, tmp_path: Path):
    path = tmp_path / "taught.yaml"
    options = f"evaluation: {QUICK}\nforgetting: {{measure: false}}\ntraining: {{epochs: 1, learning_rate: 0.01}}\n"
    learnt = f"{{teacher: knows, unlabelled: {place / 'pool.txt'}}}"
    path.write_text(
        f"base: {place / 'base'}\nmethod: full\n{options}data: {{source: {place / 'messages.csv'}}}\n"
        "task: text-classification\n"
        f"stages:\n  - name: knows\n  - {{name: learns, base: {place / 'base'}, distillation: {learnt}}}\n"
    )
    run = whet.fit(path, out=tmp_path / "run")
    assert len(read(run.path / "runs/learns/data/unlabelled.json")["texts"]) == 90
    assert read(run.path / "runs/learns/teacher/teacher.json")["unlabelled"] == 90


def test_a_teacher_that_is_a_stage_is_looked_at_before_it_is_asked(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """When rows were read it was not there, and what was foreseen of it is looked at again."""
    asked: list[str] = []
    monkeypatch.setattr("whet.workflows.distilling.refuse_teacher", lambda run: asked.append("looked at"))
    monkeypatch.setattr("whet.workflows.distilling.ask", lambda run: iter(asked.append("asked") or ()))
    options = {"data.source": "rows.csv", "distillation.teacher": "knows"}
    run = Running(from_options(options), RunFolder(tmp_path), lambda *_: None, lambda: False)
    list(making.ready(run))
    assert asked == ["looked at", "asked"]


def refused(place: Path, tmp_path: Path, *stages: dict[str, Any]) -> UserError:
    """What a series of these stages is stopped by; that none of them was begun is held, too."""
    few = {"method": "full", "evaluation": {"resamples": 100, "label_noise": False}, "forgetting": {"measure": False}}
    path = tmp_path / "refused.yaml"
    path.write_text(yaml.safe_dump({"base": str(place / "base"), "stages": [{**few, **one} for one in stages]}))
    with pytest.raises(UserError) as caught:
        whet.fit(path, out=tmp_path / "run")
    assert not (tmp_path / "run").exists(), "nothing was trained"
    return caught.value


def drawn(number: int) -> str:
    """A text of its own."""
    return " ".join(str(word) for word in generator(0, "drawn", number).choice(WORDS, 8))


def of_text(place: Path, **more: Any) -> dict[str, Any]:
    return {"task": "fill-mask", "data": {"source": str(place / "pool.txt")}, **more}


def test_a_teacher_of_another_vocabulary_is_refused_before_it_is_trained(place: Path, tmp_path: Path):
    """Its own tokens, those of another base, and those that a stage before it added to its base."""
    other = make_base(tmp_path / "other", "distilbert", language=True)
    words = other / "tokenizer.json"
    words.write_text(words.read_text().replace('"refund"', '"rebate"').replace('"order"', '"parcel"'))
    path = other / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mask_token": "<unk>"}))
    learns = of_text(place, name="learns", base=str(place / "base"), distillation={"teacher": "knows"})
    knows = of_text(place, name="knows", base=str(other))
    (problem,) = refused(place, tmp_path, knows, learns).problems
    assert problem.code == "T023" and problem.where.startswith("stage 'learns', ")
    assert "'knows' has another vocabulary" in problem.what
    assert problem.option == "distillation.teacher"
    first = of_text(place, name="first", vocabulary={"add": ["parcel"]})
    (problem,) = refused(place, tmp_path, first, of_text(place, name="knows"), learns).problems
    assert problem.code == "T023"


def test_a_teacher_of_other_rows_or_with_a_shorter_limit_is_refused_before_it_is_trained(place: Path, tmp_path: Path):
    learns = {"name": "learns", "base": str(place / "base"), "distillation": {"teacher": "knows"}}
    short = of_text(place, name="knows", data={"source": str(place / "pool.txt"), "max_length": 8})
    assert [one.code for one in refused(place, tmp_path, short, of_text(place, **learns)).problems] == ["T024"]
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("text,other,label\n" + "".join(f"{drawn(n)},{drawn(n + 60)},{'ab'[n % 2]}\n" for n in range(60)))
    single = tmp_path / "single.csv"
    single.write_text("text,label\n" + "".join(f"{drawn(n)},{'ab'[n % 2]}\n" for n in range(60)))
    knows = {"name": "knows", "task": "text-classification", "data": {"source": str(pairs), "text_pair": "other"}}
    task = {"task": "text-classification", "data": {"source": str(single)}}
    (problem,) = refused(place, tmp_path, knows, {**task, **learns}).problems
    assert problem.code == "T021" and "reads pairs of texts" in problem.what
    several = tmp_path / "several.jsonl"
    rows = [{"text": drawn(n), "label": [["a"], ["b"], ["a", "b"]][n % 3]} for n in range(60)]
    several.write_text("".join(json.dumps(one) + "\n" for one in rows))
    knows = {"name": "knows", "task": "text-classification", "data": {"source": str(several)}}
    (problem,) = refused(place, tmp_path, knows, {**task, **learns}).problems
    assert problem.code == "T021" and "several labels a row" in problem.what


def test_a_teacher_on_another_scale_is_refused_before_it_is_trained(place: Path, tmp_path: Path):
    def scored(name: str, most: int) -> dict[str, Any]:
        path = tmp_path / f"{name}.csv"
        rows = [f"{drawn(n)},{drawn(n + 60)},{n % (most + 1)}\n" for n in range(60)]
        path.write_text("one,other,score\n" + "".join(rows))
        data = {"source": str(path), "text": "one", "text_pair": "other", "label": "score"}
        return {"name": name, "task": "sentence-similarity", "data": data, "similarity": {"encoder": "cross"}}

    learns = {**scored("learns", 5), "base": str(place / "base"), "distillation": {"teacher": "knows"}}
    (problem,) = refused(place, tmp_path, scored("knows", 1), learns).problems
    assert problem.code == "T022" and "scores from 0 to 1, these rows from 0 to 5" in problem.what


def test_a_student_is_made_of_the_model_of_the_stage_before(place: Path, tmp_path: Path):
    """When it was looked at that model was not there."""
    from safetensors.numpy import load_file

    run = whet.fit(written(place, "smaller", sort="    student: {layers: 1}\n"), out=tmp_path / "run")
    name = "bert.embeddings.word_embeddings.weight"
    adapted = load_file(run.path / "runs/adapt/model/model.safetensors")[name]
    (made,) = (run.path / "runs/sort/base").glob("*.safetensors")
    found = {key: value for key, value in load_file(made).items() if key.endswith("word_embeddings.weight")}
    assert np.array_equal(next(iter(found.values())), adapted)


# --- choosing rows ------------------------------------------------------------------------------------


def begun(place: Path, folder: Path, **chosen: Any) -> Running:
    """A run whose rows are read."""
    options = {f"selection.{name}": value for name, value in chosen.items()}
    known = {"task": "fill-mask", "base": str(place / "base"), "data.source": str(place / "pool.txt")}
    run = Running(from_options({**known, **options}), RunFolder(folder), lambda *_: None, lambda: False)
    list(preparing.read(run))
    return run


def test_the_nearest_are_chosen_by_vectors_of_the_base(place: Path, tmp_path: Path):
    run = begun(place, tmp_path / "run", way="nearest", rows=10, target=str(place / "messages.csv"), neighbours=3)
    pool = run.examples("train").texts(range(54))
    list(selecting.select(run))
    target = selecting.target_texts(str(place / "messages.csv"), run)
    cosines = run.embed(pool) @ run.embed(target).T
    wanted = np.sort(np.argsort(-np.sort(cosines, axis=1)[:, -3:].mean(1), kind="stable")[:10])
    assert run.examples("train").texts(range(10)) == [pool[row] for row in wanted] and len(target) == 120
    assert read(tmp_path / "run" / "data" / "selection.json")["neighbours"] == 3


def test_choosing_that_was_cut_off_leaves_the_same(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    known = {"way": "dsir", "share": 0.5, "target": str(place / "messages.csv")}
    whole = begun(place, tmp_path / "whole", **known)
    list(selecting.select(whole))
    cut = begun(place, tmp_path / "cut", **known)
    with monkeypatch.context() as patch:  # the pool lies aside, and nothing in its place yet
        patch.setattr(selecting, "distribute", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            list(selecting.select(cut))
    again = Running(cut.recipe, cut.folder, cut.tell, cut.should_stop)
    list(selecting.select(again))
    for name in ("train.arrow", "ledger.json", "selection.json"):
        assert (tmp_path / "cut" / "data" / name).read_bytes() == (tmp_path / "whole" / "data" / name).read_bytes()
    assert len(again.examples("train")) == 27


def test_of_a_target_the_training_rows_count(place: Path, tmp_path: Path):
    """Of a stage's own file, of a folder with splits, and of a finished series."""
    chosen = f"    selection: {{way: dsir, rows: 30, target: {place / 'messages.csv'}}}\n"
    series = Series(load(written(place, "own", adapt=chosen)), RunFolder(tmp_path), lambda *_: None, lambda: False, fit)
    adapt = series.by_name["adapt"]
    assert series.final(adapt).selection.target == str(place / "messages.csv"), "its rows are not read yet"
    with writing(series.place("sort").data / "train.arrow", Shape(())) as writer:
        writer.write_rows("some.csv", [1], {"text": ["of the series"]})
    assert series.final(adapt).selection.target == str(series.place("sort").path)

    run = begun(place, tmp_path / "run", way="dsir", target="there")
    write_json(tmp_path / "state.json", {"state": "finished", "answers": "runs/sort"})
    assert selecting.target_texts(str(tmp_path), run) == ["of the series"]
    for split in ("train", "test"):
        (tmp_path / "splits").mkdir(exist_ok=True)
        (tmp_path / "splits" / f"{split}.csv").write_text(f"text,label\na text to {split},one\n")
    assert selecting.target_texts(str(tmp_path / "splits"), run) == ["a text to train"]


def test_a_target_without_texts_is_refused(place: Path, tmp_path: Path):
    run = begun(place, tmp_path / "run", way="dsir", target=str(tmp_path / "empty"))
    with writing(tmp_path / "empty" / "data" / "train.arrow", Shape(())) as writer:
        writer.write_rows("none.txt", [1], {"text": [" "]})
    with pytest.raises(UserError, match="D092"):
        list(selecting.select(run))


# --- rows that were seen before -----------------------------------------------------------------------


def seen(monkeypatch: pytest.MonkeyPatch, nodes: list[Node], rows: dict[str, Any], together: bool = False) -> Any:
    """X003 of stages with these training and test rows."""

    def reopened(folder: Path) -> Any:
        return SimpleNamespace(
            splits=dict(zip(("train", "test"), map(examples, rows[folder.parent.name]), strict=True))
        )

    def examples(texts: list[Any]) -> Examples:
        if any(isinstance(one, tuple) for one in texts):
            columns = {"text": [one for one, _ in texts], "text_pair": [other for _, other in texts]}
            return Examples.of(columns, Shape((("text_pair", pa.string()),)))
        return Examples.of({"text": texts}, Shape(()))

    monkeypatch.setattr(controlling.reading, "reopen", reopened)
    return controlling.seen_before(nodes, lambda name: RunFolder(Path(name)), together)


def test_test_rows_are_looked_for_among_all_that_the_model_learnt_from(monkeypatch: pytest.MonkeyPatch):
    sort = from_options({"data.source": "rows.csv"})
    adapt = from_options({"data.source": "texts.txt", "task": "fill-mask"})
    nodes = [
        Node("adapt", "adapt", adapt),
        Node("first", "first", sort, {"base": "adapt"}),
        Node("beside", "beside", sort),
        Node("teacher", "teacher", sort),
        Node("last", "last", sort, {"base": "first", "distillation.teacher": "teacher"}),
    ]
    rows: dict[str, Any] = {
        "adapt": (["a text"], []),
        "first": (["known to first", "other"], []),
        "beside": (["known to nobody"], []),
        "teacher": (["known to the teacher"], []),
        "last": (["own"], ["Known to first.", "known to nobody", "known to the teacher", "new"]),
    }
    (found,) = seen(monkeypatch, nodes, rows)
    assert (found.bin, found.place, found.evidence["rows"]) == ("issue", "last", 2)
    assert found.evidence["each"] == {"adapt": 0, "first": 1, "teacher": 1}
    rows["last"] = (["own"], ["known to nobody", "new"])
    (found,) = seen(monkeypatch, nodes, rows)
    assert found.bin == "passed"
    assert found.message == (
        "No test row of last stands among the training texts of adapt (without labels) and the training rows of first "
        "and the training rows of teacher."
    )
    assert seen(monkeypatch, nodes[:1], rows) == []


def test_texts_of_pairs_are_looked_for_by_themselves_and_tasks_among_each_other(monkeypatch: pytest.MonkeyPatch):
    one = from_options({"data.source": "rows.csv"})
    nodes = [Node("pairs", "pairs", one), Node("texts", "texts", one)]
    rows: dict[str, Any] = {
        "pairs": ([("a long context", "yes")], [("a known context", "no"), ("a new context", "yes")]),
        "texts": (["a known context", "yes"], ["a long context", "something else"]),
    }
    found = {one.place: one for one in seen(monkeypatch, nodes, rows, together=True)}
    assert {name: one.evidence["rows"] for name, one in found.items()} == {"pairs": 1, "texts": 1}
    assert found["pairs"].evidence["examples"] == ["a known context"]


# --- the command --------------------------------------------------------------------------------------


def test_every_command_that_meets_such_a_folder_knows_it(chain: whet.Run, place: Path, tmp_path: Path):
    (tmp_path / "new.txt").write_text("where is my order\n")
    told = {
        ("report", str(chain.path)): "report.html",
        ("show", str(chain.path), "--rows", "1"): "rows of train",
        ("predict", str(chain.path), str(tmp_path / "new.txt")): '"label"',
        ("evaluate", str(chain.path), str(place / "messages.csv"), "--json"): '"accuracy"',
    }
    for words, expected in told.items():
        found = CliRunner().invoke(app, list(words))
        assert found.exit_code == 0, (words, found.output, found.exception)
        assert expected in found.output, words
    found = CliRunner().invoke(app, ["plan", str(place / "chain.yaml")])
    assert isinstance(found.exception, UserError) and "R058" in str(found.exception)
    advised = re.search(r"Ask about one of them: whet (plan .*) \('sort'", str(found.exception))
    assert advised is not None
    found = CliRunner().invoke(app, [*shlex.split(advised[1]), "--no-trial"])
    assert found.exit_code == 0, (advised[1], found.output, found.exception)


def test_the_model_that_is_named_at_the_end_is_there(chain: whet.Run):
    told = io.StringIO()
    render(Console(file=told, width=500), RunFolder(chain.path), chain.summary)
    named = Path(re.search(r"^model: +(.*?) *$", told.getvalue(), re.MULTILINE)[1])  # type: ignore[index]
    assert named == chain.path / "runs" / "sort" / "model" and named.is_dir()


def test_the_flag_asks_for_all_controls(place: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[Any] = []
    monkeypatch.setattr("whet.workflows.starting.start", lambda recipe, out: asked.append(recipe))
    monkeypatch.setattr("whet.cli.live.carry_out", lambda begin, as_json: begin())
    found = CliRunner().invoke(app, ["fit", str(written(place, "flag")), "--controls"])
    assert found.exit_code == 0, found.output
    assert asked[0].controls.kinds == ["none", "irrelevant", "equal-compute"] and len(asked[0].stages) == 2


# --- controls -----------------------------------------------------------------------------------------


def test_the_nodes_of_controls(place: Path):
    path = written(place, "plan", more="controls: {kinds: [none, irrelevant, equal-compute], seeds: 2}\n")
    nodes = {one.name: one for one in nodes_of(load(path))}
    assert len(nodes) == 2 + 2 + 2 * (1 + 2 + 1)
    base = str(place / "base")
    assert nodes["sort.none.1"].recipe.base == base and nodes["sort.none.1"].needs == {}
    assert nodes["sort.irrelevant.0"].needs == {"base": "adapt.irrelevant.0"}
    assert nodes["sort.adapted.1"].needs == {"base": "adapt.adapted.1"}
    assert nodes["sort.equal-compute.1"].tokens_of == ("adapt.adapted.1",) and nodes["sort.equal-compute.1"].adds
    assert nodes["adapt.irrelevant.1"].tokens_of == ("adapt.adapted.1",)
    assert {one.rows_of for one in nodes.values() if one.stage == "sort" and not one.is_stage} == {"sort"}
    assert [nodes[name].recipe.seed for name in ("sort", "sort.none.0", "sort.none.1")] == [0, 0, 1]
    assert nodes["sort.none.0"].recipe.evaluation.baselines == ["majority"]


def test_a_seed_takes_the_rows_and_not_what_was_said_of_them(place: Path, tmp_path: Path):
    path = written(place, "rows", more="controls: {kinds: [none], seeds: 2}\n")
    series = Series(load(path), RunFolder(tmp_path), lambda *_: None, lambda: False, fit)
    data = series.place("sort").data
    rows = ["train.arrow", "ledger.json", "unlabelled.json", "fingerprint.json"]
    said = ["self_training/1.json", "self_training_steps.json", "label_noise.json", "teacher_texts.json", "replay.json"]
    for name in (*rows, *said):
        write_json(data / name, {})
    _take_rows(series, series.by_name["sort.adapted.1"])
    assert sorted(one.name for one in series.place("sort.adapted.1").data.iterdir()) == sorted(rows)


def test_other_text_is_cut_into_pieces_as_that_of_the_domain(place: Path):
    given = f"data: {{source: {place / 'pool.txt'}}}"
    for named, kept in (("", "utf-8"), (f", irrelevant: {place / 'messages.csv'}", "latin-1")):
        path = written(place, "pieces", more=f"controls: {{kinds: [irrelevant], seeds: 2{named}}}\n")
        path.write_text(
            path.read_text()
            .replace("fill-mask", "language-modeling")
            .replace(given, given[:-1] + ", max_length: 16, stride: 4, encoding: latin-1}")
        )
        data = next(one for one in nodes_of(load(path)) if one.name == "adapt.irrelevant.0").recipe.data
        assert (data.max_length, data.stride, data.encoding) == (16, 4, kept)


def test_a_control_by_text_gone_over_again_and_again_is_no_fair_one():
    def said(**kinds: str) -> list[Held]:
        return [Held(kind.replace("_", "-"), word, 5, 0, 0.02, 0.01, 0.03) for kind, word in kinds.items()]  # type: ignore[arg-type]

    def found(passes: float, held: list[Held]) -> Any:
        told = {
            "metric": "accuracy",
            "values": {},
            "epochs": {},
            "other_text": {"adapt.irrelevant.0": {"epochs": passes}},
            "controls": [],
        }
        return controlling._finding("sort", "accuracy", held, {"adapted": [0.8]}, told)

    better = said(none="better", irrelevant="better")
    assert found(20, better).bin == "passed"
    weak = found(300, better)
    assert weak.bin == "tip" and "gone over 300 times: name a longer one by controls.irrelevant" in weak.message
    assert "helped, as far as its controls are fair" in weak.message and "controls.irrelevant" in weak.remedy
    assert "cannot be told" in found(300, said(irrelevant="better")).message
    assert found(300, said(none="worse", irrelevant="better")).bin == "issue"
    assert "not against every control" in found(300, said(none="better", equal_compute="cannot tell")).message


def test_going_without_alone_does_not_tell_what_it_was_that_helped():
    def found(**kinds: str) -> Any:
        held = [Held(kind.replace("_", "-"), word, 5, 0, 0.02, 0.01, 0.03) for kind, word in kinds.items()]  # type: ignore[arg-type]
        told = {"metric": "accuracy", "values": {}, "epochs": {}, "other_text": {}, "controls": []}
        return controlling._finding("sort", "accuracy", held, {"adapted": [0.8]}, told)

    alone = found(none="better")
    assert alone.bin == "tip" and "texts of the domain helped" not in alone.message
    assert "Neither other text nor equal compute was tried, so that it may just be more training" in alone.message
    assert "equal-compute" in alone.remedy
    assert found(none="worse").bin == "issue" and "cannot be told" in found(none="cannot tell").message
    both = found(none="better", irrelevant="better")
    assert both.bin == "passed" and "texts of the domain helped." in both.message
    assert (
        "Against going without: +2 points (1.0 to 3.0), better; against as much training on other text" in both.message
    )


def test_controls_tell_whether_it_helped(place: Path, tmp_path: Path):
    path = written(place, "controls", more="controls: {kinds: [equal-compute], seeds: 2}\n")
    run = whet.fit(path, out=tmp_path / "run")
    found = run.summary
    told = found["controls"]
    assert set(told["values"]) == {"adapted", "equal-compute"} and len(told["values"]["adapted"]) == 2
    (held,) = told["controls"]
    assert held["kind"] == "equal-compute" and (held["seeds"], held["failed"]) == (2, 0)
    gaps = np.subtract(told["values"]["adapted"], told["values"]["equal-compute"])
    assert held["value"] == pytest.approx(gaps.mean()) and held["low"] <= held["value"] <= held["high"]
    finding = next(one for one in run.findings if one.code == "X001")
    assert "the task alone, trained for as many more tokens" in finding.message and "2 seeds are few" in finding.message
    rows = {one["name"]: one for one in found["stages"]}
    adapt, alone, longer = (rows[n] for n in ("adapt.adapted.1", "sort.adapted.1", "sort.equal-compute.1"))
    assert longer["epochs"] > alone["epochs"] == 2.0
    resolved = yaml.safe_load((run.path / "runs/sort.equal-compute.0/resolved.yaml").read_text())["training.epochs"]
    assert resolved["reason"].startswith("2 of its own, and as many tokens as adapt was trained on (")
    assert len(str(resolved["value"])) <= len("2.345") and told["irrelevant"] is None
    assert longer["tokens"] == pytest.approx(alone["tokens"] + adapt["tokens"], rel=0.25)
    tests = [
        load_predictions(RunFolder(run.path / "runs" / name).predictions("full", "test"))
        for name in ("sort", "sort.adapted.1", "sort.equal-compute.1")
    ]
    assert len({tuple(one.ids.tolist()) for one in tests}) == 1  # whatever the seed, the same rows
    assert "All runs of controls and seeds" in run.report.read_text()


def test_a_last_stage_that_lacks_examples_of_a_class_is_refused_before_the_first_is_trained(
    place: Path, tmp_path: Path
):
    rows = (place / "messages.csv").read_text().splitlines()
    (tmp_path / "few.csv").write_text("\n".join([*rows, "quite alone,rare"]) + "\n")
    path = written(place, "few", sort="    method: contrastive\n")
    path.write_text(path.read_text().replace(str(place / "messages.csv"), str(tmp_path / "few.csv")))
    with pytest.raises(UserError) as caught:
        whet.fit(path, out=tmp_path / "run")
    (problem,) = caught.value.problems
    assert problem.code == "T040" and "'rare'" in problem.what and problem.where.startswith("stage 'sort'")
    assert not list((tmp_path / "run").rglob("*.safetensors"))
