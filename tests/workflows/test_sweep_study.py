"""The study of a sweep: what is drawn hangs on seed and number; nothing is begun twice, or beyond what is wanted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from whet.errors import Interrupted, UserError
from whet.evaluation.finalists import Chosen, Gap
from whet.files import Lock, write_json
from whet.folder import RunFolder, create
from whet.recipe import dump, from_options
from whet.recipe.space import dimensions, methods_of, usual
from whet.workflows import sweep_copies, sweep_finals, sweep_findings, sweep_mattering, sweep_seeds, sweep_workers
from whet.workflows.sweep_clock import Clock, seconds_each
from whet.workflows.sweep_study import Study, Tried, hash_of, write_trials

pytest.importorskip("optuna", reason="the extra whet[sweep] is not installed")

SPACE = {"method": ["full", "lora"], "lora.rank": [1, 2, 4], "training.epochs": {"low": 1, "high": 4}}


def study(path: Path, **more: Any) -> Study:
    recipe = from_options({"data.source": "x", "search.space": SPACE, "search.trials": 8, **more})
    folder = create(path, "0")
    return Study(recipe, folder, dimensions(recipe), methods_of(recipe), new=True)


def again(known: Study) -> Study:
    return Study(known.recipe, known.folder, known.dimensions, known.methods, new=False)


def value_of(setting: dict[str, Any]) -> float:
    return 0.5 + 0.1 * float(setting.get("training.epochs", 2.0)) * (1 if setting.get("method") == "lora" else -1)


def test_gone_on_with_by_another_process_is_as_if_by_one(tmp_path: Path):
    one, other = study(tmp_path / "one"), study(tmp_path / "other")
    for _ in range(8):
        with one.claimed(True) as claim:
            assert claim is not None
            one.tell(claim[0], "complete", value_of(claim[1]), seconds=1.0)
    for turn in range(8):
        other = again(other)
        if turn % 2:
            with other.claimed(True):
                pass  # gone without a word
            other = again(other)
        with other.claimed(True) as claim:
            assert claim is not None and claim[0] == turn + 1
            other.tell(claim[0], "complete", value_of(claim[1]), seconds=1.0)
    assert [one.setting for one in one.trials()] == [one.setting for one in other.trials()]
    with other.claimed(True) as claim:
        assert claim is None  # as many as were wanted
    assert one.trials()[0].setting == {} and one.trials()[0].is_own


def test_what_somebody_is_at_is_left_to_him(tmp_path: Path):
    known = study(tmp_path / "one")
    with known.claimed(True) as first, again(known).claimed(True) as second:
        assert first is not None and second is not None and (first[0], second[0]) == (1, 2)
        with again(known).claimed(False) as third:
            assert third is None
    with again(known).claimed(False) as claim:  # both are gone now
        assert claim is not None and claim[0] == 1
    with Lock(known.place(1).path), again(known).claimed(False) as claim:
        assert claim is not None and claim[0] == 2


def test_of_a_machine_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    known = study(tmp_path / "one")
    known.machine = "another"
    with known.claimed(True):
        pass
    mine = again(known)
    with mine.claimed(False) as claim:
        assert claim is None  # its heart beat a moment ago
    monkeypatch.setattr("whet.store.studies.stale", lambda study: {mine.trial_id(1)})
    with mine.claimed(False) as claim:
        assert claim is not None and claim[0] == 1


def test_a_grid_is_gone_through(tmp_path: Path):
    space = {"method": ["full", "lora"], "lora.rank": [1, 2], "training.epochs": [1.0, 3.0]}
    known = study(tmp_path / "one", **{"search.space": space, "search.sampler": "grid", "search.trials": 50})
    assert known.wanted == 1 + 2 + 4
    drawn = []
    while True:
        with known.claimed(True) as claim:
            if claim is None:
                break
            drawn.append(claim[1])
            known.tell(claim[0], "complete", 0.5)
    assert drawn[0] == {} and len({str(sorted(one.items())) for one in drawn}) == 7
    assert {"method": "lora", "lora.rank": 2, "training.epochs": 3.0} in drawn


def test_what_is_hopeless(tmp_path: Path):
    known = study(tmp_path / "one")
    for value in (0.6, 0.7, 0.8, 0.9):
        with known.claimed(True) as claim:
            assert claim is not None
            known.report(claim[0], 0.5, value - 0.1)
            known.report(claim[0], 0.5, 0.0)  # said again after a kill: the first counts
            known.report(claim[0], 1.0, value)
            known.tell(claim[0], "complete", value, seconds=2.0)
    assert known.trials()[0].curve == ((0.5, 0.5), (1.0, 0.6))
    with known.claimed(True) as claim:
        assert claim is not None and claim[0] == 5
        assert known.is_hopeless(5, 0.6, 0.65) and not known.is_hopeless(5, 0.6, 0.75)
        assert not known.is_hopeless(5, 0.1, 0.0) and not known.is_hopeless(5, 1.0, 0.0)
        assert not known.is_hopeless(1, 0.6, 0.0)  # the recipe as it stands is always trained
    known.recipe = from_options({"data.source": "x", "search.pruner": "none"})
    assert not known.is_hopeless(5, 0.6, 0.0)


def tried(number: int, value: float, method: str, ended: str = "completed", state: str = "complete") -> Tried:
    setting = {} if number == 1 else {"method": method, "training.epochs": float(number)}
    return Tried(number, state, setting, value, 1.0, (), "", ended, "", method)


def test_who_is_looked_at_again():
    trials = [
        tried(1, 0.7, "full"),
        tried(2, 0.9, "full"),
        tried(3, 0.8, "lora"),
        tried(4, 0.89, "full"),
        tried(5, 0.95, "full", "max_seconds"),
        tried(6, 0.99, "full", state="pruned"),
    ]
    assert [one.number for one in sweep_finals.chosen(trials, 3)] == [2, 3, 1], "best of each method, and the recipe"
    assert [one.number for one in sweep_finals.chosen(trials, 4)] == [2, 3, 4, 1]
    assert [one.number for one in sweep_finals.chosen(trials, 1)] == [2]
    assert [one.number for one in sweep_finals.chosen(trials[4:], 3)] == [5]
    assert sweep_finals.chosen([], 3) == []


def test_what_says_always_the_same_is_not_looked_at_again():
    constant = replace(tried(3, 0.5, "lora"), why="no better than a constant answer")
    trials = [tried(1, 0.4, "full"), tried(2, 0.3, "full"), constant]
    assert [one.number for one in sweep_finals.chosen(trials, 3)] == [2, 1]
    assert [one.number for one in sweep_finals.chosen(trials, 1)] == [1]
    assert [one.number for one in sweep_finals.chosen([trials[0], constant], 3)] == [1]
    assert [one.number for one in sweep_finals.chosen([constant], 3)] == [3], "there is nothing else"


VERDICT = Chosen("ship", "", "", "accuracy", 0.01, 0.05, "", "", 200, {}, {}, [])


def finalist(number: int, validation: float, seeds: int = 2) -> dict[str, Any]:
    words = "the recipe as it stands (full)" if number == 1 else f"trial {number} (LoRA)"
    row = {"name": f"trial {number}", "words": words, "is_baseline": False, "trial": number}
    return {**row, "validation": validation, "num_seeds": seeds}


def test_whether_searching_helped_is_asked_of_what_validation_chose():
    """Not of whatever test rows like best, nor of what was never chosen."""
    baseline = {"name": "majority", "is_baseline": True}
    gains = {"trial 2": Gap(0.03, 0.01, 0.05), "trial 3": Gap(-0.04, -0.06, -0.02)}
    rows = [baseline, finalist(1, 0.8), finalist(2, 0.7), finalist(3, 0.9)]
    told = sweep_findings._helped(VERDICT, gains, rows)
    assert told.bin == "issue" and told.place == "trial 3" and "trial 3 (LoRA), which validation chose" in told.message
    told = sweep_findings._helped(VERDICT, gains, [*rows[:3], finalist(3, 0.6)])
    assert told.bin == "tip" and "found nothing better than the recipe" in told.message and told.place == "trial 1"
    told = sweep_findings._helped(VERDICT, gains, [finalist(1, 0.8, 1), finalist(2, 0.85)])
    assert told.bin == "passed" and "interval over rows, of one training" in told.message
    assert sweep_findings._helped(VERDICT, {}, rows[:2]).bin == "not_applicable"


def test_what_a_trial_may_take():
    search = from_options({"data.source": "x", "search.minutes": 10, "search.workers": 2}).search
    assert seconds_each(search, 20) == pytest.approx(20.0), "a third is for further seeds; workers share the machine"
    assert seconds_each(search, 20, 300.0) == pytest.approx(10.0), "earlier stages took half of it"
    assert seconds_each(search.model_copy(update={"seeds": 1}), 4) == pytest.approx(150.0)
    assert seconds_each(search.model_copy(update={"minutes": None}), 4) is None


def test_of_a_grid_as_many_trials_are_wanted_as_it_holds():
    recipe = from_options({"data.source": "x", "search.minutes": 5, "search.trials": 20})
    trials = [tried(number, 0.5, "full") for number in (1, 2, 3)]
    told = sweep_findings._in_time(recipe, trials, 7, [])
    assert told.bin == "tip" and "3 of 7 trials" in told.message and told.evidence["trials_left_out"] == 4
    assert sweep_findings._in_time(recipe, trials, 3, []).bin == "passed"
    seeds = [{"seed": 0, "run": "trials/0001", "cut": True}, {"seed": 1, "run": "seeds/0001-1", "cut": True}]
    row = {**finalist(1, 0.5), "runs": [one["run"] for one in seeds], "seeds": seeds, "left_out": 0}
    told = sweep_findings._in_time(recipe, trials, 3, [row])
    assert told.bin == "tip" and told.evidence["seeds_cut"] == ["trial 1, seed 1"], "a cut trial is told as a trial"
    told = sweep_findings._in_time(recipe, trials, 3, [], 1.0)
    assert told.bin == "tip" and "each went once over the rows" in told.message and told.evidence["passes"] == 1.0


def test_which_choices_mattered(tmp_path: Path):
    known = study(tmp_path / "one", **{"search.trials": 24, "search.sampler": "random"})
    for _ in range(24):
        with known.claimed(True) as claim:
            assert claim is not None
            known.tell(claim[0], "complete", value_of(claim[1]))
    found = sweep_findings.mattering(known)
    assert found.code == "X032" and found.bin == "passed"
    shares = found.evidence["groups"]["over all"]["importance"]
    assert set(shares) == {"method", "training.epochs"} and sum(shares.values()) == pytest.approx(1, abs=0.02)
    assert shares["method"] > shares["training.epochs"]
    assert sweep_findings.mattering(known) == found  # the forest grows from a seed
    few = study(tmp_path / "few")
    told(few, ["complete"] * 7)
    found = sweep_findings.mattering(few)
    assert (
        found.bin == "not_applicable" and "6 trials drew a setting" in found.message and "must be 10" in found.message
    )


def test_rates_of_methods_are_weighed_together(tmp_path: Path):
    """Each method has a range of its own; how far a rate is from what 'auto' takes is common to them all."""
    space = usual(("full", "lora"), {"full": 1e-4, "lora": 5e-3}, {"full": 4.0, "lora": 8.0})
    recipe = from_options({"data.source": "x", "search.trials": 20, "search.sampler": "random"})
    known = Study(recipe, create(tmp_path / "one", "0"), space, ("full", "lora"), new=True)
    auto = {"full": 1e-4, "lora": 5e-3, "": 1.0}
    for _ in range(20):
        with known.claimed(True) as claim:
            assert claim is not None
            setting = claim[1]
            rate = setting.get("training.learning_rate", 1.0) / auto[setting.get("method", "")]
            known.tell(claim[0], "complete", -abs(np.log(rate) - 1.0))
    found = sweep_findings.mattering(known)
    over_all = found.evidence["groups"]["over all"]
    assert set(over_all["importance"]) == {
        "method",
        "training.learning_rate, relative to auto",
        "training.epochs, relative to auto",
    }
    assert over_all["importance"]["training.learning_rate, relative to auto"] > 0.7
    assert over_all["num_trials"] == 19 and "over all (19 trials)" in found.message
    trial = sweep_mattering._groups(known)["over all"][0]
    drawn = known.trials()[1].setting
    assert drawn is not None
    expected = drawn["training.learning_rate"] / auto[drawn["method"]] / 5
    assert trial.choices["training.learning_rate, relative to auto"] == pytest.approx(expected)


def test_noise_is_foretold_by_no_choice(tmp_path: Path):
    known = study(tmp_path / "one", **{"search.trials": 24, "search.sampler": "random"})
    noise = np.random.default_rng(0).normal(size=24)
    for value in noise:
        with known.claimed(True) as claim:
            assert claim is not None
            known.tell(claim[0], "complete", float(value))
    found = sweep_findings.mattering(known)
    assert found.bin == "not_applicable" and "nothing by which another trial" in found.message
    assert found.evidence["told"] == []


def test_trials_that_time_cut_weigh_nothing(tmp_path: Path):
    known = study(tmp_path / "one", **{"search.trials": 24, "search.sampler": "random"})
    for turn in range(24):
        with known.claimed(True) as claim:
            assert claim is not None
            known.tell(claim[0], "complete", value_of(claim[1]), ended="max_seconds" if turn % 2 else "completed")
    told = sweep_findings.mattering(known).evidence["groups"]["over all"]["num_trials"]
    assert told <= 12


STATES = ("complete", "pruned", "complete", "failed", "complete")


def told(known: Study, states: Sequence[str]) -> None:
    """Trials that ended so, each with a folder."""
    for state in states:
        with known.claimed(True) as claim:
            assert claim is not None
            create(known.place(claim[0]).path, "0")
            known.report(claim[0], 0.5, 0.4)
            known.tell(claim[0], state, value_of(claim[1]) if state == "complete" else None, seconds=2.0, why="so")
        write_trials(known)


def copied(known: Study, to: Path) -> Study:
    folder = RunFolder(Path(shutil.copytree(known.folder.path, to)))
    return Study(known.recipe, folder, known.dimensions, known.methods, new=False)


def test_a_copy_goes_on_by_itself(tmp_path: Path):
    """Both draw on as if the other were not there, and neither counts what only the other holds."""
    known = study(tmp_path / "one")
    assert not sweep_copies.separate(known)
    told(known, STATES)
    first = copied(known, tmp_path / "copy")
    create(first.place(7).path, "0")  # under way when it was copied, and on no record
    assert sweep_copies.separate(first)
    copy = again(first)
    assert [one.to_json() for one in copy.trials()] == [one.to_json() for one in known.trials()]
    assert not copy.place(7).path.exists() and copy.place(5).path.exists()
    assert not sweep_copies.separate(copy) and not sweep_copies.separate(again(known)), "each has its own now"
    for one in (copy, known):
        told(one, ["complete"] * 2)
    assert [one.setting for one in copy.trials()] == [one.setting for one in known.trials()]
    shutil.rmtree(copy.folder.path)
    assert len(again(known).trials()) == 7 and not sweep_copies.separate(again(known))


def test_a_copy_without_a_record_takes_what_its_folder_holds(tmp_path: Path):
    known = study(tmp_path / "one")
    sweep_copies.separate(known)
    told(known, STATES)
    (known.folder.path / "trials.json").unlink()
    copy = copied(known, tmp_path / "copy")
    shutil.rmtree(copy.place(3).path)
    assert sweep_copies.separate(copy)
    assert [one.state for one in again(copy).trials()] == ["complete", "pruned"]


def test_a_folder_that_was_moved_takes_its_study_along(tmp_path: Path):
    known = study(tmp_path / "one")
    sweep_copies.separate(known)
    told(known, STATES)
    known.folder.path.rename(tmp_path / "two")
    moved = Study(known.recipe, RunFolder(tmp_path / "two"), known.dimensions, known.methods, new=False)
    assert not sweep_copies.separate(moved) and len(again(moved).trials()) == len(STATES)
    assert sweep_copies.separate(copied(moved, tmp_path / "one")), "where it lay before lies a copy"


def test_trials_whose_folder_is_gone(tmp_path: Path):
    known = study(tmp_path / "one")
    told(known, STATES)
    for number in (1, 2, 5):
        known.place(number).resolved.touch()
    assert [one.number for one in known.missing()] == [3], "what was given up or failed is not needed"


def test_what_has_ended_is_not_told_anew(tmp_path: Path):
    """A process that was thought gone may come back."""
    known = study(tmp_path / "one")
    with known.claimed(True) as claim:
        assert claim is not None
        known.tell(claim[0], "failed", why="gone")
        known.report(claim[0], 0.5, 0.9)
        known.tell(claim[0], "complete", 0.9, why="")
    (one,) = known.trials()
    assert (one.state, one.why, one.curve) == ("failed", "gone", ())


def test_who_is_waited_for_and_who_is_gone_on_with(tmp_path: Path):
    known = study(tmp_path / "one")
    with known.claimed(True):
        assert not again(known).has_orphan()  # somebody is at it
        stopped = iter([False, False, True])
        with pytest.raises(Interrupted):
            list(sweep_workers.awaited(again(known), [], lambda: next(stopped)))
    assert again(known).has_orphan()
    list(sweep_workers.awaited(again(known), [], lambda: False))  # ends, for it to be taken up
    assert [one.state for one in known.trials()] == ["running"]


def test_a_trial_gone_on_with_remembers_its_best_look(tmp_path: Path):
    known = study(tmp_path / "one")
    for _ in range(5):
        with known.claimed(True) as claim:
            assert claim is not None
            known.report(claim[0], 0.3, 0.8)
            known.tell(claim[0], "complete", 0.8, ended="completed")
    with known.claimed(True) as claim:
        assert claim is not None
        assert known.is_hopeless(claim[0], 0.4, 0.7)
        known.report(claim[0], 0.3, 0.95)
        assert not known.is_hopeless(claim[0], 0.4, 0.7)


def trained(path: Path, ended: str = "completed", limit: float | None = None) -> RunFolder:
    """A run folder of one training of ``full``, as far as its end is concerned."""
    folder = create(path, "0")
    folder.recipe.write_text(dump(from_options({"data.source": "x", "training.max_seconds": limit})))
    write_json(folder.facts("full"), {"ended": ended})
    return folder


def test_the_training_that_validation_chose_is_no_replicate(tmp_path: Path):
    places = [trained(tmp_path / name) for name in "abc"]
    finalist = sweep_finals.Finalist(tried(2, 0.9, "full"), "full", places)
    assert finalist.judged == places[1:]
    finalist.places = places[:2]
    assert finalist.judged == places[:2]


def test_a_seed_that_time_cut_does_not_judge(tmp_path: Path):
    places = [trained(tmp_path / "a", "max_seconds"), trained(tmp_path / "b"), trained(tmp_path / "c", "max_seconds")]
    finalist = sweep_finals.Finalist(tried(2, 0.9, "full"), "full", places)
    assert finalist.judged == places[:2], "two are whole, or what the setting was chosen by"
    finalist.places = [*places, trained(tmp_path / "d")]
    assert finalist.judged == [places[1], finalist.places[3]]
    own_limit = trained(tmp_path / "e", "max_seconds", limit=5.0)
    assert not finalist.was_cut(own_limit), "its recipe ends every training so"


def test_seeds_are_taken_by_one_process_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What somebody else is at is left to him, and the finalists are as they were."""
    recipe, folder = from_options({"data.source": "x", "search.seeds": 3}), create(tmp_path / "sweep", "0")
    closing = sweep_finals.Closing(
        recipe, folder, lambda *_: None, lambda: False, lambda _: True, lambda: False, tmp_path
    )
    finalists = [sweep_finals.Finalist(tried(number, 0.5, "full"), "full", []) for number in (1, 4)]
    begun: list[tuple[int, int]] = []

    def seed(_: Any, one: sweep_finals.Finalist, number: int) -> Iterator[Any]:
        with pytest.raises(UserError, match="F020"):
            Lock(folder.path / "seeds" / f"{one.tried.number:04d}-{number}").__enter__()
        begun.append((one.tried.number, number))
        one.failed[number] = "broken"
        yield from ()

    monkeypatch.setattr(sweep_seeds, "_seed", seed)
    other = folder.path / "seeds" / "0004-1"
    other.mkdir(parents=True)
    with Lock(other):
        list(sweep_seeds.taken(closing, finalists))
        stopped = iter([False, True])
        waiting = replace(closing, should_stop=lambda: next(stopped))
        with pytest.raises(Interrupted), sweep_seeds._alone(waiting, RunFolder(other)):
            pass
    assert begun == [(1, 1), (1, 2), (4, 2)] and not any(one.failed for one in finalists)


