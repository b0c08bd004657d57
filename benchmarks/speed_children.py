"""Measurements of speed.py that are a program of their own; each prints one JSON object last.

speed_children.py KIND WORD ...
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sets import ROOT

from whet.threads import keep_few_kernels, spin_briefly

spin_briefly()
keep_few_kernels()

Found = dict[str, Any]
SHORT_TEXTS = 10_000
MANY_ROWS = 2_000_000


def texts(number: int) -> list[str]:
    """Rows of banking77, again and again."""
    import gzip

    with gzip.open(ROOT / "banking77" / "train.jsonl.gz", "rt") as file:
        some = [json.loads(line)["text"] for line in file]
    return [some[place % len(some)] for place in range(number)]


def minilm() -> str:
    from whet.models import places

    return str(places.find("minilm").folder)


def timed(compute: Callable[[], Any], number: int) -> Found:
    """``number`` things in the time of ``compute``."""
    start = time.perf_counter()
    compute()
    seconds = time.perf_counter() - start
    return {"rate": number / seconds, "seconds": seconds}


# --- against itself -------------------------------------------------------------------------------------


def trained(source: str, method: str, *patches: tuple[Any, str, Any], **options: Any) -> Found:
    """Seconds of training by ``method`` in a run, all looks included."""
    import whet

    for owner, name, value in patches:
        setattr(owner, name, value)
    with tempfile.TemporaryDirectory() as work:
        run = whet.fit(
            source,
            method=method,
            out=Path(work, "run"),
            forgetting__measure=False,
            evaluation__baselines=["majority"],
            evaluation__label_noise=False,
            **options,
        )
        stages = {path.stem: json.loads(path.read_text()) for path in (run.path / "stages").glob("*.json")}
        facts = json.loads((run.path / "stages" / "facts" / f"{method}.json").read_text())
    seconds = stages[f"train {method}"]["seconds"]
    return {"rate": 1 / seconds, "seconds": seconds, "score": run.scores[method]["accuracy"]["value"], "facts": facts}


def kept(source: str, wanted: str) -> Found:
    """The top 2 layers over 5 passes, with what frozen layers give kept or not."""
    from whet.workflows import keeping_trunk

    patches = [] if wanted == "yes" else [(keeping_trunk, "_pays", lambda *_: False)]
    return trained(source, "top-layers", *patches, layers__top=2, training__epochs=5, training__patience=99)


def probe(source: str, wanted: str) -> Found:
    """Vectors of all rows read once, or in each of 5 passes; the head's own work is left out of the second."""
    if wanted == "once":
        return trained(source, "probe")
    from whet.workflows import running

    plain = running.trained.features

    def five_times(*args: Any, **more: Any) -> Any:
        for _ in range(4):
            plain(*args, **more)
        return plain(*args, **more)

    return trained(source, "probe", (running.trained, "features", five_times))


def shared(base: str, wanted: str) -> Found:
    """Steps on batches of which all rows begin with the same 300 tokens; forward and backward of LoRA."""
    import torch

    from whet.batches import flat
    from whet.batches.encoding import Counted, Piece, gather
    from whet.engine.precision import Weights, fastest_dtype
    from whet.models import adaptations, loading, places
    from whet.models.heads import Head
    from whet.tasks.language_loss import LanguageLoss, next_tokens

    place = places.find(base)
    model = loading.load_model(place, Head("language"), loading.load_tokenizer(place), seed=0)
    model.use_flat_batches()
    options = {"rank": 16, "alpha": 32.0, "dropout": 0.0, "target_modules": "auto", "rank_stabilised": False}
    options |= {"dora": False, "start": "zeros"}
    adaptations.adapt(model, "lora", {f"lora.{name}": value for name, value in options.items()}, base, 0)
    Weights(model, fastest_dtype(torch.device("cpu"))[0])
    random = np.random.default_rng(0)
    start = random.integers(5, model.width, 300)
    rows = [np.r_[start, random.integers(5, model.width, 60)] for _ in range(16)]
    weights = [np.r_[np.zeros(330), np.ones(30)] for _ in rows]
    sizes = np.asarray([len(row) for row in rows], np.int64)
    piece = Piece(np.concatenate(rows).astype(np.uint32), sizes, weights=np.concatenate(weights).astype(np.float32))
    batch = flat.make(gather(iter([piece]), Counted(512), None), np.arange(len(rows)), None)
    model.may_share = wanted == "yes"
    objective, losses = LanguageLoss(next_tokens), []

    def step() -> None:
        model.zero_grad()
        loss = objective(model, batch)
        loss.total.backward()
        losses.append(float(loss.total.detach()) / loss.num_counted)

    step()
    found = timed(lambda: [step() for _ in range(3)], 3)
    return found | {"loss": losses[-1]}


