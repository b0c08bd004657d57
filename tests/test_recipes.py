"""The recipes that come with the project are right: valid, complete, and each of them runs dry on small data."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from tests import made_rows, made_sources, made_talks, made_tasks
from tests.made_models import make_base
from whet.errors import UserError
from whet.recipe import load
from whet.recipe.names import LANGUAGE, TaskName
from whet.recipe.reading import all_options, option_names
from whet.recipe.resolve import Choice
from whet.recipe.rules import concerns
from whet.workflows.checking import check, check_parts

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "recipes"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}
MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
PARTS = ("stages", "tasks")
"""Where the trainings of a recipe of several stand."""

# --- in place of what a recipe names ---------------------------------------------------------------------

Maker = Callable[[Path], Path]


def _renamed(maker: Maker, names: dict[str, str], folder: Path) -> Path:
    path = maker(folder)
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    rows = [{names.get(name, name): value for name, value in row.items()} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _talks(folder: Path) -> Path:
    return made_talks.conversations(folder / "talks.jsonl")


def _judged(folder: Path) -> Path:
    """Answers of which one is better, as messages."""
    path = made_tasks.preferences(folder)
    roles = {"prompt": "user", "chosen": "assistant", "rejected": "assistant"}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    told = [{name: [{"role": roles[name], "content": text}] for name, text in row.items()} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in told), encoding="utf-8")
    return path


ROWS: dict[str, Maker | dict[str, Maker]] = {
    "text-classification": made_rows.single,
    "text-classification-distilled": made_rows.single,
    "text-classification-few-examples": made_rows.single,
    "text-classification-search": made_rows.single,
    "text-classification-stages": {"reading": partial(made_sources.texts, column="text"), "": made_rows.single},
    "text-classification-together": {"intents": made_rows.single, "people": made_tasks.entities},
    "text-classification-several-labels": made_rows.several_csv,
    "text-classification-prompting": made_rows.single,
    "text-classification-rare-classes": made_rows.single,
    "text-classification-quantised": made_rows.single,
    "token-classification": made_tasks.entities,
    "question-answering": made_tasks.questions,
    "sentence-similarity": made_tasks.scored_pairs,
    "sentence-similarity-pairs": made_tasks.pairs,
    "regression": partial(_renamed, made_tasks.numbers, {"text": "description", "score": "price"}),
    "ranking": made_tasks.relevance,
    "ranking-cross-encoder": made_tasks.relevance,
    "text-generation": _talks,
    "text-generation-lora": _talks,
    "text-generation-qlora": _talks,
    "text-generation-json": made_sources.orders,
    "translation": made_sources.parallel,
    "translation-languages": made_sources.translations,
    "summarization": partial(made_sources.summaries, source="dialogue"),
    "summarization-decoder": partial(made_sources.summaries, source="document"),
    "language-modeling": made_sources.documents,
    "language-modeling-spans": partial(made_sources.texts, column="abstract", title="where"),
    "fill-mask": partial(made_sources.texts, column="text"),
    "preference": _judged,
}
"""Small data of the form that a recipe reads; of one of several trainings by their names, "" for what stands above."""


def makers(name: str) -> dict[str, Maker]:
    """What makes the rows of a recipe, by whose they are, in the order in which its head shows them."""
    found = ROWS[name]
    return found if isinstance(found, dict) else {"": found}


FAMILIES = {
    "minilm": "bert",
    "BAAI/bge-small-en-v1.5": "bert",
    "cross-encoder/ms-marco-MiniLM-L6-v2": "bert",
    "answerdotai/ModernBERT-base": "modernbert",
    "distilbert/distilbert-base-cased": "distilbert",
    "distilbert/distilbert-base-uncased": "distilbert",
    "HuggingFaceTB/SmolLM2-135M": "llama",
    "HuggingFaceTB/SmolLM2-135M-Instruct": "llama",
    "HuggingFaceTB/SmolLM2-360M-Instruct": "llama",
    "google-t5/t5-small": "t5",
    "facebook/mbart-large-50-many-to-many-mmt": "mbart",
}
"""The architecture of each base that a recipe names."""
NARROW = {
    "preference": {"lora.rank": 2},
    "summarization-decoder": {"lora.rank": 2},
    "text-classification-distilled": {"stages.1.student.layers": 1},
    "text-generation-lora": {"lora.rank": 2},
    "text-generation-qlora": {"lora.rank": 2, "quantisation.bits": 8},  # 4 bits come in blocks of 64 inputs
}
"""What a base a few numbers wide cannot take of a recipe."""


def tiny(folder: Path, name: str, tasks: Collection[str]) -> Path:
    """A base of two layers in place of ``name``, for all of these tasks."""
    family = "qwen2" if "json" in str(folder) else FAMILIES[name]  # only a vocabulary of bytes can spell JSON
    pooling = MEAN if name in ("minilm", "BAAI/bge-small-en-v1.5") else None
    base = make_base(folder / "base", family, pooling, language=bool({*LANGUAGE, "preference"} & set(tasks)))
    if "fill-mask" in tasks:
        _with_tokens(base, {"mask_token": "<unk>"})
    if "language-modeling" in tasks and family == "t5":
        _with_tokens(base, {"additional_special_tokens": SPANS})
    return base


SPANS = [f"<extra_id_{number}>" for number in range(10)]


def _with_tokens(base: Path, added: dict[str, Any]) -> None:
    """Give the tokenizer special tokens, and the model of a T5 rows for them."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    words = AutoTokenizer.from_pretrained(base)
    words.add_special_tokens(added)
    words.save_pretrained(base)
    if "additional_special_tokens" in added:
        model = AutoModelForSeq2SeqLM.from_pretrained(base)
        model.resize_token_embeddings(len(words), mean_resizing=False)
        model.save_pretrained(base)


