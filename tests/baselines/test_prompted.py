"""A language model that is asked in words, told by a script."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.baselines import made_material
from tests.baselines.made_entities import material as entities_material
from tests.baselines.made_pairs import material as pairs_material
from tests.baselines.made_pairs import rows as pair_rows
from tests.baselines.made_speaker import Scripted, asked
from tests.baselines.test_text_baselines import rows as text_rows
from whet.baselines import BASELINES
from whet.baselines.material import Material
from whet.baselines.prompt_rival import calibrated, shares
from whet.baselines.prompted import CHOSEN_ON, few_shot, nearest_shots, zero_shot
from whet.data.chat_messages import MESSAGES
from whet.data.conversations import ANSWERS
from whet.data.forms import Examples, Shape
from whet.data.saying import say_texts
from whet.errors import UserError
from whet.evaluation.kinds import values_of
from whet.registry import load

LABELS = ("bad", "fine", "very fine")
WORDS = {"bad": "awful", "fine": "good", "very fine": "superb"}


def labelled(split: str, labels: list[Any], texts: list[str] | None = None) -> Examples:
    several = bool(labels) and isinstance(labels[0], list)
    made = [f"row {n} is {' '.join(map(WORDS.get, one if several else [one]))}" for n, one in enumerate(labels)]  # type: ignore[arg-type]
    return Examples.of({"text": texts or made, "label": labels}, Shape.labelled_rows(multi_label=several), split)


def classes(speaker: Scripted | None, several: bool = False, count: int = 12, **options: Any) -> Material:
    truth: list[Any] = [LABELS[n % 3] for n in range(count)] + ["bad"] * 3
    if several:
        truth = [list(LABELS[: n % 4]) for n in range(count)]
    splits = {name: labelled(name, truth) for name in ("train", "validation", "test")}
    gold = {name: one.label_ids(LABELS) for name, one in splits.items()}

    def none(_: Any) -> Any:
        raise AssertionError("no vectors are needed")

    found = Material("text-classification", splits, LABELS, several, gold, none, none)
    return replace(found, options=options, speaker=None if speaker is None else lambda: speaker)


def by_word(prompt: Any) -> str:
    """The right label, in the way of people."""
    label = next(label for label, word in WORDS.items() if word in asked(prompt))
    return f'**Label:** "{label.title().replace(" ", "_")}".'


def test_labels_are_asked_for_and_read():
    speaker = Scripted(by_word)
    found = zero_shot(classes(speaker), 0)
    test = found.predictions("test")
    assert (test.model, test.split, test.labels) == ("zero_shot", "test", LABELS)
    assert test.correct.all() and values_of(test)["accuracy"] == 1.0
    np.testing.assert_allclose(test.scores.sum(axis=1), 1.0, atol=1e-6)
    assert len(speaker.seen) == 30 and all(len(prompt) == 1 for prompt in speaker.seen)
    content = asked(speaker.seen[0])
    assert content.endswith("Text: row 0 is awful\nLabel:") and "- very fine" in content
    facts = found.facts["prompting"]
    assert facts["asked"] == "the script" and facts["shots"] == {"wanted": 0, "mean": 0.0, "rows_with_fewer": 0}
    assert facts["unparsable"] == {"validation": 0, "test": 0} and facts["labels"] == 0
    assert facts["spent"]["requests"] == 30 and facts["spent"]["seconds"] == 15.0
    assert (
        facts["a_request"]["seconds"] == {"low": 0.5, "mean": 0.5, "high": 0.5} and facts["a_request"]["price"] is None
    )
    assert found.facts["predict_rows_per_second"] == 2.0 and found.facts["train_seconds"] == 0.0
    json.dumps(found.facts, allow_nan=False)


def test_what_cannot_be_read_is_counted_and_answered_unseen():
    speaker = Scripted(lambda prompt: "I would rather not say." if "row 1 " in asked(prompt) else by_word(prompt))
    found = zero_shot(classes(speaker), 0)
    assert found.facts["prompting"]["unparsable"] == {"validation": 1, "test": 1}
    test = found.predictions("test")
    np.testing.assert_allclose(test.scores[1], [7 / 15, 4 / 15, 4 / 15], atol=1e-6)
    assert test.predicted[1] == 0 and test.correct.sum() == 14


def test_several_labels_as_a_list():
    def rule(prompt: Any) -> str:
        label = [label for label, word in WORDS.items() if word in asked(prompt).split()]
        return {0: "none", 1: f"Sure! {json.dumps(label)}"}.get(len(label), f"```json\n{json.dumps(label)}\n```")

    material = classes(Scripted(rule), several=True)
    found = zero_shot(material, 0)
    assert found.predictions("test").correct.all()
    assert found.facts["prompting"]["unparsable"]["test"] == 0
    lost = zero_shot(classes(Scripted(lambda _: "well, well"), several=True), 0)
    assert lost.facts["prompting"]["unparsable"]["test"] == 12
    np.testing.assert_allclose(lost.predictions("test").scores[0], material.gold["train"].mean(axis=0), atol=1e-6)


def test_examples_are_earlier_turns_and_the_best_draw_answers():
    """Examples help only where the first one is of the label "fine"."""

    def rule(prompt: Any) -> str:
        return by_word(prompt) if len(prompt) > 1 and prompt[1]["content"] == "fine" else "bad"

    speaker = Scripted(rule)
    found = few_shot(classes(speaker, **{"prompting.shots": 3, "prompting.orders": 8}), 1)
    assert found.predictions("test").correct.all()
    about = found.facts["prompting"]
    spread = about["spread"]
    assert spread["metric"] == "accuracy" and spread["rows"] == 15 and len(spread["validation"]) == 8
    assert spread["validation"][spread["best"]] == 1.0 == max(spread["validation"])
    assert min(spread["validation"]) == pytest.approx(7 / 15)
    assert spread["test"] is None  # asking costs
    assert len({tuple(draw) for draw in spread["draws"]}) > 1
    train = classes(None).splits["train"]
    for draw in spread["draws"]:  # one of each label
        assert sorted(train.rows(draw, "label")) == sorted(LABELS)
    prompt = speaker.seen[-1]
    assert [one["role"] for one in prompt] == ["user", "assistant"] * 3 + ["user"]
    shown = spread["draws"][spread["best"]]
    assert [one["content"] for one in prompt[1::2]] == train.rows(shown, "label")
    assert prompt[0]["content"].startswith("Which of these labels") and "Which" not in prompt[2]["content"]
    assert about["labels"] == len({row for draw in spread["draws"] for row in draw})
    assert about["spent"]["requests"] == 8 * 15 + 15  # validation was answered whole, and is not asked again
    again = few_shot(classes(Scripted(rule), **{"prompting.shots": 3, "prompting.orders": 8}), 1)
    assert again.facts["prompting"]["spread"] == spread
    other = few_shot(classes(Scripted(rule), **{"prompting.shots": 3, "prompting.orders": 8}), 2)
    assert other.facts["prompting"]["spread"]["draws"] != spread["draws"]


def test_many_validation_rows_are_sampled_to_choose_a_draw():
    speaker = Scripted(by_word)
    found = few_shot(classes(speaker, count=CHOSEN_ON + 40, **{"prompting.orders": 2}), 0)
    assert found.facts["prompting"]["spread"]["rows"] == CHOSEN_ON
    assert len(found.predictions("validation")) == CHOSEN_ON + 43
    assert len(speaker.seen) == 2 * CHOSEN_ON + 2 * (CHOSEN_ON + 43)


def weights(prompt: Any, answer: str) -> float:
    """Right answers are likelier by 1 nat; "bad" is preferred by 2 whatever is asked."""
    right = WORDS[answer] in asked(prompt)
    return 5.0 - 1.0 * right - 2.0 * (answer == "bad")


def test_answers_are_weighed_and_calibrated():
    plain = zero_shot(classes(Scripted(nats=weights), **{"prompting.calibrate": False}), 0)
    assert (plain.predictions("test").predicted == 0).all()
    np.testing.assert_allclose(
        plain.predictions("test").scores[1], np.exp([2, 1, 0]) / np.exp([2, 1, 0]).sum(), rtol=1e-5
    )
    speaker = Scripted(nats=weights)
    found = zero_shot(classes(speaker), 0)
    assert found.predictions("test").correct.all()
    # what is preferred for no reason is divided out: only the nat of the right one is left
    np.testing.assert_allclose(
        found.predictions("test").scores[1], np.exp([0, 1, 0]) / np.exp([0, 1, 0]).sum(), rtol=1e-5
    )
    facts = found.facts["prompting"]
    assert facts["weighed"] and facts["calibrated"] and facts["here"]
    blanks = [asked(prompt).rsplit("Text: ", 1)[1] for prompt in speaker.seen if "row" not in asked(prompt)]
    assert blanks == ["N/A\nLabel:", "\nLabel:", "[MASK]\nLabel:"]  # asked once for both splits
    assert facts["spent"]["requests"] == 33


def test_calibration_by_hand():
    nats = np.asarray([[1.0, 2.0], [800.0, 0.0]])
    found = shares(nats)
    np.testing.assert_allclose(found, [[1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))], [0, 1]])
    np.testing.assert_allclose(calibrated(np.asarray([[0.6, 0.4]]), np.asarray([0.9, 0.1])), [[1 / 7, 6 / 7]])
    np.testing.assert_allclose(calibrated(found[:1], found[0]), [[0.5, 0.5]])


def test_draws_are_weighed_on_test_too_where_that_is_cheap():
    found = few_shot(classes(Scripted(nats=weights)), 0)
    spread = found.facts["prompting"]["spread"]
    assert spread["test"] == [1.0] * 5 == spread["validation"]


def test_the_nearest_examples_stand_last():
    texts = ["the red cat", "a blue dog", "some green bird", "the red cat sleeps"]
    train = labelled("train", ["bad", "fine", "bad", "fine"], texts)
    other = labelled("test", ["fine", "bad", "fine"], ["red cat", "blue dog", "quux"])
    speaker = Scripted(lambda prompt: prompt[-2]["content"])
    material = replace(
        classes(speaker, **{"prompting.shots": 2}),
        splits={"train": train, "validation": other, "test": other},
        gold={"train": train.label_ids(LABELS)},
    )
    found = nearest_shots(material, 0)
    assert [found.predictions("test").labels[n] for n in found.predictions("test").predicted[:2]] == ["bad", "fine"]
    prompts = speaker.seen[-3:]
    assert [len(prompt) for prompt in prompts] == [5, 5, 5]
    assert "the red cat sleeps" in prompts[0][0]["content"] and prompts[0][2]["content"].startswith(
        "Text: the red cat\n"
    )
    assert "a blue dog" in prompts[1][2]["content"]
    assert found.facts["prompting"]["labels"] == 4 and found.facts["prompting"]["shots"]["wanted"] == 2


def test_shots_are_lowered_and_rows_shortened_on_record():
    speaker = Scripted(by_word)
    long = "word " * 300
    rows = ["awful", f"good {long}"]
    full = classes(speaker, **{"prompting.shots": 3, "prompting.orders": 1, "prompting.instruction": "Label it."})
    test = labelled("test", ["bad", "fine"], rows)
    material = replace(full, splits=full.splits | {"test": test})
    for longest, shown, cut in [(None, 3.0, 0), (60, (15 * 3 + 3 + 0) / 17, 1), (42, 26 / 17, 1)]:
        speaker.longest = longest
        found = few_shot(material, 0)
        shots = found.facts["prompting"]["shots"]
        assert found.facts["prompting"]["rows_cut"] == cut and shots["wanted"] == 3
        if longest != 42:
            assert shots["mean"] == pytest.approx(shown)
        else:
            assert shots["mean"] < 3 and shots["rows_with_fewer"] >= 16
        assert found.predictions("test").correct.all()
    assert speaker.seen[0][0]["content"].startswith("Label it.\n\nText: ")


def test_questions():
    rows = {
        "train": [("who", "Anna is here", ["Anna"]), ("why", "Bert is there", [])] * 4,
        "validation": [("where", "Carl is at home", ["at home"])],
        "test": [
            ("who", "Dora left; Dora is back", ["Dora"]),
            ("when", "It rained on Monday, then snow", ["on Monday"]),
            ("why", "Nothing to see", []),
            ("what", "A tall house", ["tall house"]),
        ],
    }
    replies = {"who": '"DORA".', "when": "It was on monday.", "why": "No answer.", "what": "zebra", "where": "at home"}

    def rule(prompt: Any) -> str:
        return replies[asked(prompt).split("Question: ")[1].split("\n")[0]]

    speaker = Scripted(rule)
    material = replace(made_material.material(rows), speaker=lambda: speaker)
    found = zero_shot(material, 0)
    test = found.predictions("test")
    assert test.said == ("Dora", "on Monday", "", "")
    assert test.starts.tolist() == [0, 10, -1, -1] and test.correct.tolist() == [True, True, True, False]
    assert found.facts["prompting"]["unparsable"] == {"validation": 0, "test": 1}
    assert found.facts["prompting"]["counted"] == {"answers that do not stand in the text word by word": 1}
    assert "no answer" in speaker.seen[0][0]["content"]
    shown = few_shot(replace(material, options={"prompting.shots": 8, "prompting.orders": 1}), 0)
    assert len(shown.predictions("test")) == 4
    assert {one["content"] for one in speaker.seen[-1] if one["role"] == "assistant"} == {"Anna", "no answer"}


@pytest.mark.parametrize("task", ["regression", "sentence-similarity"])
def test_numbers(task):
    scores = [0.0, 1.25, 2.5, 5.0]
    firsts = [f"text {n}" for n in range(4)]
    more = {"text_pair": [f"other {n}" for n in range(4)]} if task == "sentence-similarity" else {}
    splits = {name: pair_rows(name, text=firsts, score=scores, **more) for name in ("train", "validation", "test")}
    replies = ["0", "About 1,25 of 5", "9", "none at all"]

    def rule(prompt: Any) -> str:
        return replies[int(asked(prompt).split("text ")[1][0])]

    speaker = Scripted(rule)
    material = replace(pairs_material(task, **splits), speaker=lambda: speaker)
    found = zero_shot(material, 0)
    assert found.predictions("test").said.tolist() == [0.0, 1.25, 5.0, np.mean(scores)]
    assert found.predictions("test").purpose == ("regression" if task == "regression" else "similarity")
    assert found.facts["prompting"]["unparsable"]["test"] == 1
    assert found.facts["prompting"]["counted"] == {"numbers out of range": 2}
    assert "from 0.00" in speaker.seen[0][0]["content"] and "5.00" in speaker.seen[0][0]["content"]
    few_shot(replace(material, options={"prompting.shots": 4, "prompting.orders": 1}), 0)
    assert sorted(one["content"] for one in speaker.seen[-1] if one["role"] == "assistant") == [
        "0.00",
        "1.25",
        "2.50",
        "5.00",
    ]


def test_entities():
    speaker = Scripted(lambda _: "")
    material = entities_material(
        ["[Anna]person slept in [Rome]place", "nothing here"],
        ["[Carl]person slept"],
        ["[Dora]person and [Dora]person in [oslo]place", "x"],
    )
    person, oslo, rome = (
        {"text": text, "type": kind} for text, kind in [("Dora", "Person"), ("Oslo", "place"), ("Rome", "place")]
    )

    def rule(prompt: Any) -> str:
        if "Dora" not in asked(prompt):
            return "who knows" if "Carl" in asked(prompt) else "[]"
        return f"Here: {json.dumps([person, person, oslo, rome])}"

    speaker.rule = rule
    found = zero_shot(replace(material, speaker=lambda: speaker), 0)
    assert found.predictions("test").correct.all()
    assert found.facts["prompting"]["unparsable"] == {"validation": 1, "test": 0}
    assert found.facts["prompting"]["counted"] == {"entities that do not stand in the text": 1}
    few_shot(replace(material, speaker=lambda: speaker, options={"prompting.orders": 1}), 0)
    shown = [json.loads(one["content"]) for one in speaker.seen[-1] if one["role"] == "assistant"]
    assert sorted(shown, key=len) == [[], [{"text": "Anna", "type": "person"}, {"text": "Rome", "type": "place"}]]


GERMAN = "Das ist ein Satz und er ist nicht sehr lang aber auch nicht kurz"
ENGLISH = "This is a sentence and it is not very long but it is not short"


def test_translations_and_summaries():
    made = {
        name: text_rows(name, [f"{ENGLISH} {n}" for n in range(6)], [[f"{GERMAN} {n}"] for n in range(6)])
        for name in ("train", "validation", "test")
    }
    speaker = Scripted(
        lambda prompt: f"{GERMAN} {asked(prompt).split(chr(10))[-2][-1]}" if "5" not in asked(prompt) else " "
    )
    material = replace(pairs_material("translation", **made), speaker=lambda: speaker)
    found = zero_shot(material, 0)
    test = found.predictions("test")
    assert test.said is not None and test.correct.tolist() == [True] * 5 + [False]
    assert test.finished is not None and test.finished.all() and test.num_said is not None
    assert found.facts["prompting"]["unparsable"]["test"] == 1
    assert found.facts["prompting"]["instruction"].startswith("Translate the text from English to German.")
    short = zero_shot(replace(material, task="summarization"), 0)
    assert "about 15 words" in short.facts["prompting"]["instruction"]
    assert few_shot(replace(material, options={"prompting.orders": 2}), 0).facts["prompting"]["spread"][
        "metric"
    ] in values_of(test)


def talks(split: str, rows: list[list[tuple[str, str]]]) -> Examples:
    messages = [[{"role": role, "content": content} for role, content in row] for row in rows]
    columns = {
        "text": [row[-2][1] for row in rows],
        "answers": [[row[-1][1]] for row in rows],
        "messages": messages,
    }
    return Examples.of(columns, Shape((ANSWERS, ("messages", MESSAGES))), split)


def conversations() -> dict[str, Examples]:
    train = [[("system", "Be kind."), ("user", f"q{n}"), ("assistant", f"a{n}")] for n in range(3)]
    test = [
        [("system", "Be brief."), ("user", "q1"), ("assistant", "a1"), ("user", "q2"), ("assistant", "a2")],
        [("prompt", "once upon"), ("completion", "a time")],
    ]
    return {"train": talks("train", train), "validation": talks("validation", test[:1]), "test": talks("test", test)}


def test_conversations_keep_their_own_system_message():
    speaker = Scripted(lambda prompt: "a2" if asked(prompt) == "q2" else "a time")
    material = replace(
        pairs_material("text-generation", **conversations()),
        speaker=lambda: speaker,
        options={"prompting.shots": 1, "prompting.orders": 1, "generation.max_tokens": 7},
    )
    found = few_shot(material, 0)
    assert found.predictions("test").correct.all() and set(speaker.limits) == {7}
    first, second = speaker.seen[-2:]
    assert [one["role"] for one in first] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert first[0]["content"] == "Be brief." and first[-1]["content"] == "q2"
    assert [one["role"] for one in second] == ["user", "assistant", "user"]
    assert "Be kind." not in json.dumps(speaker.seen)


def test_the_base_of_the_run_answers_with_likelihoods():
    calls: list[tuple[str, str, list[tuple[int, ...]]]] = []
    splits = conversations()

    def prompted(name: str, split: str, shown: Any) -> Any:
        calls.append((name, split, [tuple(one) for one in shown]))
        examples = splits[split]
        cost = 1.0 + (shown[0][0] if shown[0] else 9)  # the first row shown decides what it is worth
        said = None if split == "validation" else ["x"] * len(examples)
        nats = np.full(len(examples), cost)
        ones = np.ones(len(examples), np.int64)
        made = say_texts(name, examples, "generation", said, nats=nats, tokens=ones, num_bytes=ones, num_right=ones)
        return made, np.asarray([len(one) for one in shown]) - (split == "test")

    material = replace(
        pairs_material("text-generation", **splits),
        prompted=prompted,
        options={"prompting.shots": 2, "prompting.orders": 6, "prompting.base": "auto", "prompting.endpoint": None},
    )
    found = few_shot(material, 0)
    spread = found.facts["prompting"]["spread"]
    assert spread["metric"] == "token_nats" and spread["test"] is None
    assert spread["validation"] == [1.0 + draw[0] for draw in spread["draws"]]
    best = tuple(spread["draws"][spread["best"]])
    assert best[0] == min(draw[0] for draw in spread["draws"])
    assert calls[-1] == ("few_shot", "test", [best, best]) and len(calls) == 7
    assert found.predictions("test").said == ("x", "x") and found.predictions("validation").nats is not None
    assert found.facts["prompting"]["shots"] == {"wanted": 2, "mean": pytest.approx(4 / 3), "rows_with_fewer": 2}
    assert found.facts["prompting"]["asked"] == "the base itself"
    zero_shot(material, 0)
    assert calls[-1] == ("zero_shot", "test", [(), ()])
    # another instruction cannot be given to it: then it is asked in a chat
    speaker = Scripted(lambda _: "a2")
    told = replace(
        material, speaker=lambda: speaker, options=dict(material.options) | {"prompting.instruction": "Hum."}
    )
    zero_shot(told, 0)
    assert speaker.seen[0][1]["content"] == "Hum.\n\nq1"


def test_prices_of_requests():
    speaker = Scripted(by_word)
    found = zero_shot(classes(speaker, **{"prompting.price_input": 2.0, "prompting.price_output": 10.0}), 0)
    costs = found.facts["prompting"]["a_request"]
    assert costs["price"]["mean"] == pytest.approx(
        (costs["tokens_in"]["mean"] * 2 + costs["tokens_out"]["mean"] * 10) / 1e6
    )
    assert found.facts["prompting"]["spent"]["price"] == pytest.approx(
        sum(found.facts["prompting"]["spent"][part] for part in ("tokens_in", "tokens_out")) / 1e6
    )


def test_what_cannot_be_asked():
    with pytest.raises(UserError, match=r"P050.*ranking cannot be asked in words"):
        zero_shot(replace(classes(Scripted()), task="ranking"), 0)
    unscored = pair_rows("train", text=["a"], text_pair=["b"])
    with pytest.raises(UserError, match=r"P050.*no scores"):
        zero_shot(pairs_material("sentence-similarity", train=unscored), 0)
    with pytest.raises(UserError, match=r"P051.*prompting.base"):
        few_shot(classes(None), 0)


def test_all_are_in_the_table():
    for name in ("zero_shot", "few_shot", "nearest_shots"):
        assert callable(load(BASELINES, name, "evaluation.baselines"))
    assert pa.types.is_list(MESSAGES)
