"""The audit against what is known of real sets."""

from __future__ import annotations

import pytest

from tests.data.labelled_reading import read, read_for_evaluation
from tests.data.made import real
from whet.data.duplicates import Keys, across
from whet.data.labelled import Labelled

# test rows that stand in train: as they are, in lower case, normalised; of these, with another label
KNOWN = {
    "sms_spam": (0, 5, 20, 0),
    "snips_intents": (26, 26, 31, 0),
    "trec": (10, 11, 11, 1),
    "banking77": (6, 6, 25, 0),
    "clinc150": (2, 2, 25, 2),
    "chemprot": (4, 4, 4, 0),
    "sst2": (2, 2, 2, 0),
    "sst5": (2, 2, 2, 0),
}


@pytest.mark.parametrize("name", KNOWN)
def test_known_repeats_between_train_and_test(tmp_path, name):
    folder = real(name)
    found = read(folder, into=tmp_path / "out")
    train = found.splits["train"]
    if found.made:
        # validation was carved out of training: the known counts are those of the whole file
        whole = read_for_evaluation(
            folder / "train.jsonl.gz", into=tmp_path / "whole", labels=found.labels, label="label"
        )
        train = whole.examples
    test, known = (Keys.of(one, Labelled().truths(one, found.labels)) for one in (found.splits["test"], train))
    counts = across(test, known).to_json()
    assert tuple(counts.values()) == KNOWN[name]


def test_a_folder_with_other_files_beside_the_splits(tmp_path):
    found = read(real("clinc150"), into=tmp_path / "out")
    assert any("oos_train.jsonl.gz" in note for note in found.notes)
    assert [len(examples) for examples in found.splits.values()] == [15000, 3000, 4500]
    assert len(found.labels) == 150


def test_a_known_pair(tmp_path):
    found = read(real("sick_nli"), into=tmp_path / "out")
    assert found.columns.wanted == ["text", "text_pair", "label"]
    assert found.labels == ("contradiction", "entailment", "neutral")
