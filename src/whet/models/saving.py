"""Trained models as files that their ecosystem loads, and back.

A folder holds either a *whole* model (a class of transformers, or for pooling that its head cannot
express, a sentence-transformers folder) or an *adapter* (PEFT). Beside it lie the tokenizer and
``whet.json``: labels, thresholds, pooling, length limit.

Nothing of a trained model can go missing on the way: what is loaded must hold every weight of the model,
and no other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from whet.engine import devices
from whet.errors import Problem, UserError
from whet.files import folder_beside, read_json, write_json
from whet.models import averaging, networks, quantising, rounding, sentence, targets
from whet.models.about import ABOUT, About, load_about
from whet.models.families import FAMILIES
from whet.models.loading import load_model, load_tokenizer, with_head
from whet.models.networks import quiet
from whet.models.places import Place, find_again, weights_sha256
from whet.models.quantising import Scheme
from whet.models.task_model import TaskModel

__all__ = ["ABOUT", "About", "kind_of", "load", "load_about", "save", "weights_sha256"]


def save(
    model: TaskModel, adapter: Any, tokenizer: Any, about: About, folder: Path, precision: torch.dtype | None = None
) -> None:
    """Write ``model`` (fp32 but for what is quantised, dense embedding) to ``folder``, whole or not at all.

    :param adapter: the PeftModel, when ``about.kind`` is 'adapter'; None else.
    :param precision: of the weights of a whole network in its file, which must lose nothing; None: fp32.
    :raises ValueError: an adapter whose base was changed in more than its head (``model.origin.unlike``):
        merge it first.
    """
    if adapter is not None and model.origin.unlike:
        raise ValueError(f"an adapter alone cannot say that {'; '.join(model.origin.unlike)}: merge it first")
    # quantised weights are packed for the device they lie on; others are written from the processor's memory
    home = contextlib.nullcontext() if model.quantised else devices.brought(model, devices.CPU)
    with folder_beside(folder) as inside, quiet(), home, _for_others(model, tokenizer, about):
        if adapter is not None:
            adapter.save_pretrained(inside, save_embedding_layers=False)  # "auto" would ask the hub for the base's
            _drop_card(inside)
            soft = adapter.active_peft_config.is_prompt_learning
            if not soft:
                _settle_config(inside / "adapter_config.json", adapter.base_model.targeted_module_names)
            if model.pooling is not None and model.head is not None:
                save_file(sentence.head_state(model.head), inside / "head.safetensors")
            tokenizer.save_pretrained(inside)
            if model.kind.kind == "vectors" and not soft:  # sentence-transformers would pool what is read first as well
                sentence.write_modules(model, about, inside)
        elif about.kind == "sentence":
            with rounding.declared(model.network, _scheme(model)):
                sentence.write(model, tokenizer, about, inside)
        else:
            whole = model.network if model.pooling is None else averaging.as_own_classifier(model)
            with _in_precision(whole, precision), rounding.declared(whole, _scheme(model)):
                whole.save_pretrained(inside)
            tokenizer.save_pretrained(inside)
        write_json(inside / ABOUT, asdict(about))


def _scheme(model: TaskModel) -> Scheme | None:
    return None if model.quantised is None else model.quantised.scheme


@contextlib.contextmanager
def _in_precision(network: Any, precision: torch.dtype | None) -> Iterator[None]:
    """Weights in another precision for as long as they are written; tables that are computed stay as they are."""
    weights = [] if precision is None else [one for one in network.parameters() if one.is_floating_point()]
    for weight in weights:
        weight.data = weight.data.to(precision)
    try:
        yield
    finally:
        for weight in weights:
            weight.data = weight.data.float()


def kind_of(model: TaskModel, adapter: bool) -> str:
    """How ``model`` will be saved: see :class:`About`."""
    if adapter:
        return "adapter"
    return "own" if model.pooling is None or model.adds_first else "sentence"


def load(folder: Path) -> tuple[TaskModel, Any, About]:
    """Model (on the CPU, in fp32 but for what is quantised), tokenizer and description from a folder of :func:`save`.

    :raises UserError: M030 as :func:`load_about`; M031, an adapter's base has other weights; M032, a weight of the
        trained model is missing, or there is one that is not its own; M065, bitsandbytes is absent.
    """
    about = load_about(folder)
    if about.kind == "adapter":
        model, _, tokenizer = load_adapted(folder, about)
    else:
        model, tokenizer = _load_whole(folder, about)
        if about.quantisation is not None:
            model.quantised = rounding.as_read(about.quantisation)
    model.eval()
    return model, tokenizer, about


@contextlib.contextmanager
def _for_others(model: TaskModel, tokenizer: Any, about: About) -> Iterator[None]:
    """No trace of our attention in a configuration that is saved, and no change to the model in use.

    The tokenizer pads and cuts as the model's own class expects it.
    """
    config = model.network.config
    attention, side = config._attn_implementation, tokenizer.padding_side
    written = dict(tokenizer.init_kwargs)
    config._attn_implementation = "sdpa"
    tokenizer.model_max_length = about.max_length
    left = model.family is not None and model.family.last_is_classifier and model.pooling is None
    left = left or model.guesses == "next"  # what is written follows right behind what was read
    tokenizer.padding_side = "left" if left else "right"
    if left:  # only what a tokenizer was made with is written to its file
        tokenizer.init_kwargs["padding_side"] = "left"
    try:
        yield
    finally:
        config._attn_implementation = attention
        tokenizer.padding_side = side
        tokenizer.init_kwargs = written


def _load_whole(folder: Path, about: About) -> tuple[TaskModel, Any]:
    inner = about.kind == "sentence" and about.head_kind != "vectors"
    place = Place(str(folder), folder / sentence.INNER if inner else folder, "")
    if about.quantisation is not None:
        quantising.library()
    tokenizer = load_tokenizer(place)
    pooled_own = about.kind == "own" and about.pooling is not None
    config = networks.read_config(place)
    cls = networks.auto_class(config, about.head_kind, about.pooling is not None and not pooled_own)
    bare = about.kind == "sentence" and FAMILIES.get(config.model_type) is not None
    more = {"add_pooling_layer": False} if bare and FAMILIES[config.model_type].pooler else {}
    with quiet(), networks.explained(folder, "M032", "cannot be loaded"):
        network, info = cls.from_pretrained(place.folder, dtype=torch.float32, output_loading_info=True, **more)
    missing, unused = networks.account(info)
    if hasattr(network, targets.BIAS) and not networks.holds(
        place.folder, targets.BIAS
    ):  # transformers would say zeros
        missing |= {targets.BIAS}
    _refuse_incomplete(folder, missing, unused)
    if about.quantisation is not None:
        rounding.adopt(network)
    if not pooled_own:
        model = with_head(network, about.head, tokenizer, place)
        if about.kind == "sentence" and model.head is not None:
            sentence.read_head(model.head, folder / sentence.DENSE / "model.safetensors", "linear.")
        return model, tokenizer
    head = nn.Linear(network.config.hidden_size, about.head.width or 0)
    trunk = averaging.without_layer(network, head)
    family = FAMILIES.get(network.config.model_type)
    return TaskModel(trunk, about.head, head, family, int(tokenizer.pad_token_id or 0), 0.0), tokenizer


def _refuse_incomplete(folder: Path, missing: frozenset[str], unused: frozenset[str]) -> None:
    said = [
        f"{len(names)} {word}, such as {min(names)}"
        for names, word in ((missing, "missing"), (unused, "unknown"))
        if names
    ]
    if said:
        what = f"its weights are not those of the model that was trained: {'; '.join(said)}."
        raise UserError(Problem("M032", str(folder), what, "Copy the model anew."))


def load_adapted(folder: Path, about: About, whole: bool = False) -> tuple[TaskModel, Any, Any]:
    """Model, PeftModel around its network, and tokenizer of a saved adapter.

    :param whole: a quantised base in whole weights again, those that quantising left.
    :raises UserError: as :func:`load`.
    """
    from peft import PeftModel, get_peft_model_state_dict

    place = find_again(about.base, about.base_sha256)
    if weights_sha256(place) != about.base_sha256:
        what = f"was trained on other weights of {about.base!r} than those found at {place.folder}."
        raise UserError(Problem("M031", str(folder), what, "Get the base it was trained on."))
    tokenizer = load_tokenizer(Place(str(folder), folder, ""))
    model = load_model(place, about.head, tokenizer, seed=0)
    if about.quantisation is not None:
        model.quantised = quantising.quantise(model, Scheme.from_json(about.quantisation))
        if whole:
            quantising.restore(model)
    with quiet(), networks.explained(folder, "M032", "cannot be loaded"):
        adapted = PeftModel.from_pretrained(model.network, folder)
        stored = frozenset(load_file(folder / "adapter_model.safetensors"))
    expected = frozenset(get_peft_model_state_dict(adapted, save_embedding_layers=False))
    _refuse_incomplete(folder, expected - stored, stored - expected)
    if about.pooling is None:
        model.follow_head()
    elif model.head is not None:
        sentence.read_head(model.head, folder / "head.safetensors")
    if adapted.active_peft_config.is_prompt_learning:
        model.read_first(adapted)
    return model, adapted, tokenizer


def _settle_config(path: Path, targets: Sequence[str]) -> None:
    """Name the modules that have adapters in full, in an order that does not depend on hashes.

    PEFT shortens names as far as the model at hand allows; a pooler that another loader adds would match them.
    """
    config = read_json(path)
    config["target_modules"] = sorted(targets)
    if config.get("feedforward_modules"):
        config["feedforward_modules"] = sorted(config["feedforward_modules"])
    write_json(path, config)


def _drop_card(folder: Path) -> None:
    """PEFT writes a card full of blanks; the run writes its own."""
    (folder / "README.md").unlink(missing_ok=True)
