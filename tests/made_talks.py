"""Small conversations, and a run of text generation on them, for what shows rows and talks."""

from __future__ import annotations

import json
from pathlib import Path

from tests.made_models import make_base

QUESTIONS = ("where is my card", "cancel my order", "i want a refund", "how do i change my password")
ANSWERS = ("the card has not arrived yet", "thank you", "please help", "change my account")
LONG = " ".join(["where is my order please"] * 12)
"""More tokens than the tiny models take."""


def talk(question: str, answer: str, **more: object) -> dict[str, object]:
    """A conversation of two turns."""
    said = {"role": "assistant", "content": answer, **more}
    return {"messages": [{"role": "user", "content": question}, said]}


def conversations(path: Path, count: int = 40) -> Path:
    """Rows of a question, a number that makes it another, and its answer; the second one is too long."""
    rows = [
        talk(f"{QUESTIONS[number % 4]} {'please ' * (number // 4)}".strip(), ANSWERS[number % 4])
        for number in range(count)
    ]
    rows[1] = talk(LONG, ANSWERS[1])
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def decoder(folder: Path) -> Path:
    """A tiny Llama with its language head."""
    return folder if folder.exists() else make_base(folder, "llama", language=True)


def tuned(root: Path) -> Path:
    """A finished run of text generation below ``root``."""
    import whet

    root.mkdir(parents=True, exist_ok=True)
    out = root / "run"
    if not out.exists():
        data = conversations(root / "talks.jsonl")
        whet.fit(
            data,
            task="text-generation",
            base=str(decoder(root / "decoder")),
            method="full",
            out=out,
            generation__max_tokens=6,
            training__epochs=1.0,
            training__learning_rate=0.003,
            evaluation__resamples=100,
        )
    return out
