"""The labelled form: texts, single or in pairs, with a label or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.balance import nearly_alike, prior_shift
from whet.data.columns import Columns, choose
from whet.data.duplicates import label_keys
from whet.data.forms import Examples, Shape
from whet.data.labels import refuse_one_class, refuse_unknown_labels
from whet.data.row_form import Choice, RowForm, Taken, Taking, named
from whet.data.rows import ABSENT, Block
from whet.data.values import several_labels, single_labels, texts
from whet.errors import Problems, UserError
from whet.findings import Finding


class Labelled(RowForm):
    """Rows of :mod:`whet.data.labelled`."""

    name = "labelled"
    truth = "label"
    truth_words = "label"
    truths_words = "labels"

    def choose(
        self, columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice
    ) -> Columns:
        """Text, label and second text, by name and then by content."""
        return choose(
            columns,
            sample,
            where=where,
            text=named(choice.text),
            text_pair=named(choice.text_pair),
            label=named(choice.label),
            pairs=choice.text_pair != "none",
            labelled=choice.labelled,
        )

    def shape(self, columns: Columns, sample: Mapping[str, Sequence[Any]], choice: Choice) -> Shape:
        """One label or a list of labels, by the first value that is there."""
        several = False
        if columns.label is not None:
            values = (value for value in sample[columns.label] if value is not None and value is not ABSENT)
            several = choice.label_separator is not None or isinstance(next(values, None), list)
        return Shape.labelled_rows(columns.text_pair is not None, columns.label is not None, several)

    def take(self, block: Block, taking: Taking) -> Taken:
        """Texts as they stand, labels by their names."""
        chosen, problems = taking.columns, taking.problems
        rows: dict[str, list[Any]] = {
            "text": texts(block.column(chosen.text), taking.place(block, chosen.text), problems)
        }
        if chosen.text_pair is not None:
            place = taking.place(block, chosen.text_pair)
            rows["text_pair"] = texts(block.column(chosen.text_pair), place, problems)
        if chosen.label is None:
            return Taken(rows)
        values, place = block.column(chosen.label), taking.place(block, chosen.label)
        if taking.shape.multi_label:
            found: list[Any] = list(several_labels(values, taking.choice.label_separator, place, problems))
        else:
            found = list(single_labels(values, place, problems))
        rows["label"] = found
        return Taken(rows, [row for row, label in enumerate(found) if label is None] if None in found else ())

    def labels(self, train: Examples) -> tuple[str, ...]:
        """All labels that occur."""
        return train.vocabulary()

    def check(self, given: Mapping[str, Examples], labels: Sequence[str], where: str) -> None:
        """:raises UserError: D031 one class only, D032 labels that training lacks."""
        refuse_one_class(given["train"], labels, where)
        problems = Problems()
        for split, examples in given.items():
            if split != "train":
                try:
                    self.refuse_unknown(examples, labels)
                except UserError as error:
                    for problem in error.problems:
                        problems.add(problem.code, problem.where, problem.what, problem.remedy)
        problems.raise_if_any()

    def refuse_unknown(self, examples: Examples, labels: Sequence[str]) -> None:
        """:raises UserError: D032."""
        refuse_unknown_labels(examples, labels)

    def strata(self, examples: Examples, labels: Sequence[str]) -> NDArray[Any]:
        """By label, or the labels of each row."""
        return examples.label_ids(labels)

    def counts(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.int64]:
        """Rows per label."""
        return examples.label_counts(labels)

    def truths(self, examples: Examples, labels: Sequence[str]) -> NDArray[np.uint64]:
        """The label, or the set of labels."""
        return label_keys(examples.label_ids(labels))

    def findings(self, splits: Mapping[str, Examples], labels: Sequence[str]) -> list[Finding]:
        """A008 shift of label shares between splits, A015 labels of nearly one name."""
        counts = {split: self.counts(examples, labels) for split, examples in splits.items()}
        rows = {split: len(examples) for split, examples in splits.items()}
        several = next(iter(splits.values())).multi_label
        return [prior_shift(labels, counts, rows, several), nearly_alike(labels)]
