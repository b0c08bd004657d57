"""How to use the model of a run, where its card does not say it in its own words."""

from __future__ import annotations

import shlex

FROM_PLAIN = {
    "text-classification": """from transformers import pipeline

classify = pipeline("text-classification", model={model!r}{every})
print(classify(["The first text", "The second text"]))""",
    "token-classification": """from transformers import pipeline

find = pipeline("token-classification", model={model!r}, aggregation_strategy="first")
print(find("The text in which entities are to be found"))""",
    "question-answering": """from transformers import AutoModelForQuestionAnswering, AutoTokenizer

model = AutoModelForQuestionAnswering.from_pretrained({model!r})
tokenizer = AutoTokenizer.from_pretrained({model!r})
outputs = model(**tokenizer("The question", "The context", return_tensors="pt"))  # a start and an end score a token""",
    "sentence-similarity": """from sentence_transformers import SentenceTransformer

model = SentenceTransformer({model!r})
vectors = model.encode(["The first text", "The second text"])
print(model.similarity(vectors, vectors))""",
    "regression": """from transformers import pipeline

score = pipeline("text-classification", model={model!r}, function_to_apply="none")
print(score(["The first text", "The second text"]))""",
}
FROM_PLAIN["ranking"] = FROM_PLAIN["sentence-similarity"]
"""The same model outside of whet, per task."""


def general_usage(run: str, task: str = "text-classification", multi_label: bool = False) -> str:
    """Markdown: the same model from the command line, and in the library that its task is known by.

    :param run: name of the run folder; the page may have travelled, so no longer path is true.
    :param task: as the recipe names it; of one that is not known, only the command line is shown.
    """
    command = (
        f"In the folder that holds the run:\n\n### Command line\n\n```\nwhet predict {shlex.quote(run)} rows.csv\n```\n"
    )
    code = FROM_PLAIN.get(task or "text-classification")
    if code is None:
        return command
    every = ", top_k=None" if multi_label else ""
    library = "sentence-transformers" if "sentence_transformers" in code else "plain transformers"
    shown = code.format(model=f"{run}/model", every=every)
    return f"{command}\n### Python, {library}\n\n```python\n{shown}\n```\n"
