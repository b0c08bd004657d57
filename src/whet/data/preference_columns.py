"""Which columns of a file hold a prompt and the answers to it that are judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from whet.data.columns import Columns, refuse_absent
from whet.data.row_form import Choice, named
from whet.data.scored_columns import Look, Names
from whet.errors import Problem, UserError

PROMPTS: Names = (("prompt",), ("instruction", "question", "query", "input", "context", "messages"))
BETTER: Names = (("chosen",), ("better", "preferred", "accepted", "winner", "answer_a", "response_a", "answer_1"))
WORSE: Names = (("rejected",), ("worse", "dispreferred", "loser", "answer_b", "response_b", "answer_2"))
SINGLE: Names = (("completion",), ("response", "answer", "output", "reply"))
THUMBS: Names = (("label", "labels"), ("thumb", "thumbs", "liked", "feedback", "rating", "preference", "desirable"))


def choose(columns: Sequence[str], sample: Mapping[str, Sequence[Any]], where: str, choice: Choice) -> Columns:
    """Of pairs ``text`` is the prompt (or the better answer where none is), ``label`` the better and ``negative`` the
    worse answer; of thumbs ``text_pair`` is the answer and ``label`` the thumb.

    :raises UserError: D020 a named column does not exist, D021 the choice is not clear, D105 nothing is judged.
    """
    look = Look(where, columns, sample, choice)
    for part in ("text", "label", "text_pair", "negative"):
        column = named(getattr(choice, part))
        if column is not None:
            refuse_absent(f"data.{part}", column, columns, where)
    better = named(choice.label) if named(choice.negative) else None
    better = better or _one(look, BETTER, set())
    worse = named(choice.negative) or _one(look, WORSE, {better or ""})
    if better is not None and worse is not None and named(choice.text_pair) is None:
        return _pairs(look, better, worse)
    return _thumbs(look)


def _pairs(look: Look, better: str, worse: str) -> Columns:
    if better == worse:
        what = f"one column cannot be the better and the worse answer: {better!r}."
        raise UserError(Problem("D021", look.where, what, "Name them with --label and --set data.negative=COLUMN."))
    prompt = look.one("text", "prompt", PROMPTS, {better, worse})
    reasons = look.reasons
    reasons["label"] = f"column {better!r}: the better answers"
    reasons["negative"] = f"column {worse!r}: the worse answers"
    if prompt is None:
        reasons["text"] = f"no column of prompts: what {better!r} and {worse!r} both begin with is the prompt"
    return Columns(prompt or better, better, reasons=reasons, negative=worse)


def _thumbs(look: Look) -> Columns:
    answer = named(look.choice.text_pair) or _one(look, SINGLE, set())
    if answer is None:
        what = f"has no answers to be judged (columns: {', '.join(look.columns)})."
        remedy = "Give a better and a worse answer (chosen, rejected), or an answer (completion) with a thumb (label); "
        remedy += "or name them with --label and data.negative, or --text-pair and --label. To get answers: whet chat."
        raise UserError(Problem("D105", look.where, what, remedy))
    prompt = look.one("text", "prompt", PROMPTS, {answer})
    if prompt is None:
        raise look.unclear("text", "prompt", look.texts({answer}))
    thumb = look.one("label", "thumb", THUMBS, {prompt, answer}) if look.choice.labelled else None
    if thumb is None and look.choice.labelled:
        raise look.unclear("label", "thumb", [])
    look.reasons["text_pair"] = f"column {answer!r}: the answers"
    return Columns(prompt, thumb, answer, look.reasons)


def _one(look: Look, names: Names, taken: set[str]) -> str | None:
    found = look.known(names, taken)
    return found[0] if found else None
