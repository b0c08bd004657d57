"""What is known of each family of architectures: one table, readable at a glance.

Not listed here is not refused: such a family is trained padded, through the classes that
transformers has for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from whet.models import outputs
from whet.models.heads import HeadKind
from whet.models.outputs import Output


@dataclass(frozen=True, slots=True)
class Family:
    """Facts of one ``model_type``.

    - ``text``: the head of classes and of a value; None: pooled token vectors and a layer of our own.
    - ``tokens``, ``span``, ``language``: the heads of tags, of answers, and over the vocabulary; None: it has
      none that can be used.
    - ``span_is_tagger``: answers are read off the tagger's class with the tags 'start' and 'end'.
    - ``flat``: attention is pluggable and sees positions only, so that batches need no padding.
    - ``causal``: a token sees those before it only: a decoder used as an encoder.
    - ``positions``: dotted name of the learned table of positions in the bare model, 'rotary', or
      'relative' (nothing to extend).
    - ``first_position``: what position ids count from; 'after padding': from the pad token's id on, plus one.
    - ``spare_positions``: rows in front of the table that the model itself leaves out.
    - ``pooler``: the bare model brings a pooler that pooling of our own never reads.
    - ``averages``: a mean-pooled classifier can be expressed as its own (:mod:`whet.models.averaging`).
    - ``encoder``: the half that is used of an encoder-decoder; the other is left out, but where it writes targets
      (:mod:`whet.models.targets`).
    - ``last_is_classifier``: the token that stands for the whole text is the last one, of a segment
      of its own; padding goes to the left.
    - ``permuted``: as a language model it learns tokens in any order (:mod:`whet.models.permutation`).
    - ``remark``: what it cannot do here, and why.
    """

    text: Output | None
    tokens: Output | None
    span: Output | None
    language: Output | None
    flat: bool = True
    causal: bool = False
    positions: str = "rotary"
    first_position: int | Literal["after padding"] = 0
    spare_positions: int = 0
    pooler: bool = False
    averages: bool = False
    span_is_tagger: bool = False
    encoder: bool = False
    last_is_classifier: bool = False
    permuted: bool = False
    remark: str = ""

    def first(self, pad_id: int | None) -> int:
        """The first position id of a text, where the configuration names ``pad_id`` (RoBERTa's is 1 unless it does)."""
        if self.first_position != "after padding":
            return self.first_position
        return 2 if pad_id is None else pad_id + 1

    def output(self, kind: HeadKind) -> Output | None:
        """The head of ``kind`` in transformers; None where it has none that can be used."""
        known = {"tokens": self.tokens, "span": self.span, "language": self.language, "vectors": None}
        return known.get(kind, self.text)


# --- the table ----------------------------------------------------------------------------------------

_TAGS = Output("classifier")
_ANSWERS = Output("qa_outputs")
_EMBEDDED = "embeddings.position_embeddings"

_BERT = Family(
    Output("classifier", "first", outputs.bert_text, "bert.pooler.dense"),
    _TAGS,
    _ANSWERS,
    Output("cls.predictions.decoder", between=outputs.bert_language, dense="cls.predictions.transform.dense"),
    positions=_EMBEDDED,
    pooler=True,
    averages=True,
)
_ROBERTA = Family(
    Output("classifier.out_proj", "first", outputs.roberta_text, "classifier.dense"),
    _TAGS,
    _ANSWERS,
    Output("lm_head.decoder", between=outputs.roberta_language, dense="lm_head.dense"),
    positions=_EMBEDDED,
    first_position="after padding",
    pooler=True,
)
_DISTILBERT = Family(
    Output("classifier", "first", outputs.distilbert_text, "pre_classifier"),
    _TAGS,
    _ANSWERS,
    Output("vocab_projector", between=outputs.distilbert_language, dense="vocab_transform"),
    positions=_EMBEDDED,
)
_ELECTRA = Family(
    Output("classifier.out_proj", "first", outputs.electra_text, "classifier.dense"),
    _TAGS,
    _ANSWERS,
    Output("generator_lm_head", between=outputs.electra_language),
    positions=_EMBEDDED,
)
_ALBERT = Family(
    Output("classifier", "first", outputs.albert_text, "albert.pooler"),
    _TAGS,
    _ANSWERS,
    Output("predictions.decoder", between=outputs.albert_language),
    positions=_EMBEDDED,
    pooler=True,
)
_MPNET = Family(
    Output("classifier.out_proj", "first", outputs.roberta_text, "classifier.dense"),
    _TAGS,
    _ANSWERS,
    Output("lm_head.decoder", between=outputs.roberta_language, dense="lm_head.dense"),
    flat=False,
    positions=_EMBEDDED,
    first_position=2,
    pooler=True,
    remark="padded: attention adds a learned bias by distance",
)
_DEBERTA = Family(
    Output("classifier", "first", outputs.deberta_text, "pooler.dense"),
    _TAGS,
    _ANSWERS,
    Output("cls.predictions.decoder", between=outputs.bert_language, dense="cls.predictions.transform.dense"),
    flat=False,
    positions="relative",
    remark="padded: attention mixes contents and distances",
)
_MODERNBERT = Family(
    Output("classifier", "configured", outputs.modernbert, "head.dense"),
    Output("classifier", "all", outputs.modernbert, "head.dense"),
    Output("classifier", "all", outputs.modernbert, "head.dense"),
    Output("decoder", between=outputs.modernbert, dense="head.dense"),
)
_XLNET = Family(
    Output("logits_proj", "configured", outputs.xlnet_text, "sequence_summary.summary"),
    _TAGS,
    _ANSWERS,
    Output("lm_loss"),
    flat=False,
    positions="relative",
    last_is_classifier=True,
    permuted=True,
    remark="padded: attention mixes contents and distances; LoRA reaches its feed-forward layers only",
)
_T5 = Family(
    None,
    _TAGS,
    _TAGS,
    None,
    flat=False,
    positions="relative",
    span_is_tagger=True,
    encoder=True,
    remark="padded: attention adds a learned bias by distance; the encoder alone is used, so texts are pooled",
)

_TEXT = Output("score", "last")
_SCORES = Output("score")
_NEXT = Output("lm_head")
_MARKED = "answers are marked by its tagger: transformers has no class for them that reads a language model's files"
_DECODER = Family(_TEXT, _SCORES, _SCORES, _NEXT, causal=True, span_is_tagger=True, remark=_MARKED)
_MISTRAL = Family(_TEXT, _SCORES, _ANSWERS, _NEXT, causal=True)
_GPT2 = Family(_TEXT, _TAGS, _ANSWERS, _NEXT, causal=True, positions="wpe")
_GPT_NEOX = Family(_TEXT, _TAGS, _ANSWERS, _NEXT, causal=True)
_OPT = Family(_TEXT, None, _ANSWERS, _NEXT, causal=True, positions="decoder.embed_positions", spare_positions=2)
_GEMMA3 = Family(_TEXT, None, None, _NEXT, causal=True)

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
    "llama": _DECODER,  # SmolLM too
    "mistral": _MISTRAL,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "gpt2": _GPT2,
    "gpt_neox": _GPT_NEOX,
    "opt": _OPT,
    "gemma": _DECODER,
    "gemma2": _DECODER,
    "gemma3_text": _GEMMA3,
    "phi": _DECODER,
    "phi3": _DECODER,
}
