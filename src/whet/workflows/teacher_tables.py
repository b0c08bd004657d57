"""What a teacher says of every token, and what happens within it, as tables that training looks things up in."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from whet.batches.encoding import Encoded, token_numbers
from whet.batches.flat import for_prediction
from whet.errors import Problem, UserError
from whet.inference import teachers
from whet.inference.teachers import Teacher
from whet.models import insides, loading
from whet.models.heads import Head
from whet.models.networks import read_config
from whet.models.shapes import without_weights
from whet.models.task_model import TaskModel
from whet.objectives.token_lessons import likeliest_of
from whet.tasks.fill_mask import FillMask
from whet.tasks.language_modeling import LanguageTask
from whet.tasks.task import BATCH_TOKENS
from whet.workflows.running import Running

WORDS, LOGS, PLACES = "words", "logs", "places"
HIDDEN, RELATED = "hidden", "related"
MOST_OF_DISK = 0.5
"""Share of the free disk that hidden states may take."""


def keeps_tokens(run: Running) -> bool:
    """Whether what the teacher says of tokens can be kept: the same are asked for each time, none drawn anew."""
    task = run.task
    assert isinstance(task, LanguageTask)
    return not isinstance(task, FillMask) and not task.turns_rows and run.guesses != "permuted"


def token_tables(run: Running, teacher: Teacher, whole: Encoded) -> dict[str, NDArray[Any]]:
    """The ``distillation.top_k`` likeliest words of every token that counts, and the logarithms of their chances."""
    task, wish = run.task, run.recipe.distillation
    assert isinstance(task, LanguageTask)
    words, logs, numbers = list[torch.Tensor](), list[torch.Tensor](), list[NDArray[np.int64]]()
    tell, done = run.telling("teacher on training rows", len(whole)), 0
    size = teachers.num_words(run.tokenizer)
    with torch.inference_mode():
        for batch in for_prediction(whole, BATCH_TOKENS):
            asked = task.choose(batch)
            found = likeliest_of(teacher.model, asked, wish.top_k, wish.temperature, size)
            words.append(found[0].int().cpu())
            logs.append(found[1].cpu())
            numbers.append(token_numbers(whole.offsets, batch.sequences)[asked.said.numpy()])
            done += len(batch.rows)
            tell(done)
    places = np.full(whole.num_tokens, -1, np.int64)
    order = np.concatenate(numbers)
    places[order] = np.arange(len(order))
    return {WORDS: torch.cat(words).numpy(), LOGS: torch.cat(logs).numpy(), PLACES: places}


def refuse_insides(run: Running, teacher: Teacher) -> None:
    """Whether hidden states and attention of both models can be held against each other.

    :raises UserError: T024, they cannot: other tokens, layers that are not listed one after the other, or parts
        that are not known by name.
    """
    wish = run.recipe.distillation
    if not (wish.hidden or wish.attention):
        return
    option = "distillation.hidden" if wish.hidden else "distillation.attention"
    longest = int(run.limit)
    texts = teachers.known_texts(run.examples("train"))
    if (
        not teacher.reads_as(run.tokenizer, texts, min(longest, teacher.about.max_length))
        or longest > teacher.about.max_length
    ):
        what = "needs both models to read the same tokens, and the teacher has another tokenizer or a shorter limit."
        raise UserError(Problem("T024", option, what, "Remove it, or name a teacher that reads as the base does."))
    student = shape_of(run)
    if run.head_kind == "language" and (not keeps_tokens(run) or student.guesses == "target"):
        what = "belongs to models that read a text as it stands, from the first layer to the last."
        raise UserError(Problem("T024", option, what, "Remove it."))
    for name, model in (("the base", student), ("the teacher", teacher.model)):
        if not insides.layers_of(model) or (model.family is not None and model.family.last_is_classifier):
            what = f"needs layers one after the other, and {name} has none that are listed so."
            raise UserError(Problem("T024", option, what, "Remove it."))
        if wish.attention and not insides.relating(model):
            kind = model.network.config.model_type
            what = (
                f"needs queries, keys and values apart, and {name}, a model of type {kind!r}, has none known by name."
            )
            raise UserError(Problem("T024", "distillation.attention", what, "Remove it, or use distillation.hidden."))


def shape_of(run: Running) -> TaskModel:
    """The model of a run without its weights."""
    pooling, _ = loading.choose_pooling(run.place, run.recipe.head.pooling, run.head_kind)
    labels = ("a", "b") if run.head_kind in ("classes", "tokens") else ()
    head = Head(run.head_kind, labels, pooling=pooling)
    return without_weights(loading.labelled(read_config(run.place), head, run.tokenizer), head, run.place)


def inner_tables(run: Running, teacher: Teacher, whole: Encoded) -> dict[str, NDArray[Any]]:
    """Hidden states (N, H) for each of the student's layers, and what the last layer relates by: (N, W) three times.

    :raises UserError: T027, they would take too much of the disk.
    """
    wish = run.recipe.distillation
    if not (wish.hidden or wish.attention):
        return {}
    depth = len(insides.layers_of(run.new_model()))
    layers = insides.layers_of(teacher.model)
    chosen = [layers[one] for one in insides.counterparts(depth, len(layers))] if wish.hidden else []
    related = insides.relating(teacher.model) if wish.attention else []
    width = int(teacher.model.network.config.hidden_size)
    need, free = 2 * whole.num_tokens * width * (len(chosen) + len(related)), shutil.disk_usage(run.folder.path).free
    if need > MOST_OF_DISK * free:
        what = f"of {whole.num_tokens:,} tokens would take {need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free."
        raise UserError(Problem("T027", "distillation.hidden", what, "Remove it, or train on fewer rows."))
    names = [
        *(f"{HIDDEN}{place}" for place in range(len(chosen))),
        *(f"{RELATED}{place}" for place in range(len(related))),
    ]
    return dict(zip(names, _watched(teacher, [*chosen, *related], whole), strict=True))


def _watched(teacher: Teacher, modules: list[nn.Module], whole: Encoded) -> list[NDArray[np.float16]]:
    """(N, W) of each module, what it gives for every token; numbers beyond those of 16 bits are held at the largest."""
    found = list[NDArray[np.float16]]()
    most = float(np.finfo(np.float16).max)
    with torch.inference_mode():
        for batch in for_prediction(whole, BATCH_TOKENS):
            seen: list[torch.Tensor] = []
            with insides.watching(modules, seen):
                teacher.model.features(batch)
            numbers = token_numbers(whole.offsets, batch.sequences)
            for place, one in enumerate(seen):
                values = insides.by_token(one, batch.where).clamp(-most, most).half().cpu().numpy()
                if place == len(found):
                    found.append(np.zeros((whole.num_tokens, values.shape[1]), np.float16))
                found[place][numbers] = values
    return found
