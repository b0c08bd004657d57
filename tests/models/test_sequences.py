"""How sources and targets are framed, by real tokenizer classes and by fast ones of other kinds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from transformers import AutoConfig, AutoTokenizer

from tests.made_models import POSITIONS, WORDS, make_base, many_languages, tokenizer
from whet.errors import UserError
from whet.generation.loop import Sampling, generate, stream
from whet.models import saving, sequences
from whet.models.loading import load_tokenizer, refuse_unusable
from whet.models.places import find

from .ready import Ready
from .writing import batch_of, begins, rows, writer

Bases = Callable[..., Path]


def config(family: str, **settings: Any) -> Any:
    return AutoConfig.for_model(family, **{"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2} | settings)


def named(words: Any, ids: list[int]) -> list[str]:
    found: list[str] = words.convert_ids_to_tokens(ids)
    return found


def nllb() -> Any:
    """As NLLB's: codes before sources and targets."""
    letters = sorted({letter for word in WORDS for letter in word} | {"\u2581"})
    usual = ["<s>", "<pad>", "</s>", "<unk>"]
    vocabulary = {name: number for number, name in enumerate([*usual, *letters, "eng_Latn", "deu_Latn", "deu_Goth"])}
    codes = ["eng_Latn", "deu_Latn", "deu_Goth"]
    return transformers.NllbTokenizer(vocab=vocabulary, merges=[], src_lang="eng_Latn", extra_special_tokens=codes)


STARTS = [
    ("t5", {"decoder_start_token_id": 0}, lambda: tokenizer("t5"), None, ["<pad>"]),
    ("mt5", {"pad_token_id": 0}, lambda: tokenizer("mt5"), None, ["<pad>"]),
    ("marian", {"decoder_start_token_id": 0, "pad_token_id": 0}, lambda: tokenizer("marian"), None, ["<pad>"]),
    ("bart", {"decoder_start_token_id": 3}, lambda: tokenizer("bart"), None, ["</s>", "<s>"]),
    ("mbart", {}, lambda: many_languages("MBartTokenizer"), "de_DE", ["de_DE"]),
    ("mbart", {"decoder_start_token_id": 5}, lambda: many_languages("MBartTokenizer"), "ro", ["ro_RO"]),
    ("mbart", {"decoder_start_token_id": 2}, lambda: many_languages("MBart50Tokenizer"), "de", ["</s>", "de_DE"]),
    ("m2m_100", {"decoder_start_token_id": 3}, lambda: tokenizer("m2m_100"), "__de__", ["</s>", "__de__"]),
    ("m2m_100", {"decoder_start_token_id": 3}, lambda: tokenizer("m2m_100"), None, ["</s>", "__en__"]),
    ("m2m_100", {}, nllb, "deu_Latn", ["</s>", "deu_Latn"]),
]


@pytest.mark.parametrize(("family", "settings", "made", "language", "expected"), STARTS)
def test_what_a_target_begins_with(
    family: str, settings: dict[str, Any], made: Callable[[], Any], language: str | None, expected: list[str]
):
    words = made()
    before = words("where is my card")["input_ids"]
    found = sequences.prefix(words, config(family, **settings), language)
    assert named(words, found) == expected
    assert words("where is my card")["input_ids"] == before, "a source is framed as it was"
    assert named(words, sequences.suffix(words)) == [words.eos_token]


def test_a_start_that_the_base_names_stands_without_a_language():
    words = many_languages("MBartTokenizer")
    code = words.convert_tokens_to_ids("ro_RO")
    assert sequences.prefix(words, config("mbart", decoder_start_token_id=code)) == [code]


def test_a_start_that_nothing_says_is_told():
    with pytest.raises(UserError, match=r"M050.*decoder_start_token_id"):
        sequences.start_id(config("mbart"))
    assert sequences.start_id(config("bart", decoder_start_token_id=None)) == 2
    assert sequences.start_id(config("t5")) == 1
    words = tokenizer("bart")
    words.eos_token = None
    with pytest.raises(UserError, match="M052"):
        sequences.suffix(words)


