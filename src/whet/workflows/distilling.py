"""What a run learns from a teacher (``distillation``): asked once, kept with the run, learnt from beside the labels."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whet.batches import encoding
from whet.batches.encoding import Encoded
from whet.batches.flat import Targets, TrainingBatches
from whet.data.forms import Examples
from whet.engine.events import Event
from whet.errors import Problem, UserError, concerning
from whet.evaluation import retention
from whet.files import folder_beside, read_json, write_json
from whet.inference import teachers
from whet.inference.teachers import OPTION, Teacher
from whet.models import insides
from whet.models.networks import read_config
from whet.models.task_model import TaskModel
from whet.objectives.classes import EVEN
from whet.objectives.distillation import Distilled, Lesson, OfRows, OfSpans, OfVectors, OfWords
from whet.objectives.matching import HiddenStates, Relations
from whet.objectives.token_lessons import AskedAnew, OfTokens, Unasked
from whet.tasks.regression import Regression
from whet.tasks.token_classification import UNCOUNTED, standing
from whet.workflows import unlabelled, worded, written
from whet.workflows.events import Said
from whet.workflows.running import Running
from whet.workflows.teacher_tables import (
    HIDDEN,
    LOGS,
    PLACES,
    RELATED,
    WORDS,
    inner_tables,
    keeps_tokens,
    refuse_insides,
    token_tables,
)

NAME = "distilled"
"""The model that learns from the teacher."""
FOLDER, FILE, SAID = "teacher", "teacher.json", "said"
JOINED = "distilled"
"""Among the tokens of a run: the rows of training, and texts without labels behind them."""
ON_ROWS, ON_TEXTS = "teacher on training rows", "teacher on texts without labels"
"""What it is asked about, as it is told how far it is."""
WITHOUT = ("contrastive", "probe")
"""Methods whose loss leaves no room for a teacher."""


def wanted(run: Running, name: str | None = NAME) -> bool:
    """Whether model ``name`` learns from a teacher."""
    return run.recipe.distillation.teacher is not None and name == NAME


def refuse(run: Running) -> None:
    """Everything that can be known before a model is trained; the rows are read.

    :raises UserError: T020 to T025.
    """
    if not run.teacher_to_come:
        refuse_teacher(run)
    if wanted(run) and run.recipe.distillation.unlabelled is not None:
        unlabelled.keep(run)


def refuse_teacher(run: Running) -> None:
    """Whether the teacher can teach this run.

    :raises UserError: T020 to T024.
    """
    wish = run.recipe.distillation
    if not wanted(run) or wish.endpoint is not None:
        return
    with concerning(OPTION):
        if not only_writes(run):  # texts are read in any vocabulary
            teachers.refuse_other_terms(run.teacher, run.task, run.tokenizer)
        refuse_insides(run, run.teacher)


def only_writes(run: Running) -> bool:
    """Whether nothing is learnt from the teacher but texts that it wrote."""
    return written.wanted(run) and not run.recipe.distillation.weight and run.guesses == "next"


def refuse_method(run: Running) -> None:
    """:raises UserError: R062, the method that auto became has no room for a teacher."""
    method = str(run.value("method"))
    if wanted(run) and method in WITHOUT:
        what = f"is set, but method {method!r} learns from rows alone."
        raise UserError(Problem("R062", OPTION, what, "Use method full or lora, or remove it."))


# --- asking -------------------------------------------------------------------------------------------


def ask(run: Running) -> Iterator[Event]:
    """What the teacher says of the training rows, and of texts without labels, into the run's folder."""
    wish = run.recipe.distillation
    start = time.monotonic()
    if worded.wanted(run):
        yield from worded.ask(run)
    if written.wanted(run):
        written.encode(run, run.tokens_folder(JOINED))
    elif wish.unlabelled is not None:
        yield from unlabelled.encode(run, run.tokens_folder(JOINED), _texts(run))
    whole = learnt(run)
    if wish.endpoint is not None:
        _keep_elsewhere(run, whole, start)
        return
    tables = _asked(run, run.teacher, whole)
    with folder_beside(run.folder.path / FOLDER) as inside:
        for name, table in tables.items():
            np.save(inside / f"{name}.npy", table, allow_pickle=False)
        about: dict[str, Any] = {
            "teacher": run.teacher.name,
            "taught_by": _taught_by(run),
            "weights": run.teacher.weights,
            "parameters": sum(weight.numel() for weight in run.teacher.model.parameters()),
            "size_bytes": run.teacher.size_bytes,
            "rows": len(run.encoded["train"]),
            "unlabelled": _num_beside(run),
            "tokens": _hash(whole),
            "numbers": {name: list(table.shape) for name, table in tables.items()},
            "seen": teachers.seen_before(str(wish.teacher), run.examples("test")),
            "seconds": time.monotonic() - start,
        }
        write_json(inside / FILE, about)
    kind = "prompts without a target" if written.wanted(run) else "texts without labels"
    more = f" and {about['unlabelled']:,} {kind}" if about["unlabelled"] else ""
    size = sum(table.nbytes for table in tables.values()) / 2**20
    yield Said(
        f"teacher: {run.teacher.known_as}, asked about {about['rows']:,} rows{more} once; {size:.1f} MiB are kept"
    )
    told = {**about, "test_rows": len(run.examples("test"))}
    for one in (retention.who_teaches(told), retention.seen_before(told)):
        if one.bin in ("tip", "issue"):
            yield Said(f"  {one.code} {one.message}")


