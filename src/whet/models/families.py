"""What is known of each family of architectures: one table, readable at a glance.

Not listed here is not refused: such a family is trained padded, through the classes that
transformers has for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from whet.models.heads import HeadKind
from whet.models.pooling import Pooling

Between = Callable[[Any, Tensor], Tensor]


def _as_is(_: Any, vectors: Tensor) -> Tensor:
    return vectors


@dataclass(frozen=True, slots=True)
class Output:
    """One head of transformers, from token vectors to logits.

    - ``last``: dotted name of the last linear layer.
    - ``reads``: which token's vector it takes, 'configured' where the configuration says so, or 'all' of them.
    - ``between``: the model and these vectors (..., H) to the input of the last layer (..., F).
    - ``dense``: a square layer in between, started as the identity when it is new.
    """

    last: str
    reads: Literal["first", "last", "configured", "all"] = "all"
    between: Between = _as_is
    dense: str = ""

    def pooling(self, config: Any) -> Pooling:
        """Which token a head of texts reads."""
        if self.reads == "configured":  # ModernBERT and XLNet
            wanted = getattr(config, "classifier_pooling", None) or getattr(config, "summary_type", "last")
            return _CONFIGURED.get(str(wanted), "first")
        return "last" if self.reads == "last" else "first"


_CONFIGURED: dict[str, Pooling] = {"cls": "first", "first": "first", "mean": "mean", "last": "last"}


@dataclass(frozen=True, slots=True)
class Family:
    """Facts of one ``model_type``.

    - ``text``: the head of classes and of a value; None: pooled token vectors and a layer of our own.
    - ``tokens``, ``span``: the heads of tags and of answers.
    - ``span_is_tagger``: answers are read off the tagger's class with the tags 'start' and 'end'.
    - ``flat``: attention is pluggable and sees positions only, so that batches need no padding.
    - ``causal``: a token sees those before it only: a decoder used as an encoder.
    - ``positions``: dotted name of the learned table of positions in the bare model, 'rotary', or
      'relative' (nothing to extend).
    - ``first_position``: what position ids count from; 'after padding': from the pad token's id on, plus one.
    - ``pooler``: the bare model brings a pooler that pooling of our own never reads.
    - ``averages``: a mean-pooled classifier can be expressed as its own (:mod:`whet.models.averaging`).
    - ``encoder``: the half that is used of an encoder-decoder; the other is left out.
    - ``last_is_classifier``: the token that stands for the whole text is the last one, of a segment
      of its own; padding goes to the left.
    - ``remark``: what it cannot do here, and why.
    """

    text: Output | None
    tokens: Output
    span: Output
    flat: bool = True
    causal: bool = False
    positions: str = "rotary"
    first_position: int | Literal["after padding"] = 0
    pooler: bool = False
    averages: bool = False
    span_is_tagger: bool = False
    encoder: bool = False
    last_is_classifier: bool = False
    remark: str = ""

    def first(self, pad_id: int | None) -> int:
        """The first position id of a text, where the configuration names ``pad_id`` (RoBERTa's is 1 unless it does)."""
        if self.first_position != "after padding":
            return self.first_position
        return 2 if pad_id is None else pad_id + 1

    def output(self, kind: HeadKind) -> Output | None:
        """The head of ``kind`` in transformers; None where it has none that can be used."""
        return {"tokens": self.tokens, "span": self.span, "vectors": None}.get(kind, self.text)


# --- between token vectors and the last layer ---------------------------------------------------------


def _bert(model: Any, first: Tensor) -> Tensor:
    return model.bert.pooler(first.unsqueeze(1))  # type: ignore[no-any-return]


def _roberta(model: Any, first: Tensor) -> Tensor:
    return model.classifier.dense(first).tanh()  # type: ignore[no-any-return]


def _distilbert(model: Any, first: Tensor) -> Tensor:
    return model.pre_classifier(first).relu()  # type: ignore[no-any-return]


def _electra(model: Any, first: Tensor) -> Tensor:
    return model.classifier.activation(model.classifier.dense(first))  # type: ignore[no-any-return]


def _albert(model: Any, first: Tensor) -> Tensor:
    return model.albert.pooler_activation(model.albert.pooler(first))  # type: ignore[no-any-return]


def _deberta(model: Any, first: Tensor) -> Tensor:
    return model.pooler(first.unsqueeze(1))  # type: ignore[no-any-return]


def _modernbert(model: Any, vectors: Tensor) -> Tensor:
    return model.head(vectors)  # type: ignore[no-any-return]


def _xlnet(model: Any, last: Tensor) -> Tensor:
    return model.sequence_summary(last.unsqueeze(1))  # type: ignore[no-any-return]


# --- the table ----------------------------------------------------------------------------------------

_TAGS = Output("classifier")
_ANSWERS = Output("qa_outputs")
_EMBEDDED = "embeddings.position_embeddings"

_BERT = Family(
    Output("classifier", "first", _bert, "bert.pooler.dense"),
    _TAGS,
    _ANSWERS,
    positions=_EMBEDDED,
    pooler=True,
    averages=True,
)
_ROBERTA = Family(
    Output("classifier.out_proj", "first", _roberta, "classifier.dense"),
    _TAGS,
    _ANSWERS,
    positions=_EMBEDDED,
    first_position="after padding",
    pooler=True,
)
_DISTILBERT = Family(Output("classifier", "first", _distilbert, "pre_classifier"), _TAGS, _ANSWERS, positions=_EMBEDDED)
_ELECTRA = Family(
    Output("classifier.out_proj", "first", _electra, "classifier.dense"), _TAGS, _ANSWERS, positions=_EMBEDDED
)
_ALBERT = Family(
    Output("classifier", "first", _albert, "albert.pooler"), _TAGS, _ANSWERS, positions=_EMBEDDED, pooler=True
)
_MPNET = Family(
    Output("classifier.out_proj", "first", _roberta, "classifier.dense"),
    _TAGS,
    _ANSWERS,
    flat=False,
    positions=_EMBEDDED,
    first_position=2,
    pooler=True,
    remark="padded: attention adds a learned bias by distance",
)
_DEBERTA = Family(
    Output("classifier", "first", _deberta, "pooler.dense"),
    _TAGS,
    _ANSWERS,
    flat=False,
    positions="relative",
    remark="padded: attention mixes contents and distances",
)
_MODERNBERT = Family(
    Output("classifier", "configured", _modernbert, "head.dense"),
    Output("classifier", "all", _modernbert, "head.dense"),
    Output("classifier", "all", _modernbert, "head.dense"),
)
_XLNET = Family(
    Output("logits_proj", "configured", _xlnet, "sequence_summary.summary"),
    _TAGS,
    _ANSWERS,
    flat=False,
    positions="relative",
    last_is_classifier=True,
    remark="padded: attention mixes contents and distances; LoRA reaches its feed-forward layers only",
)
_T5 = Family(
    None,
    _TAGS,
    _TAGS,
    flat=False,
    positions="relative",
    span_is_tagger=True,
    encoder=True,
    remark="padded: attention adds a learned bias by distance; the encoder alone is used, so texts are pooled",
)
_DECODER = Family(Output("score", "last"), Output("score"), _ANSWERS, causal=True)
_GPT2 = Family(Output("score", "last"), _TAGS, _ANSWERS, causal=True, positions="wpe")

FAMILIES: dict[str, Family] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": _DISTILBERT,
    "electra": _ELECTRA,
    "albert": _ALBERT,
    "mpnet": _MPNET,
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA,  # v3 too
    "modernbert": _MODERNBERT,
    "xlnet": _XLNET,
    "t5": _T5,
    "mt5": _T5,
    "llama": _DECODER,
    "mistral": _DECODER,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "gpt2": _GPT2,
}
