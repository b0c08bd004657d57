"""What a model was made from: what is new in it, what of the checkpoint was not used, what was changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Origin:
    """An account of how a base became a model.

    - ``fresh``: every module that was initialised anew; 'own_head' is a layer of ours, other names are the
      network's.
    - ``left_out``: what of the checkpoint was not used, by its top-level names: an old head, a decoder.
    - ``kept_labels``: labels whose rows of an old head were kept.
    - ``new_tokens``: ids of tokens that were added.
    - ``notes``: what else there is to say, in words.
    - ``unlike``: reasons why the base's files with an adapter would not give this network.
    """

    fresh: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    kept_labels: tuple[str, ...] = ()
    new_tokens: tuple[int, ...] = ()
    notes: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For reports; new tokens as a count."""
        return {
            "fresh": list(self.fresh),
            "left_out": list(self.left_out),
            "kept_labels": list(self.kept_labels),
            "new_tokens": len(self.new_tokens),
            "notes": list(self.notes),
        }
