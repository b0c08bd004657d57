"""The forms of rows with a number, and of texts that belong together.

- :class:`Similar`: two texts (``text``, ``text_pair``) and how alike they are (``score``); or two that
  belong together, without a score, and perhaps some that do not (``negative``, a list).
- :class:`Scored`: a text, or two, and a number (``score``) to be estimated.
- :class:`Relevant`: a query (``text``), a passage (``text_pair``), and how relevant it is (``score``, 0 for
  not relevant); or a query with lists of passages that are relevant and that are not, which become rows.

What users are told when something is wrong with them:

- D070 a value that is no number, D071 a number that is not finite or too large to train on, D072 a relevance below 0
- D073 nothing to learn or to measure: all scores, or all second texts, are the same
- D074 a passage judged twice for a query and not alike, D075 no relevant passage, or a single passage
- D076 a positive or negative that is neither a text nor a list of texts, D077 rows of a single text
- D078 options of sentence similarity that do not fit the rows
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whet.data.columns import Columns
from whet.data.forms import Examples, Shape
from whet.data.normal import raw_hashes
from whet.data.passage_lists import as_rows
from whet.data.relevance import query_keys
from whet.data.row_form import Choice, RowForm, Taken, Taking
from whet.data.rows import Block, Opened
from whet.data.scored_checks import (
    bins,
    few_passages,
    known_queries,
    outside,
    refuse_constant,
    refuse_few_pairs,
    refuse_judgements,
    shifted,
    without_relevant,
)
from whet.data.scored_columns import Look, judged_columns, scored_columns, similar_columns
from whet.data.scored_rows import pair_texts, with_negatives, with_numbers
from whet.data.scored_values import numbers, relevances
from whet.data.splitting import joined
from whet.errors import Problem, Problems, UserError
from whet.findings import Finding

SCORE = ("score", pa.float64())
PAIR = ("text_pair", pa.string())
NEGATIVE = ("negative", pa.list_(pa.string()))


class Numbered(RowForm):
    """What these forms share: a number is true of a row, where anything is."""

    truth = "score"
    truth_words = "score"
    truths_words = "scores"

    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """The number; of rows without one all are alike."""
        if not examples.shape.has("score"):
            return np.zeros(len(examples), dtype=np.uint64)
        return np.asarray((examples.scores + 0.0).view(np.uint64))  # + 0.0: there is but one zero


class Similar(Numbered):
    """Two texts with a score, or two that belong together."""

    name = "similar"

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """Both texts and the score, or both texts and those that do not belong; by name, then by content."""
        return similar_columns(Look(where, columns, sample, choice))

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """:raises UserError: D077, rows have one text."""
        _refuse_single(columns)
        more = [PAIR]
        more += [SCORE] if columns.label is not None else []
        more += [NEGATIVE] if columns.negative is not None else []
        return Shape(tuple(more))

    def take(self, block: Block, taking: Taking) -> Taken:
        """Texts as they stand; of negatives, those that are a text and not the row's own are kept."""
        rows = pair_texts(block, taking)
        if taking.columns.negative is not None:
            return with_negatives(rows, block, taking, taking.columns.negative)
        return with_numbers(rows, block, taking, numbers)

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D073."""
        for examples in given.values():
            self._refuse(examples, where)

    def _refuse(self, examples: Examples, where: str) -> None:
        (refuse_constant if examples.shape.has("score") else refuse_few_pairs)(examples, where)

    def refuse_unknown(self, examples: Examples, labels: Sequence[str]) -> None:
        """:raises UserError: D073, nothing to measure."""
        self._refuse(examples, examples.split)

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """Tenths by score; one stratum where rows have none."""
        return bins(examples.scores) if examples.shape.has("score") else _one_stratum(examples)

    def together(self, examples: Examples) -> NDArray[np.uint64]:
        """Rows that have either text in common where they belong together; scored rows stand by themselves."""
        if examples.shape.has("score"):
            return examples.hashes
        firsts, seconds = (raw_hashes(examples.column(name)) for name in ("text", "text_pair"))
        return joined([firsts, seconds])

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """Of scores A026 (beyond training's) and A027 (shift); of texts that belong together A028 (how many)."""
        return [outside(splits), shifted(splits)] if splits["train"].shape.has("score") else [few_passages(splits)]


class Scored(Numbered):
    """A text, or two, and a number."""

    name = "scored"

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """Text, second text and score, by name and then by content."""
        return scored_columns(Look(where, columns, sample, choice))

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """One text or two, and a score where rows have one."""
        return Shape((*([PAIR] if columns.text_pair else []), *([SCORE] if columns.label else [])))

    def take(self, block: Block, taking: Taking) -> Taken:
        """Texts as they stand, numbers as they are spelled."""
        return with_numbers(pair_texts(block, taking), block, taking, numbers)

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D073."""
        for examples in given.values():
            refuse_constant(examples, where)

    def refuse_unknown(self, examples: Examples, labels: Sequence[str]) -> None:
        """:raises UserError: D073, nothing to measure."""
        refuse_constant(examples, examples.split)

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """Tenths by score."""
        return bins(examples.scores)

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """A026 scores beyond training's, A027 shift of scores."""
        return [outside(splits), shifted(splits)]


class Relevant(Numbered):
    """A query, a passage, and how relevant it is."""

    name = "relevant"
    truth_words = "relevance"
    truths_words = "relevances"

    def arranged(self, opened: Opened, name: str, choice: Choice, problems: Problems) -> Opened:
        """Rows of a query with lists of passages become a row for each passage."""
        return as_rows(opened, choice, name, problems) if choice.labelled else opened

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """Query, passage and relevance, by name and then by content."""
        return judged_columns(Look(where, columns, sample, choice))

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """:raises UserError: D077, rows have one text."""
        _refuse_single(columns)
        return Shape((PAIR, SCORE) if columns.label is not None else (PAIR,))

    def take(self, block: Block, taking: Taking) -> Taken:
        """Texts as they stand, relevances of 0 or more."""
        return with_numbers(pair_texts(block, taking), block, taking, relevances)

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D074, D075."""
        for examples in given.values():
            refuse_judgements(examples, where)

    def refuse_unknown(self, examples: Examples, labels: Sequence[str]) -> None:
        """:raises UserError: D074, D075."""
        refuse_judgements(examples, examples.split)

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """One: queries are drawn whole."""
        return _one_stratum(examples)

    def together(self, examples: Examples) -> NDArray[np.uint64]:
        """Rows of one query."""
        return query_keys(examples)

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """A025 queries without a relevant passage, A028 how many passages there are, A029 queries of several splits."""
        return [without_relevant(splits), few_passages(splits), known_queries(splits)]


def _refuse_single(columns: Columns) -> None:
    if columns.text_pair is None:
        what = "has one text on each line, and two are to be compared."
        raise UserError(Problem("D077", "the file", what, "Give a table with two columns of texts."))


def _one_stratum(examples: Examples) -> NDArray[np.int64]:
    return np.zeros(len(examples), dtype=np.int64)
