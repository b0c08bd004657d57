"""Which column is the text and which the label: by name, then by content, with the reason in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from whet.data.rows import ABSENT
from whet.errors import Problem, UserError, did_you_mean

# Known names, the most telling first. Within one group all are equally likely, so that two of one
# group in a file are a question for the user.
TEXT_NAMES = (
    ("text",),
    (
        *("message", "sentence", "utterance", "review", "comment", "tweet", "question", "query", "content", "body"),
        *("post", "document", "input_text", "message_text", "review_text", "review_body", "comment_text", "tweet_text"),
    ),
    ("title", "headline", "subject", "description", "summary", "abstract", "input", "instruction", "prompt"),
)
PAIR_NAMES = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("sentence_1", "sentence_2"),
    ("text1", "text2"),
    ("text_1", "text_2"),
    ("text_a", "text_b"),
    ("question1", "question2"),
    ("question_1", "question_2"),
    ("query", "passage"),
    ("question", "sentence"),
    ("text", "text_pair"),
)
LABEL_NAMES = (
    ("label", "labels"),
    (
        *("intent", "intents", "class", "classes", "category", "categories", "sentiment", "topic", "topics", "target"),
        *("tag", "tags", "emotion", "emotions", "stance", "polarity", "gold_label", "label_text", "label_name", "y"),
    ),
)
ID_NAMES = re.compile(
    r"(.*[_ .-])?(id|ids|idx|index|uuid|guid|key|hash|number|nr|no|row|date|time|timestamp|created|created_at"
    r"|updated_at|url|link|file|filename|path|user|username|author|email)|\(column_\d+\)|unnamed.*"
)
"""Columns that stand for the row and not for what it says, as :func:`_plain` spells them; never chosen by content."""

LONGEST_LABEL = 60
"""Characters; a longer value is not taken for a label unless the user says so."""

MOST_LABELS = 1000


@dataclass(frozen=True, slots=True)
class Columns:
    """The choice. ``reasons`` has one sentence for each column that was chosen.

    ``negative``: a text, or a list of texts, that does not belong to ``text``; ``group``: what rows have in
    common; ``tokens``: the words of a row, where they stand in a column of their own.
    """

    text: str
    label: str | None = None
    text_pair: str | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    negative: str | None = None
    group: str | None = None
    tokens: str | None = None

    @property
    def wanted(self) -> list[str]:
        """The chosen columns, without repetition."""
        chosen = (self.text, self.text_pair, self.label, self.negative, self.group, self.tokens)
        return list(dict.fromkeys(name for name in chosen if name is not None))

    def to_json(self) -> dict[str, Any]:
        """A JSON object; ``Columns(**value)`` is the inverse."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known of one file when the choice is made."""

    where: str
    columns: Sequence[str]
    sample: Mapping[str, Sequence[Any]]


def choose(
    columns: Sequence[str],
    sample: Mapping[str, Sequence[Any]],
    *,
    where: str,
    text: str | None = None,
    text_pair: str | None = None,
    label: str | None = None,
    labelled: bool = True,
    pairs: bool = True,
) -> Columns:
    """Choose the columns of a file.

    :param sample: the values of the first rows by column; only looked at where names do not decide.
    :param where: the file, for messages.
    :param labelled: whether a label column is needed.
    :param pairs: whether two columns may be taken as a pair without being named.
    :raises UserError: D020 a named column does not exist, D021 the choice is not clear.
    """
    look = _Look(where, columns, sample)
    for option, name in (("data.text", text), ("data.text_pair", text_pair), ("data.label", label)):
        if name is not None:
            refuse_absent(option, name, columns, where)
    reasons: dict[str, str] = {}
    if text is None and text_pair is None and pairs:
        text, text_pair = _known_pair(look, label, reasons)
    if label is None and labelled:
        label, reasons["label"] = _label(look, {text, text_pair} - {None})
    elif label is not None:
        reasons["label"] = _given(label)
    if text is None:
        text, reasons["text"] = _text(look, {label, text_pair} - {None})
    reasons.setdefault("text", _given(text))
    if text_pair is not None:
        reasons.setdefault("text_pair", _given(text_pair))
    _refuse_same(text, text_pair, label, where)
    return Columns(text, label if labelled else None, text_pair, reasons)


def refuse_absent(option: str, name: str, columns: Sequence[str], where: str) -> None:
    """Check that a named column exists.

    :raises UserError: D020.
    """
    if name not in columns:
        what = f"{name!r} is not a column of {where} (columns: {', '.join(columns)})."
        raise UserError(Problem("D020", option, what, did_you_mean(name, columns)))


def _refuse_same(text: str, text_pair: str | None, label: str | None, where: str) -> None:
    named = [name for name in (text, text_pair, label) if name is not None]
    if len(set(named)) < len(named):
        what = f"one column cannot be two things (text: {text!r}, text_pair: {text_pair!r}, label: {label!r})."
        raise UserError(Problem("D021", where, what, "Name them with --text, --text-pair and --label."))


