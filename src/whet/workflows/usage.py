"""How a saved model is used, by our own command and by its ecosystem: Markdown for its card and the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from whet.evaluation.settling import NEVER
from whet.models.about import About
from whet.models.quantising import Scheme


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

_SPAN = """import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained('RUN/model')
model = AutoModelForQuestionAnswering.from_pretrained('RUN/model')
question, context = 'a question', 'its context'

inputs = tokenizer(
    question,
    context,
    truncation='only_second',
    max_length={max_length},
    return_offsets_mapping=True,
    return_tensors='pt',
)
places = inputs.pop('offset_mapping')[0]
inside = torch.tensor([part == 1 for part in inputs.sequence_ids(0)])
with torch.no_grad():
    found = model(**inputs)
scores = found.start_logits[0, :, None] + found.end_logits[0]  # of every span: its start's and its end's
spans = inside[:, None] & inside & torch.ones_like(scores, dtype=torch.bool).triu().tril({further})
scores = scores.masked_fill(~spans, -torch.inf)
start, end = divmod(int(scores.argmax()), len(scores))
answer = context[places[start, 0] : places[end, 1]].strip()
{silence}print(answer)"""

_SILENCE = """nothing = found.start_logits[0, 0] + found.end_logits[0, 0]
if torch.sigmoid(nothing - scores.logsumexp((0, 1))) >= {no_answer_from:.6g}:  # how likely it is that there is none
    answer = ''
"""

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
        _SPAN,
    ),
    "value": _Snippet(
        "AutoModelForSequenceClassification",
        "run.predict({texts})[0].value",
        _MODEL.format(
            auto="AutoModelForSequenceClassification",
            asked="print(model(**tokenizer({inputs}, return_tensors='pt')).logits{of_logits})",
        ),
    ),
    "vectors": _Snippet(
        "AutoModel",
        "run.predict(['some text'], ['another text'])[0].value",
        "from sentence_transformers import SentenceTransformer\n\n"
        "model = SentenceTransformer('RUN/model')\n"
        "print(model.similarity(*model.encode(['some text', 'another text'])))",
    ),
    "language": _Snippet(
        "AutoModelForCausalLM",
        "run.predict(['some text'])[0].text",
        "from transformers import pipeline\n\n"
        "generate = pipeline('text-generation', model='RUN/model')\n"
        "print(generate([{'role': 'user', 'content': {asked}}], max_new_tokens={max_tokens}))",
    ),
    "fill-mask": _Snippet(
        "AutoModelForMaskedLM",
        "run.predict(['some text'])[0].nats",
        "from transformers import pipeline\n\n"
        "fill = pipeline('fill-mask', model='RUN/model')\n"
        "print(fill(f'some {fill.tokenizer.mask_token} text'))",
    ),
    "preference": _Snippet(
        "AutoModelForCausalLM",
        "run.predict(['some text'], ['an answer to it'])[0].rewards",
        "from transformers import pipeline\n\n"
        "generate = pipeline('text-generation', model='RUN/model')\n"
        "print(generate([{'role': 'user', 'content': {asked}}], max_new_tokens={max_tokens}))",
    ),
    "language-modeling": _Snippet(
        "AutoModelForCausalLM",
        "run.predict(['some text'])[0].nats",
        "from transformers import pipeline\n\n"
        "generate = pipeline('text-generation', model='RUN/model')\n"
        "print(generate('some text', max_new_tokens=64))",
    ),
}
"""By task where it has one of its own, else by kind of head."""

_WRITER = _Snippet(
    "AutoModelForSeq2SeqLM",
    "run.predict(['some text'])[0].text",
    """from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained('RUN/model')
model = AutoModelForSeq2SeqLM.from_pretrained('RUN/model')
inputs = tokenizer({asked}, truncation=True, max_length={max_length}, return_tensors='pt')
said = model.generate(**inputs, max_new_tokens={max_tokens}, num_beams={num_beams})
print(tokenizer.decode(said[0], skip_special_tokens=True))""",
)
"""Of an encoder-decoder."""
_COMPLETER = _Snippet(
    "AutoModelForCausalLM",
    "run.predict(['some text'])[0].text",
    """from transformers import pipeline

