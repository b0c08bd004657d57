"""What is forgotten, from a recipe to the gate, the picture and the command."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import whet
from tests import made_rows
from tests.made_models import WORDS, make_base
from tests.made_runs import MEAN, TRAINED, Runs
from whet.cli.app import app
from whet.errors import Interrupted, UserError
from whet.files import read_json
from whet.folder import RunFolder, create
from whet.kernels.embedding import CompactEmbedding
from whet.models import interpolation
from whet.recipe import from_options
from whet.seeds import generator
from whet.workflows import estimating, general_rows, preparing, replaying, training
from whet.workflows.fit import fit as carry_out
from whet.workflows.running import Running

from .contents import check_same
from .test_language_tasks import rows_of

QUICK = {
    **TRAINED,
    "training.epochs": 1.0,
    "training.restarts": 0,
    "evaluation.baselines": ["majority", "tfidf_linear"],
    "evaluation.label_noise": False,
}
LANGUAGE_MODEL = {**QUICK, "evaluation.baselines": ["base"]}
LANGUAGE = {**QUICK, "evaluation.baselines": ["base"], "generation.max_tokens": 4}


def options(**more: Any) -> dict[str, Any]:
    return {name.replace(".", "__"): value for name, value in {**QUICK, **more}.items()}


def probes(folder: Path) -> str:
    """A set that even a tiny base knows: which of two words stands in a text again and again."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(120):
        word = ("card", "phone")[number % 2]
        others = " ".join(str(one) for one in generator(0, "probe texts", number).choice(WORDS, 3))
        rows.append({"text": f"{word} {others} {word} {word}", "label": word})
    path = folder / "words.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("forgetting")
    make_base(folder / "base", "bert", MEAN)
    made_rows.single(folder)
    return folder


def fit(place: Path, name: str, method: str = "full", **more: Any) -> whet.Run:
    known = {"forgetting.probes": [probes(place / "sets")], **more}
    found = {key: value for key, value in known.items() if value is not None}
    return whet.fit(
        place / "messages.csv", base=str(place / "base"), method=method, out=place / name, **options(**found)
    )


@pytest.fixture(scope="module")
def full(place: Path) -> whet.Run:
    return fit(place, "full", **{"forgetting.interpolate": True, "forgetting.limit": 0.0001})


@pytest.fixture(scope="module")
def lora(place: Path) -> whet.Run:
    return fit(place, "lora", "lora", **{"training.learning_rate": 1e-5})


def gate(run: whet.Run) -> Any:
    (found,) = [one for one in run.findings if one.code == "V009"]
    return found


def test_forgetting_is_measured_and_gated(full: whet.Run) -> None:
    told = read_json(RunFolder(full.path).forgetting)
    assert told["way"] == "probes" and [one["name"] for one in told["asked"]] == ["words"]
    assert told["models"]["probe"]["moves"] is False
    lost = told["models"]["full"]["forgotten"]
    (one,) = lost["sets"]
    assert one["known"] and lost["base"] == pytest.approx(one["base"]) and one["num_rows"] == 120
    assert lost["value"] == pytest.approx(one["base"] - one["tuned"])
    found = gate(full)
    assert found.place == "full" and found.evidence["limit"] == 0.0001
    assert found.bin == ("issue" if lost["value"] > 0.0001 else "tip")
    learned = told["models"]["full"]["learned"]
    verdict = full.verdict
    (compared,) = [
        one
        for one in verdict["comparisons"]
        if one["candidate"] == "full" and one["against"] == told["learned"]["against"]
    ]
    assert learned["value"] == pytest.approx(compared["difference"])


