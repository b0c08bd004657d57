"""Tables of questions: which column is the question, the context, the answers; answers over two columns."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from whet.data.columns import ID_NAMES, Columns, refuse_absent
from whet.data.question_answers import is_answers, spelled
from whet.data.row_form import Choice, named
from whet.data.rows import ABSENT, Block, Opened
from whet.data.squad_rows import impossible
from whet.errors import Problem, Problems, UserError

# Known names, the most telling first; of one group all are equally likely.
QUESTION_NAMES = (("question",), ("query", "question_text", "input_question"))
CONTEXT_NAMES = (("context",), ("passage", "paragraph", "context_text", "passage_text", "document", "article"))
ANSWER_NAMES = (("answers",), ("answer", "answer_text", "gold_answer", "gold_answers"), ("label", "labels"))
DOCUMENT_NAMES = (
    ("title",),
    ("document_title", "doc_title", "article_title", "document_id", "doc_id", "article_id", "passage_id", "context_id"),
)
START_NAMES = (("answer_start", "answer_starts"), ("start", "start_char"))
IMPOSSIBLE_NAMES = (("is_impossible",), ("impossible", "unanswerable"))

LOOKED_AT = 200
"""Rows whose content is looked at where names do not decide."""


@dataclass(slots=True)
class _Look:
    """One file while the choice is made; ``reasons`` fills up."""

    where: str
    columns: Sequence[str]
    sample: Mapping[str, Sequence[Any]]
    reasons: dict[str, str] = field(default_factory=dict)

    def known(self, names: Sequence[Sequence[str]], taken: set[str]) -> list[str]:
        """The columns of the first group of names that has any."""
        for group in names:
            found = [name for name in self.columns if name not in taken and _plain(name) in group]
            if found:
                return found
        return []

    def values(self, name: str) -> list[Any]:
        """The first values of a column that are there."""
        return [value for value in self.sample[name][:LOOKED_AT] if _is_there(value)]

    def texts(self, taken: set[str]) -> list[str]:
        """The columns of strings that may be read."""
        free = (name for name in self.columns if name not in taken and not ID_NAMES.fullmatch(_plain(name)))
        return [name for name in free if self.values(name) and all(isinstance(v, str) for v in self.values(name))]


def choose(columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice) -> Columns:
    """Question, context, answers, and the document that questions have in common.

    :raises UserError: D020 a named column does not exist, D021 the choice is not clear, D060 no context wanted.
    """
    if choice.text_pair == "none":
        raise UserError(no_context("data.text_pair", "is 'none', and a question is asked of a context."))
    look = _Look(where, columns, sample)
    given = _given(look, choice)
    taken = {name for name in given.values() if name is not None}
    question = given["text"] or _question(look, taken)
    context = given["text_pair"] or _context(look, taken | {question})
    label = None
    if choice.labelled:
        label = given["label"] or _answers(look, taken | {question, context}, context)
    there = [name for name in (question, context, label) if name is not None]
    if len(set(there)) < len(there):
        what = f"one column cannot be two things: {', '.join(map(repr, there))}."
        raise UserError(Problem("D021", where, what, "Name them with --text, --text-pair and --label."))
    group = _document(look, choice, set(there), context) if choice.labelled else None
    return Columns(question, label, context, look.reasons, group=group)


def _given(look: _Look, choice: Choice) -> dict[str, str | None]:
    """What the user named; and the pair 'text' and 'text_pair', where nothing else is a question."""
    given = {"text": named(choice.text), "text_pair": named(choice.text_pair), "label": named(choice.label)}
    for option, name in given.items():
        if name is not None:
            refuse_absent(f"data.{option}", name, look.columns, look.where)
            look.reasons[option] = f"column {name!r}: named by the user"
    plain = {_plain(name): name for name in look.columns if name != given["label"]}
    unnamed = given["text"] is None and given["text_pair"] is None
    if unnamed and {"text", "text_pair"} <= plain.keys() and not look.known(QUESTION_NAMES, set()):
        for option in ("text", "text_pair"):
            given[option] = plain[option]
            look.reasons[option] = f"column {plain[option]!r}: of the known pair 'text' and 'text_pair'"
    return given


def no_context(where: str, what: str) -> Problem:
    """D060."""
    return Problem("D060", where, what, "Give a table or JSON with a question and its context in every row.")


def _plain(name: str) -> str:
    return re.sub(r"[\s-]+", "_", name.strip().lower())


def _is_there(value: Any) -> bool:
    return value is not None and value is not ABSENT and value != ""


def _chosen(look: _Look, option: str, what: str, names: Sequence[Sequence[str]], taken: set[str]) -> str | None:
    found = look.known(names, taken)
    if len(found) > 1:
        raise _unclear(look, option, what, found)
    if found:
        look.reasons[option] = f"column {found[0]!r}: its name is a known one for the {what}"
        return found[0]
    return None


def _unclear(look: _Look, option: str, what: str, candidates: Sequence[str]) -> UserError:
    which = f"it could be {' or '.join(map(repr, candidates))}" if candidates else "none looks like it"
    words = f"which column is the {what} is not clear: {which} (columns: {', '.join(look.columns)})."
    return UserError(Problem("D021", look.where, words, f"Name it with --{option.replace('_', '-')}."))


def _question(look: _Look, taken: set[str]) -> str:
    found = _chosen(look, "text", "question", QUESTION_NAMES, taken)
    if found is not None:
        return found
    asking = [name for name in look.texts(taken) if _share_of(look.values(name), _asks) >= 0.5]
    if len(asking) != 1:
        raise _unclear(look, "text", "question", asking)
    look.reasons["text"] = f"column {asking[0]!r}: the one whose values end with a question mark"
    return asking[0]


def _asks(value: Any) -> bool:
    return str(value).rstrip().endswith(("?", "？", "؟"))


def _share_of(values: Sequence[Any], holds: Any) -> float:
    return float(sum(map(holds, values)) / max(1, len(values)))


def _context(look: _Look, taken: set[str]) -> str:
    found = _chosen(look, "text_pair", "context", CONTEXT_NAMES, taken)
    if found is not None:
        return found
    lengths = {name: sum(map(len, look.values(name))) / len(look.values(name)) for name in look.texts(taken)}
    longest = sorted(lengths, key=lambda name: -lengths[name])
    if not longest or (len(longest) > 1 and lengths[longest[0]] < 3 * lengths[longest[1]]):
        raise _unclear(look, "text_pair", "context", longest)
    look.reasons["text_pair"] = f"column {longest[0]!r}: the one with the longest values"
    return longest[0]


def _answers(look: _Look, taken: set[str], context: str) -> str:
    found = _chosen(look, "label", "answers", ANSWER_NAMES, taken)
    if found is not None:
        return found
    free = [name for name in look.columns if name not in taken and look.values(name)]
    structured = [name for name in free if all(map(is_answers, look.values(name)))]
    if len(structured) == 1:
        look.reasons["label"] = f"column {structured[0]!r}: the one with answers and their places"
        return structured[0]
    within = [name for name in look.texts(taken) if _stands_in(look.sample[name], look.sample[context])]
    if structured or len(within) != 1:
        raise _unclear(look, "label", "answers", structured or within)
    look.reasons["label"] = f"column {within[0]!r}: the one whose values stand in the context"
    return within[0]


def _stands_in(values: Sequence[Any], contexts: Sequence[Any]) -> bool:
    rows = list(zip(values, contexts, strict=True))[:LOOKED_AT]
    return all(value in context for value, context in rows if _is_there(value) and isinstance(context, str))


def _document(look: _Look, choice: Choice, taken: set[str], context: str) -> str | None:
    """The column of what questions have in common; None where it is the context itself, nothing, or the user's."""
    if choice.group == "none":
        return None
    if named(choice.group) is not None:
        look.reasons["group"] = f"column {choice.group!r}: named by the user"
        return None
    alone = one_context(look.sample, context)
    for name in look.known(DOCUMENT_NAMES, taken):
        values = look.sample[name]
        if all(map(_is_there, values)) and (alone or len(set(map(str, values))) > 1):
            look.reasons["group"] = f"column {name!r}: its name is a known one for the document of a question"
            return name
    what = "none: all questions are asked of one context"
    if not alone:
        what = "questions on one context belong together: no column names their documents"
    look.reasons["group"] = what
    return None


