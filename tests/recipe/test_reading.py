from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from whet.errors import Problem, UserError
from whet.recipe import Recipe, dump, from_options, load
from whet.recipe.address import mistake_of
from whet.recipe.locating import located
from whet.recipe.reading import all_options, describe, option_names, parse_assignments
from whet.recipe.rules import concerns, contradictions
from whet.recipe.training import TrainingRecipe

SOURCE = {"data.source": "tickets.csv"}

_SURFACE = """
version task base method seed
data.source data.text data.text_pair data.label data.negative data.group data.speaker data.roles
data.corrections data.label_separator data.encoding data.drop_unlabelled data.validation_share data.test_share
data.max_length
data.stride
stages tasks mixing.by mixing.temperature mixing.control controls.kinds controls.seeds controls.irrelevant
selection.way selection.rows selection.share selection.target selection.even_lengths selection.neighbours
student.layers student.width
head.pooling head.start head.keep_labels
vocabulary.add vocabulary.file
answers.max_tokens answers.nbest
similarity.encoder similarity.loss similarity.temperature similarity.hard_negatives similarity.depth
chat.template chat.train chat.cut
sources.template sources.source_language sources.target_language
generation.max_tokens generation.temperature generation.top_p generation.top_k generation.min_p
generation.num_beams generation.length_penalty generation.stop generation.json_schema generation.pattern
generation.constrain
masking.share
preference.loss preference.beta preference.gamma preference.label_smoothing preference.desirable_weight
preference.undesirable_weight preference.normalise preference.samples
training.epochs training.learning_rate training.head_learning_rate training.batch_tokens
training.micro_batch_tokens training.weight_decay training.warmup_share training.clip_norm
training.label_smoothing training.precision training.device training.evaluations_per_epoch training.patience
training.max_seconds training.checkpoint_seconds training.restarts training.fast_paths training.optimiser
layers.top layers.decay layers.gradual
lora.rank lora.alpha lora.rank_stabilised lora.dropout lora.target_modules lora.dora lora.rate_ratio lora.start
lora.merge
soft.tokens soft.start soft.width
contrastive.loss contrastive.temperature contrastive.together self_training.source self_training.threshold
self_training.rounds self_training.labels self_training.balanced
quantisation.bits quantisation.kind quantisation.double
regularisation.dropout regularisation.r_drop regularisation.mixout regularisation.l2_start
regularisation.class_weights regularisation.focal regularisation.sampling regularisation.average
regularisation.average_decay regularisation.token_deletion regularisation.token_swap
distillation.endpoint distillation.key_variable distillation.max_cost distillation.price_input
distillation.price_output distillation.requests_at_once distillation.timeout_seconds distillation.retries
distillation.teacher distillation.temperature distillation.weight distillation.hidden distillation.attention
distillation.top_k distillation.unlabelled distillation.texts distillation.max_tokens distillation.control
forgetting.measure forgetting.text forgetting.probes forgetting.max_rows forgetting.limit forgetting.replay
forgetting.interpolate
evaluation.baselines evaluation.margin evaluation.alpha evaluation.resamples evaluation.label_noise evaluation.comet
prompting.endpoint prompting.key_variable prompting.max_cost prompting.price_input prompting.price_output
prompting.requests_at_once prompting.timeout_seconds prompting.retries prompting.base prompting.instruction
prompting.shots prompting.orders prompting.calibrate prompting.max_tokens prompting.machine_price
prompting.label_price
judge.endpoint judge.key_variable judge.max_cost judge.price_input judge.price_output judge.requests_at_once
judge.timeout_seconds judge.retries judge.model judge.instruction judge.against judge.max_rows
search.space search.trials search.minutes search.seeds search.finalists search.workers search.sampler search.pruner
search.metric
"""
OPTIONS = _SURFACE.split()
"""The surface. A new option is argued for: derive before you ask."""


