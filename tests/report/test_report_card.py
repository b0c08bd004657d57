from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from whet.errors import UserError
from whet.report import write_card, write_report

USAGE = "Load it:\n\n```python\nfrom transformers import pipeline\n```\n"


@pytest.fixture
def folder(tmp_path: Path, runs: dict[str, Path]) -> Path:
    folder = tmp_path / "support-full"
    shutil.copytree(runs["support"], folder)
    return folder


def front_matter(text: str) -> dict[str, object]:
    assert text.startswith("---\n")
    block = text.split("---\n")[1]
    found = yaml.safe_load(block)
    assert isinstance(found, dict)
    return found


def test_front_matter_has_the_form_of_the_hub(folder: Path) -> None:
    path = write_card(folder, USAGE, "sentence-transformers/all-MiniLM-L6-v2", "someone/tickets")
    assert path == folder / "model" / "README.md"
    about = front_matter(path.read_text(encoding="utf-8"))
    assert "license" not in about
    assert about["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert about["pipeline_tag"] == "text-classification"
    assert about["tags"] == ["text-classification", "whet"]
    assert about["datasets"] == ["someone/tickets"]
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))["models"]["full"]
    (entry,) = about["model-index"][0]["results"]  # type: ignore[index]
    assert entry["dataset"]["split"] == "test"
    assert {one["type"]: one["value"] for one in entry["metrics"]} == {
        name: pytest.approx(one["value"], abs=1e-6) for name, one in scores.items()
    }
    accuracy = scores["accuracy"]
    interval = f"95 % interval {accuracy['low']:.4f} to {accuracy['high']:.4f}"
    assert entry["metrics"][0]["name"] == f"Accuracy ({interval})"


def test_the_hubs_own_reader_understands_it(folder: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    path = write_card(folder, USAGE, "someone/base", "someone/tickets", model_name="tickets")
    card = hub.ModelCard.load(path)
    assert card.data.base_model == "someone/base"
    assert card.data.model_name == "tickets"
    assert {result.metric_type for result in card.data.eval_results} >= {"accuracy", "macro_f1", "log_loss"}


def test_a_local_base_and_a_private_data_set_leave_no_false_ids(folder: Path) -> None:
    about = front_matter(write_card(folder, USAGE, dataset="tickets.csv").read_text(encoding="utf-8"))
    assert "base_model" not in about and "datasets" not in about


def test_card_tells_verdict_scores_limits_and_use(folder: Path) -> None:
    text = write_card(folder, USAGE).read_text(encoding="utf-8")
    told = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert told["reason"] in text
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Verdict", "## Scores", "## Data", "## Limits", "## Use"]
    table = [line for line in text.splitlines() if line.startswith("| **full**")]
    assert len(table) == 1 and table[0].count("|") == 9
    assert "240 test rows cannot tell models apart that differ by less than 5.8 points." in text.replace("\u00a0", " ")
    assert "V004: 6 leaked rows" in text
    assert text.rstrip().endswith("```")


def test_report_shows_the_use_of_the_card(folder: Path) -> None:
    write_card(folder, USAGE)
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Load it:" in page and "whet predict" not in page


def test_names_cannot_break_out_of_the_table(tmp_path: Path, runs: dict[str, Path]) -> None:
    folder = tmp_path / "evil"
    shutil.copytree(runs["evil"], folder)
    text = write_card(folder, USAGE, model_name="a | b\n# <script>").read_text(encoding="utf-8")
    body = text.split("---\n", 2)[2]
    assert "<script" not in body
    assert "# a \\| b # &lt;script>" in body.splitlines()
    assert front_matter(text)["model-index"][0]["name"] == "a | b\n# <script>"  # type: ignore[index]


def test_an_empty_run_has_a_card_without_scores(tmp_path: Path) -> None:
    text = write_card(tmp_path, USAGE).read_text(encoding="utf-8")
    assert "model-index" not in front_matter(text)
    assert "## Scores" not in text and "## Use" in text


def test_no_run_no_card(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="F010"):
        write_card(tmp_path / "nowhere", USAGE)
