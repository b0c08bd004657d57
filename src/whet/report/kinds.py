"""What the kinds of predictions are called on the page, and which kind a run has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """Words of one kind.

    ``row``: what one row of the split is; ``label``, ``labels``: what the names in scores.json are, ""
    where there are none; ``counted``: what the audit counts a label by; ``paired``: how two models are
    compared, where it is not the usual way.
    """

    row: str = "row"
    rows: str = "rows"
    label: str = ""
    labels: str = ""
    counted: str = ""
    paired: str = ""

    @property
    def compared(self) -> str:
        """How two models are compared, in a sentence."""
        return self.paired or (
            f"Both models answered the same {self.rows}, so the difference is measured {self.row} by {self.row} and "
            "its interval is that of the difference."
        )


KINDS: dict[str, Kind] = {
    "classes": Kind(
        label="class",
        labels="classes",
        counted="Rows per class",
        paired="Both models answered the same rows, so the difference is measured on those where only one of them "
        "is right.",
    ),
    "spans": Kind("text", "texts", "type", "types", "Entities per type"),
    "answers": Kind("question", "questions"),
    "values": Kind(),
    "ranks": Kind("query", "queries"),
    "texts": Kind(),
    "preferences": Kind(),
}
"""The seven kinds by the name that scores.json and the files of predictions carry."""

OF_TASK = {
    "text-classification": "classes",
    "token-classification": "spans",
    "question-answering": "answers",
    "sentence-similarity": "values",
    "regression": "values",
    "ranking": "ranks",
    "text-generation": "texts",
    "translation": "texts",
    "summarization": "texts",
    "language-modeling": "texts",
    "fill-mask": "texts",
    "preference": "preferences",
}
"""The usual kind of a task, for runs that have not come to their scores."""

OF_LANGUAGE = ("language-modeling", "fill-mask")
"""Tasks that learn texts themselves: nothing is asked, and nothing is said."""

HUB_TASKS = {
    "regression": "text-classification",
    "ranking": "text-ranking",
    "language-modeling": "text-generation",
    "preference": "text-generation",
}
"""Tasks that the Hugging Face Hub calls otherwise."""


def words(kind: str) -> Kind:
    """The words of a kind; those of plain rows where it is not known."""
    return KINDS.get(kind, Kind())


def hub_task(task: str, library: str) -> str:
    """The tag of a task on the Hub; there, a ranking model that gives vectors is one of sentence similarity."""
    if task == "ranking" and library == "sentence-transformers":
        return "sentence-similarity"
    return HUB_TASKS.get(task, task)
