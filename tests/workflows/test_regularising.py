"""Options against overfitting and for rare classes, each through whole runs of two tasks; refusals; resuming."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import whet
from tests import made_models, made_rows, made_tasks
from tests.made_runs import Runs, quiet_machine
from tests.models.ready import ready
from whet.engine.events import Event
from whet.engine.precision import Weights
from whet.errors import Interrupted, UserError
from whet.files import Lock
from whet.folder import RunFolder
from whet.models import adaptations
from whet.objectives.mixout import Mixout
from whet.objectives.start import TowardsStart
from whet.workflows import regularising, starting
from whet.workflows.fit import fit

from .contents import contents

SHORT: dict[str, Any] = {
    "evaluation.resamples": 100,
    "training.epochs": 2.0,
    "training.learning_rate": 0.003,
    "training.evaluations_per_epoch": 2,
    "head.start": "random",
    "forgetting.measure": False,
    "evaluation.label_noise": False,
}
EVERYWHERE: dict[str, dict[str, Any]] = {
    "dropout": {"regularisation.dropout": 0.3},
    "r_drop": {"regularisation.r_drop": 1.0},
    "mixout": {"regularisation.mixout": 0.3},
    "l2_start": {"regularisation.l2_start": 0.5},
    "weighed": {"regularisation.class_weights": "balanced", "regularisation.focal": 2.0},
    "ema": {"regularisation.average": "ema", "regularisation.average_decay": 0.9},
    "checkpoints": {"regularisation.average": "checkpoints"},
    "gradual": {"layers.gradual": 0.6},
    "8 bits": {"training.optimiser": "adamw_8bit"},
    "trial": {"training.learning_rate": "range-test"},
    "many": {
        "regularisation.mixout": 0.2,
        "regularisation.l2_start": 0.1,
        "regularisation.r_drop": 0.5,
        "regularisation.average": "ema",
        "layers.gradual": 0.5,
    },
}
OF_TEXTS: dict[str, dict[str, Any]] = {
    "sampling": {"regularisation.sampling": "balanced"},
    "noise": {"regularisation.token_deletion": 0.1, "regularisation.token_swap": 0.2},
}
GRID = [
    *(("text-classification", name, options) for name, options in (EVERYWHERE | OF_TEXTS).items()),
    *(("token-classification", name, options) for name, options in EVERYWHERE.items()),
]
ROWS: dict[str, Callable[[Path], Path]] = {
    "text-classification": made_rows.single,
    "token-classification": made_tasks.entities,
    "regression": made_tasks.numbers,
    "several": made_rows.several_jsonl,
}


@pytest.fixture(autouse=True)
def plain_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing it takes half of a tiny run's time, and it has tests of its own."""
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


def fit_of(runs: Runs, task: str, out: Path, options: dict[str, Any], rows: str | None = None) -> tuple[Path, str]:
    """A run, and all that it said."""
    said: list[str] = []

    def hear(event: Event) -> None:
        if event.kind == "said":
            said.append(str(event.to_json()["message"]))

    cheap = {"text-classification": "majority", "token-classification": "dictionary", "regression": "mean"}[task]
    named = {**SHORT, "method": "full", "evaluation.baselines": [cheap], **options}
    keys = {name.replace(".", "__"): value for name, value in named.items()}
    base = str(runs.base("plain"))
    found = whet.fit(runs.data(ROWS[rows or task]), task=task, base=base, out=out, on_event=hear, **keys)
    return found.path, "\n".join(said)


def losses(run: Path) -> list[tuple[int, float, float]]:
    """Step, loss on validation and on training rows, of every look."""
    rows = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"], row["train_loss"]) for row in rows if row["kind"] == "evaluation"]


@pytest.fixture(scope="module")
def plain(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[int, float, float]]]:
    """The looks of runs without any of it, by task."""
    folder = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as patch, quiet_machine(folder / "store.sqlite"):
        patch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))
        tasks = ("text-classification", "token-classification")
        return {task: losses(fit_of(runs, task, folder / task, {})[0]) for task in tasks}


