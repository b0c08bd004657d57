"""Parts of a recipe about evidence: what a model is held against, what it forgot, who is asked beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from whet.recipe.names import BaselineName
from whet.recipe.part import Auto, Count, Part, Positive, Price, Share


class ForgettingRecipe(Part):
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


class EvaluationRecipe(Part):
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


class Asked(Part):
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


class PromptingRecipe(Asked):
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


class JudgeRecipe(Asked):
    """A language model that says which of two texts is better."""

    model: str | None = Field(None, description="Its name at the endpoint.")
    instruction: str = Field("auto", description="What makes a text better; auto: general words.")
    against: str = Field("auto", description="Whose texts the model's are held against; auto: those of the base.")
    max_rows: Count = Field(200, description="Test rows that are judged, drawn at random.")