generate = pipeline('text-generation', model='RUN/model')
print(generate({asked}, max_new_tokens={max_tokens}, num_beams={num_beams}, return_full_text=False))""",
)
"""Of a decoder whose rows are texts that go on."""
_READ_SOURCE = "inputs = tokenizer({asked}, truncation=True, max_length={max_length}, return_tensors='pt')\n"
_READ_TEXT = "inputs = tokenizer({asked}, return_tensors='pt')\n"
_READ_CHAT = """asked = [{'role': 'user', 'content': {asked}}]
inputs = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True, return_tensors='pt')
"""
"""How what is asked becomes tokens: of an encoder-decoder, of texts that go on, and of a chat."""
COUNTED = ("classes", "tokens", "value")
"""Heads whose outputs transformers must be told the number of."""
WRITING = ("text-generation", "translation", "summarization", "preference")
"""Tasks whose models write."""
_ASKS = {"translation": "Translation", "summarization": "Summary"}

AVERAGING = (
    "\nThe base was trained with mean pooling, which its architecture's classifier cannot express. "
    "The model therefore carries one more layer that does nothing but average; "
    "whet takes it off again when it loads the model.\n"
)

_IN_FEW_BITS = (
    "\nIts weights are saved rounded, and config.json says how: bitsandbytes must be installed (pip install "
    "bitsandbytes). They can no more be moved than those of any quantised model; adapters can be trained on them.\n"
)


def usage(about: About, base: str) -> str:
    """Markdown without a heading, with RUN for the folder of the run.

    :param base: what other tools load the base of an adapter by.
    """
    texts = "['some text'], ['another text']" if about.pairs else "['some text']"
    command = "whet predict RUN rows.csv             # JSON lines, in the order of the file"
    asked = _snippet(about).ask.replace("{texts}", texts)
    ours = f"import whet\n\nrun = whet.open_run('RUN')\nprint({asked})"
    return f"```sh\n{command}\n```\n\n```python\n{ours}\n```\n\n" + _elsewhere(about, base) + _difference(about)


def _snippet(about: About) -> _Snippet:
    if "begins" in about.task_facts.get("settled", {}):
        return _WRITER
    if about.task_facts.get("settled", {}).get("completes"):
        return _COMPLETER if about.task != "preference" else replace(_COMPLETER, ask=SNIPPETS[about.task].ask)
    return SNIPPETS.get(about.task) or SNIPPETS[about.head_kind]


def _elsewhere(about: About, base: str) -> str:
    """The same without whet."""
    snippet = _snippet(about)
    if about.kind == "own":
        more = (AVERAGING if about.pooling == "mean" else "") + (_IN_FEW_BITS if about.quantisation else "")
        return f"In plain transformers (`{snippet.auto}`):\n\n```python\n{_filled(snippet.plain, about)}\n```\n{more}"
    if about.kind == "sentence" and about.head_kind == "vectors":
        return f"With sentence-transformers:\n\n```python\n{snippet.plain}\n```\n"
    if about.kind == "sentence":
        code = (
            "from sentence_transformers import SentenceTransformer\n\n"
            "logits = SentenceTransformer('RUN/model').encode(['some text'])"
        )
        code += "  # columns: the labels of whet.json" if about.labels else ""
        return f"With sentence-transformers, whose last module gives the logits:\n\n```python\n{code}\n```\n"
    return _adapter(about, snippet, base)


def _filled(code: str, about: About) -> str:
    """A snippet with what is known of the model."""
    settled = about.task_facts.get("settled", {})
    options = about.task_facts.get("options", {})
    no_answer_from = settled.get("no_answer_from", NEVER)
    known = {
        "max_length": str(about.max_length),
        "inputs": "'some text', 'another text'" if about.pairs else "'some text'",
        "of_logits": "" if about.task == "regression" else ".sigmoid()",
        "further": str(int(options.get("answers.max_tokens", 30)) - 1),
        "asked": _asked(about, options),
        "max_tokens": str(options.get("generation.max_tokens", 256)),
        "num_beams": str(options.get("generation.num_beams", 1)),
        "silence": _SILENCE.format(no_answer_from=no_answer_from) if no_answer_from < NEVER else "",
    }
    for name, value in known.items():
        code = code.replace(f"{{{name}}}", value)
    return code


def _asked(about: About, options: Mapping[str, Any]) -> str:
    """What a model that rewrites reads of a source, as Python code."""
    wanted = str(options.get("sources.template", "auto"))
    if about.task not in _ASKS or (wanted == "auto" and "begins" in about.task_facts.get("settled", {})):
        wanted = "{text}"
    elif wanted == "auto":
        wanted = "{text}\n\n" + f"{_ASKS[about.task]}:"
    if about.task == "language-modeling":  # of an encoder-decoder: what stands for a span
        return repr("some <extra_id_0> text")
    return repr(wanted.replace("{text}", "some text"))


def _difference(about: About) -> str:
    """How whet's own answers differ from those of the code above."""
    settled = about.task_facts.get("settled", {})
    if about.head_kind == "tokens" and about.kind == "own":
        return (
            "\nThe pipeline takes the likeliest tag of each word by itself; whet takes the likeliest sequence of tags "
            "without a break in it, so that some entities differ. The scores above are of whet's.\n"
        )
    if about.head_kind == "span" and about.kind == "own":
        return f"\nThis reads the first {about.max_length} tokens; whet reads all of a longer context, in windows.\n"
    if "low" in settled and "high" in settled:
        low, high = float(settled["low"]), float(settled["high"])
        what = "cosine" if about.head_kind == "vectors" else "sigmoid"
        return (
            f"\nwhet spreads the {what} over the range of the training scores, low = {low:g} and high = {high:g}: "
            f"its value is {low:g} + {high - low:g} × {what}.\n"
        )
    if "mean" in settled:
        return f"\nwhet adds {float(settled['mean']):g} to this: the head has no bias that could.\n"
    return ""


