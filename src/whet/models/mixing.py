"""Several saved adapters of one base: what each holds, mixed into one, merged into the base and taken out again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from whet.errors import Problem, Problems, UserError
from whet.files import folder_beside, read_json, write_json
from whet.models import quantising, saving
from whet.models.about import ABOUT, About, load_about
from whet.models.task_model import TaskModel
from whet.seeds import derive

Way = Literal["cat", "linear", "ties", "dare_linear", "svd"]
WAYS: tuple[str, ...] = get_args(Way)
"""cat: side by side, exactly the weighted sum of what they do; svd: the same at the rank of the largest of them;
linear: sums of their factors; ties (arXiv 2306.01708), dare_linear (arXiv 2311.03099): the same of thinned factors."""
_CONFIG, _WEIGHTS, _HEAD = "adapter_config.json", "adapter_model.safetensors", "head.safetensors"
_FIRST, _SECOND = "lora_A.weight", "lora_B.weight"


@dataclass(frozen=True, slots=True)
class Held:
    """A saved adapter; ``bytes``: of its weights, head included."""

    folder: Path
    about: About
    config: Mapping[str, Any]
    bytes: int

    @property
    def kind(self) -> str:
        """As PEFT calls it: LORA, IA3, PROMPT_TUNING and so on."""
        return str(self.config["peft_type"])

    @property
    def rank(self) -> int | None:
        """Of LoRA; None for others."""
        return int(self.config["r"]) if self.kind == "LORA" else None

    @property
    def scale(self) -> float:
        """What the product of its two matrices is multiplied by."""
        rank, alpha = float(self.config["r"]), float(self.config["lora_alpha"])
        return alpha / (rank**0.5 if self.config.get("use_rslora") else rank)

    def to_json(self) -> dict[str, Any]:
        """For lists."""
        return {
            "folder": str(self.folder),
            "kind": self.kind,
            "rank": self.rank,
            "layers": len(self.config.get("target_modules") or ()),
            "base": self.about.base,
            "base_sha256": self.about.base_sha256,
            "quantised": None if self.about.quantisation is None else self._scheme.in_words,
            "task": self.about.task,
            "labels": list(self.about.labels),
            "bytes": self.bytes,
        }

    @property
    def _scheme(self) -> quantising.Scheme:
        assert self.about.quantisation is not None
        return quantising.Scheme.from_json(self.about.quantisation)

    def tensors(self) -> dict[str, Tensor]:
        """All weights by their names in the file."""
        return dict(load_file(self.folder / _WEIGHTS))


def look(folder: Path) -> Held:
    """What a saved adapter holds.

    :raises UserError: M030, the folder holds no saved model; M067, a whole one.
    """
    about = load_about(folder)
    if about.kind != "adapter":
        remedy = "Name a run of method lora, qlora, ia3, prompt, p-tuning or prefix without lora.merge."
        raise UserError(Problem("M067", str(folder), "holds a whole model, not an adapter.", remedy))
    size = sum((folder / name).stat().st_size for name in (_WEIGHTS, _HEAD) if (folder / name).exists())
    return Held(folder, about, read_json(folder / _CONFIG), size)


# --- mixing ---------------------------------------------------------------------------------------------


def mix(adapters: Sequence[Held], weights: Sequence[float], way: Way, into: Path, density: float = 0.5) -> Held:
    """Write one adapter that does what ``adapters`` do, each by its weight; PEFT loads it like any other.

    Heads, and what else trained in full, become the mean by the same weights. What was fitted on validation to one
    adapter alone is left out (:func:`fitted`).

    :param density: of ties and dare_linear, the share of each factor's numbers that is kept.
    :raises UserError: M068, they cannot be mixed; M069, there is something at ``into``.
    """
    _refuse_unlike(adapters, way)
    if into.exists():
        raise UserError(Problem("M069", str(into), "is there already.", "Name another folder."))
    whole = sum(abs(weight) for weight in weights)
    if not whole:
        raise UserError(Problem("M068", "--mix", "all weights are 0.", "Give at least one another weight."))
    shares = [weight / whole for weight in weights]
    rank = _rank(adapters, way)
    torch.manual_seed(derive(0, "mixing"))  # dare_linear draws which numbers are kept
    mixed = _mixed(adapters, weights, shares, way, rank, density)
    with folder_beside(into) as inside:
        for path in adapters[0].folder.iterdir():
            if path.is_file() and path.name not in (_WEIGHTS, _HEAD, _CONFIG, "README.md"):
                shutil.copy2(path, inside / path.name)
        save_file({name: tensor.contiguous() for name, tensor in mixed.items()}, inside / _WEIGHTS)
        _write_config(adapters, rank, inside)
        if (adapters[0].folder / _HEAD).exists():
            heads = [load_file(adapter.folder / _HEAD) for adapter in adapters]
            save_file({name: _mean([head[name] for head in heads], shares) for name in heads[0]}, inside / _HEAD)
        about = _unfitted(adapters[0].about)
        write_json(inside / ABOUT, asdict(about))
    return look(into)


_FITTED = ("temperature", "thresholds", "no_answer_from")


def fitted(about: About) -> list[str]:
    """What of a saved adapter was fitted on validation to that one alone, and is not true of a mixture."""
    known = {name for name in _FITTED if name in about.task_facts.get("settled", {})}
    known |= {"thresholds"} if about.thresholds is not None else set()
    return sorted(known | ({"temperature"} if about.temperature != 1.0 else set()))


def _unfitted(about: About) -> About:
    """The same with nothing that was fitted; what training taught stays."""
    facts = dict(about.task_facts)
    if "settled" in facts:
        facts["settled"] = {name: value for name, value in facts["settled"].items() if name not in _FITTED}
    return replace(about, temperature=1.0, thresholds=None, task_facts=facts)


def _mixed(
    adapters: Sequence[Held], weights: Sequence[float], shares: Sequence[float], way: Way, rank: int, density: float
) -> dict[str, Tensor]:
    """The weights of one adapter, by their names in its file."""
    files = [adapter.tensors() for adapter in adapters]
    scales = [weight * adapter.scale for weight, adapter in zip(weights, adapters, strict=True)]
    mixed: dict[str, Tensor] = {}
    for name in sorted({name for file in files for name in file}):
        if name.endswith(_FIRST):
            second = name.removesuffix(_FIRST) + _SECOND
            pairs = [(f[name], f[second], scale) for f, scale in zip(files, scales, strict=True) if name in f]
            factors = _MIXERS[way](pairs, density, rank)
            mixed[name], mixed[second] = _to_rank(factors[0], rank, 0), _to_rank(factors[1], rank, 1)
        elif not name.endswith(_SECOND):
            mixed[name] = _mean([file[name] for file in files], shares)
    return mixed


def _mean(tensors: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    total = torch.stack([share * one.float() for share, one in zip(shares, tensors, strict=True)]).sum(0)
    return total.to(tensors[0].dtype)


def _write_config(adapters: Sequence[Held], rank: int, inside: Path) -> None:
    layers = sorted({name for adapter in adapters for name in adapter.config["target_modules"]})
    config = {**adapters[0].config, "r": rank, "lora_alpha": rank, "use_rslora": False, "target_modules": layers}
    write_json(inside / _CONFIG, config)


def _refuse_unlike(adapters: Sequence[Held], way: Way) -> None:
    problems, first = Problems(), adapters[0]
    for other in adapters:
        where = str(other.folder)
        if other.kind != "LORA":
            problems.add("M068", where, f"is an adapter of kind {other.kind}, which cannot be mixed.", "Mix LoRA ones.")
            continue
        if other.config.get("use_dora"):
            what = "learned the lengths of weight vectors apart (DoRA), which do not add up."
            problems.add("M068", where, what, "Mix adapters that were trained with lora.dora=false.")
        if other.about.base_sha256 != first.about.base_sha256:
            what = f"was trained on other weights than {first.folder} (base {other.about.base!r}, by their hash)."
            problems.add("M068", where, what, "Mix adapters of one base.")
        if other.about.quantisation != first.about.quantisation:
            problems.add("M068", where, f"has its base quantised otherwise than {first.folder}.", "Mix like ones.")
        if other.about.head != first.about.head or other.about.task != first.about.task:
            what = f"has another head, or other labels, than {first.folder}."
            problems.add("M068", where, what, "Mix adapters of one task with the same labels.")
        if way in ("linear", "ties", "dare_linear") and other.rank != first.rank:
            what = f"has rank {other.rank}, and {first.folder} has rank {first.rank}, whose factors cannot be added."
            problems.add("M068", where, what, "Use --way cat or svd.")
    problems.raise_if_any()


def _rank(adapters: Sequence[Held], way: Way) -> int:
    ranks = [adapter.rank or 0 for adapter in adapters]
    return sum(ranks) if way == "cat" else max(ranks)


def _to_rank(factor: Tensor, rank: int, dim: int) -> Tensor:
    """Rows or columns of zeros up to ``rank``: a layer that only some adapters have."""
    missing = rank - factor.shape[dim]
    if not missing:
        return factor
    shape = list(factor.shape)
    shape[dim] = missing
    return torch.cat([factor, factor.new_zeros(shape)], dim)


Pairs = Sequence[tuple[Tensor, Tensor, float]]
"""(r, inputs) A and (outputs, r) B of each adapter, and its weight times its scale."""


def _cat(pairs: Pairs, density: float, rank: int) -> tuple[Tensor, Tensor]:
    return torch.cat([scale * first for first, _, scale in pairs]), torch.cat([second for _, second, _ in pairs], 1)


def _svd(pairs: Pairs, density: float, rank: int) -> tuple[Tensor, Tensor]:
    whole = torch.stack([scale * second.float() @ first.float() for first, second, scale in pairs]).sum(0)
    return quantising.low_rank(whole, min(rank, *whole.shape), 1.0)


def _by_factors(merge: Callable[[list[Tensor], Tensor, float], Tensor]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Each factor by itself, with the root of the weight; its sign on one side."""

    def mixed(pairs: Pairs, density: float, rank: int) -> tuple[Tensor, Tensor]:
        roots = torch.tensor([abs(scale) ** 0.5 for _, _, scale in pairs])
        signs = torch.tensor([1.0 if scale >= 0 else -1.0 for _, _, scale in pairs])
        first = merge([first for first, _, _ in pairs], roots * signs, density)
        return first, merge([second for _, second, _ in pairs], roots, density)

    return mixed


