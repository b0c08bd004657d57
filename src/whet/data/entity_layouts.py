"""Layouts of files that only entities have: a word a line, [text, {...}] pairs, exports of annotation tools."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import Any

from whet.data.conll_rows import holds_words, open_conll
from whet.data.content import chunks
from whet.data.decoding import as_it_comes
from whet.data.entity_spans import Chosen
from whet.data.json_rows import DECODER, note_malformed
from whet.data.json_window import Malformed, Window, rows_of
from whet.data.opening import checked_head, open_file, text_lines
from whet.data.row_form import Choice, named
from whet.data.rows import ABSENT, ROWS_PER_BLOCK, Block, Opened, Told
from whet.data.sources import SourceFile
from whet.errors import Problem, Problems, UserError

TEXT, ENTITIES = "text", "entities"
"""What the columns of pairs and of exports are called here."""

_TOOLS_OWN = ("data", "annotations", "predictions")
"""Columns of an export that other columns are made of."""

_TABLES = ("csv", "tsv")
Numbered = Iterator[tuple[int, Any]]


def open_layout(file: SourceFile, choice: Choice, problems: Problems, told: Told) -> tuple[Opened | None, bool]:
    """The file as rows, if it is laid out in one of these ways; and whether each word has a line of its own.

    :raises UserError: as :func:`whet.data.opening.open_file`.
    """
    if file.format == "words" or (file.format in _TABLES and choice.labelled):
        beginning = checked_head(file, choice.encoding)
        if file.format == "words" or holds_words(beginning):
            return open_conll(file.name, text_lines(file, choice.encoding, problems, told), problems), True
    if file.format in ("json", "jsonl"):
        beginning = checked_head(file, choice.encoding).lstrip("\ufeff \t\r\n")
        if beginning.startswith("[") and beginning[1:].lstrip().startswith("["):
            return _open_pairs(file, _document(file, choice, problems, told), problems), False
        if _is_pair(beginning.partition("\n")[0]):
            return _open_pairs(file, _lines(file, choice, problems, told), problems), False
        return _exported(open_file(file, choice.encoding, problems, told), file.name, choice), False
    return None, False


# --- [text, {"entities": [...]}] --------------------------------------------------------------------------


def _is_pair(line: str) -> bool:
    try:
        return line.startswith("[") and _pair(json.loads(line)) is not None
    except (ValueError, RecursionError):
        return False


def _pair(value: Any) -> tuple[str, Any] | None:
    """Text and entities of ``[text, {"entities": [...]}]`` or ``[text, [...]]``."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], dict | list):
        return value[0], value[1]
    return None


def _open_pairs(file: SourceFile, values: Numbered, problems: Problems) -> Opened:
    blocks = _pair_blocks(file.name, values, problems)
    first = next(blocks, None)
    if first is None:
        problems.raise_if_any()
        raise UserError(Problem("D003", file.name, "has no rows.", "Give one pair of text and entities per row."))
    sample = {name: first.column(name) for name in (TEXT, ENTITIES)}
    note = f"{file.name}: read as pairs of text and entities, by its content"
    return Opened([TEXT, ENTITIES], sample, lambda wanted: chain([first], blocks), [note])


def _pair_blocks(name: str, values: Numbered, problems: Problems) -> Iterator[Block]:
    lines: list[int] = []
    rows: dict[str, list[Any]] = {TEXT: [], ENTITIES: []}
    for line, value in values:
        pair = _pair(value)
        if pair is None:
            remedy = 'Write rows as [text, {"entities": [[start, end, label], ...]}].'
            problems.add("D059", f"{name}:{line}", f"is {value!r:.60}, no pair of text and entities.", remedy)
            continue
        lines.append(line)
        rows[TEXT].append(pair[0])
        rows[ENTITIES].append(pair[1])
        if len(lines) >= ROWS_PER_BLOCK:
            yield Block(lines, rows.__getitem__)
            lines, rows = [], {TEXT: [], ENTITIES: []}
    if lines:
        yield Block(lines, rows.__getitem__)


def _document(file: SourceFile, choice: Choice, problems: Problems, told: Told) -> Numbered:
    size = file.path.stat().st_size
    raw = chunks(file, lambda done: told(f"reading {file.name}", done, size))
    window = Window(as_it_comes(raw, choice.encoding, file.name), DECODER)
    try:
        yield from rows_of(window, file.name, [])
    except Malformed as error:
        note_malformed(f"{file.name}:{window.line_at(error.position)}", error.cause, problems)


