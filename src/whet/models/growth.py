"""A base that grows: tokens added to its vocabulary, positions to its table of positions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from whet.errors import Problem, Problems, UserError
from whet.models.families import Family

# --- vocabulary ---------------------------------------------------------------------------------------


def is_known(tokenizer: Any, token: str) -> bool:
    """Whether ``token`` is one token already."""
    if token in tokenizer.get_vocab():
        return True
    ids = tokenizer.encode(token, add_special_tokens=False)
    return len(ids) == 1 and ids[0] != tokenizer.unk_token_id


def add_tokens(tokenizer: Any, tokens: Iterable[str]) -> list[str]:
    """Make ``tokens`` tokens of their own in ``tokenizer``; those that are known already stay as they are.

    A token of letters and digits is found where it stands as a word, any other wherever it stands.

    :returns: the tokens that were added.
    :raises UserError: M012, an empty token, one that the tokenizer does not find again, or no fast tokenizer.
    """
    problems = Problems()
    added = []
    wanted = list(dict.fromkeys(tokens))
    if wanted and not tokenizer.is_fast:  # M2M100's would give them the numbers of its languages
        what = "the base has no fast tokenizer, and tokens are added to fast ones only."
        raise UserError(Problem("M012", "tokens to add", what, "Leave them out."))
    for token in wanted:
        if not token.strip():
            problems.add("M012", "a token to add", f"{token!r} is empty.", "Leave it out.")
        elif not is_known(tokenizer, token):
            added.append(token)
            if not _add(tokenizer, token):
                what = "is not found in a text by this tokenizer after it was added."
                problems.add("M012", f"the token {token!r}", what, "Leave it out, or write it otherwise.")
    problems.raise_if_any()
    return added


def _add(tokenizer: Any, token: str) -> bool:
    """Add one token in the form that the tokenizer finds again in a text."""
    from transformers import AddedToken

    word = token[0].isalnum() and token[-1].isalnum()
    normal = tokenizer.backend_tokenizer.normalizer
    # a normaliser that puts something in front would make the token one that only stands at a text's start
    normalised = normal is not None and len(normal.normalize_str(token)) == len(token)
    tokenizer.add_tokens([AddedToken(token, single_word=word, normalized=normalised)])
    number = tokenizer.convert_tokens_to_ids(token)
    return number in tokenizer.encode(f"a {token} b", add_special_tokens=False)


def parts(tokenizer: Any, token: str) -> list[int]:
    """The ids that ``token`` was made of before it was added; the unknown token only where nothing else is there."""
    ids = list(tokenizer.encode(token, add_special_tokens=False))
    return [i for i in ids if i != tokenizer.unk_token_id] or ids[:1] or [tokenizer.unk_token_id or 0]


@torch.no_grad()
def grow_vocabulary(network: Any, old_parts: Mapping[int, Sequence[int]]) -> None:
    """Give each new token the mean of the embeddings of its old parts.

    Output weights that are tied to the embeddings stay tied; others, and their bias, get the mean of
    their own rows.

    :param old_parts: new ids to the ids they were made of.
    :raises UserError: M012, the two halves of the network look words up in tables of their own.
    """
    if not old_parts:
        return
    if _has_two_vocabularies(network):
        what = "the base's two halves have a table of words each, so that it is not known where they belong."
        raise UserError(Problem("M012", "tokens to add", what, "Leave them out, or use another base."))
    if max(old_parts) >= network.get_input_embeddings().weight.shape[0]:
        _resize(network, max(old_parts) + 1)
    table = network.get_input_embeddings().weight
    tables = [table]
    output = network.get_output_embeddings()
    if output is not None:
        tables += [output.weight] if output.weight is not table else []
        tables += [output.bias] if getattr(output, "bias", None) is not None else []
    beside = getattr(network, "final_logits_bias", None)  # BART's and Marian's
    tables += [beside[0]] if beside is not None else []
    for rows in tables:
        for number, old in old_parts.items():
            rows[number] = rows[list(old)].mean(0)


def _has_two_vocabularies(network: Any) -> bool:
    """Whether some half of an encoder-decoder has another table than the network."""
    if not getattr(network.config, "is_encoder_decoder", False) or network.get_output_embeddings() is None:
        return False
    table = network.get_input_embeddings().weight
    halves = (network.get_encoder(), network.get_decoder())
    return any(half.get_input_embeddings().weight is not table for half in halves)


def _resize(network: Any, size: int) -> None:
    """What is tied stays tied, and what is not, though the configuration speaks of one table, is not tied either."""
    config, output = network.config, network.get_output_embeddings()
    said = getattr(config, "tie_word_embeddings", False)
    if output is not None and output.weight is not network.get_input_embeddings().weight:
        config.tie_word_embeddings = False
    network.resize_token_embeddings(size, mean_resizing=False)
    config.tie_word_embeddings = said
    if isinstance(output := network.get_output_embeddings(), nn.Linear):
        output.out_features = len(output.weight)  # Marian's forgets it where it is tied


# --- positions ----------------------------------------------------------------------------------------


def positions_of(config: Mapping[str, Any], family: Family | None) -> int | None:
    """Tokens that the positions of a base reach; None where nothing limits them."""
    if family is not None and family.positions == "relative" and not config.get("position_biased_input", False):
        return None
    found = int(config.get("max_position_embeddings") or config.get("n_positions") or 0)
    first = family.first(config.get("pad_token_id")) if family else 0
    return found - first if 0 < found < 1_000_000 else None


@torch.no_grad()
def grow_positions(network: Any, family: Family | None, wanted: int, place: str) -> str:
    """Let ``network`` take ``wanted`` tokens; says what was done, '' where nothing had to be.

    A learned table is repeated: position p starts as position p modulo the old length. Rotary positions
    need no weights.

    :raises UserError: M010, it is not known how positions of this kind are extended.
    """
    config = network.config
    now = positions_of(config.to_dict(), family)
    if now is None or wanted <= now:
        return ""
    if family is None or family.positions == "relative":
        raise UserError(_cannot(place, config.model_type, now, wanted))
    if family.positions == "rotary":
        kinds = {settings.get("rope_type", "default") for settings in rope_settings(config)}
        if not kinds <= {"default", "linear", "llama3"}:
            raise UserError(_cannot(place, config.model_type, now, wanted))
        config.max_position_embeddings = wanted
        return f"positions: {now} to {wanted} tokens; they are computed, so nothing was added"
    first = family.first(config.pad_token_id)
    _repeat_table(network.base_model, family.positions, first + family.spare_positions, wanted)
    config.max_position_embeddings = wanted + first
    return f"positions: {now} to {wanted} tokens; those after number {now} start as copies of the first ones"


def rope_settings(config: Any) -> list[dict[str, Any]]:
    """Settings of rotary positions, one for each kind of layer; empty ones where there are none."""
    found = getattr(config, "rope_parameters", None) or {}
    return [value for value in found.values() if isinstance(value, dict)] or [found]


def _repeat_table(trunk: Any, path: str, first: int, wanted: int) -> None:
    owner_name, _, name = path.rpartition(".")
    owner = trunk.get_submodule(owner_name)
    old = getattr(owner, name)
    size = len(old.weight)
    places = torch.arange(wanted) % (size - first) + first
    old.weight = nn.Parameter(torch.cat([old.weight[:first], old.weight[places]]))
    old.num_embeddings = wanted + first
    for label, buffer in list(owner.named_buffers(recurse=False)):
        if buffer.shape == (1, size):  # numbers of positions, and zeros for single texts
            numbers = torch.arange(wanted + first).unsqueeze(0)
            setattr(owner, label, numbers if label == "position_ids" else torch.zeros_like(numbers))


def _cannot(place: str, model_type: str, now: int, wanted: int) -> Problem:
    what = f"takes {now} tokens, and how a model of type {model_type!r} is made to take {wanted} is not known."
    return Problem("M010", place, what, f"Use data.max_length={now} or another base.")
