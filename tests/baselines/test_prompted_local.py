"""Prompting with a real language model, made on the spot: what it says is worth nothing, how it is asked must hold."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.baselines.made_entities import material as entities_material
from tests.baselines.made_pairs import material as pairs_material
from tests.baselines.made_pairs import rows as pair_rows
from tests.baselines.test_prompted import LABELS, classes, conversations
from tests.made_models import make_base
from whet.baselines.material import Material
from whet.baselines.prompted import few_shot, nearest_shots, zero_shot
from whet.errors import UserError
from whet.evaluation.kinds import values_of
from whet.prompting.local import Local, open_local

WAYS = {"zero_shot": zero_shot, "few_shot": few_shot, "nearest_shots": nearest_shots}


def opened(root: Path, longest: int) -> Local:
    return open_local(
        str(make_base(root / f"small-qwen-{longest}", "qwen2", language=True, max_position_embeddings=longest))
    )


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Local:
    """One that reads bytes."""
    return opened(tmp_path_factory.mktemp("bases"), 700)


def asked(material: Material, speaker: Local) -> Material:
    options: dict[str, Any] = {"prompting.shots": 2, "prompting.orders": 2, "prompting.max_tokens": 4}
    return replace(material, speaker=lambda: speaker, options=options | {"generation.max_tokens": 4})


@pytest.mark.parametrize("way", WAYS)
def test_labels_are_weighed(speaker: Local, way: str) -> None:
    material = asked(classes(None, count=4), speaker)
    found = WAYS[way](material, 0)
    test = found.predictions("test")
    np.testing.assert_allclose(test.scores.sum(axis=1), 1, atol=1e-5)
    assert test.labels == LABELS and found.facts["prompting"]["weighed"]
    costs = found.facts["prompting"]["a_request"]
    assert costs["seconds"]["mean"] > 0 and costs["tokens_in"]["mean"] > 10
    assert speaker.longest is None or costs["tokens_in"]["high"] <= speaker.longest
    json.dumps(found.facts, allow_nan=False)


def test_probabilities_are_those_of_the_speaker(speaker: Local) -> None:
    material = asked(classes(None, count=4), speaker)
    plain = zero_shot(replace(material, options=dict(material.options) | {"prompting.calibrate": False}), 0)
    content = f"{plain.facts['prompting']['instruction']}\n\nText: {material.splits['test'].texts([2])[0]}\nLabel:"
    nats = speaker.weigh([[{"role": "user", "content": content}]], LABELS)[0]
    np.testing.assert_allclose(plain.predictions("test").scores[2], np.exp(-nats) / np.exp(-nats).sum(), rtol=1e-4)


def open_tasks() -> dict[str, Material]:
    numbers = {name: pair_rows(name, text=["a b", "c d"], score=[0.0, 1.0]) for name in ("train", "validation", "test")}
    entities = entities_material(["[Anna]person slept", "no"], ["x [Bert]person"], ["[Carl]person left"])
    return {
        "regression": pairs_material("regression", **numbers),
        "token-classification": entities,
        "text-generation": pairs_material("text-generation", **conversations()),
    }


@pytest.mark.parametrize("task", list(open_tasks()))
def test_open_answers_are_said(speaker: Local, task: str) -> None:
    found = few_shot(asked(open_tasks()[task], speaker), 0)
    assert values_of(found.predictions("test"))
    about = found.facts["prompting"]
    assert about["spent"]["requests"] > 0 and about["spent"]["tokens_out"] <= 4 * about["spent"]["requests"]
    assert about["shots"] == {"wanted": 2, "mean": 2.0, "rows_with_fewer": 0} and about["rows_cut"] == 0
    json.dumps(found.facts, allow_nan=False)


def test_asking_again_says_the_same(speaker: Local) -> None:
    material = asked(open_tasks()["text-generation"], speaker)
    first, second = (nearest_shots(material, 3).predictions("test") for _ in range(2))
    assert first.said == second.said  # type: ignore[attr-defined]


def test_a_model_that_reads_little_is_shown_less_or_refused(tmp_path: Path) -> None:
    narrow = opened(tmp_path, 180)
    found = few_shot(asked(classes(None, count=4), narrow), 0)
    about = found.facts["prompting"]
    assert about["shots"]["mean"] < 2 and about["shots"]["rows_with_fewer"] > 0
    np.testing.assert_allclose(found.predictions("test").scores.sum(axis=1), 1, atol=1e-5)
    with pytest.raises(UserError, match=r"P052 small-qwen-180: takes 180 tokens"):
        zero_shot(asked(open_tasks()["token-classification"], narrow), 0)
