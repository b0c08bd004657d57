"""The form of questions: each with the context it is asked of, and the answers that stand there.

Columns: ``text`` (the question), ``text_pair`` (its context), ``answers``, a list of ``{start, text}``:
the first character in the context (code points) and the text from there; an empty list where the
context has no answer. ``group``: the document that questions have in common, else their context.

What users are told when something is wrong with their questions:

- D060 a question without a context, D061 a value that is no answer, D062 an answer that does not stand
  in its context, D063 a start that is no whole number, D064 an answer outside its context, D065 another
  text at the start of an answer, D066 answers and starts of different number, D067 "cannot be answered"
  beside an answer, D068 an empty answer, D069 a length limit that leaves no room for a context
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whet.data.answer_text import normalised
from whet.data.columns import Columns
from whet.data.forms import Examples, Shape
from whet.data.normal import hashes
from whet.data.question_answers import SEARCHED, answers
from whet.data.question_facts import answerable, context_hashes
from whet.data.question_findings import findings
from whet.data.question_tables import choose, folded, no_context, one_context
from whet.data.row_form import Choice, RowForm, Taken, Taking
from whet.data.rows import Block, Opened, Told
from whet.data.sources import SourceFile
from whet.data.squad_rows import open_squad
from whet.data.values import texts
from whet.errors import Problem, Problems, UserError
from whet.findings import Finding

ANSWERS = pa.list_(pa.struct([("start", pa.int32()), ("text", pa.string())]))
"""Arrow type of the answers of a row."""


class Questions(RowForm):
    """Rows of :mod:`whet.data.questions`."""

    name = "questions"
    truth = "answers"
    truth_words = "answer"
    truths_words = "answers"

    def open(self, file: SourceFile, choice: Choice, problems: Problems, told: Told) -> Opened | None:
        """Documents laid out as SQuAD."""
        return open_squad(file, choice, problems, told)

    def arranged(self, opened: Opened, name: str, choice: Choice, problems: Problems) -> Opened:
        """Answers that are spread over several columns become one."""
        return folded(opened, choice, name, problems) if choice.labelled else opened

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """Question, context and answers, by name and then by content; the document by name."""
        return choose(columns, sample, where, choice)

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """:raises UserError: D060, the rows have no context."""
        if columns.text_pair is None:
            raise UserError(no_context("the file", "has one text on each line, and a question is asked of a context."))
        shape = Shape((("text_pair", pa.string()),))
        if columns.label is not None:
            shape = shape.having("answers", ANSWERS)
        alone = not choice.labelled or choice.group == "none" or columns.group is not None
        if alone or one_context(sample, columns.text_pair):
            return shape
        return shape.having("group", pa.string())

    def take(self, block: Block, taking: Taking) -> Taken:
        """Texts as they stand, answers checked against their contexts."""
        chosen, problems = taking.columns, taking.problems
        context = str(chosen.text_pair)
        questions = texts(block.column(chosen.text), taking.place(block, chosen.text), problems)
        contexts = texts(block.column(context), taking.place(block, context), problems)
        rows: dict[str, list[Any]] = {"text": questions, "text_pair": contexts}
        if chosen.group is None and taking.shape.has("group"):
            rows["group"] = _names(contexts)
        if chosen.label is None:
            return Taken(rows)
        found = answers(block.column(chosen.label), contexts, taking.place(block, chosen.label), problems)
        rows["answers"] = found.rows
        missing = [row for row, one in enumerate(found.rows) if one is None]
        return Taken(rows, missing, changed=[("A020", SEARCHED, found.unsure)] if found.unsure else ())

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D031, no training row has an answer."""
        if not answerable(given["train"]).any():
            what = "no training row has an answer in its context."
            raise UserError(
                Problem("D031", where, what, "Answers are copied from contexts; is --label the right column?")
            )

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """1 where the context has an answer, else 0."""
        return answerable(examples).astype(np.int64)

    def together(self, examples: Examples) -> NDArray[np.uint64]:
        """Questions on one context stay together, unless nothing is to."""
        return context_hashes(examples) if examples.shape.has("group") else examples.hashes

    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """The set of answers, as they are compared."""
        sets = [sorted({normalised(one["text"]) for one in row}) for row in examples.column("answers")]
        return hashes(["\n".join(one) for one in sets])

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """A008 shift of the share without answer, A020 to A024."""
        return findings(splits)


def _names(contexts: Sequence[str]) -> list[str]:
    """What the group of each row is called: the hash of its normalised context, since contexts are long."""
    distinct = list(dict.fromkeys(contexts))
    named = dict(zip(distinct, (f"{one:016x}" for one in hashes(distinct)), strict=True))
    return [named[context] for context in contexts]
