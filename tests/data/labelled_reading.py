"""Reading labelled texts, with what the user said about columns given by name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from whet.data import audit as auditing
from whet.data import other_reading, reading
from whet.data.audit import Audit
from whet.data.labelled import Labelled
from whet.data.other_reading import OtherRows
from whet.data.reading import ReadResult
from whet.data.row_form import Choice

NAMES = {field.name for field in fields(Choice)}


def _choice(named: dict[str, Any]) -> Choice:
    return Choice(**{name: named.pop(name) for name in list(named) if name in NAMES})


def read(source: str | Path, **named: Any) -> ReadResult:
    choice = _choice(named)
    return reading.read(source, form=Labelled(), choice=choice, **named)


def read_unlabelled(source: str | Path, **named: Any) -> OtherRows:
    choice = _choice(named)
    return other_reading.read_unlabelled(source, form=Labelled(), choice=choice, **named)


def read_for_evaluation(source: str | Path, **named: Any) -> OtherRows:
    choice = _choice(named)
    return other_reading.read_for_evaluation(source, form=Labelled(), choice=choice, **named)


def audit(data: ReadResult, *progress: Any) -> Audit:
    return auditing.audit(data, Labelled(), *progress)
