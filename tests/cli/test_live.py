from __future__ import annotations

import io
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from whet.cli.live import MOST_SHOWN, SHOWN, STOPPING, StopRequest, render
from whet.cli.screen import print_at_once
from whet.evaluation.measures import MEASURES
from whet.files import write_json
from whet.folder import RunFolder

METRICS = ("token_nats", "perplexity", "bits_per_byte", "token_accuracy", "chrf", "rouge_l", "stop_rate")


def found() -> dict[str, Any]:
    scores = {
        name: {metric: {"value": value, "low": value - 0.1, "high": value + 0.1} for metric in METRICS}
        for name, value in (("nearest_answer", 4.5), ("full", 3.5))
    }
    del scores["nearest_answer"]["token_nats"]
    verdict = {"metric": "token_nats", "ship": "full", "code": "ship", "reason": "so"}
    return {
        "scores": scores,
        "verdict": verdict,
        "num_test_rows": 9,
        "findings": [],
        "tokens_per_second": None,
        "mfu": None,
    }


@pytest.mark.parametrize(("width", "columns"), [(200, MOST_SHOWN), (80, 4), (30, 1)])
def test_the_table_has_as_many_metrics_as_fit(tmp_path: Path, width: int, columns: int) -> None:
    write_json(tmp_path / "scores.json", {"kind": "texts", "models": found()["scores"]})
    write_json(tmp_path / "verdict.json", found()["verdict"])
    write_json(tmp_path / "shipped.json", {"model": "full"})
    screen = Console(width=width, record=True, force_terminal=False)
    render(screen, RunFolder(tmp_path), found())
    text = screen.export_text()
    head = next(line for line in text.splitlines() if "model" in line)
    wanted = ["token_nats", "chrf", "rouge_l", "perplexity", "bits_per_byte", "token_accuracy"]
    if width > 30:
        titles = [MEASURES[name].words for name in wanted]
        assert [title for title in titles if title in head] == titles[:columns]
        places = [head.index(title) for title in titles[:columns]]
        assert places == sorted(places), "what tells most comes first"
        assert "nearest_answer" in text, "names are not broken"
    assert "stop rate" not in head


def test_what_only_one_model_has_is_not_shown(tmp_path: Path) -> None:
    told = found()
    told["verdict"]["metric"] = "label_accuracy"
    for name, scores in told["scores"].items():
        scores["label_accuracy"] = {"value": 0.5, "low": 0.4, "high": 0.6}
        if name == "full":
            scores["bleu"] = {"value": 0.25, "low": 0.2, "high": 0.3}
    write_json(tmp_path / "scores.json", {"kind": "texts", "models": told["scores"]})
    write_json(tmp_path / "verdict.json", told["verdict"])
    write_json(tmp_path / "shipped.json", {"model": "full"})
    screen = Console(width=120, record=True, force_terminal=False)
    render(screen, RunFolder(tmp_path), told)
    head = next(line for line in screen.export_text().splitlines() if "model" in line)
    assert head.split() == ["model", "label", "accuracy", "chrF", "ROUGE-L", "perplexity"]


def test_every_metric_shown_is_known() -> None:
    assert set(SHOWN) <= set(MEASURES) and len(set(SHOWN)) == len(SHOWN)


class Interrupting(io.FileIO):
    """A file in whose first write a signal arrives."""

    def write(self, content: Any) -> int:
        if not getattr(self, "sent", False):
            self.sent = True
            os.kill(os.getpid(), signal.SIGTERM)
        return super().write(content)


def test_a_signal_in_the_middle_of_a_line(tmp_path: Path) -> None:
    """Its handler prints although the stream is at work: nothing may break, and both lines are there."""
    path = tmp_path / "said"
    with io.TextIOWrapper(io.BufferedWriter(Interrupting(path, "w"))) as file:
        screen = Console(file=file)
        stop = StopRequest(lambda: print_at_once(screen, STOPPING))
        with stop.listening():
            screen.print("a line")
    assert stop.requested and sorted(path.read_text().splitlines()) == sorted([STOPPING, "a line"])
