"""Makes the small models that the benchmarks of language tasks start from, and the plain texts as one set.

Usage: bases.py [NAME ...]. Each lands in a folder of its name below WHET_BASES (build/bases of this clone if not
set) and is left alone where it is there already. Plain transformers loads all of them.

- ``stories260K``: the checkpoint of llama2.c, by ``whet import``.
- ``plain_texts``: no model; rows of four sets of texts, each in its own split.
- ``decoder``: Llama's architecture with random weights, about 10 M, and a byte-level BPE of ``plain_texts``.
- ``llama135m``: the shape of SmolLM2-135M with random weights, for memory and speed.
- ``planned_llama``, ``planned_t5``: about 30 M random weights each, for plans.
- ``chats_few``: no model; a few hundred rows of bitext_support_chat.
- ``marian``, ``t5``: encoder-decoders with random weights and one tokenizer for both languages of multi30k.
"""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from sets import BASES, ROOT

CHECKPOINTS = ROOT / "checkpoints"
PLAIN = {
    "train": (
        ("wikitext2", "validation"),  # its own training file is not there
        ("masc_text", "train"),
        ("tinyshakespeare", "train"),
        ("pubmed_trials_text", "train"),
    ),
    "validation": (
        ("masc_text", "validation"),
        ("tinyshakespeare", "validation"),
        ("pubmed_trials_text", "validation"),
    ),
    "test": (("wikitext2", "test"), ("masc_text", "test"), ("tinyshakespeare", "test"), ("pubmed_trials_text", "test")),
}
CONTEXT = 512
WORDS = 8192
PAIR_WORDS = 9000
LONGEST_PAIR = 256
END, TURN, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
PAD, STOP, UNKNOWN = "<pad>", "</s>", "<unk>"


def rows(name: str, split: str) -> Iterator[dict[str, Any]]:
    """The rows of a split of a set."""
    with gzip.open(ROOT / name / f"{split}.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def stories260k(folder: Path) -> None:
    """By ``whet import``."""
    files = CHECKPOINTS / "stories260K"
    command = ["whet", "import", str(files / "stories260K.bin"), str(folder)]
    subprocess.run([*command, "--tokenizer", str(files / "tok512.bin")], check=True, stdout=subprocess.DEVNULL)


def plain_texts(folder: Path) -> None:
    """A file a split; each row says which set it is from."""
    folder.mkdir(parents=True)
    for split, parts in PLAIN.items():
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for name, own in parts:
                for row in rows(name, own):
                    file.write(json.dumps({"text": row["text"], "set": name}, ensure_ascii=False) + "\n")


# --- tokenizers ---------------------------------------------------------------------------------------


def byte_level(texts: Iterable[str]) -> Any:
    """BPE on bytes with the control tokens of chatml."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=WORDS,
        special_tokens=[END, TURN, TURN_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        eos_token=END,
        pad_token=END,
        additional_special_tokens=[TURN, TURN_END],
        model_max_length=CONTEXT,
    )


def for_pairs(texts: Iterable[str]) -> Any:
    """BPE on characters, blanks kept as in SentencePiece; a text ends with the stop token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=PAIR_WORDS, special_tokens=[PAD, STOP, UNKNOWN], min_frequency=2, show_progress=False
    )
    backend.train_from_iterator(texts, trainer)
    backend.post_processor = processors.TemplateProcessing(
        single=f"$A {STOP}", pair=f"$A {STOP} $B:1 {STOP}:1", special_tokens=[(STOP, backend.token_to_id(STOP))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=PAD, eos_token=STOP, unk_token=UNKNOWN, model_max_length=LONGEST_PAIR
    )


def pairs() -> Iterator[str]:
    """Both sides of the training rows of multi30k."""
    for row in rows("multi30k_en_de", "train"):
        yield from (row["source"], row["target"])


# --- models -------------------------------------------------------------------------------------------


def llama(folder: Path, tokenizer: Any, *, heads: int, **shape: int) -> None:
    """A Llama with random weights whose layers share the table of tokens.

    :param shape: what LlamaConfig calls its sizes; as many keys and values as heads, and words as the tokenizer has,
        where they are not given.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **{"vocab_size": len(tokenizer), "num_key_value_heads": heads, "max_position_embeddings": CONTEXT} | shape,
        num_attention_heads=heads,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    save(folder, drawn(LlamaForCausalLM, config), tokenizer)


def decoder(folder: Path) -> None:
    """About 10 M weights."""
    make("plain_texts")
    lines = (BASES / "plain_texts" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    tokenizer = byte_level(json.loads(line)["text"] for line in lines)
    llama(folder, tokenizer, heads=6, hidden_size=384, intermediate_size=1024, num_hidden_layers=4)


def llama135m(folder: Path) -> None:
    """30 layers of width 576; the tokenizer is ``decoder``'s, so that only its rows of the table are used."""
    sizes = {"vocab_size": 49152, "num_key_value_heads": 3, "max_position_embeddings": 2048}
    wide = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30}
    llama(folder, words_of("decoder"), heads=9, **sizes, **wide)


