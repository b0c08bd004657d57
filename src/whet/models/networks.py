"""Networks of transformers: which class a head needs, loaded with a full account of what came and what did not."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from whet.errors import Problem, UserError
from whet.models.families import FAMILIES
from whet.models.heads import Head, HeadKind
from whet.models.places import Place


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
        return AutoConfig.from_pretrained(place.folder)


def auto_class(config: Any, kind: HeadKind, pooled: bool) -> Any:
    """The class of transformers that loads a network for this head; None where it has none.

    Where a family has a class for tags but none for answers, answers are tags: 'start' and 'end'.
    """
    import transformers

    family = FAMILIES.get(config.model_type)
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


def read_network(place: Place, config: Any, head: Head) -> Loaded:
    """The base's network with the class that ``head`` needs, in fp32.

    :raises UserError: M007, weights cannot be read or weights of the base itself are missing; M008, there
        is no class for this head.
    """
    cls = auto_class(config, head.kind, head.pooling is not None)
    if cls is None:
        raise UserError(no_class(place, config.model_type, head.kind))
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


def no_class(place: Place, model_type: str, kind: HeadKind) -> Problem:
    """The problem that transformers has no class for a head."""
    purpose = {
        "classes": "a classifier of texts",
        "value": "a model that gives a number",
        "tokens": "a tagger of tokens",
        "span": "a model that marks answers",
        "vectors": "a model that gives vectors",
    }[kind]
    family = FAMILIES.get(model_type)
    if family is not None and family.text is None and kind in ("classes", "value"):
        what = f"is a model of type {model_type!r}: {family.remark}."
        return Problem("M008", str(place.folder), what, "Use head.pooling=mean.")
    what = f"is a model of type {model_type!r}, which transformers cannot make {purpose}."
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
