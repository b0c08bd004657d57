from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.made_models import declare_pooling
from whet.kernels.flat import layout, pad
from whet.models.loading import choose_pooling
from whet.models.places import Place
from whet.models.pooling import POOL, declared, padded_pool, standardised

DECLARATIONS: list[tuple[dict[str, Any], str | None]] = [
    ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, "mean"),
    ({"pooling_mode_cls_token": True}, "first"),
    ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "last"),
    ({"pooling_mode_max_tokens": True}, None),
    ({"pooling_mode_weightedmean_tokens": True}, None),
    ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, None),
    ({"pooling_mode_mean_tokens": False}, None),
    ({"pooling_mode": "mean"}, "mean"),
    ({"pooling_mode": "cls"}, "first"),
    ({"pooling_mode": "lasttoken"}, "last"),
    ({"pooling_mode": "max"}, None),
    ({"pooling_mode": ["mean", "cls"]}, None),
    ({}, None),
]


@pytest.mark.parametrize(("settings", "expected"), DECLARATIONS)
def test_the_pooling_a_folder_declares(tmp_path: Path, settings: dict[str, Any], expected: str | None):
    declare_pooling(tmp_path, {"word_embedding_dimension": 16, **settings})
    assert declared(tmp_path) == expected
    pooling, reason = choose_pooling(Place("x", tmp_path, ""), "auto")
    assert pooling == expected
    assert (expected or "no pooling") in reason


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '[{"type": "a.Transformer"}]', '[{"type": "a.Pooling"}]', "3"]
)
def test_folders_that_declare_nothing(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "modules.json").write_text(content)
    assert declared(tmp_path) is None


def test_settings_that_are_damaged_declare_nothing(tmp_path: Path):
    declare_pooling(tmp_path, {})
    for content in ("{", "[]", "3"):
        (tmp_path / "1_Pooling" / "config.json").write_text(content)
        assert declared(tmp_path) is None
    assert json.loads((tmp_path / "modules.json").read_text())


def test_what_was_asked_for_is_taken():
    place = Place("x", Path("nowhere"), "")
    assert choose_pooling(place, "native") == (None, "asked for")
    assert choose_pooling(place, "first") == ("first", "asked for")


@pytest.mark.parametrize("pooling", POOL)
def test_flat_and_padded_forms_agree(pooling: Any):
    where = layout(torch.tensor([3, 1, 5]))
    flat = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    mask = (torch.arange(5)[None, :] < where.lengths[:, None]).long()
    torch.testing.assert_close(POOL[pooling](flat, where), padded_pool(pad(flat, where), mask, pooling))


def test_standardised_rows_have_mean_zero_and_variance_one():
    found = standardised(torch.randn(3, 50, dtype=torch.bfloat16) * 7 + 2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.mean(1), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.var(1, unbiased=False), torch.ones(3))
