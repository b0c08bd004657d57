"""Which columns hold two texts, a score, or what belongs together: by name, then by content, with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whet.data import columns as labelled_columns
from whet.data.columns import ID_NAMES, PAIR_NAMES, Columns, refuse_absent
from whet.data.row_form import Choice, named
from whet.data.rows import ABSENT
from whet.data.scored_values import looks_like_numbers, share_of_numbers
from whet.errors import Problem, UserError

Names = Sequence[Sequence[str]]
"""Known names, the most telling group first; within one group all are equally likely."""

SCORES: Names = (
    ("score", "scores"),
    ("similarity", "similarity_score", "relatedness", "relatedness_score", "sts_score"),
    ("rating", "value", "target", "stars", "grade"),
    ("label", "labels", "y"),
)
RELEVANCES: Names = (
    ("relevance", "relevance_score", "rel"),
    ("score", "rating", "grade", "judgement", "judgment"),
    ("label", "labels", "relevant"),
)
QUERIES: Names = (("query", "anchor"), ("question", "query_text", "search_term", "q"), ("text",))
PASSAGES: Names = (
    ("text_pair",),
    ("passage", "document", "passage_text", "document_text", "doc"),
    ("text", "answer", "context", "content", "body", "sentence"),
)
POSITIVES: Names = (
    ("positive", "positives", "pos"),
    ("positive_passage", "positive_passages", "positive_document", "positive_documents"),
)
NEGATIVES: Names = (
    ("negative", "negatives", "neg"),
    ("negative_passage", "negative_passages", "negative_document", "negative_documents"),
    ("hard_negative", "hard_negatives"),
)
BELONGING = (
    *(("anchor", "positive"), ("query", "positive"), ("question", "positive"), ("sentence", "positive")),
    *(("question", "answer"), ("query", "answer"), ("title", "body"), ("anchor", "entailment")),
)
"""Names of two texts that belong together, without a score."""
_NUMBERED = re.compile(r"(?:hard_)?neg(?:ative)?s?_?[0-9]+")


MOSTLY = 0.8
"""Share of the cells that are numbers from which a column is meant to be of numbers: the others are told by line."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is known of one file while its columns are chosen; ``reasons`` fills up."""

    where: str
    columns: Sequence[str]
    sample: Mapping[str, Sequence[Any]]
    choice: Choice
    reasons: dict[str, str] = field(default_factory=dict)

    def known(self, names: Names, taken: set[str]) -> list[str]:
        """The columns of the first group of ``names`` that has any."""
        for group in names:
            found = [column for column in self.columns if column not in taken and plain(column) in group]
            if found:
                return found
        return []

    def given(self, part: str) -> str | None:
        """The column that the user named for ``part`` of the choice.

        :raises UserError: D020, there is none of that name.
        """
        name = named(getattr(self.choice, part))
        if name is not None:
            refuse_absent(f"data.{part}", name, self.columns, self.where)
            self.reasons[part] = f"column {name!r}: named by the user"
        return name

    def one(self, part: str, words: str, names: Names, taken: set[str]) -> str | None:
        """The column for ``part``, named by the user or known by its name; None where no name is known.

        :raises UserError: D020, D021 several are equally likely.
        """
        given = self.given(part)
        if given is not None:
            return given
        found = self.known(names, taken)
        if len(found) > 1:
            raise self.unclear(part, words, found)
        if found:
            self.reasons[part] = f"column {found[0]!r}: its name is a known one for the {words}"
        return found[0] if found else None

    def numeric(self, taken: set[str]) -> list[str]:
        """Columns of numbers that do not stand for the row; if there is none, those of numbers but for some cells."""
        free = [name for name in self.columns if name not in taken and not ID_NAMES.fullmatch(plain(name))]
        found = [name for name in free if looks_like_numbers(self.sample[name])]
        return found or [name for name in free if share_of_numbers(self.sample[name]) >= MOSTLY]

    def texts(self, taken: set[str]) -> list[str]:
        """Columns of texts that do not stand for the row."""
        free = [name for name in self.columns if name not in taken and not ID_NAMES.fullmatch(plain(name))]
        return [name for name in free if _are_texts(self.sample[name])]

    def unclear(self, part: str, words: str, candidates: Sequence[str]) -> UserError:
        """D021: none, or several, could be the column."""
        which = f"it could be {' or '.join(map(repr, candidates))}" if candidates else "none looks like it"
        what = f"which column is the {words} is not clear: {which} (columns: {', '.join(self.columns)})."
        return UserError(Problem("D021", self.where, what, f"Name it with --{part.replace('_', '-')}."))


