"""From a place to a model: tokenizer, pretrained weights, and a head for the task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from whet.errors import Problem, UserError
from whet.models import pooling as poolings
from whet.models.classifier import TextClassifier
from whet.models.families import FAMILIES, Family
from whet.models.places import Place
from whet.models.pooling import Pooling


def load_tokenizer(place: Place) -> Any:
    """The fast tokenizer of a base.

    :raises UserError: M006, it has none or it cannot be read.
    """
    if not any(found for pattern in _TOKENIZER_FILES for found in place.folder.glob(pattern)):
        # transformers would make one up that knows no word
        raise UserError(Problem("M006", str(place.folder), "has no tokenizer.", "Add its tokenizer.json."))
    with quiet(), _explained(place.folder, "M006", "its tokenizer cannot be loaded"):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(place.folder)
    if not getattr(tokenizer, "is_fast", False):
        raise UserError(Problem("M006", str(place.folder), "has no fast tokenizer.", "Add its tokenizer.json."))
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


_TOKENIZER_FILES = ("tokenizer.json", "vocab*", "*.model", "*.tiktoken")


def longest_input(place: Place, tokenizer: Any) -> int:
    """The most tokens the base takes."""
    config = place.config
    family = FAMILIES.get(str(config.get("model_type")))
    positions = int(config.get("max_position_embeddings") or 0) - (family.first_position if family else 0)
    limits = [n for n in (positions, int(tokenizer.model_max_length)) if 0 < n < 1_000_000]
    return min(limits, default=512)


def refuse_unusable(place: Place, wanted: str) -> None:
    """Check, without loading it, that the base can be read and can classify texts.

    :param wanted: ``head.pooling`` of the recipe.
    :raises UserError: M007, its configuration or weights cannot be read; M008, it is no model for texts.
    """
    from transformers import MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING, AutoConfig

    count_parameters(place)
    with quiet(), _explained(place.folder, "M007", "cannot be loaded"):
        config = AutoConfig.from_pretrained(place.folder)
    if choose_pooling(place, wanted)[0] is None and type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        what = f"is a model of type {config.model_type!r}, which transformers cannot make a classifier of texts."
        raise UserError(Problem("M008", str(place.folder), what, "Use another base."))


def choose_pooling(place: Place, wanted: str) -> tuple[Pooling | None, str]:
    """The pooling for ``head.pooling = wanted``, None meaning the architecture's own; and the reason."""
    if wanted == "native":
        return None, "asked for"
    if wanted != "auto":
        return wanted, "asked for"  # type: ignore[return-value]
    found = poolings.declared(place.folder)
    if found is None:
        return None, "the base declares no pooling of its own, so the architecture's classifier is used"
    return found, f"the base was trained with {found} pooling (its sentence-transformers folder says so)"


def load_classifier(
    place: Place, labels: Sequence[str], pooling: Pooling | None, multi_label: bool, tokenizer: Any, seed: int
) -> TextClassifier:
    """The base with a new head for ``labels``, in fp32.

    The head's weights start as zeros (own head) or as the architecture draws them under ``seed``.

    :raises UserError: M007, the weights cannot be loaded; M008, the base cannot classify.
    """
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification

    torch.manual_seed(seed)
    with quiet(), _explained(place.folder, "M007", "cannot be loaded"):
        config = AutoConfig.from_pretrained(place.folder)
        family = FAMILIES.get(config.model_type)
        if pooling is not None:
            more = {"add_pooling_layer": False} if config.model_type in _HAVE_POOLER else {}
            network = AutoModel.from_pretrained(place.folder, dtype=torch.float32, **more)
        else:
            config = _labelled(config, labels, multi_label, tokenizer)
            network = AutoModelForSequenceClassification.from_pretrained(
                place.folder, config=config, dtype=torch.float32, ignore_mismatched_sizes=True
            )
    chance = float(getattr(config, "hidden_dropout_prob", getattr(config, "dropout", 0.0)) or 0.0)
    pad_id = int(tokenizer.pad_token_id or 0)
    if pooling is not None:
        head = nn.Linear(config.hidden_size, len(labels))
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)
        return TextClassifier(network, head, pooling, family, pad_id, chance)
    head = _output_layer(network, family, len(labels), place)
    model = TextClassifier(network, head, None, family, pad_id, chance)
    if family is not None and family.dense and not _pretrained(place, family.dense):
        _start_as_identity(network.get_submodule(family.dense))
        model.fresh = (family.dense,)
    return model


_HAVE_POOLER = {"bert", "roberta", "xlm-roberta", "albert", "mpnet", "camembert", "longformer"}
"""Families whose bare model brings a pooler that own pooling would never use."""


def _labelled(config: Any, labels: Sequence[str], multi_label: bool, tokenizer: Any) -> Any:
    config.id2label = dict(enumerate(labels))
    config.label2id = {label: number for number, label in enumerate(labels)}
    config.problem_type = "multi_label_classification" if multi_label else "single_label_classification"
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    return config


def _output_layer(network: Any, family: Family | None, num_labels: int, place: Place) -> nn.Linear:
    if family is not None:
        return network.get_submodule(family.output)  # type: ignore[no-any-return]
    last = [m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == num_labels]
    if not last:
        kind = type(network).__name__
        raise UserError(Problem("M008", str(place.folder), f"{kind} has no linear output layer.", "Use another base."))
    return last[-1]


def _start_as_identity(dense: nn.Linear) -> None:
    """A new square layer below the output starts so that it loses nothing."""
    nn.init.eye_(dense.weight)
    nn.init.zeros_(dense.bias)


def _pretrained(place: Place, module: str) -> bool:
    """Whether the base's weights hold ``module``, under its own name or without the trunk's prefix."""
    from safetensors import safe_open

    wanted = {f"{module}.weight", f"{module.partition('.')[2]}.weight"}
    for path in place.folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            if wanted & set(file.keys()):
                return True
    return False


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No progress bars and no warnings about heads that are new on purpose."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def _explained(folder: Path, code: str, what: str) -> Iterator[None]:
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(Problem(code, str(folder), f"{what}: {reason}", "Is this a complete model folder?")) from error


def count_parameters(place: Place) -> int:
    """Weights of a base, read off its files without loading them.

    :raises UserError: M007, a file is damaged.
    """
    from safetensors import safe_open

    total = 0
    for path in place.folder.glob("*.safetensors"):
        with _explained(place.folder, "M007", "its weights cannot be read"), safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118  (not a mapping)
                size = 1
                for length in file.get_slice(name).get_shape():
                    size *= length
                total += size
    return total
