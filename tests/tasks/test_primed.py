from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.made_models import WORDS
from tests.tasks.test_rewriting import EXAMPLES as PAIRS
from tests.tasks.test_rewriting import Tuned as Rewriter
from tests.tasks.test_text_generation import EXAMPLES, TALKS, Tuned, conversations, message
from whet.batches import chat
from whet.tasks.primed import primed

LIMIT = 120


@pytest.mark.parametrize("train", ["answers", "last", "all"])
def test_the_same_tokens_count_with_and_without_demonstrations(tmp_path: Path, train: str) -> None:
    tuned = Tuned(tmp_path / "base", **{"chat.train": train})
    plain = tuned.encode(limit=LIMIT)
    shown = [[1, 2], [], [0], [7], [3, 1], [2], [], [5]]
    encoded, left = primed(tuned.task, tuned.tokenizer, EXAMPLES, EXAMPLES, shown, plain, LIMIT)
    assert left.tolist() == [len(some) for some in shown]
    for row in range(8):
        own = [one for one, weight in _weighted(plain, row) if weight]
        told = [one for one, weight in _weighted(encoded, row) if weight]
        assert told == own
        before = chat.render(tuned.tokenizer, [turn for one in shown[row] for turn in TALKS[one]] + TALKS[row])
        assert encoded.row(row).tolist() == before.ids.tolist()


def _weighted(encoded: object, row: int) -> list[tuple[int, float]]:
    ids, weights = encoded.ids, encoded.weights  # type: ignore[attr-defined]
    part = slice(encoded.offsets[row], encoded.offsets[row + 1])  # type: ignore[attr-defined]
    return list(zip(np.asarray(ids[part]).tolist(), np.asarray(weights[part]).tolist(), strict=True))


def test_a_system_message_stands_once_and_first(tmp_path: Path) -> None:
    system = message("system", WORDS[30])
    rows = conversations([[system, *talk] for talk in TALKS])
    tuned = Tuned(tmp_path / "base", **{"chat.template": "chatml"})
    plain = tuned.encode(rows, limit=LIMIT)
    encoded, _ = primed(tuned.task, tuned.tokenizer, rows, rows, [[1]] * 8, plain, LIMIT)
    wanted = chat.render(tuned.tokenizer, [system, *TALKS[1], *TALKS[0]], template="chatml")
    assert encoded.row(0).tolist() == wanted.ids.tolist()


def test_demonstrations_go_first_where_there_is_no_room(tmp_path: Path) -> None:
    tuned = Tuned(tmp_path / "base")
    plain = tuned.encode(limit=40)
    encoded, left = primed(tuned.task, tuned.tokenizer, EXAMPLES, EXAMPLES, [[1, 2, 3, 4, 5]] * 8, plain, 40)
    assert (left < 5).all() and (np.diff(encoded.offsets) <= 40).all()
    row = chat.render(tuned.tokenizer, [turn for one in range(6 - left[0], 6) for turn in TALKS[one]] + TALKS[0])
    assert encoded.row(0).tolist() == row.ids.tolist()  # those that stand last are kept


def test_rows_that_go_on_are_shown_as_text(tmp_path: Path) -> None:
    tuned = Rewriter(tmp_path / "base", "gpt2")
    plain = tuned.encode(limit=LIMIT)
    encoded, _ = primed(tuned.task, tuned.tokenizer, PAIRS, PAIRS, [[3]] * 8, plain, LIMIT)
    talks = [one for one, _ in tuned.task.talks(tuned.tokenizer, PAIRS)]
    text = "".join([talks[3][0]["content"], talks[3][1]["content"], "\n\n", talks[0][0]["content"]])
    wanted = chat.render(tuned.tokenizer, [{"role": "prompt", "content": text}, talks[0][1]])
    assert encoded.row(0).tolist() == wanted.ids.tolist()