def test_the_best_mixture_is_saved_and_told(full: whet.Run) -> None:
    way = read_json(full.path / "stages" / "interpolations" / "full.json")
    assert [one["share"] for one in way["path"]] == list(interpolation.SHARES)
    best = max(one["score"] for one in way["path"])
    assert way["chosen"] == min(one["share"] for one in way["path"] if one["score"] == best)
    (found,) = [one for one in full.findings if one.code == "E013"]
    assert found.place == "full" and found.evidence["chosen"] == way["chosen"]
    said = full.scores["full"]["accuracy"]["value"]
    told = read_json(RunFolder(full.path).forgetting)["models"]["full"]
    point = next(one for one in told["path"] if one["share"] == way["chosen"])
    assert point["values"]["accuracy"] == pytest.approx(said), "what is saved is the mixture that was chosen"
    assert point["forgotten"]["value"] == pytest.approx(told["forgotten"]["value"])
    assert told["path"][0]["forgotten"]["value"] == 0
    (parity,) = [one for one in full.findings if one.code == "E008" and one.place == "full"]
    assert parity.bin == "passed"


def test_an_adapter_is_held_against_itself_switched_off(lora: whet.Run) -> None:
    told = read_json(RunFolder(lora.path).forgetting)["models"]["lora"]
    assert told["against"] == "the same model with its adapter switched off"
    assert abs(told["forgotten"]["value"]) < 0.05 and gate(lora).bin in ("passed", "tip")


def test_points_on_the_way_of_quantised_layers_are_held_against_them(place: Path) -> None:
    run = fit(place, "qlora", "qlora", **{"quantisation.bits": 8, "forgetting.interpolate": True})
    told = read_json(RunFolder(run.path).forgetting)["models"]["qlora"]
    points = {one["share"]: one["forgotten"] for one in told["path"]}
    assert told["against"] == (
        "the same model with its adapter switched off, in 8 bits: what these took is not counted"
    )
    assert points[0.0]["value"] == 0 and {one["base"] for one in points.values()} == {told["forgotten"]["base"]}
    assert points[told["chosen"]]["value"] == pytest.approx(told["forgotten"]["value"])


def test_words_of_general_text_alone_are_trained(tmp_path: Path) -> None:
    """Of an untied base only those rows of the embedding move that occur, in rows or in what is replayed."""
    base = make_base(tmp_path / "llama", "llama", language=True)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"where is {'my ' * (2 + n % 9)} card"}) + "\n" for n in range(60)))
    text = tmp_path / "own.txt"
    text.write_text("\n\n".join(f"please {'help ' * (1 + n % 7)} i want a refund" for n in range(40)))
    wanted = {"data.source": str(rows), "task": "language-modeling", "base": str(base), "method": "full"}
    recipe = from_options({**wanted, **LANGUAGE_MODEL, "forgetting.text": str(text), "forgetting.replay": 0.3})
    run = Running(recipe, create(tmp_path / "run", "0"), lambda *_: None, lambda: False)
    for stage in (preparing.read, preparing.look, preparing.encode, preparing.decide, replaying.prepare):
        list(stage(run))
    model, _ = training.prepared(run, "full", 0)
    embedding = model.trunk.get_input_embeddings()
    assert isinstance(embedding, CompactEmbedding)
    own, ids = (torch.from_numpy(one.ids.astype("int64")) for one in (run.encoded["train"], replaying.drawn_from(run)))
    assert set(ids.tolist()) > set(own.tolist()), "there are words that no row has"
    model.train()
    assert torch.equal(embedding(ids), embedding.table[ids])
    work = estimating.work_of(run)
    assert work.epoch_tokens == pytest.approx(run.encoded["train"].num_tokens / 0.7, rel=0.05)
    planned = work.model()
    work.adapt("full", run.options, planned)
    assert planned.trunk.get_input_embeddings().rows.shape == embedding.rows.shape


def test_the_report_shows_what_was_learnt_and_forgotten(full: whet.Run) -> None:
    page = full.report.read_text()
    assert 'id="forgetting"' in page and "Learned and forgotten" in page
    assert "Set by set" in page and 'aria-label="Learned: gain in accuracy' in page
    assert "with dots for weights between them" in page


def call(*words: str) -> Any:
    found = CliRunner().invoke(app, ["forgetting", *words, "--json"])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return json.loads(found.stdout.splitlines()[-1])


