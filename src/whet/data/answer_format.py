"""The form that answers shall have: JSON that satisfies a schema, text that matches a pattern, or both."""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whet.data.prediction_kinds import Predictions, TextPredictions
from whet.errors import Problem, UserError

SCHEMA, PATTERN = "generation.json_schema", "generation.pattern"
_LIBRARY = "jsonschema"
_CORRECT = "Correct it; what a schema may say stands at https://json-schema.org."


@dataclass(frozen=True, slots=True)
class AnswerFormat:
    """``schema``: a JSON schema, None where there is none; ``pattern``: a regular expression of Python, or None."""

    schema: Mapping[str, Any] | None = None
    pattern: str | None = None

    @staticmethod
    def of(options: Mapping[str, Any], carried: Mapping[str, Any] | None = None) -> AnswerFormat | None:
        """What the options of a recipe ask for, by dotted name; None where they ask for nothing.

        :param carried: what :meth:`to_json` gave when a model was saved; it needs no file.
        :raises UserError: C013, jsonschema is not installed; C017, the schema cannot be read or followed; C018, the
            pattern cannot.
        """
        if carried is not None:
            return AnswerFormat(carried.get("schema"), carried.get("pattern"))
        path, pattern = options.get(SCHEMA), options.get(PATTERN)
        if path is None and pattern is None:
            return None
        if pattern is not None:
            _refuse_pattern(pattern)
        return AnswerFormat(None if path is None else read_schema(Path(path)), pattern)

    def to_json(self) -> dict[str, Any]:
        """What a saved model keeps of it."""
        return {"schema": self.schema, "pattern": self.pattern}

    def valid(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """(n,) whether each of ``texts``, without the blanks around it, has the form."""
        found = np.ones(len(texts), bool)
        if self.schema is not None:
            satisfies = _validator(self.schema).is_valid
            found &= np.asarray([_is_json(text, satisfies) for text in texts], bool)
        if self.pattern is not None:
            wanted = re.compile(self.pattern)
            found &= np.asarray([wanted.fullmatch(text.strip()) is not None for text in texts], bool)
        return found


def in_format(predictions: Predictions, wanted: AnswerFormat | None) -> Predictions:
    """The same predictions; texts with ``valid`` filled in, where a form is wanted and texts were said."""
    if wanted is None or not isinstance(predictions, TextPredictions) or predictions.said is None:
        return predictions
    return replace(predictions, valid=wanted.valid(predictions.said))


def _is_json(text: str, satisfies: Any) -> bool:
    try:
        return bool(satisfies(json.loads(text, parse_constant=_refuse_constant)))
    except (ValueError, RecursionError):
        return False


def _refuse_constant(name: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not have."""
    raise ValueError(name)


def _refuse_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        what = f"{pattern!r} is no regular expression: {error}."
        raise UserError(Problem("C018", PATTERN, what, "Correct it, in Python's way of writing them.")) from None


def read_schema(path: Path) -> dict[str, Any]:
    """The JSON schema of a file, checked.

    :raises UserError: C013, jsonschema is not installed; C017, it cannot be read, is no schema, or refers to what
        is not there.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "Give a file with a JSON schema."
        raise UserError(Problem("C017", SCHEMA, f"{str(path)!r} cannot be read: {error}.", remedy)) from None
    try:
        schema = json.loads(text)
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        what = f"is no JSON: {getattr(error, 'msg', error)} (column {getattr(error, 'colno', 1)})."
        raise UserError(Problem("C017", f"{path}:{line}", what, "Correct it.")) from None
    if not isinstance(schema, dict):
        what = f"holds {type(schema).__name__}, not an object, which a schema is."
        raise UserError(Problem("C017", f"{path}:1", what, _CORRECT))
    _refuse_wrong(schema, text, path)
    return schema


def _refuse_wrong(schema: dict[str, Any], text: str, path: Path) -> None:
    library = _library()
    kind = _kind(schema)
    if kind is None:
        what = f"is written for {schema['$schema']!r}, which is not known."
        remedy = "Leave $schema out, or say https://json-schema.org/draft/2020-12/schema."
        raise UserError(Problem("C017", _where(path, text, ["$schema"]), what, remedy))
    try:
        kind.check_schema(schema)
    except library.SchemaError as error:
        place = list(error.absolute_path)
        where, what = _where(path, text, place), f"is no JSON schema: {_named(place)}{error.message}."
        raise UserError(Problem("C017", where, what, _CORRECT)) from None
    for place, target in _lost(schema):
        what = f"refers to {target!r}, which is not in this file; nothing is fetched from elsewhere."
        raise UserError(Problem("C017", _where(path, text, place), what, "Put it below $defs, and refer to it there."))


def _validator(schema: Mapping[str, Any]) -> Any:
    import referencing

    # a registry of one's own keeps the library from fetching what a schema refers to
    return _kind(schema)(schema, registry=referencing.Registry())


def _kind(schema: Mapping[str, Any]) -> Any:
    """The validator of the draft that ``schema`` names, of the newest where it names none; None: it is not known."""
    library = _library()
    return library.validators.validator_for(
        schema, default=None if "$schema" in schema else library.Draft202012Validator
    )


def _library() -> Any:
    if importlib.util.find_spec(_LIBRARY) is None:
        what = f"answers are checked against a schema by the library {_LIBRARY}, which is not installed."
        raise UserError(Problem("C013", SCHEMA, what, "Install it: pip install 'whet[schema]'."))
    return importlib.import_module(_LIBRARY)


def _lost(schema: Mapping[str, Any]) -> Iterator[tuple[list[Any], str]]:
    """(place, target) of every reference that leads nowhere; none where parts of the schema have names of their own."""
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    parts = list(_parts(schema, []))
    if any("$id" in part for place, part in parts if place):
        return
    resource = DRAFT202012.create_resource(schema)
    known = importlib.import_module("jsonschema_specifications").REGISTRY
    resolver = known.resolver_with_root(resource)
    for place, part in parts:
        target = part.get("$ref")
        if isinstance(target, str):
            try:
                resolver.lookup(target)
            except Unresolvable:
                yield [*place, "$ref"], target


def _parts(value: Any, place: list[Any]) -> Iterator[tuple[list[Any], Mapping[str, Any]]]:
    """Every object within a schema, with the keys and numbers that lead to it."""
    if isinstance(value, Mapping):
        yield place, value
        for name, inner in value.items():
            if name not in ("const", "enum", "default", "examples"):
                yield from _parts(inner, [*place, name])
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _parts(inner, [*place, number])


def _named(place: Sequence[Any]) -> str:
    return f"{'.'.join(map(str, place))}: " if place else ""


def _where(path: Path, text: str, place: Sequence[Any]) -> str:
    """File and line of a place in a JSON text; JSON without tabs is YAML, whose reader knows lines."""
    import yaml

    try:
        node = yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return str(path)
    for part in place:
        inside = node.value if isinstance(node, yaml.MappingNode | yaml.SequenceNode) else []
        if isinstance(node, yaml.MappingNode):
            found = next((value for key, value in inside if key.value == str(part)), None)
        else:
            found = inside[part] if isinstance(part, int) and part < len(inside) else None
        if found is None:
            break
        node = found
    return f"{path}:{node.start_mark.line + 1}"