def problems(values: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    with pytest.raises(UserError) as caught:
        from_options(values)
    return [(p.code, p.where, p.what, p.remedy) for p in caught.value.problems]


def written(text: str, folder: Path) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def codes(error: pytest.ExceptionInfo[UserError]) -> list[tuple[str, str]]:
    return [(p.code, p.where) for p in error.value.problems]


# --- the surface and the round trip ------------------------------------------------------------------


def test_the_option_surface():
    assert sorted(all_options()) == sorted(OPTIONS)


def test_every_option_says_what_it_is_for():
    for name in all_options():
        *parents, leaf = name.split(".")
        part: Any = Recipe
        for parent in parents:
            part = part.model_fields[parent].annotation
        field = part.model_fields[leaf]
        assert field.description and field.description.endswith("."), name
        words = describe(field.annotation, field.metadata)
        assert words and "<" not in words and "typing" not in words, (name, words)


numbers = st.floats(1e-9, 1e6)
shares = st.floats(0.01, 0.4)
words = st.text(max_size=20)
auto = st.just("auto")

recipes = st.fixed_dictionaries(
    {"data.source": words},
    optional={
        "base": words,
        "seed": st.integers(0, 2**31 - 1),
        "data.text": words.filter(lambda w: w not in ("auto", "none")).map(lambda w: f"a{w}"),
        "data.label": words.map(lambda w: f"b{w}"),
        "data.label_separator": st.none() | st.text(min_size=1, max_size=3),
        "data.validation_share": shares,
        "data.test_share": shares,
        "data.max_length": auto | st.integers(8, 9999),
        "head.pooling": st.sampled_from(["auto", "native", "mean", "first", "last"]),
        "training.epochs": auto | numbers,
        "training.learning_rate": auto | numbers,
        "training.batch_tokens": auto | st.integers(16, 10**6),
        "training.weight_decay": st.floats(0, 1),
        "training.max_seconds": st.none() | numbers,
        "training.fast_paths": st.booleans(),
        "lora.target_modules": auto | st.lists(words, max_size=3),
        "lora.alpha": numbers,
        "evaluation.baselines": st.lists(st.sampled_from(["majority", "tfidf_linear", "label_names", "probe"])),
    },
)


@given(recipes)
def test_a_dumped_recipe_loads_as_itself(values: dict[str, Any]):
    recipe = from_options(values)
    text = dump(recipe)
    with tempfile.TemporaryDirectory() as folder:
        again = load(written(text, Path(folder)))
    assert again == recipe
    assert dump(again) == text


def test_a_dump_writes_every_default_out():
    import yaml

    values = yaml.safe_load(dump(from_options(SOURCE)))
    found = {f"{k}.{leaf}" for k, v in values.items() if isinstance(v, dict) for leaf in v}
    assert found | {k for k, v in values.items() if not isinstance(v, dict)} == set(OPTIONS)


def test_a_recipe_is_frozen():
    recipe = from_options(SOURCE)
    with pytest.raises(ValidationError, match="frozen"):
        recipe.seed = 3


# --- mistakes ----------------------------------------------------------------------------------------


def test_every_mistake_at_once_with_its_line(tmp_path: Path):
    path = written(
        "data:\n  source: a.csv\n  lable: intent\ntraining:\n  epochs: -1\n  learning_rate: fast\n  learn-rate: 1\n"
        "methd: lora\nseed: -3\n",
        tmp_path,
    )
    with pytest.raises(UserError) as caught:
        load(path)
    found = {p.where: (p.code, p.remedy) for p in caught.value.problems}
    assert found.keys() == {
        f"{path}:3 data.lable",
        f"{path}:5 training.epochs",
        f"{path}:6 training.learning_rate",
        f"{path}:7 training.learn-rate",
        f"{path}:8 methd",
        f"{path}:9 seed",
    }
    assert found[f"{path}:3 data.lable"] == ("R010", "Did you mean 'label'?")
    assert found[f"{path}:8 methd"] == ("R010", "Did you mean 'method'?")
    assert found[f"{path}:7 training.learn-rate"] == ("R010", "Did you mean 'learning_rate'?")
    assert found[f"{path}:5 training.epochs"][0] == "R011"
    assert "'auto' or a number above 0" in found[f"{path}:5 training.epochs"][1]


def test_keys_that_stand_twice_are_refused_among_all_other_mistakes(tmp_path: Path):
    path = written("seed: 1\nmethd: full\ndata: {source: a.csv,\n  source: b.csv}\nseed: 2\nseed: -3\n", tmp_path)
    with pytest.raises(UserError) as caught:
        load(path)
    assert codes(caught) == [
        ("R007", f"{path}:4 data.source"),
        ("R007", f"{path}:6 seed"),
        ("R011", f"{path}:6 seed"),
        ("R010", f"{path}:2 methd"),
    ]
    assert [one.what.partition(";")[0] for one in caught.value.problems[:2]] == [
        "stands in lines 3 and 4",
        "stands in lines 1, 5 and 6",
    ]


def test_keys_that_another_mapping_brings_in_stand_once(tmp_path: Path):
    stages = (
        "stages:\n  - {name: one, data: &rows {source: a.csv, text: t}}\n  - {name: two, data: {<<: *rows, text: u}}\n"
    )
    assert load(written(stages, tmp_path)).stages[1]["data"] == {"source": "a.csv", "text": "u"}


def test_a_value_given_beside_the_file_is_not_blamed_on_it(tmp_path: Path):
    path = written("data: {source: a.csv}\ntraining:\n  epochs: 3\n", tmp_path)
    with pytest.raises(UserError) as caught:
        load(path, {"training.epochs": -1, "training.patience": -1})
    assert codes(caught) == [("R011", "training.epochs"), ("R011", "training.patience")]
    with pytest.raises(UserError) as caught:
        load(path, {"training": {"epochs": -1}})
    assert codes(caught) == [("R011", "training.epochs")]


def test_a_contradiction_names_line_and_option(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        load(path := written("data: {source: a.csv}\nmethod: full\nlora: {rank: 4}\n", tmp_path))
    assert codes(caught) == [("R021", f"{path}:3 lora")]


def test_a_recipe_knows_where_it_was_read_and_is_the_same_wherever(tmp_path: Path):
    path = written("data: {source: a.csv}\nseed: 1\n", tmp_path)
    recipe = load(path, {"seed": 2})
    assert recipe.lines == {"data": f"{path}:1", "data.source": f"{path}:1", "seed": ""}
    assert recipe == from_options({"data.source": "a.csv", "seed": 2}) != from_options({"data.source": "a.csv"})
    assert recipe.model_copy(update={"seed": 3}).lines == recipe.lines


@pytest.mark.parametrize(
    ("problem", "where"),
    [
        (Problem("D001", "no.csv", "", option="data.source"), "r.yaml:2 data.source, no.csv"),
        (Problem("D020", "data.label", "", option="data.source"), "r.yaml:1 data.label"),
        (Problem("M004", "base 'c'", "", option="base"), "r.yaml:3 base 'c'"),
        (Problem("M004", "base 'c'", "", option="distillation.teacher"), "distillation.teacher, base 'c'"),
        (Problem("T030", "student.layers of a/b", "", option="base"), "student.layers of a/b"),
        (Problem("D006", "data/x.csv", "", option="data.source"), "r.yaml:2 data.source, data/x.csv"),
        (Problem("T040", "method", ""), "method"),
        (Problem("T001", "memory", ""), "memory"),
    ],
)
def test_a_problem_of_a_run_is_found_in_its_recipe(problem: Problem, where: str):
    lines = {"data": "r.yaml:1", "data.source": "r.yaml:2", "base": "r.yaml:3"}
    assert located(problem, from_options(SOURCE).knowing(lines)).where == where


@pytest.mark.parametrize("name", ["x-y", "2", "float", "auto", "str", "a b", "é"])
@pytest.mark.parametrize("part", ["", "training."])
def test_an_unknown_key_of_any_looks_is_named(name: str, part: str):
    ((code, where, what, remedy),) = problems({**SOURCE, f"{part}{name}": 1})
    assert (code, where, what) == ("R010", f"{part}{name}", "is not an option.")
    assert remedy


def test_a_key_that_is_no_text_is_named(tmp_path: Path):
    with pytest.raises(UserError) as caught:
        load(written("data: {source: a.csv}\n1: 2\n", tmp_path))
    assert [code for code, _ in codes(caught)] == ["R010"]


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("seed", 2**31, "a whole number at least 0 and below 2147483648"),
        ("seed", 1.5, "a whole number"),
        ("training.epochs", 0, "'auto' or a number above 0"),
        ("training.learning_rate", float("inf"), "'auto' or 'range-test' or a number above 0"),
        ("training.clip_norm", float("nan"), "a number above 0"),
        ("training.batch_tokens", 15, "'auto' or a whole number at least 16"),
        ("training.max_seconds", -1, "a number above 0 or null"),
        ("training.fast_paths", "maybe", "true or false"),
        ("data.test_share", 1, "a number above 0 and below 1"),
        ("data.max_length", 7, "'auto' or a whole number at least 8"),
        ("data.label_separator", "", "text or null"),
        ("method", "qdora", "'auto' or 'probe' or 'prompt' or 'p-tuning' or"),
        ("task", "transcription", "'text-classification'"),
        ("lora.rank", 0, "'auto' or a whole number at least 1"),
        ("lora.target_modules", [1], "'auto' or a list of text"),
        ("evaluation.baselines", ["random"], "'auto' or 'prompting' or a list of 'majority' or"),
        ("data", 3, "options of its own: source, text,"),
        ("training", None, "options of its own: epochs,"),
    ],
)
def test_a_value_out_of_range_says_what_is_taken(name: str, value: Any, wanted: str):
    values = {name: value} if name == "data" else {**SOURCE, name: value}
    ((code, where, what, remedy),) = problems(values)
    assert (code, where) == ("R011", name)
    assert what.startswith("got ")
    assert f"Takes {wanted}" in remedy
    assert "None" not in remedy and "<class" not in remedy