@pytest.mark.parametrize(("task", "name", "options"), GRID, ids=[f"{task}-{name}" for task, name, _ in GRID])
def test_every_option_trains(
    runs: Runs, plain: dict[str, Any], tmp_path: Path, task: str, name: str, options: dict[str, Any]
):
    run, said = fit_of(runs, task, tmp_path / "run", options)
    found = losses(run)
    assert len(found) >= 4
    assert [one[1:] for one in found[1:]] != [one[1:] for one in plain[task][1:]], "it has an effect"
    if name not in ("gradual", "many", "trial"):
        assert min(one[2] for one in found) < found[0][2]
    findings = {one["code"]: one for one in json.loads((run / "findings.json").read_text())}
    assert findings["E008"]["bin"] == "passed"
    for words in SAID.get(name, ()):
        assert words in said, said
    if name == "trial":
        check_trial(run, findings["E011"], said)


SAID = {
    "r_drop": ("R-Drop: two passes",),
    "mixout": ("mixout: in a step 30% of", "matrices are those of the base"),
    "l2_start": ("weights are pulled towards their start with strength 0.5",),
    "weighed": ("weights of classes: ",),
    "ema": ("the moving average of all weights, 0.9",),
    "checkpoints": ("the mean of the weights of all looks",),
    "gradual": ("layers set free, from the top, at steps 0, ",),
    "sampling": ("rows seen in an epoch: ",),
    "noise": ("of training tokens 10% left out and 20% exchanged",),
    "trial": ("training.learning_rate = ", "by trial of "),
}


def check_trial(run: Path, finding: dict[str, Any], said: str) -> None:
    """The curve is kept, and what was found is what training took."""
    import yaml

    curve = json.loads((run / "rates" / "full.json").read_text())
    resolved = yaml.safe_load((run / "resolved.yaml").read_text())
    assert resolved["training.learning_rate"]["value"] == curve["learning_rate"] == finding["evidence"]["learning_rate"]
    assert resolved["training.head_learning_rate"]["value"] == pytest.approx(5 * curve["learning_rate"])
    assert len(curve["rates"]) == len(curve["losses"]) >= 20
    assert curve["rates"][0] <= curve["learning_rate"] <= curve["rates"][-1]
    assert curve["losses"][0] == pytest.approx(curve["losses_at_start"][0])
    assert (run / "recipe.yaml").read_text().count("range-test") == 1
    assert finding["place"] == "full" and f"{curve['learning_rate']:.2g}" in finding["message"]


def test_labels_that_a_row_has_several_of(runs: Runs, tmp_path: Path):
    options = {
        "regularisation.class_weights": "balanced",
        "regularisation.focal": 1.0,
        "regularisation.sampling": "root",
        "regularisation.r_drop": 1.0,
    }
    run, said = fit_of(runs, "text-classification", tmp_path / "run", options, "several")
    found = losses(run)
    assert min(one[2] for one in found) < found[0][2]
    assert "question" in said


def test_noise_for_a_task_of_numbers(runs: Runs, tmp_path: Path):
    options = {"regularisation.token_deletion": 0.1, "regularisation.average": "ema"}
    found = losses(fit_of(runs, "regression", tmp_path / "run", options)[0])
    assert len({one[2] for one in found}) > 3


