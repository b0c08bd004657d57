"""Trained models as files that their ecosystem loads, and back.

A folder holds either a *whole* model (``AutoModelForSequenceClassification``, or for families
whose classifier cannot express the pooling, a sentence-transformers folder) or an *adapter*
(PEFT). Beside it lie the tokenizer and ``whet.json``: labels, thresholds, pooling, length limit.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from whet.errors import Problem, UserError
from whet.files import folder_beside, read_json, sha256, write_json
from whet.models import averaging
from whet.models.classifier import TextClassifier
from whet.models.families import FAMILIES
from whet.models.loading import load_classifier, load_tokenizer, quiet
from whet.models.places import Place, find
from whet.models.pooling import Pooling

ABOUT = "whet.json"


@dataclass(frozen=True, slots=True)
class About:
    """What a saved model carries beside its weights.

    ``kind``: 'own' (the architecture's classifier), 'sentence' (a sentence-transformers folder
    whose last module gives logits) or 'adapter' (PEFT, on ``base``).
    ``thresholds``: per label, only with several labels per row.
    ``temperature``: already folded into the head; kept for the record.
    ``pairs``: whether every row has two texts.
    ``first_share``: how much of the first token is added to a mean (:mod:`whet.models.averaging`).
    """

    kind: str
    task: str
    labels: Sequence[str]
    multi_label: bool
    thresholds: Sequence[float] | None
    temperature: float
    pooling: Pooling | None
    max_length: int
    base: str
    base_sha256: str
    first_share: float = 0.0
    pairs: bool = False


def weights_sha256(place: Place) -> str:
    """Hash of a base's weight files, which an adapter is bound to."""
    import hashlib

    digests = [sha256(path) for path in sorted(place.folder.glob("*.safetensors"))]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def save(model: TextClassifier, adapter: Any, tokenizer: Any, about: About, folder: Path) -> None:
    """Write ``model`` (fp32, dense embedding) to ``folder``, whole or not at all.

    :param adapter: the PeftModel, when ``about.kind`` is 'adapter'; None else.
    """
    with folder_beside(folder) as inside, quiet():
        if adapter is not None:
            adapter.save_pretrained(inside)
            _drop_card(inside)
            _in_order(inside / "adapter_config.json")
            if model.pooling is not None:
                save_file(_head_state(model.head), inside / "head.safetensors")
        elif about.kind == "sentence":
            _save_sentence(model, tokenizer, about, inside)
        else:
            with _plain_attention(model):
                _own_classifier(model, about).save_pretrained(inside)
        tokenizer.model_max_length = about.max_length
        if about.kind != "sentence":
            tokenizer.save_pretrained(inside)
        write_json(inside / ABOUT, asdict(about))


def kind_of(model: TextClassifier, adapter: bool) -> str:
    """How ``model`` will be saved: see :class:`About`."""
    if adapter:
        return "adapter"
    return "own" if model.pooling is None or model.adds_first else "sentence"


def load_about(folder: Path) -> About:
    """Read a saved model's description.

    :raises UserError: M030, the folder was not written by this program.
    """
    if not (folder / ABOUT).exists():
        raise UserError(Problem("M030", str(folder), f"holds no model of a run (no {ABOUT}).", "Did the run finish?"))
    return About(**read_json(folder / ABOUT))


def load(folder: Path) -> tuple[TextClassifier, Any, About]:
    """Model (fp32, on the CPU), tokenizer and description from a folder that :func:`save` wrote.

    :raises UserError: M030 as :func:`load_about`; M031, an adapter's base has other weights.
    """
    about = load_about(folder)
    if about.kind == "adapter":
        model, tokenizer = _load_adapted(folder, about)
    elif about.kind == "sentence":
        model, tokenizer = _load_sentence(folder, about)
    else:
        model, tokenizer = _load_own(folder, about)
    model.eval()
    return model, tokenizer, about


@contextlib.contextmanager
def _plain_attention(model: TextClassifier) -> Iterator[None]:
    """No trace of our attention in a configuration that is saved, and no change to the model in use."""
    config = model.network.config
    known = config._attn_implementation
    config._attn_implementation = "sdpa"
    try:
        yield
    finally:
        config._attn_implementation = known


def _own_classifier(model: TextClassifier, about: About) -> Any:
    if model.pooling is None:
        return model.network
    return averaging.as_own_classifier(model, about.labels)


