from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.made_models import make_base

from .ready import LABELS, Ready, ready

MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A tiny base of a family on disk, made once.

    ``pooler=False``: as a masked language model's checkpoint. ``plain``: declares no pooling, and is wider.
    ``language``: with its language head, and as wide.
    """
    root = tmp_path_factory.mktemp("bases")

    def base(family: str, pooler: bool = True, plain: bool = False, language: bool = False) -> Path:
        if language:
            folder = root / f"{family}-language"
            return folder if folder.exists() else make_base(folder, family, width=32, language=True)
        folder = root / f"{family}{'' if pooler else '-without-pooler'}{'-plain' if plain else ''}"
        if folder.exists():
            return folder
        return make_base(folder, family, None if plain else MEAN, pooler, **({"width": 32} if plain else {}))

    return base


@pytest.fixture
def made(bases: Callable[..., Path]) -> Callable[..., Ready]:
    """A classifier on a tiny base, its head drawn at random, in evaluation mode."""

    def make(family: str, pooling: str | None, labels: tuple[str, ...] = LABELS, **more: bool) -> Ready:
        return ready(bases(family, **more), pooling, labels)

    return make