def _keep_elsewhere(run: Running, whole: Encoded, start: float) -> None:
    """What a service said of rows, where it did not write texts; and what was learnt from."""
    with folder_beside(run.folder.path / FOLDER) as inside:
        if worded.wanted(run):
            np.save(inside / f"{SAID}.npy", worded.table(run), allow_pickle=False)
        about = {
            "teacher": run.recipe.distillation.teacher,
            "rows": len(run.encoded["train"]),
            "unlabelled": _num_beside(run),
            "texts": len(whole),
            "tokens": _hash(whole),
            "seconds": time.monotonic() - start,
        }
        write_json(inside / FILE, about)


def _num_beside(run: Running) -> int:
    """How many texts without labels, or prompts without a target, are learnt from."""
    if run.recipe.distillation.unlabelled is None:
        return 0
    return written.num_beside(run) if written.wanted(run) else len(unlabelled.encoded(run))


def _texts(run: Running) -> Examples:
    """The texts without labels that are learnt from."""
    return worded.texts(run) if worded.wanted(run) else unlabelled.rows(run)


def _taught_by(run: Running) -> dict[str, Any] | None:
    """Which model of a run the teacher is, as it is kept; None where it is none."""
    found = teachers.taught_by(run.teacher.name)
    return None if found is None else found.to_json()


def _asked(run: Running, teacher: Teacher, whole: Encoded) -> dict[str, NDArray[Any]]:
    """What it says of each unit, sequence, word or token, as :func:`_lesson` looks it up, by the name of its table."""
    if run.head_kind == "language":
        if run.recipe.distillation.weight:
            teachers.refuse_longer(teacher, int(np.max(np.diff(whole.offsets))))
        found = token_tables(run, teacher, whole) if keeps_tokens(run) and run.recipe.distillation.weight else {}
    else:
        said = _said(run, teacher, whole)
        if run.head_kind == "vectors":
            said = torch.nn.functional.normalize(said, dim=-1)
        found = {SAID: teachers.exact(said)}
    return {**found, **inner_tables(run, teacher, whole)}


def _said(run: Running, teacher: Teacher, whole: Encoded) -> torch.Tensor:
    """Its outputs on the run's tokens, or on its own ones of the same rows."""
    train = run.examples("train")
    if teacher.reads_as(run.tokenizer, teachers.known_texts(train), int(np.max(np.diff(whole.offsets)))):
        found = teacher.outputs(run.task, whole, run.telling(ON_ROWS, len(whole)))
        return found[torch.from_numpy(_standing(run))] if run.head_kind == "tokens" else found
    parts = {ON_ROWS: train}
    if run.recipe.distillation.unlabelled is not None:
        parts[ON_TEXTS] = unlabelled.rows(run)
    return torch.cat([_anew(run, teacher, part, what) for what, part in parts.items()])