def _linear(tensors: list[Tensor], weights: Tensor, density: float) -> Tensor:
    from peft.utils.merge_utils import task_arithmetic

    return task_arithmetic(tensors, weights)


def _ties(tensors: list[Tensor], weights: Tensor, density: float) -> Tensor:
    from peft.utils.merge_utils import ties

    return ties(tensors, weights, density)


def _dare(tensors: list[Tensor], weights: Tensor, density: float) -> Tensor:
    from peft.utils.merge_utils import dare_linear

    return dare_linear(tensors, weights, density)


_MIXERS: dict[str, Callable[[Pairs, float, int], tuple[Tensor, Tensor]]] = {
    "cat": _cat,
    "svd": _svd,
    "linear": _by_factors(_linear),
    "ties": _by_factors(_ties),
    "dare_linear": _by_factors(_dare),
}


# --- merging --------------------------------------------------------------------------------------------


def merge(adapter: Held, into: Path) -> About:
    """Write base and adapter as one whole model; of a quantised base in 16 bits, with the weights it was trained on.

    :raises UserError: M068, what is read before a text cannot be merged; M069, there is something at ``into``; as
        :func:`whet.models.saving.load`.
    """
    if adapter.kind not in ("LORA", "IA3"):
        what = f"is an adapter of kind {adapter.kind}: what is read before a text cannot be merged into weights."
        raise UserError(Problem("M068", str(adapter.folder), what, "Keep it as it is."))
    if into.exists():
        raise UserError(Problem("M069", str(into), "is there already.", "Name another folder."))
    quantised = adapter.about.quantisation is not None
    model, peft_model, tokenizer = saving.load_adapted(adapter.folder, adapter.about, whole=quantised)
    model.network = peft_model.merge_and_unload()
    model.quantised = None
    if quantised:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(parameter.to(torch.bfloat16))
    about = replace(adapter.about, kind=saving.kind_of(model, False), quantisation=None)
    saving.save(model, None, tokenizer, about, into, torch.bfloat16 if quantised else None)
    return about


