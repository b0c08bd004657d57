"""Words and entities of a split as flat arrays, and entities as tags of words and back.

Of C types there are 2 C + 1 tags: 0 is O, 1 + 2 c begins an entity of type c, 2 + 2 c goes on with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whet.data.entity_words import word_places
from whet.data.forms import Examples
from whet.data.ragged import Ints, Spans, offsets_of

FAR = 1 << 32
"""More than any position in a text: row * FAR + position orders positions of all rows."""


def tag_names(labels: Sequence[str]) -> tuple[str, ...]:
    """The 2 C + 1 tags of C types, in their order."""
    return ("O", *(f"{letter}-{label}" for label in labels for letter in "BI"))


@dataclass(frozen=True, slots=True)
class Words:
    """W words of n rows: ``offsets`` (n + 1,) as in :class:`Spans`; ``starts``, ``ends`` (W,) characters."""

    offsets: Ints
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]

    @staticmethod
    def of(examples: Examples) -> Words:
        """All words of a split; found in the texts where rows do not say them."""
        lengths, places = [], []
        for batch in examples.blocks():
            named = examples.shape.has("words")
            column = batch["words"] if named else _found(batch["text"])
            lengths.append(_lengths(column) // 2)
            places.append(column.flatten().to_numpy().reshape(-1, 2))
        flat = np.concatenate(places) if places else np.zeros((0, 2), np.int32)
        offsets = offsets_of(np.concatenate(lengths) if lengths else ())
        return Words(offsets, np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1]))

    @property
    def rows(self) -> Ints:
        """(W,) the row of each word."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def __len__(self) -> int:
        """W."""
        return len(self.starts)


def _found(texts: pa.Array) -> pa.ListArray:
    return pa.array([word_places(text) for text in texts.to_pylist()], pa.list_(pa.int32()))


def entities(examples: Examples, labels: Sequence[str]) -> Spans | None:
    """The true spans of a split, -1 for types that ``labels`` do not list; None where nothing is known."""
    if not examples.shape.has("spans"):
        return None
    known = pa.array(list(labels), pa.string())
    lengths, fields = [np.zeros(0, np.int64)], []
    for batch in examples.blocks():
        lengths.append(_lengths(batch["spans"]))
        inside = batch["spans"].flatten()
        types = pc.fill_null(pc.index_in(inside.field("label"), value_set=known), -1)
        starts, ends = inside.field("start"), inside.field("end")
        fields.append(np.stack([column.to_numpy(zero_copy_only=False) for column in (starts, ends, types)]))
    table = np.concatenate(fields, axis=1) if fields else np.zeros((3, 0))
    starts, ends, types = (np.ascontiguousarray(row, np.int32) for row in table)
    return Spans(offsets_of(np.concatenate(lengths)), starts, ends, types)


def _lengths(column: pa.ListArray) -> Ints:
    return np.asarray(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False), np.int64)


def covered(words: Words, spans: Spans) -> tuple[Ints, Ints]:
    """(m,) first word, and word behind the last, that each span touches; no word twice.

    A span that begins or ends within a word takes the whole of it; of two spans in one word the first.
    Where nothing is left, the two numbers are equal.
    """
    rows = spans.rows
    first = np.searchsorted(words.rows * FAR + words.ends, rows * FAR + spans.starts, side="right")
    last = np.searchsorted(words.rows * FAR + words.starts, rows * FAR + spans.ends, side="left")
    taken = np.maximum.accumulate(np.concatenate([np.zeros(1, np.int64), last]))[:-1]
    first = np.maximum(first, taken)
    return first, np.maximum(first, last)


def word_tags(words: Words, spans: Spans) -> Ints:
    """(W,) the tag of every word; spans of an unknown type count as none."""
    tags = np.zeros(len(words), np.int64)
    first, last = covered(words, spans)
    some = (last > first) & (spans.types >= 0)
    first, lengths, types = first[some], (last - first)[some], spans.types[some].astype(np.int64)
    begins = np.cumsum(lengths) - lengths
    inside = np.arange(int(lengths.sum())) + np.repeat(first - begins, lengths)
    tags[inside] = np.repeat(2 + 2 * types, lengths)
    tags[first] = 1 + 2 * types
    return tags


def spans_of_tags(words: Words, tags: Ints) -> tuple[Spans, Ints, Ints]:
    """The entities of a sequence of tags without break; with (m,) first words and words behind the last."""
    row_begins = np.zeros(len(words) + 1, bool)
    row_begins[words.offsets] = True
    goes_on = (tags > 0) & (tags % 2 == 0)
    first = np.flatnonzero(tags % 2 == 1)
    stops = np.flatnonzero(np.concatenate([~goes_on, [True]]) | row_begins)
    last = stops[np.searchsorted(stops, first, side="right")]
    types = ((tags[first] - 1) // 2).astype(np.int32)
    counts = np.bincount(words.rows[first], minlength=len(words.offsets) - 1)
    return Spans(offsets_of(counts), words.starts[first], words.ends[last - 1], types), first, last


def surface(text: str) -> str:
    """The words of an entity as they are compared: lower case, blanks collapsed."""
    return " ".join(text.casefold().split())


def surfaces(examples: Examples) -> Iterator[list[tuple[str, str]]]:
    """For each row, the surface and the type of each of its entities."""
    for block in examples.column_blocks(["text", "spans"]):
        for text, spans in zip(block["text"], block["spans"], strict=True):
            yield [(surface(text[span["start"] : span["end"]]), span["label"]) for span in spans]


def known_forms(examples: Examples) -> frozenset[tuple[str, str]]:
    """All pairs of a surface and a type that occur."""
    return frozenset(pair for row in surfaces(examples) for pair in row)


def seen_in(examples: Examples, forms: frozenset[tuple[str, str]]) -> NDArray[np.bool_]:
    """(g,) whether each true span's surface stands among ``forms`` with its type."""
    return np.fromiter((pair in forms for row in surfaces(examples) for pair in row), bool)
