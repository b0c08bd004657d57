"""A model that another one learns from: a run, a saved model, or a plain one of transformers; and whether it can teach.

What it says of rows is brought into the terms of the run that asks: labels in the run's order, scores on the run's
scale. It reads the run's own tokens where both have one vocabulary; else texts are tokenised anew for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whet.batches.encoding import Encoded
from whet.data.forms import Examples
from whet.engine import devices
from whet.errors import Problem, UserError
from whet.evaluation.measures import lower_is_better
from whet.files import read_json
from whet.folder import RunFolder, answering_run
from whet.inference.trained import task_of
from whet.models import loading, networks, places, saving
from whet.models.about import ABOUT, About
from whet.models.heads import Head, HeadKind
from whet.models.previous import previous_head
from whet.models.task_model import TaskModel
from whet.recipe.names import VARIANTS, Method
from whet.tasks.regression import Regression
from whet.tasks.task import Task

OPTION = "distillation.teacher"
WORDS: dict[HeadKind, str] = {
    "classes": "classifies texts",
    "value": "gives a number to a text",
    "tokens": "tags words",
    "span": "marks answers",
    "vectors": "gives vectors",
    "language": "says tokens",
}
"""What a model with such a head does."""
TUNED = (*(name for name in get_args(Method) if name not in ("auto", "probe")), *VARIANTS)
"""What models are called that moved weights of their base, or put some beside it."""
SAMPLE = 200
"""Texts that two tokenizers are compared on."""


@dataclass(frozen=True, slots=True)
class Teacher:
    """A model in fp32 that is asked; ``folder``: where its files lie; ``weights``: their hash."""

    name: str
    folder: Path
    model: TaskModel
    tokenizer: Any
    about: About
    weights: str

    @property
    def known_as(self) -> str:
        """For people: of a run which of its models, "probe of runs/tickets"; else the name that it was given."""
        found = taught_by(self.name)
        return self.name if found is None else found.words

    @property
    def size_bytes(self) -> int:
        """Of its files."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def reads_as(self, tokenizer: Any, texts: Sequence[str], longest: int) -> bool:
        """Whether it can be given the tokens of ``tokenizer``, at most ``longest`` in a text."""
        same = same_vocabulary(self.tokenizer, tokenizer) and longest <= self.about.max_length
        some = list(texts[:SAMPLE])
        return same and (not some or self.tokenizer(some)["input_ids"] == tokenizer(some)["input_ids"])

    def outputs(self, task: Task, encoded: Encoded, progress: Callable[[int], None] | None = None) -> Tensor:
        """What it says of ``encoded``, in the terms of ``task``: (S, C), (S, 1), (N, K), (N, 2) or (S, H)."""
        found = task.outputs(self.model, encoded, progress)
        kind = task.head_kind
        if kind in ("classes", "tokens"):
            own = list(self.about.labels)
            order = [own.index(name) for name in task.head(None).labels]
            return found[:, order]
        if isinstance(task, Regression):
            how = task_of(self.about)
            assert isinstance(how, Regression)
            return ((found.double() * how.deviation + how.mean - task.mean) / task.deviation).float()
        return found


def same_vocabulary(one: Any, other: Any) -> bool:
    """Whether two tokenizers give the same number to the same token."""
    return bool(one.get_vocab() == other.get_vocab())


def load(name: str, kind: HeadKind, task: str, pairs: bool) -> Teacher:
    """The teacher called ``name``: a run's folder, a model's folder, or a hub id.

    :param kind: of the head that it must have; :param task: of the run; :param pairs: whether its rows have two texts.
    :raises UserError: T020, there is none; T021, it does something else; M001 to M008, it cannot be read.
    """
    folder = _saved(name)
    if folder is not None:
        model, tokenizer, about = saving.load(folder)
        if about.head_kind != kind:
            raise _of_another_kind(name, about.head_kind, kind, task)
        refuse_other_rows(about, name, kind, pairs)
        weights = saving.weights_sha256(places.Place(name, folder, ""))
    else:
        model, tokenizer, about, weights, folder = _plain(name, kind, task, pairs)
    model.use_flat_batches()
    model.to(devices.best()).eval()
    return Teacher(name, folder, model, tokenizer, about, weights)


def _saved(name: str) -> Path | None:
    """The folder of a model that this program saved; None where ``name`` is none.

    :raises UserError: T020, it is a run that has no model.
    """
    place = Path(name).expanduser()
    if (place / ABOUT).exists():
        return place
    if not (place / "state.json").exists() or not place.is_dir():
        return None
    place = answering_run(place)
    if (place / ABOUT).exists():  # of a search: the model itself
        return place
    if not (place / "model" / ABOUT).exists():
        what = f"{name!r} is a run without a model."
        raise UserError(
            Problem("T020", OPTION, what, f"Finish it with '{RunFolder(place).going_on}', or name another.")
        )
    return place / "model"


