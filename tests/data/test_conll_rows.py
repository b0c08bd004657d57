from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.made import put
from tests.data.made_entities import ENTITIES, SENTENCES, problems, refused, said, taken, unlabelled, words_of
from whet.data.conll_rows import holds_words
from whet.data.entities import Entities
from whet.data.reading import read


def lines(layout: str = "{word} {tag}", gap: str = "\n") -> str:
    """:data:`SENTENCES` with a word a line."""
    blocks = []
    for words, tags in SENTENCES:
        pairs = zip(words.split(), tags.split(), strict=True)
        blocks.append("".join(layout.format(number=n, word=w, tag=t) + "\n" for n, (w, t) in enumerate(pairs, start=1)))
    return gap.join(blocks)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.conll", lines()),
        ("a.txt", lines()),
        ("a.bio", lines("{word}\t{tag}")),
        ("a.bio", lines("{tag}\t{word}")),
        ("a.iob", lines("{word} NN B-NP {tag}")),
        ("a.iob2", lines("{number}\t{word}\t{tag}")),
        ("a.conll", lines("{word} _ _ {tag}")),
        ("a.conll", lines("{word}   {tag}  ")),
        ("a.conll.gz", lines()),
        ("a.tsv", lines("{word}\t{tag}")),
        ("a.conll", "-DOCSTART- -X- O\n\n" + lines()),
        ("a.conll", lines().replace("\n", "\r\n")),
        ("a.conll", lines(gap="\n \n\t\n\n")),
        ("a.conll", "# id 12\tdomain=en\n" + lines("{word} _ _ {tag}", gap="\n# id 13 x\n")),
        ("a.conll", "\ufeff" + lines()),
    ],
)
def test_layouts(tmp_path: Path, name: str, content: str) -> None:
    found = taken(put(tmp_path, name, content.encode()))
    assert words_of(found.examples) == [words.split() for words, _ in SENTENCES]
    assert said(found.examples) == ENTITIES
    assert found.examples.texts([0]) == ["Ann Lee lives in Oslo ."]


def test_the_columns_are_told_in_a_note(tmp_path: Path) -> None:
    found = taken(put(tmp_path, "a.conll", lines("{number} {word} x {tag}").encode()))
    assert "a.conll: read as a word a line, words in column 2 and tags in column 4 of 4" in found.notes


def test_another_column_may_be_named(tmp_path: Path) -> None:
    path = put(tmp_path, "a.conll", b"Oslo B-LOC B-NP\nsays O I-NP\n")
    assert said(taken(path, label="column 2", labels=("LOC", "NP")).examples) == [[("Oslo", "LOC")]]
    assert said(taken(path, labels=("LOC", "NP")).examples) == [[("Oslo says", "NP")]]


def test_a_word_may_begin_with_a_number_sign(tmp_path: Path) -> None:
    found = taken(put(tmp_path, "a.conll", b"#Oslo B-LOC\n# O\n\n# a comment\n#2 O\n"))
    assert words_of(found.examples) == [["#Oslo", "#"], ["#2"]]
    assert "a.conll: 1 line of comment skipped" in found.notes


def test_cells_parted_by_tabs_may_hold_blanks(tmp_path: Path) -> None:
    found = taken(put(tmp_path, "a.conll", "New York\tB-LOC\n\u00a0\tO\nnow\tO\n".encode()))
    assert words_of(found.examples) == [["New York", "\u00a0", "now"]]
    assert said(found.examples) == [[("New York", "LOC")]]


def test_lines_are_those_of_the_words(tmp_path: Path) -> None:
    content = "# c\n\nAnn B-PER\nis O\n\n-DOCSTART- O\n\nbad Q-PER\nOslo\nx I-LOC\n\nRome B-LOC\n\tO\n"
    found = problems(put(tmp_path, "a.conll", content.encode()))
    assert [(one.code, one.where) for one in found] == [
        ("D058", "a.conll:9"),
        ("D058", "a.conll:13"),
        ("D050", "a.conll:8"),
    ]
    assert "has 1 columns, the first line of the file 2" in found[0].what


