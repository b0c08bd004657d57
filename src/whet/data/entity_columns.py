"""Which columns hold the words and their tags, or the text and its spans: by name, then by content."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from whet.data.columns import Columns, choose, refuse_absent
from whet.data.entity_spans import is_span, listed
from whet.data.entity_tags import parsed
from whet.data.row_form import Choice, named
from whet.data.rows import ABSENT
from whet.errors import Problem, UserError

WORD_NAMES = ("tokens", "words", "token", "word", "tokenized", "tokenised", "text_tokens", "sentence", "text")
TAG_NAMES = (
    "tags",
    "ner_tags",
    "ner",
    "bio_tags",
    "bio",
    "iob",
    "entity_tags",
    "slots",
    "slot_labels",
    "labels",
    "label",
)
SPAN_NAMES = ("spans", "entities", "ents", "labels", "label", "annotations", "annotation", "ner", "slots")
"""Known names, the most telling first; none of them is chosen if its values are of another kind."""

LOOKED_AT = 500
"""Rows whose values tell what a column holds."""

MOSTLY = 0.9
"""Share of strings that must be tags for a column to be one of tags, some of which may be malformed."""

Kind = Literal["tags", "numbers", "words", "spans", "empty", "text", "other"]
"""Lists of tags, of numbers, of strings, of spans, nothing, strings, anything else."""

ORDER: tuple[Kind, ...] = ("tags", "spans", "numbers", "words", "text", "other", "empty")
"""Of two kinds that are equally frequent in a column, the first is taken."""


def choose_entities(columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice) -> Columns:
    """The columns of a file, with a reason in words each. ``tokens`` is set where words stand apart.

    :raises UserError: D020 a named column does not exist, D021 the choice is not clear.
    """
    for option, name in (("data.text", named(choice.text)), ("data.label", named(choice.label))):
        if name is not None:
            refuse_absent(option, name, columns, where)
    kinds = {name: kind_of(sample.get(name, ())) for name in columns}
    look = _Look(where, columns, sample, kinds)
    text = named(choice.text)
    if not choice.labelled:
        return _unlabelled(look, text)
    label, kind = _truth(look, named(choice.label), text)
    return _with_tags(look, text, label) if kind == "tags" else _with_spans(look, text, label)


@dataclass(frozen=True, slots=True)
class _Look:
    """What the choice is made from."""

    where: str
    columns: Sequence[str]
    sample: Mapping[str, Sequence[Any]]
    kinds: Mapping[str, Kind]

    def of(self, *kinds: Kind, known: Sequence[str] = (), but: str | None = None) -> list[str]:
        """Columns of these kinds but one; if any has a known name, only the one whose name tells most."""
        found = [name for name in self.columns if self.kinds[name] in kinds and name != but]
        by_name = [name for wanted in known for name in found if name.strip().lower().replace(" ", "_") == wanted]
        return by_name[:1] or found

    def unclear(self, what: str, remedy: str) -> UserError:
        """D021."""
        held = ", ".join(f"{name} ({_WORDS_FOR[self.kinds[name]]})" for name in self.columns)
        return UserError(Problem("D021", self.where, f"{what} (columns: {held}).", remedy))


_WORDS_FOR: dict[Kind, str] = {
    "tags": "tags",
    "numbers": "lists of numbers",
    "words": "lists of words",
    "spans": "spans",
    "empty": "nothing",
    "text": "text",
    "other": "something else",
}


def kind_of(values: Sequence[Any]) -> Kind:
    """What a column holds: what most of its first values are, so that a bad one is told as what it is."""
    present = [value for value in values if value is not None and value is not ABSENT and value != ""][:LOOKED_AT]
    counts = Counter(_kind_of_value(value) for value in present)
    counts.pop("empty", None)
    return max(counts, key=lambda kind: (counts[kind], -ORDER.index(kind))) if counts else "empty"


def _kind_of_value(value: Any) -> Kind:
    if isinstance(value, str) and value.lstrip()[:1] not in ("[", "{"):
        return "tags" if _are_tags(value.split()) else "text"
    items = listed(value)
    if items is None:
        return "text" if isinstance(value, str) else "other"
    items = [item for item in items if item is not None]
    if not items:
        return "empty"
    if all(isinstance(item, str) for item in items):
        return "tags" if _are_tags(items) else "words"
    if all(isinstance(item, int) and not isinstance(item, bool) for item in items):
        return "numbers"
    return "spans" if any(is_span(item) for item in items) else "other"


def _are_tags(words: Sequence[str]) -> bool:
    return sum(parsed(word) is not None and word != "" for word in words) >= MOSTLY * len(words) > 0


def as_words(value: Any) -> Any:
    """The words or tags of one cell as a list where it is a string: JSON, or parted by blanks; None if it is blank."""
    if not isinstance(value, str):
        return value
    if not value or value.isspace():
        return None
    if value.lstrip()[:1] == "[":
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return value.split()


def _truth(look: _Look, label: str | None, text: str | None) -> tuple[str, Kind]:
    """The column of what is to be predicted, and whether it holds "tags" or "spans"."""
    words = look.of("words", but=label)
    if label is not None:
        kind = look.kinds[label]
        if kind in ("text", "other"):
            raise look.unclear(f"{label!r} holds neither tags nor spans", "Name another column with --label.")
        return label, "spans" if kind == "spans" or (kind == "empty" and not words) else "tags"
    tags = look.of("tags", known=TAG_NAMES, but=text)
    spans = look.of("spans", known=SPAN_NAMES, but=text)
    if not tags and not spans:  # by its name alone, so that what is wrong with its values can be said
        named_so = [name for name in look.of("words", "numbers") if name.lower() in TAG_NAMES]
        tags = sorted(named_so, key=lambda name: TAG_NAMES.index(name.lower()))[:1]
        words = [name for name in words if name not in tags]
    in_cells = [name for name in tags if look.kinds[name] == "tags" and _holds_strings(look.sample[name])]
    if len(tags) == 1 and (words or look.kinds.get(text or "") in ("words", "text") or (in_cells and not spans)):
        return tags[0], "tags"
    if not tags and not spans:
        known = TAG_NAMES if words else SPAN_NAMES
        empty = [name for name in look.of("empty", known=known) if name.lower() in known]
        if empty:
            return empty[0], "tags" if words else "spans"
    if len(spans) == 1 and (not tags or look.of("text")):
        return spans[0], "spans"
    several = [*tags, *spans]
    which = f"it could be {' or '.join(map(repr, several))}" if several else "none looks like tags or spans"
    raise look.unclear(f"which column holds the entities is not clear: {which}", _REMEDY)


_REMEDY = "Name it with --label: tags as in ['O', 'B-person'], or spans as in [[0, 5, 'person']]."


def _with_tags(look: _Look, text: str | None, label: str) -> Columns:
    reasons = {"label": f"column {label!r}: a tag for each word"}
    if text is None:
        kind: Kind = "text" if _holds_strings(look.sample[label]) else "words"
        # Words that all look like tags ("I", "B") are no reason to lose a column of a known name.
        found = look.of(kind, known=WORD_NAMES, but=label) or look.of("tags", "empty", known=WORD_NAMES, but=label)
        if len(found) != 1:
            which = f"it could be {' or '.join(map(repr, found))}" if found else "none looks like it"
            what = f"which column holds the words that {label!r} speaks of is not clear: {which}"
            raise look.unclear(what, "Name it with --text.")
        text, reasons["text"] = found[0], f"column {found[0]!r}: the words of each row"
    else:
        reasons["text"] = f"column {text!r}: named by the user"
    _refuse_single_words(look, text)
    return Columns(text, label, None, reasons, tokens=text)


def _with_spans(look: _Look, text: str | None, label: str) -> Columns:
    texts = [name for name in look.columns if look.kinds[name] == "text" and name != label]
    if (text or next(iter(texts), None)) not in texts:
        what = f"{label!r} gives positions in a text, and {'there is none' if text is None else f'{text!r} is none'}"
        raise look.unclear(what, "Give the text whose characters they count, or a tag for each word.")
    chosen = choose(texts, look.sample, where=look.where, text=text, pairs=False, labelled=False)
    reasons = {**chosen.reasons, "label": f"column {label!r}: the spans of each row"}
    return replace(chosen, label=label, reasons=reasons)


def _unlabelled(look: _Look, text: str | None) -> Columns:
    words = [text] if text is not None and look.kinds[text] == "words" else []
    if text is None:
        words = [name for name in look.of("words", "tags", known=WORD_NAMES) if name.lower() in WORD_NAMES]
        words = [name for name in words if not _holds_strings(look.sample[name])]
    if words:
        return Columns(words[0], None, None, {"text": f"column {words[0]!r}: the words of each row"}, tokens=words[0])
    return choose(look.columns, look.sample, where=look.where, text=text, pairs=False, labelled=False)


def _holds_strings(values: Sequence[Any]) -> bool:
    """Whether tags or words stand in one string a row, parted by blanks."""
    first = next((value for value in values if value is not None and value is not ABSENT and value != ""), None)
    return isinstance(first, str) and first.lstrip()[:1] != "["


def _refuse_single_words(look: _Look, text: str) -> None:
    """A table with a word a row has lost where its sentences end."""
    present = [value for value in look.sample[text] if isinstance(value, str) and value.strip()]
    if len(present) >= 8 and len(present) == len(look.sample[text]) and all(len(v.split()) == 1 for v in present):
        remedy = "Give a row per sentence, or a .conll file: a word and its tag a line, a blank line between sentences."
        raise look.unclear(f"every row of {text!r} is a single word", remedy)