def _given(name: str) -> str:
    return f"column {name!r}: named by the user"


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _known_pair(look: _Look, label: str | None, reasons: dict[str, str]) -> tuple[str | None, str | None]:
    by_plain = {_plain(name): name for name in look.columns if name != label}
    for first, second in PAIR_NAMES:
        if first in by_plain and second in by_plain:
            names = (by_plain[first], by_plain[second])
            reasons["text"], reasons["text_pair"] = (
                f"column {name!r}: {part} of the known pair {names[0]!r} and {names[1]!r}"
                for name, part in zip(names, ("first", "second"), strict=True)
            )
            return names
    return None, None


def _by_name(look: _Look, groups: Sequence[Sequence[str]], taken: set[str | None]) -> list[str]:
    """The columns of the first group of known names that has any."""
    for group in groups:
        found = [name for name in look.columns if name not in taken and _plain(name) in group]
        if found:
            return found
    return []


def _label(look: _Look, taken: set[str | None]) -> tuple[str, str]:
    named = _by_name(look, LABEL_NAMES, taken)
    if len(named) == 1:
        return named[0], f"column {named[0]!r}: its name is a known one for the label"
    texts = set(_by_name(look, TEXT_NAMES, taken))
    candidates = named or [name for name in look.columns if name not in taken | texts and _is_label(look, name)]
    if len(candidates) != 1:
        raise _unclear(look, "label", candidates)
    name = candidates[0]
    _refuse_headerless(look, name)
    distinct = len(_distinct(look.sample[name]))
    return name, (
        f"column {name!r}: the only one with few, short, repeated values "
        f"({distinct} different ones in the first {len(look.sample[name]):,} rows)"
    )


def _text(look: _Look, taken: set[str | None]) -> tuple[str, str]:
    named = _by_name(look, TEXT_NAMES, taken)
    if len(named) == 1:
        return named[0], f"column {named[0]!r}: its name is a known one for the text"
    if named:
        raise _unclear(look, "text", named)
    free = [name for name in look.columns if name not in taken]
    candidates = [name for name in free if _is_text(look, name)]
    by_length = sorted(candidates, key=lambda name: -_mean_length(look.sample[name]))
    clear = len(by_length) == 1 or (
        len(by_length) > 1 and _mean_length(look.sample[by_length[0]]) > 3 * _mean_length(look.sample[by_length[1]])
    )
    if clear:
        return by_length[0], f"column {by_length[0]!r}: the one with long, mostly different values"
    if len(free) == 1 and not taken and not candidates:
        return free[0], f"column {free[0]!r}: the only one"
    raise _unclear(look, "text", candidates)


def _unclear(look: _Look, what: str, candidates: Sequence[str]) -> UserError:
    columns = ", ".join(look.columns)
    which = f"it could be {' or '.join(repr(name) for name in candidates)}" if candidates else "none looks like it"
    return UserError(
        Problem(
            "D021",
            look.where,
            f"which column is the {what} is not clear: {which} (columns: {columns}).",
            f"Name it with --{what}.",
        )
    )


def _refuse_headerless(look: _Look, name: str) -> None:
    """A header whose label cell is itself one of the labels is a first row, not a header."""
    if name in _distinct(look.sample[name]):
        what = f"the first line looks like a row, not like column names: {name!r} is also a value below it."
        raise UserError(Problem("D021", f"{look.where}:1", what, "Add a header, or name the column with --label."))


def _present(values: Sequence[Any]) -> list[Any]:
    return [value for value in values if value is not None and value is not ABSENT and value != ""]


def _distinct(values: Sequence[Any]) -> set[str]:
    return {str(value) for value in _present(values)}


def _mean_length(values: Sequence[Any]) -> float:
    present = [value for value in _present(values) if isinstance(value, str)]
    return sum(map(len, present)) / max(1, len(present))


def _is_label(look: _Look, name: str) -> bool:
    if ID_NAMES.fullmatch(_plain(name)):
        return False
    present = _present(look.sample[name])
    if not present or any(isinstance(value, dict | float) for value in present):
        return False
    distinct = _distinct(present)
    short = max(len(value) for value in distinct) <= LONGEST_LABEL
    return short and 2 <= len(distinct) <= min(MOST_LABELS, len(present) // 2)


def _is_text(look: _Look, name: str) -> bool:
    if ID_NAMES.fullmatch(_plain(name)):
        return False
    present = _present(look.sample[name])
    if not present or not all(isinstance(value, str) for value in present):
        return False
    words = sum(value.count(" ") + 1 for value in present) / len(present)
    return words >= 2.5 and 2 * len(set(present)) >= len(present)
