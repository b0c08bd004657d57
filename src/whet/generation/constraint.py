"""Answers of a given form: JSON by a schema, or text by a regular expression, through llguidance where installed."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from whet.errors import Problem, UserError
from whet.generation.sampling import Constraint

_LIBRARY = "llguidance"


def json_schema(tokenizer: Any, schema: str | Mapping[str, Any], eos_ids: Collection[int]) -> Constraint:
    """Answers that are JSON by ``schema``, a mapping or its JSON.

    :param tokenizer: a fast tokenizer of transformers.
    :param eos_ids: tokens that end an answer, one at least.
    :raises UserError: C013, llguidance is not installed, or the tokenizer is no fast one; C014, the schema cannot be
        read or followed; C015, nothing ends an answer.
    """
    library = _library()
    text = schema if isinstance(schema, str) else json.dumps(schema)
    try:
        if not isinstance(json.loads(text), dict):
            raise ValueError("it is no object")
        grammar = library.LLMatcher.grammar_from_json_schema(text)
    except ValueError as failure:
        raise UserError(_unread("the JSON schema", str(failure))) from failure
    return _constraint(library, tokenizer, grammar, eos_ids, "the JSON schema")


def regular(tokenizer: Any, pattern: str, eos_ids: Collection[int]) -> Constraint:
    """Answers that match ``pattern`` from their first to their last character.

    :raises UserError: as :func:`json_schema`.
    """
    library = _library()
    grammar = library.LLMatcher.grammar_from_regex(pattern)
    return _constraint(library, tokenizer, grammar, eos_ids, "the regular expression")


def _library() -> Any:
    if importlib.util.find_spec(_LIBRARY) is None:
        what = "answers of a given form need the library llguidance, which is not installed."
        raise UserError(Problem("C013", "generation", what, "Install it: pip install llguidance."))
    return importlib.import_module(_LIBRARY)


def _unread(name: str, why: str) -> Problem:
    return Problem("C014", "generation", f"{name} cannot be followed: {why}.", "Correct it.")


def _constraint(library: Any, tokenizer: Any, grammar: str, eos_ids: Collection[int], name: str) -> Constraint:
    if not eos_ids:
        remedy = "Name a template that has one, or give the tokenizer an end-of-text token."
        raise UserError(Problem("C015", "generation", "nothing ends an answer: there is no stop token.", remedy))
    if not tokenizer.is_fast:
        what = "answers of a given form need a fast tokenizer, which the base does not have."
        raise UserError(Problem("C013", "generation", what, "Leave the form out, or use another base."))
    backend = tokenizer.backend_tokenizer.to_str()
    vocabulary = library.LLTokenizer(_uncut(backend), n_vocab=len(tokenizer), eos_token=sorted(eos_ids))
    wrong = library.LLMatcher.validate_grammar(grammar, vocabulary)
    if wrong and not wrong.startswith("WARNING"):
        raise UserError(_unread(name, wrong.strip().rstrip(".")))
    return _following(lambda: library.LLMatcher(vocabulary, grammar), sorted(eos_ids))


def _uncut(backend: str) -> str:
    return json.dumps(json.loads(backend) | {"truncation": None, "padding": None})


def _following(start: Callable[[], Any], eos_ids: list[int]) -> Constraint:
    """One matcher a row, which follows what the row has said."""
    rows: dict[int, tuple[Any, list[int]]] = {}

    def may_follow(row: int, ids: list[int]) -> list[int]:
        matcher, known = rows.get(row, (None, []))
        if matcher is None or ids[: len(known)] != known:  # a new prompt under the same number
            matcher, known = start(), []
        if len(ids) > len(known):
            matcher.consume_tokens(ids[len(known) :])
        rows[row] = (matcher, list(ids))
        if matcher.is_stopped():
            return eos_ids
        found: list[int] = np.flatnonzero(np.frombuffer(matcher.compute_logit_bias(), np.uint8)).tolist()
        return found or eos_ids

    return may_follow
