"""Measurements of whet for speed.py, each a process of its own that prints one JSON object last.

speed_children.py KIND WORD ...; those of peers are speed_peers.py.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sets import ROOT

Found = dict[str, Any]


def texts(number: int) -> list[str]:
    """Rows of banking77, again and again."""
    import gzip

    with gzip.open(ROOT / "banking77" / "train.jsonl.gz", "rt") as file:
        some = [json.loads(line)["text"] for line in file]
    return [some[place % len(some)] for place in range(number)]


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
        os.environ["WHET_STORE"] = f"sqlite:///{work}/runs.sqlite"
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
        score = run.scores[method]["accuracy"]["value"]
    seconds = stages[f"train {method}"]["seconds"]
    return {"rate": 1 / seconds, "seconds": seconds, "score": score, "facts": facts}


def kept(source: str, wanted: str, passes: str) -> Found:
    """The top 2 layers over some passes, with what frozen layers give kept or not."""
    from whet.workflows import keeping_trunk

    patches = [] if wanted == "yes" else [(keeping_trunk, "_pays", lambda *_: False)]
    return trained(source, "top-layers", *patches, layers__top=2, training__epochs=int(passes), training__patience=99)


def probe(source: str, wanted: str, passes: str) -> Found:
    """Vectors of training and validation rows worked out once, or in each pass; the head is fitted once by either."""
    if wanted == "once":
        return trained(source, "probe")
    from whet.workflows import running

    plain = running.trained.features

    def in_each(*args: Any, **more: Any) -> Any:
        for _ in range(int(passes) - 1):
            plain(*args, **more)
        return plain(*args, **more)

    return trained(source, "probe", (running.trained, "features", in_each))


def shared(base: str, wanted: str, steps: str, number: str) -> Found:
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
    rows = [np.r_[start, random.integers(5, model.width, 60)] for _ in range(int(number))]
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
    found = timed(lambda: [step() for _ in range(int(steps))], int(steps))
    return found | {"loss": losses[-1]}


AT_ONCE = (1, 11)
"""Labels that are read at once where each is read with its prompt: the faster way counts."""


def closed(base: str, wanted: str, number: str, num_labels: str) -> Found:
    """Labels behind prompts of some hundred tokens; ``loss``: nats of a label behind the first one on average."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from whet.generation.closed import label_nats

    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    network: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).eval()
    names = sorted({json.loads(line)["label"] for line in _lines(ROOT / "banking77" / "train.jsonl.gz")})
    labels = [np.asarray(tokenizer(f" {name}").input_ids, np.int64) for name in names[: int(num_labels)]]
    instruction = "Which of these labels fits the text best?\n" + "\n".join(f"- {name}" for name in names[:20])
    asked = [f"{instruction}\nText: {text}\nLabel:" for text in texts(int(number))]
    prompts = [np.asarray(tokenizer(one).input_ids, np.int64) for one in asked]
    said: list[Any] = []
    if wanted == "together":
        label_nats(network, prompts[:1], labels[:7])
        found = timed(lambda: said.extend(label_nats(network, prompts, labels)), len(prompts))
        return found | {"loss": float(said[0].mean())}
    _each_alone(network, prompts[0], labels[:7], 7)
    ways = [timed(lambda size=size: said.append(_each_alone(network, prompts[0], labels, size)), 1) for size in AT_ONCE]
    return max(ways, key=lambda one: float(one["rate"])) | {"loss": float(np.mean(said[0]))}


def _each_alone(network: Any, prompt: Any, labels: list[Any], at_once: int) -> list[float]:
    """Nats of each label, the prompt read anew with each; logits of the places that count alone."""
    import torch
    from torch.nn.functional import pad

    order, found = sorted(labels, key=len), []
    with torch.inference_mode():
        for place in range(0, len(order), at_once):
            some = order[place : place + at_once]
            width = len(some[-1])
            ids = [pad(torch.from_numpy(np.r_[prompt, one]), (0, width - len(one))) for one in some]
            logits = network(input_ids=torch.stack(ids), logits_to_keep=width + 1).logits.float()
            for one, row in zip(some, logits, strict=True):
                nats = torch.nn.functional.cross_entropy(row[: len(one)], torch.from_numpy(one), reduction="sum")
                found.append(float(nats))
    return found


