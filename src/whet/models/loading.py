"""From a place to a model: tokenizer, pretrained weights, a head for the task, and what is changed in the base."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from whet.errors import Problem, UserError
from whet.models import averaging, growth, language, networks, rounding, taking_over
from whet.models import pooling as poolings
from whet.models.averaging import CONFIG_KEY
from whet.models.changes import Changes
from whet.models.families import FAMILIES, Family
from whet.models.heads import AS_IT_IS, Head, HeadKind
from whet.models.networks import explained, quiet
from whet.models.places import Place
from whet.models.pooling import Pooling
from whet.models.previous import previous_head
from whet.models.task_model import TaskModel

# --- tokenizers ---------------------------------------------------------------------------------------


def load_tokenizer(place: Place, add_tokens: Sequence[str] = ()) -> Any:
    """The tokenizer of a base: a fast one, or of an encoder-decoder what its family has.

    :param add_tokens: words that become tokens of their own where they are not already.
    :raises UserError: M006, it has none or it cannot be read; M012, a token cannot be added.
    """
    folder = next(
        (f for f in (place.folder, place.around) if any(found for p in _TOKENIZER_FILES for found in f.glob(p))), None
    )
    if folder is None:  # transformers would make one up that knows no word
        raise UserError(Problem("M006", str(place.folder), "has no tokenizer.", "Add its tokenizer.json."))
    with quiet(), explained(place.folder, "M006", "its tokenizer cannot be loaded"):
        tokenizer = _tokenizer_in(folder)
    if not (getattr(tokenizer, "is_fast", False) or _may_be_slow(place)):
        raise UserError(_slow(place))
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    growth.add_tokens(tokenizer, add_tokens)
    return tokenizer


def _tokenizer_in(folder: Path) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(folder)
    except ImportError as error:
        if _SENTENCEPIECE not in str(error).lower():
            raise
        what = f"its tokenizer needs the library {_SENTENCEPIECE}, which is not installed."
        raise UserError(Problem("M006", str(folder), what, f"Install it: pip install {_SENTENCEPIECE}.")) from error


def _may_be_slow(place: Place) -> bool:
    """Whether a tokenizer written in Python will do: sources and targets are encoded by their class's own rules.

    Marian's and M2M100's have no other. An adapter's folder has no configuration; its base was looked at.
    """
    if not (place.folder / "config.json").exists():
        return True
    return networks.guesses(networks.read_config(place)) == "target"


def _slow(place: Place) -> Problem:
    return Problem("M006", str(place.folder), "has no fast tokenizer.", "Add its tokenizer.json.")


_SENTENCEPIECE = "sentencepiece"
_TOKENIZER_FILES = ("tokenizer.json", "vocab*", "*.model", "*.tiktoken")


def longest_input(place: Place, tokenizer: Any) -> int:
    """The most tokens the base takes as it is."""
    positions = growth.positions_of(place.config, _family(place))
    limits = [n for n in (positions, int(tokenizer.model_max_length)) if n is not None and 0 < n < 1_000_000]
    return min(limits, default=512)


# --- what a base can carry ----------------------------------------------------------------------------


def refuse_unusable(place: Place, kind: HeadKind, wanted: str) -> None:
    """Check, without loading it, that the base can be read and can carry a head of ``kind``.

    :param wanted: ``head.pooling`` of the recipe; of no account for heads of tokens.
    :raises UserError: M006, its tokenizer is too slow for this head; M007, its configuration or weights cannot be
        read; M008, it cannot carry this head; M009, this pooling makes no sense for it.
    """
    count_parameters(place)
    config = networks.read_config(place)
    pooling, _ = choose_pooling(place, wanted, kind)
    if networks.auto_class(config, kind, pooling is not None) is None:
        raise UserError(networks.no_class(place, config, kind))
    if kind == "language":
        language.refuse_headless(place, config)
    elif _may_be_slow(place) and not (place.folder / "tokenizer.json").exists() and not load_tokenizer(place).is_fast:
        raise UserError(_slow(place))  # all other heads need a fast one


def choose_pooling(place: Place, wanted: str, kind: HeadKind = "classes") -> tuple[Pooling | None, str]:
    """The pooling for ``head.pooling = wanted``, None meaning the architecture's own head; and the reason.

    :raises UserError: M008, the family needs a pooling and 'native' was asked for; M009, pooling that makes
        no sense: 'native' for vectors, the first token of a decoder.
    """
    if kind in ("tokens", "span", "language"):
        return None, "every token has its own output"
    family = _family(place)
    must_pool = kind == "vectors" or (family is not None and family.text is None)
    if wanted == "native":
        if kind == "vectors":
            raise UserError(
                Problem("M009", "head.pooling", "'native' pools nothing.", "Use 'mean', 'first' or 'last'.")
            )
        if must_pool:
            raise UserError(networks.no_class(place, networks.read_config(place), kind))
        return None, "asked for"
    if wanted == "first" and family is not None and family.causal:
        what = "the base is a decoder: its first token knows nothing of those after it."
        raise UserError(Problem("M009", "head.pooling", what, "Use 'last' or 'mean'."))
    if wanted != "auto":
        return wanted, "asked for"  # type: ignore[return-value]
    found = poolings.declared(place.around)
    if found is not None:
        return found, f"the base was trained with {found} pooling (its sentence-transformers folder says so)"
    if _averages(place):
        return "mean", "the base is a saved model of whet that pools by the mean"
    if must_pool:
        chosen: Pooling = "last" if family is not None and family.causal else "mean"
        return chosen, f"the base declares no pooling of its own; {chosen!r} is usual for its kind"
    return None, "the base declares no pooling of its own, so the architecture's classifier is used"


def _averages(place: Place) -> bool:
    """Whether the base is a classifier of ours that carries an averaging layer."""
    try:
        return bool(place.config.get(CONFIG_KEY, False))
    except OSError:
        return False


def _family(place: Place) -> Family | None:
    try:
        return FAMILIES.get(str(place.config.get("model_type")))
    except OSError:
        return None


# --- models -------------------------------------------------------------------------------------------


def load_model(place: Place, head: Head, tokenizer: Any, seed: int, changes: Changes | None = None) -> TaskModel:
    """The base with ``head``, in fp32, changed as ``changes`` says.

    A head of our own starts as zeros, the architecture's as it draws them under ``seed``; rows of an old
    head of the same kind are kept where names of labels agree. A language head is the base's own; where a
    masked language model lacks it, it starts anew. What became of the base is in ``model.origin``.

    :param tokenizer: as :func:`load_tokenizer` gives it; tokens to add are added to it if it lacks them.
    :raises UserError: M007, the weights cannot be loaded or are not complete; M008, the base cannot carry
        this head; M010, its positions cannot be extended; M012, a token cannot be added.
    """
    changes = changes or Changes()
    torch.manual_seed(seed)
    config = networks.read_config(place)
    old = previous_head(place, config)
    extra_layer = averaging.take_off_config(config)
    packed = rounding.packed_by(place.config) == rounding.LIBRARY
    config = labelled(config, head, tokenizer)
    cls = networks.auto_class(config, head.kind, head.pooling is not None)
    if packed and cls is not None:
        rounding.expect(config, place, cls)
    loaded = networks.read_network(place, config, head)
    if packed:
        rounding.unpack(loaded.network)
    model = with_head(loaded.network, head, tokenizer, place)
    model.origin = taking_over.take_over(model, place, loaded, old, extra_layer, changes.keep_labels)
    if packed:
        model.origin.notes.append("its files hold weights of few bits: what these left of them is taken as it is")
        model.origin.unlike.append("the base's weights were whole again")
    if head.kind == "language":
        language.settle(model, tokenizer, place)
    _grow(model, place, tokenizer, changes)
    return model


def with_head(network: Any, head: Head, tokenizer: Any, place: Place) -> TaskModel:
    """``network`` as a model with ``head``: the network's own last layer, or a new one that starts as zeros.

    :raises UserError: M008, the network has no linear output layer.
    """
    family = FAMILIES.get(network.config.model_type)
    layer: nn.Linear | None = None
    if head.pooling is None:
        layer = _output_layer(network, family, head, place)
    elif head.width is not None:
        layer = nn.Linear(network.config.hidden_size, head.width)
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    chance = _chance(network.config, head.kind)
    return TaskModel(network, head, layer, family, int(tokenizer.pad_token_id or 0), chance)


def _chance(config: Any, kind: HeadKind) -> float:
    """Of dropout below the last layer."""
    if kind in ("span", "vectors", "language"):
        return 0.0
    names = ("hidden_dropout_prob", "dropout", "dropout_rate")
    return float(next((getattr(config, name) for name in names if hasattr(config, name)), 0.0) or 0.0)


def labelled(config: Any, head: Head, tokenizer: Any) -> Any:
    """``config`` with what an architecture's own head needs to know."""
    if head.pooling is not None or head.kind == "language":
        return config
    config.id2label = dict(enumerate(head.output_names))
    config.label2id = {label: number for number, label in enumerate(head.output_names)}
    config.problem_type = {
        "classes": "multi_label_classification" if head.multi_label else "single_label_classification",
        "value": "regression",
    }.get(head.kind)
    if head.kind == "value":
        config.sentence_transformers = AS_IT_IS
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    return config


