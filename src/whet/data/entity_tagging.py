"""Words with a tag each: the rows of one block, their tags checked and turned into entities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from whet.data.entity_tags import OUTSIDE, Tally, parsed, spans_of
from whet.data.row_form import Taking
from whet.data.rows import ABSENT

EMPTY_WORDS = "words without a character were left out"


class TaggedRows:
    """The rows of one block: ``words`` and ``spans`` (in words; None where nothing is said) of each.

    ``emptied``: rows of which words without a character were left out.
    """

    def __init__(self, taking: Taking, tally: Tally) -> None:
        self.taking, self.tally = taking, tally
        self.words: list[list[str]] = []
        self.spans: list[list[tuple[int, int, str]] | None] = []
        self.emptied: list[int] = []

    def add(self, line: int, words: Any, tags: Any, wanted: bool) -> None:
        """One row; ``wanted``: tags are to be there."""
        words = [] if words is None else words
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            what = "has no words." if words is ABSENT else f"{words!r:.60} is no list of words."
            self._refuse("D057", line, what, 'Write words as ["so", "and", "so"].')
            words, tags = [], []
        if not wanted or tags is None or tags is ABSENT:
            self._keep([word for word in words if word], None, len(words))
            return
        if not self._are_tags(line, words, tags):
            self._keep(words, [], len(words))
            return
        for number, (word, tag) in enumerate(zip(words, tags, strict=True)):
            if not word and tag != OUTSIDE:
                self._refuse("D058", line, f"word {number + 1} has a tag and no character.", "Take it out.", number)
        self.tally.add(tags, line)
        full = list(accumulate((word != "" for word in words), initial=0))
        spans = [(full[a], full[b], kind) for a, b, kind in spans_of(tags) if full[a] < full[b]]
        self._keep([word for word in words if word], spans, len(words))

    def _keep(self, words: list[str], spans: list[tuple[int, int, str]] | None, number: int) -> None:
        if len(words) < number:
            self.emptied.append(len(self.words))
        self.words.append(words)
        self.spans.append(spans)

    def _are_tags(self, line: int, words: list[str], tags: Any) -> bool:
        """Whether there is a tag for each word; problems where not."""
        before = self.taking.problems.count
        if not isinstance(tags, list):
            self._refuse("D057", line, f"{tags!r:.60} is no list of tags.", 'Write tags as ["O", "B-person"].')
        elif any(isinstance(tag, int) for tag in tags):
            remedy = "Write their names, as in 'B-person', or give a Parquet file or hub data set that names them."
            what = (
                f"tags are numbers ({str(tags)[:40]}) in {self.taking.columns.label!r} and nothing says what they mean."
            )
            self._refuse("D053", line, what, remedy)
        elif len(tags) != len(words):
            what = f"there are {len(words):,} words and {len(tags):,} tags."
            self._refuse("D052", line, what, "Every word needs one tag.")
        else:
            for number, tag in enumerate(tags):
                if not isinstance(tag, str) or tag == "" or parsed(tag) is None:
                    what = f"the tag of word {number + 1} is {tag!r:.40}."
                    remedy = "A tag is O, or a letter and a type, as in B-person and I-person."
                    self._refuse("D050", line, what, remedy, number)
        return self.taking.problems.count == before

    def _refuse(self, code: str, line: int, what: str, remedy: str, word: int = 0) -> None:
        at = line + word if self.tally.word_lines else line
        self.taking.problems.add(code, f"{self.taking.file}:{at}", what, remedy)


def places_of(words: Sequence[str]) -> list[int]:
    """Start and end of each of ``words`` joined by one blank."""
    ends = list(accumulate((len(word) + 1 for word in words), initial=0))
    return [place for start, word in zip(ends, words, strict=False) for place in (start, start + len(word))]
