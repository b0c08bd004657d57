"""Ranking: which passages are relevant to a query."""

from __future__ import annotations

from whet.data.forms import Examples
from whet.data.relevance import relevance_of
from whet.tasks import pair_rows
from whet.tasks.pair_task import PairTask, unfit
from whet.tasks.pair_ways import RelatedApart, RelatedTogether, Way


class Ranking(PairTask):
    """Rows of a query, a passage and its relevance.

    A bi-encoder ranks all passages of a split for each query. A cross-encoder puts the ``similarity.depth`` best that
    BM25 finds in a new order. Rows that only want a prediction get a number each.
    """

    name = "ranking"

    def learn(self, train: Examples) -> None:
        """Nothing.

        :raises UserError: D078, the loss or the negatives do not fit the rows.
        """
        if self.option("loss", "contrastive") != "contrastive":
            raise unfit("loss", "ranking learns with 'contrastive' alone.", "Leave it at auto.")
        if self.together and not self.num_hard and bool((relevance_of(train) > 0).all()):
            what = "a cross-encoder learns to tell relevant passages from others, and none is judged as not relevant."
            raise unfit("encoder", what, "Set similarity.hard_negatives to 1, add such passages, or use 'bi'.")

    def _way(self) -> Way:
        if self.together:
            return RelatedTogether(pair_rows.judged_and_mined, self.depth)
        return RelatedApart(pair_rows.judged, self.temperature)

    def _are_ranks(self, examples: Examples) -> bool:
        return examples.shape.has("score")
