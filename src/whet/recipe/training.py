"""Parts of a recipe about training: which weights move, how, and what keeps them from overfitting."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.recipe.part import Auto, Count, Part, Positive, Share


class LayersRecipe(Part):
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


class LoraRecipe(Part):
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


class SoftRecipe(Part):
    """Vectors that are learnt and read before every text: methods prompt, p-tuning and prefix."""

    tokens: Count = Field(20, description="How many.")
    start: Literal["words", "random"] = Field(
        "words", description="Of method prompt: embeddings of words that name the task, or small random ones."
    )
    width: Auto | Count = Field(
        "auto", description="Of the net that makes them while training p-tuning; auto: that of the base."
    )


class QuantisationRecipe(Part):
    """How weights of methods qlora and quantised are kept (bitsandbytes)."""

    bits: Auto | Literal[4, 8] = Field(
        "auto", description="Bits of a weight; auto: 4 for qlora, 8 for quantised, all for others."
    )
    kind: Literal["nf4", "fp4"] = Field("nf4", description="The 16 values of 4 bits (arXiv 2305.14314).")
    double: bool = Field(True, description="Quantise the scales of 4 bits, too.")


class TrainingRecipe(Part):
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
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where models compute; auto: on a CUDA device where there is one."
    )
    evaluations_per_epoch: Count = Field(1, description="How often validation is looked at.")
    patience: Count = Field(
        5, description="Evaluations without a better one that end training; those of its first half do not count."
    )
    max_seconds: Positive | None = Field(None, description="Stop training after this many seconds, best state kept.")
    checkpoint_seconds: Positive = Field(60, description="Longest time between two checkpoints.")
    restarts: Annotated[int, Field(ge=0)] = Field(1, description="New seeds tried when a run is not above majority.")
    fast_paths: bool = Field(True, description="Flat batches and exact kernels; false: the plain computation.")


class RegularisationRecipe(Part):
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
        "none", description="Weight of each class in the loss, such as {spam: 3, ham: 1}; balanced: by how rare it is."
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
