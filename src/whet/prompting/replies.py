"""What endpoints said, kept in the store: a run that was cut short or is made again pays for nothing twice.

Kept are a hash of what was asked, and what was said; neither the question nor a key.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from whet.prompting.speaker import Reply, said_in
from whet.store.rows import ReplyRow

CUT = ("length", "content_filter")
"""Why an answer ends that did not end by itself."""


def fingerprint(url: str, model: str, messages: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> str:
    """SHA-256 of what is asked, of whom and how, hexadecimal; the order of fields is of no account."""
    asked = {"url": url, "model": model, "messages": list(messages), "settings": dict(settings)}
    written = json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(written.encode()).hexdigest()


def reply_of(row: ReplyRow, stop: Sequence[str], cached: bool) -> Reply:
    """A kept reply as an answer; texts of ``stop`` end it, if the service has not seen to that."""
    said = said_in(row.text)
    places = [place for one in stop if (place := said.find(one)) >= 0]
    text = said[: min(places)].rstrip() if places else said
    finished = bool(places) or row.finish not in CUT
    return Reply(text, finished, row.tokens_in, row.tokens_out, row.seconds, cached)


def again(reply: Reply) -> Reply:
    """The same reply to the same prompt, asked a second time."""
    return replace(reply, cached=True)