@pytest.mark.parametrize("values", [{}, {"data.text": "message"}])
def test_what_is_required_is_said(values: dict[str, Any]):
    ((code, where, _, remedy),) = problems(values)
    assert (code, where) == ("R012", "data.source" if values else "data")
    assert "command line" in remedy


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (None, "R001", ""),
        (b"\xff\xfe", "R001", ""),
        (b"data: {source: a\nseed: 1\n", "R002", ":2"),
        (b"data:\n\t- x\n", "R002", ":2"),
        (b"- a\n- b\n", "R003", ""),
        (b"", "R003", ""),
    ],
)
def test_files_that_are_no_recipe(tmp_path: Path, content: bytes | None, code: str, line: str):
    path = tmp_path / "recipe.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(path)
    assert codes(caught) == [(code, f"{path}{line}")]


CONTRADICTIONS = [
    ("R020", "data.label", {"data.text": "message", "data.label": "message"}),
    ("R021", "lora", {"method": "full", "lora.rank": 8}),
    ("R021", "lora", {"method": "probe", "lora.merge": True}),
    ("R036", "lora.start", {"method": "qlora", "lora.start": "pissa"}),
    ("R036", "lora.start", {"method": "lora", "lora.start": "loftq"}),
    ("R036", "lora.start", {"method": "auto", "lora.start": "loftq"}),
    ("R036", "lora.start", {"method": "qlora", "lora.start": "loftq", "forgetting.interpolate": True}),
    ("R037", "quantisation", {"method": "qlora", "quantisation.bits": 8, "quantisation.double": False}),
    ("R021", "soft", {"method": "lora", "soft.tokens": 5}),
    ("R021", "soft.width", {"method": "prompt", "soft.width": 5}),
    ("R021", "quantisation", {"method": "full", "quantisation.bits": 4}),
    ("R021", "quantisation", {"method": "auto", "quantisation.bits": 8}),
    ("R021", "layers.top", {"method": "full", "layers.top": 2}),
    ("R021", "layers.gradual", {"method": "bitfit", "layers.gradual": 0.5}),
    ("R021", "regularisation.mixout", {"method": "lora", "regularisation.mixout": 0.5}),
    ("R022", "training", {"method": "probe", "training.epochs": 3}),
    ("R027", "regularisation.r_drop", {"task": "regression", "regularisation.r_drop": 1.0}),
    ("R027", "regularisation.focal", {"task": "ranking", "regularisation.focal": 1.0}),
    ("R027", "regularisation.sampling", {"task": "token-classification", "regularisation.sampling": "root"}),
    ("R027", "regularisation.token_swap", {"task": "token-classification", "regularisation.token_swap": 0.1}),
    ("R040", "regularisation", {"method": "probe", "regularisation.r_drop": 1.0}),
    ("R041", "regularisation.r_drop", {"regularisation.r_drop": 1.0, "regularisation.dropout": 0.0}),
    (
        "R042",
        "regularisation.sampling",
        {"regularisation.class_weights": "balanced", "regularisation.sampling": "balanced"},
    ),
    ("R043", "regularisation.average_decay", {"regularisation.average_decay": 0.9}),
    ("R023", "training.micro_batch_tokens", {"training.batch_tokens": 100, "training.micro_batch_tokens": 101}),
    ("R024", "data.test_share", {"data.validation_share": 0.5, "data.test_share": 0.5}),
    ("R053", "controls", {"controls.seeds": 5}),
    ("R055", "selection.way", {"task": "fill-mask", "selection.rows": 10}),
    ("R056", "selection.target", {"task": "fill-mask", "selection.way": "dsir"}),
    (
        "R055",
        "selection.even_lengths",
        {
            "task": "fill-mask",
            "selection.way": "nearest",
            "selection.target": "x",
            "selection.even_lengths": False,
        },
    ),
    ("R060", "distillation", {"distillation.weight": 0.7}),
    ("R062", "distillation.teacher", {"method": "probe", "distillation.teacher": "x"}),
    ("R070", "method", {"task": "regression", "method": "contrastive"}),
    ("R072", "self_training", {"self_training.threshold": 0.8}),
    ("R080", "preference.gamma", {"task": "preference", "preference.loss": "dpo", "preference.gamma": 2.0}),
    ("R085", "search.space", {"search.space": {"training.pace": [1, 2]}}),
    ("R094", "mixing", {"mixing.control": False}),
]


