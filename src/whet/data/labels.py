"""Whether labels are such that something can be learnt and tested: more than one, and known ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from whet.data.forms import Examples
from whet.errors import Problem, Problems, UserError

SHOWN_LINES = 5


def refuse_one_class(train: Examples, labels: Sequence[str], where: str) -> None:
    """Check that training rows differ in their labels.

    :raises UserError: D031.
    """
    if len(labels) >= 2 or (train.multi_label and len(labels) == 1 and _some_without(train, labels)):
        return
    what = f"every row has the same label: {labels[0]!r}." if labels else "no row has a label."
    raise UserError(Problem("D031", where, what, "A classifier needs at least two; is --label the right column?"))


def _some_without(train: Examples, labels: Sequence[str]) -> bool:
    ids = train.label_ids(labels)
    return bool(ids.any()) and not bool(ids.all())


def refuse_unknown_labels(examples: Examples, labels: Sequence[str]) -> None:
    """Check that every label of a split is one that training has.

    :raises UserError: D032, one problem per label, with lines.
    """
    known = set(labels)
    unknown = [label for label in examples.vocabulary() if label not in known]
    problems = Problems()
    for label in unknown:
        rows = _rows_with(examples, label)
        places = ", ".join(examples.place(int(row)) for row in rows[:SHOWN_LINES])
        more = f" and {len(rows) - SHOWN_LINES:,} more" if len(rows) > SHOWN_LINES else ""
        what = f"the label {label!r} does not occur in training ({places}{more})."
        problems.add("D032", examples.split, what, _remedy(label, labels))
    problems.raise_if_any()


def _rows_with(examples: Examples, label: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    ids = examples.label_ids([label])
    return np.flatnonzero(ids[:, 0] if examples.multi_label else ids == 0)


def _remedy(label: str, labels: Sequence[str]) -> str:
    alike = [known for known in labels if known.strip().lower() == label.strip().lower()]
    if alike:
        return f"Training has {alike[0]!r}: make them the same."
    return "Add training rows with it, or take these rows out."