@dataclass(frozen=True, slots=True)
class TaughtBy:
    """Which model of a run teaches.

    - ``model``: its name in the run; ``run``: the run's folder, as it was named.
    - ``tuned``: of a run whose verdict ships the frozen probe the best model that was trained further, None elsewhere;
      ``kept``: the folder where it lies, None where it was not kept.
    """

    model: str
    run: Path
    tuned: str | None = None
    kept: Path | None = None

    @property
    def words(self) -> str:
        """For people."""
        return f"{self.model} of {self.run}"

    def to_json(self) -> dict[str, Any]:
        """As ``teacher.json`` has it."""
        kept = None if self.kept is None else str(self.kept)
        return {"model": self.model, "run": str(self.run), "tuned": self.tuned, "kept": kept}


def taught_by(name: str) -> TaughtBy | None:
    """Which model of which run the teacher called ``name`` is; None where it is no run's, or that is not known.

    The model that a run ships is taken, since that is what its verdict says is worth having; what it does not ship
    is told beside.
    """
    folder = _saved(name)
    if folder is None:
        return None
    if folder.parent.name == "models" and (folder.parent.parent / "state.json").exists():
        return TaughtBy(folder.name, folder.parent.parent)
    run = RunFolder(folder.parent)
    if folder != run.model or not run.shipped.exists():
        return None
    shipped = str(read_json(run.shipped)["model"])
    tuned = _tuned(run) if shipped == "probe" else None
    kept = None if tuned is None else run.models / tuned
    return TaughtBy(shipped, run.path, tuned, kept if kept is not None and (kept / ABOUT).exists() else None)


def _tuned(run: RunFolder) -> str | None:
    """Of the models of a judged run the best that moved weights of the base; None where it has none."""
    verdict = read_json(run.verdict) if run.verdict.exists() else {}
    sign = -1.0 if verdict and lower_is_better(verdict["metric"]) else 1.0
    moved = {name: sign * float(value) for name, value in verdict.get("values", {}).items() if name in TUNED}
    return max(moved, key=lambda name: moved[name], default=None)


def run_of(name: str) -> Path | None:
    """The run that trained the teacher called ``name``, which may be one of its models; None where none is known."""
    place = Path(name).expanduser().resolve()
    for folder in (place, place.parent, place.parent.parent):
        if (folder / "state.json").exists():
            return answering_run(folder)
        if not (place / ABOUT).exists():
            return None
    return None


def seen_before(name: str, rows: Examples) -> dict[str, int] | None:
    """How many of ``rows`` stand among the training and the validation rows of the run that trained a teacher.

    None where that is not known: the teacher is no run's, or its rows are gone.
    """
    known = _hashes_of(name)
    return None if known is None else {split: int(np.isin(rows.hashes, one).sum()) for split, one in known.items()}


def unseen(name: str, rows: Examples) -> NDArray[np.bool_] | None:
    """(n,) which of ``rows`` the teacher was neither trained on nor chosen by; None where that is not known."""
    known = _hashes_of(name)
    return None if known is None else ~np.isin(rows.hashes, np.concatenate(list(known.values())))


def _hashes_of(name: str) -> dict[str, NDArray[Any]] | None:
    run = run_of(name)
    files = {split: RunFolder(run).data / f"{split}.arrow" for split in ("train", "validation")} if run else {}
    if not files or not all(path.exists() for path in files.values()):
        return None
    return {split: Examples.open(path).hashes for split, path in files.items()}


def _plain(name: str, kind: HeadKind, task: str, pairs: bool) -> tuple[TaskModel, Any, About, str, Path]:
    """A model of transformers whose files hold the head that is wanted.

    :raises UserError: T021, they do not.
    """
    place = places.find(name, OPTION)
    config, tokenizer = networks.read_config(place), loading.load_tokenizer(place)
    old = previous_head(place, config)
    if kind in ("classes", "tokens", "span", "value") and old.kind != kind:
        raise _of_another_kind(name, old.kind, kind, task)
    several = getattr(config, "problem_type", None) == "multi_label_classification"
    pooling = loading.choose_pooling(place, "auto", kind)[0] if kind == "vectors" else old.pooling
    labels = tuple(old.names) if kind in ("classes", "tokens") else ()
    head = Head(kind, labels, several and kind == "classes", pooling)
    model = loading.load_model(place, head, tokenizer, 0)
    if model.origin.fresh:
        raise _of_another_kind(name, None, kind, task)
    limit, sha = loading.longest_input(place, tokenizer), saving.weights_sha256(place)
    about = About("own", task, labels, head.multi_label, None, 1.0, pooling, limit, name, sha, 0.0, pairs, kind)
    return model, tokenizer, about, sha, place.folder