@pytest.mark.parametrize(("code", "where", "values"), CONTRADICTIONS)
def test_contradictions_are_refused(code: str, where: str, values: dict[str, Any]):
    ((found, place, what, remedy),) = problems({**SOURCE, **values})
    assert (found, place) == (code, where)
    assert what and remedy


@pytest.mark.parametrize(
    "values",
    [
        {"data.text": "none", "data.text_pair": "none"},
        {"method": "lora", "lora.rank": 8},
        {"method": "auto", "lora.rank": 8},
        {"method": "qlora", "lora.rank": 8, "quantisation.bits": 8},
        {"method": "p-tuning", "soft.width": 8},
        {"method": "top-layers", "layers.top": 1, "layers.decay": 0.9},
        {"method": "auto", "layers.decay": 0.9},
        {"method": "probe", "training.fast_paths": False},
        {"training.micro_batch_tokens": 100_000},
        {"training.batch_tokens": 100, "training.micro_batch_tokens": 100},
        {"method": "lora", "regularisation.r_drop": 1.0, "regularisation.dropout": 0.0},
        {"regularisation.class_weights": {"rare": 2.0}, "regularisation.sampling": "balanced"},
        {"regularisation.average": "ema", "regularisation.average_decay": 0.9},
        {"task": "regression", "regularisation.token_deletion": 0.1, "regularisation.l2_start": 0.1},
    ],
)
def test_what_can_be_meant_together_is_taken(values: dict[str, Any]):
    assert list(contradictions(from_options({**SOURCE, **values}))) == []