def test_runs_side_by_side(full: whet.Run, lora: whet.Run, tmp_path: Path) -> None:
    found = call(str(full.path), str(lora.path), "--html", str(tmp_path / "page.html"))
    assert set(found["runs"]) == {"full", "lora"}
    assert found["runs"]["lora"]["models"]["lora"]["forgotten"]["way"] == "probes"
    page = (tmp_path / "page.html").read_text()
    assert "full: full" in page and "lora: lora" in page and "http://" not in page.replace("http://www.w3.org", "")
    plain = CliRunner().invoke(app, ["forgetting", str(full.path)])
    assert plain.exit_code == 0 and "0 (the base stays)" in plain.stdout


def test_a_run_that_did_not_measure_does_so_when_asked(place: Path) -> None:
    run = fit(place, "later", **{"forgetting.measure": False, "forgetting.probes": None})
    assert gate(run).bin == "not_applicable" and not RunFolder(run.path).forgetting.exists()
    found = call(str(run.path))["runs"]["later"]
    assert found["way"] == "probes" and set(found["models"]) == {"probe", "full"}
    assert "not measured" not in gate(run).message
    assert found["models"]["full"]["learned"] is not None


def test_runs_that_measure_different_things_are_not_mixed(full: whet.Run, tmp_path: Path) -> None:
    base = make_base(tmp_path / "gpt2", "gpt2", language=True)
    more = {name.replace(".", "__"): value for name, value in LANGUAGE.items()}
    other = whet.fit(
        rows_of("text-generation", tmp_path),
        task="text-generation",
        base=str(base),
        method="full",
        out=tmp_path / "run",
        **more,
        forgetting__replay=0.3,
    )
    told = read_json(RunFolder(other.path).forgetting)
    assert told["way"] == "text" and told["learned"]["metric"] == "token_nats"
    assert told["models"]["full"]["forgotten"]["num_rows"] == 32, "the other half was replayed"
    record = read_json(other.path / "data" / "replay.json")
    planned = read_json(RunFolder(other.path).plan)["models"]["full"]
    assert planned["peak_bytes"] > 0 and planned["steps"] == read_json(RunFolder(other.path).facts("full"))["steps"]
    share = record["tokens_per_epoch"] / (record["tokens_per_epoch"] + record["tokens_of_rows"])
    assert share == pytest.approx(0.3, abs=0.01) and record["pieces"] == 32
    facts = read_json(RunFolder(other.path).facts("full"))
    epochs = 1.0
    assert facts["tokens"] == pytest.approx(epochs * (record["tokens_per_epoch"] + record["tokens_of_rows"]), rel=0.1)
    with pytest.raises(UserError, match="F026"):
        call(str(full.path), str(other.path))
    with pytest.raises(UserError, match="F016"):
        call(str(full.path), str(full.path))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"forgetting.measure": False, "forgetting.limit": 0.1}, "R048"),
        ({"forgetting.text": "prose.txt"}, "R027"),
        ({"forgetting.replay": 0.1}, "R027"),
        ({"method": "probe", "forgetting.interpolate": True}, "R021"),
        ({"method": "prompt", "forgetting.interpolate": True}, "R021"),
        ({"task": "text-generation", "forgetting.probes": ["a.csv"]}, "R027"),
    ],
)
def test_contradictions(more: dict[str, Any], code: str) -> None:
    with pytest.raises(UserError, match=code):
        from_options({"data.source": "x.csv", **more})


def test_a_limit_that_cannot_be_held_is_refused_before_training(place: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="F023"):  # all words of the sets that come along are unknown to it
        fit(place, "unknown", **{"forgetting.probes": None, "forgetting.limit": 0.1})
    assert not (place / "unknown" / "stages" / "train probe.json").exists()
    base = make_base(tmp_path / "bart", "bart", language=True)
    more = {name.replace(".", "__"): value for name, value in LANGUAGE.items()}
    for option in ("limit", "replay"):
        with pytest.raises(UserError, match=f"F022 forgetting.{option}"):
            whet.fit(
                rows_of("translation", tmp_path),
                task="translation",
                base=str(base),
                out=tmp_path / "run",
                **more,
                **{f"forgetting__{option}": 0.1},
            )
        assert not (tmp_path / "run").exists()


