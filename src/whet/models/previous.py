"""What a checkpoint already carries on top: its old head, and which rows of it a new head keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whet.models.about import ABOUT, load_about
from whet.models.averaging import POOLER_SCALE
from whet.models.families import FAMILIES
from whet.models.heads import Head, HeadKind
from whet.models.networks import tensor_in
from whet.models.places import Place
from whet.models.pooling import Pooling, modules_of

_ENDINGS: dict[str, HeadKind] = {
    "ForSequenceClassification": "classes",
    "ForTokenClassification": "tokens",
    "ForQuestionAnswering": "span",
    "ForQuestionAnsweringSimple": "span",
}
_SPAN = ("start", "end")


@dataclass(frozen=True, slots=True)
class Previous:
    """An old head.

    - ``kind``: None for a bare model, a language model, or a head of another sort.
    - ``names``: of its rows, as :attr:`Head.output_names`.
    - ``pooling``: of a head of ours on pooled vectors; None for the architecture's own.
    - ``weight`` (C, F), ``bias`` (C,) of a head of ours; an architecture's own comes with its network.
    - ``path``: where it lies in the folder, for reports.
    """

    kind: HeadKind | None
    names: Sequence[str] = ()
    pooling: Pooling | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None
    path: str = ""

    def fits(self, head: Head) -> bool:
        """Whether rows of the one can become rows of the other."""
        return self.kind == head.kind and self.pooling == head.pooling


def previous_head(place: Place, config: Any) -> Previous:
    """The head that the files of ``place`` hold."""
    if (place.around / ABOUT).exists():
        return _of_ours(place)
    kind = next((k for a in config.architectures or () for e, k in _ENDINGS.items() if a.endswith(e)), None)
    if kind is None:
        return Previous(None)
    names = tuple(config.id2label[n] for n in sorted(config.id2label))
    family = FAMILIES.get(config.model_type)
    if kind == "classes" and len(names) == 1:
        return Previous("value", ("value",))
    if kind == "tokens" and names == _SPAN and family is not None and family.span_is_tagger:
        kind = "span"
    return Previous(kind, _SPAN if kind == "span" else names)


def _of_ours(place: Place) -> Previous:
    about = load_about(place.around)
    names = tuple(about.head.output_names)
    if about.head_kind == "vectors" or about.pooling is None:
        return Previous(None if about.head_kind == "vectors" else about.head_kind, names)
    if place.outer is not None:
        weight, bias = (tensor_in(place.outer / "3_Dense", f"linear.{part}") for part in ("weight", "bias"))
        return Previous(about.head_kind, names, about.pooling, weight, bias, "3_Dense")
    weight, bias = (tensor_in(place.folder, f"classifier.{part}") for part in ("weight", "bias"))
    scaled = None if weight is None else weight * POOLER_SCALE
    return Previous(about.head_kind, names, about.pooling, scaled, bias, "classifier")


def extra_modules(place: Place) -> list[str]:
    """What a sentence-transformers folder holds beyond a transformer, its pooling and a normalisation."""
    if (place.around / ABOUT).exists():
        return ["3_Dense"] if place.outer is not None else []
    usual = ("Transformer", "Pooling", "Normalize")
    return [path or kind for kind, path in modules_of(place.around) if kind not in usual]


@torch.no_grad()
def keep_rows(
    layer: nn.Linear, names: Sequence[str], old: Previous, weight: Tensor, bias: Tensor | None
) -> tuple[str, ...]:
    """Copy the rows of an old head into ``layer`` (C, F) where names agree; the order is that of ``names``.

    :returns: the names that were kept.
    """
    if weight.shape[1] != layer.in_features:
        return ()
    places = {name: number for number, name in enumerate(old.names[: len(weight)])}
    kept = [name for name in names if name in places]
    for number, name in enumerate(names):
        if name in places:
            layer.weight[number] = weight[places[name]].to(layer.weight.dtype)
            if layer.bias is not None and bias is not None:
                layer.bias[number] = bias[places[name]].to(layer.bias.dtype)
    return tuple(kept)
