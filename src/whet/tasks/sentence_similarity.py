"""Sentence similarity: how alike two texts are, learnt from scores, or from texts that belong together."""

from __future__ import annotations

from typing import Any

from whet.data.forms import Examples
from whet.tasks import pair_rows
from whet.tasks.pair_answers import Scale
from whet.tasks.pair_task import PairTask, unfit
from whet.tasks.pair_ways import RelatedApart, RelatedTogether, ScoredApart, ScoredTogether, Way

SCORED_LOSSES = ("cosent", "cosine")


class SentenceSimilarity(PairTask):
    """Rows with scores, or rows of an anchor and its positive, and perhaps negatives.

    Rows with scores give a number each. Rows without give, for each anchor, the positives of the split in
    order; rows that only want a prediction (split 'predict') a number each.
    """

    name = "sentence-similarity"

    @property
    def has_scores(self) -> bool:
        """Whether training rows have scores."""
        return "score" in self.setting.columns

    @property
    def loss(self) -> str:
        """'cosine', 'cosent' or 'contrastive'.

        On SICK both of scores come to the same Spearman; cosine keeps to the scale and has the higher Pearson.
        """
        return str(self.option("loss", "cosine" if self.has_scores else "contrastive"))

    def learn(self, train: Examples) -> None:
        """The range of the scores.

        :raises UserError: D078, the loss, the negatives or the encoder do not fit the rows.
        """
        if not self.has_scores:
            self._refuse_unscored(train)
            return
        if self.loss not in SCORED_LOSSES:
            what = "'contrastive' learns from texts that belong together, and these rows have scores."
            raise unfit("loss", what, "Use cosent or cosine, or leave the scores out with --label none.")
        if self.num_hard:
            what = "negatives are mined for texts that belong together, and these rows have scores."
            raise unfit("hard_negatives", what, "Set it to 0.")
        scores = train.scores
        self.scale = Scale(float(scores.min()), float(scores.max()))
        self.__dict__.pop("way", None)

    def _refuse_unscored(self, train: Examples) -> None:
        if self.loss in SCORED_LOSSES:
            what = f"{self.loss!r} learns from scores, and these rows have none."
            raise unfit("loss", what, "Use contrastive, or name the column of scores with --label.")
        if self.together and not self.num_hard and not train.shape.has("negative"):
            what = "a cross-encoder learns to tell pairs that belong together from others, and rows have no negatives."
            raise unfit("encoder", what, "Set similarity.hard_negatives to 1, give negatives, or use 'bi'.")

    @property
    def carried(self) -> dict[str, Any]:
        """The range of the training scores."""
        return {"low": self.scale.low, "high": self.scale.high} if self.has_scores else {}

    def _way(self) -> Way:
        if self.has_scores:
            if self.together:
                return ScoredTogether(self.scale)
            return ScoredApart(self.scale, self.loss, self.temperature)
        if self.together:
            return RelatedTogether(pair_rows.belonging, self.depth)
        return RelatedApart(pair_rows.belonging, self.temperature)

    def _are_ranks(self, examples: Examples) -> bool:
        return examples.split != "predict" and not examples.shape.has("score")
