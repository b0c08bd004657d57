"""Networks of transformers: which class a head needs, loaded with a full account of what came and what did not."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from whet.errors import Problem, UserError
from whet.models.families import FAMILIES
from whet.models.heads import Head, HeadKind
from whet.models.places import Place

Guess = Literal["next", "masked", "permuted", "target"]
"""Which tokens a language model says; 'target': it reads a source with one half and writes a target with the other."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A network, and the names of weights that did not come with it or went nowhere.

    - ``missing``: initialised anew, since the files lack them or hold another shape.
    - ``unused``: in the files only, or there in another shape.
    """

    network: Any
    missing: frozenset[str]
    unused: frozenset[str]


def read_config(place: Place) -> Any:
    """The configuration of a base.

    :raises UserError: M007, it cannot be read.
    """
    from transformers import AutoConfig

    with quiet(), explained(place.folder, "M007", "cannot be loaded"):
        found = AutoConfig.from_pretrained(place.folder)
        start = _generation(place).get(_START)
        if hasattr(found, "quantization_config"):  # shapes are asked of whole weights: see read_network
            del found.quantization_config
        if getattr(found, "is_encoder_decoder", False) and start is not None and _START not in place.config:
            found.decoder_start_token_id = int(start)  # a class's own default is some other model's
    return found


_START = "decoder_start_token_id"


def _generation(place: Place) -> dict[str, Any]:
    """What a base's generation_config.json says; nothing where it has none that can be read."""
    try:
        return dict(json.loads((place.folder / "generation_config.json").read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def auto_class(config: Any, kind: HeadKind, pooled: bool) -> Any:
    """The class of transformers that loads a network for this head; None where it has none.

    Where a family has a class for tags but none for answers, answers are tags: 'start' and 'end'.
    """
    import transformers

    family = FAMILIES.get(config.model_type)
    if kind == "language":
        return _language_class(config)
    if pooled:
        return transformers.AutoModelForTextEncoding if family and family.encoder else transformers.AutoModel
    answers = type(config) in transformers.MODEL_FOR_QUESTION_ANSWERING_MAPPING
    if kind == "span" and answers and not (family and family.span_is_tagger):
        return transformers.AutoModelForQuestionAnswering
    if kind in ("tokens", "span"):
        known = type(config) in transformers.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING
        return transformers.AutoModelForTokenClassification if known else None
    known = type(config) in transformers.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING
    return transformers.AutoModelForSequenceClassification if known and not (family and family.text is None) else None


def guesses(config: Any) -> Guess | None:
    """What a language model of this architecture says: the next token, masked ones, those of a target, or any order.

    None where it is none; :func:`why_no_language` says why.
    """
    if why_no_language(config):
        return None
    return _guesses(config)


def why_no_language(config: Any) -> str:
    """Why a model of this architecture cannot be trained as a language model; empty where it can."""
    found = _guesses(config)
    if found is None:
        return "transformers has no language model of this type"
    bidirectional = getattr(config, "use_bidirectional_attention", False)
    if found == "next" and (getattr(config, "is_causal", True) is False or bidirectional):
        return "its configuration lets tokens see those behind them, so that it cannot learn to say the next one"
    if found == "target" and getattr(config, "num_experts", None):
        return "it is a mixture of experts, whose halves cannot be asked apart"
    if found == "masked" and getattr(config, "is_decoder", False):
        return "its configuration makes it a decoder, which sees nothing behind a hidden token"
    if found == "masked" and getattr(config, "legacy", True) is False:
        return "its language head reads the table of embeddings itself (legacy=false), which is not supported"
    return ""


def _guesses(config: Any) -> Guess | None:
    import transformers

    if getattr(config, "is_encoder_decoder", False):
        return "target" if type(config) in transformers.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING else None
    family = FAMILIES.get(config.model_type)
    if family is not None and family.language is not None:
        return "permuted" if family.permuted else "next" if family.causal else "masked"
    if family is None and type(config) in transformers.MODEL_FOR_MASKED_LM_MAPPING:
        return "masked"
    return "next" if family is None and type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING else None


def _language_class(config: Any) -> Any:
    import transformers

    found = guesses(config)
    if found is None:
        return None
    if found == "target":
        return transformers.AutoModelForSeq2SeqLM
    return transformers.AutoModelForMaskedLM if found == "masked" else transformers.AutoModelForCausalLM


def read_network(place: Place, config: Any, head: Head) -> Loaded:
    """The base's network with the class that ``head`` needs, in fp32.

    :raises UserError: M007, weights cannot be read or weights of the base itself are missing; M008, there
        is no class for this head.
    """
    cls = auto_class(config, head.kind, head.pooling is not None)
    if cls is None:
        raise UserError(no_class(place, config, head.kind))
    bare = config.model_type in FAMILIES and FAMILIES[config.model_type].pooler and head.pooling is not None
    more = {"add_pooling_layer": False} if bare else {}
    with quiet(), explained(place.folder, "M007", "cannot be loaded"):
        network, info = cls.from_pretrained(
            place.folder,
            config=config,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **more,
        )
    loaded = Loaded(network, *account(info))
    incomplete = sorted(name for name in loaded.missing if _of_trunk(network, name))
    if incomplete:
        what = f"its weights are not complete: {len(incomplete)} are missing, among them {incomplete[0]}."
        raise UserError(Problem("M007", str(place.folder), what, "Is this a complete model folder?"))
    return loaded


def account(info: dict[str, Any]) -> tuple[frozenset[str], frozenset[str]]:
    """Names that are missing, and names that are unused, from what transformers says of a loading."""
    reshaped = {entry[0] for entry in info["mismatched_keys"]}
    return frozenset(set(info["missing_keys"]) | reshaped), frozenset(set(info["unexpected_keys"]) | reshaped)


def tensor_in(folder: Path, name: str) -> torch.Tensor | None:
    """A tensor of the safetensors files in ``folder``; None where they hold none of this name."""
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if name in file.keys():  # noqa: SIM118  (not a mapping)
                return file.get_tensor(name)  # type: ignore[no-any-return]
    return None


def holds(folder: Path, prefix: str) -> bool:
    """Whether the safetensors files in ``folder`` hold a tensor whose name starts with ``prefix``."""
    from safetensors import safe_open

    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="pt") as file:
            if any(name.startswith(prefix) for name in file.keys()):  # noqa: SIM118  (not a mapping)
                return True
    return False


def no_class(place: Place, config: Any, kind: HeadKind) -> Problem:
    """The problem that transformers has no class for a head."""
    purpose = {
        "classes": "a classifier of texts",
        "value": "a model that gives a number",
        "tokens": "a tagger of tokens",
        "span": "a model that marks answers",
        "vectors": "a model that gives vectors",
        "language": "a language model",
    }[kind]
    family = FAMILIES.get(config.model_type)
    about = f"is a model of type {config.model_type!r}"
    if family is not None and family.text is None and kind in ("classes", "value"):
        return Problem("M008", str(place.folder), f"{about}: {family.remark}.", "Use head.pooling=mean.")
    why = why_no_language(config) if kind == "language" else ""
    what = f"{about}: {why}." if why else f"{about}, which transformers cannot make {purpose}."
    return Problem("M008", str(place.folder), what, "Use another base.")


def _of_trunk(network: Any, name: str) -> bool:
    """Whether a weight belongs to the pretrained model itself; a pooler may be new."""
    trunk = network.base_model
    if "pooler" in name:
        return False
    return trunk is network or name.startswith(f"{network.base_model_prefix}.")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars, and no warnings of libraries about what is done on purpose, such as a new head."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"peft|transformers")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def explained(folder: Path, code: str, what: str) -> Iterator[None]:
    """What a library raises over ``folder``, as the problem ``code``."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(Problem(code, str(folder), f"{what}: {reason}", "Is this a complete model folder?")) from error