def test_sets_and_texts_that_cannot_be_used(tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text("".join(json.dumps({"text": WORDS[n] * 2, "label": "ab"[n % 2]}) + "\n" for n in range(20)))
    with pytest.raises(UserError, match="F024"):
        general_rows.keep(from_options({"data.source": "x.csv", "forgetting.probes": [str(few)]}), tmp_path)
    short = tmp_path / "short.txt"
    short.write_text("One.\n\nTwo.\n")
    wanted = {"data.source": "x.csv", "task": "text-generation", "forgetting.text": str(short)}
    with pytest.raises(UserError, match="F025"):
        general_rows.keep(from_options(wanted), tmp_path)


def test_a_text_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("\n\n".join(f"Piece number {number}\nof many." for number in range(30)))
    wanted = {"data.source": "x.csv", "task": "text-generation", "forgetting.text": str(path)}
    recipe = from_options({**wanted, "forgetting.max_rows": 12})
    general_rows.keep(recipe, tmp_path)
    asked = general_rows.asked_texts(recipe, tmp_path)
    assert len(asked) == 12 and all(text.endswith("of many.") and "\n" not in text for text in asked)
    replaying = from_options({**wanted, "forgetting.max_rows": 12, "forgetting.replay": 0.2})
    general_rows.keep(replaying, tmp_path)
    asked, replayed = general_rows.asked_texts(replaying, tmp_path), general_rows.replayed_texts(tmp_path)
    assert len(asked) == 12 and len(replayed) == 18 and not set(asked) & set(replayed), "all that is not asked"
    with pytest.raises(UserError, match=r"F025.*forgetting.max_rows"):
        general_rows.keep(from_options({**wanted, "forgetting.max_rows": 4}), tmp_path)


@pytest.mark.parametrize("replay", [0.0, 0.2])
def test_a_table_of_text_of_ones_own(tmp_path: Path, replay: float) -> None:
    path = tmp_path / "own.jsonl"
    texts = [f"Piece number {number} of many." for number in range(200)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    wanted = {"data.source": "x.csv", "task": "text-generation", "forgetting.text": str(path)}
    recipe = from_options({**wanted, "forgetting.max_rows": 20, "forgetting.replay": replay})
    general_rows.keep(recipe, tmp_path)
    asked = general_rows.asked_texts(recipe, tmp_path)
    assert len(set(asked)) == 20 and set(asked) < set(texts)
    kept = read_json(tmp_path / "general.json")
    assert sorted(kept["replayed"]) == (sorted(set(texts) - set(asked)) if replay else [])


def test_shared_runs_measure_too(runs: Runs) -> None:
    found = [one for one in whet.open_run(runs.finished("probe")).findings if one.code == "V009"]
    assert [one.bin for one in found] == ["passed"]


class Interrupter:
    """Says stop each time that it was asked so many times."""

    def __init__(self, every: int) -> None:
        self.every, self.asked = every, 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked % self.every == 0


@pytest.mark.parametrize("task", ["text-classification", "text-generation"])
def test_interrupted_again_and_again_the_outcome_is_the_same(
    place: Path, tmp_path: Path, no_report: None, task: str
) -> None:
    """With mixtures, and general text among the batches: no stage and no step is done otherwise."""
    if task == "text-generation":
        base, rows = make_base(tmp_path / "gpt2", "gpt2", language=True), rows_of(task, tmp_path)
        more: dict[str, Any] = {**LANGUAGE, "forgetting.replay": 0.4, "training.batch_tokens": 64, "method": "lora"}
    else:
        base, rows = place / "base", place / "messages.csv"
        more = {**QUICK, "forgetting.probes": [probes(tmp_path / "sets")], "method": "full"}
    wanted = {"data.source": str(rows), "task": task, "base": str(base), "forgetting.interpolate": True, **more}
    recipe = from_options(wanted)
    ends = []
    for name, every in (("whole", 10**9), ("pieces", 6)):
        folder = create(tmp_path / name / "run", "0")
        stop = Interrupter(every)
        times = 0
        while folder.read_state()["state"] != "finished":
            times += 1
            with contextlib.suppress(Interrupted):
                list(carry_out(recipe, folder, lambda *_: None, stop))
        ends.append((folder.path, times))
    (whole, once), (pieces, often) = ends
    assert once == 1 and often > 3
    check_same(pieces, whole)
