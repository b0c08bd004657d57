"""A teacher that is another stage, before either of them is trained: whether it will be able to teach.

All that the trained one could be refused for is known from recipes, rows and bases: its labels, its scale, its tokens,
how much it reads at once, its layers. So a model without weights stands where the trained one will.
"""

from __future__ import annotations

import numpy as np

from whet.batches.encoding import Encoded
from whet.data.forms import Examples
from whet.errors import concerning
from whet.inference import teachers
from whet.inference.teachers import OPTION, Teacher
from whet.models.about import About
from whet.workflows import distilling, unlabelled
from whet.workflows.running import Running
from whet.workflows.teacher_tables import shape_of


def refuse(run: Running, name: str, theirs: Running) -> None:
    """Whether the model that ``theirs`` will leave, called ``name``, can teach ``run``; the rows of both are read.

    :raises UserError: T021 to T024, as :func:`whet.workflows.distilling.refuse_teacher` and what asks the teacher.
    """
    run.teacher = foreseen(name, theirs)
    with concerning(OPTION):
        pairs = run.examples("train").has_pairs
        teachers.refuse_other_rows(run.teacher.about, name, run.head_kind, pairs)
    distilling.refuse_teacher(run)
    if not distilling.only_writes(run):
        with concerning(OPTION):
            _refuse_longer(run)


def foreseen(name: str, run: Running) -> Teacher:
    """The teacher that ``run`` will leave, without weights."""
    task = run.task
    labels = list(task.head(None).labels)
    facts = {"settled": task.carried}
    pairs = run.examples("train").has_pairs
    about = About(
        kind="own",
        task=run.recipe.task,
        labels=labels,
        multi_label=run.multi_label,
        thresholds=None,
        temperature=1.0,
        pooling=None,
        max_length=run.limit,
        base=run.recipe.base,
        base_sha256="",
        pairs=pairs,
        head_kind=run.head_kind,
        task_facts=facts,
    )
    return Teacher(name, run.folder.model, shape_of(run), run.tokenizer, about, "")


def _refuse_longer(run: Running) -> None:
    """:raises UserError: T024, as :mod:`whet.workflows.distilling` asks the teacher."""
    teacher, kind = run.teacher, run.head_kind
    chosen = run.recipe.selection.way != "none"  # by then there will be fewer rows, and perhaps no long one
    if kind not in ("language", "span") or teacher.about.max_length >= run.limit or chosen:
        return
    longest = max(int(np.max(np.diff(one.offsets), initial=0)) for one in _learnt(run))
    if kind == "language":
        teachers.refuse_longer(teacher, longest)
    elif not teacher.reads_as(run.tokenizer, teachers.known_texts(run.examples("train")), longest):
        teachers.refuse_longer(teacher, run.limit)


def _learnt(run: Running) -> list[Encoded]:
    """The tokens of what will be learnt from."""
    beside = [] if run.recipe.distillation.unlabelled is None else [unlabelled.rows(run)]
    return [_tokens(run, rows) for rows in (run.examples("train"), *beside)]


def _tokens(run: Running, rows: Examples) -> Encoded:
    blocks = run.task.blocks(rows, run.embed, run.recipe.seed)
    return run.task.encode(run.tokenizer, blocks, run.limit, None)
