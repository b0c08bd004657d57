"""A run under way: what its stages share, loaded when first asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.data import reading
from whet.data.forms import Examples
from whet.data.predictions import Predictions
from whet.data.reading import ReadResult
from whet.engine.events import Event
from whet.engine.precision import Weights, fastest_dtype
from whet.errors import Interrupted
from whet.files import read_json, write_json, write_text
from whet.folder import RunFolder
from whet.inference import trained
from whet.models import adaptations, loading, places
from whet.models.classifier import TextClassifier
from whet.recipe import Recipe
from whet.recipe.resolve import Choice
from whet.tasks import text_classification as task
from whet.workflows.events import StageFinished, StageStarted
from whet.workflows.rows import Tell

SPLITS = ("train", "validation", "test")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Running:
    """One run in this process.

    ``tell`` hears of progress; ``should_stop`` is asked between and within stages.
    """

    def __init__(self, recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> None:
        self.recipe, self.folder, self.tell, self.should_stop = recipe, folder, tell, should_stop
        self._features: dict[str, Tensor] = {}

    # --- stages -----------------------------------------------------------------------------------

    def stage(self, name: str, work: Callable[[], Iterator[Event]]) -> Iterator[Event]:
        """Do ``work`` unless an earlier process has finished it.

        :raises Interrupted: the run was asked to stop.
        """
        done = self.folder.stages / f"{name}.json"
        if done.exists():
            yield StageFinished(name, float(read_json(done)["seconds"]), skipped=True)
            return
        if self.should_stop():
            raise Interrupted
        yield StageStarted(name)
        start = time.monotonic()
        yield from work()
        seconds = time.monotonic() - start
        write_json(done, {"seconds": round(seconds, 3)})
        yield StageFinished(name, seconds)

    def seconds(self) -> dict[str, float]:
        """How long each finished stage took."""
        files = sorted(self.folder.stages.glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
        return {path.stem: float(read_json(path)["seconds"]) for path in files}

    # --- rows -------------------------------------------------------------------------------------

    @cached_property
    def data(self) -> ReadResult:
        """Rows, labels and columns, as the first stage left them."""
        return reading.reopen(self.folder.data)

    @property
    def labels(self) -> Sequence[str]:
        """C names in their stored order."""
        return self.data.labels

    @property
    def multi_label(self) -> bool:
        """Whether a row may carry several labels."""
        return self.data.multi_label

    def examples(self, split: str) -> Examples:
        """The rows of a split."""
        return self.data.splits[split]

    @cached_property
    def gold(self) -> dict[str, NDArray[Any]]:
        """By split: (n,) int64 or (n, C) bool."""
        return {split: self.examples(split).label_ids(self.labels) for split in SPLITS}

    def predictions(self, model: str, split: str, scores: NDArray[np.float32]) -> Predictions:
        """``scores`` (n, C) of a split in the form of predictions."""
        rows = self.examples(split)
        thresholds = np.full(len(self.labels), 0.5, np.float32) if self.multi_label else None
        return Predictions(
            model, split, tuple(self.labels), rows.numbers("id"), rows.hashes, self.gold[split], scores, thresholds
        )

    # --- the base ---------------------------------------------------------------------------------

    @cached_property
    def place(self) -> places.Place:
        """Where the base lies."""
        return places.find(self.recipe.base)

    @cached_property
    def tokenizer(self) -> Any:
        """Its tokenizer."""
        return loading.load_tokenizer(self.place)

    def new_model(self, seed: int | None = None) -> TextClassifier:
        """The base with a new head, in fp32, on flat batches where the family and the recipe allow it."""
        pooling = self.value("head.pooling")
        model = loading.load_classifier(
            self.place,
            self.labels,
            None if pooling == "native" else pooling,
            self.multi_label,
            self.tokenizer,
            self.recipe.seed if seed is None else seed,
        )
        if self.fast:
            model.use_flat_batches()
        return model

    @property
    def fast(self) -> bool:
        """Whether flat batches are used: the recipe allows them and the first use has proven them."""
        checked = self.folder.stages / "fast_path" / "result.json"
        return self.recipe.training.fast_paths and (not checked.exists() or bool(read_json(checked)["equal"]))

    # --- decisions --------------------------------------------------------------------------------

    def value(self, name: str) -> Any:
        """What an option is in this run."""
        return self.resolved[name]["value"]

    @cached_property
    def resolved(self) -> dict[str, dict[str, Any]]:
        """Every option with its value and reason, as the resolving stage left them."""
        return dict(yaml.safe_load(self.folder.resolved.read_text(encoding="utf-8")))

    def write_resolved(self, choices: dict[str, Choice]) -> None:
        """Leave the decisions in resolved.yaml."""
        values = {name: {"value": choice.value, "reason": choice.reason} for name, choice in choices.items()}
        write_text(self.folder.resolved, yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120))

    @property
    def dtype(self) -> torch.dtype:
        """Of products while training."""
        return DTYPES[self.value("training.precision")]

    # --- tokens and vectors -----------------------------------------------------------------------

    @cached_property
    def encoded(self) -> dict[str, Encoded]:
        """Token ids by split, memory-mapped."""
        return {split: encoding.load(self.tokens_folder(split)) for split in SPLITS}

    def tokens_folder(self, split: str) -> Any:
        """Where the token ids of a split lie while the run works."""
        return self.folder.path / "tokens" / split

    def blocks(self, split: str) -> Iterator[tuple[list[str], list[str] | None]]:
        """The texts of a split, block by block."""
        examples = self.examples(split)
        for block in examples.blocks():
            yield block["text"].to_pylist(), block["text_pair"].to_pylist() if examples.has_pairs else None

    @cached_property
    def frozen(self) -> TextClassifier:
        """The untouched base, computing in the run's precision."""
        model = self.new_model()
        adaptations.freeze(model)
        Weights(model, self.dtype, exact=[model.head_name])
        model.eval()
        return model

    def features(self, split: str) -> Tensor:
        """(n, F) vectors of a split by the frozen base; computed once."""
        if split not in self._features:
            encoded = self.encoded[split]
            found = trained.features(self.frozen, encoded, lambda n: self.tell(f"vectors of {split}", n, len(encoded)))
            self._features[split] = found
        return self._features[split]

    def unit_vectors(self, split: str) -> NDArray[np.float32]:
        """(n, F) vectors of a split, of length 1."""
        return _unit(self.features(split))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, F) vectors of any texts, of length 1."""
        encoded = encoding.encode(self.tokenizer, [(texts, None)], self.value("data.max_length"), into=None)
        return _unit(trained.features(self.frozen, encoded))

    def targets(self, split: str) -> Tensor:
        """The truth of a split for training."""
        return task.targets_tensor(self.gold[split])


def _unit(vectors: Tensor) -> NDArray[np.float32]:
    return torch.nn.functional.normalize(vectors, dim=1).numpy()


def fastest() -> tuple[str, str]:
    """The precision that this machine multiplies fastest, and why."""
    dtype, reason = fastest_dtype(torch.device("cpu"))
    return next(name for name, kind in DTYPES.items() if kind == dtype), reason