@pytest.mark.parametrize("pooling", [None, "mean"])
def test_what_is_drawn_anew_is_no_weight_of_the_base(tmp_path: Path, pooling: str | None):
    """PEFT keeps a native head, drawn anew, under another name: nothing pulls it to where it was drawn."""
    model = ready(made_models.make_base(tmp_path / "base", "roberta"), pooling).model
    adaptations.adapt_lora(model, 2, 4.0, 0.0, "auto", "base", seed=1)
    moving = [name for name, weight in model.named_parameters() if weight.requires_grad]
    anew = [name for name in moving if "lora_" not in name]
    assert anew and regularising.brought(model) == [name for name in moving if name not in anew]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_what_is_held_beside_training_is_counted(tmp_path: Path, dtype: torch.dtype):
    model = ready(made_models.make_base(tmp_path / "base", "bert"), "mean").model
    adaptations.adapt_full(model)
    options = {"regularisation.l2_start": 0.1, "regularisation.mixout": 0.3}
    each = [regularising.held(model, {name: value}, dtype) for name, value in options.items()]
    assert regularising.held(model, options, dtype) == sum(each) and regularising.held(model, {}, dtype) == 0
    weights = Weights(model, dtype)
    pull = TowardsStart(weights, regularising.brought(model), 0.1)
    assert each[0] == sum(one.nbytes for one in pull.start.values())
    mixout = Mixout(weights, regularising._matrices(model), 0.3, 1)
    lent = 0 if dtype != torch.float32 else sum(one.nbytes for one in mixout.start.values())
    with mixout.during(weights, 0):
        kept = sum(one.nbytes for one in mixout._kept.values())
        assert each[1] == sum(one.nbytes for one in mixout.start.values()) + kept + lent


@pytest.mark.parametrize(
    ("task", "options", "code", "words"),
    [
        (
            "text-classification",
            {"regularisation.class_weights": {"refnd": 2.0}},
            "T011",
            "Did you mean 'refund'?",
        ),
        ("token-classification", {"regularisation.class_weights": {"O": 0.5, "city": 2.0}}, "T011", "'city'"),
        ("text-classification", {"training.optimiser": "paged_adamw_8bit"}, "T014", "CUDA"),
    ],
)
def test_what_is_refused(runs: Runs, tmp_path: Path, task: str, options: dict[str, Any], code: str, words: str):
    with pytest.raises(UserError) as caught:
        fit_of(runs, task, tmp_path / "run", options)
    (problem,) = caught.value.problems
    assert problem.code == code and words in str(problem)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_classes_may_be_weighed_by_name(runs: Runs, tmp_path: Path):
    weights = {"refund": 3.0, "late": 0.5}
    _, said = fit_of(runs, "text-classification", tmp_path / "run", {"regularisation.class_weights": weights})
    assert "weights of classes: refund 3, card 1, late 0.5" in said


TRAINED_FILES = ("predictions/", "models/", "model/", "rates/", "resolved.yaml", "scores.json")
STOPS = (11, 13, 16)
"""When a run that asks before each stage and after each step is told to stop."""


@pytest.mark.parametrize("name", ["many", "checkpoints", "sampling", "noise", "8 bits", "trial", "weighed"])
def test_stopped_and_resumed(runs: Runs, tmp_path: Path, name: str):
    """In the middle of training, or of the trial."""
    options = {**SHORT, "method": "full", "evaluation.baselines": ["majority"], "training.epochs": 4.0}
    options |= (EVERYWHERE | OF_TEXTS)[name]
    named = {"data.source": str(runs.data(made_rows.single)), "base": str(runs.base("plain")), **options}
    recipe = starting.recipe_of(named, None)
    paths = [tmp_path / "whole" / "run", tmp_path / "stopped" / "run"]
    for path in paths:
        path.mkdir(parents=True)
        asked = 0

        def stop() -> bool:
            nonlocal asked
            asked += 1
            return asked in STOPS

        for _ in range(5):
            try:
                with Lock(path):
                    list(fit(recipe, RunFolder(path), lambda *_: None, (lambda: False) if path == paths[0] else stop))
                break
            except Interrupted:
                continue
        assert path == paths[0] or asked > STOPS[-1]
    ours, theirs = (
        {name: value for name, value in contents(path).items() if name.startswith(TRAINED_FILES)} for path in paths
    )
    assert "predictions/full.test.parquet" in ours and any(name.endswith(".safetensors") for name in ours)
    assert sorted(ours) == sorted(theirs)
    assert [name for name in ours if ours[name] != theirs[name]] == []
