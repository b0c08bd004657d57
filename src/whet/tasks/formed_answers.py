"""Generation that cannot leave the form that is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from whet.data.answer_format import PATTERN, SCHEMA, AnswerFormat
from whet.errors import Problem, UserError
from whet.generation import constraint
from whet.generation.sampling import Constraint

CONSTRAIN = "generation.constrain"


def constrained(tokenizer: Any, wanted: AnswerFormat | None, ends: Sequence[int], num_beams: int) -> Constraint:
    """What may follow, by the schema, or by the pattern where there is no schema.

    :param ends: tokens that end an answer.
    :raises UserError: C011, beams are asked for too; C013 to C015, as :func:`whet.generation.constraint.json_schema`;
        C019, there is no form to keep to, or the tokenizer is of a kind that cannot be steered.
    """
    if wanted is None:
        what = "is true, but no form of answers is named."
        raise UserError(Problem("C019", CONSTRAIN, what, f"Name one with {SCHEMA} or {PATTERN}."))
    if num_beams > 1:
        what = "beams cannot be held to a form of answers."
        raise UserError(Problem("C011", "generation.num_beams", what, f"Leave it at 1, or leave out {CONSTRAIN}."))
    try:
        if wanted.schema is not None:
            return constraint.json_schema(tokenizer, wanted.schema, ends)
        # many templates and completions put a blank before an answer, which is no part of it
        return constraint.regular(tokenizer, f"[ \n]?(?:{wanted.pattern})", ends)
    except ValueError as error:  # of the library, on a tokenizer that it does not know
        what = f"the base's tokenizer cannot be steered: {str(error).rstrip('.')}."
        raise UserError(
            Problem("C019", CONSTRAIN, what, "Leave it out; valid answers are counted all the same.")
        ) from None
