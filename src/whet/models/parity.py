"""A saved model as its ecosystem loads it: the proof that it needs nothing of ours.

The functions here are what the model's card prints as its usage, and what a run checks itself with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from whet.batches import flat
from whet.batches.encoding import Encoded
from whet.models import networks
from whet.models.about import About
from whet.models.families import FAMILIES
from whet.models.networks import quiet
from whet.models.quantising import Scheme, keep_plain
from whet.models.sentence import DENSE, INNER
from whet.models.targets import inputs as sources_and_targets

Ask = Callable[[Mapping[str, Tensor]], Tensor]
"""Padded inputs to what the model says of them: (B, C) a text, or (B, L, K) a token."""


def probabilities(
    folder: Path, about: About, texts: Sequence[str], pairs: Sequence[str] | None, base: str, rows_at_once: int = 32
) -> NDArray[np.float32]:
    """(n, C) of ``texts`` by plain transformers (and PEFT for an adapter), its own tokenising included, in fp32.

    :param base: folder or hub id of the base, for an adapter.
    """
    with quiet():
        ask, tokenizer = _loaded(folder, about, base)
    found = []
    with torch.inference_mode():
        for start in range(0, len(texts), rows_at_once):
            rows = slice(start, start + rows_at_once)
            inputs = tokenizer(
                list(texts[rows]),
                None if pairs is None else list(pairs[rows]),
                truncation=True,
                max_length=about.max_length,
                padding=True,
                return_tensors="pt",
            )
            found.append(ask(inputs).double())
    whole = torch.cat(found)
    return (whole.sigmoid() if about.multi_label else whole.softmax(-1)).numpy().astype(np.float32)


def outputs(folder: Path, about: About, base: str, encoded: Encoded, rows_at_once: int = 32) -> NDArray[np.float32]:
    """What the saved model says of token ids, by plain transformers, PEFT or sentence-transformers, padded, in fp32.

    :param base: folder or hub id of the base, for an adapter.
    :returns: of the S sequences of ``encoded``: (S, C) logits, (S, 1) values, (S, H) vectors, or for tokens
        (T, K) and spans (T, 2), one row for every real token in the order of ``encoded.ids``.
    """
    with quiet():
        ask, tokenizer = _loaded(folder, about, base)
    pad_id = int(tokenizer.pad_token_id or 0)
    types = FAMILIES.get(_config(folder, about, base).model_type)
    found = []
    units = np.arange(len(encoded))
    with torch.inference_mode():
        for start in range(0, len(units), rows_at_once):
            batch = flat.make(encoded, units[start : start + rows_at_once], None)
            inputs = _inputs(batch.padded(pad_id), tokenizer, types is not None and types.last_is_classifier)
            said = ask(inputs).float()
            found.append(said[inputs["attention_mask"].bool()] if said.ndim == 3 else said)
    return torch.cat(found).numpy()


def nats(
    folder: Path, about: About, base: str, encoded: Encoded, targets: NDArray[np.int64], rows_at_once: int = 4
) -> NDArray[np.float64]:
    """What the counted tokens cost a saved language model, by plain transformers or PEFT, padded, in fp32.

    :param base: folder or hub id of the base, for an adapter.
    :param targets: (N,) for each token of ``encoded.ids`` the one that is to be said there (of a decoder, and of a
        target, the next one, of a masked model the hidden one); below zero where nothing is counted.
    :returns: (S,) summed negative log likelihood of each sequence, in nats; of a source 0.
    :raises ValueError: a permuted language model, whose tokens would see themselves.
    """
    guess = networks.guesses(_config(folder, about, base))
    if guess == "permuted":
        raise ValueError("a permuted language model needs the order of its tokens")
    with quiet():
        ask, tokenizer = _loaded(folder, about, base)
    pad_id = int(tokenizer.pad_token_id or 0)
    wanted = torch.from_numpy(targets)
    found = np.zeros(encoded.num_sequences)
    with torch.inference_mode():
        for start in range(0, len(encoded), rows_at_once):
            units = np.arange(start, min(start + rows_at_once, len(encoded)))
            batch = flat.make(encoded, units, None)
            if guess == "target":
                inputs, _ = sources_and_targets(batch, pad_id)
                said = units * 2 + 1
            else:
                inputs, said = batch.padded(pad_id), batch.sequences
            if "token_type_ids" not in tokenizer.model_input_names:
                inputs.pop("token_type_ids", None)
            for row, logits in zip(said, ask(inputs), strict=True):  # a row at a time: (L, V) in fp64 is large
                true = wanted[encoded.offsets[row] : encoded.offsets[row + 1]]
                some = true >= 0
                found[row] = float(F.cross_entropy(logits[: len(true)][some].double(), true[some], reduction="sum"))
    return found


def _inputs(padded: dict[str, Tensor], tokenizer: Any, last_is_classifier: bool) -> dict[str, Tensor]:
    """As the model's own tokenizer would give them: with or without types, padded on its side."""
    if last_is_classifier:
        ends = padded["attention_mask"].sum(1, keepdim=True) - 1
        types = padded.get("token_type_ids", torch.zeros_like(padded["input_ids"]))
        padded["token_type_ids"] = types.scatter(1, ends, 2)
    if "token_type_ids" not in tokenizer.model_input_names:
        padded.pop("token_type_ids", None)
    if tokenizer.padding_side == "left":
        missing = padded["attention_mask"].shape[1] - padded["attention_mask"].sum(1)
        places = (torch.arange(padded["attention_mask"].shape[1])[None, :] - missing[:, None]) % (
            padded["attention_mask"].shape[1]
        )
        padded = {name: table.gather(1, places) for name, table in padded.items()}
    return padded


