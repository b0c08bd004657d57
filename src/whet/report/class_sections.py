"""A closer look at one model that tells classes apart: its classes, confusions and mistakes."""

from __future__ import annotations

from whet.report import numbers
from whet.report.charts import heat_map
from whet.report.confusions import DRAWN_UP_TO, confused_pairs
from whet.report.mistakes import confident_mistakes
from whet.report.pictures import Picture, drawn
from whet.report.run_files import RunFiles
from whet.report.score_tables import classes_table, matrix_table, pairs_table, weakest
from whet.report.section import Section

FOLDED_FROM = 30
"""Classes: a longer table starts folded, with its weakest classes shown above."""
NUM_WEAKEST = 10
NUM_MISTAKES = 20


def classes(run: RunFiles) -> Section:
    """Every class of the shown model, the weakest first where there are many."""
    model = run.shown_model
    found = ((run.scores or {}).get("per_class") or {}).get(model)
    if not found:
        return Section("classes", "Classes", absent="No scores per class were saved.")
    in_train = ((run.audit or {}).get("splits") or {}).get("train", {}).get("labels") or {}
    many = len(found) > FOLDED_FROM
    worst = weakest(found, NUM_WEAKEST)
    content = {
        "model": model,
        "table": classes_table(f"All {numbers.count(len(found))} classes of {model}", found, in_train),
        "weakest": classes_table(f"The {len(worst)} weakest classes of {model}", worst, in_train) if many else None,
    }
    return Section("classes", "Classes", content)


def confusion(run: RunFiles) -> Section:
    """Which classes are taken for which."""
    model, scores = run.shown_model, run.scores or {}
    if scores.get("multi_label"):
        reason = "Rows may carry several labels, so a confusion matrix does not apply; see the classes above."
        return Section("confusion", "Confusion", absent=reason)
    matrix = (scores.get("confusion") or {}).get(model)
    if not matrix:
        return Section("confusion", "Confusion", absent="No confusion matrix was saved.")
    labels = [str(label) for label in scores["labels"]]
    pairs = confused_pairs(labels, matrix)
    picture = None
    if len(labels) <= DRAWN_UP_TO:
        spoken = "; ".join(f"{truth} taken for {predicted} {times} times" for truth, predicted, times, _ in pairs[:5])
        alternative = f"Confusion matrix of {model}: rows are the truth, columns the prediction. "
        alternative += f"Most frequent mistakes: {spoken}." if pairs else "No mistakes."
        caption = (
            f"{model}: number of rows by truth and prediction. Right ones on the diagonal in one colour, mistakes "
        )
        caption += "in the other; the stronger the colour, the larger the share of the class."
        table = matrix_table("The numbers of the picture", labels, matrix)
        charts = {"any": lambda: heat_map(labels, matrix)}
        picture = Picture(caption, alternative, table, drawn("confusion", alternative, charts))
    title = f"The {len(pairs)} most frequent confusions of {model}"
    content = {
        "picture": picture,
        "pairs": pairs_table(title, pairs) if pairs else None,
        "none": "No row was confused.",
    }
    return Section("confusion", "Confusion", content)


def mistakes(run: RunFiles) -> Section:
    """The most confident mistakes, with their texts."""
    from whet.data.predictions import ClassPredictions

    model = run.shown_model
    predictions = run.predictions(model, ClassPredictions)
    if predictions is None:
        return Section("mistakes", "Most confident mistakes", absent="No predictions were saved for this model.")
    if predictions.gold is None:
        return Section("mistakes", "Most confident mistakes", absent="The truth of these rows is not known.")
    found = confident_mistakes(run, predictions, NUM_MISTAKES)
    if not found:
        return Section("mistakes", "Most confident mistakes", absent=f"{model} made no mistake on these rows.")
    wrong = int((~predictions.correct).sum())
    content = {
        "model": model,
        "mistakes": found,
        "wrong": numbers.plural(wrong, "row"),
        "total": numbers.count(len(predictions)),
        "has_texts": any(one.text for one in found),
        "multi_label": predictions.multi_label,
    }
    return Section("mistakes", "Most confident mistakes", content)