def test_a_broken_sequence_is_named_by_its_own_line(tmp_path: Path) -> None:
    path = put(tmp_path, "a.conll", b"Ann B-PER\n\nso O\nOslo I-LOC\n\nRome B-LOC\n")
    assert refused(path) == [("D051", "a.conll:4")]


def test_documents_are_groups(tmp_path: Path) -> None:
    content = "-DOCSTART- O\n\nAnn B-PER\n\nOslo B-LOC\n\n-DOCSTART- O\n\nRome B-LOC\n"
    found = taken(put(tmp_path, "a.conll", content.encode()))
    assert found.columns.group == "document"
    groups = found.examples.column("group")
    assert groups[0] == groups[1] != groups[2]
    assert taken(put(tmp_path, "b.conll", content.encode()), group="none").examples.groups is None
    assert taken(put(tmp_path, "c.conll", lines().encode())).examples.groups is None


def test_sentences_of_a_file_without_documents_stand_alone_beside_one_with(tmp_path: Path) -> None:
    content = "-DOCSTART- O\n\n" + "\n\n".join(f"Ann{n} B-PER\nx O" for n in range(20)) + "\n"
    put(tmp_path, "train.conll", content.replace("x O\n\nAnn10", "x O\n\n-DOCSTART- O\n\nAnn10").encode())
    put(tmp_path, "dev.conll", b"Ann B-PER\n\nLee B-PER\n")
    put(tmp_path, "test.conll", b"Bob B-PER\n\nSue B-PER\n")
    found = read(tmp_path, into=tmp_path / "out", form=Entities())
    assert len(set(found.splits["test"].column("group"))) == 2
    assert len(set(found.splits["train"].column("group"))) == 2


def test_a_folder_of_text_files(tmp_path: Path) -> None:
    for name, word in (("train", "Ann"), ("valid", "Lee"), ("test", "Bob")):
        put(tmp_path, f"{name}.txt", f"{word} B-PER\nx O\n\ny O\n".encode())
    put(tmp_path, "readme.txt", b"hello")
    found = read(tmp_path, into=tmp_path / "out", form=Entities())
    assert [len(examples) for examples in found.splits.values()] == [2, 2, 2]
    assert any("readme.txt" in note for note in found.notes)


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.bio"])
def test_files_without_a_word_are_refused(tmp_path: Path, name: str) -> None:
    assert refused(put(tmp_path, name, b"\n\n# x\n\n")) == [("D003", name)]
    assert [code for code, _ in refused(put(tmp_path, name, b""))] == ["D002"]


def test_words_alone_want_a_prediction(tmp_path: Path) -> None:
    found = unlabelled(put(tmp_path, "a.conll", b"Ann\nLee\n\nOslo\n"))
    assert words_of(found) == [["Ann", "Lee"], ["Oslo"]]
    assert not found.shape.has("spans")
    assert words_of(unlabelled(put(tmp_path, "b.conll", b"Ann O\nLee O\n"))) == [["Ann", "Lee"]]


def test_a_text_file_to_predict_is_a_text_a_line(tmp_path: Path) -> None:
    found = unlabelled(put(tmp_path, "a.txt", b"Ann Lee, Oslo\n\nso\n"))
    assert words_of(found) == [["Ann", "Lee", ",", "Oslo"], [], ["so"]]


def test_without_words_a_line_there_is_nothing_to_tag(tmp_path: Path) -> None:
    assert refused(put(tmp_path, "a.conll", b"Ann\nLee\n")) == [("D021", "a.conll")]


def test_long_files_come_in_blocks(tmp_path: Path) -> None:
    rows = "".join(f"w{n} O\nOslo B-LOC\n\n" for n in range(9000))
    found = taken(put(tmp_path, "a.conll", rows.encode())).examples
    assert len(found) == 9000
    assert found.place(8999) == "a.conll:26998"
    assert said(found.take([8999])) == [[("Oslo", "LOC")]]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (lines("{word}\t{tag}"), True),
        (lines("{word}\t{tag}", gap=""), False),
        ("text\tlabel\nhello\tB-x\n\n", False),
        ("a\tO\n", False),
        ("a\tO\n\nb\tO\tO\n\n", False),
    ],
)
def test_a_table_is_taken_for_words_by_its_blank_lines_and_tags(content: str, expected: bool) -> None:
    assert holds_words(content) is expected
