"""Questions as material of baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from whet.baselines.material import Material
from whet.data.forms import Examples, Shape
from whet.data.questions import ANSWERS

Row = tuple[str, str, Sequence[str]]
"""Question, context, answers."""


def split(name: str, rows: Sequence[Row]) -> Examples:
    columns: dict[str, list[Any]] = {
        "text": [question for question, _, _ in rows],
        "text_pair": [context for _, context, _ in rows],
        "answers": [[{"start": context.index(one), "text": one} for one in answers] for _, context, answers in rows],
        "group": [context[:5] for _, context, _ in rows],
    }
    shape = Shape((("text_pair", pa.string()), ("answers", ANSWERS), ("group", pa.string())))
    return Examples.of(columns, shape, name)


def material(rows: Mapping[str, Sequence[Row]]) -> Material:
    def none(_: Any) -> Any:
        raise AssertionError("no vectors are needed")

    splits = {name: split(name, of) for name, of in rows.items()}
    return Material("question-answering", splits, (), False, {}, none, none)
