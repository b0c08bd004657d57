"""Words to tokens, so that each word knows its tokens whatever the text and the tokenizer: in windows if long.

A tokenizer is not asked where its tokens lie in a text: normalisers (NFKC, lower case, accents) move
characters, and a token may span two words. Each word goes in by itself, with the blank before it, and what
comes out is its own. Where a tokenizer would put a blank before everything it is given, that is switched
off, so that the tokens are those of the running text.

Places (:class:`whet.batches.encoding.Piece`): every token of a word has the word's start and end, but for
the mere blank before it, which has -1 like the tokenizer's frame. The first with places stands for the word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.batches.encoding import Counted, Piece
from whet.batches.spread import spread
from whet.batches.tokenising import blank, uncut_backend
from whet.data.entity_words import word_places

Ints = NDArray[np.int64]

MARKS = ("\u2581", "\u0120")
"""What stands for a blank in tokens of SentencePiece, and of byte-level BPE."""


class Pieces:
    """A tokenizer that is given words. ``before`` and ``behind``: the tokens that frame a sequence."""

    def __init__(self, tokenizer: Any) -> None:
        from tokenizers import Tokenizer

        plain = uncut_backend(tokenizer)
        rules = json.loads(plain.to_str())
        self.begins_with_blank = _without_prefix(rules)
        self.backend = Tokenizer.from_str(json.dumps(rules)) if self.begins_with_blank else plain
        self.before, self.behind = _frame(plain, tokenizer)
        self.nothing = _nothing(plain, tokenizer)
        known = (self.backend.token_to_id(mark) for mark in MARKS)
        self.blanks = np.asarray([number for number in known if number is not None], np.int64)

    def tokens(self, rows: Sequence[tuple[str, Sequence[int]]]) -> Tokens:
        """The tokens of all words of ``rows``: texts, and start and end of each of their words."""
        pieces = [self._pieces(text, words) for text, words in rows]
        encodings = self.backend.encode_batch(pieces, is_pretokenized=True, add_special_tokens=False)
        counts = np.fromiter((len(row) for row in pieces), np.int64, len(pieces))
        lengths = np.fromiter((len(one) for one in encodings), np.int64, len(encodings))
        ids = np.fromiter((i for one in encodings for i in one.ids), np.int64, int(lengths.sum()))
        words = np.fromiter((i for one in encodings for i in one.word_ids), np.int64, len(ids))
        words += np.repeat(np.cumsum(counts) - counts, lengths)
        sizes = np.bincount(words, minlength=int(counts.sum()))
        empty = np.flatnonzero(sizes == 0)
        if len(empty):  # a word of which the tokenizer leaves nothing still wants its answer
            at = np.searchsorted(words, empty)
            ids, words = np.insert(ids, at, self.nothing), np.insert(words, at, empty)
            sizes[empty] = 1
        return Tokens(ids, words, sizes, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), self.blanks)

    def _pieces(self, text: str, words: Sequence[int]) -> list[str]:
        found = []
        for start, end in zip(words[::2], words[1::2], strict=True):
            parted = text[start - 1].isspace() if start else False
            found.append(" " + text[start:end] if parted else text[start:end])
        if found and self.begins_with_blank and not found[0].startswith(" "):
            found[0] = " " + found[0]
        return found


@dataclass(frozen=True)
class Tokens:
    """t tokens of W words of n rows.

    - ``ids`` (t,); ``words`` (t,) the word of each, ascending; ``sizes`` (W,) tokens of each word, at least 1.
    - ``offsets`` (n + 1,): the words of each row. ``blanks``: tokens that are a mere blank.
    """

    ids: Ints
    words: Ints
    sizes: Ints
    offsets: Ints
    blanks: Ints

    @cached_property
    def ends(self) -> Ints:
        """(W + 1,) where the tokens of each word begin, and the end."""
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(self.sizes)])

    @cached_property
    def placed(self) -> NDArray[np.bool_]:
        """(t,) whether a token says something of its word: not the mere blank before other tokens."""
        first = np.zeros(len(self.ids), bool)
        first[self.ends[:-1][self.sizes > 1]] = True
        return ~(first & np.isin(self.ids, self.blanks))


def pieces_of(
    pieces: Pieces, blocks: Iterable[Mapping[str, Sequence[Any]]], limit: int, stride: int, counted: Counted
) -> Iterator[Piece]:
    """Rows of ``text`` and ``words`` as sequences of at most ``limit`` tokens, long rows in several.

    Where a block has no ``words``, they are found in its texts.


    :param stride: tokens that two windows of a row have in common, about.
    """
    room = limit - len(pieces.before) - len(pieces.behind)
    if room < 1:
        raise ValueError(f"{limit} tokens leave no room beside the frame of the tokenizer")
    done = 0
    for block in blocks:
        texts = block["text"]
        words = block["words"] if "words" in block else [word_places(text) for text in texts]
        tokens = pieces.tokens(list(zip(texts, words, strict=True)))
        counted.tokens_total += len(tokens.ids) + len(texts) * (limit - room)
        yield _piece(pieces, tokens, _flat(words), _windows(tokens, room, stride, counted), room, done)
        done += len(texts)


@dataclass(frozen=True, slots=True)
class _Windows:
    """s windows: their row, the first word and the word behind the last."""

    rows: Ints
    first: Ints
    last: Ints


def _windows(tokens: Tokens, room: int, stride: int, counted: Counted) -> _Windows:
    """One window a row, several where ``room`` tokens do not hold it; cut between words."""
    sizes = np.minimum(tokens.sizes, room)
    ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    first, last = tokens.offsets[:-1], tokens.offsets[1:]
    rows = np.arange(len(first))
    long = np.flatnonzero(ends[last] - ends[first] > room)
    cut = np.flatnonzero(tokens.sizes > room)
    counted.rows += len(np.unique(np.searchsorted(tokens.offsets, cut, side="right")))
    counted.tokens_cut += int((tokens.sizes - sizes).sum())
    if not len(long):
        return _Windows(rows, first, last)
    found = {int(row): _cut_row(ends, int(first[row]), int(last[row]), room, stride) for row in long}
    parts = [np.asarray(found.get(row, [(first[row], last[row])])) for row in range(len(first))]
    table = np.concatenate(parts)
    return _Windows(np.repeat(rows, [len(part) for part in parts]), table[:, 0], table[:, 1])


def _cut_row(ends: Ints, first: int, last: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Windows over the words ``first`` to ``last``, whose tokens end at ``ends``; the last is as full as the others."""
    found: list[tuple[int, int]] = []
    begin = first
    while True:
        end = int(np.searchsorted(ends, ends[begin] + room, side="right")) - 1
        if end >= last:
            full = int(np.searchsorted(ends, ends[last] - room))
            found.append((max(first, full, found[-1][0] + 1 if found else first), last))
            return found
        found.append((begin, end))
        begin = max(begin + 1, int(np.searchsorted(ends, ends[end] - stride)))