def plain(name: str) -> str:
    """A column's name as known names are spelled."""
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _are_texts(values: Sequence[Any]) -> bool:
    there = [value for value in values if isinstance(value, str) and value.strip()]
    if not there or not all(value is None or value is ABSENT or isinstance(value, str) for value in values):
        return False
    words = sum(value.count(" ") + 1 for value in there) / len(there)
    return words >= 2.5 and not looks_like_numbers(there)


def score_column(look: Look, names: Names, words: str, taken: set[str]) -> str | None:
    """The column of scores: named, known by its name, or the only one of numbers; None where there is none.

    :raises UserError: D020; D021, several could be it.
    """
    found = look.one("label", words, names, taken)
    if found is not None:
        return found
    numeric = look.numeric(taken)
    if len(numeric) > 1:
        raise look.unclear("label", words, numeric)
    if numeric:
        but = "" if looks_like_numbers(look.sample[numeric[0]]) else ", but for some cells"
        look.reasons["label"] = f"column {numeric[0]!r}: the only one of numbers{but}"
    return numeric[0] if numeric else None


def two_texts(look: Look, pairs: Sequence[tuple[str, str]], taken: set[str]) -> tuple[str, str]:
    """The columns of the two texts: named, a known pair of names, or the only two columns of texts.

    :raises UserError: D020; D021, it is not clear.
    """
    first, second = look.given("text"), look.given("text_pair")
    by_plain = {plain(name): name for name in look.columns if name not in taken}
    for names in pairs:
        one, other = (by_plain.get(name) for name in names)
        if one is not None and other is not None and first in (None, one) and second in (None, other):
            _explain_pair(look, one, other)
            return one, other
    if first is None or second is None:
        first, second = _by_content(look, first, second, taken)
    if first == second:
        raise look.unclear("text_pair", "second text", [first])
    return first, second


def _explain_pair(look: Look, first: str, second: str) -> None:
    for part, name, words in (("text", first, "first"), ("text_pair", second, "second")):
        look.reasons.setdefault(part, f"column {name!r}: {words} of the known pair {first!r} and {second!r}")


def _by_content(look: Look, first: str | None, second: str | None, taken: set[str]) -> tuple[str, str]:
    free = look.texts(taken | {name for name in (first, second) if name is not None})
    chosen: dict[str, str | None] = {"text": first, "text_pair": second}
    missing = [part for part, name in chosen.items() if name is None]
    if len(free) != len(missing):
        raise look.unclear(missing[0], "first text" if missing[0] == "text" else "second text", free)
    why = "one of two columns of texts" if len(missing) == 2 else "the only other column of texts"
    for part, name in zip(missing, free, strict=True):
        chosen[part] = name
        look.reasons[part] = f"column {name!r}: {why}"
    return str(chosen["text"]), str(chosen["text_pair"])


