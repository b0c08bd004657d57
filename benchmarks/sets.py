"""Data sets of the benchmarks: where they lie, and what is known of them.

They are not part of the project. Point WHET_DATA at a folder that holds them (a folder per set with
train/test files), or put it at ../shared/data. What ``bases.py`` makes lies in WHET_BASES, or build/bases.
"""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ.get("WHET_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
BASES = Path(os.environ.get("WHET_BASES", Path(__file__).resolve().parents[1] / "build" / "bases"))
PEERS = ROOT.parent / "peers"


@dataclass(frozen=True)
class Known:
    """``floor``: test accuracy of TF-IDF with a linear SVM, as the data's own card states it.

    ``published``: what others report, with metric and source; not always on the same split.
    """

    name: str
    floor: float
    published: str


SETS = [
    Known("banking77", 89.38, "accuracy: BERT-base tuned about 93 (arXiv 2003.04807); probe of this base 92.6"),
    Known("clinc150", 91.13, "accuracy in scope: BERT-base 96.2 to 97 (arXiv 1909.02027)"),
    Known("chemprot", 60.02, "micro F1: BERT-base tuned 79.14 (arXiv 1903.10676)"),
    Known("scicite", 83.50, "macro F1: BERT-base tuned 84.31 (arXiv 1903.10676)"),
    Known("sst2", 81.60, "none on this split (GLUE's 67k phrases: BERT-base 93.5, arXiv 1810.04805)"),
    Known("tweet_irony", 65.05, "F1 of irony: RoBERTa-base 59.7 (arXiv 2010.12421)"),
    Known("trec", 88.60, "not quoted"),
    Known("sms_spam", 98.26, "none on this split"),
]


@dataclass(frozen=True)
class Job:
    """A set with its task: ``options`` go to ``whet fit`` beside the data and ``--task``.

    - ``base``: of ``bases.py`` or ``keep`` of a job before it, or a name that whet knows; empty: the default.
    - ``keep``: under which name the trained model becomes a base for others.
    - ``samples``: so many test rows are shown with what is written before and after.
    """

    name: str
    data: str
    task: str
    options: tuple[str, ...]
    published: str
    base: str = ""
    keep: str = ""
    samples: int = 0

    @property
    def words(self) -> tuple[str, ...]:
        """Its options for people, with names instead of folders."""
        return ("--task", self.task, *(("--base", self.base) if self.base else ()), *self.options)


JOBS = [
    Job("wnut17", "wnut17_ner", "token-classification", (), "entity F1: winner of the shared task 41.86 (W17-4418)"),
    Job(
        "ncbi_disease",
        "ncbi_disease_ner",
        "token-classification",
        (),
        "entity F1: BERT-base 86.4 (arXiv 1901.08746, as the data's card quotes it)",
    ),
    Job("snips_slots", "snips_slots_ner", "token-classification", (), "slot F1: joint BERT 97.0 (arXiv 1902.10909)"),
    Job("btc", "btc_ner", "token-classification", (), "none on this split"),
    Job("squad_v1", "squad_v1_dev_articles", "question-answering", (), "none: a re-split of the development set"),
    Job("squad_v2", "squad_v2_dev_articles", "question-answering", (), "none: a re-split of the development set"),
    Job("sick_labels", "sick_nli", "text-classification", (), "accuracy: not quoted"),
    Job("sick_scores", "sick_nli", "sentence-similarity", ("--label", "score"), "Spearman: not quoted"),
]


def chosen(**options: object) -> tuple[str, ...]:
    """``--set`` for every option; two underscores stand for a dot."""
    return tuple(word for name, value in options.items() for word in ("--set", f"{name.replace('__', '.')}={value}"))


SMALL = {"training__learning_rate": 2e-3}
"""Models of a hundredth of the usual size take larger steps."""
_PAIRS = {
    "training__learning_rate": 2e-3,
    "training__label_smoothing": 0.1,
    "training__batch_tokens": 2048,
    "training__warmup_share": 0.1,
    "training__epochs": 12,
    "generation__max_tokens": 64,
    "generation__num_beams": 5,
}
_MULTI30K = "BLEU: text-only Transformer of the tiny shape about 41, tokenised otherwise (arXiv 2105.14462)"

LANGUAGE_JOBS = [
    Job(
        "stories_shakespeare",
        "tinyshakespeare",
        "language-modeling",
        chosen(**SMALL, training__epochs=3, training__max_seconds=900),
        "none for this base",
        base="stories260K",
        samples=3,
    ),
    Job(
        "stories_support",
        "bitext_support_chat",
        "text-generation",
        chosen(
            **SMALL,
            training__epochs=1,
            training__batch_tokens=4096,
            training__max_seconds=900,
            generation__max_tokens=64,
        ),
        "none on this split",
        base="stories260K",
        samples=3,
    ),
    Job(
        "decoder_plain",
        "plain_texts",
        "language-modeling",
        chosen(
            training__learning_rate=1e-3,
            training__epochs=2,
            training__batch_tokens=4096,
            training__max_seconds=1500,
            data__max_length=256,
        ),
        "none: a mixture of its own",
        base="decoder",
        keep="decoder_plain",
        samples=3,
    ),
    Job(
        "decoder_support",
        "bitext_support_chat",
        "text-generation",
        chosen(
            training__learning_rate=5e-4,
            training__epochs=3,
            training__batch_tokens=4096,
            training__max_seconds=900,
            generation__max_tokens=64,
            chat__template="chatml",
        ),
        "none on this split",
        base="decoder_plain",
        samples=3,
    ),
    Job(
        "minilm_pubmed",
        "pubmed_trials_text",
        "fill-mask",
        chosen(training__epochs=3, training__max_seconds=600),
        "none on this split",
        base="minilm",
    ),
    Job(
        "stories_pubmed",
        "pubmed_trials_text",
        "language-modeling",
        chosen(**SMALL, training__epochs=2, training__max_seconds=600),
        "none on this split",
        base="stories260K",
    ),
    Job("marian_multi30k", "multi30k_en_de", "translation", chosen(**_PAIRS), _MULTI30K, base="marian", samples=3),
    Job(
        "t5_multi30k",
        "multi30k_en_de",
        "translation",
        chosen(**(_PAIRS | {"training__epochs": 8})),
        _MULTI30K,
        base="t5",
        samples=3,
    ),
    Job(
        "decoder_dialogsum",
        "dialogsum",
        "summarization",
        chosen(
            training__learning_rate=5e-4,
            training__epochs=1,
            training__batch_tokens=4096,
            training__max_seconds=600,
            generation__max_tokens=64,
        ),
        "ROUGE-L: pretrained encoder-decoders of hundreds of millions of weights only",
        base="decoder_plain",
        samples=3,
    ),
]
"""In an order in which every base is there when it is needed."""


def _decoders(base: str, data: str, **options: object) -> list[Job]:
    """A job for each way of tuning ``base`` on chats."""
    ways = {
        "full": {},
        "lora": {},
        "qlora": {},
    }
    return [
        Job(
            f"{base}_{method}",
            data,
            "text-generation",
            ("--method", method, *chosen(evaluation__baselines="[base]", **options, **more)),
            "none on this split",
            base=base,
        )
        for method, more in ways.items()
    ]


DECODER_JOBS = [
    *_decoders(
        "stories260K",
        "bitext_support_chat",
        training__epochs=1,
        training__batch_tokens=4096,
        training__max_seconds=600,
        generation__max_tokens=48,
    ),
    *_decoders(
        "llama135m",
        "chats_few",
        training__epochs=1,
        training__batch_tokens=2048,
        generation__max_tokens=4,
        chat__template="chatml",
    ),
]