def _loaded(folder: Path, about: About, base: str) -> tuple[Ask, Any]:
    from transformers import AutoTokenizer

    inner = folder / INNER if about.kind == "sentence" and about.head_kind != "vectors" else folder
    tokenizer = AutoTokenizer.from_pretrained(inner)
    if about.head_kind == "vectors" and about.kind == "sentence":
        return _sentence_transformers(folder, about), tokenizer
    return {"own": _own, "sentence": _sentence, "adapter": _adapter}[about.kind](folder, about, base), tokenizer


def _config(folder: Path, about: About, base: str) -> Any:
    from transformers import AutoConfig

    place = base if about.kind == "adapter" else folder
    return AutoConfig.from_pretrained(folder / INNER if (folder / INNER).exists() else place)


def _own(folder: Path, about: About, base: str) -> Ask:
    cls = networks.auto_class(_config(folder, about, base), about.head_kind, pooled=False)
    return _native(_settled(cls.from_pretrained(folder, dtype=torch.float32)).eval())


def _sentence(folder: Path, about: About, base: str) -> Ask:
    cls = networks.auto_class(_config(folder, about, base), about.head_kind, pooled=True)
    model = _settled(cls.from_pretrained(folder / INNER, dtype=torch.float32)).eval()
    dense = load_file(folder / DENSE / "model.safetensors")
    return lambda inputs: _pooled(model, inputs, about) @ dense["linear.weight"].T + dense["linear.bias"]


def _sentence_transformers(folder: Path, about: About) -> Ask:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:  # it is an extra; the same by plain transformers
        cls = networks.auto_class(_config(folder, about, ""), about.head_kind, pooled=True)
        plain = cls.from_pretrained(folder, dtype=torch.float32).eval()
        return lambda inputs: _vectors(plain, inputs, about)
    model = SentenceTransformer(str(folder), device="cpu").eval()
    return lambda inputs: model(dict(inputs))["sentence_embedding"]


