"""Tasks one after the other on one trunk: what is left of the earlier ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import whet
from tests import made_rows, made_tasks
from tests.made_models import make_base
from tests.models.kinds import ready_kind
from tests.models.ready import ready
from tests.models.told import TOLD
from whet.errors import UserError
from whet.findings import Finding
from whet.models import saving
from whet.models.adaptations import adapt
from whet.models.sharing import tie
from whet.workflows import transferring


@pytest.fixture(autouse=True)
def drawn_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pages of single runs have tests of their own."""
    monkeypatch.setattr("whet.workflows.fit.write_report", lambda run: (run / "report.html").write_text("drawn"))


def found(folder: Path, method: str, base: str = "") -> list[Finding]:
    """What is said of a first task after a second one, trained by ``method``."""
    make_base(folder / "base", "bert")
    made_rows.single(folder, 90)
    made_tasks.entities(folder, 60)
    more = "evaluation: {resamples: 100, baselines: [probe]}, forgetting: {measure: false}"
    training = "" if method == "probe" else ", training: {epochs: 6, learning_rate: 0.05, patience: 9}"
    recipe = folder / "both.yaml"
    recipe.write_text(
        f"base: {folder / 'base'}\n"
        "stages:\n"
        "  - {name: first, task: text-classification, method: full, "
        f"data: {{source: {folder / 'messages.csv'}}}, training: {{epochs: 2, learning_rate: 0.01}}, {more}}}\n"
        "  - {name: second, task: token-classification, "
        f"method: {method}, data: {{source: {folder / 'entities.jsonl'}}}{training}, {base}{more}}}\n"
    )
    return [one for one in whet.fit(recipe, out=folder / "run").findings if one.code == "X026"]


def test_a_trunk_that_stayed_answers_as_before(tmp_path: Path) -> None:
    (one,) = found(tmp_path, "probe")
    assert (one.bin, one.place) == ("passed", "first")
    assert one.evidence["alike"] and one.evidence["difference"] == 0
    assert one.evidence["candidate"] == "after second" and one.evidence["against"] == "full"


def test_a_trunk_that_moved_is_measured(tmp_path: Path) -> None:
    (one,) = found(tmp_path, "full")
    assert one.place == "first" and one.evidence["num_rows"] == 18
    assert one.bin == ("issue" if one.evidence["p_holm"] < 0.05 and one.evidence["difference"] < 0 else "passed")


@pytest.mark.parametrize("kind", ["lora", "ia3"])
def test_what_an_adapter_moved_is_in_the_trunk_that_it_left(tmp_path: Path, kind: str) -> None:
    base = make_base(tmp_path / "base", "bert", width=32)
    later, earlier = ready_kind(base, "tokens"), ready(base, "mean")
    adapter = adapt(later.model, kind, TOLD, str(base), 0)
    with torch.no_grad():
        for weight in later.model.trunk.parameters():
            if weight.requires_grad:
                weight.add_(0.2 * torch.randn_like(weight))
    later.model.eval()
    saving.save(later.model, adapter, later.tokenizer, later.about(adapter=True), tmp_path / "later")
    left = transferring.trunk_left(tmp_path / "later")
    assert torch.allclose(later.logits(), left(later.batch()), atol=1e-5)
    before = earlier.logits()
    assert tie(left, earlier.model) == [], "every weight of the trunk is that of the later one"
    assert not torch.allclose(earlier.logits(), before, atol=1e-3)


def test_what_is_read_before_a_text_is_no_trunk(tmp_path: Path) -> None:
    (one,) = found(tmp_path, "prefix")
    assert one.bin == "not_applicable" and "M068" in one.message


def test_stages_that_begin_anew_take_nothing_from_each_other(tmp_path: Path) -> None:
    assert found(tmp_path, "probe", f"base: {tmp_path / 'base'}, ") == []


def test_a_trunk_with_weights_of_its_own_is_not_taken_for_the_later_one() -> None:
    with pytest.raises(UserError, match="M080"):
        transferring._refuse_half("second", ["embeddings.word_embeddings.weight"])
    transferring._refuse_half("second", [])
