"""Several adapters of one base: mixed as PEFT mixes them, merged into it and taken out again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from whet.errors import UserError
from whet.models import adaptations, mixing, parity, saving
from whet.models.mixing import Held

from .kinds import ready_kind
from .ready import Ready, stir

Bases = Callable[..., Path]
Save = Callable[..., Held]


@pytest.fixture
def save(bases: Bases, tmp_path: Path) -> Save:
    """A saved adapter whose matrices are drawn from a seed."""

    def one(name: str, seed: int, rank: int = 2, kind: str = "vectors", family: str = "bert", **more: Any) -> Held:
        ready = ready_kind(bases(family, plain=True), kind)
        folder = str(ready.place.folder)
        adapter = adaptations.adapt_lora(ready.model, rank, 2.0 * rank + seed, 0.0, "auto", folder, seed, **more)
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in ready.model.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.2 * torch.randn(parameter.shape, generator=random))
        ready.model.eval()
        saving.save(ready.model, adapter, ready.tokenizer, ready.about(adapter=True), tmp_path / name)
        return mixing.look(tmp_path / name)

    return one


def said(held: Held, ready: Ready) -> Any:
    return parity.outputs(held.folder, held.about, held.about.base, ready.batch().encoded, rows_at_once=2)


@pytest.mark.parametrize("way", ["cat", "linear", "ties", "svd"])
def test_mixed_adapters_say_what_peft_makes_of_them(bases: Bases, save: Save, tmp_path: Path, way: Any):
    """Without a head that trains, PEFT can mix them itself."""
    from peft import PeftModel
    from transformers import AutoModel

    first, second = save("a", 1), save("b", 2)
    mixed = mixing.mix([first, second], [0.7, 0.3], way, tmp_path / "mixed", density=0.5)
    base = AutoModel.from_pretrained(first.about.base, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, first.folder, adapter_name="a")
    model.load_adapter(second.folder, adapter_name="b")
    density = 0.5 if way == "ties" else None
    model.add_weighted_adapter(["a", "b"], [0.7, 0.3], "c", combination_type=way, density=density)
    model.set_adapter("c")
    ready = ready_kind(bases("bert", plain=True), "vectors")
    batch = ready.batch().padded(0)
    with torch.inference_mode():
        hidden = model.eval()(**batch).last_hidden_state
    mask = batch["attention_mask"].unsqueeze(-1)
    pooled = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)
    np.testing.assert_allclose(said(mixed, ready), pooled.numpy(), atol=2e-5)
    loaded, _, _ = saving.load(mixed.folder)
    np.testing.assert_allclose(replace(ready, model=loaded).logits().numpy(), pooled.numpy(), atol=2e-5)


def test_side_by_side_is_the_exact_sum_whatever_the_ranks(save: Save, tmp_path: Path):
    first, second = save("a", 1, rank=2), save("b", 2, rank=3)
    mixed = mixing.mix([first, second], [0.5, 2.0], "cat", tmp_path / "mixed")
    assert mixed.rank == 5
    one, two, both = (held.tensors() for held in (first, second, mixed))
    name = next(name for name in both if name.endswith("lora_A.weight"))
    other = name.replace("lora_A", "lora_B")
    wanted = 0.5 * first.scale * one[other] @ one[name] + 2.0 * second.scale * two[other] @ two[name]
    torch.testing.assert_close(mixed.scale * both[other] @ both[name], wanted)
    small = mixing.mix([first, second], [0.5, 2.0], "svd", tmp_path / "small")
    assert small.rank == 3


def test_heads_become_the_mean_by_weight(save: Save, tmp_path: Path):
    first, second = save("a", 1, kind="classes"), save("b", 2, kind="classes")
    mixed = mixing.mix([first, second], [3.0, 1.0], "linear", tmp_path / "mixed")
    one, two, both = (held.tensors() for held in (first, second, mixed))
    heads = [name for name in both if "classifier" in name]
    assert heads
    for name in heads:
        torch.testing.assert_close(both[name], 0.75 * one[name] + 0.25 * two[name])


def test_what_was_fitted_to_one_alone_is_left_out(save: Save, tmp_path: Path):
    first, second = save("a", 1, kind="classes"), save("b", 2, kind="classes")
    own = {"temperature": 1.7, "thresholds": [0.2, 0.9, 0.5], "no_answer_from": 0.3, "low": 0.0}
    facts = {"labels": ["x"], "settled": own}
    about = replace(first.about, temperature=1.7, thresholds=[0.2, 0.9, 0.5], task_facts=facts)
    known = replace(first, about=about)
    assert mixing.fitted(about) == ["no_answer_from", "temperature", "thresholds"]
    mixed = mixing.mix([known, second], [1.0, 1.0], "cat", tmp_path / "mixed").about
    assert (mixed.temperature, mixed.thresholds) == (1.0, None)
    assert mixed.task_facts == {"labels": ["x"], "settled": {"low": 0.0}}, "what training taught stays"
    assert mixing.fitted(mixed) == mixing.fitted(second.about) == []
    assert about.task_facts["settled"] == own


def test_drawn_mixtures_are_drawn_alike(save: Save, tmp_path: Path):
    first, second = save("a", 1), save("b", 2)
    mixed = [mixing.mix([first, second], [1, 1], "dare_linear", tmp_path / n).tensors() for n in ("x", "y")]
    assert all(torch.equal(mixed[0][name], mixed[1][name]) for name in mixed[0])


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_merged_and_taken_out_again_is_the_base(bases: Bases, save: Save, tmp_path: Path, family: str):
    held = save("a", 1, family=family)
    ready = ready_kind(bases(family, plain=True), "vectors")
    base = ready.logits()
    mixing.merge(held, tmp_path / "whole")
    whole, _, about = saving.load(tmp_path / "whole")
    assert about.kind == "sentence"
    alone, _, _ = saving.load(held.folder)
    merged = replace(ready, model=whole).logits()
    torch.testing.assert_close(merged, replace(ready, model=alone).logits(), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(merged, base, atol=1e-3)
    gap = mixing.unmerge(tmp_path / "whole", held, tmp_path / "apart")
    assert gap < 1e-6
    apart, _, _ = saving.load(tmp_path / "apart")
    torch.testing.assert_close(replace(ready, model=apart).logits(), base, atol=1e-5, rtol=1e-4)


def refused(act: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(UserError) as caught:
        act()
    problem = caught.value.problems[0]
    assert problem.remedy
    return problem.code, problem.what


def test_what_cannot_be_mixed_is_refused(save: Save, tmp_path: Path):
    first = save("a", 1)
    out = tmp_path / "mixed"
    assert (
        "other weights" in refused(lambda: mixing.mix([first, save("b", 1, family="roberta")], [1, 1], "cat", out))[1]
    )
    assert "another head" in refused(lambda: mixing.mix([first, save("c", 1, kind="classes")], [1, 1], "cat", out))[1]
    assert "rank" in refused(lambda: mixing.mix([first, save("d", 1, rank=3)], [1, 1], "linear", out))[1]
    assert "DoRA" in refused(lambda: mixing.mix([first, save("e", 1, dora=True)], [1, 1], "cat", out))[1]
    assert "weights are 0" in refused(lambda: mixing.mix([first, first], [0, 0], "cat", out))[1]
    assert refused(lambda: mixing.mix([first, first], [1, 1], "cat", first.folder))[0] == "M069"
    assert not out.exists()


def test_a_whole_model_is_no_adapter(bases: Bases, tmp_path: Path):
    ready = ready_kind(bases("bert", plain=True), "classes")
    stir(ready.model.head)  # type: ignore[arg-type]
    saving.save(ready.model, None, ready.tokenizer, ready.about(), tmp_path / "whole")
    assert refused(lambda: mixing.look(tmp_path / "whole"))[0] == "M067"
