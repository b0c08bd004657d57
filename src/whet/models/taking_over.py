"""From a checkpoint's old head to a new one: which rows are kept, what starts anew, what is left out."""

from __future__ import annotations

from typing import Any

from torch import nn

from whet.models import averaging, language
from whet.models.networks import Loaded, holds, tensor_in
from whet.models.origin import Origin
from whet.models.places import Place
from whet.models.previous import Previous, extra_modules, keep_rows
from whet.models.task_model import TaskModel

OWN_HEAD = "own_head"


def take_over(
    model: TaskModel, place: Place, loaded: Loaded, old: Previous, extra_layer: bool, keep_labels: bool
) -> Origin:
    """Settle the head of ``model`` and what lies below it; say what became of the checkpoint.

    :param extra_layer: the checkpoint's last layer only averages and was not loaded.
    """
    network = loaded.network
    fresh = {name.rpartition(".")[0] for name in loaded.missing if model.pooling is None}
    unused = {name for name in loaded.unused if not (extra_layer and averaging.is_extra(name, network.config))}
    left_out = {_top(network, name) for name in unused} | set(extra_modules(place))
    half = model.family is not None and model.family.encoder and model.kind.kind != "language"
    if half and holds(place.folder, "decoder."):
        left_out.add("decoder")
    kept: tuple[str, ...] = ()
    if model.kind.kind == "language":
        fresh = language.started_anew(model, place, loaded)
        left_out = language.left_out(network, left_out, unused)
    else:
        kept = _settle_head(model, place, loaded, old, keep_labels, fresh, left_out)
    _settle_layer_below(model, extra_layer, fresh)
    origin = Origin(tuple(sorted(fresh)), tuple(sorted(left_out)), kept)
    if fresh and model.kind.kind == "language":
        origin.notes.append(language.told(model))
    if extra_layer:
        origin.notes.append("the layer that averages, of a model saved by whet, was taken off")
        origin.unlike.append("the base's files hold one more layer, which only averages")
    return origin


def _settle_head(
    model: TaskModel,
    place: Place,
    loaded: Loaded,
    old: Previous,
    keep_labels: bool,
    fresh: set[str],
    left_out: set[str],
) -> tuple[str, ...]:
    """Keep the rows of an old head whose names agree, draw all others anew; returns the names kept."""
    layer = model.head
    if layer is None:
        return ()
    own = model.pooling is not None
    name = OWN_HEAD if own else next(n for n, m in loaded.network.named_modules() if m is layer)
    weight, bias = old.weight, old.bias
    if not own:
        weight, bias = (tensor_in(place.folder, f"{name}.{part}") for part in ("weight", "bias"))
    if not own and f"{name}.weight" not in loaded.missing:
        _draw(layer, loaded.network.config)  # it has the shape of the old head, but perhaps not its meaning
    kept: tuple[str, ...] = ()
    names = model.kind.output_names
    if keep_labels and weight is not None and old.fits(model.kind):
        kept = keep_rows(layer, names, old, weight, bias)
    if len(kept) < len(names):
        fresh.add(name)
    else:
        fresh.discard(name)
    path = old.path if own else _top(loaded.network, name)
    if weight is not None and old.names and set(old.names) <= set(kept):
        left_out.discard(path)
    elif weight is not None:
        left_out.add(path)
    return kept


def _settle_layer_below(model: TaskModel, extra_layer: bool, fresh: set[str]) -> None:
    """A new square layer below the output starts as the identity, so that it loses nothing."""
    output = None if model.family is None else model.family.output(model.kind.kind)
    if model.pooling is not None or output is None or not output.dense:
        return
    if extra_layer and output.dense == averaging.POOLER:  # what the files hold there only scales
        fresh.add(output.dense)
    if output.dense in fresh:
        dense = model.network.get_submodule(output.dense)
        nn.init.eye_(dense.weight)
        if dense.bias is not None:
            nn.init.zeros_(dense.bias)


def _draw(layer: nn.Linear, config: Any) -> None:
    """As most architectures draw a new head."""
    nn.init.normal_(layer.weight, std=float(getattr(config, "initializer_range", 0.0) or 0.02))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _top(network: Any, name: str) -> str:
    """The part of the model that a weight belongs to."""
    return name.removeprefix(f"{network.base_model_prefix}.").partition(".")[0]
