from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.made_models import WORDS, make_base
from tests.tasks.learning import overfit
from whet.batches import chat
from whet.batches.encoding import Encoded
from whet.data.answer_format import AnswerFormat
from whet.data.conversations import MESSAGES
from whet.data.forms import Examples, Shape
from whet.errors import UserError
from whet.findings import CODES
from whet.models.loading import load_model, load_tokenizer
from whet.models.places import find
from whet.models.task_model import TaskModel
from whet.tasks.closed_answers import among, answer_ids, closed_answers
from whet.tasks.task import Setting
from whet.tasks.text_generation import TextGeneration, counted_turns, fitted

LIMIT = 48


def message(role: str, content: str, weight: float | None = None) -> dict[str, Any]:
    return {
        "role": role,
        "content": content,
        "weight": weight,
        "name": None,
        "tool_calls": None,
        "tool_call_id": None,
    }


def conversations(rows: list[list[dict[str, Any]]], split: str = "test", answered: bool = True) -> Examples:
    more = [("answers", pa.list_(pa.string()))] if answered else []
    columns: dict[str, list[Any]] = {
        "text": [row[0]["content"] if row else "" for row in rows],
        "messages": rows,
        **({"answers": [[row[-1]["content"]] for row in rows]} if answered else {}),
    }
    return Examples.of(columns, Shape((*more, ("messages", MESSAGES))), split)


TALKS = [
    [message("user", f"{WORDS[n]} {WORDS[n + 9]}"), message("assistant", f"{WORDS[2 * n]} {WORDS[n + 3]} {WORDS[n]}")]
    for n in range(8)
]
EXAMPLES = conversations(TALKS)


class Tuned:
    """A tiny decoder with the task."""

    def __init__(self, folder: Path, family: str = "gpt2", **options: Any) -> None:
        place = find(str(make_base(folder, family, language=True)))
        self.tokenizer = load_tokenizer(place)
        self.task = TextGeneration(Setting(options={"generation.max_tokens": 12, **options}))
        self.model: TaskModel = load_model(place, self.task.head(None), self.tokenizer, 3)
        self.model.use_flat_batches()
        self.model.eval()

    def encode(self, examples: Examples = EXAMPLES, limit: int = LIMIT) -> Encoded:
        return self.task.encode(self.tokenizer, self.task.blocks(examples), limit, None)

    def answer(self, examples: Examples = EXAMPLES) -> Any:
        return self.task.answer("m", self.model, self.tokenizer, self.encode(examples), examples, None)

    def overfit(self, steps: int = 200) -> None:
        overfit(self.task, self.model, self.encode(), EXAMPLES, steps)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_it_learns_answers_by_heart_and_says_them_alone_and_together(tmp_path: Path, family: str) -> None:
    tuned = Tuned(tmp_path, family)
    before = tuned.answer()
    tuned.overfit()
    after = tuned.answer()
    assert after.nats.sum() < 0.1 * before.nats.sum()
    assert after.said == tuple(talk[-1]["content"] for talk in TALKS)
    assert after.finished.all() and after.correct.all()
    alone = [tuned.answer(conversations([talk])).said[0] for talk in TALKS]
    assert tuple(alone) == after.said


