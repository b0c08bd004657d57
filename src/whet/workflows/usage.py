"""How a saved model is used, by our own command and by its ecosystem: Markdown for its card and the report."""

from __future__ import annotations

from dataclasses import dataclass

from whet.models.about import About


@dataclass(frozen=True, slots=True)
class _Snippet:
    """For one kind of head: what to ask for, from Python and of transformers.

    ``auto``: the class of transformers that loads the folder; ``ask``: what is asked of a run from Python.
    """

    auto: str
    ask: str
    plain: str


_PIPELINE = """from transformers import pipeline

answer = pipeline({task!r}, model='RUN/model'{more})
print(answer({asked}))"""

_MODEL = """from transformers import AutoTokenizer, {auto}

tokenizer = AutoTokenizer.from_pretrained('RUN/model')
model = {auto}.from_pretrained('RUN/model')
{asked}"""

SNIPPETS = {
    "classes": _Snippet(
        "AutoModelForSequenceClassification",
        "run.predict(['some text'])[0].label",
        _PIPELINE.format(
            task="text-classification", more=", truncation=True, max_length={max_length}", asked="'some text'"
        ),
    ),
    "tokens": _Snippet(
        "AutoModelForTokenClassification",
        "run.predict(['some text'])[0].entities",
        _PIPELINE.format(task="token-classification", more=", aggregation_strategy='first'", asked="'some text'"),
    ),
    "span": _Snippet(
        "AutoModelForQuestionAnswering",
        "run.predict(['a question'], ['its context'])[0].answer",
        _MODEL.format(
            auto="AutoModelForQuestionAnswering",
            asked="found = model(**tokenizer('a question', 'its context', return_tensors='pt'))\n"
            "print(found.start_logits.argmax(), found.end_logits.argmax())  # numbers of tokens",
        ),
    ),
    "value": _Snippet(
        "AutoModelForSequenceClassification",
        "run.predict({texts})[0].value",
        _MODEL.format(
            auto="AutoModelForSequenceClassification",
            asked="print(model(**tokenizer({inputs}, return_tensors='pt')).logits)",
        ),
    ),
    "vectors": _Snippet(
        "AutoModel",
        "run.predict(['some text'], ['another text'])[0].value",
        "from sentence_transformers import SentenceTransformer\n\n"
        "model = SentenceTransformer('RUN/model')\n"
        "print(model.similarity(*model.encode(['some text', 'another text'])))",
    ),
}
"""By kind of head."""

AVERAGING = (
    "\nThe base was trained with mean pooling, which its architecture's classifier cannot express. "
    "The model therefore carries one more layer that does nothing but average; "
    "whet takes it off again when it loads the model.\n"
)


def usage(about: About) -> str:
    """Markdown without a heading, with RUN for the folder of the run."""
    texts = "['some text'], ['another text']" if about.pairs else "['some text']"
    command = "whet predict RUN rows.csv             # JSON lines, in the order of the file"
    asked = SNIPPETS[about.head_kind].ask.replace("{texts}", texts)
    ours = f"import whet\n\nrun = whet.open_run('RUN')\nprint({asked})"
    return f"```sh\n{command}\n```\n\n```python\n{ours}\n```\n\n" + _elsewhere(about)


def _elsewhere(about: About) -> str:
    """The same without whet."""
    snippet = SNIPPETS[about.head_kind]
    if about.kind == "own":
        inputs = "'some text', 'another text'" if about.pairs else "'some text'"
        code = snippet.plain.replace("{max_length}", str(about.max_length)).replace("{inputs}", inputs)
        more = AVERAGING if about.pooling == "mean" else ""
        return f"In plain transformers (`{snippet.auto}`):\n\n```python\n{code}\n```\n{more}"
    if about.kind == "sentence" and about.head_kind == "vectors":
        return f"With sentence-transformers:\n\n```python\n{snippet.plain}\n```\n"
    if about.kind == "sentence":
        code = (
            "from sentence_transformers import SentenceTransformer\n\n"
            "logits = SentenceTransformer('RUN/model').encode(['some text'])  # columns: the labels of whet.json"
        )
        return f"With sentence-transformers, whose last module gives the logits:\n\n```python\n{code}\n```\n"
    return _adapter(about, snippet)


def _adapter(about: About, snippet: _Snippet) -> str:
    native = about.pooling is None
    auto = snippet.auto if native else "AutoModel"
    number = f", num_labels={len(about.labels) or 1}" if native and about.head_kind != "span" else ""
    code = (
        f"from peft import PeftModel\nfrom transformers import {auto}\n\n"
        f"model = PeftModel.from_pretrained({auto}.from_pretrained({about.base!r}{number}), 'RUN/model')"
    )
    if native or about.head_kind == "vectors":
        return f"With PEFT:\n\n```python\n{code}\n```\n"
    head = (
        "\n\nThe head lies in `head.safetensors`: mean over real tokens"
        + (f" + {about.first_share:g} x first token" if about.first_share else "")
        + ", layer norm without weights, then `@ weight.T + bias`."
    )
    return f"With PEFT:\n\n```python\n{code}\n```{head}\n"