def _lines(file: SourceFile, choice: Choice, problems: Problems, told: Told) -> Numbered:
    line = 0
    for text in text_lines(file, choice.encoding, problems, told):
        for piece in text.removesuffix("\n").split("\n"):
            line += 1
            if piece and not piece.isspace():
                try:
                    value = DECODER.decode(piece)
                except (ValueError, RecursionError) as error:
                    note_malformed(f"{file.name}:{line}", error, problems)
                    continue
                yield line, value


# --- exports of annotation tools --------------------------------------------------------------------------


def _exported(opened: Opened, name: str, choice: Choice) -> Opened:
    """Rows of Label Studio and of Prodigy with text and entities in columns; any others as they are."""
    columns = set(opened.columns)
    if {"data", "annotations"} <= columns:
        key = _text_key(opened.sample["data"], name, choice)
        return _with_columns(
            opened,
            {
                key: lambda block: [_text_of(value, key) for value in block.column("data")],
                ENTITIES: lambda block: [_annotated(value) for value in block.column("annotations")],
            },
            "read as an export of Label Studio, by its columns",
        )
    if {"text", "spans", "answer"} <= columns:
        return _with_columns(opened, {"spans": _accepted}, "answers other than 'accept' count as not annotated")
    return opened


def _with_columns(opened: Opened, made: Mapping[str, Callable[[Block], list[Any]]], note: str) -> Opened:
    def changed(block: Block) -> Block:
        return Block(block.lines, lambda name: made[name](block) if name in made else block.column(name))

    size = max(map(len, opened.sample.values()), default=0)
    beginning = Block(range(size), opened.sample.__getitem__)
    sample = opened.sample | {name: make(beginning) for name, make in made.items()}
    opened.notes.append(note)
    columns = [*made, *(name for name in opened.columns if name not in made and name not in _TOOLS_OWN)]
    return Opened(columns, sample, lambda wanted: map(changed, opened.blocks(opened.columns)), opened.notes)


def _text_key(sample: list[Any], name: str, choice: Choice) -> str:
    """Under which key of ``data`` the text stands: as named, "text", or the only string there is."""
    wanted = named(choice.text)
    first = next((value for value in sample if isinstance(value, dict)), {})
    texts = [key for key, value in first.items() if isinstance(value, str)]
    chosen = wanted or (TEXT if TEXT in texts else texts[0] if len(texts) == 1 else None)
    if chosen is None or chosen not in texts:
        what = f"which part of its 'data' is the text is not clear (texts: {', '.join(texts) or 'none'})."
        raise UserError(Problem("D021", name, what, "Name it with --text."))
    return chosen


def _text_of(data: Any, key: str) -> Any:
    return data.get(key, ABSENT) if isinstance(data, dict) else ABSENT


def _annotated(annotations: Any) -> Any:
    """The spans of the first annotation that was not cancelled; None where there is none."""
    if not isinstance(annotations, list):
        return annotations
    valid = [one for one in annotations if isinstance(one, dict) and not one.get("was_cancelled")]
    if not valid:
        return None
    valid.sort(key=lambda one: not one.get("ground_truth"))
    every = [_results(one.get("result")) for one in valid]
    alike = all(_in_order(other) == _in_order(every[0]) for other in every[1:])
    return every[0] if alike else Chosen(every[0])


def _in_order(spans: list[Any]) -> list[str]:
    return sorted(json.dumps(span, sort_keys=True) for span in spans)


def _results(result: Any) -> list[Any]:
    """The spans among the results of one annotation; relations and choices are none."""
    if not isinstance(result, list):
        return [result]
    values = [one.get("value") for one in result if isinstance(one, dict) and _marks(one.get("type"))]
    return [_as_span(value) if isinstance(value, dict) else value for value in values]


def _as_span(value: dict[str, Any]) -> dict[str, Any]:
    labels = [value[name] for name in value if str(name).endswith("labels")]
    span: dict[str, Any] = {name: value[name] for name in ("start", "end", "text") if name in value}
    return {**span, "labels": labels[0]} if labels else span


def _marks(kind: Any) -> bool:
    """Whether a result marks a part of the text: "labels", "hypertextlabels"; not "relation", "choices"."""
    return kind is None or str(kind).endswith("labels")


def _accepted(block: Block) -> list[Any]:
    spans, answers = block.column("spans"), block.column("answer")
    return [
        value if answer in ("accept", None) or answer is ABSENT else None
        for value, answer in zip(spans, answers, strict=True)
    ]