def negative_column(look: Look, taken: set[str]) -> str | None:
    """The column of texts that do not belong, if there is one.

    :raises UserError: D020; D021, several could be it.
    """
    if look.choice.negative == "none":
        return None
    numbered = [name for name in look.columns if _NUMBERED.fullmatch(plain(name))]
    if named(look.choice.negative) is None and len(numbered) > 1:
        what = f"has negatives in several columns ({', '.join(numbered)})."
        remedy = "Put them into one column as a list, or name one with --set data.negative=COLUMN."
        raise UserError(Problem("D021", look.where, what, remedy))
    return look.one("negative", "texts that do not belong", (*NEGATIVES, numbered), taken)


def similar_columns(look: Look) -> Columns:
    """Two texts with a score, or two that belong together and perhaps some that do not.

    Together they are without a score column: by their names (anchor and positive), or since no column
    could be one. ``--label none`` says that there is none.
    """
    reasons = look.reasons
    if not look.choice.labelled:
        return Columns(*_unscored(look), reasons=reasons)
    known = {plain(name) for name in look.columns}
    named_so = any(first in known and second in known for first, second in BELONGING)
    together = look.choice.label == "none" or named(look.choice.negative) is not None
    if named(look.choice.label) is None and (together or named_so):
        text, pair = two_texts(look, (*BELONGING, *PAIR_NAMES), set())
        return _belonging(look, text, pair, "named as texts that belong together")
    given = {name for part in ("text", "text_pair") if (name := look.given(part)) is not None}
    score = score_column(look, SCORES, "score", given)
    text, pair = two_texts(look, (*PAIR_NAMES, *BELONGING), {score} if score else set())
    if score is None:
        return _belonging(look, text, pair, "no column of scores, so that the two texts of a row belong together")
    return Columns(text, score, pair, reasons)


def _unscored(look: Look) -> tuple[str, None, str]:
    text, pair = two_texts(look, (*PAIR_NAMES, *BELONGING), set())
    return text, None, pair


def _belonging(look: Look, text: str, pair: str, why: str) -> Columns:
    look.reasons["label"] = f"no score: {why}"
    return Columns(text, None, pair, look.reasons, negative_column(look, {text, pair}))


def scored_columns(look: Look) -> Columns:
    """One text or two, and a number.

    :raises UserError: D020, D021.
    """
    choice = look.choice
    score = None
    if choice.labelled:
        given = {name for part in ("text", "text_pair") if (name := look.given(part)) is not None}
        score = score_column(look, SCORES, "score", given)
        if score is None or score in given:
            raise look.unclear("label", "score", [score] if score else [])
    without = [name for name in look.columns if name != score]
    found = labelled_columns.choose(
        without,
        look.sample,
        where=look.where,
        text=named(choice.text),
        text_pair=named(choice.text_pair),
        labelled=False,
        pairs=choice.text_pair != "none",
    )
    return Columns(found.text, score, found.text_pair, look.reasons | found.reasons)


def judged_columns(look: Look) -> Columns:
    """A query, a passage, and how relevant it is.

    :raises UserError: D020, D021.
    """
    query = look.one("text", "query", QUERIES, _given(look, "text_pair", "label"))
    if query is None:
        raise look.unclear("text", "query", look.texts(_given(look, "text_pair", "label")))
    passage = look.one("text_pair", "passage", (*POSITIVES, *PASSAGES), {query} | _given(look, "label"))
    if passage is None:
        candidates = look.texts({query} | _given(look, "label"))
        if len(candidates) != 1:
            raise look.unclear("text_pair", "passage", candidates)
        passage = candidates[0]
        look.reasons["text_pair"] = f"column {passage!r}: the only other one of texts"
    if not look.choice.labelled:
        return Columns(query, None, passage, look.reasons)
    relevance = score_column(look, RELEVANCES, "relevance", {query, passage})
    if relevance is None:
        raise look.unclear("label", "relevance", [])
    if len({query, passage, relevance}) < 3:
        raise look.unclear("label", "relevance", [relevance])
    return Columns(query, relevance, passage, look.reasons)


def _given(look: Look, *parts: str) -> set[str]:
    return {name for part in parts if (name := named(getattr(look.choice, part))) is not None}