def closed(base: str, wanted: str) -> Found:
    """77 labels behind prompts of some hundred tokens."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from whet.generation.closed import label_nats

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    network: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).eval()
    names = sorted({json.loads(line)["label"] for line in _lines(ROOT / "banking77" / "train.jsonl.gz")})
    labels = [np.asarray(tokenizer(f" {name}").input_ids, np.int64) for name in names]
    instruction = "Which of these labels fits the text best?\n" + "\n".join(f"- {name}" for name in names[:20])
    prompts = [np.asarray(tokenizer(f"{instruction}\nText: {text}\nLabel:").input_ids, np.int64) for text in texts(8)]
    if wanted == "together":
        label_nats(network, tokenizer, prompts[:1], labels)
        return timed(lambda: label_nats(network, tokenizer, prompts, labels), len(prompts))
    some = prompts[:1]

    def one_by_one() -> None:
        with torch.inference_mode():
            for prompt in some:
                for label in labels:
                    network(input_ids=torch.from_numpy(np.r_[prompt, label])[None])

    return timed(one_by_one, len(some))


def _lines(path: Path) -> Iterator[str]:
    import gzip

    with gzip.open(path, "rt") as file:
        yield from file


# --- against peers --------------------------------------------------------------------------------------


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
    step(batches[0])
    tokens = sum(len(ids) for some in batches[1:] for ids, _ in some)
    return timed(lambda: [step(some) for some in batches[1:]], tokens)


def classify(wanted: str) -> Found:
    """Classes of short texts by a saved model: of whet, and of the same files in transformers."""
    import whet

    data, many = str(ROOT / "banking77"), texts(SHORT_TEXTS)
    with tempfile.TemporaryDirectory() as work:
        run = whet.fit(
            data,
            method="full",
            out=Path(work, "run"),
            head__pooling="native",
            training__epochs=0.05,
            forgetting__measure=False,
            evaluation__baselines=["majority"],
            evaluation__label_noise=False,
        )
        if wanted == "whet":
            run.predict(many[:64])
            return timed(lambda: run.predict(many), SHORT_TEXTS)
        from transformers import pipeline

        folder = next(path for path in (run.path / "models" / "full", run.path / "model") if path.exists())
        ask: Any = pipeline("text-classification", str(folder))
        ask(many[:64], batch_size=64)
        best = max(
            (timed(lambda size=size: ask(many[:1000], batch_size=size), 1000)["rate"], size) for size in (16, 64)
        )
        return timed(lambda: ask(many, batch_size=best[1]), SHORT_TEXTS) | {"batch_size": best[1]}


def embed(wanted: str) -> Found:
    """Vectors of short texts by minilm."""
    many = texts(SHORT_TEXTS)
    if wanted == "whet":
        from whet.batches import encoding
        from whet.inference import trained
        from whet.models import loading, places
        from whet.models.heads import Head

        place = places.find("minilm")
        tokenizer = loading.load_tokenizer(place)
        model = loading.load_model(place, Head("vectors", pooling="mean"), tokenizer, seed=0)
        model.use_flat_batches()
        model.eval()
        return timed(
            lambda: trained.features(model, encoding.encode(tokenizer, [(many, None)], 256, None)), SHORT_TEXTS
        )
    from sentence_transformers import SentenceTransformer

    model_of: Any = SentenceTransformer(minilm(), device="cpu")
    best = max(
        (timed(lambda size=size: model_of.encode(many[:1000], batch_size=size), 1000)["rate"], size)
        for size in (32, 128)
    )
    return timed(lambda: model_of.encode(many, batch_size=best), SHORT_TEXTS) | {"batch_size": best}


def encode(wanted: str) -> Found:
    """Rows of ten words to token ids on disk."""
    import random
    import resource

    random.seed(0)
    words = [f"word{number}" for number in range(5000)]
    rows = [" ".join(random.choices(words, k=10)) for _ in range(MANY_ROWS)]
    with tempfile.TemporaryDirectory() as work:
        if wanted == "whet":
            from whet.batches import encoding
            from whet.models import loading, places

            tokenizer = loading.load_tokenizer(places.find("minilm"))
            size = encoding.BLOCK_ROWS
            blocks = ((rows[place : place + size], None) for place in range(0, len(rows), size))
            found = timed(lambda: encoding.encode(tokenizer, blocks, 256, Path(work, "tokens")), MANY_ROWS)
        else:
            import datasets
            from transformers import AutoTokenizer

            datasets.disable_progress_bars()
            datasets.config.HF_DATASETS_CACHE = Path(work)
            tokenizer = AutoTokenizer.from_pretrained(minilm())
            table = datasets.Dataset.from_dict({"text": rows})
            found = timed(
                lambda: table.map(
                    lambda some: tokenizer(some["text"], truncation=True, max_length=256),
                    batched=True,
                    num_proc=2,
                    remove_columns=["text"],
                    cache_file_name=f"{work}/tokens.arrow",
                ),
                MANY_ROWS,
            )
    return found | {"peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


KINDS: dict[str, Callable[..., Found]] = {
    "kept": kept,
    "probe": probe,
    "shared": shared,
    "closed": closed,
    "plain-loop": plain_loop,
    "classify": classify,
    "embed": embed,
    "encode": encode,
}

if __name__ == "__main__":
    print(json.dumps(KINDS[sys.argv[1]](*sys.argv[2:])))
