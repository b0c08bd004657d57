"""Parts of a recipe about rows: where they are, how they are read, and what a model says of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.recipe.part import Auto, Count, Part, Positive, Share


class DataRecipe(Part):
    """Which rows, and which columns of them."""

    source: str = Field(description="A file, a folder with train/validation/test files, or a hub data set id.")
    text: str = Field("auto", description="Column that holds the text.")
    text_pair: str = Field("auto", description="Column with the second text of a pair; 'none' for single texts.")
    label: str = Field(
        "auto", description="Column with what is to be predicted: label or labels, tags or spans, answers, score."
    )
    negative: str = Field("auto", description="Column with a text, or a list, that does not belong to the first.")
    group: str = Field(
        "auto",
        description="Column of what rows have in common (a document, a customer): kept on one side of made splits, "
        "and intervals are over groups; 'none' for nothing.",
    )
    speaker: str = Field("auto", description="Of logs with a turn a row: the column of who speaks.")
    roles: str | None = Field(None, description="What speakers are: 'Anna=assistant, Kunde=user'.")
    corrections: str | None = Field(
        None, description="A CSV with corrected labels, as 'whet suspects' wrote it and somebody went through it."
    )
    label_separator: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="Splits one cell into several labels, such as ';'."
    )
    encoding: str = Field("utf-8", description="Text encoding of the files.")
    drop_unlabelled: bool = Field(False, description="Drop rows without a label, on record, instead of refusing.")
    validation_share: Share = Field(
        0.1, description="Share of the training rows set aside where no validation is given."
    )
    test_share: Share = Field(0.2, description="Share of all rows sealed as test where no test is given.")
    max_length: Auto | Annotated[int, Field(ge=8)] = Field(
        "auto",
        description="Longest text in tokens; what is beyond is cut, on record, or read in windows. More than the base "
        "takes lengthens its table of positions.",
    )
    stride: Auto | Annotated[int, Field(ge=0)] = Field(
        "auto", description="Tokens that the windows of a long text have in common."
    )


class HeadRecipe(Part):
    """What stands on top of the pretrained model."""

    pooling: Literal["auto", "native", "mean", "first", "last"] = Field(
        "auto",
        description="How token vectors become one: the base's own pooling where it declares one, else 'native', "
        "the classifier that transformers defines for the architecture.",
    )
    start: Literal["auto", "probe", "random"] = Field(
        "auto", description="Where the head starts from: the frozen probe (arXiv 2202.10054), or small random weights."
    )
    keep_labels: bool = Field(
        True, description="Start from the base's own head where it has one of this kind: known labels keep their rows."
    )


class VocabularyRecipe(Part):
    """Words that the tokenizer shall know as one token."""

    add: list[str] = Field([], description="Tokens to add; each starts as the mean of the tokens it was cut into.")
    file: str | None = Field(None, description="A text file with one token to add on each line.")


class AnswersRecipe(Part):
    """Of question answering."""

    max_tokens: Count = Field(30, description="Longest answer, in tokens.")
    nbest: Count = Field(5, description="Answers kept for each question, likeliest first.")


class SimilarityRecipe(Part):
    """Of sentence similarity and ranking."""

    encoder: Literal["auto", "bi", "cross"] = Field(
        "auto", description="bi: each text by itself, compared by cosine; cross: both texts at once."
    )
    loss: Literal["auto", "cosine", "cosent", "contrastive"] = Field(
        "auto", description="auto: from scores cosine, from pairs that belong together contrastive."
    )
    temperature: Positive = Field(0.05, description="Cosines are divided by it before they are compared.")
    hard_negatives: Annotated[int, Field(ge=0, le=1)] = Field(
        0, description="1: add to each pair the nearest text that does not belong, found with the untouched base."
    )
    depth: Count = Field(50, description="Passages a cross-encoder ranks anew for each query.")


class ChatRecipe(Part):
    """Of text generation: how a conversation becomes one text."""

    template: str = Field(
        "auto",
        description="The name of a template, or a file with one in Jinja; auto: the tokenizer's own, else 'plain'.",
    )
    train: Literal["answers", "last", "all", "weights"] = Field(
        "answers",
        description="Which turns are learnt: every answer, the last one, all turns, or by the weight each row gives.",
    )
    cut: Literal["prompt", "answer"] = Field(
        "prompt",
        description="What of a row that is too long is left out, on record: the beginning of its prompt, or the end "
        "of its answer.",
    )


class SourcesRecipe(Part):
    """Of translation and summarisation."""

    template: str = Field(
        "auto",
        description="What the model reads of a source, with {text} where it stands; auto: the source alone, for a "
        "decoder with a word behind it that says what is wanted.",
    )
    source_language: str = Field("auto", description="The tokenizer's code of the sources' language, where it has any.")
    target_language: str = Field("auto", description="The tokenizer's code of the targets' language, where it has any.")


class GenerationRecipe(Part):
    """How text is generated where a model is evaluated and used."""

    max_tokens: Count = Field(256, description="Longest answer, in tokens.")
    temperature: Annotated[float, Field(ge=0)] = Field(0.0, description="0: always the likeliest token.")
    top_p: Annotated[float, Field(gt=0, le=1)] = Field(1.0, description="Draw among the likeliest tokens of this sum.")
    top_k: Annotated[int, Field(ge=0)] = Field(0, description="Draw among so many tokens; 0: among all.")
    min_p: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Draw among tokens with at least this share of the likeliest one's probability."
    )
    num_beams: Count = Field(1, description="Sequences kept while searching for the likeliest text.")
    length_penalty: Annotated[float, Field(ge=-5, le=5)] = Field(
        1.0, description="Of beams: a text's nats are divided by its length to this power; above 1 favours long ones."
    )
    stop: list[str] = Field([], description="Texts that end an answer, beside the model's own stop tokens.")
    json_schema: str | None = Field(None, description="A file with the JSON schema that every answer shall satisfy.")
    pattern: str | None = Field(None, description="A regular expression that every answer shall match as a whole.")
    constrain: bool = Field(False, description="Let the model write nothing but what json_schema allows.")


class MaskingRecipe(Part):
    """Of fill-mask."""

    share: Annotated[float, Field(gt=0, lt=1)] = Field(0.15, description="Share of the words that are hidden.")