@pytest.mark.parametrize(
    ("family", "limits"),
    [
        ("t5", (None, None)),
        ("bart", (40, 40)),
        ("marian", (40, 40)),
        ("led", (16, 8)),
    ],
)
def test_how_long_sources_and_targets_may_be(family: str, limits: tuple[int | None, int | None]):
    settings = {"max_encoder_position_embeddings": 16, "max_decoder_position_embeddings": 8}
    found = config(family, **(settings if family == "led" else {"max_position_embeddings": 40}))
    assert (sequences.max_source(found), sequences.max_target(found)) == limits


def test_sources_are_cut_within_their_frame_and_targets_are_bare():
    words = tokenizer("bart")
    whole, short = (sequences.source_ids(words, ["where is my card"], limit)[0] for limit in (None, 4))
    assert named(words, whole) == ["<s>", "where", "is", "my", "card", "</s>"]
    assert named(words, short) == ["<s>", "where", "is", "</s>"]
    assert sequences.source_ids(words, ["where is my card"])[0] == whole, "a limit holds for its call"
    assert named(words, sequences.target_ids(words, ["my card"])[0]) == ["my", "card"]


# --- languages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["MBartTokenizer", "MBart50Tokenizer"])
def test_languages_are_kept_where_a_tokenizer_is_saved(tmp_path: Path, name: str):
    words = many_languages(name)
    assert sequences.knows_languages(words)
    sequences.set_languages(words, "de", "ro_RO")
    source = named(words, words("where is my card")["input_ids"])
    assert ("de_DE" in source) and ("en_XX" not in source)
    words.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert type(again) is type(words)
    assert named(again, again("where is my card")["input_ids"]) == source
    start = config("mbart", decoder_start_token_id=2)
    known = sequences.prefix(again, config("mbart") if name == "MBartTokenizer" else start)
    assert named(again, known)[-1] == "ro_RO"
    assert named(again, again("where is my card")["input_ids"]) == source


def test_languages_that_are_not_known_are_told():
    many, one, fixed = many_languages("MBartTokenizer"), tokenizer("t5"), tokenizer("m2m_100")
    assert not sequences.knows_languages(one)
    assert sequences.knows_languages(fixed)
    with pytest.raises(UserError, match=r"M051.*'xx'.*not known.*ar_AR"):
        sequences.set_languages(many, "xx", None)
    with pytest.raises(UserError, match=r"M051.*knows no languages.*sources.template"):
        sequences.prefix(one, config("t5"), "de")
    with pytest.raises(UserError, match=r"M051.*several.*deu_Goth, deu_Latn"):
        sequences.code_of(nllb(), "deu")
    with pytest.raises(UserError, match=r"M051.*marks all sources with"):
        sequences.set_languages(fixed, "__de__", None)
    sequences.set_languages(fixed, "__en__", "__de__")
    sequences.set_languages(one, None, None)


def test_a_language_that_is_needed_is_asked_for():
    class Strict(transformers.MBart50Tokenizer):  # as M2M100's, which looks up the language None
        def _switch_to_target_mode(self) -> None:
            if self.tgt_lang is None:
                raise KeyError(None)
            self.set_tgt_lang_special_tokens(self.tgt_lang)

    words = Strict(vocab=many_languages("MBart50Tokenizer")._vocab_scores, src_lang="en_XX")
    with pytest.raises(UserError, match=r"M051.*sources.target_language"):
        sequences.prefix(words, config("mbart", decoder_start_token_id=2))
    assert len(sequences.prefix(words, config("mbart", decoder_start_token_id=2), "de_DE")) == 2


def test_plain_generate_begins_as_declared(bases: Bases):
    ready = writer(bases("mbart", language=True))
    sequences.declare(ready.model.network, [7, 9])
    settings = ready.model.network.generation_config
    assert (settings.decoder_start_token_id, settings.forced_bos_token_id) == (7, 9)
    assert ready.model.network.config.decoder_start_token_id == 7


# --- tokenizers written in Python -----------------------------------------------------------------------


