"""What is wrong, or right, with how a template and a tokenizer lay out conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whet.batches.chat import Cut, Rendered, Row, Train, cut, render_rows
from whet.batches.conversation import Layout
from whet.batches.messages import text_of
from whet.batches.templates import ANSWERS
from whet.findings import Bin, Finding

LOOKED_AT = tuple(f"G00{number}" for number in range(1, 9))
"""The codes of what is looked at, in order; :mod:`whet.findings` has their titles."""


def look_at(
    tokenizer: Any,
    template: str | None,
    sample: Sequence[Row],
    *,
    train: Train = "answers",
    limit: int | None = None,
    where: Cut = "prompt",
) -> list[Finding]:
    """What :data:`LOOKED_AT` lists, of some conversations: (messages, tools), each with an answer at its end.

    :param limit: the most tokens a conversation may have; None: nothing is cut.
    :raises UserError: as :func:`whet.batches.chat.render`.
    """
    if not sample:
        return [Finding(code, "not_applicable", "There are no conversations.") for code in LOOKED_AT]
    found = list(render_rows(tokenizer, sample, template=template, train=train))
    return [
        _stop(found),
        _masked(found),
        _cut(found, limit, where),
        _left_out(tokenizer, template, sample),
        _starts(tokenizer, found),
        _merged(found),
        _grafted(found),
        _names(tokenizer, template, sample),
    ]


def _finding(code: str, wrong: int, total: int, bad: str, good: str, remedy: str, kind: Bin = "issue") -> Finding:
    """``bad`` of so many of ``total`` conversations, else ``good``."""
    evidence = {"conversations": total, "counted": wrong}
    if not wrong:
        return Finding(code, "passed", good, "chat.template", evidence=evidence)
    return Finding(code, kind, f"{bad} in {wrong:,} of {total:,} conversations.", "chat.template", remedy, evidence)


def _stop(found: Sequence[Rendered]) -> Finding:
    never = sum(one.stop is None for one in found)
    remedy = "Name a template that ends an answer with a special token of this tokenizer, such as 'plain'; "
    remedy += "a tokenizer that has none needs an eos_token."
    good = "Behind every answer stands a token that ends it."
    return _finding("G001", never, len(found), "No special token ends the last answer", good, remedy)


def _masked(found: Sequence[Rendered]) -> Finding:
    empty = sum(not one.weights.any() for one in found)
    share = sum(float((one.weights > 0).sum()) for one in found) / max(1, sum(len(one.ids) for one in found))
    good = f"{share:.0%} of the tokens carry loss, and some of every conversation."
    remedy = "Leave such rows out, or say otherwise with chat.train."
    return _finding("G002", empty, len(found), "No token carries loss", good, remedy)


def _cut(found: Sequence[Rendered], limit: int | None, where: Cut) -> Finding:
    if limit is None:
        return Finding("G003", "not_applicable", "No limit was given.", "data.max_length")
    cuts = [(one, cut(one, limit, where)) for one in found if len(one.ids) > limit]
    lost = sum(short is None for _, short in cuts)
    answers = sum(short is not None and _answer(short) < _answer(one) for one, short in cuts)
    evidence = {"limit": limit, "conversations": len(found), "longer": len(cuts), "lost": lost, "answers_cut": answers}
    if not cuts:
        return Finding("G003", "passed", f"All are within {limit:,} tokens.", "data.max_length", evidence=evidence)
    message = f"{len(cuts):,} of {len(found):,} conversations are longer than {limit:,} tokens: "
    message += f"{answers:,} lose the end of their answer, {lost:,} that and of their prompt, the others of their "
    message += "prompt alone."
    remedy = "Raise data.max_length, or shorten what is put before the questions."
    kind: Bin = "issue" if lost or answers else "tip"
    return Finding("G003", kind, message, "data.max_length", remedy, evidence)


def _answer(rendered: Rendered) -> int:
    return len(rendered.ids) - rendered.prompt_length


def _left_out(tokenizer: Any, template: str | None, sample: Sequence[Row]) -> Finding:
    """A message is left out whose text does not stand in the prompt; thinking of earlier turns may be."""
    missing: dict[str, int] = {}
    for messages, tools in sample:
        text = Layout.of(tokenizer, template, messages).prompt(messages[:-1], tools).text
        given = [one for one in messages[:-1] if one["role"] not in ANSWERS]
        roles = {str(one["role"]) for one in given if not _stands(one.get("content"), text)}
        for role in roles:
            missing[role] = missing.get(role, 0) + 1
    worst = max(missing.values(), default=0)
    bad = f"The template leaves out messages of {', '.join(sorted(missing))}"
    remedy = "Name another template, such as 'chatml' or 'plain', or put their text into the first question."
    found = _finding("G004", worst, len(sample), bad, "Every message stands in what the model reads.", remedy)
    found.evidence["by_role"] = missing
    return found


def _stands(content: Any, text: str) -> bool:
    return text_of(content).strip() in text


def _starts(tokenizer: Any, found: Sequence[Rendered]) -> Finding:
    start = tokenizer.bos_token_id
    if start is None:
        return Finding("G005", "not_applicable", "The tokenizer has no start token.", "chat.template")
    twice = sum(list(one.ids[:2]) == [start, start] for one in found)
    remedy = "Take the start token out of the template, or out of the texts."
    good = "No conversation begins with two start tokens."
    return _finding("G005", twice, len(found), "Two start tokens stand at the beginning", good, remedy)


def _merged(found: Sequence[Rendered]) -> Finding:
    merged = sum(one.merged for one in found)
    bad = "The tokenizer would join the end of the prompt and the start of the answer; they are encoded apart"
    good = "Prompt and answer have no token in common."
    remedy = "End prompts without a blank, and begin answers with it."
    return _finding("G006", merged, len(found), bad, good, remedy, "tip")


def _grafted(found: Sequence[Rendered]) -> Finding:
    grafted = sum(one.grafted for one in found)
    bad = "The template lays answers out otherwise than behind what asks for them; they are put there"
    good = "Answers stand where generation begins."
    remedy = "Read some rows as the model sees them, and name another template if that is not what it should say."
    return _finding("G007", grafted, len(found), bad, good, remedy, "tip")


def _names(tokenizer: Any, template: str | None, sample: Sequence[Row]) -> Finding:
    holding = 0
    for messages, _ in sample:
        names = Layout.of(tokenizer, template, messages).control.special
        texts = [text_of(one.get("content")) for one in messages]
        holding += any(name in text for name in names for text in texts)
    bad = "Texts hold names of special tokens, which are read as ordinary text"
    remedy = "If rows were laid out by a template before, give their messages instead."
    return _finding("G008", holding, len(sample), bad, "No text holds the name of a special token.", remedy, "tip")
