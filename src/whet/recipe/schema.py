"""The recipe: every option of a run, its type, its range and what it is for.

Models are frozen and refuse unknown keys. ``auto`` marks what is derived from the data and the
base when the run starts; :mod:`whet.recipe.resolve` and the stages of the run record what it
became and why. The generated page docs/recipe.md lists all of it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Auto = Literal["auto"]
Method = Literal[
    "auto", "probe", "prompt", "p-tuning", "ia3", "bitfit", "prefix", "lora", "qlora", "top-layers", "full"
]
SOFT: tuple[Method, ...] = ("prompt", "p-tuning", "prefix")
"""Methods that learn vectors to be read before a text."""
ADAPTERS: tuple[Method, ...] = (*SOFT, "ia3", "lora", "qlora")
"""Methods that leave the base as it is and keep a few weights of their own (PEFT)."""
TaskName = Literal[
    "text-classification",
    "token-classification",
    "question-answering",
    "sentence-similarity",
    "regression",
    "ranking",
    "text-generation",
    "translation",
    "summarization",
    "language-modeling",
    "fill-mask",
]
BaselineName = Literal[
    "majority",
    "tfidf_linear",
    "label_names",
    "probe",
    "dictionary",
    "token_linear",
    "first_sentence",
    "tfidf_sentence",
    "mean",
    "tfidf_ridge",
    "base_cosine",
    "tfidf_cosine",
    "bm25",
    "nearest_answer",
    "copy_source",
    "lead3",
    "unigram",
    "base",
    "zero_shot",
    "few_shot",
    "nearest_shots",
]
PROMPTED: tuple[BaselineName, ...] = ("zero_shot", "few_shot", "nearest_shots")
"""What ``prompting`` among the baselines stands for."""
BASELINES: dict[TaskName, tuple[BaselineName, ...]] = {
    "text-classification": ("majority", "tfidf_linear", "label_names", "probe"),
    "token-classification": ("dictionary", "token_linear", "probe"),
    "question-answering": ("first_sentence", "tfidf_sentence"),
    "sentence-similarity": ("tfidf_cosine", "bm25", "base_cosine"),
    "regression": ("mean", "tfidf_ridge", "probe"),
    "ranking": ("tfidf_cosine", "bm25", "base_cosine"),
    "text-generation": ("nearest_answer", "base", "few_shot"),
    "translation": ("copy_source", "nearest_answer", "base"),
    "summarization": ("lead3", "nearest_answer", "base"),
    "language-modeling": ("unigram", "base"),
    "fill-mask": ("unigram", "base"),
}
"""What each task is held against, cheapest first."""
PROBED: tuple[TaskName, ...] = ("text-classification", "token-classification", "regression")
"""Tasks of which a linear head on the frozen base can be fitted."""
PROMPTABLE: tuple[TaskName, ...] = (
    "text-classification",
    "token-classification",
    "question-answering",
    "sentence-similarity",
    "regression",
    "text-generation",
    "translation",
    "summarization",
)
"""Tasks that a language model can be asked to do in words."""
Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Price = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class DataRecipe(_Part):
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


class HeadRecipe(_Part):
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


class VocabularyRecipe(_Part):
    """Words that the tokenizer shall know as one token."""

    add: list[str] = Field([], description="Tokens to add; each starts as the mean of the tokens it was cut into.")
    file: str | None = Field(None, description="A text file with one token to add on each line.")


class AnswersRecipe(_Part):
    """Of question answering."""

    max_tokens: Count = Field(30, description="Longest answer, in tokens.")
    nbest: Count = Field(5, description="Answers kept for each question, likeliest first.")


class SimilarityRecipe(_Part):
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


class ChatRecipe(_Part):
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


class SourcesRecipe(_Part):
    """Of translation and summarisation."""

    template: str = Field(
        "auto",
        description="What the model reads of a source, with {text} where it stands; auto: the source alone, for a "
        "decoder with a word behind it that says what is wanted.",
    )
    source_language: str = Field("auto", description="The tokenizer's code of the sources' language, where it has any.")
    target_language: str = Field("auto", description="The tokenizer's code of the targets' language, where it has any.")


class GenerationRecipe(_Part):
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


class MaskingRecipe(_Part):
    """Of fill-mask."""

    share: Annotated[float, Field(gt=0, lt=1)] = Field(0.15, description="Share of the words that are hidden.")


class _Asked(_Part):
    """What asking a model elsewhere may cost."""

    endpoint: str | None = Field(
        None, description="Address of an OpenAI-compatible service, such as http://localhost:8000/v1."
    )
    key_variable: str = Field("OPENAI_API_KEY", description="Environment variable with the key of the service.")
    max_cost: Positive | None = Field(None, description="Stop before more than this is spent.")
    price_input: Price | None = Field(None, description="Price of a million tokens that are read.")
    price_output: Price | None = Field(None, description="Price of a million tokens that are written.")
    requests_at_once: Count = Field(4, description="Requests under way at once.")
    timeout_seconds: Positive = Field(60, description="Longest wait for one reply.")
    retries: Annotated[int, Field(ge=0)] = Field(5, description="New tries where the service is busy or fails.")


class PromptingRecipe(_Asked):
    """The rival: a language model that is asked in words."""

    base: str = Field(
        "auto",
        description="Who is asked: a folder or hub id of a language model, or with an endpoint its name there; "
        "auto: the base of the run.",
    )
    instruction: str = Field("auto", description="What is asked; auto: built from the data.")
    shots: Count = Field(4, description="Training rows that are shown before each question.")
    orders: Count = Field(5, description="Draws of these rows, each in an order of its own.")
    calibrate: bool = Field(
        True, description="Take out what a model prefers whatever it is asked, of closed answers (arXiv 2102.09690)."
    )
    max_tokens: Auto | Count = Field("auto", description="Longest reply, in tokens; auto: by task.")
    machine_price: Positive | None = Field(None, description="Price of an hour of this machine, for the break-even.")
    label_price: Price | None = Field(None, description="Price of labelling a row, for the break-even.")


class JudgeRecipe(_Asked):
    """A language model that says which of two texts is better."""

    model: str | None = Field(None, description="Its name at the endpoint.")
    instruction: str = Field("auto", description="What makes a text better; auto: general words.")
    against: str = Field("auto", description="Whose texts the model's are held against; auto: those of the base.")
    max_rows: Count = Field(200, description="Test rows that are judged, drawn at random.")


class LayersRecipe(_Part):
    """Which layers of the base move, when, and how far."""

    top: Auto | Count = Field(
        "auto", description="Of method top-layers: how many of the last layers move; auto: a quarter of them."
    )
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="Rate of a layer as a share of the rate of the layer above it (arXiv 1801.06146)."
    )
    gradual: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Share of the steps in which layers are set free one after the other, from the top."
    )


class LoraRecipe(_Part):
    """Low-rank adapters (PEFT)."""

    rank: Auto | Count = Field("auto", description="Rank of each adapter; auto: by what there is to learn.")
    alpha: Auto | Positive = Field(
        "auto", description="Scale: the update is multiplied by alpha / rank; auto: so that this is 2."
    )
    rank_stabilised: bool = Field(False, description="Divide by the root of the rank instead (arXiv 2312.03732).")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.05, description="Dropout on the adapter's input.")
    target_modules: Auto | list[str] = Field(
        "auto", description="Modules that get an adapter; auto: every linear layer."
    )
    dora: bool = Field(False, description="Learn the length of each weight vector apart (arXiv 2402.09353).")
    rate_ratio: Annotated[float, Field(ge=1)] = Field(
        1.0, description="Rate of the adapters' second matrix as a multiple of that of the first (arXiv 2402.12354)."
    )
    start: Literal["zeros", "pissa", "loftq"] = Field(
        "zeros",
        description="What adapters start from: nothing, the largest singular vectors of the weights "
        "(arXiv 2404.02948), or what quantisation took away (arXiv 2310.08659).",
    )
    merge: bool = Field(False, description="Save the model with the adapter merged into its weights.")


class SoftRecipe(_Part):
    """Vectors that are learnt and read before every text: methods prompt, p-tuning and prefix."""

    tokens: Count = Field(20, description="How many.")
    start: Literal["words", "random"] = Field(
        "words", description="Of method prompt: embeddings of words that name the task, or small random ones."
    )
    width: Auto | Count = Field(
        "auto", description="Of the net that makes them while training p-tuning; auto: that of the base."
    )


class QuantisationRecipe(_Part):
    """How the frozen weights of method qlora are kept (bitsandbytes)."""

    bits: Auto | Literal[4, 8] = Field("auto", description="Bits of a weight; auto: 4 for qlora, all for others.")
    kind: Literal["nf4", "fp4"] = Field("nf4", description="The 16 values of 4 bits (arXiv 2305.14314).")
    double: bool = Field(True, description="Quantise the scales of 4 bits, too.")


class TrainingRecipe(_Part):
    """How the weights move."""

    epochs: Auto | Positive = Field("auto", description="Passes over the training rows.")
    learning_rate: Auto | Literal["range-test"] | Positive = Field(
        "auto",
        description="Peak rate of the pretrained or adapter weights; range-test: by a short trial of rising ones.",
    )
    optimiser: Literal["adamw", "adamw_8bit", "paged_adamw_8bit"] = Field(
        "adamw", description="Its moments in 4 bytes a weight, or in 1 (bitsandbytes)."
    )
    head_learning_rate: Auto | Positive = Field("auto", description="Peak rate of the head.")
    batch_tokens: Auto | Annotated[int, Field(ge=16)] = Field("auto", description="Real tokens an optimiser step sees.")
    micro_batch_tokens: Auto | Annotated[int, Field(ge=8)] = Field(
        "auto", description="Real tokens computed at once; halved when memory runs out, with the same effective batch."
    )
    weight_decay: Annotated[float, Field(ge=0)] = Field(0.01, description="AdamW decay of weight matrices.")
    warmup_share: Annotated[float, Field(ge=0, lt=1)] = Field(0.06, description="Share of the steps that warm up.")
    clip_norm: Positive = Field(1.0, description="Largest norm of the gradient.")
    label_smoothing: Auto | Annotated[float, Field(ge=0, lt=1)] = Field(
        "auto",
        description="Share of the target spread evenly; of classes and translations 0.1, of anything else none.",
    )
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="Of products; master weights stay fp32.")
    evaluations_per_epoch: Count = Field(1, description="How often validation is looked at.")
    patience: Count = Field(
        5, description="Evaluations without a better one that end training; those of its first half do not count."
    )
    max_seconds: Positive | None = Field(None, description="Stop training after this many seconds, best state kept.")
    checkpoint_seconds: Positive = Field(60, description="Longest time between two checkpoints.")
    restarts: Annotated[int, Field(ge=0)] = Field(1, description="New seeds tried when a run is not above majority.")
    fast_paths: bool = Field(True, description="Flat batches and exact kernels; false: the plain computation.")


class RegularisationRecipe(_Part):
    """Against overfitting, and for classes that are rare; weight decay and label smoothing are among training."""

    dropout: Auto | Annotated[float, Field(ge=0, lt=1)] = Field(
        "auto", description="Chance of every dropout of the base; auto: the base's own."
    )
    r_drop: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Weight of the difference between two passes under dropout (arXiv 2106.14448)."
    )
    mixout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Chance of a weight to be that of the base in a step (arXiv 1909.11299)."
    )
    l2_start: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Weight of the squared distance to the base's weights (arXiv 1802.01483)."
    )
    class_weights: Literal["none", "balanced"] | dict[str, Positive] = Field(
        "none", description="Weight of each class in the loss; balanced: by how rare it is."
    )
    focal: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Gamma of the focal loss, which counts easy rows less (arXiv 1708.02002)."
    )
    sampling: Literal["none", "balanced", "root"] = Field(
        "none", description="How often rows of rare classes are seen: all classes alike, or by the root of their size."
    )
    average: Literal["none", "ema", "checkpoints"] = Field(
        "none",
        description="Weights that are evaluated and kept: the last ones, a moving average, or that of all looks.",
    )
    average_decay: Share = Field(0.99, description="Of the moving average, per step.")
    token_deletion: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Chance of a training token to be left out, drawn anew each time."
    )
    token_swap: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Chance of a training token to change places with the next one."
    )


class ForgettingRecipe(_Part):
    """What the base knew, before and after."""

    measure: bool = Field(True, description="Measure it, with probes of unrelated sets or on general text.")
    text: str | None = Field(None, description="General text for language models; the default comes along.")
    probes: list[str] = Field([], description="Labelled sets for encoders; the default comes along.")
    max_rows: Count = Field(400, description="Rows of each set, or pieces of text, that are looked at.")
    limit: Positive | None = Field(
        None,
        description="Most that may be forgotten, or the verdict's gate fails: accuracy of probes, or nats a token.",
    )
    replay: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="Share of general text among the tokens a language model is trained on."
    )
    interpolate: bool = Field(
        False,
        description="Mix the weights of base and tuned model as is best on validation (arXiv 2109.01903).",
    )


class EvaluationRecipe(_Part):
    """What the model is held against."""

    baselines: Auto | Literal["prompting"] | list[BaselineName | Literal["prompting"]] = Field(
        "auto",
        description="Scored on the same rows; auto: all of the task; prompting: zero_shot, few_shot, nearest_shots.",
    )
    margin: Share = Field(0.01, description="A cheaper model may be this much worse.")
    alpha: Share = Field(0.05, description="Level of the tests.")
    resamples: Annotated[int, Field(ge=100)] = Field(2000, description="Bootstrap resamples of an interval.")
    label_noise: bool = Field(True, description="Look for training rows whose label is doubtful (cleanlab).")
    comet: str | None = Field(
        None,
        description="A COMET model (name or checkpoint) that scores translations, where unbabel-comet is installed.",
    )


class Recipe(_Part):
    """One run, complete."""

    version: Literal[1] = Field(1, description="Of this form.")
    task: TaskName = Field("text-classification", description="What is to be learnt; as the hub's pipeline tags.")
    base: str = Field("minilm", description="The pretrained model: 'minilm', a folder, or a hub id.")
    method: Method = Field("auto", description="Which weights move; auto: the probe, then what fits the base's size.")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description="One seed; every stream derives from it.")
    data: DataRecipe
    head: HeadRecipe = HeadRecipe()
    vocabulary: VocabularyRecipe = VocabularyRecipe()
    answers: AnswersRecipe = AnswersRecipe()
    similarity: SimilarityRecipe = SimilarityRecipe()
    chat: ChatRecipe = ChatRecipe()
    sources: SourcesRecipe = SourcesRecipe()
    generation: GenerationRecipe = GenerationRecipe()
    masking: MaskingRecipe = MaskingRecipe()
    training: TrainingRecipe = TrainingRecipe()
    layers: LayersRecipe = LayersRecipe()
    lora: LoraRecipe = LoraRecipe()
    soft: SoftRecipe = SoftRecipe()
    quantisation: QuantisationRecipe = QuantisationRecipe()
    regularisation: RegularisationRecipe = RegularisationRecipe()
    forgetting: ForgettingRecipe = ForgettingRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    prompting: PromptingRecipe = PromptingRecipe()
    judge: JudgeRecipe = JudgeRecipe()