def _output_layer(network: Any, family: Family | None, head: Head, place: Place) -> nn.Linear:
    output = None if family is None else family.output(head.kind)
    if output is not None:
        return network.get_submodule(output.last)  # type: ignore[no-any-return]
    if head.kind == "language":
        return language.last_layer(network, place)
    last = [m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == head.width]
    if not last:
        name = type(network).__name__
        raise UserError(Problem("M008", str(place.folder), f"{name} has no linear output layer.", "Use another base."))
    return last[-1]


def _grow(model: TaskModel, place: Place, tokenizer: Any, changes: Changes) -> None:
    """Tokens and positions that ``changes`` adds."""
    origin = model.origin
    if changes.add_tokens:
        before = load_tokenizer(place)
        new = [token for token in dict.fromkeys(changes.add_tokens) if not growth.is_known(before, token)]
        growth.add_tokens(tokenizer, new)
        old_parts = {tokenizer.convert_tokens_to_ids(token): growth.parts(before, token) for token in new}
        growth.grow_vocabulary(model.network, old_parts)
        if model.kind.kind == "language":  # another vocabulary is another last layer
            model.follow(_output_layer(model.network, model.family, model.kind, place))
            language.part_biases(model)
        origin.new_tokens = tuple(sorted(old_parts))
        known = [token for token in dict.fromkeys(changes.add_tokens) if token not in new]
        if new:
            origin.notes.append(f"tokens added, each as the mean of its old parts: {len(new)}")
            origin.unlike.append("tokens were added")
        if known:
            origin.notes.append(f"tokens that the base knew already: {', '.join(known)}")
    if changes.max_length:
        note = growth.grow_positions(model.network, model.family, changes.max_length, str(place.folder))
        if note:
            origin.notes.append(note)
            origin.unlike.append("positions were added")


def linear_shapes(place: Place) -> list[tuple[int, int]]:
    """Of each matrix of a base that texts are multiplied by, its two sides; read off its files.

    :raises UserError: M007, a file is damaged.
    """
    looked_up = ("embed", "wte", "wpe", "shared", "lm_head", "relative", "mask_emb")
    return [
        (shape[0], shape[1])
        for name, shape in _stored_shapes(place)
        if len(shape) == 2 and min(shape) > 1 and not any(word in name for word in looked_up)
    ]


def count_parameters(place: Place) -> int:
    """Weights of a base, read off its files without loading them.

    :raises UserError: M007, a file is damaged.
    """
    return sum(math.prod(shape) for _, shape in _stored_shapes(place))


def _stored_shapes(place: Place) -> Iterator[tuple[str, list[int]]]:
    for path in place.folder.glob("*.safetensors"):
        with explained(place.folder, "M007", "its weights cannot be read"):
            yield from rounding.stored_shapes(path)