def one_context(sample: Mapping[str, Sequence[Any]], context: str) -> bool:
    """Whether the first rows are all asked of the same context, so that it does not tell rows apart."""
    return len({value for value in sample[context] if isinstance(value, str)}) == 1


# --- answers over two columns ---------------------------------------------------------------------


def folded(opened: Opened, choice: Choice, name: str, problems: Problems) -> Opened:
    """The same rows with the answers' starts, where another column holds them, worked into the answers.

    So is a column that says that a question cannot be answered.
    """
    look = _Look(name, opened.columns, opened.sample)
    label = named(choice.label) or next(iter(look.known(ANSWER_NAMES, set())), None)
    if label not in opened.columns or any(isinstance(value, dict) for value in map(spelled, look.values(label))):
        start = None
    else:
        start = next(iter(look.known(START_NAMES, {label})), None)
    said = next(iter(look.known(IMPOSSIBLE_NAMES, set())), None)
    if label not in opened.columns or (start is None and said is None):
        return opened
    fold = _Fold(label, start, said, name)
    # what the sample gets wrong is told when its rows are read
    lines = range(1, len(opened.sample[label]) + 1)
    sample = opened.sample | {label: fold.values(opened.sample.__getitem__, lines, Problems())}

    def blocks(wanted: Sequence[str]) -> Iterator[Block]:
        more = [column for column in (start, said) if column is not None]
        for block in opened.blocks(list(dict.fromkeys([*wanted, *more]))):
            yield fold.block(block, problems)

    return Opened(opened.columns, sample, blocks, opened.notes)


@dataclass(frozen=True, slots=True)
class _Fold:
    label: str
    start: str | None
    said: str | None
    name: str

    def block(self, block: Block, problems: Problems) -> Block:
        """The block with the answers column of :meth:`values`."""

        def column(name: str) -> list[Any]:
            return self.values(block.column, block.lines, problems) if name == self.label else block.column(name)

        return Block(block.lines, column)

    def values(self, column: Any, lines: Sequence[int], problems: Problems) -> list[Any]:
        """Answers with their starts; ``column`` gives the values of one."""
        found = list(column(self.label))
        if self.start is not None:
            found = [_with_start(value, start) for value, start in zip(found, column(self.start), strict=True)]
        if self.said is not None:
            said = zip(lines, found, column(self.said), strict=True)
            found = [impossible(_truth(one), value, f"{self.name}:{line}", problems) for line, value, one in said]
        return found


def _with_start(value: Any, start: Any) -> Any:
    if not _is_there(value) or not _is_there(start):
        return value
    return {"text": spelled(value), "answer_start": _list(start)}


def _list(value: Any) -> Any:
    """A list of numbers that is spelled in a cell; any other value as it is."""
    inside = re.fullmatch(r"\s*\[([\d,\s-]*)\]\s*", value) if isinstance(value, str) else None
    return value if inside is None else [part for part in re.split(r"[,\s]+", inside[1]) if part]


def _truth(value: Any) -> Any:
    """True, false, or how a table spells them."""
    return {"true": True, "1": True, "false": False, "0": False}.get(str(value).strip().lower())