def _lines(path: Path) -> Iterator[str]:
    import gzip

    with gzip.open(path, "rt") as file:
        yield from file


# --- beside peers ---------------------------------------------------------------------------------------


def classify(folder: str, number: str, precision: str = "fp32") -> Found:
    """Classes of short texts by a saved model, as ``predict`` of a run gives them: the scores of all labels."""
    from whet.inference.answers import ask
    from whet.inference.trained import TrainedModel

    many = texts(int(number))
    model = TrainedModel.load(Path(folder), precision)  # type: ignore[arg-type]
    ask(model, many[:64])
    found = timed(lambda: ask(model, many), len(many))
    return found if model.rounding is None else found | {"note": model.rounding.note}


def embed(number: str, precision: str = "fp32") -> Found:
    """Vectors of short texts by minilm."""
    import torch

    from whet.batches import encoding
    from whet.inference import rounded, trained
    from whet.models import loading, places
    from whet.models.heads import Head

    many = texts(int(number))
    place = places.find("minilm")
    tokenizer = loading.load_tokenizer(place)
    model = loading.load_model(place, Head("vectors", pooling="mean"), tokenizer, seed=0)
    model.use_flat_batches()
    model.eval()

    def vectors(some: list[str]) -> Any:
        return trained.features(model, encoding.encode(tokenizer, [(some, None)], 256, None))

    exact = vectors(many[:64])
    if precision == "fp32":
        return timed(lambda: vectors(many), len(many))
    rounded.round_weights(model, torch.bfloat16)
    alike = float(torch.nn.functional.cosine_similarity(exact, vectors(many[:64])).min())
    return timed(lambda: vectors(many), len(many)) | {"note": f"cosine to the vectors in fp32: {alike:.5f} at least"}


def encode(number: str) -> Found:
    """Rows of some words to token ids on disk."""
    from whet.batches import encoding
    from whet.models import loading, places

    rows = rows_of_words(int(number))
    tokenizer = loading.load_tokenizer(places.find("minilm"))
    size = encoding.BLOCK_ROWS
    blocks = ((rows[place : place + size], None) for place in range(0, len(rows), size))
    with tempfile.TemporaryDirectory() as work:
        before = peak_mib()
        found = timed(lambda: encoding.encode(tokenizer, blocks, 256, Path(work, "tokens")), len(rows))
    return found | {"grown_mib": peak_mib() - before}


def rows_of_words(number: int) -> list[str]:
    """5 to 19 words each that follow one another in real texts: questions, messages, tweets, abstracts, articles."""
    import gzip
    import random

    from sets import ROOT

    words: list[str] = []
    for name in ("banking77", "sms_spam", "tweet_irony", "pubmed_trials_text", "wikitext2"):
        for path in sorted((ROOT / name).glob("*.jsonl.gz")):
            with gzip.open(path, "rt", encoding="utf-8") as file:
                words += [word for line in file for word in json.loads(line)["text"].split()]
    draw = random.Random(0)
    starts = (draw.randrange(len(words) - 20) for _ in range(number))
    return [" ".join(words[start : start + draw.randrange(5, 20)]) for start in starts]


def peak_mib() -> float:
    """Most memory of this process so far."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


KINDS: dict[str, Callable[..., Found]] = {
    "kept": kept,
    "probe": probe,
    "shared": shared,
    "closed": closed,
    "classify": classify,
    "embed": embed,
    "encode": encode,
}

if __name__ == "__main__":
    from whet.threads import keep_few_kernels, spin_briefly

    spin_briefly()
    keep_few_kernels()
    print(json.dumps(KINDS[sys.argv[1]](*sys.argv[2:])))