def sentencepiece_base(folder: Path, family: str) -> Path:
    """A Marian or an M2M100 with its own kind of tokenizer."""
    library = pytest.importorskip("sentencepiece")
    import io

    file = io.BytesIO()
    library.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS)] * 5), model_writer=file, vocab_size=50, bos_id=-1, eos_id=1, unk_id=0,
        minloglevel=2,
    )  # fmt: skip
    processor = library.SentencePieceProcessor(model_proto=file.getvalue())
    pieces = [name for name in map(processor.id_to_piece, range(len(processor))) if name not in ("</s>", "<unk>")]
    settings: dict[str, Any] = {"model_max_length": POSITIONS - 2}
    if family == "marian":
        names, files = ["</s>", "<unk>", *pieces, "<pad>"], ["source.spm", "target.spm"]
        special = {"eos_token_id": 0, "pad_token_id": len(names) - 1, "decoder_start_token_id": len(names) - 1}
        settings |= {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "de"}
        size = special["decoder_vocab_size"] = len(names)
    else:
        names, files = ["<s>", "<pad>", "</s>", "<unk>", *pieces], ["sentencepiece.bpe.model"]
        special = {"eos_token_id": 2, "pad_token_id": 1, "decoder_start_token_id": 2}
        settings |= {"tokenizer_class": "M2M100Tokenizer", "src_lang": "en"}
        size = len(names) + 108  # a hundred languages
    make_base(folder, family, language=True, vocab_size=size, forced_eos_token_id=None, **special)
    for path in folder.glob("*token*"):
        path.unlink()
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(names)}))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    for name in files:
        (folder / name).write_bytes(file.getvalue())
    return folder


@pytest.mark.parametrize("family", ["marian", "m2m_100"])
def test_a_tokenizer_without_a_fast_form_is_taken_by_what_writes_targets(tmp_path: Path, family: str):
    folder = sentencepiece_base(tmp_path / "base", family)
    place = find(str(folder))
    refuse_unusable(place, "language", "auto")
    ready: Ready = writer(folder)
    words = ready.tokenizer
    assert not words.is_fast
    language = "de" if family == "m2m_100" else None
    sequences.set_languages(words, None, language)
    first = begins_of(ready, language)
    start = named(words, first)
    assert start == (["</s>", "__de__"] if family == "m2m_100" else ["<pad>"])
    source = sequences.source_ids(words, ["where is my card"])[0]
    framed = named(words, source)
    assert framed[-1] == "</s>"
    assert (framed[0] == "__en__") == (family == "m2m_100")
    saving.save(ready.model, None, words, ready.about(task="translation"), tmp_path / "model")
    model, again, _ = saving.load(tmp_path / "model")
    assert type(again) is type(words)
    assert sequences.source_ids(again, ["where is my card"])[0] == source
    given = {"begins": np.asarray(first), "eos_ids": sequences.suffix(words)}
    prompt = np.asarray(source)
    said = [
        generate(network, tool, [prompt], Sampling(max_tokens=6), **given)[0]
        for network, tool in ((ready.model.network, words), (model.network, again))
    ]
    assert said[0] == said[1]
    assert "".join(stream(model.network, again, prompt, Sampling(max_tokens=6), **given)) == said[0].text
    with pytest.raises(UserError, match=r"M012.*fast"):
        load_tokenizer(place, ["xq-7"])


@pytest.mark.parametrize("family", ["marian"])
def test_and_by_no_other_head(tmp_path: Path, family: str):
    place = find(str(sentencepiece_base(tmp_path / "base", family)))
    with pytest.raises(UserError, match=r"M006.*no fast tokenizer"):
        refuse_unusable(place, "vectors", "mean")


def test_what_counts_of_a_pair(bases: Bases):
    ready = writer(bases("bart", language=True))
    batch, wanted = batch_of(ready)
    counted = sum(len(target) - len(begins(ready)) for target in rows(ready)[1])
    assert int((wanted >= 0).sum()) == counted
    assert batch.parts == 2


def begins_of(ready: Ready, language: str | None) -> Any:
    return sequences.prefix(ready.tokenizer, ready.model.network.config, language)


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: Any, **__: Any) -> Any:
        raise ImportError("MarianTokenizer requires the SentencePiece library but it was not found.")

    folder = make_base(tmp_path / "base", "marian", language=True)
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuse)
    with pytest.raises(UserError, match=r"M006.*pip install sentencepiece"):
        load_tokenizer(find(str(folder)))
