"""What a saved model carries beside its weights: whet.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from whet.errors import Problem, UserError
from whet.files import read_json
from whet.models.heads import Head, HeadKind
from whet.models.places import name_by_now
from whet.models.pooling import Pooling

ABOUT = "whet.json"


@dataclass(frozen=True, slots=True)
class About:
    """A saved model's description of itself.

    ``kind``: 'own' (a class of transformers for the architecture and the head), 'sentence' (a
    sentence-transformers folder whose last module gives logits, or vectors) or 'adapter' (PEFT, on ``base``).
    ``labels``: of classes, or tags of tokens; none for other heads.
    ``thresholds``: per label, only with several labels per row.
    ``temperature``: already folded into the head; kept for the record.
    ``pairs``: whether every row has two texts.
    ``first_share``: how much of the first token is added to a mean (:mod:`whet.models.averaging`).
    ``head_kind``, ``normalise``: see :class:`whet.models.heads.Head`.
    ``quantisation``: how the base of an adapter, or the whole model, is kept
    (:class:`whet.models.quantising.Scheme`); None: as it is.
    ``task_facts``: what the task itself needs to answer as it did in its run, such as a threshold.
    """

    kind: str
    task: str
    labels: Sequence[str]
    multi_label: bool
    thresholds: Sequence[float] | None
    temperature: float
    pooling: Pooling | None
    max_length: int
    base: str
    base_sha256: str
    first_share: float = 0.0
    pairs: bool = False
    head_kind: HeadKind = "classes"
    normalise: bool = True
    task_facts: dict[str, Any] = field(default_factory=dict)
    quantisation: dict[str, Any] | None = None

    @property
    def head(self) -> Head:
        """The head of the model."""
        labels = tuple(self.labels) if self.head_kind in ("classes", "tokens") else ()
        return Head(self.head_kind, labels, self.multi_label, self.pooling, self.normalise)


def load_about(folder: Path) -> About:
    """Read a saved model's description; a base that was moved together with it is called as it is by now.

    :raises UserError: M030, the folder was not written by this program, or by a later version of it.
    """
    if not (folder / ABOUT).exists():
        raise UserError(Problem("M030", str(folder), f"holds no model of a run (no {ABOUT}).", "Did the run finish?"))
    try:
        found = dict(read_json(folder / ABOUT))
        unknown = sorted(found.keys() - {f.name for f in fields(About)})
        if not unknown:
            about = About(**found)
            return replace(about, base=name_by_now(about.base, about.base_sha256, folder))
        what = f"was written by a later version of whet: it says {', '.join(unknown)}."
    except (TypeError, ValueError) as error:
        what = f"cannot be read: {error}."
    raise UserError(Problem("M030", str(folder / ABOUT), what, "Update whet, or copy the model anew."))