def test_several_contradictions_are_told_together():
    found = problems({**SOURCE, "method": "probe", "training.epochs": 1, "lora.rank": 2})
    assert [code for code, *_ in found] == ["R021", "R022"]


# --- the command line --------------------------------------------------------------------------------


def test_options_of_the_command_line_win_over_the_file(tmp_path: Path):
    path = written("data: {source: a.csv, text: message}\nseed: 1\ntraining: {epochs: 1}\n", tmp_path)
    recipe = load(path, {"seed": 2, "training.patience": 5, "data.text": "body"})
    assert (recipe.seed, recipe.data.text, recipe.data.source) == (2, "body", "a.csv")
    assert recipe.training == TrainingRecipe(epochs=1, patience=5)


def test_an_option_below_a_value_is_refused():
    ((code, where, what, _),) = problems({**SOURCE, "seed": 3, "seed.more": 1})
    assert (code, where) == ("R010", "seed.more")
    assert "'seed' has no options" in what


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("training.epochs=3", {"training.epochs": 3}),
        ("training.learning_rate=1e-4", {"training.learning_rate": 1e-4}),
        ("training.learning_rate=2E-5", {"training.learning_rate": 2e-5}),
        ("base=../models/e5", {"base": "../models/e5"}),
        ("lora.target_modules=[query, value]", {"lora.target_modules": ["query", "value"]}),
        ("data.label_separator=;", {"data.label_separator": ";"}),
        ("data.label_separator=a=b", {"data.label_separator": "a=b"}),
        ("data.text='1'", {"data.text": "1"}),
        ("data.text=[", {"data.text": "["}),
        ("training.max_seconds=null", {"training.max_seconds": None}),
        ("training.fast_paths=false", {"training.fast_paths": False}),
        (" seed =4", {"seed": 4}),
        ("regularisation.class_weights={spam: 3, ham: 1}", {"regularisation.class_weights": {"spam": 3, "ham": 1}}),
        ("data.text={a: 1}", {"data.text": "{a: 1}"}),
    ],
)
def test_assignments_are_read_as_yaml(given_text: str, expected: dict[str, Any]):
    assert parse_assignments([given_text]) == expected


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans())
def test_a_number_is_read_as_it_is_printed(value: float):
    assert parse_assignments([f"a={value}"]) == {"a": value}