def unmerge(whole: Path, adapter: Held, into: Path) -> float:
    """Take an adapter out of the whole model it was merged into; the head stays.

    :returns: the largest difference of a weight to the base's own, which rounding leaves.
    :raises UserError: M068, it is no LoRA adapter, or not of this model; M069, there is something at ``into``.
    """
    if adapter.kind != "LORA" or adapter.config.get("use_dora") or adapter.about.quantisation is not None:
        what = "only plain LoRA on a base in whole weights can be taken out again."
        raise UserError(Problem("M068", str(adapter.folder), what, "Use the base itself."))
    if into.exists():
        raise UserError(Problem("M069", str(into), "is there already.", "Name another folder."))
    model, tokenizer, about = saving.load(whole)
    if about.head != adapter.about.head or about.base_sha256 != adapter.about.base_sha256:
        what = f"is no model that {adapter.folder} was merged into: base or head differ."
        raise UserError(Problem("M068", str(whole), what, "Name the model that it was merged into."))
    base, _, _ = saving.load_adapted(adapter.folder, adapter.about)
    with torch.no_grad():
        for name, layer in adapted_layers(base):
            plain: Any = model.network.get_submodule(name)
            plain.weight -= layer.get_delta_weight("default")
    gap = max(_gap(model, name, layer) for name, layer in adapted_layers(base))
    saving.save(model, None, tokenizer, about, into)
    return gap


def adapted_layers(model: TaskModel) -> list[tuple[str, Any]]:
    """Layers with a LoRA adapter, by their names in the network."""
    return [(name, module) for name, module in model.network.named_modules() if hasattr(module, "get_delta_weight")]


def _gap(model: TaskModel, name: str, layer: Any) -> float:
    weight: Any = model.network.get_submodule(name).weight
    return float((weight - layer.get_base_layer().weight).detach().abs().max())
