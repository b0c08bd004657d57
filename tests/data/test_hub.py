from __future__ import annotations

import sys

import pytest

from tests.data.labelled_reading import read
from tests.data.made import all_rows, problems_of, refused, rows, sentence
from whet.data import reading
from whet.data.entities import Entities
from whet.data.scored import Relevant

datasets = pytest.importorskip("datasets", reason="the extra whet[hub] is not installed")


def made(count=40):
    values = {"text": [text for text, _ in rows(count)], "label": [n % 2 for n in range(count)]}
    features = datasets.Features(text=datasets.Value("string"), label=datasets.ClassLabel(names=["no", "yes"]))
    return datasets.Dataset.from_dict(values, features=features)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub that has what is put into it, and raises what is an error."""
    monkeypatch.chdir(tmp_path)
    has = {}

    def load_dataset(name, configuration=None):
        found = has[name, configuration]
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return has


def test_a_hub_data_set_with_its_names(hub, tmp_path):
    hub["owner/name", "part"] = datasets.DatasetDict(train=made(), val=made(10), unsupervised=made(5))
    found = read("owner/name:part", into=tmp_path / "out")
    assert found.labels == ("no", "yes")
    assert len(found.splits["validation"]) == 10
    assert "not used of owner/name:part: unsupervised" in found.notes
    assert [made.split for made in found.made] == ["test"]
    assert [facts.name for facts in found.fingerprint] == ["name:part.train", "name:part.validation"]
    assert all(facts.sha256 for facts in found.fingerprint)


def test_a_single_split_is_divided(hub, tmp_path):
    hub["name", None] = datasets.DatasetDict(everything=made())
    found = read("name", into=tmp_path / "out")
    assert sorted(all_rows(found)) == sorted(text for text, _ in rows(40))


def test_neither_here_nor_there(hub, tmp_path):
    hub["name", None] = ConnectionError("Couldn't reach the Hub\nsecond line")
    (problem,) = refused_name("name", tmp_path)
    assert (problem.code, problem.where) == ("D011", "name")
    assert "no such file or folder here" in problem.what
    assert "Couldn't reach the Hub)" in problem.what


def test_the_configuration_is_asked_for(hub, tmp_path):
    hub["glue", None] = ValueError("Config name is missing. Pick one of ['cola']")
    (problem,) = refused_name("glue", tmp_path)
    assert "colon" in problem.remedy


def test_no_training_split(hub, tmp_path):
    hub["name", None] = datasets.DatasetDict(test=made(), other=made())
    assert refused_name("name", tmp_path)[0].code == "D006"


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "datasets", None)
    (problem,) = refused_name("owner/name", tmp_path)
    assert (problem.code, problem.remedy) == ("D011", "pip install 'whet[hub]'")


def refused_name(name, folder):
    from tests.data.made import problems_of

    return problems_of(read, name, into=folder / "out")


def test_a_folder_of_save_to_disk(tmp_path):
    datasets.DatasetDict(train=made(), test=made(10)).save_to_disk(tmp_path / "saved")
    found = read(tmp_path / "saved", into=tmp_path / "out")
    assert found.labels == ("no", "yes")
    assert len(found.splits["test"]) == 10
    made().save_to_disk(tmp_path / "one", num_shards=3)
    assert len(all_rows(read(tmp_path / "one", into=tmp_path / "out2"))) == 40


def test_a_saved_file_cut_short(tmp_path):
    made(2000).save_to_disk(tmp_path / "saved")
    (file,) = (tmp_path / "saved").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:3000])
    assert refused(tmp_path / "saved")[0].code == "D017"


def test_tags_of_the_hub_are_judged_together_and_by_name(hub, tmp_path):
    tags = datasets.List(datasets.ClassLabel(names=["O", "B-x", "I-x"]))
    features = datasets.Features(tokens=datasets.List(datasets.Value("string")), ner_tags=tags)
    whole = {"tokens": [["a", sentence(n)] for n in range(40)], "ner_tags": [[0, 1]] * 40}
    hub["tagged", None] = datasets.DatasetDict(train=datasets.Dataset.from_dict(whole, features=features))
    found = reading.read("tagged", into=tmp_path / "out", form=Entities())
    assert found.labels == ("x",) and "tagged.train: tags are IOB2 (entities begin with B-)" in found.notes
    broken = {"tokens": [*whole["tokens"], ["a", "b"]], "ner_tags": [*whole["ner_tags"], [0, 2]]}
    hub["broken", None] = datasets.DatasetDict(train=datasets.Dataset.from_dict(broken, features=features))
    (problem,) = problems_of(reading.read, "broken", into=tmp_path / "other", form=Entities())
    assert (problem.code, problem.where) == ("D051", "broken.train:41")


def test_lists_of_passages_of_the_hub_become_rows(hub, tmp_path):
    rows = [{"query": sentence(n), "positive": [sentence(n + 300)], "negative": [sentence(n + 600)]} for n in range(40)]
    hub["ranked", None] = datasets.DatasetDict(train=datasets.Dataset.from_list(rows))
    found = reading.read("ranked", into=tmp_path / "out", form=Relevant())
    assert sum(len(examples) for examples in found.splits.values()) == 80
