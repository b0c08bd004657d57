"""A smaller model out of a larger one: some of its layers, fewer numbers a token; saved as any base of transformers."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from whet.errors import Problem, UserError
from whet.files import folder_beside, write_json
from whet.models import averaging, networks, rounding, sentence
from whet.models.linear_layers import stacks
from whet.models.narrowing import narrowed
from whet.models.networks import quiet
from whet.models.places import Place
from whet.models.pooling import Pooling, declared

ABOUT = "student.json"
"""In the folder of a student: what it was made of, and how."""
_DEPTHS = ("num_hidden_layers", "num_layers", "num_decoder_layers", "encoder_layers", "decoder_layers")
"""What configurations call the number of layers; of encoder-decoders one for each half."""


def shrink(
    place: Place,
    layers: int | Sequence[int] | None,
    width: int | None,
    tokenizer: Any,
    texts: Sequence[str],
    into: Path,
) -> dict[str, Any]:
    """Write a smaller model of ``place`` to the folder ``into``, whole or not at all; return what was done.

    :param layers: how many are kept, evenly spread from the first to the last; or their numbers from 0.
    :param width: of a token's vector; see :func:`whet.models.narrowing.narrowed`.
    :param tokenizer: of the base, saved beside it; :param texts: by which a narrower model is chosen.
    :raises UserError: M007, the base cannot be read; T030, it cannot lose layers so; T031, it cannot be narrowed so.
    """
    network, pooling = _whole(place)
    before = _count(network)
    record: dict[str, Any] = {"made_of": place.known_as, "parameters_before": before}
    if layers is not None:
        network, kept = _with_layers(network, place, layers)
        record |= {"layers": next(iter(kept.values())), **({"stacks": kept} if len(kept) > 1 else {})}
    if width is not None:
        network, chosen = narrowed(network, width, tokenizer, texts, str(place.folder))
        record |= {"width": width, **chosen}
    record["parameters"] = _count(network)
    with folder_beside(into) as inside, quiet():
        network.config._attn_implementation = "sdpa"
        network.save_pretrained(inside)
        tokenizer.save_pretrained(inside)
        if pooling is not None:
            _declare(pooling, int(network.config.hidden_size), inside)
        write_json(inside / ABOUT, record)
    return record


def spread(number: int, depth: int) -> list[int]:
    """``number`` of ``depth`` layers, evenly, the first and the last among them; of one alone the first."""
    if number == 1:
        return [0]
    return [round(place * (depth - 1) / (number - 1)) for place in range(number)]


def _whole(place: Place) -> tuple[Any, Pooling | None]:
    """The network with everything that its files hold, and the pooling that it declares.

    A classifier of ours that averages in a layer of its own is what it was made of again, its pooling declared.
    """
    import transformers

    config = networks.read_config(place)
    with quiet(), networks.explained(place.folder, "M007", "cannot be loaded"):
        name = next(iter(config.architectures or ()), "")
        cls = getattr(transformers, name, None) or transformers.AutoModel
        network, info = cls.from_pretrained(place.folder, dtype=torch.float32, output_loading_info=True)
    if rounding.packed_by(place.config):
        rounding.unpack(network)
    if getattr(config, averaging.CONFIG_KEY, False):
        trunk = averaging.without_layer(network, nn.Linear(config.hidden_size, config.num_labels))
        delattr(trunk.config, averaging.CONFIG_KEY)
        return trunk.eval(), "mean"
    missing, _ = networks.account(info)
    pooler = getattr(network, "pooler", None)
    if pooler is not None and any(one.startswith("pooler.") for one in missing):
        network.pooler = None
    return network.eval(), declared(place.around)


def _with_layers(network: Any, place: Place, wanted: int | Sequence[int]) -> tuple[Any, dict[str, list[int]]]:
    """The same architecture with some of the layers; and those of each list of them, an encoder-decoder has two.

    :raises UserError: T030, there are no such layers, or what is left is no whole model.
    """
    config, lists = copy.deepcopy(network.config), {name: len(stack) for name, stack in stacks(network)}
    said = int(getattr(config, "num_hidden_layers", 0) or 0)
    if not lists:
        raise _refused(place, f"lists no layers (a model of type {config.model_type!r}).")
    shared = said > min(lists.values()) and not getattr(config, "is_encoder_decoder", False)
    depths = dict.fromkeys(list(lists)[:1], said) if shared else lists
    kept = _kept(place, wanted, depths)
    state = network.state_dict()
    for name in {} if shared else kept:
        state = _renumbered(state, name, kept[name])
    _say_depth(config, [(depths[name], kept[name]) for name in kept])
    bare = {"add_pooling_layer": False} if getattr(network, "pooler", 1) is None else {}
    with quiet():
        smaller = type(network)(config, **bare).float().eval()
    try:
        smaller.load_state_dict(state, strict=True)
    except RuntimeError as error:
        first = str(error).strip().splitlines()[-1].strip()
        named = ", ".join(map(str, next(iter(kept.values()))))
        what = f"is no whole model with the layers {named} alone: {first}"
        raise _refused(place, what, "Keep layer 0, too.") from None
    return smaller, kept


def _kept(place: Place, wanted: int | Sequence[int], depths: Mapping[str, int]) -> dict[str, list[int]]:
    """The numbers of the layers that are kept of each list, as many of each; spread over each by itself.

    :raises UserError: T030, there are not so many.
    """
    depth = min(depths.values())
    numbers = list(range(wanted)) if isinstance(wanted, int) else sorted(wanted)
    if len(set(numbers)) != len(numbers) or numbers[-1] >= depth:
        what = f"has {depth} layers (0 to {depth - 1}), and {wanted} cannot be kept."
        raise _refused(place, what)
    return {name: spread(wanted, own) if isinstance(wanted, int) else numbers for name, own in depths.items()}


def _renumbered(state: Mapping[str, Tensor], stack: str, kept: Sequence[int]) -> dict[str, Tensor]:
    """The weights of a list of layers that is called ``stack``, those of ``kept`` alone and counted anew."""
    places = {old: new for new, old in enumerate(kept)}
    pattern = re.compile(rf"^{re.escape(stack)}\.(\d+)\.")
    found = {}
    for name, value in state.items():
        within = pattern.match(name)
        if within is None:
            found[name] = value
        elif int(within[1]) in places:
            found[f"{stack}.{places[int(within[1])]}.{name[within.end() :]}"] = value
    return found


def _say_depth(config: Any, stacks_kept: Sequence[tuple[int, Sequence[int]]]) -> None:
    """Make ``config`` speak of the layers that are kept, entries of each layer included.

    :param stacks_kept: of each list of layers its depth and which are kept; as many of each.
    """
    for name in _DEPTHS:
        if isinstance(getattr(config, name, None), int):
            setattr(config, name, len(stacks_kept[0][1]))
    by_depth = dict(reversed(stacks_kept))
    for name, value in config.to_dict().items():
        if "layer" in name and isinstance(value, list) and len(value) in by_depth:
            setattr(config, name, [value[one] for one in by_depth[len(value)]])


def _declare(pooling: Pooling, width: int, folder: Path) -> None:
    """Beside a bare model, the pooling that its base was trained with, as sentence-transformers keeps it."""
    kinds = {"": "Transformer", "1_Pooling": "Pooling"}
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds.items())
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "1_Pooling" / "config.json", sentence.pooling_settings(pooling, width))


def _count(network: Any) -> int:
    return sum(weight.numel() for weight in network.parameters())


def _refused(place: Place, what: str, remedy: str = "Ask for fewer layers, or for some of those it has.") -> UserError:
    return UserError(Problem("T030", f"student.layers of {place.folder}", what, remedy))
