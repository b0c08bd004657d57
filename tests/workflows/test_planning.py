"""What a run will need: worked out, tried, and held against what it then took."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.made_models import make_base
from tests.made_runs import Runs
from tests.made_tasks import JOBS
from whet.errors import UserError
from whet.files import read_json, write_json
from whet.folder import RunFolder
from whet.models.footprint import Footprint
from whet.recipe import Recipe, dump, from_options
from whet.recipe.resolve import resolve
from whet.workflows import preparing, trial
from whet.workflows.accelerators import GIB, TABLE, accelerator
from whet.workflows.advising import refuse_hopeless
from whet.workflows.as_planned import finding, findings
from whet.workflows.estimating import Need
from whet.workflows.machines import Machine, machine_of
from whet.workflows.planning import Wish, plan, plan_shape
from whet.workflows.running import Running

from .test_language_tasks import rows_of

QUICK = Wish(trial=False)


def recipe_of(runs: Runs, kind: str = "full", **more: Any) -> Recipe:
    return from_options({**runs.options(kind), **{name.replace("__", "."): value for name, value in more.items()}})


def tell(*_: Any) -> None:
    """Nobody listens."""


def by_method(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in found["methods"]}


# --- from the configuration -----------------------------------------------------------------------


def test_every_method_of_a_task(runs: Runs):
    found = plan(recipe_of(runs), QUICK, tell)
    rows = by_method(found)
    assert next(iter(rows)) == "probe"
    assert {"lora", "qlora", "bitfit", "ia3", "top-layers", "full"} <= set(rows)
    taken = [row for row in rows.values() if "reason" not in row]
    assert len(taken) >= 6
    for row in taken:
        assert row["peak_bytes"] > row["bytes"]["libraries"]
        assert row["seconds"]["low"] < row["seconds"]["value"] < row["seconds"]["high"]
        assert 0 < row["trainable_parameters"] <= row["total_parameters"]
        assert row["fits"]
        sizes = [size for _, size in row["by_micro_batch"]]
        assert sizes == sorted(sizes)
        assert row["kilowatt_hours"] is None
        assert row["from"] == "configuration"
    assert rows["full"]["trainable_parameters"] == rows["full"]["total_parameters"]
    assert rows["probe"]["trainable_parameters"] < rows["lora"]["trainable_parameters"]
    assert found["advice"]["method"] == "full"
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize("name", list(JOBS))
def test_every_task(runs: Runs, tmp_path: Path, name: str):
    job = JOBS[name]
    options = {**job.options, "task": job.task, "base": str(runs.base(job.base)), "method": "full"}
    found = plan(from_options({**options, "data.source": str(job.rows(tmp_path))}), QUICK, tell)
    row = by_method(found)["full"]
    assert "reason" not in row, row
    assert row["steps"] > 0


def test_general_text_that_is_replayed_is_counted(tmp_path: Path):
    base, rows = make_base(tmp_path / "gpt2", "gpt2", language=True), rows_of("text-generation", tmp_path)
    options = {"task": "text-generation", "base": str(base), "data.source": str(rows), "method": "full"}
    plain = by_method(plan(from_options(options), QUICK, tell))["full"]
    replayed = by_method(plan(from_options({**options, "forgetting.replay": 0.5}), QUICK, tell))["full"]
    assert replayed["tokens"] == pytest.approx(2 * plain["tokens"], rel=0.05)


def test_power_and_price(runs: Runs):
    found = by_method(plan(recipe_of(runs), Wish(trial=False, price=3.0, watts=100.0), tell))["full"]
    hours = found["seconds"]["value"] / 3600
    assert found["device_hours"] == pytest.approx(hours)
    assert found["price"] == pytest.approx(3.0 * hours)
    assert found["kilowatt_hours"] == pytest.approx(0.1 * hours)


def test_nothing_fits_and_what_helps(runs: Runs):
    found = plan(recipe_of(runs), Wish(trial=False, memory=0.01), tell)
    assert not any(row.get("fits") for row in found["methods"])
    with pytest.raises(UserError, match=r"L005.*Nothing fits into 0\.01 GiB.*data\.max_length"):
        refuse_hopeless(found)


def test_devices_of_the_table(runs: Runs):
    found = plan(recipe_of(runs), Wish(device="h100", accelerators=8), tell)
    assert found["machine"]["number"] == 8
    assert found["machine"]["watts"] == 700
    assert "source" in found["machine"]
    assert by_method(found)["full"]["kilowatt_hours"] > 0
    with pytest.raises(UserError, match=r"L004.*Did you mean 'h100'"):
        accelerator("h10")
    with pytest.raises(UserError, match="L006"):
        plan(recipe_of(runs), Wish(accelerators=2), tell)
    assert all(one.source and one.memory > 0 for one in TABLE.values())


# --- a shape alone --------------------------------------------------------------------------------


def test_a_shape_of_175_billion():
    found = plan_shape("opt-175b", Wish(device="h100", length=32), methods=("full",))
    full = by_method(found)["full"]
    assert full["total_parameters"] == pytest.approx(174.6e9, rel=1e-3)
    lasting = sum(full["bytes"][name] for name in ("weights", "masters", "gradients", "moments"))
    assert lasting == pytest.approx(18 * 174.6e9, rel=1e-2)  # bf16, and fp32 master, gradient and two moments
    # six operations a weight and token, but for tables that are looked up; attention is short here
    assert full["flops"] == pytest.approx(6 * 174.0e9 * 1e6, rel=2e-2)
    assert full["devices"] in range(37, 50)
    with pytest.raises(UserError, match=r"L005.*--accelerators"):
        refuse_hopeless(found)


def test_a_shape_over_many_devices():
    wish = Wish(device="h100", accelerators=4, length=64)
    rows = by_method(plan_shape("opt-6.7b", wish, methods=("full", "lora", "qlora")))
    assert all(row["fits"] for row in rows.values())
    assert rows["full"]["peak_bytes"] > 18 * 6.66e9 / 4
    assert rows["lora"]["bytes"]["weights"] == pytest.approx(2 * 6.7e9, rel=1e-2)
    assert rows["qlora"]["bytes"]["weights"] < 0.4 * rows["lora"]["bytes"]["weights"]


def test_an_encoder_decoder_needs_rows(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(UserError, match="L003"):
        plan_shape(str(tmp_path), Wish())


def test_an_encoder_alone():
    found = plan_shape("bert-base", Wish(device="l4", length=128, batch_tokens=4096), methods=("full", "bitfit"))
    assert found["subject"]["task"] == "text-classification"
    assert all(row["fits"] for row in found["methods"])


# --- arithmetic -----------------------------------------------------------------------------------


def a_need(memory: float, number: int = 1) -> Need:
    small = Footprint(10, 10, 20, 40, 40, 80, 100, 1, 60, 10, 600, 60, 10, 20, 20, 10)
    large = dataclasses.replace(small, activations=1000, num_tokens=100)
    machine = Machine("made", number, 100.0, 100.0, memory, 5, None, "", cpu=False)
    return Need("full", machine, large, small, small, 0, 3, 300, 30)


def test_memory_by_micro_batch():
    one = a_need(2000)
    assert one.bytes_at(10) == 5 + 180 + 100
    assert one.bytes_at(100) == one.peak == 5 + 180 + 1000
    assert one.bytes_at(55) == 5 + 180 + 550
    assert one.by_tokens() == [(10, 285), (20, 385), (40, 585), (80, 985), (100, 1185)]
    assert one.fits
    assert a_need(600).fitting == 40
    assert not a_need(600).fits
    assert a_need(200).fitting is None
    assert a_need(200).devices == 2  # 95 are left of each beside what a row takes, for 180 that stay
    assert a_need(100).devices == 0
    assert a_need(2000, number=2).bytes_at(10) == 5 + 90 + 100


def test_devices_of_the_table_are_spread():
    device = accelerator("a100")
    alone, many = machine_of(device, 1), machine_of(device, 8)
    assert alone.memory == 80 * GIB
    assert alone.seconds(1e15, 0) / many.seconds(1e15, 0) == pytest.approx(8 * 0.85)


# --- a few real steps -----------------------------------------------------------------------------


def prepared(runs: Runs, folder: Path, method: str) -> Running:
    recipe = recipe_of(runs, "probe" if method == "probe" else "full")
    run = Running(recipe, RunFolder(folder), tell, lambda: False)
    for stage in (preparing.read, preparing.look, preparing.encode):
        list(stage(run))
    run.write_resolved(resolve(recipe, preparing.facts_of(run)))
    run.__dict__.pop("resolved", None)
    run.__dict__.pop("task", None)
    run.folder.recipe.write_text(dump(recipe))
    return run


@pytest.mark.parametrize("method", ["probe", "full"])
def test_a_trial(runs: Runs, tmp_path: Path, method: str):
    run = prepared(runs, tmp_path, method)
    run.resolved["head.start"]["value"] = "random"
    before = torch.get_rng_state()
    found = trial.attempt(run, method)
    torch.set_rng_state(before)
    assert found["look_tokens"] > 0
    assert found["peak_bytes"] is None or found["peak_bytes"] >= found["resident_bytes"] / 2
    if method == "full":
        assert len(found["step_seconds"]) == len(found["step_tokens"]) == trial.LONGEST + trial.USUAL - 1
        assert min(found["step_seconds"]) > 0
    assert not (tmp_path / "checkpoints").exists()


def test_seconds_of_a_whole_training():
    steps = {"step_seconds": [9.0] + [1.0] * 12, "step_tokens": [100] * 13, "look_seconds": 1.0, "look_tokens": 100}
    found = trial.summed(steps, 10_000, 1_000)
    assert found["tokens_per_second"] == 100  # the first step makes room and is not counted
    assert found["value"] == 100 + 10
    assert found["low"] == pytest.approx(110 / trial.DRIFT)
    uneven = {**steps, "step_seconds": [1.0] + [0.5, 1.5] * 6}
    wide = trial.summed(uneven, 10_000, 1_000)
    assert wide["value"] == pytest.approx(110)
    assert wide["low"] < found["low"] < found["high"] < wide["high"]
    assert trial.summed({"look_seconds": 1.0, "look_tokens": 100}, 0, 1_000)["value"] == 10


def test_a_trial_where_the_rate_is_found_by_one(runs: Runs):
    recipe = recipe_of(runs, "full", training__learning_rate="range-test")
    row = by_method(plan(recipe, Wish(), tell))["full"]
    assert row["from"] == "trial", row["trial"]


def test_a_plan_with_its_trial_in_another_process(runs: Runs):
    found = by_method(plan(recipe_of(runs, "probe"), Wish(), tell))
    row = found["probe"]
    assert row["from"] == "trial", row["trial"]
    assert row["peak_bytes"] == row["trial"]["peak_bytes"] + row["bytes"]["rest of the run"]
    assert row["worked_out_peak_bytes"] > 0
    assert found["full"]["from"] == "configuration"


# --- what was expected, and what it took ----------------------------------------------------------


def test_a_run_leaves_its_plan(runs: Runs):
    folder = RunFolder(runs.finished("full"))
    planned = read_json(folder.plan)["models"]
    assert set(planned) == {"probe", "full"}
    assert all("peak_bytes" in one for one in planned.values())
    told = [one for one in read_json(folder.findings) if one["code"] == "E012"]
    assert {one["place"] for one in told} == {"probe", "full"}
    assert all(one["evidence"]["peak_bytes"]["used"] > 0 for one in told)
    assert read_json(folder.facts("full"))["peak_bytes"] > 0


def test_within_the_margins():
    planned = {"peak_bytes": 110 << 20, "train_seconds": 24.0, "steps": 10}
    facts = {"peak_bytes": 100 << 20, "train_seconds": 10.0, "steps": 5}
    passed = finding("full", planned, facts)
    assert passed.bin == "passed"
    assert "memory +10%" in passed.message
    assert "time +20%" in passed.message  # it ended half-way, and so does what was expected
    assert finding("full", planned, {**facts, "peak_bytes": 90 << 20}).bin == "tip"
    assert finding("full", planned, {**facts, "train_seconds": 9.0}).bin == "tip"


def test_what_could_not_be_worked_out(tmp_path: Path):
    folder = RunFolder(tmp_path)
    assert list(findings(folder, {"full": {"peak_bytes": 1}})) == []
    write_json(folder.plan, {"models": {"full": {"reason": "a strange network"}}})
    (found,) = findings(folder, {"full": {"peak_bytes": 1}})
    assert found.bin == "not_applicable"
    assert "a strange network" in found.message
