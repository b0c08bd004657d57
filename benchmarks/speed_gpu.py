"""Training of Llama- and Qwen-shaped models with random weights on a CUDA device, against transformers and PEFT.

    python benchmarks/speed_gpu.py [JOB ...] [--rounds 3] [--steps 8] [--device cuda]

Of each job both sides are measured in turn, in processes of their own: real tokens a second, the share of the
measured product ceiling (MFU), peak memory. The peer is a loop of transformers and PEFT at its best settings: bf16
autocast, rows of like length padded to the longest, fused AdamW, the loss on the same tokens. Needs torch,
transformers, PEFT, NumPy, pyarrow and psutil alone. Writes results/speed_gpu.json; write_results.py puts it into
RESULTS.md.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "results"
Found = dict[str, Any]
QWEN = {"vocab_size": 151_936, "max_position_embeddings": 4096, "tie_word_embeddings": True}
LLAMA = {"vocab_size": 128_256, "max_position_embeddings": 4096}


def _size(hidden: int, inner: int, layers: int, heads: int, groups: int) -> dict[str, int]:
    return {
        "hidden_size": hidden,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
    }


SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "tiny": ("llama", {**LLAMA, **_size(64, 128, 2, 4, 2), "vocab_size": 512}),
    "qwen-0.5b": ("qwen2", {**QWEN, **_size(896, 4864, 24, 14, 2)}),
    "llama-1b": ("llama", {**LLAMA, **_size(2048, 8192, 16, 32, 8), "tie_word_embeddings": True}),
    "qwen-3b": ("qwen2", {**QWEN, **_size(2048, 11_008, 36, 16, 2)}),
    "llama-8b": ("llama", {**LLAMA, **_size(4096, 14_336, 32, 32, 8)}),
}
RANK, ALPHA = 16, 32


@dataclass(frozen=True)
class Job:
    """``rows``: texts of a step. ``even``: all of ``length`` tokens; else of many, of which the last third counts."""

    name: str
    shape: str
    method: str
    rows: int
    even: bool
    length: int = 2048


JOBS = [
    Job("full-qwen-0.5b", "qwen-0.5b", "full", 8, True),
    Job("full-llama-1b", "llama-1b", "full", 8, True),
    Job("lora-llama-1b", "llama-1b", "lora", 8, True),
    Job("lora-llama-8b", "llama-8b", "lora", 4, True),
    Job("chat-full-qwen-0.5b", "qwen-0.5b", "full", 32, False),
    Job("chat-lora-llama-1b", "llama-1b", "lora", 32, False),
    Job("chat-lora-llama-8b", "llama-8b", "lora", 16, False),
]
TRIAL = Job("trial", "tiny", "lora", 4, False, 64)
SIDES = ("whet", "transformers")


def network_of(job: Job, device: Any, dtype: Any) -> Any:
    """Random weights, made where they are used."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, values = SHAPES[job.shape]
    config = AutoConfig.for_model(kind, **values)
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype)


def texts_of(job: Job, width: int) -> tuple[list[Any], list[Any]]:
    """Token ids of each text, and how much each token counts."""
    import numpy as np

    random = np.random.default_rng(0)
    if job.even:
        sizes = [job.length] * job.rows
    else:
        sizes = [int(one) for one in np.clip(random.lognormal(np.log(job.length / 6), 0.7, job.rows), 16, job.length)]
    ids = [random.integers(5, width, size) for size in sizes]
    silent = [0 if job.even else 2 * size // 3 for size in sizes]
    counts = [np.r_[np.zeros(some), np.ones(size - some)] for some, size in zip(silent, sizes, strict=True)]
    return ids, counts


# --- both sides -----------------------------------------------------------------------------------------


def ours(job: Job, steps: int, device: Any) -> Found:
    """whet's engine: flat batches, its kernels, its optimiser."""
    import numpy as np
    import torch

    from whet.batches import flat
    from whet.batches.encoding import Counted, Piece, gather
    from whet.engine.optimisation import Group, optimiser_of
    from whet.engine.precision import Weights
    from whet.engine.step import gradients
    from whet.kernels import ceiling
    from whet.models import adaptations, fused_lora
    from whet.models.families import FAMILIES
    from whet.models.heads import Head
    from whet.models.task_model import TaskModel
    from whet.models.work import flops_per_token
    from whet.tasks.language_loss import LanguageLoss, next_tokens

    full = job.method == "full"
    network = network_of(job, device, torch.float32 if full else torch.bfloat16)
    family = FAMILIES[network.config.model_type]
    model = TaskModel(network, Head("language"), network.get_output_embeddings(), family, 0, 0.0)
    model.use_flat_batches()
    options = {"rank": RANK, "alpha": float(ALPHA), "dropout": 0.0, "target_modules": "auto", "start": "zeros"}
    options |= {"rank_stabilised": False, "dora": False}
    adaptations.adapt(model, job.method, {f"lora.{name}": value for name, value in options.items()}, job.shape, 0)
    fused = 0 if full else fused_lora.fuse(model)
    model.to(device)
    weights = Weights(model, torch.bfloat16)
    model.train()
    optimiser = optimiser_of("adamw", [Group("all", list(weights.masters.items()), 1e-4, 0.01)])
    ids, counts = texts_of(job, model.width)
    sizes = np.asarray([len(one) for one in ids], np.int64)
    piece = Piece(np.concatenate(ids).astype(np.uint32), sizes, weights=np.concatenate(counts).astype(np.float32))
    encoded = gather(iter([piece]), Counted(job.length), None)

    def step(number: int) -> float:
        batch = flat.make(encoded, np.arange(job.rows), None)
        weights.clear_gradients()
        found = gradients(weights, LanguageLoss(next_tokens), batch, 1 << 15, lambda _: None, 1.0, (), number)
        optimiser.step()
        weights.publish()
        return found.loss

    found = timed(step, steps, int(sizes.sum()), device)
    said = float(np.concatenate(counts).sum() / sizes.sum())
    mean = float((sizes**2).sum() / sizes.sum())  # a token's text, as tokens see it
    most = ceiling.measure(torch.bfloat16, torch.device(device))
    work = flops_per_token(model, mean, said)
    return found | {"mfu": found["rate"] * work / most, "ceiling_flops": most, "fused_layers": fused}


def theirs(job: Job, steps: int, device: Any) -> Found:
    """transformers and PEFT: rows of like length side by side, bf16, fused AdamW."""
    import torch
    from peft import LoraConfig, get_peft_model
    from torch.nn.utils import clip_grad_norm_

    full = job.method == "full"
    model: Any = network_of(job, device, torch.float32 if full else torch.bfloat16)
    if not full:
        lora = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, lora).to(device)
    model.train()
    model.config.use_cache = False
    moved = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(moved, lr=1e-4, fused=True)
    ids, counts = texts_of(job, model.config.vocab_size)
    order = sorted(range(job.rows), key=lambda one: len(ids[one]))
    groups = [order[place : place + 8] for place in range(0, job.rows, 8)]
    tables = [padded(group, ids, counts, device) for group in groups]
    number = sum(int((table["labels"][:, 1:] != -100).sum()) for table in tables)

    def step(_: int) -> float:
        total = 0.0
        for table in tables:
            with torch.autocast(torch.device(device).type, torch.bfloat16):
                loss = model(**table, num_items_in_batch=number).loss
            loss.backward()
            total += float(loss.detach())
        clip_grad_norm_(moved, 1.0)
        optimiser.step()
        optimiser.zero_grad()
        return total

    return timed(step, steps, sum(len(one) for one in ids), device)


