"""What a base is changed in, beside its head, before it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes of a base.

    - ``add_tokens``: words that become tokens of their own; each starts as the mean of its old parts.
    - ``max_length``: tokens that the model must take, more than the base does where it can be extended.
    - ``keep_labels``: rows of the base's own head of the same kind are kept where names of labels agree.
    """

    add_tokens: Sequence[str] = ()
    max_length: int | None = None
    keep_labels: bool = True
