"""What a search draws from, in words."""

from __future__ import annotations

from whet.recipe import space


def test_bases_in_words() -> None:
    assert space.base_in_words("/a/b/runs/domain/model") == "runs/domain"
    assert space.base_in_words("/a/b/runs/domain/models/full") == "runs/domain"
    assert space.base_in_words("minilm") == "minilm" and space.base_in_words("models/x") == "models/x"
