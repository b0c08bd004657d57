"""Questions written in every layout, for the tests of their form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.data.made import sentence
from whet.data import other_reading, reading
from whet.data.forms import Examples
from whet.data.questions import Questions
from whet.data.reading import ReadResult
from whet.data.row_form import Choice

PARIS = "Paris is the capital of France. It lies on the Seine, and the Seine is a river."
ROME = "Rome, la città eterna 🏛, lies on the Tiber. Its people are Romans."


def row(question: str, context: str, *answers: tuple[int, str], **more: Any) -> dict[str, Any]:
    """As the hub's squad has it."""
    found = {"text": [text for _, text in answers], "answer_start": [start for start, _ in answers]}
    return {"question": question, "context": context, "answers": found, **more}


ROWS = [
    row("What is the capital of France?", PARIS, (0, "Paris")),
    row("What does it lie on?", PARIS, (47, "Seine"), (43, "the Seine")),
    row("Who lives in Rome?", ROME, (ROME.index("Romans"), "Romans")),
    row("Who lives in Paris?", PARIS),
]
PLACED = [[(0, "Paris")], [(47, "Seine"), (43, "the Seine")], [(ROME.index("Romans"), "Romans")], []]


def many(count: int, contexts: int = 20) -> list[dict[str, Any]]:
    """Rows on several contexts, every fifth without an answer."""
    found = []
    for number in range(count):
        context = sentence(7 * (number % contexts))
        answers = () if (number + number // contexts) % 5 == 4 else ((len(context) - len("today"), "today"),)
        found.append(row(f"When is it that {sentence(number)}?", context, *answers))
    return found


def squad(rows: list[dict[str, Any]], indent: int | None = None, version_2: bool = True, **article: Any) -> str:
    """The same rows as a document of articles and paragraphs."""
    paragraphs: dict[str, list[Any]] = {}
    for number, one in enumerate(rows):
        answers = [
            {"text": text, "answer_start": start}
            for text, start in zip(one["answers"]["text"], one["answers"]["answer_start"], strict=True)
        ]
        entry = {"question": one["question"], "id": f"q{number}", "answers": answers}
        if version_2:
            entry |= {"is_impossible": not answers}
            if not answers:
                entry |= {"plausible_answers": [{"text": "Paris", "answer_start": 0}]}
        paragraphs.setdefault(one["context"], []).append(entry)
    laid_out = [{"qas": qas, "context": context} for context, qas in paragraphs.items()]
    document = {"version": "v2.0", "data": [{"title": "Cities", "paragraphs": laid_out, **article}]}
    return json.dumps(document, ensure_ascii=False, indent=indent)


def read(source: Path, **named: Any) -> ReadResult:
    """Read a whole data set beside its source."""
    return reading.read(source, into=source.parent / "read", form=Questions(), choice=Choice(**named))


def one_file(source: Path, **named: Any) -> other_reading.OtherRows:
    """Read one file without dividing it."""
    into = source.parent / "one"
    return other_reading.read_for_evaluation(source, into=into, form=Questions(), labels=(), choice=Choice(**named))


def placed(examples: Examples) -> list[list[tuple[int, str]]]:
    """The answers of all rows."""
    return [[(one["start"], one["text"]) for one in answers] for answers in examples.column("answers")]