@pytest.fixture(params=FILES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the commands of the recipes are meant to be called, with a key that opens nothing."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("OPENAI_API_KEY", "opens-nothing")


def dry(name: str, folder: Path, **more: Any) -> dict[str, dict[str, Choice]]:
    """What ``whet check`` says of each training of a recipe, "" where it is one; see :func:`small`."""
    recipe = load(small(name, folder), more)
    if recipe.stages or recipe.tasks:
        return check_parts(recipe, lambda *_: None)
    return {"": check(recipe, lambda *_: None)}


def small(name: str, folder: Path) -> Path:
    """A recipe with small rows and a small base in place of its own, and what such a base can take."""
    place = folder / name
    place.mkdir()
    values = _values(FILES[name])
    parts = {"": values, **{str(one["name"]): one for one in _parts(values)}}
    for part, maker in makers(name).items():
        parts[part]["data"]["source"] = str(maker(place))
    named = values["base"]
    base = str(tiny(place, named, [one["task"] for one in parts.values() if "task" in one]))
    for one in parts.values():
        if one.get("base") == named:
            one["base"] = base
    for option, value in NARROW.get(name, {}).items():
        _set(values, option.split("."), value)
    path = place / "recipe.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    return path


def _values(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def _parts(values: dict[str, Any]) -> list[dict[str, Any]]:
    """The trainings of a recipe of several, as they are written."""
    return [one for part in PARTS for one in values.get(part, [])]


def _set(values: Any, place: Sequence[str], value: Any) -> None:
    for part in place[:-1]:
        values = values[int(part) if part.isdigit() else part]
    values[place[-1]] = value


def trainings(path: Path) -> dict[str, dict[str, Any]]:
    """What is written for each training of a recipe, by dotted name: its own, and what holds for it from above."""
    values = _values(path)
    of_all = {name: value for name, value in values.items() if name not in (*PARTS, "controls", "mixing")}
    if not _parts(values):
        return {"": dict(_leaves(of_all))}
    found = {}
    for one in _parts(values):
        own = dict(_leaves({name: value for name, value in one.items() if name != "name"}))
        above = of_all
        if own.get("task", values["task"]) != values["task"]:
            shared = ("version", "base", "seed", *(["method"] if "tasks" in values else []))
            above = {name: of_all[name] for name in shared}
        laid = {name: value for name, value in _leaves(above) if not ("data.source" in own and name[:5] == "data.")}
        found[str(one["name"])] = {**laid, **own}
    return found


def _leaves(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Options by dotted name; what stands in the value of an option belongs to it."""
    for name, value in values.items():
        if isinstance(value, dict) and f"{before}{name}" not in all_options():
            yield from _leaves(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


# --- what is written --------------------------------------------------------------------------------------


def test_every_task_has_a_recipe_of_its_name() -> None:
    assert set(get_args(TaskName)) <= set(FILES)
    for name, path in FILES.items():
        task = load(path).task
        assert name == task or name.startswith(f"{task}-")


def test_every_recipe_is_run_dry() -> None:
    assert set(ROWS) == set(FILES)
    assert set(FAMILIES) == {load(path).base for path in FILES.values()}
    for name, path in FILES.items():
        assert set(makers(name)) <= {"", *trainings(path)}


def test_a_recipe_says_what_it_is_for_and_how_it_is_run(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    head, done = text[: text.index("version: 1")], "sweep" if "\nsearch:" in text else "fit --recipe"
    assert all(line.startswith("#") or not line for line in head.splitlines())
    for command in ("check", done):
        assert f"whet {command} recipes/{name}.yaml\n" in head
    assert "folder" in text[: text.index("\nmethod: ")], "which other bases do"
    assert max(map(len, text.splitlines())) <= 200


def test_options_are_written_out(name: str) -> None:
    """What most people turn stands there with its value, even where it is what whet would take."""
    wanted = ["version", "task", "base", "method", "seed", "data.source", "data.max_length"]
    wanted += ["training.epochs", "training.learning_rate", "training.patience"]
    wanted += ["evaluation.baselines", "evaluation.margin"]
    for written in trainings(FILES[name]).values():
        assert not set(wanted) - set(written)
        assert all(concerns(option, str(written["task"])) for option in written), "options of other tasks"
    assert {option for option, _ in _leaves(_values(FILES[name]))} <= set(all_options())


def test_comments_name_options_that_exist(name: str) -> None:
    known, parts = all_options(), "|".join(part for part in option_names() if option_names(part))
    leaves = {option.rpartition(".")[2] for option in known}
    for line in FILES[name].read_text(encoding="utf-8").splitlines():
        comment = line.partition("#")[2]
        for found in re.findall(rf"\b(?:{parts})\.(?!yaml)[a-z_]+\b", comment):
            assert found in known, line
        alone = re.match(r"\s*#\s*([a-z_]+):(\s|$)", line)
        assert alone is None or alone[1] not in leaves, f"an option that is only a comment: {line}"


def test_the_row_that_is_shown_is_of_the_form_that_is_read(name: str, tmp_path: Path) -> None:
    head = FILES[name].read_text(encoding="utf-8").partition("version: 1")[0]
    blocks = re.findall(r"(?:^#     .*\n)+", head, re.MULTILINE)
    assert len(blocks) == len(makers(name)), "a row of each source"
    for block, maker in zip(blocks, makers(name).values(), strict=True):
        _is_of_the_form([line.removeprefix("#").strip() for line in block.splitlines()], maker(tmp_path))


def _is_of_the_form(shown: list[str], made: Path) -> None:
    if made.is_dir():
        assert {Path(line.split()[0]).suffix for line in shown} == {path.suffix for path in made.iterdir()}
        return
    first = made.read_text(encoding="utf-8").splitlines()[0]
    if made.suffix == ".csv":
        columns, row = list(csv.reader(shown))
        assert columns == next(csv.reader([first])) and len(row) == len(columns)
        return
    one = json.loads(shown[0])
    assert _form(one) == _form(json.loads(first))


def _form(value: Any) -> Any:
    """Names and kinds of what is in a row; numbers are numbers, and of a list the first counts."""
    if isinstance(value, dict):
        return {name: _form(inner) for name, inner in sorted(value.items())}
    if isinstance(value, list):
        return [_form(value[0])] if value else []
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_the_page_lists_them_all() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = {found[1]: found[2] for found in re.finditer(r"^\| \[([\w.-]+)\]\(\1\) \| ([^|]+) \|", page, re.MULTILINE)}
    tasks = list(get_args(TaskName))
    order = sorted(FILES, key=lambda name: (tasks.index(load(FILES[name]).task), name))
    assert list(rows) == [FILES[name].name for name in order], "in the order of their tasks"
    for name, base in rows.items():
        assert base.strip().strip("`") == load(FOLDER / name).base
    for link in re.findall(r"\]\(([^)#]+)\)", page):
        assert (FOLDER / link).exists(), link


# --- what it does -----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("here")
def test_a_recipe_runs_dry(name: str, tmp_path: Path) -> None:
    """Read, checked, encoded and resolved as it is written, but for rows and base."""
    said = dry(name, tmp_path)
    several = trainings(tmp_path / name / "recipe.yaml")
    assert list(said) == list(several)
    replaced = ("data.source", "base", "version", "task", "seed")
    for part, written in several.items():
        found = said[part]
        for option, value in written.items():
            if written["method"] == "quantised" and option.startswith("training."):
                assert option not in found, "a stage that trains nothing takes none of these from above"
            elif option not in replaced and value != "auto" and not option.startswith("data."):
                expected = found[option].value
                assert expected == value or option == "evaluation.baselines", option
        assert found["task"].value == written["task"]
        assert found["data.text"].value == written.get("data.text", found["data.text"].value)
        decided = ("method", "training.epochs", "training.batch_tokens", "quantisation.bits")
        assert "auto" not in [found[option].value for option in decided if option in found]


@pytest.mark.usefixtures("here")
def test_an_endpoint_without_a_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a run would, before a row is read."""
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UserError, match="P021"):
        dry("text-classification-prompting", tmp_path)


@pytest.mark.usefixtures("here")
def test_a_base_that_does_not_suit_the_task_is_refused(tmp_path: Path) -> None:
    other = tiny(tmp_path, "minilm", ["fill-mask"])
    with pytest.raises(UserError, match="M015"):
        dry("text-generation", tmp_path, base=str(other))
