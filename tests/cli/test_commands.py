"""Every command on runs of tiny models: what it prints, where, and with which exit code."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import forked, made_rows
from tests.made_runs import KINDS, Runs
from whet.cli.runs import _row as listed
from whet.data import reading
from whet.data.predictions import load as load_predictions
from whet.files import Lock
from whet.folder import RunFolder
from whet.store.index import note_run
from whet.store.rows import RunRow, ScoreRow

from .calling import Answer, Whet

SUMMARY = {"run", "scores", "num_test_rows", "verdict", "findings", "seconds", "tokens_per_second", "mfu"}


def last_object(answer: Answer) -> dict[str, Any]:
    """The last line of standard output; with ``--json`` it is also the only one."""
    return dict(json.loads(answer.out.splitlines()[-1]))


# --- fit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["probe", "auto-pairs", "lora-several"])
def test_fit_as_json(whet: Whet, runs: Runs, tmp_path: Path, kind: str):
    answer = whet([*runs.line(kind, tmp_path / "run"), "--json"])
    assert answer.code == 0, answer.err
    assert len(answer.out.splitlines()) == 1
    found = last_object(answer)
    assert set(found) == SUMMARY
    assert found["run"] == str(tmp_path / "run")
    assert {"majority", "tfidf_linear", "label_names", "probe"} <= set(found["scores"])
    assert {"code", "ship", "reason"} <= set(found["verdict"])
    assert found["verdict"]["ship"] in found["scores"]
    for metrics in found["scores"].values():
        assert set(metrics[found["verdict"]["metric"]]) == {"value", "low", "high"}
    assert all(set(finding) == {"code", "bin", "message"} for finding in found["findings"])
    assert list(found["seconds"])[:2] == ["read", "audit"]
    assert all(seconds >= 0 for seconds in found["seconds"].values())
    trains = KINDS[kind].method != "probe"
    assert (found["tokens_per_second"] is not None) == trains
    assert (found["mfu"] is not None) == trains
    assert not trains or 0 < found["mfu"] < 1
    assert f"run: {tmp_path / 'run'}" in answer.err
    assert "- read: " in answer.err


def test_fit_for_people(whet: Whet, runs: Runs, tmp_path: Path):
    run = tmp_path / "run"
    answer = whet(runs.line("full", run))
    assert answer.code == 0
    assert answer.err == ""
    lines = answer.out.splitlines()
    assert lines[0] == f"run: {run}"
    assert any("column 'message'" in line for line in lines), "the choice of columns is said"
    assert any("method = full: set in the recipe" in line for line in lines), "and so is every decision"
    verdict = json.loads((run / "verdict.json").read_text())
    assert f"Verdict ({verdict['code'].replace('_', ' ')}): {verdict['reason']}" in answer.out
    assert f"> {verdict['ship']}" in answer.out
    assert f"report:  {run / 'report.html'}" in lines
    assert f"predict: whet predict {run} FILE" in lines


@pytest.mark.usefixtures("no_report")
def test_fit_without_a_folder_named(whet: Whet, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    words = runs.line("probe", tmp_path)[:-2]
    first, second = (Path(last_object(whet([*words, "--json"]))["run"]) for _ in range(2))
    assert first != second
    assert first.parent == second.parent == Path("runs")
    assert first.name.startswith("messages-20")


@pytest.mark.usefixtures("no_report")
def test_a_recipe_says_the_same_as_options(whet: Whet, runs: Runs, tmp_path: Path):
    """The recipe that a run leaves fits it again."""
    recipe = runs.finished("full") / "recipe.yaml"
    answer = whet(["fit", "--recipe", str(recipe), "--out", str(tmp_path / "run"), "--json"])
    assert answer.code == 0, answer.err
    found = last_object(answer)
    assert found["scores"] == json.loads((runs.finished("full") / "scores.json").read_text())["models"]
    assert (tmp_path / "run" / "recipe.yaml").read_bytes() == recipe.read_bytes()


@pytest.mark.usefixtures("no_report")
def test_a_column_is_named(whet: Whet, runs: Runs, tmp_path: Path):
    """Against what its name would say."""
    rows = [(topic, text, str(number)) for number, (text, topic) in enumerate(made_rows.texts(60))]
    source = made_rows.write_csv(tmp_path / "rows.csv", ["about", "words", "label"], list(rows))
    words = ["fit", str(source), "--text", "words", "--label", "about", "--base", str(runs.base()), "--method", "probe"]
    answer = whet([*words, "--set", "evaluation.resamples=100", "--out", str(tmp_path / "run")])
    assert answer.code == 0, answer.err
    assert json.loads((tmp_path / "run" / "scores.json").read_text())["labels"] == ["card", "late", "refund"]


# --- predict --------------------------------------------------------------------------------------


def test_predict_a_file(whet: Whet, runs: Runs):
    answer = whet(["predict", str(runs.finished("full")), str(runs.data())])
    assert answer.code == 0, answer.err
    rows = [json.loads(line) for line in answer.out.splitlines()]
    assert [row["line"] for row in rows] == list(range(2, 122))
    assert {row["label"] for row in rows} <= {"card", "late", "refund"}
    assert set(rows[0]) == {"line", "text", "label", "score"}


@pytest.mark.parametrize("kind", ["full", "lora-several", "auto-pairs"])
def test_predictions_are_those_of_the_run(whet: Whet, runs: Runs, kind: str):
    """Each model of the run says of its test rows what the run saved."""
    run = runs.finished(kind)
    tuned = "lora" if kind.startswith("lora") else "full"
    for model in ("tfidf_linear", "probe", tuned):
        answer = whet(["predict", str(run), str(runs.data(KINDS[kind].rows)), "--model", model, "--all-scores"])
        assert answer.code == 0, answer.err
        by_line = {row["line"]: row["scores"] for row in map(json.loads, answer.out.splitlines())}
        said = load_predictions(run / "predictions" / f"{model}.test.parquet")
        lines = reading.reopen(run / "data").splits["test"].numbers("line")
        for line, scores in zip(lines, said.scores, strict=True):
            assert list(by_line[int(line)].values()) == pytest.approx(scores.tolist(), abs=2e-5), (model, line)


def test_predict_into_a_file(whet: Whet, runs: Runs, tmp_path: Path):
    out = tmp_path / "answers.jsonl"
    words = ["predict", str(runs.finished("lora-several")), str(runs.data(made_rows.several_jsonl))]
    answer = whet([*words, "--all-scores", "--out", str(out), "--json"])
    assert answer.code == 0, answer.err
    model = json.loads((Path(words[1]) / "verdict.json").read_text())["ship"]
    assert last_object(answer) == {"run": words[1], "model": model, "rows": 120, "out": str(out)}
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(rows) == 120
    assert set(rows[0]["scores"]) == {"card", "late", "question", "refund"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_predict_into_a_table(whet: Whet, runs: Runs, tmp_path: Path):
    """Every row has the same columns as another reader sees them; pairs hold both texts."""
    words = ["predict", str(runs.finished("auto-pairs")), str(runs.data(made_rows.pairs)), "--all-scores"]
    assert whet([*words, "--out", str(tmp_path / "answers.csv")]).code == 0
    assert whet([*words, "--out", str(tmp_path / "answers.jsonl")]).code == 0
    with (tmp_path / "answers.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert list(table[0]) == ["line", "text", "text_pair", "label", "score", "scores"]
    assert [(row["text"], row["text_pair"], row["label"]) for row in table] == [
        (line["text"], line["text_pair"], line["label"]) for line in lines
    ]
    assert [json.loads(row["scores"]) for row in table] == [line["scores"] for line in lines]
    with runs.data(made_rows.pairs).open(newline="", encoding="utf-8") as file:
        given = [tuple(row.values())[:2] for row in csv.DictReader(file)]
    assert [(line["text"], line["text_pair"]) for line in lines] == given


def test_several_labels_stand_in_every_row(whet: Whet, runs: Runs, tmp_path: Path):
    """Also where there is one, so that a table has no empty cell in their place."""
    out = tmp_path / "answers.csv"
    words = ["predict", str(runs.finished("lora-several")), str(runs.data(made_rows.several_jsonl))]
    assert whet([*words, "--out", str(out)]).code == 0
    with out.open(newline="", encoding="utf-8") as file:
        assert all(isinstance(json.loads(row["labels"]), list) for row in csv.DictReader(file))


@pytest.fixture
def won_by_majority(runs: Runs, tmp_path: Path) -> Path:
    """A run whose verdict ships what cannot be saved."""
    run = runs.copied("full", tmp_path / "run")
    verdict = json.loads((run / "verdict.json").read_text())
    (run / "verdict.json").write_text(json.dumps({**verdict, "ship": "majority"}))
    return run


def test_another_model_than_the_verdicts_says_so(whet: Whet, runs: Runs, won_by_majority: Path, tmp_path: Path):
    saved = json.loads((won_by_majority / "shipped.json").read_text())["model"]
    told = f"The verdict ships 'majority', which is not saved; {saved!r} answers in its place."
    words = [str(won_by_majority), str(runs.data())]
    predicted = whet(["predict", *words])
    assert predicted.err == f"{told}\n"
    assert all(json.loads(line)["label"] for line in predicted.out.splitlines())
    found = last_object(whet(["predict", *words, "--out", str(tmp_path / "p.jsonl"), "--json"]))
    assert (found["model"], found["warning"]) == (saved, told)
    evaluated = whet(["evaluate", *words, "--json"])
    assert told in evaluated.err
    assert (last_object(evaluated)["model"], last_object(evaluated)["warning"]) == (saved, told)
    named = whet(["predict", *words, "--model", saved])
    assert named.err == "", "who names a model knows which one answers"


def test_tfidf_answers_where_the_verdict_ships_it(whet: Whet, runs: Runs, won_by_majority: Path):
    """As README says."""
    verdict = json.loads((won_by_majority / "verdict.json").read_text())
    (won_by_majority / "verdict.json").write_text(json.dumps({**verdict, "ship": "tfidf_linear"}))
    words = [str(won_by_majority), str(runs.data())]
    answer, named = whet(["predict", *words]), whet(["predict", *words, "--model", "tfidf_linear"])
    assert (answer.err, answer.out) == ("", named.out)


def test_predict_standard_input(runs: Runs, tmp_path: Path):
    """A real process, as ``echo`` feeds it."""
    process = subprocess.run(
        [sys.executable, "-m", "whet.cli.app", "predict", str(runs.finished("full")), "-"],
        input="where is my card\n\nmy order has not arrived\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    rows = [json.loads(line) for line in process.stdout.splitlines()]
    assert [row["text"] for row in rows] == ["where is my card", "", "my order has not arrived"]
    assert process.stderr == ""


# --- evaluate, compare, report, audit, check ------------------------------------------------------


@pytest.mark.parametrize("kind", ["full", "full-separator", "lora-several", "auto-pairs"])
def test_evaluate(whet: Whet, runs: Runs, tmp_path: Path, kind: str):
    """A separator that the run was given need not be given again."""
    words = ["evaluate", str(runs.finished(kind)), str(runs.data(KINDS[kind].rows)), "--out", str(tmp_path / "scored")]
    answer = whet([*words, "--json"])
    assert answer.code == 0, answer.err
    found = last_object(answer)
    ships = json.loads((runs.finished(kind) / "verdict.json").read_text())["ship"]
    assert found["model"] == ships or ships == "majority"  # which is no model to keep
    assert found["num_rows"] == json.loads((tmp_path / "scored" / "scores.json").read_text())["num_rows"]
    assert (tmp_path / "scored" / "predictions" / f"{found['model']}.test.parquet").is_file()
    shown = whet(words)
    assert f"on {found['num_rows']} rows" in shown.out


def test_compare(whet: Whet, runs: Runs):
    """One data set, one seed: the same test rows."""
    words = ["compare", str(runs.finished("probe")), str(runs.finished("full"))]
    answer = whet([*words, "--json"])
    assert answer.code == 0, answer.err
    found = last_object(answer)
    assert {"runs", "num_test_rows", "scores", "verdict", "findings", "beside", "differences", "costs"} <= set(found)
    assert len(found["scores"]) == 2
    assert found["verdict"]["code"] in ("ship", "keep_baseline", "cannot_tell")
    shown = whet(words)
    assert shown.code == 0
    assert f"Verdict ({found['verdict']['code'].replace('_', ' ')}): {found['verdict']['reason']}" in shown.out


def test_report(whet: Whet, runs: Runs, tmp_path: Path):
    run = runs.copied("full", tmp_path / "copied")
    (run / "report.html").unlink()
    answer = whet(["report", str(run)])
    assert answer.code == 0, answer.err
    assert answer.out == f"{run / 'report.html'}\n"
    page = (run / "report.html").read_text(encoding="utf-8")
    assert json.loads((run / "verdict.json").read_text())["reason"][:30] in page
    assert last_object(whet(["report", str(run), "--json"])) == {"run": str(run), "report": str(run / "report.html")}


def test_audit(whet: Whet, runs: Runs):
    answer = whet(["audit", str(runs.data()), "--json"])
    assert answer.code == 0, answer.err
    found = last_object(answer)
    assert set(found) == {"data", "splits", "findings"}
    assert sum(split["rows"] for split in found["splits"].values()) == 120
    assert "A004" in {finding["code"] for finding in found["findings"]}
    shown = whet(["audit", str(runs.data())])
    assert "column 'message'" in shown.out
    assert "A004" in shown.out


def test_check(whet: Whet, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Every value with its reason; nothing is trained and nothing is left."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"base: {runs.base('mean')}\ndata:\n  source: {runs.data()}\n")
    before = sorted(tmp_path.iterdir())
    answer = whet(["check", str(recipe), "--json"])
    assert answer.code == 0, answer.err
    found = last_object(answer)
    assert found["head.pooling"]["value"] == "mean"
    assert "sentence-transformers" in found["head.pooling"]["reason"]
    assert found["method"]["value"] == "contrastive"
    assert all(set(one) == {"value", "reason"} and one["reason"] for one in found.values())
    assert sorted(tmp_path.iterdir()) == before
    shown = whet(["check", str(recipe), "--set", "training.epochs=2"])
    assert shown.code == 0
    assert "set in the recipe" in shown.out


def test_check_of_several_trainings(whet: Whet, runs: Runs, tmp_path: Path):
    """Each by itself, and how many runs there are in all."""
    recipe = tmp_path / "recipe.yaml"
    task = f"data: {{source: {runs.data()}}}"
    recipe.write_text(f"base: {runs.base('mean')}\ntasks:\n  - name: one\n    {task}\n  - name: other\n    {task}\n")
    method = "method=full"
    found = last_object(whet(["check", str(recipe), "--set", method, "--json"]))
    assert set(found) == {"tasks", "runs", "not_taken"} and found["runs"] == ["one", "other"]
    assert found["tasks"]["other"]["data.label"]["value"] == "intent"
    shown = whet(["check", str(recipe), "--set", method])
    assert "task one: text-classification" in shown.out and "task other:" in shown.out


# --- runs -----------------------------------------------------------------------------------------


def test_runs_are_listed_and_found_again(whet: Whet, runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert whet(["runs"]).out == "No runs yet. Start one with: whet fit DATA\n"
    names = ("full", "probe")
    for name in names:
        runs.copied(name, tmp_path / "runs" / name / "run")
    answer = whet(["runs", "--rebuild"])
    assert answer.code == 0, answer.err
    assert "2 runs found, 2 recorded, 0 dropped." in answer.out
    found = last_object(whet(["runs", "--json"]))["runs"]
    assert {Path(one["folder"]).parent.name for one in found} == set(names)
    for one in found:
        verdict = json.loads((Path(one["folder"]) / "verdict.json").read_text())
        assert (one["state"], one["ship"], one["verdict"]) == ("finished", verdict["ship"], verdict["code"])
        assert one["score"]["low"] <= one["score"]["value"] <= one["score"]["high"]
    assert len(last_object(whet(["runs", "--json", "--limit", "1"]))["runs"]) == 1


@pytest.mark.parametrize(
    ("metric", "value", "shown"),
    [
        ("r2", 0.338, "r2 0.338"),
        ("spearman", 0.787, "spearman 0.787"),
        ("r2", -1.1e37, "r2 -1.1e+37"),
        ("entity_f1", 0.787, "entity_f1 78.7"),
        ("of_a_later_version", 3.25, "of_a_later_version 3.250"),
    ],
)
def test_a_score_is_listed_as_its_metric_is_written(metric: str, value: float, shown: str):
    score = ScoreRow("test", "full", metric, value)
    assert listed(RunRow("id", Path("run"), "run", "finished", metric=metric, score=score))[4] == shown


@pytest.mark.usefixtures("no_report")
def test_a_run_is_listed_when_it_ends(whet: Whet, runs: Runs, tmp_path: Path):
    whet(runs.line("probe", tmp_path / "run"))
    (one,) = last_object(whet(["runs", "--json"]))["runs"]
    assert (one["folder"], one["state"]) == (str(tmp_path / "run"), "finished")


@pytest.mark.usefixtures("no_report")
def test_what_a_folder_cannot_say_is_listed(whet: Whet, runs: Runs, tmp_path: Path):
    """A killed process left 'running' behind, and a folder that was deleted says nothing at all."""

    def state() -> str:
        (one,) = last_object(whet(["runs", "--json"]))["runs"]
        assert one["state"] in whet(["runs"]).out
        return str(one["state"])

    run = tmp_path / "run"
    whet(runs.line("probe", run))
    RunFolder(run).write_state("running")
    note_run(run)
    with Lock(run):
        assert state() == "running"
    assert state() == "stopped"
    shutil.rmtree(run)
    assert state() == "gone"


def test_a_run_in_use(runs: Runs, tmp_path: Path):
    """Two processes at once on one folder: the second is told of the first."""
    from tests.workflows.mishaps import SlowSteps

    run = tmp_path / "run"
    first = forked.start(runs.line("full", run), tmp_path / "first", [SlowSteps(0.2)])
    first.wait_for(lambda: (run / "stages" / "train probe.json").exists())
    second = forked.run(["resume", str(run)], tmp_path / "second")
    assert second.code() == 2
    assert second.err.startswith(f"F020 {run}: is in use by process {first.pid}.")
    third = forked.run(runs.line("full", run), tmp_path / "third")
    assert third.code() == 2
    assert third.err.startswith(f"F013 {run}: holds a run already.")
    first.process.kill()
    first.process.join()
    with Lock(run):
        pass  # the system has taken the dead process's lock away


def test_the_reader_goes_away(runs: Runs):
    """``whet predict ... | head -1`` ends quietly."""
    words = [sys.executable, "-m", "whet.cli.app", "predict", str(runs.finished("full")), str(runs.data())]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.wait(60)
    process.stderr.close()
    assert "Traceback" not in said
    assert "mistake in whet" not in said


def test_what_is_counted_is_called_by_its_name(tmp_path: Path):
    """Rows of a ranking are queries."""
    from whet.cli import live
    from whet.cli.screen import console
    from whet.folder import RunFolder

    one = {"ndcg_at_10": {"value": 0.8, "low": 0.7, "high": 0.9}}
    verdict = {"metric": "ndcg_at_10", "ship": "full", "code": "ship", "reason": "so"}
    found = {
        "scores": {"full": one},
        "verdict": verdict,
        "num_test_rows": 60,
        "findings": [],
        "tokens_per_second": None,
    }
    folder = RunFolder(tmp_path)
    folder.scores.write_text(json.dumps({"kind": "ranks"}))
    screen = console(to_stderr=False)
    with screen.capture() as shown:
        live.render(screen, folder, found)
    assert "Test queries: 60;" in shown.get()
