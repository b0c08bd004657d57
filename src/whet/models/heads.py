"""What stands on top of a pretrained model: the kinds of heads, and what each gives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from whet.models.pooling import Pooling

HeadKind = Literal["classes", "value", "tokens", "span", "vectors", "language"]
Level = Literal["text", "token"]
AS_IT_IS = {"activation_fn": "torch.nn.modules.linear.Identity"}
"""In the configuration of a value: sentence-transformers' CrossEncoder would put it through a sigmoid."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a :class:`~whet.models.task_model.TaskModel`.

    - ``kind``: 'classes' (C logits a text), 'value' (one number a text), 'tokens' (K logits a token),
      'span' (a start and an end logit a token), 'vectors' (one vector a text), 'language' (a logit a token for
      each word of the vocabulary).
    - ``labels``: C or K names; none for the other kinds.
    - ``multi_label``: classes only, a text may carry several labels.
    - ``pooling``: classes and value: None for the architecture's own classifier; vectors: must be given.
    - ``normalise``: vectors only, unit length.
    """

    kind: HeadKind
    labels: Sequence[str] = ()
    multi_label: bool = False
    pooling: Pooling | None = None
    normalise: bool = True

    def __post_init__(self) -> None:
        """:raises ValueError: the parts do not fit together."""
        if (self.kind in ("classes", "tokens")) != bool(self.labels):
            raise ValueError(f"a head of kind {self.kind!r} with {len(self.labels)} labels")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("two labels of a head have one name")
        if self.kind == "vectors" and self.pooling is None:
            raise ValueError("vectors need a pooling")
        if self.level == "token" and self.pooling is not None:
            raise ValueError(f"a head of kind {self.kind!r} pools nothing")

    @property
    def level(self) -> Level:
        """What one row of the output stands for."""
        return "token" if self.kind in ("tokens", "span", "language") else "text"

    @property
    def width(self) -> int | None:
        """Numbers per text or token; None for vectors and language, whose width is the model's."""
        if self.kind in ("vectors", "language"):
            return None
        return {"value": 1, "span": 2}.get(self.kind, len(self.labels))

    @property
    def output_names(self) -> Sequence[str]:
        """What the rows of the last layer are called in a saved configuration."""
        return {"value": ("value",), "span": ("start", "end")}.get(self.kind, tuple(self.labels))