def _piece(pieces: Pieces, tokens: Tokens, places: NDArray[np.int32], windows: _Windows, room: int, done: int) -> Piece:
    """Lay the windows out, each in its frame."""
    before, behind = len(pieces.before), len(pieces.behind)
    starts, stops = tokens.ends[windows.first], tokens.ends[windows.last]
    sizes = stops - starts
    inner = spread(starts, sizes)
    window = np.repeat(np.arange(len(sizes)), sizes)
    within = inner - tokens.ends[tokens.words[inner]]
    kept = within < room  # of a word longer than a window, its beginning
    inner, window = inner[kept], window[kept]
    inside = np.bincount(window, minlength=len(sizes))
    lone = (inside == 0) & (before + behind == 0)  # no word and no frame: a model wants at least one token
    lengths = inside + before + behind + lone
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    ids = np.full(int(offsets[-1]), pieces.nothing, np.int64)
    where = np.full((len(ids), 2), -1, np.int32)
    for place, token in enumerate(pieces.before):
        ids[offsets[:-1] + place] = token
    for place, token in enumerate(pieces.behind):
        ids[offsets[1:] - behind + place] = token
    at = offsets[window] + before + np.arange(len(inner)) - (np.cumsum(inside) - inside)[window]
    ids[at] = tokens.ids[inner]
    where[at] = np.where(tokens.placed[inner, None], places[tokens.words[inner]], -1)
    return Piece(ids.astype(np.uint32), lengths, rows=windows.rows + done, places=where)


def _flat(words: Sequence[Sequence[int]]) -> NDArray[np.int32]:
    """(W, 2)."""
    total = sum(map(len, words))
    return np.fromiter((place for row in words for place in row), np.int32, total).reshape(-1, 2)


