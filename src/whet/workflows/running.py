"""A run under way: what its stages share, loaded when first asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from whet import registry
from whet.baselines.material import Targets as Asked
from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.flat import Targets
from whet.batches.templates import template_of
from whet.data import reading
from whet.data.forms import Examples
from whet.data.predictions import Predictions
from whet.data.reading import ReadResult
from whet.data.row_form import RowForm
from whet.engine import devices
from whet.engine.events import Event
from whet.engine.precision import Weights, fastest_dtype
from whet.errors import Interrupted, Problem, UserError
from whet.files import read_json, write_json, write_text
from whet.folder import RunFolder
from whet.inference import teachers, trained
from whet.inference.teachers import Teacher
from whet.models import adaptations, loading, sequences, soft_prompts
from whet.models.changes import Changes
from whet.models.heads import Head
from whet.models.language import guesses_of
from whet.models.networks import Guess, read_config
from whet.models.places import Place
from whet.models.pooling import Pooling
from whet.models.task_model import TaskModel
from whet.recipe import Recipe
from whet.recipe.names import SOFT, VARIANTS
from whet.recipe.resolve import Choice, candidates, early
from whet.tasks import TASKS
from whet.tasks.language_modeling import BEGINS, LanguageTask, known_of
from whet.tasks.preference import REFERENCE
from whet.tasks.task import Setting, Task
from whet.workflows import asking, students
from whet.workflows.events import StageFinished, StageStarted
from whet.workflows.rows import Tell, form_of

SPLITS = ("train", "validation", "test")
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Running:
    """One run in this process.

    ``tell`` hears of progress; ``should_stop`` is asked between and within stages.
    """

    def __init__(self, recipe: Recipe, folder: RunFolder, tell: Tell, should_stop: Callable[[], bool]) -> None:
        self.recipe, self.folder, self.tell, self.should_stop = recipe, folder, tell, should_stop
        self._features: dict[str, Tensor] = {}
        self.sharing: Sequence[Running] = ()
        """Runs of all tasks, this one among them, that learn a model together."""
        self.alone = True
        """Whether a model of this task alone is trained as well, where one is shared."""
        self.teacher_to_come = False
        """Whether the teacher is another run that is not finished yet, so that nothing can be asked of it."""
        self.base_to_come = False
        """Whether the base is the model of another run that is not finished yet; the first base stands in its place."""
        self.untouched_rate: float | None = None
        """Test rows a second of the base as it came, once it was asked."""

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

    def telling(self, what: str, total: int) -> Callable[[int], None]:
        """Takes how much of ``total`` is done, and tells it as ``what``."""
        return lambda done: self.tell(what, done, total)

    # --- rows -------------------------------------------------------------------------------------

    @cached_property
    def data(self) -> ReadResult:
        """Rows, labels and columns, as the first stage left them."""
        return reading.reopen(self.folder.data)

    @cached_property
    def form(self) -> RowForm:
        """What the rows hold."""
        return form_of(self.recipe.task)

    @property
    def labels(self) -> Sequence[str]:
        """C names in their stored order; () where rows have none."""
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
        """Of labelled rows, by split: (n,) int64 or (n, C) bool; empty for other forms."""
        if not self.examples("train").shape.labelled:
            return {}
        return {split: self.examples(split).label_ids(self.labels) for split in SPLITS}

    # --- the task ---------------------------------------------------------------------------------

    @cached_property
    def task(self) -> Task:
        """The task, knowing what training rows tell."""
        train = self.examples("train")
        setting = Setting(
            tuple(self.labels),
            self.multi_label,
            train.has_pairs,
            tuple(name for name, _ in train.shape.more),
            self._options_of_task,
            self.known_of_base if self.head_kind == "language" else {},
        )
        found: Task = registry.load(TASKS, self.recipe.task, "task")(setting)
        found.learn(train)
        return found

    @property
    def _options_of_task(self) -> dict[str, Any]:
        """The options, with what a file of a template holds in the place of its name: a model may travel."""
        found = self.options
        named = str(found.get("chat.template", "auto"))
        if self.head_kind == "language" and named not in ("auto", "own") and Path(named).is_file():
            found = {**found, "chat.template": template_of(self.tokenizer, named)[0]}
        return found

    @property
    def known_of_base(self) -> dict[str, Any]:
        """What a task of language learns from the base and its tokenizer."""
        wanted = self.recipe.sources.target_language
        known = known_of(self.tokenizer, read_config(self.place), None if wanted == "auto" else wanted)
        if self.recipe.task == "preference":
            known[REFERENCE] = str(self.folder.reference)
        return known

    @property
    def head_kind(self) -> Any:
        """The kind of head that the task needs; known before any row is read."""
        found: Task = registry.load(TASKS, self.recipe.task, "task")(Setting(options=self.options))
        return found.head_kind

    @property
    def options(self) -> dict[str, Any]:
        """Values of the recipe by dotted name, as far as they are decided."""
        if self.folder.resolved.exists():
            return {name: entry["value"] for name, entry in self.resolved.items()}
        known = (self.folder.data / "fingerprint.json").exists()  # written last: until then nothing was read
        columns = self.data.column_names if known else ("score",)
        return early(self.recipe, self.limit, columns)

    # --- the base ---------------------------------------------------------------------------------

    @cached_property
    def place(self) -> Place:
        """Where the base lies; one that the recipe makes smaller lies in the run's folder."""
        return students.place_of(self.recipe, self.folder.path)

    @cached_property
    def teacher(self) -> Teacher:
        """The model that the run's learn from."""
        name, pairs = str(self.recipe.distillation.teacher), self.examples("train").has_pairs
        found = teachers.load(name, self.head_kind, self.recipe.task, pairs)
        found.model.to(self.device)
        return found

    @cached_property
    def tokenizer(self) -> Any:
        """Its tokenizer, with the tokens that the recipe adds, set to the languages that it names."""
        found = loading.load_tokenizer(self.place, self.changes.add_tokens)
        named = (self.recipe.sources.source_language, self.recipe.sources.target_language)
        source, target = (None if one == "auto" else one for one in named)
        sequences.set_languages(found, source, target)
        return found

    @cached_property
    def changes(self) -> Changes:
        """What the recipe changes in the base beside its head."""
        words = self.recipe.vocabulary
        listed = [] if words.file is None else listed_tokens(Path(words.file))
        wanted = self.recipe.data.max_length
        longest = None if wanted == "auto" else int(wanted)
        return Changes(tuple(dict.fromkeys([*words.add, *listed])), longest, self.recipe.head.keep_labels)

    @cached_property
    def limit(self) -> int:
        """The longest sequence in tokens."""
        wanted = self.recipe.data.max_length
        if wanted != "auto":
            return int(wanted)
        known = loading.longest_input(self.place, self.tokenizer)
        if self.recipe.method not in SOFT:
            return known
        return soft_prompts.longest(self.place, known, self.recipe.soft.tokens, self.recipe.method)

    def new_model(self, seed: int | None = None) -> TaskModel:
        """The base with a new head, in fp32, on flat batches where the family and the recipe allow it."""
        wanted = self.value("head.pooling")
        pooling: Pooling | None = None if wanted == "native" else wanted
        return self._model(self.task.head(pooling), self.recipe.seed if seed is None else seed)

    def _model(self, head: Head, seed: int) -> TaskModel:
        model = loading.load_model(self.place, head, self.tokenizer, seed, self.changes)
        if model.guesses == "target":
            sequences.declare(model.network, self.known_of_base[BEGINS])
        if self.fast:
            model.use_flat_batches()
        model.whole_logits = not self.recipe.training.fast_paths
        model.may_share = bool(self._proven.get("sharing", True))
        return model

    @property
    def device(self) -> torch.device:
        """Where models compute."""
        return devices.chosen(self.recipe.training.device)[0]

    @property
    def fast(self) -> bool:
        """Whether flat batches are used: the recipe allows them and the first use has proven them."""
        return self.recipe.training.fast_paths and bool(self._proven.get("equal", True))

    @property
    def _proven(self) -> dict[str, Any]:
        """What the first use of fast paths has shown; empty before it."""
        checked = self.folder.stages / "fast_path" / "result.json"
        return dict(read_json(checked)) if checked.exists() else {}

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
    def models(self) -> list[str]:
        """The names of the models that are trained, cheapest first."""
        found = candidates(self.value("method"), self.recipe)
        return [*(found if self.alone else found[:-1]), "together"] if self.sharing else found

    def method_of(self, name: str) -> str:
        """The method by which model ``name`` is trained; most are called by it."""
        return str(self.value("method")) if name in VARIANTS else name

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

    @cached_property
    def frozen(self) -> TaskModel:
        """The untouched base, computing in the run's precision."""
        model = self.new_model().to(self.device)
        adaptations.freeze(model)
        Weights(model, self.dtype, exact=adaptations.exact_names(model))
        model.eval()
        return model

    @cached_property
    def vectors_model(self) -> TaskModel:
        """The untouched base as an encoder of texts, for baselines: with its own pooling, whatever the recipe says."""
        pooling, _ = loading.choose_pooling(self.place, "auto", "vectors")
        model = self._model(Head("vectors", pooling=pooling), self.recipe.seed).to(self.device)
        model.eval()
        return model

    def features(self, split: str) -> Tensor:
        """(S, F) vectors of a split's texts, or (N, F) of its tokens, by the frozen base; computed once."""
        if split not in self._features:
            encoded = self.encoded[split]
            found = trained.features(self.frozen, encoded, self.telling(f"vectors of {split}", len(encoded)))
            self._features[split] = found
        return self._features[split]

    def unit_vectors(self, split: str) -> NDArray[np.float32]:
        """(n, F) vectors of a split, of length 1."""
        return _unit(self.features(split))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, F) vectors of any texts, of length 1."""
        model = self.frozen if self.head_kind == "classes" else self.vectors_model
        encoded = encoding.encode(self.tokenizer, [(texts, None)], self.limit, into=None)
        return _unit(trained.features(model, encoded, self.telling("vectors of texts", len(encoded))))

    def asked(self, split: str) -> Asked:
        """Of a language model: the tokens of a split that it is asked for."""
        task, examples = self.task, self.examples(split)
        assert isinstance(task, LanguageTask)
        sizes = task.num_bytes(examples)
        return Asked(task.asked(self.encoded[split], len(examples)), sizes)

    @cached_property
    def guesses(self) -> Guess | None:
        """Which tokens the base says; None where it is no language model."""
        return guesses_of(self.place)

    @cached_property
    def language_model(self) -> TaskModel:
        """The untouched base with the layer over its vocabulary, in fp32."""
        model = self._model(Head("language"), self.recipe.seed).to(self.device)
        model.eval()
        return model

    @cached_property
    def speaker(self) -> asking.Watched:
        """Who is asked in words; one for the whole run, so that what was spent is counted once."""
        return asking.speaker(self)

    def release(self) -> None:
        """Let go of models that baselines alone need, before others are trained."""
        for name in ("language_model", "speaker", "vectors_model", "teacher"):
            self.__dict__.pop(name, None)

    def untouched(self, splits: Sequence[str]) -> dict[str, Predictions]:
        """The answers of a model as it came, by split: of a language model, or of one with a head of its own."""
        model = self.language_model if self.head_kind == "language" else self.new_model().to(self.device).eval()
        found = {}
        for split in splits:
            start = time.monotonic()
            encoded, examples = self.encoded[split], self.examples(split)
            tell = self.telling(f"base on {split}", len(encoded))
            found[split] = self.task.answer("base", model, self.tokenizer, encoded, examples, tell)
            if split == "test":
                self.untouched_rate = len(examples) / max(time.monotonic() - start, 1e-9)
        return found

    def targets(self, split: str) -> Targets:
        """The truth of a split for training."""
        return self.task.targets(self.examples(split), self.encoded[split])


def listed_tokens(path: Path) -> list[str]:
    """The tokens of a file, one on each line.

    :raises UserError: R028, it cannot be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        what = f"{str(path)!r} cannot be read: {error}."
        raise UserError(
            Problem("R028", "vocabulary.file", what, "Give a text file with a token on each line.")
        ) from None
    return [line.strip() for line in lines if line.strip()]


def _unit(vectors: Tensor) -> NDArray[np.float32]:
    return torch.nn.functional.normalize(vectors, dim=1).numpy()


def fastest(device: torch.device = devices.CPU) -> tuple[str, str]:
    """The precision that a device multiplies fastest, and why."""
    dtype, reason = fastest_dtype(device)
    return next(name for name, kind in DTYPES.items() if kind == dtype), reason
