"""A saved model as its ecosystem loads it: the proof that it needs nothing of ours.

The functions here are what the model's card prints as its usage, and what a run checks itself with.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import load_file

from whet.models.loading import quiet
from whet.models.saving import About


def probabilities(
    folder: Path, about: About, texts: Sequence[str], pairs: Sequence[str] | None, base: str, rows_at_once: int = 32
) -> NDArray[np.float32]:
    """(n, C) of ``texts`` by plain transformers (and PEFT for an adapter), padded, in fp32.

    :param base: folder or hub id of the base, for an adapter.
    """
    ask = {"own": _own, "sentence": _sentence, "adapter": _adapter}[about.kind]
    with quiet():
        tokenizer, logits = ask(folder, about, base)
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
            found.append(logits(inputs).double())
    whole = torch.cat(found)
    return (whole.sigmoid() if about.multi_label else whole.softmax(-1)).numpy().astype(np.float32)


def _own(folder: Path, about: About, base: str) -> tuple[Any, Any]:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    return AutoTokenizer.from_pretrained(folder), lambda inputs: model(**inputs).logits


def _sentence(folder: Path, about: About, base: str) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    model = AutoModel.from_pretrained(folder / "0_Transformer", dtype=torch.float32).eval()
    dense = load_file(folder / "3_Dense" / "model.safetensors")
    tokenizer = AutoTokenizer.from_pretrained(folder / "0_Transformer")
    return tokenizer, lambda inputs: _pooled(model, inputs, about, dense["linear.weight"], dense["linear.bias"])


def _adapter(folder: Path, about: About, base: str) -> tuple[Any, Any]:
    from peft import PeftModel
    from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    if about.pooling is None:
        model = AutoModelForSequenceClassification.from_pretrained(
            base, num_labels=len(about.labels), dtype=torch.float32
        )
        if model.config.pad_token_id is None:
            model.config.pad_token_id = tokenizer.pad_token_id
        adapted = PeftModel.from_pretrained(model, folder).eval()
        return tokenizer, lambda inputs: adapted(**inputs).logits
    trunk = PeftModel.from_pretrained(AutoModel.from_pretrained(base, dtype=torch.float32), folder).eval()
    head = load_file(folder / "head.safetensors")
    return tokenizer, lambda inputs: _pooled(trunk, inputs, about, head["weight"], head["bias"])


def _pooled(model: Any, inputs: Any, about: About, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Token vectors to logits: mean over real tokens, standardised, through the linear layer."""
    hidden = model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1).float()
    if about.pooling == "mean":
        vector = (hidden * mask).sum(1) / mask.sum(1) + about.first_share * hidden[:, 0]
    elif about.pooling == "first":
        vector = hidden[:, 0]
    else:
        vector = hidden[torch.arange(len(hidden)), inputs["attention_mask"].sum(1) - 1]
    return F.layer_norm(vector, vector.shape[-1:], eps=1e-12) @ weight.T + bias