def _anew(run: Running, teacher: Teacher, examples: Examples, what: str) -> torch.Tensor:
    """Its outputs on rows that are tokenised for it; of tags those of the token that stands for each word."""
    if run.head_kind == "span":
        teachers.refuse_longer(teacher, int(run.value("data.max_length")))
    encoded = tokenised(run, teacher, examples)
    found = teacher.outputs(run.task, encoded, run.telling(what, len(encoded)))
    return found[torch.from_numpy(standing(encoded, examples))] if run.head_kind == "tokens" else found


def tokenised(run: Running, teacher: Teacher, examples: Examples) -> Encoded:
    """Rows as the teacher reads them."""
    blocks = run.task.blocks(examples, run.embed, run.recipe.seed)
    return run.task.encode(teacher.tokenizer, blocks, teacher.about.max_length, None)


def _hash(encoded: Encoded) -> str:
    """Of the tokens that the teacher was asked about."""
    import hashlib

    return hashlib.sha256(np.ascontiguousarray(encoded.ids).tobytes()).hexdigest()[:16]


def about(folder: Path) -> dict[str, Any] | None:
    """What is known of the teacher of a run in ``folder``; None where there is none."""
    path = folder / FOLDER / FILE
    return dict(read_json(path)) if path.exists() else None


def teacher(run: Running) -> Teacher:
    """The teacher; once it was asked, the very one that was.

    :raises UserError: T029, its weights are others by now; as :func:`whet.inference.teachers.load`.
    """
    known = (about(run.folder.path) or {}).get("weights")
    if known not in (None, run.teacher.weights):
        what = f"{run.teacher.name!r} has other weights by now than when this run asked it."
        remedy = "Put the teacher back as it was, or begin a new run."
        raise UserError(Problem("T029", OPTION, what, remedy))
    return run.teacher


def _refuse_other_tokens(run: Running) -> None:
    """:raises UserError: T029, what is learnt from is not what the teacher was asked about."""
    known = (about(run.folder.path) or {}).get("tokens")
    if known not in (None, _hash(learnt(run))):
        what = "was asked about other tokens than those that are trained on by now."
        raise UserError(Problem("T029", OPTION, what, "Begin a new run: rows or tokenizer have changed in this one."))


def ready(run: Running) -> bool:
    """Whether the teacher was asked, so that :func:`learnt` is there."""
    return wanted(run) and (run.folder.path / FOLDER / FILE).exists()


# --- learning -----------------------------------------------------------------------------------------


def learnt(run: Running) -> Encoded:
    """The units that the distilled model is trained on: those of the rows, and behind them those without labels."""
    if run.recipe.distillation.unlabelled is None and not written.wanted(run):
        return run.encoded["train"]
    return encoding.load(run.tokens_folder(JOINED))


def learns_more(run: Running) -> bool:
    """Whether the distilled model learns from other units than the rows of training."""
    return run.recipe.distillation.unlabelled is not None or written.wanted(run)


def targets(run: Running) -> Targets:
    """Their truth; of those without labels what the task's own loss never looks at."""
    own = run.targets("train")
    whole = learnt(run)
    number = (whole.num_tokens if own.per_token else len(whole)) - len(own.values)
    if not number:
        return own
    if run.head_kind == "language":
        return Targets(torch.zeros(len(whole), 0))  # the truth of a language model are its tokens
    nothing = UNCOUNTED if own.values.dtype == torch.int64 else 0.0
    filler = torch.full((number, *own.values.shape[1:]), nothing, dtype=own.values.dtype)
    return Targets(torch.cat([own.values, filler]), own.per_token)


def batches(run: Running, seed: int) -> TrainingBatches:
    """The rows of training and those without labels together."""
    tokens, coupled = run.value("training.batch_tokens"), run.task.coupled
    return TrainingBatches(learnt(run), targets(run), tokens, seed, whole=coupled)


