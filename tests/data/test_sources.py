from __future__ import annotations

import json

import pytest

from tests.data.made import csv_file, problems_of, put
from whet.data.sources import FORMATS, find, source_file, split_of


def names(found, split):
    return [file.name for file in found.files[split]]


@pytest.mark.parametrize("ending", FORMATS)
def test_the_format_is_that_of_the_ending(tmp_path, ending):
    assert source_file(tmp_path / f"a.{ending.upper()}").format == FORMATS[ending]


@pytest.mark.parametrize(("ending", "compression"), [("csv.gz", "gzip"), ("jsonl.zst", "zstd"), ("tsv", None)])
def test_compression_is_told_by_the_last_ending(tmp_path, ending, compression):
    assert source_file(tmp_path / f"a.b.{ending}").compression == compression


@pytest.mark.parametrize("name", ["a.xlsx", "a", "a.gz", "a.csv.bz2", "csv"])
def test_an_unknown_ending_is_refused(tmp_path, name):
    (problem,) = problems_of(find, put(tmp_path, name, b"x"))
    assert problem.code == "D005"
    assert ".parquet" in problem.remedy


def test_a_compressed_binary_file_is_refused(tmp_path):
    (problem,) = problems_of(find, put(tmp_path, "a.parquet.gz", b"x"))
    assert (problem.code, "parquet" in problem.what) == ("D005", True)


def test_a_missing_file_suggests_its_neighbour(tmp_path):
    csv_file(tmp_path, name="tickets.csv")
    (problem,) = problems_of(find, tmp_path / "tikets.csv")
    assert (problem.code, problem.remedy) == ("D001", "Did you mean 'tickets.csv'?")


def test_a_name_too_long_for_the_system_is_a_missing_file():
    (problem,) = problems_of(find, "x" * 5000 + ".csv")
    assert problem.code == "D001"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.csv", "train"),
        ("Training_set.csv", "train"),
        ("valid.tsv", "validation"),
        ("val-00000-of-00001.parquet", "validation"),
        ("dev.jsonl", "validation"),
        ("validation.json.gz", "validation"),
        ("test", "test"),
        ("testing.csv", None),
        ("value.csv", None),
        ("oos_train.csv", None),
        ("develop.csv", None),
    ],
)
def test_the_split_is_how_a_name_begins(name, split):
    assert split_of(name) == split


def test_a_folder_of_splits_and_other_things(tmp_path):
    for name in ("train.csv", "dev.jsonl.gz", "test.parquet", "card.json", "README.md", ".hidden.csv"):
        put(tmp_path, name, b"x")
    found = find(tmp_path)
    assert list(found.files) == ["train", "validation", "test"]
    assert names(found, "validation") == ["dev.jsonl.gz"]
    assert found.notes == [f"not used in {tmp_path}: README.md, card.json"]


def test_shards_come_in_the_order_of_their_numbers(tmp_path):
    for number in (2, 0, 1):
        put(tmp_path, f"train-0000{number}-of-00003.parquet", b"x")
    expected = [f"train-0000{number}-of-00003.parquet" for number in range(3)]
    assert names(find(tmp_path), "train") == expected


def test_ten_shards_without_a_total_are_sorted_as_numbers(tmp_path):
    for number in range(11):
        put(tmp_path, f"train_{number}.csv.gz", b"x")
    assert names(find(tmp_path), "train")[-2:] == ["train_9.csv.gz", "train_10.csv.gz"]


@pytest.mark.parametrize(
    "files",
    [
        ["train-00000-of-00002.csv"],
        ["train-0.csv", "train-1.jsonl"],
        ["train.csv", "train.jsonl"],
        ["train_old.csv", "train_new.csv"],
    ],
)
def test_files_that_could_be_one_split_or_another_are_refused(tmp_path, files):
    for name in files:
        put(tmp_path, name, b"x")
    (problem,) = problems_of(find, tmp_path)
    assert problem.code == "D006"
    assert all(name in problem.what for name in files)


def test_the_file_of_exactly_that_name_wins(tmp_path):
    for name in ("train.csv", "train_clean.csv"):
        put(tmp_path, name, b"x")
    found = find(tmp_path)
    assert names(found, "train") == ["train.csv"]
    assert "train_clean.csv" in found.notes[0]


def test_a_folder_without_data_or_without_training(tmp_path):
    (problem,) = problems_of(find, tmp_path)
    assert (problem.code, "nothing" in problem.what) == ("D006", True)
    put(tmp_path, "test.csv", b"x")
    (problem,) = problems_of(find, tmp_path)
    assert (problem.code, "test.csv" in problem.what) == ("D006", True)


def test_the_only_data_file_of_a_folder_is_taken(tmp_path):
    put(tmp_path, "tickets.csv", b"x")
    assert names(find(tmp_path), "all") == ["tickets.csv"]


@pytest.mark.parametrize("name", ["owner/name", "name", "owner/name:part"])
def test_what_is_no_path_may_be_a_hub_id(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find(name).hub == name


def test_a_slip_in_an_ending_is_no_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    csv_file(tmp_path, name="tickets.csv")
    (problem,) = problems_of(find, "tickets.cvs")
    assert (problem.code, problem.remedy) == ("D001", "Did you mean 'tickets.csv'?")
    assert find("tickets").hub == "tickets"


def test_a_file_wins_over_a_hub_id(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    csv_file(tmp_path / "owner")
    assert find("owner").hub is None


def test_a_saved_data_set_is_found_by_its_lists(tmp_path):
    put(tmp_path, "dataset_dict.json", json.dumps({"splits": ["train", "extra"]}).encode())
    put(tmp_path / "train", "state.json", json.dumps({"_data_files": [{"filename": "data-0.arrow"}]}).encode())
    put(tmp_path / "train", "data-0.arrow", b"x")
    found = find(tmp_path)
    assert names(found, "train") == ["data-0.arrow"]
    assert found.notes == [f"not used in {tmp_path}: extra"]


@pytest.mark.parametrize(
    "state", [b"{", b"{}", b'{"_data_files": [{"filename": "gone.arrow"}]}', b'{"_data_files": []}']
)
def test_a_damaged_saved_data_set(tmp_path, state):
    put(tmp_path, "state.json", state)
    (problem,) = problems_of(find, tmp_path)
    assert problem.code == "D006"