def _adapter(folder: Path, about: About, base: str) -> Ask:
    from peft import PeftModel
    from transformers import AutoTokenizer

    config = _config(folder, about, base)
    cls = networks.auto_class(config, about.head_kind, about.pooling is not None)
    more = _quantised(about)
    if about.head_kind == "language":
        whole = _settled(cls.from_pretrained(base, dtype=torch.float32, **more))
        return _native(_reading(PeftModel.from_pretrained(whole, folder).eval()))
    if about.pooling is None:
        config.num_labels = about.head.width
        if config.pad_token_id is None:
            config.pad_token_id = AutoTokenizer.from_pretrained(folder).pad_token_id
        whole = cls.from_pretrained(base, config=config, dtype=torch.float32, ignore_mismatched_sizes=True, **more)
        return _native(_reading(PeftModel.from_pretrained(_settled(whole), folder).eval()))
    whole = _settled(cls.from_pretrained(base, dtype=torch.float32, **more))
    trunk = _reading(PeftModel.from_pretrained(whole, folder).eval())
    if about.head_kind == "vectors":
        return lambda inputs: _vectors(trunk, inputs, about)
    head = load_file(folder / "head.safetensors")
    return lambda inputs: _pooled(trunk, inputs, about) @ head["weight"].T + head["bias"]


def _quantised(about: About) -> dict[str, Any]:
    """What transformers is told to keep the base of an adapter as it was trained beside."""
    if about.quantisation is None:
        return {}
    from transformers import BitsAndBytesConfig

    return {"quantization_config": BitsAndBytesConfig(**Scheme.from_json(about.quantisation).for_transformers())}


def _settled(network: Any) -> Any:
    """A network whose quantised layers, if it has any, compute while it answers as they do while it trains."""
    for module in network.modules():
        if type(module).__name__ == "Linear4bit":
            keep_plain(module)
    return network


def _reading(model: Any) -> Any:
    """``model`` as it is; where it reads learnt vectors first, asked of one text at a time, without their places.

    PEFT puts them before the padding of a batch that is padded on the left, and a classifier that reads the last token
    does not know then which are padding.
    """
    config = model.active_peft_config
    if not config.is_prompt_learning or model.base_model.config.is_encoder_decoder:
        return model
    types = str(getattr(config.task_type, "value", config.task_type)) in ("SEQ_CLS", "TOKEN_CLS")

    def ask(**inputs: Tensor) -> Any:
        said: list[Any] = []
        for row, mask in enumerate(inputs["attention_mask"].bool()):
            given = {name: table[row : row + 1, mask] for name, table in inputs.items()}
            if not types:
                given.pop("token_type_ids", None)
            with quiet():
                said.append(model(**given))
        names = [name for name in ("logits", "start_logits", "end_logits", "last_hidden_state") if name in said[0]]
        real = inputs["attention_mask"].bool()
        of_texts = "logits" in names and said[0].logits.ndim == 2
        placed = torch.cat if of_texts else partial(_placed, real=real)
        return type(said[0])(**{name: placed([one[name] for one in said]) for name in names})

    return ask


def _placed(said: Sequence[Tensor], real: Tensor) -> Tensor:
    """(B, L, ...) of what was said of each text's tokens, and of what is before them; zeros where none is ``real``."""
    found = said[0].new_zeros(*real.shape, *said[0].shape[2:])
    for row, one in enumerate(said):
        found[row, real[row]] = one[0, -int(real[row].sum()) :]
    return found


def _native(model: Any) -> Ask:
    def ask(inputs: Mapping[str, Tensor]) -> Tensor:
        said = model(**inputs)
        if "start_logits" in said:
            return torch.stack([said.start_logits, said.end_logits], -1)
        logits: Tensor = said.logits
        return logits

    return ask


def _vectors(model: Any, inputs: Mapping[str, Tensor], about: About) -> Tensor:
    pooled = _mix(model(**inputs).last_hidden_state, inputs["attention_mask"], about)
    return F.normalize(pooled, dim=-1) if about.normalise else pooled


def _pooled(model: Any, inputs: Mapping[str, Tensor], about: About) -> Tensor:
    """Token vectors to what the linear layer sees: pooled over real tokens, and standardised."""
    vector = _mix(model(**inputs).last_hidden_state, inputs["attention_mask"], about)
    return F.layer_norm(vector, vector.shape[-1:], eps=1e-12)


def _mix(hidden: Tensor, mask: Tensor, about: About) -> Tensor:
    if about.pooling == "mean":
        real = mask.unsqueeze(-1).float()
        return (hidden * real).sum(1) / real.sum(1) + about.first_share * hidden[:, 0]
    if about.pooling == "first":
        return hidden[:, 0]
    return hidden[torch.arange(len(hidden)), mask.sum(1) - 1]