def _load_own(folder: Path, about: About) -> tuple[TextClassifier, Any]:
    from transformers import AutoModelForSequenceClassification

    tokenizer = load_tokenizer(Place(str(folder), folder, ""))
    with quiet():
        network = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    family = FAMILIES.get(network.config.model_type)
    pad_id = int(tokenizer.pad_token_id or 0)
    if about.pooling is None:
        output = family.output if family else _last_linear(network, len(about.labels))
        return TextClassifier(network, network.get_submodule(output), None, family, pad_id, 0.0), tokenizer
    head = nn.Linear(network.config.hidden_size, len(about.labels))
    trunk = averaging.without_layer(network, head)
    return TextClassifier(trunk, head, about.pooling, family, pad_id, 0.0), tokenizer


def _last_linear(network: Any, num_labels: int) -> str:
    found = [n for n, m in network.named_modules() if isinstance(m, nn.Linear) and m.out_features == num_labels]
    return str(found[-1])


def _load_adapted(folder: Path, about: About) -> tuple[TextClassifier, Any]:
    from peft import PeftModel

    place = find(about.base)
    if weights_sha256(place) != about.base_sha256:
        what = f"was trained on other weights of {about.base!r} than those found at {place.folder}."
        raise UserError(Problem("M031", str(folder), what, "Get the base it was trained on."))
    tokenizer = load_tokenizer(Place(str(folder), folder, ""))
    model = load_classifier(place, about.labels, about.pooling, about.multi_label, tokenizer, seed=0)
    with quiet():
        PeftModel.from_pretrained(model.network, folder)
    if about.pooling is None:
        model.follow_head()
    else:
        model.head.load_state_dict(load_file(folder / "head.safetensors"))
    return model, tokenizer


def _save_sentence(model: TextClassifier, tokenizer: Any, about: About, folder: Path) -> None:
    """Transformer, Pooling, LayerNorm, Dense: modules that sentence-transformers knows.

    The transformer lies in a sub-folder, so that nobody loads the folder as a classifier whose
    head would silently be new.
    """
    width = model.network.config.hidden_size
    assert model.pooling is not None
    model.network.save_pretrained(folder / "0_Transformer")
    tokenizer.save_pretrained(folder / "0_Transformer")
    write_json(
        folder / "0_Transformer" / "sentence_bert_config.json",
        {"max_seq_length": about.max_length, "do_lower_case": False},
    )
    modes = {f"pooling_mode_{key}": False for key in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")}
    modes[
        {"mean": "pooling_mode_mean_tokens", "first": "pooling_mode_cls_token", "last": "pooling_mode_lasttoken"}[
            model.pooling
        ]
    ] = True
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": width, **modes})
    write_json(folder / "2_LayerNorm" / "config.json", {"dimension": width})
    norm = {"norm.weight": torch.ones(width), "norm.bias": torch.zeros(width)}
    save_file(norm, folder / "2_LayerNorm" / "model.safetensors")
    dense = {
        "in_features": width,
        "out_features": len(about.labels),
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    write_json(folder / "3_Dense" / "config.json", dense)
    save_file({f"linear.{k}": v for k, v in _head_state(model.head).items()}, folder / "3_Dense" / "model.safetensors")
    kinds = ["Transformer", "Pooling", "LayerNorm", "Dense"]
    modules = [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}", "type": f"sentence_transformers.models.{kind}"}
        for i, kind in enumerate(kinds)
    ]
    write_json(folder / "modules.json", modules)


def _load_sentence(folder: Path, about: About) -> tuple[TextClassifier, Any]:
    place = Place(str(folder), folder / "0_Transformer", "")
    tokenizer = load_tokenizer(place)
    model = load_classifier(place, about.labels, about.pooling, about.multi_label, tokenizer, seed=0)
    state = load_file(folder / "3_Dense" / "model.safetensors")
    model.head.load_state_dict({name.removeprefix("linear."): value for name, value in state.items()})
    return model, tokenizer


def _head_state(head: nn.Linear) -> dict[str, torch.Tensor]:
    state = {"weight": head.weight.detach().contiguous()}
    return state if head.bias is None else {**state, "bias": head.bias.detach().contiguous()}


def _in_order(path: Path) -> None:
    """PEFT lists the modules of a set in the order of its hashes, which differs from process to process."""
    config = read_json(path)
    for name in ("target_modules", "exclude_modules"):
        if isinstance(config.get(name), list):
            config[name].sort()
    write_json(path, config)


def _drop_card(folder: Path) -> None:
    """PEFT writes a card full of blanks; the run writes its own."""
    (folder / "README.md").unlink(missing_ok=True)