def planned_llama(folder: Path) -> None:
    """About 30 M weights, with ``decoder``'s words."""
    llama(folder, words_of("decoder"), heads=8, hidden_size=512, intermediate_size=1408, num_hidden_layers=8)


def planned_t5(folder: Path) -> None:
    """About 30 M weights."""
    of_t5(folder, heads=6, layers=6, d_model=384, d_kv=64, d_ff=1536)


def words_of(name: str) -> Any:
    """The tokenizer of a base."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(make(name))


def chats_few(folder: Path) -> None:
    """Rows evenly apart of each split, as many as a model of 135 M weights reads in a minute or two."""
    folder.mkdir(parents=True)
    for split, wanted in (("train", 192), ("validation", 16), ("test", 16)):
        known = list(rows("bitext_support_chat", split))
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(wanted):
                file.write(json.dumps(known[number * len(known) // wanted], ensure_ascii=False) + "\n")


def marian(folder: Path) -> None:
    """The "tiny" shape of arXiv 2105.14462."""
    from transformers import MarianConfig, MarianMTModel

    tokenizer, width = for_pairs(pairs()), 128
    config = MarianConfig(
        vocab_size=len(tokenizer),
        decoder_vocab_size=len(tokenizer),
        d_model=width,
        encoder_layers=4,
        decoder_layers=4,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=256,
        decoder_ffn_dim=256,
        dropout=0.1,
        activation_function="relu",
        max_position_embeddings=LONGEST_PAIR,
        init_std=width**-0.5,
        scale_embedding=True,
        share_encoder_decoder_embeddings=True,
        **of_pairs(tokenizer),
    )
    save(folder, drawn(MarianMTModel, config), tokenizer)


def t5(folder: Path) -> None:
    """A T5 of a like size."""
    of_t5(folder, heads=4, layers=4, d_model=128, d_kv=32, d_ff=256)


def of_t5(folder: Path, *, heads: int, layers: int, **shape: int) -> None:
    """A T5 with random weights and the words of ``pairs``; ``shape``: what T5Config calls its sizes."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = for_pairs(pairs())
    config = T5Config(
        **shape,
        vocab_size=len(tokenizer),
        num_layers=layers,
        num_decoder_layers=layers,
        num_heads=heads,
        dropout_rate=0.1,
        feed_forward_proj="relu",
        **of_pairs(tokenizer),
    )
    save(folder, drawn(T5ForConditionalGeneration, config), tokenizer)


def of_pairs(tokenizer: Any) -> dict[str, Any]:
    """How an encoder-decoder begins and ends; it begins with the pad token, as Marian's and T5's own do."""
    return {
        "bos_token_id": None,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "forced_eos_token_id": None,
        "tie_word_embeddings": True,
        "decoder_start_token_id": tokenizer.pad_token_id,
    }


def drawn(kind: Any, config: Any) -> Any:
    """A model of ``kind`` with weights drawn from seed 0."""
    import torch

    torch.manual_seed(0)
    return kind(config)


def save(folder: Path, model: Any, tokenizer: Any) -> None:
    """Write model and tokenizer, and see that transformers gives both back."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    text = "A man's dog runs.\nZwei Büsche sind grün."
    assert AutoTokenizer.from_pretrained(folder)(text)["input_ids"] == tokenizer(text)["input_ids"]
    kind = AutoModelForSeq2SeqLM if model.config.is_encoder_decoder else AutoModelForCausalLM
    again = kind.from_pretrained(folder)
    same = (one.equal(other) for one, other in zip(model.parameters(), again.parameters(), strict=True))
    assert all(same)
    print(f"{folder.name}: {model.num_parameters():,} weights, {len(tokenizer):,} tokens", flush=True)


MAKERS = {
    "stories260K": stories260k,
    "plain_texts": plain_texts,
    "decoder": decoder,
    "llama135m": llama135m,
    "planned_llama": planned_llama,
    "planned_t5": planned_t5,
    "chats_few": chats_few,
    "marian": marian,
    "t5": t5,
}


def make(name: str) -> Path:
    """The folder of ``name``, made if it is not there."""
    folder = BASES / name
    if not folder.exists():
        BASES.mkdir(parents=True, exist_ok=True)
        MAKERS[name](folder)
    return folder


if __name__ == "__main__":
    for wanted in sys.argv[1:] or MAKERS:
        make(wanted)
