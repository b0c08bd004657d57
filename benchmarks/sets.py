"""Data sets of the benchmarks: where they lie, and what is known of them.

They are not part of the project. Point WHET_DATA at a folder that holds them (a folder per set with
train/test files), or put it at ../shared/data.
"""

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(os.environ.get("WHET_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
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
    """A set with its task: ``options`` go to ``whet fit`` beside the data and ``--task``."""

    name: str
    data: str
    task: str
    options: tuple[str, ...]
    published: str


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