def first_tokens(offsets: Ints, places: NDArray[np.int32], rows: Ints) -> tuple[Ints, Ints]:
    """(W,) for each word of each row, in order, the token that stands for it; and the row.

    A word that stands in several windows of its row takes the one in which it has most tokens on its shorter
    side; at the edge of a text nothing is missing.
    """
    starts = np.asarray(places[:, 0])
    stands = starts >= 0
    stands[1:] &= starts[1:] != starts[:-1]
    begins = np.zeros(len(starts), bool)
    begins[offsets[:-1][offsets[:-1] < len(starts)]] = True
    stands |= (starts >= 0) & begins
    tokens = np.flatnonzero(stands)
    sequence = np.searchsorted(offsets, tokens, side="right") - 1
    row = np.asarray(rows)[sequence]
    if len(rows) == 0 or (np.diff(rows) > 0).all():
        return tokens, row
    opens, closes = _edges(np.asarray(rows))
    far = np.iinfo(np.int64).max
    left = np.where(opens[sequence], far, tokens - offsets[sequence])
    right = np.where(closes[sequence], far, offsets[sequence + 1] - 1 - tokens)
    order = np.lexsort((-np.minimum(left, right), starts[tokens], row))
    tokens, row = tokens[order], row[order]
    word = np.stack([row, starts[tokens]])
    new = np.ones(len(tokens), bool)
    new[1:] = (word[:, 1:] != word[:, :-1]).any(axis=0)
    return tokens[new], row[new]


def _edges(rows: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(S,) whether a sequence is the first, and the last, of its row."""
    change = rows[1:] != rows[:-1]
    return np.concatenate([[True], change]), np.concatenate([change, [True]])


# --- what a tokenizer does by itself ----------------------------------------------------------------------


def _without_prefix(rules: dict[str, Any]) -> bool:
    """Change ``rules`` so that no blank is put before a text; True if one was."""
    found = False
    for part in _parts(rules.get("pre_tokenizer"), "pretokenizers"):
        if part["type"] == "ByteLevel" and part.get("add_prefix_space"):
            part["add_prefix_space"] = False
            found = True
        if part["type"] == "Metaspace" and part.get("prepend_scheme", "always") != "never":
            part["prepend_scheme"] = "never"
            found = True
    normalizer = rules.get("normalizer")
    for part in _parts(normalizer, "normalizers"):
        if part["type"] == "Prepend" and part.get("prepend") == MARKS[0]:
            part["prepend"] = ""
            found = True
    if found:
        _keep_blanks(rules)
    return found


def _keep_blanks(rules: dict[str, Any]) -> None:
    """Leave out what takes the blank off a word before Metaspace can see it."""
    outer = rules.get("pre_tokenizer") or {}
    if outer.get("type") == "Sequence":
        kinds = [part["type"] for part in outer["pretokenizers"]]
        if "Metaspace" in kinds:
            outer["pretokenizers"] = [part for part in outer["pretokenizers"] if part["type"] != "WhitespaceSplit"]
    for part in _parts(rules.get("normalizer"), "normalizers"):
        if part["type"] == "Strip":
            part["strip_left"] = False


def _parts(rule: dict[str, Any] | None, inside: str) -> Iterator[dict[str, Any]]:
    """A rule, or the rules within a sequence of them."""
    if rule is None:
        return
    if rule["type"] == "Sequence":
        for part in rule[inside]:
            yield from _parts(part, inside)
    else:
        yield rule


def _frame(backend: Any, tokenizer: Any) -> tuple[list[int], list[int]]:
    """The tokens that a tokenizer puts before and behind every sequence."""
    for word in ("a", "1", ".", blank(tokenizer)):
        plain = backend.encode([word], is_pretokenized=True, add_special_tokens=False)
        if len(plain):
            ids = backend.encode([word], is_pretokenized=True).ids
            start = next(n for n in range(len(ids)) if ids[n : n + len(plain)] == plain.ids)
            return ids[:start], ids[start + len(plain) :]
    return backend.encode([], is_pretokenized=True).ids, []


def _nothing(backend: Any, tokenizer: Any) -> int:
    """The token of a word of which nothing is left."""
    if tokenizer.unk_token_id is not None:
        return int(tokenizer.unk_token_id)
    found = backend.encode(blank(tokenizer), add_special_tokens=False).ids
    return int(found[0]) if found else 0