def test_only_answers_carry_loss_and_the_prompt_is_what_is_asked_in_use(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    encoded = tuned.encode()
    assert encoded.weights is not None
    asked = tuned.encode(conversations([talk[:1] for talk in TALKS], answered=False))
    for row in range(len(TALKS)):
        ids, prompt = encoded.row(row), int(encoded.second[row])
        weights = np.asarray(encoded.weights[encoded.offsets[row] : encoded.offsets[row + 1]])
        assert not weights[:prompt].any() and weights[prompt:].any()
        assert asked.row(row).tolist() == ids[:prompt].tolist()
        assert int(asked.second[row]) == prompt


def test_validation_is_not_written_for(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    rows = conversations(TALKS, "validation")
    found = tuned.answer(rows)
    assert found.said is None and found.nats is not None
    assert found.num_bytes.tolist() == [len(talk[-1]["content"].encode()) for talk in TALKS]


def test_rows_without_an_answer_are_answered(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    found = tuned.answer(conversations([talk[:1] for talk in TALKS] + [[]], answered=False))
    assert len(found.said) == 9 and found.gold is None and not found.tokens.any()


@pytest.mark.parametrize(
    ("train", "wanted"), [("answers", ["b", "d"]), ("last", ["d"]), ("all", ["a", "b", "c", "d"]), ("weights", ["d"])]
)
def test_which_turns_count(train: str, wanted: list[str]) -> None:
    talk = [message("user", "a"), message("assistant", "b", 0.0), message("user", "c"), message("assistant", "d")]
    assert [one["content"] for one in counted_turns(talk, train)] == wanted


@given(st.integers(1, 30), st.integers(0, 30), st.integers(4, 40), st.sampled_from(["prompt", "answer"]))
def test_what_is_cut_is_counted_and_something_is_left_to_say(
    prompt: int, answer: int, limit: int, what: chat.Cut
) -> None:
    ids = np.arange(prompt + answer)
    weights = (ids >= prompt).astype(np.float32)
    found = fitted(chat.Rendered(ids, weights, prompt), limit, what)
    assert len(found.ids) == len(found.weights) <= limit
    assert len(found.ids) + found.num_cut == prompt + answer
    if answer:
        assert 1 <= found.prompt_length < len(found.ids)
        assert found.ids[found.prompt_length] == prompt, "the answer keeps its beginning"
        if what == "prompt" and answer < limit:
            assert found.ids[-1] == prompt + answer - 1, "and its end where it fits"
    else:
        assert found.prompt_length == len(found.ids) < limit


def test_conversations_are_looked_at_before_training(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    found = {one.code: one for one in tuned.task.findings(tuned.tokenizer, EXAMPLES, LIMIT)}
    assert found["G002"].bin == "passed" and "G001" in found and "G003" in found


# --- closed sets of answers ---------------------------------------------------------------------------

CLOSED = [
    [message("user", f"{WORDS[n]} {WORDS[n + 9]}"), message("assistant", ("card", "thank you")[n % 2])]
    for n in range(8)
]


def test_what_a_closed_set_of_answers_is() -> None:
    def answers(*said: str, **more: Any) -> tuple[str, ...]:
        return closed_answers(conversations([[message("user", "q"), message("assistant", one) | more] for one in said]))

    assert answers("b", "a", "b ", "a", "b") == ("b", "a")
    assert answers("b", "a", "b") == () and answers("b", "b") == ()
    assert answers(*(f"{n % 51}" for n in range(102))) == ()
    assert len(answers(*(f"{n % 50}" for n in range(100)))) == 50
    assert answers("a", "a", "b" * 101, "b" * 101) == () and answers("a", "a", "b", "b", tool_calls="[]x") == ()
    assert closed_answers(conversations([talk[:1] for talk in CLOSED], answered=False)) == ()


def test_which_known_answer_a_text_is() -> None:
    assert among(["yes", " Yes. ", '"no"', "yes it is", "", "1"], ["yes", "no"]) == (
        "yes",
        "yes",
        "no",
        "yes it is",
        "",
        "1",
    )
    assert among(["C", "c", "C."], ["C", "c"]) == ("C", "c", "C."), "answers that differ by case alone"
    assert among(["-1", "1.", ":(", ":"], ["1", ":)", ":("]) == ("-1", "1", ":(", ":"), "signs that mean something"


def test_the_likeliest_known_answer_is_chosen(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    rows = conversations(CLOSED)
    assert tuned.answer(rows).chosen is None, "nothing was learnt yet"
    tuned.task.learn(conversations([*CLOSED, *CLOSED], "train"))
    assert tuned.task.carried["closed_answers"] == ["card", "thank you"] == list(tuned.task.closed)
    found = tuned.answer(rows)
    costs = []
    for label in ("card", "thank you"):
        given = conversations([[talk[0], message("assistant", label)] for talk in CLOSED])
        costs.append(tuned.answer(given).nats)
    expected = [("card", "thank you")[int(one)] for one in np.argmin(costs, axis=0)]
    assert list(found.chosen) == expected
    again = TextGeneration(Setting(options=tuned.task.setting.options, settled=tuned.task.carried))
    tuned.task = again
    assert tuned.answer(rows).chosen == found.chosen, "a saved model knows them"
    assert tuned.answer(conversations([talk[:1] for talk in CLOSED], answered=False)).chosen is None
    assert tuned.answer(conversations(CLOSED, "validation")).chosen is None


def test_completions_are_chosen_with_the_blank_before_them(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    pair = [message("prompt", "where is"), message("completion", " my card")]
    [ids] = answer_ids(tuned.tokenizer, None, pair, ["my card"])
    whole = chat.render(tuned.tokenizer, pair)
    assert ids.tolist() == whole.ids[whole.prompt_length :].tolist()
    [alone] = answer_ids(tuned.tokenizer, None, pair[:1], ["my card"])
    assert (
        alone.tolist()
        == chat.render(tuned.tokenizer, [pair[0], message("completion", "my card")]).ids[whole.prompt_length :].tolist()
    )


def test_a_long_prompt_leaves_room_for_the_longest_known_answer(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path)
    long = [message("user", " ".join(WORDS)), message("assistant", "card")]
    closed = [[message("user", "where"), message("assistant", text)] for text in ("card", " ".join(WORDS[:16]))]
    tuned.task.learn(conversations([*closed, *closed], "train"))
    rows = conversations([long])
    encoded = tuned.encode(rows, 40)
    assert len(encoded.row(0)) == 40, "as long as the base takes"
    found = tuned.task.answer("m", tuned.model, tuned.tokenizer, encoded, rows, None)
    assert found.chosen[0] in ("card", " ".join(WORDS[:16]))


# --- forms of answers ---------------------------------------------------------------------------------


def test_answers_of_another_form_are_told(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path, **{"generation.pattern": f".*{WORDS[0]}.*"})
    tuned.overfit()
    found = tuned.answer()
    assert found.valid.tolist() == [WORDS[0] in text for text in found.said]
    assert 0 < found.valid.sum() < len(found.valid)
    assert Tuned(tmp_path / "other").answer().valid is None
    kept = tuned.task.carried["answer_format"]
    assert kept == {"schema": None, "pattern": f".*{WORDS[0]}.*"}


needs_llguidance = pytest.mark.skipif(not importlib.util.find_spec("llguidance"), reason="llguidance is not installed")


@needs_llguidance
def test_a_constrained_model_keeps_to_the_form(tmp_path: Path) -> None:
    from tests.generation.test_constraint import SCHEMA, model

    network, words = model()
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(SCHEMA), encoding="utf-8")
    forms = {"generation.json_schema": str(path)}, {"generation.pattern": "(yes|no) [0-9]"}
    for form in forms:
        options = {"generation.max_tokens": 60, "generation.constrain": True, **form}
        task = TextGeneration(Setting(options=options))
        task.refuse(words)
        rows = conversations([[message("user", f"row {n}"), message("assistant", "a")] for n in range(3)])
        encoded = task.encode(words, task.blocks(rows), 60, None)
        holder: Any = SimpleNamespace(network=network)
        said = [one.text for one in task.say(holder, words, encoded, rows, None)]
        wanted = AnswerFormat.of(form)
        assert wanted is not None and wanted.valid(said).all(), said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"chat.template": "chatmll"}, "C001 chat.template"),
        ({"chat.template": "{% for %}"}, "C002 chat.template:1"),
        ({"generation.pattern": "("}, "C018 generation.pattern"),
        ({"generation.json_schema": "none.json"}, "C017 generation.json_schema"),
        ({"generation.constrain": True}, "C019 generation.constrain"),
        (
            {"generation.constrain": True, "generation.pattern": "a", "generation.num_beams": 2},
            "C011 generation.num_beams",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_rows_are_read(options: dict[str, Any], expected: str) -> None:
    from tests.batches.made_chats import talker

    with pytest.raises(UserError) as caught:
        TextGeneration(Setting(options=options)).refuse(talker())
    assert str(caught.value).startswith(expected)


def test_what_can_be_is_not_refused() -> None:
    from tests.batches.made_chats import talker

    TextGeneration(Setting(options={"chat.template": "chatml", "generation.pattern": "a|b"})).refuse(talker())


@needs_llguidance
def test_a_tokenizer_that_cannot_be_steered_is_refused() -> None:
    from tests.batches.made_chats import talker

    with pytest.raises(UserError, match=r"C019 generation\.constrain: the base's tokenizer cannot be steered"):
        TextGeneration(Setting(options={"generation.constrain": True, "generation.pattern": "a"})).refuse(talker())


# --- places of problems, and what is known already ------------------------------------------------------


@pytest.mark.parametrize("answered", [True, False])
def test_rows_that_cannot_be_laid_out_are_named(tmp_path: Path, answered: bool) -> None:
    talks = [*TALKS[:2], [message("system", "s"), *TALKS[2]]]
    template = (
        "{% for m in messages %}{{ m.content if m.role != 'system' else raise_exception('no system') }}{% endfor %}"
    )
    tuned = Tuned(tmp_path, **{"chat.template": template})
    rows = conversations(talks if answered else [talk[:-1] for talk in talks], answered=answered)
    with pytest.raises(UserError, match=r"C002 row 3: the template fails on roles system, user"):
        tuned.encode(rows)
    rows._files = ["talks.jsonl"]
    with pytest.raises(UserError, match=r"C002 talks\.jsonl:3: "):
        tuned.encode(rows)


def test_training_answers_that_the_base_gives_already(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CODES, "G009", "Answers that the base already gives")
    tuned = Tuned(tmp_path)
    fresh = tuned.task.known(tuned.model, tuned.encode(), EXAMPLES)
    assert (fresh.code, fresh.bin, fresh.evidence["known"]) == ("G009", "passed", 0)
    tuned.overfit()
    talks = [*TALKS[:4], *([talk[0], message("assistant", "cancel")] for talk in TALKS[4:])]
    turned = [[*TALKS[0], message("user", "please"), message("assistant", "help")]]
    rows = conversations([*talks, *turned], "train")
    found = tuned.task.known(tuned.model, tuned.encode(rows), rows)
    given = tuned.answer(conversations([*talks, *turned]))
    assert given.correct.tolist() == [True] * 4 + [False] * 5
    assert found.evidence == {"rows": 9, "known": 4, "examples": [":1", ":2", ":3"]}
    assert found.bin == "tip" and found.message.startswith("The base gives the answer of 4 of 9 sampled training rows")
    whole = tuned.task.known(tuned.model, tuned.encode(), EXAMPLES)
    assert whole.bin == "issue" and whole.evidence["known"] == 8
