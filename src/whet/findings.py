"""Findings: coded observations with a place and a remedy.

A finding is what an audit, a training run or a verdict has to say beside its numbers. Its bin
says how to take it: ``passed`` (looked at, fine), ``issue`` (act), ``tip`` (could be better) or
``not_applicable`` (could not be looked at here, and why).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Bin = Literal["passed", "issue", "tip", "not_applicable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation.

    ``evidence`` holds the numbers and examples behind the message, JSON only.
    """

    code: str
    bin: Bin
    message: str
    place: str = ""
    remedy: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.code not in CODES:
            raise ValueError(f"finding code {self.code} is not in whet.findings.CODES")

    @property
    def title(self) -> str:
        """The short name of what was looked at."""
        return CODES[self.code]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; :meth:`from_json` is its inverse."""
        return asdict(self) | {"title": self.title}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Finding:
        """Read what :meth:`to_json` wrote."""
        return Finding(
            value["code"], value["bin"], value["message"], value["place"], value["remedy"], value["evidence"]
        )


def parts_in_words(example: Mapping[str, Any]) -> dict[str, str]:
    """The parts of one example of the evidence, as people read them; what says the same twice is said once."""
    found: dict[str, str] = {}
    for name, value in example.items():
        text = in_words(value)
        if value is not None and (not isinstance(value, str | Mapping) or text not in found.values()):
            found[name.replace("_", " ")] = text
    return found


def in_words(value: Any) -> str:
    """A piece of evidence as people read it: ``{"person": 3, "place": 1}`` as "person 3, place 1"."""
    if isinstance(value, Mapping):
        known = (f"{name} {in_words(one)}" for name, one in value.items() if one is not None)
        return _row_in_words(value) if "text" in value else ", ".join(known)
    return ", ".join(map(in_words, value)) if isinstance(value, list | tuple) else str(value)


def _row_in_words(row: Mapping[str, Any]) -> str:
    """``train.csv:7 'a text' / 'its pair' (label refund)``."""
    texts = " / ".join(repr(str(row[name])) for name in ("text", "text_pair") if row.get(name))
    known = ("split", "line", "place", "text", "text_pair")
    place = row.get("place") or " line ".join(str(row[name]) for name in ("split", "line") if row.get(name) is not None)
    more = in_words({name: one for name, one in row.items() if name not in known})
    return " ".join(part for part in (str(place), texts, f"({more})" if more else "") if part)


CODES: dict[str, str] = {
    # A: the data, before anything is trained
    "A001": "Empty texts",
    "A002": "Exact duplicates",
    "A003": "Near duplicates",
    "A004": "Repeats across splits",
    "A005": "Contradictions",
    "A006": "Class imbalance",
    "A007": "Classes too rare",
    "A008": "Prior shift between splits",
    "A009": "Length limit",
    "A010": "Broken encoding",
    "A011": "Secrets and personal data",
    "A012": "Mixed languages",
    "A013": "Rows that could not be used",
    "A014": "Splits made here",
    "A015": "Labels nearly alike",
    "A016": "Places of entities",
    "A017": "Agreement of entities",
    "A018": "Entities new to training",
    "A020": "Places of answers",
    "A021": "Questions without answer",
    "A022": "Long answers",
    "A023": "Agreement of answers",
    "A024": "Documents in several splits",
    "A025": "Queries without a relevant passage",
    "A026": "Scores beyond those of training",
    "A027": "Shift of scores between splits",
    "A028": "Number of passages",
    "A029": "Queries in several splits",
    "A030": "Answers repeated",
    "A031": "Long or short answers",
    "A032": "Test answers in training",
    "A033": "Conversations in several splits",
    "A034": "Parts of conversations",
    "A035": "References that copy their source",
    "A036": "Rows that teach nothing",
    # E: what happened while training
    "E001": "Non-finite losses",
    "E002": "Rate lowered after failures",
    "E003": "Run not better than a constant answer",
    "E004": "Out of memory",
    "E005": "Time limit",
    "E006": "Fast path checked",
    "E007": "Early stopping",
    "E008": "Parity of the saved model",
    "E009": "Error of quantisation",
    "E010": "Merged into 16 bits",
    "E011": "Learning rate found by trial",
    "E012": "Memory and time as planned",
    "E013": "Weights between base and tuned model",
    "E014": "Nothing kept of training",
    "E015": "Rounded to few bits",
    # G: conversations as a model sees them
    "G001": "Stop token in training",
    "G002": "Tokens that carry loss",
    "G003": "Conversations cut",
    "G004": "Messages left out by the template",
    "G005": "Start tokens",
    "G006": "Tokens that join prompt and answer",
    "G007": "Answers behind what asks for them",
    "G008": "Names of special tokens in texts",
    "G009": "Answers that the base already gives",
    # V: gates of the verdict
    "V001": "Better than the best baseline",
    "V002": "Negative flips",
    "V003": "Calibration",
    "V004": "Leakage",
    "V005": "Over- or underfitting",
    "V006": "Weak parts",
    "V007": "Enough test rows",
    "V008": "What is written is degenerate",
    "V009": "Forgetting",
    # W: how training went, by its curves, its answers and its labels
    "W001": "Overfitting",
    "W002": "Underfitting",
    "W003": "Learning rate too high",
    "W004": "Collapsed to one class",
    "W005": "Differences between seeds",
    "W006": "Validation unlike test",
    "W007": "Doubtful labels",
    # X: what was learnt from beside the rows: stages, teachers, preferences, texts without labels
    "X001": "Training on texts of the domain",
    "X002": "Rows chosen from a pool",
    "X003": "Test texts seen before",
    "X010": "What is kept of the teacher",
    "X011": "Test rows known to the teacher",
    "X012": "Which model teaches",
    "X015": "Learning from texts without labels",
    "X016": "Texts that were labelled",
    "X020": "Better answers told apart",
    "X021": "Length of answers",
    "X022": "Distance to the reference",
    "X023": "Length of better answers",
    "X024": "Likelihood of better answers",
    "X025": "Learning with other tasks",
    "X026": "Earlier tasks after later ones",
    "X027": "Weights of the tasks' losses",
    "X030": "Whether the search helped",
    "X031": "Trials and seeds that failed",
    "X032": "Choices that mattered",
    "X033": "Time for the search",
}
"""Every code there is. The generated page docs/findings.md lists them; a test holds it current."""