def _of_another_kind(name: str, has: HeadKind | None, wanted: HeadKind, task: str) -> UserError:
    """T021."""
    does = "has no head that was trained" if has is None else WORDS[has]
    what = f"{name!r} {does}; for {task} a teacher is wanted that {WORDS[wanted]}."
    return UserError(Problem("T021", OPTION, what, "Name a model that was trained for the same."))


def refuse_other_rows(about: About, name: str, kind: HeadKind, pairs: bool) -> None:
    """:raises UserError: T021, the teacher reads single texts and rows have two, or the other way round."""
    if kind in ("classes", "tokens", "value") and about.pairs != pairs:
        what = f"reads {'pairs of texts' if about.pairs else 'single texts'}, and these rows are the other."
        raise UserError(Problem("T021", OPTION, f"{name!r} {what}", "Name a teacher of such rows."))


def refuse_other_terms(teacher: Teacher, task: Task, tokenizer: Any) -> None:
    """Whether what the teacher says can be brought into the terms of ``task``.

    :raises UserError: T022, it has other labels, or another scale; T023, it says tokens of another vocabulary.
    """
    kind = task.head_kind
    if kind in ("classes", "tokens"):
        wanted, has = list(task.head(None).labels), list(teacher.about.labels)
        if set(wanted) != set(has):
            raise _other_labels(teacher.name, wanted, has)
        if kind == "classes" and teacher.about.multi_label != task.setting.multi_label:
            says = "several labels a row" if teacher.about.multi_label else "one label a row"
            what = f"{teacher.name!r} gives {says}, and these rows have the other."
            raise UserError(Problem("T021", OPTION, what, "Name a teacher of such rows."))
    if kind in ("language", "span") and not same_vocabulary(teacher.tokenizer, tokenizer):
        one, other = teacher.tokenizer.get_vocab(), tokenizer.get_vocab()
        alike = sum(other.get(word) == number for word, number in one.items())
        what = f"{teacher.name!r} has another vocabulary: {alike:,} of its {len(one):,} tokens are those of the base."
        remedy = "Name a teacher of the base's family"
        remedy += (
            ", or let it write: distillation.texts=replace with distillation.weight=0." if kind == "language" else "."
        )
        raise UserError(Problem("T023", OPTION, what, remedy))
    ours, theirs = getattr(task, "scale", None), teacher.about.task_facts.get("settled", {})
    if (
        kind == "value"
        and ours is not None
        and "low" in theirs
        and (theirs["low"], theirs["high"]) != (ours.low, ours.high)
    ):
        what = f"{teacher.name!r} has scores from {theirs['low']:g} to {theirs['high']:g}, these rows from "
        what += f"{ours.low:g} to {ours.high:g}."
        raise UserError(Problem("T022", OPTION, what, "Name a teacher of such scores."))


def _other_labels(name: str, wanted: Sequence[str], has: Sequence[str]) -> UserError:
    """T022."""
    missing, unknown = [one for one in wanted if one not in has], [one for one in has if one not in wanted]
    said = [
        f"{words} {', '.join(map(repr, some[:5]))}{' and others' if len(some) > 5 else ''}"
        for words, some in (("it lacks", missing), ("it alone has", unknown))
        if some
    ]
    what = f"{name!r} has other labels than the rows: {'; '.join(said)}."
    return UserError(Problem("T022", OPTION, what, "Name a teacher of these labels, or let the rows have its labels."))


def refuse_longer(teacher: Teacher, longest: int) -> None:
    """:raises UserError: T024, the teacher cannot read as many tokens as the run's longest unit has."""
    most = teacher.about.max_length
    if longest > most:
        what = f"{teacher.name!r} reads {most:,} tokens at most, and what is learnt from has up to {longest:,}."
        raise UserError(Problem("T024", OPTION, what, f"Set data.max_length={most}."))


def num_words(tokenizer: Any) -> int:
    """So many tokens there are; tables of models of one family are padded beyond them, each to a size of its own."""
    return 1 + max(map(int, tokenizer.get_vocab().values()))


def known_texts(examples: Examples) -> list[str]:
    """Some texts of rows, to compare tokenizers on."""
    return [str(one) for one in examples.texts(np.arange(min(SAMPLE, len(examples))))]


def exact(found: Tensor) -> np.ndarray[Any, np.dtype[np.float32]]:
    """As an array in float32."""
    return found.detach().to(torch.float32).numpy()
