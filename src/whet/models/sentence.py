"""Pooled models as folders of sentence-transformers, and back.

With a head of ours: Transformer, Pooling, LayerNorm, Dense. The transformer lies in a sub-folder, so that
nobody loads the folder as a classifier whose head would silently be new. Of vectors: Transformer, Pooling,
Normalize, the transformer at the top, as sentence-transformers itself writes it: there is no head to miss.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from whet.errors import Problem, UserError
from whet.files import write_json
from whet.models.about import About
from whet.models.pooling import Pooling
from whet.models.task_model import TaskModel

INNER = "0_Transformer"
DENSE = "3_Dense"
_MODES: dict[Pooling, str] = {
    "mean": "pooling_mode_mean_tokens",
    "first": "pooling_mode_cls_token",
    "last": "pooling_mode_lasttoken",
}


def write(model: TaskModel, tokenizer: Any, about: About, folder: Path) -> None:
    """Everything but whet.json."""
    inner = folder / (INNER if model.head is not None else "")
    model.network.save_pretrained(inner)
    tokenizer.save_pretrained(inner)
    write_modules(model, about, folder)
    if model.head is None:
        return
    width = model.feature_width
    write_json(folder / "2_LayerNorm" / "config.json", {"dimension": width})
    norm = {"norm.weight": torch.ones(width), "norm.bias": torch.zeros(width)}
    save_file(norm, folder / "2_LayerNorm" / "model.safetensors")
    dense = {
        "in_features": width,
        "out_features": model.width,
        "bias": True,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    write_json(folder / DENSE / "config.json", dense)
    state = {f"linear.{name}": value for name, value in head_state(model.head).items()}
    save_file(state, folder / DENSE / "model.safetensors")


def write_modules(model: TaskModel, about: About, folder: Path) -> None:
    """What sentence-transformers needs beside a transformer: which modules there are, and the pooling."""
    assert model.pooling is not None
    if model.head is not None:
        kinds = ["Transformer", "Pooling", "LayerNorm", "Dense"]
    else:
        kinds = ["Transformer", "Pooling", *(["Normalize"] if about.normalise else [])]
    paths = [f"{number}_{kind}" for number, kind in enumerate(kinds)]
    if model.head is None:
        paths[0] = ""
    settings: dict[str, Any] = {"max_seq_length": about.max_length, "do_lower_case": False}
    if model.family is not None and model.family.pooler:  # there is none, and it would be drawn anew with a warning
        settings["model_args"] = {"add_pooling_layer": False}
    write_json(folder / paths[0] / "sentence_bert_config.json", settings)
    width = int(model.network.config.hidden_size)
    write_json(folder / paths[1] / "config.json", pooling_settings(model.pooling, width))
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (kind, path) in enumerate(zip(kinds, paths, strict=True))
    ]
    write_json(folder / "modules.json", modules)
    for path in paths[2:]:
        (folder / path).mkdir(exist_ok=True)


def pooling_settings(pooling: Pooling, width: int) -> dict[str, Any]:
    """What a pooling module says of itself; ``width``: of a token's vector."""
    modes = {f"pooling_mode_{key}": False for key in ("cls_token", "mean_tokens", "max_tokens", "lasttoken")}
    return {"word_embedding_dimension": width, **modes, _MODES[pooling]: True}


def head_state(head: nn.Linear) -> dict[str, torch.Tensor]:
    """Weight and bias, ready for a file."""
    state = {"weight": head.weight.detach().contiguous()}
    return state if head.bias is None else {**state, "bias": head.bias.detach().contiguous()}


def read_head(head: nn.Linear, path: Path, prefix: str = "") -> None:
    """Fill ``head`` from a file; nothing may be missing and nothing left over.

    :raises UserError: M032, the file is not this head.
    """
    try:
        state = {name.removeprefix(prefix): value for name, value in load_file(path).items()}
        head.load_state_dict(state)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1].strip()
        raise UserError(
            Problem("M032", str(path), f"is not the head that was trained: {reason}", "Copy the model anew.")
        ) from error
