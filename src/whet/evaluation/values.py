"""Numbers: correlations where only order counts, distances where the number itself is wanted.

Spearman and resampling. The ranks of a row depend on all other rows, so a resample would have to be
ranked anew. Pearson's formula over the ranks of the whole set, held fixed, is fast but claims too much:
its 95 % intervals held the truth in 89 to 94 % of simulations with a correlation of 0.95 and 50 or 200
rows. So each row contributes its pseudo-value, Spearman plus the row's influence on it, of which the
mean is Spearman again and whose spread is that of Spearman with its ranks (midranks and ties included);
in the same simulations they held it in 94 to 97 %. ``tests/evaluation/test_evaluation_values.py``
repeats some of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from whet.evaluation.sums import Floats, Formula, Sums, assembled, dense, mean_of, ratio

if TYPE_CHECKING:
    from whet.data.predictions import ValuePredictions

SIMILARITY = ("spearman", "pearson")
REGRESSION = ("r2", "mae", "mse", "pearson", "spearman")


def metrics(predictions: ValuePredictions) -> tuple[str, ...]:
    """Of similarities the correlations only, as their scale need not be that of the truth."""
    return SIMILARITY if predictions.purpose == "similarity" else REGRESSION


def primary(predictions: ValuePredictions) -> str:
    """Spearman for similarity, R² for regression."""
    return metrics(predictions)[0]


def check(predictions: ValuePredictions) -> tuple[str, str] | None:
    """V105: a value that is no finite number."""
    finite = np.isfinite(predictions.said) & np.isfinite(truth(predictions))
    return None if finite.all() else ("V105", f"{int((~finite).sum()):,} rows hold values that are not finite numbers.")


def comparable(first: ValuePredictions, second: ValuePredictions) -> bool:
    """Both are similarities or both are wanted as numbers."""
    return first.purpose == second.purpose


def aligned(predictions: ValuePredictions, like: ValuePredictions) -> ValuePredictions:
    """As they are."""
    return predictions


def same_truth(first: ValuePredictions, second: ValuePredictions) -> bool:
    """The same values are true."""
    return np.array_equal(truth(first), truth(second))


def truth(predictions: ValuePredictions) -> Floats:
    """The true values, which the rows are known to have."""
    if predictions.gold is None:
        raise ValueError("predictions without truth reached a metric; call checked() first")
    return predictions.gold


def sums(predictions: ValuePredictions, *, soft: bool = True) -> Sums:
    """Rows, powers and products of both sides for Pearson, errors, and Spearman's pseudo-values.

    For Pearson both sides are brought to mean 0 and spread 1 over all rows: it does not change, no digits
    are lost, and answers of two models on different scales can be swapped.
    """
    gold, said = truth(predictions), predictions.said
    error, (x, y) = said - gold, (_standard(said), _standard(gold))
    columns = {
        "rows": np.ones(len(gold)),
        "said": x,
        "gold": y,
        "said_squared": x * x,
        "gold_squared": y * y,
        "product": x * y,
        "absolute": np.abs(error),
        "squared": error * error,
        "squared_share": error * error / (gold.var() or 1.0),
        "spearman": pseudo_values(said, gold),
    }
    return assembled(len(gold), {name: dense(values) for name, values in columns.items()}, FORMULAS)


def _standard(values: Floats) -> Floats:
    """Mean 0 and spread 1; all 0 where every value is the same."""
    centred = values - values.mean()
    spread = float(centred.std())
    return centred / spread if spread > 1e-12 * float(np.abs(values).max()) else np.zeros_like(values)


def pseudo_values(said: Floats, gold: Floats) -> Floats:
    """(n,) Spearman plus each row's influence on it; their mean is Spearman. 0 where a side is constant.

    With F and G the distribution functions (midpoints at ties), Spearman is
    (E[F(X) G(Y)] - 1/4) / sqrt(var F(X) var G(Y)); the influence of a row on an expectation of products
    is its own product and what its place does to the ranks of all others, less what is the same for all.
    """
    f, g = _grades(said), _grades(gold)
    spread_f, spread_g = float(f.var()), float(g.var())
    if spread_f == 0 or spread_g == 0:
        return np.zeros(len(said))
    product = float((f * g).mean())
    rho = (product - 0.25) / np.sqrt(spread_f * spread_g)
    on_product = f * g + _mean_above(said, g) + _mean_above(gold, f) - 3 * product
    on_f = f * f + 2 * _mean_above(said, f) - 3 * float((f * f).mean())
    on_g = g * g + 2 * _mean_above(gold, g) - 3 * float((g * g).mean())
    influence = on_product / np.sqrt(spread_f * spread_g) - rho / 2 * (on_f / spread_f + on_g / spread_g)
    return np.asarray(rho + influence)


def _grades(values: Floats) -> Floats:
    """(n,) the share of rows below, those equal counted half; the mean is 1/2."""
    from scipy.stats import rankdata

    return np.asarray((rankdata(values) - 0.5) / len(values), dtype=np.float64)


def _mean_above(values: Floats, weights: Floats) -> Floats:
    """(n,) sum of ``weights`` over the rows with larger values, those equal counted half, over n."""
    index = np.unique(values, return_inverse=True)[1].ravel()
    sums = np.bincount(index, weights=weights)
    upward = np.cumsum(sums)
    return np.asarray((upward[-1] - upward + sums / 2)[index] / len(values))


def _pearson(part: Sums, totals: Floats) -> Floats:
    n = np.maximum(part.one("rows", totals), 1)
    said, gold, said_squared, gold_squared, product = (
        part.one(name, totals) / n for name in ("said", "gold", "said_squared", "gold_squared", "product")
    )
    spread = np.maximum(said_squared - said**2, 0) * np.maximum(gold_squared - gold**2, 0)
    return np.clip(ratio(product - said * gold, np.sqrt(np.where(spread > 1e-18, spread, 0))), -1, 1)


def _r2(part: Sums, totals: Floats) -> Floats:
    """1 - residual over total sum of squares; where the truth does not vary 1 without any error, else 0."""
    n = np.maximum(part.one("rows", totals), 1)
    residual = part.one("squared_share", totals) / n
    total = part.one("gold_squared", totals) / n - (part.one("gold", totals) / n) ** 2
    return np.where(total > 1e-18, 1 - ratio(residual, total), (residual == 0).astype(np.float64))


FORMULAS: dict[str, Formula] = {
    "r2": _r2,
    "mae": mean_of("absolute"),
    "mse": mean_of("squared"),
    "pearson": _pearson,
    "spearman": mean_of("spearman"),
}


def points(predictions: ValuePredictions) -> dict[str, float]:
    """Correlations by SciPy, distances by scikit-learn; a side that is constant has correlation 0."""
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

    gold, said = truth(predictions), predictions.said
    varied = len(gold) > 1 and bool(_standard(gold).any()) and bool(_standard(said).any())
    found = {
        "pearson": float(pearsonr(said, gold).statistic) if varied else 0.0,
        "spearman": float(spearmanr(said, gold).statistic) if varied else 0.0,
    }
    if predictions.purpose == "regression":
        found |= {"mae": float(mean_absolute_error(gold, said)), "mse": float(mean_squared_error(gold, said))}
        found |= {"r2": float(r2_score(gold, said))} if len(gold) > 1 else {}
    return found


def population(predictions: ValuePredictions, metric: str) -> NDArray[np.bool_] | None:
    """Every metric speaks of all rows."""
    return None


def decisions(predictions: ValuePredictions) -> None:
    """A number comes without a probability."""


def right(predictions: ValuePredictions, part: str | None = None) -> None:
    """A number is near or far, not right or wrong."""


def mistakes(predictions: ValuePredictions, metric: str | None = None) -> Floats:
    """(n,) distance to the true value; of similarities, distance of the ranks as a share of all rows."""
    gold, said = truth(predictions), predictions.said
    if predictions.purpose == "similarity":
        return np.abs(_grades(said) - _grades(gold))
    return np.abs(said - gold)


def slices(predictions: ValuePredictions) -> dict[str, NDArray[np.bool_]]:
    """None."""
    return {}


def details(predictions: ValuePredictions) -> dict[str, Any]:
    """Mean and spread of what is said and of what is true."""
    gold, said = truth(predictions), predictions.said
    return {
        name: {
            "mean": float(values.mean()),
            "deviation": float(values.std()),
            "least": float(values.min()),
            "most": float(values.max()),
        }
        for name, values in (("said", said), ("gold", gold))
    } | {"purpose": predictions.purpose}