def _adapter(about: About, snippet: _Snippet, base: str) -> str:
    native = about.pooling is None
    auto = snippet.auto if native else "AutoModel"
    number = f", num_labels={len(about.labels) or 1}" if native and about.head_kind in COUNTED else ""
    kept, more = _quantised(about)
    writing = _writing(about, auto)
    names = sorted([auto, *(["AutoTokenizer"] if writing else []), *(["BitsAndBytesConfig"] if kept else [])])
    code = (
        f"from peft import PeftModel\nfrom transformers import {', '.join(names)}\n\n{kept}"
        f"model = PeftModel.from_pretrained({auto}.from_pretrained({base!r}{number}{more}), 'RUN/model'){writing}"
    )
    first = _read_first(about)
    if native or about.head_kind == "vectors":
        return f"With PEFT:\n\n```python\n{code}\n```\n{first}"
    head = (
        "\n\nThe head lies in `head.safetensors`: mean over real tokens"
        + (f" + {about.first_share:g} x first token" if about.first_share else "")
        + ", layer norm without weights, then `@ weight.T + bias`."
    )
    return f"With PEFT:\n\n```python\n{code}\n```{head}\n{first}"


def _writing(about: About, auto: str) -> str:
    """Of an adapter on a model that writes the lines by which it does; "" of others."""
    if about.task not in WRITING:
        return ""
    first = "\ntokenizer = AutoTokenizer.from_pretrained('RUN/model')\n"
    if auto == _WRITER.auto:
        code = _READ_SOURCE + "said = model.generate(**inputs, max_new_tokens={max_tokens}, num_beams={num_beams})[0]\n"
    else:
        code = _READ_TEXT if about.task_facts.get("settled", {}).get("completes") else _READ_CHAT
        code += "said = model.generate(**inputs, max_new_tokens={max_tokens})[0, inputs['input_ids'].shape[1] :]\n"
    return first + _filled(code + "print(tokenizer.decode(said, skip_special_tokens=True))", about)


def _read_first(about: About) -> str:
    """Where outputs are that stand for learnt vectors, and for no token."""
    options = about.task_facts.get("options", {})
    of_sources = "begins" in about.task_facts.get("settled", {})
    if options.get("method") not in ("prompt", "p-tuning") or of_sources:
        return ""
    num = int(options["soft.tokens"])
    if about.pooling is None and about.head_kind in ("classes", "value"):
        return "\nGive it one text at a time: behind learnt vectors it cannot tell padding from tokens.\n"
    return f"\nThe first {num} vectors or logits of each text are of what is read before it: leave them out.\n"


def _quantised(about: About) -> tuple[str, str]:
    """How transformers keeps the base as an adapter was trained beside it: a line of code, and how it is passed."""
    if about.quantisation is None:
        return "", ""
    known = Scheme.from_json(about.quantisation).for_transformers()
    known.pop("bnb_4bit_compute_dtype", None)
    settings = ", ".join(f"{name}={value!r}" for name, value in known.items())
    return f"kept = BitsAndBytesConfig({settings})\n", ", quantization_config=kept, dtype='float32'"
