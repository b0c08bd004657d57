from __future__ import annotations

from whet.data import general


def test_the_sets_that_come_along_ask_three_different_things() -> None:
    sets = general.labelled_sets()
    assert [one.name for one in sets] == ["topics", "questions", "subjects"]
    for one in sets:
        assert len(one.texts) == len(one.labels) == len(set(one.texts)) == 400
        counts = [one.labels.count(label) for label in one.names]
        assert max(counts) - min(counts) <= 1, "no label is commoner than another"
        assert general.LabelledTexts.from_json(one.to_json()) == one


def test_the_prose_is_made_of_paragraphs() -> None:
    texts = general.prose()
    assert len(texts) == len(set(texts)) == 64
    assert all(30 <= len(text.split()) <= 80 and "\n" not in text for text in texts)


def test_paragraphs_are_parted_by_blank_lines() -> None:
    assert general.paragraphs("one\ntwo\r\n\r\n  three \n\n\n\n") == ["one two", "three"]


def test_what_is_trained_on_is_not_asked() -> None:
    asked, replayed = general.halves(general.prose())
    assert not set(asked) & set(replayed) and len(asked) + len(replayed) == 64


def test_some_rows_are_drawn_alike_each_time() -> None:
    assert general.some(5, 9, 0, "x") == [0, 1, 2, 3, 4]
    drawn = general.some(100, 10, 3, "x")
    assert drawn == general.some(100, 10, 3, "x") == sorted(set(drawn)) and len(drawn) == 10
    assert drawn != general.some(100, 10, 4, "x")