def test_threads_are_given_back(tmp_path: Path):
    """Where several processes try settings, each has its share of the threads; at the end one has them all."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with sweep_workers.threads_kept():
            torch.set_num_threads(2)
        assert torch.get_num_threads() == 3
        share = max(1, (os.cpu_count() or 1) // 64)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sweep_workers, "_started", lambda *_: [])
            with sweep_workers.helpers(create(tmp_path / "sweep", "0"), 64):
                assert torch.get_num_threads() == min(3, share)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_the_clock_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = create(tmp_path / "sweep", "0")
    search = from_options({"data.source": "x", "search.minutes": 10, "search.seeds": 3}).search
    first = Clock(folder, search, leads=True)
    first.since -= 120
    first._note()
    second = Clock(folder, search, leads=True)
    assert 119 < second.spent < 130 and 470 < second.left() <= 480
    trials = [tried(number, 0.5, "full") for number in (1, 2, 3)]
    assert second.has_room(trials) and second.reserved(trials) == pytest.approx(6.0)
    assert second.reserved([]) == pytest.approx(200.0), "no trial has ended: a third of it is kept for seeds"
    second.until = 0
    assert not second.has_room(trials) and second.is_late(trials) and not second.has_time_for(0.1)
    assert second.is_over() and not first.is_over()
    endless = Clock(create(tmp_path / "b", "0"), from_options({"data.source": "x"}).search, leads=True)
    assert endless.has_room([]) and not endless.is_late([]) and endless.has_time_for(1e9)
    assert not endless.is_over()


def test_what_may_change_does_not_change_the_name():
    first = from_options({"data.source": "x", "search.trials": 3})
    assert hash_of(first) == hash_of(from_options({"data.source": "x", "search.trials": 30, "search.minutes": 5}))
    assert hash_of(first) != hash_of(from_options({"data.source": "y"}))
    assert hash_of(first) != hash_of(
        from_options({"data.source": "x", "search.space": {"training.epochs": [1.0, 2.0]}})
    )