def objective(run: Running, own: Any) -> Any:
    """The task's own objective, and the distance to the teacher."""
    wish = run.recipe.distillation
    if not (wish.weight or wish.hidden or wish.attention):
        return own  # the teacher wrote targets, and they are all that is learnt from it
    _refuse_other_tokens(run)
    labelled = len(learnt(run)) if written.wanted(run) else len(run.encoded["train"])
    return Distilled(own, _lesson(run, own), wish.weight, labelled, _beside(run))


def _table(run: Running, name: str) -> NDArray[Any]:
    found: NDArray[Any] = np.load(run.folder.path / FOLDER / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    return found


def _tables(run: Running, name: str) -> list[NDArray[Any]]:
    number = len(list((run.folder.path / FOLDER).glob(f"{name}*.npy")))
    return [_table(run, f"{name}{place}") for place in range(number)]


def _lesson(run: Running, own: Any) -> Lesson:
    """What the teacher said, as the distance of this kind of answers takes it."""
    wish, kind = run.recipe.distillation, run.head_kind
    heat = 1.0 if worded.wanted(run) else wish.temperature  # a label that was said is no logit
    if kind == "language":
        if not wish.weight:
            return Unasked()
        if not keeps_tokens(run):
            return AskedAnew(teacher(run).model, wish.top_k, heat, teachers.num_words(run.tokenizer))
        return OfTokens(_table(run, WORDS), _table(run, LOGS), _table(run, PLACES), heat)
    table = _table(run, SAID)
    weighing = getattr(own, "weighing", EVEN)
    counts = weighing.counts if weighing.classes is not None and not run.multi_label else None
    if kind == "classes":
        return OfRows(table, "labels" if run.multi_label else "classes", heat, counts)
    if kind == "value":
        return OfRows(table, "value" if isinstance(run.task, Regression) else "labels", heat)
    if kind == "tokens":
        return OfWords(table, _places(run, learnt(run)), heat, counts)
    if kind == "span":
        return OfSpans(table, heat)
    own_width = int(read_config(run.place).hidden_size)
    return OfVectors(table, None if table.shape[1] == own_width else f"{insides.NAME}.vectors")


def _beside(run: Running) -> list[tuple[Any, float]]:
    """Distances of what happens within the models, each with its weight."""
    wish, found = run.recipe.distillation, list[tuple[Any, float]]()
    if wish.hidden:
        found.append((HiddenStates(_tables(run, HIDDEN)), wish.hidden))
    if wish.attention:
        found.append((Relations(_tables(run, RELATED)), wish.attention))
    return found


def equip(run: Running, name: str, model: TaskModel, seed: int) -> None:
    """Put beside the distilled model the layers that bring its vectors to the teacher's width, where they differ."""
    if not wanted(run, name) or run.recipe.distillation.endpoint is not None:
        return
    own, widths = int(model.network.config.hidden_size), dict[str, tuple[int, int]]()
    if run.head_kind == "vectors" and (other := _table(run, SAID).shape[1]) != own:
        widths["vectors"] = (own, other)
    if run.recipe.distillation.hidden and (other := _table(run, f"{HIDDEN}0").shape[1]) != own:
        widths |= {f"hidden{place}": (own, other) for place in range(len(insides.layers_of(model)))}
    if widths:
        insides.equip(model, widths, seed)
        model.to(run.device)


def _places(run: Running, whole: Encoded) -> NDArray[np.int64]:
    """(N,) the number of the word that each token stands for, -1 for others."""
    found, tokens = np.full(whole.num_tokens, -1, np.int64), _standing(run)
    found[tokens] = np.arange(len(tokens))
    return found


def _standing(run: Running) -> NDArray[np.int64]:
    """(W,) the token that stands for each word of all that is learnt from."""
    own = run.encoded["train"]
    tokens = standing(own, run.examples("train"))
    if run.recipe.distillation.unlabelled is None:
        return tokens
    beside = standing(unlabelled.encoded(run), _texts(run))
    return np.concatenate([tokens, beside + own.num_tokens])
