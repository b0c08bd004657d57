"""The recipe: every option of a run, its type, its range and what it is for.

Models are frozen and refuse unknown keys. ``auto`` marks what is derived from the data and the
base when the run starts; :mod:`whet.recipe.resolve` and the stages of the run record what it
became and why. The generated page docs/recipe.md lists all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from whet.recipe.distillation import DistillationRecipe, StudentRecipe
from whet.recipe.evidence import (
    EvaluationRecipe,
    ForgettingRecipe,
    JudgeRecipe,
    PromptingRecipe,
)
from whet.recipe.few_shot import ContrastiveRecipe, SelfTrainingRecipe
from whet.recipe.mixing import MixingRecipe
from whet.recipe.names import Method, TaskName
from whet.recipe.part import Part
from whet.recipe.preference import PreferenceRecipe
from whet.recipe.rows import (
    AnswersRecipe,
    ChatRecipe,
    DataRecipe,
    GenerationRecipe,
    HeadRecipe,
    MaskingRecipe,
    SimilarityRecipe,
    SourcesRecipe,
    VocabularyRecipe,
)
from whet.recipe.search import SearchRecipe
from whet.recipe.stages import ControlsRecipe, SelectionRecipe
from whet.recipe.training import (
    LayersRecipe,
    LoraRecipe,
    QuantisationRecipe,
    RegularisationRecipe,
    SoftRecipe,
    TrainingRecipe,
)


class Recipe(Part):
    """One run, complete."""

    version: Literal[1] = Field(1, description="Of this form.")
    task: TaskName = Field("text-classification", description="What is to be learnt; as the hub's pipeline tags.")
    base: str = Field("minilm", description="The pretrained model: 'minilm', a folder, or a hub id.")
    method: Method = Field("auto", description="Which weights move; auto: the probe, then what fits the base's size.")
    seed: Annotated[int, Field(ge=0, lt=2**31)] = Field(0, description="One seed; every stream derives from it.")
    data: DataRecipe
    stages: list[dict[str, Any]] = Field(
        [],
        description="Several trainings in a row: each a name, and options laid over those above; it begins from the "
        "model of the stage before.",
    )
    tasks: list[dict[str, Any]] = Field(
        [],
        description="Several tasks learnt together over one trunk: each a name, and options laid over those above.",
    )
    mixing: MixingRecipe = MixingRecipe()
    controls: ControlsRecipe = ControlsRecipe()
    selection: SelectionRecipe = SelectionRecipe()
    student: StudentRecipe = StudentRecipe()
    head: HeadRecipe = HeadRecipe()
    vocabulary: VocabularyRecipe = VocabularyRecipe()
    answers: AnswersRecipe = AnswersRecipe()
    similarity: SimilarityRecipe = SimilarityRecipe()
    chat: ChatRecipe = ChatRecipe()
    sources: SourcesRecipe = SourcesRecipe()
    generation: GenerationRecipe = GenerationRecipe()
    masking: MaskingRecipe = MaskingRecipe()
    preference: PreferenceRecipe = PreferenceRecipe()
    training: TrainingRecipe = TrainingRecipe()
    layers: LayersRecipe = LayersRecipe()
    lora: LoraRecipe = LoraRecipe()
    soft: SoftRecipe = SoftRecipe()
    contrastive: ContrastiveRecipe = ContrastiveRecipe()
    self_training: SelfTrainingRecipe = SelfTrainingRecipe()
    quantisation: QuantisationRecipe = QuantisationRecipe()
    regularisation: RegularisationRecipe = RegularisationRecipe()
    distillation: DistillationRecipe = DistillationRecipe()
    forgetting: ForgettingRecipe = ForgettingRecipe()
    evaluation: EvaluationRecipe = EvaluationRecipe()
    prompting: PromptingRecipe = PromptingRecipe()
    judge: JudgeRecipe = JudgeRecipe()
    search: SearchRecipe = SearchRecipe()

    _lines: Mapping[str, str] = PrivateAttr(default_factory=dict)
    _reasons: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @property
    def lines(self) -> Mapping[str, str]:
        """Where its options were read (:mod:`whet.recipe.lines`); nothing where that is not known."""
        return self._lines

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why options, by dotted name, have their values, where it was not the recipe's author who set them."""
        return self._reasons

    def knowing(self, lines: Mapping[str, str] | None = None, reasons: Mapping[str, str] | None = None) -> Recipe:
        """The same, with what is known of where its options come from."""
        found = self.model_copy()
        found._lines = self._lines if lines is None else dict(lines)
        found._reasons = self._reasons if reasons is None else {**self._reasons, **reasons}
        return found

    def __eq__(self, other: object) -> bool:
        """Whether both want the same, wherever it was read."""
        return isinstance(other, Recipe) and self.__dict__ == other.__dict__
