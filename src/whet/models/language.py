"""Language heads: the last layer over the vocabulary, which is the base's own and often its table of embeddings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from whet.errors import Problem, UserError
from whet.models import sequences, targets
from whet.models.families import FAMILIES
from whet.models.networks import Guess, Loaded, explained, guesses, holds, read_config
from whet.models.places import Place
from whet.models.reading import caught
from whet.models.task_model import TaskModel

_HEADS = ("lm_head.", "embed_out.")
"""What the last layer of a decoder is called in files; the second is GPT-NeoX's."""


def guesses_of(place: Place) -> Guess | None:
    """Which tokens a base says as a language model; None where it is none.

    :raises UserError: M007, its configuration cannot be read.
    """
    return guesses(read_config(place))


def refuse_headless(place: Place, config: Any) -> None:
    """Check, without loading it, that what writes brings its last layer or ties it to its embeddings.

    :raises UserError: M008, it does neither: a new one would know no word.
    """
    guess = guesses(config)
    tied = config.tie_word_embeddings
    if guess == "target":  # transformers ties T5's tables whatever its file says, and keeps two where there are two
        tied = place.config.get("tie_word_embeddings", True)
    listed = guess == "target" or (config.model_type in FAMILIES and guess == "next")
    if listed and not tied and not any(holds(place.folder, name) for name in _HEADS):
        raise UserError(_headless(place))


def _headless(place: Place) -> Problem:
    what = "brings no layer over its vocabulary, and its configuration does not tie it to the embeddings."
    return Problem("M008", str(place.folder), what, "Use a folder that holds the language model as a whole.")


def last_layer(network: Any, place: Place) -> nn.Linear:
    """The layer over the vocabulary of a network whose family is not listed.

    :raises UserError: M008, it has none that is a linear layer.
    """
    found = network.get_output_embeddings()
    if isinstance(found, nn.Linear):
        return found
    what = f"{type(network).__name__} has no linear layer over its vocabulary."
    raise UserError(Problem("M008", str(place.folder), what, "Use another base."))


# --- what became of the base ----------------------------------------------------------------------------


def started_anew(model: TaskModel, place: Place, loaded: Loaded) -> set[str]:
    """Modules of the head that the checkpoint does not bring; a last layer that is tied counts as brought.

    :raises UserError: M008, the last layer of a decoder is missing and not tied.
    """
    head = _head_name(model)
    anew = {name.rpartition(".")[0] for name in loaded.missing}
    if f"{head}.weight" in loaded.missing and not model.shares_embedding:
        if model.guesses in ("next", "target"):
            raise UserError(_headless(place))
        return {name for name in anew if not _around(name, head)} | {head}
    below = {name for name in anew if not _around(name, head)}
    return below or ({head} if anew else set())


def _head_name(model: TaskModel) -> str:
    return str(next(name for name, module in model.network.named_modules() if module is model.head))


def _around(name: str, head: str) -> bool:
    """Whether a module is the last layer or the one around it, which in some families keeps its bias."""
    return head == name or head.startswith(f"{name}.")


def told(model: TaskModel) -> str:
    """In words, that a head started anew."""
    shared = "multiplies by the base's own embeddings" if model.shares_embedding else "is new as well"
    return f"the base brings no language head: it starts anew; its last layer {shared}"


def left_out(network: Any, tops: set[str], unused: Iterable[str]) -> set[str]:
    """What of the checkpoint was not used; of a part that is used otherwise, the module and not the whole."""
    names = {name.removeprefix(f"{network.base_model_prefix}.") for name in unused}
    own = {name for name, _ in network.named_children()}
    return {top for top in tops if top not in own} | {
        name.rpartition(".")[0] or name for name in names if name.partition(".")[0] in own
    }


# --- a model ready to train -----------------------------------------------------------------------------


def settle(model: TaskModel, tokenizer: Any, place: Place) -> None:
    """Make a language model ready: every word learns, it ends texts as its tokenizer does, and it is understood.

    :raises UserError: M008, a family that is not listed makes its logits by more than its last layer.
    """
    table = model.trunk.get_input_embeddings()
    if model.guesses == "next" and isinstance(table, nn.Embedding):
        table.padding_idx = None  # it may be the token that ends a text, whose row would get no gradient
    writes = model.guesses == "target"
    if not model.shares_embedding and not writes:  # a file may hold two tables where its configuration speaks of one
        model.network.config.tie_word_embeddings = False  # of two halves it also says whether they share a table
    if writes:
        targets.keep_precision(model.network)
    settle_generation(model.network, tokenizer)
    if model.family is None or writes:
        _prove(model, place)


@torch.no_grad()
def part_biases(model: TaskModel) -> None:
    """After growth: where nothing is tied, no two modules may hold one bias, of which a file keeps a single name."""
    layer = model.linear_head
    if model.shares_embedding or layer.bias is None:
        return
    for module in model.network.modules():
        if module is not layer and getattr(module, "bias", None) is layer.bias:
            module.bias = nn.Parameter(layer.bias.clone())


def settle_generation(network: Any, tokenizer: Any) -> None:
    """Fill in which tokens begin, end and pad a text that ``network`` writes, where its base does not say.

    Sampling settings that contradict each other, which transformers refuses to save, are dropped.
    """
    found = getattr(network, "generation_config", None)
    if found is None:
        return
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    starts = ("decoder_start_token_id", "forced_bos_token_id")
    try:
        found.validate(strict=True)
    except ValueError:
        from transformers import GenerationConfig

        kept = {name: getattr(found, name) for name in (*names, *starts)}
        network.generation_config = found = GenerationConfig(**kept)
    for name in names:
        if getattr(found, name) is None:
            setattr(found, name, getattr(tokenizer, name))
    if guesses(network.config) == "target":
        sequences.fill_in(network, tokenizer)


@torch.no_grad()
def _prove(model: TaskModel, place: Place) -> None:
    """Hold our logits of a few tokens beside those of transformers' own class."""
    was = model.training
    model.eval()
    size = model.trunk.get_input_embeddings().weight.shape[0]
    ids = torch.arange(1, 7).remainder(size)[None, :]
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with explained(place.folder, "M008", "cannot be used as a language model"):
        try:
            writes = model.guesses == "target"
            inputs |= {"decoder_input_ids": ids.flip(1)} if writes else {}
            plain = model.network(**inputs).logits[0].float()
            found = (targets.reaching if writes else caught)(model.network, model.linear_head, inputs)
            ours = model.logits(found[0])
        except (AttributeError, TypeError, IndexError) as error:  # it takes or gives something else
            raise ValueError(str(error)) from error
    model.train(was)
    if ours.shape != plain.shape or not torch.allclose(ours, plain, atol=1e-4, rtol=1e-4):
        what = f"is a model of type {model.network.config.model_type!r}: its logits are not what its last layer says."
        raise UserError(Problem("M008", str(place.folder), what, "Use another base."))