def test_every_bad_assignment_is_told():
    with pytest.raises(UserError) as caught:
        parse_assignments(["training.epochs", "=3", "seed=1", "seed=2", "base=x", "base=x"])
    assert [c for c, _ in codes(caught)] == ["R004"] * 3
    assert "1 and 2" in caught.value.problems[2].what


def test_options_are_listed_by_part():
    assert option_names("head") == ["pooling", "start", "keep_labels"]
    assert option_names("nonsense") == option_names("seed") == []


@pytest.mark.parametrize(
    ("options", "code", "where"),
    [
        ({"task": "question-answering", "method": "probe"}, "R025", "method"),
        ({"task": "token-classification", "evaluation.baselines": ["majority"]}, "R026", "evaluation.baselines"),
        ({"answers.max_tokens": 5}, "R027", "answers"),
        ({"task": "regression", "similarity.loss": "cosent"}, "R027", "similarity"),
        ({"task": "ranking", "similarity.loss": "cosine"}, "R027", "similarity.loss"),
        ({"data.stride": 32}, "R027", "data.stride"),
        ({"task": "ranking", "data.stride": 0}, "R027", "data.stride"),
    ],
)
def test_what_belongs_to_another_task_is_refused(options: dict[str, Any], code: str, where: str):
    found = problems({"data.source": "a.csv", **options})
    assert [(one[0], one[1]) for one in found] == [(code, where)]


@pytest.mark.parametrize(
    "options",
    [
        {"task": "question-answering", "data.stride": 32},
        {"task": "token-classification", "data.stride": 0},
        {"task": "ranking", "similarity.loss": "contrastive"},
    ],
)
def test_what_belongs_to_the_task_is_taken(options: dict[str, Any]):
    assert from_options({"data.source": "a.csv", **options}).task == options["task"]


@pytest.mark.parametrize(
    ("option", "task", "belongs"),
    [
        ("similarity.encoder", "ranking", True),
        ("similarity.encoder", "regression", False),
        ("answers.nbest", "question-answering", True),
        ("answers.nbest", "text-classification", False),
        ("data.stride", "token-classification", True),
        ("data.stride", "ranking", False),
        ("data.source", "regression", True),
    ],
)
def test_options_of_other_tasks_are_known(option: str, task: str, belongs: bool):
    assert concerns(option, task) == belongs


def test_a_text_with_a_colon_is_a_text():
    given = parse_assignments(["sources.template=translate English to German: {text}", "training.epochs=2"])
    assert given == {"sources.template": "translate English to German: {text}", "training.epochs": 2}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"generation.num_beams": 2, "generation.temperature": 0.5}, "R035"),
        ({"generation.length_penalty": 2.0}, "R035"),
        ({"judge.model": "m"}, "R032"),
        ({"judge.endpoint": "http://localhost/v1"}, "R032"),
        ({"prompting.endpoint": "http://localhost/v1"}, "R032"),
        ({"prompting.endpoint": "localhost:8801", "prompting.base": "a"}, "P020"),
        ({"judge.endpoint": "ftp://here/v1", "judge.model": "a"}, "P020"),
        ({"prompting.base": "m", "prompting.price_input": 1.0}, "R032"),
        ({"evaluation.baselines": ["base"], "prompting.shots": 2}, "R033"),
        ({"task": "translation", "chat.train": "all"}, "R027"),
        ({"task": "fill-mask", "evaluation.baselines": "prompting"}, "R026"),
    ],
)
def test_what_cannot_be_meant_of_texts_together(options: dict[str, Any], code: str):
    with pytest.raises(UserError, match=code):
        from_options({**SOURCE, "task": "text-generation", **options})


def test_an_address_is_looked_at_before_rows_are_and_keeps_its_secret():
    """A run folder was left behind by a teacher at 'localhost:8801'."""
    with pytest.raises(UserError) as caught:
        from_options({**SOURCE, "distillation.teacher": "a", "distillation.endpoint": "localhost:8801"})
    problem = next(one for one in caught.value.problems if one.code == "P020")
    assert "distillation.endpoint" in problem.where and "'localhost:8801'" in problem.what
    for secret in ("http://me:qz7@here/v1", "me:qz7@here", "http://here/v1?key=qz7", "here:80?key=qz7"):
        assert mistake_of(secret) and "qz7" not in mistake_of(secret)
    assert not mistake_of(" http://localhost:8000/v1 ") and mistake_of("http://here:port/v1")