def padded(group: list[int], ids: list[Any], counts: list[Any], device: Any) -> Found:
    """Rows as transformers takes them."""
    import numpy as np
    import torch

    longest = max(len(ids[one]) for one in group)
    tokens = np.zeros((len(group), longest), np.int64)
    labels, mask = np.full_like(tokens, -100), np.zeros_like(tokens)
    for place, one in enumerate(group):
        size = len(ids[one])
        tokens[place, :size], mask[place, :size] = ids[one], 1
        labels[place, :size] = np.where(counts[one] > 0, ids[one], -100)
    found = {"input_ids": tokens, "labels": labels, "attention_mask": mask}
    return {name: torch.from_numpy(table).to(device) for name, table in found.items()}


def timed(step: Callable[[int], float], steps: int, tokens: int, device: Any) -> Found:
    """Real tokens a second after two steps to warm up, and the most memory that was held."""
    import torch

    on_gpu = torch.device(device).type == "cuda"
    for number in range(2):
        step(number)
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    for number in range(steps):
        loss = step(number + 2)
    if on_gpu:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    return {"rate": tokens * steps / seconds, "loss": loss, "peak_bytes": peak, "tokens": tokens}


# --- in turn --------------------------------------------------------------------------------------------


def child(job: Job, side: str, steps: int, device: str) -> Found:
    """One side in a process of its own; why it failed where it did, such as memory that ran out."""
    words = [sys.executable, __file__, job.name, "--side", side, "--steps", str(steps), "--device", device]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1][:300]}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(job: Job, rounds: int, steps: int, device: str) -> Found:
    """Both sides in turn."""
    each = []
    for number in range(rounds):
        both = {side: child(job, side, steps, device) for side in SIDES}
        each.append(both)
        print(job.name, number, {side: one.get("rate") or one.get("failed") for side, one in both.items()}, flush=True)
    ratios = [
        one["whet"]["rate"] / one["transformers"]["rate"] for one in each if all("rate" in x for x in one.values())
    ]
    spread = {"median": statistics.median(ratios), "low": min(ratios), "high": max(ratios)} if ratios else {}
    return {"job": job.name, "rounds": each, **spread}


def machine(device: str) -> Found:
    """What it ran on."""
    import torch

    found: Found = {}
    for name in ("torch", "transformers", "peft", "trl", "liger-kernel"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    name = torch.cuda.get_device_name() if torch.device(device).type == "cuda" else "no GPU"
    return {"date": str(datetime.date.today()), "device": name, "packages": found}


def main() -> None:
    jobs = {job.name: job for job in (*JOBS, TRIAL)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("jobs", nargs="*", default=[job.name for job in JOBS], metavar="JOB", help=", ".join(jobs))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--side", choices=SIDES, help="measure one side here, and print it")
    parser.add_argument("--out", type=Path, default=OUT / "speed_gpu.json")
    asked = parser.parse_args()
    if unknown := [name for name in asked.jobs if name not in jobs]:
        parser.error(f"unknown jobs: {', '.join(unknown)}")
    if asked.side:
        compute = ours if asked.side == "whet" else theirs
        print(json.dumps(compute(jobs[asked.jobs[0]], asked.steps, asked.device)))
        return
    found = []
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    for name in asked.jobs:
        found.append(measured(jobs[name], asked.rounds, asked.steps, asked.device))
        asked.out.write_text(json.dumps({**machine(asked.device), "jobs": found}, indent=1))


if __name__ == "__main__":
    main()
