"""The parts of a recipe: one dataclass a part, each field with what it means."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from harken.data.augment.media import Augmentation
from harken.data.bounds import at_least, share
from harken.feedback.annotators.judge import JudgeConfig
from harken.feedback.held_out import SplitConfig
from harken.feedback.selection import SelectionConfig
from harken.models.fusion.build import FamilyConfig
from harken.models.generate import Decoding
from harken.models.load import Dtype
from harken.models.lora import AdapterConfig
from harken.pipeline.space import Space, parse_space
from harken.reward.combining import Combine
from harken.reward.linear import LinearConfig
from harken.reward.model import RewardModelConfig
from harken.reward.objective import LIKELIHOODS
from harken.train.adversarial import Attack
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import PreferencesConfig
from harken.train.rollout import RolloutConfig
from harken.train.sources import DemonstrationsConfig
from harken.train.stopping import StoppingConfig


@dataclass(frozen=True)
class DataConfig:
    """Where prompts come from.

    Attributes:
        name: `demo` or `spoken_digits` (worlds with tasks, demonstrations and simulated annotators), or `prompts`
            (JSONL files).
        root: folder of the data sets of `spoken_digits`.
        prompts: JSONL of prompts to align on, for `prompts`.
        test: JSONL of held-out prompts; a tenth of `prompts`, split by media, if none is given.
        demonstrations: demonstrations that a world makes.
        ask: prompts that a world makes for feedback and alignment.
        held_out: test prompts that a world makes.
        skip_bad: leave bad records out, counted and listed, instead of refusing the file.
    """

    name: Literal["demo", "spoken_digits", "prompts"] = "demo"
    root: str | None = None
    prompts: str | None = None
    test: str | None = None
    demonstrations: int = 3000
    ask: int = 1200
    held_out: int = 400
    skip_bad: bool = False

    def __post_init__(self) -> None:
        at_least(self, "data", demonstrations=0, ask=1, held_out=1)


@dataclass(frozen=True)
class ModelConfig:
    """The model to begin with.

    Attributes:
        path: a folder or a name on the hub; a new model of the family, of these parts, if none is given.
        encoders: by modality (image, audio, numbers, text), each `{name: cnn, ...}`: a file of `models/fusion/encoders`
            and its settings; what is named is what there is.
        fuse: how they are joined: `{name: joined, ...}`, a file of `models/fusion/fuse` and its settings.
        heads: what is read off, by any names: each `{name: language, ...}`, a file of `models/fusion/heads`.
        dtype: of the weights; `auto` is bfloat16 on a GPU that computes in it, float32 elsewhere.
        freeze_encoders: leave the encoders of pictures and sounds as they are; what they make of each medium is then
            computed once, kept on disk, and read by every role in every epoch.
        recompute: compute the decoder's layers again in the backward pass; less memory, a third more time.
        speech_to_text: the folder of a model such as Whisper that writes down the words of sounds, for a model without
            an encoder of them; it is kept with the model.
    """

    path: str | None = None
    encoders: Mapping[str, Mapping[str, Any] | None] = field(default_factory=lambda: FamilyConfig().encoders)
    fuse: Mapping[str, Any] = field(default_factory=lambda: FamilyConfig().fuse)
    heads: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: FamilyConfig().heads)
    dtype: Dtype = "auto"
    freeze_encoders: bool = False
    recompute: bool = False
    speech_to_text: str | None = None

    def __post_init__(self) -> None:
        made = self.family.resolve()
        if self.speech_to_text is None or self.path is not None:
            return
        if "audio" in made.encoders or made.language is None:
            wrong = "an encoder of audio" if "audio" in made.encoders else "no language head to read words"
            raise ValueError(
                f"speech_to_text writes down the words of sounds, but the model has {wrong}; leave one out"
            )

    @property
    def family(self) -> FamilyConfig:
        """The parts of a new model."""
        return FamilyConfig(self.encoders, self.fuse, self.heads)


@dataclass(frozen=True)
class SftConfig:
    """Supervised training: on demonstrations, and on what prompts' facts say to heads.

    Attributes:
        data: how much.
        optimizer: how weights move.
        adapter: train a low-rank adapter and not the weights; it is added to them in the end.
        stopping: early stopping on the likelihood of a part of the demonstrations that is not learnt from.
        augment: what is done to pictures and sounds in training.
        attack: how media are moved against the model while it learns (adversarial training); not at all if not said.
    """

    data: DemonstrationsConfig = field(default_factory=DemonstrationsConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    adapter: AdapterConfig | None = None
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    augment: Augmentation = field(default_factory=Augmentation)
    attack: Attack | None = None

    def __post_init__(self) -> None:
        if self.attack is not None and self.attack.moves_samples and self.augment.audio is not None:
            raise ValueError(
                "sft.attack.radius.samples makes frames anew, and what sft.augment.audio did to them would be lost; "
                "leave one out, or attack input_features"
            )

    @property
    def change(self) -> Augmentation | None:
        """What is done to media, if anything."""
        return self.augment if self.augment != Augmentation() else None


@dataclass(frozen=True)
class CompletionsConfig:
    """What people are asked about.

    Attributes:
        prompts: how many of the prompts are answered.
        each: completions of each.
        decoding: how they are sampled.
        held_out: share of these prompts whose feedback only measures the reward model.
    """

    prompts: int = 600
    each: int = 3
    decoding: Decoding = field(default_factory=Decoding)
    held_out: float = 0.25

    def __post_init__(self) -> None:
        at_least(self, "completions", prompts=1, each=1)
        share(self, "completions", "held_out")


@dataclass(frozen=True)
class FeedbackConfig:
    """What is asked, and of whom.

    Attributes:
        annotator: `simulated` (only worlds have these), `me` (asks in the terminal), `judge` (a model) or `file`:
            people answered elsewhere, as in the studio, and what they said is in `answers`.
        comparisons: how many comparisons.
        rankings: how many rankings.
        ratings: how many ratings.
        edits: how many edits.
        overlap: how many annotators get each question.
        select: by what pairs are chosen from the second round on, from the newest reward model's scores; `random` asks
            random pairs in every round.
        random_share: share of the comparisons that a policy leaves to chance.
        judge: which model, where, and what it is told; for `judge`, which neither ranks nor edits.
        answers: for `file`: answers about the run's completions, one a line, as a store writes them
            (`rounds/1/feedback.jsonl`, the studio's `/api/v1/answers`). The run waits until there are some.
    """

    annotator: Literal["simulated", "me", "judge", "file"] = "simulated"
    comparisons: int = 900
    rankings: int = 0
    ratings: int = 300
    edits: int = 100
    overlap: int = 1
    select: SelectionConfig = field(default_factory=lambda: SelectionConfig("random"))
    random_share: float = 0.25
    judge: JudgeConfig | None = None
    answers: str | None = None

    def __post_init__(self) -> None:
        at_least(self, "feedback", comparisons=0, rankings=0, ratings=0, edits=0, overlap=1)
        share(self, "feedback", "random_share")
        if (self.annotator == "file") != (self.answers is not None):
            raise ValueError("feedback.annotator=file and feedback.answers=PATH belong together; say both or neither")
        if self.annotator != "judge":
            return
        if self.judge is None:
            raise ValueError(
                "feedback.annotator=judge needs feedback.judge.url and feedback.judge.model, such as "
                "http://127.0.0.1:8000 and the name that the server lists under /v1/models"
            )
        if self.rankings or self.edits:
            raise ValueError("a judge compares and rates; say feedback.rankings=0 feedback.edits=0")


@dataclass(frozen=True)
class RewardConfig:
    """The reward model and its training.

    Attributes:
        model: what it is.
        combine: how the scores of an ensemble become one reward: their mean; the worst; the mean less `uncertainty`
            times their variance.
        uncertainty: the weight of the variance.
        criterion: which answers count, where people judged several.
        shrink: how strongly annotators are held to the average one; who said little is taken for it.
        linear: how the lines of `model.head: linear` are fitted; the trunk then stays as it is, and steps, batch,
            accumulate, stopping, optimizer and adapter mean nothing.
        steps: optimizer steps.
        batch: statements a step.
        accumulate: parts in which a step goes through the model, to save memory.
        stopping: early stopping on the likelihood of a part of the answers that is not learnt from.
        weights: how much each kind of feedback counts; `edit_span`: how much the places that edits changed count
            beside their texts as wholes.
        optimizer: how weights move.
        adapter: train a low-rank adapter on the policy's own weights, which stay as they are.
        split: how a run's feedback is divided into what is learnt from and what measures (its share is
            `completions.held_out`), and what may stand on both sides; anything else there is an error.
    """

    model: RewardModelConfig = field(default_factory=RewardModelConfig)
    combine: Combine = "mean"
    uncertainty: float = 0.5
    criterion: str = "overall"
    shrink: float = 1.0
    linear: LinearConfig = field(default_factory=LinearConfig)
    steps: int = 120
    batch: int = 32
    accumulate: int = 1
    stopping: StoppingConfig = field(default_factory=StoppingConfig)
    weights: Mapping[str, float] = field(
        default_factory=lambda: {"comparison": 1.0, "ranking": 1.0, "rating": 0.5, "edit": 1.0, "edit_span": 0.5}
    )
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=1e-3, muon_rate=1e-3))
    adapter: AdapterConfig | None = None
    split: SplitConfig = field(default_factory=SplitConfig)

    def __post_init__(self) -> None:
        at_least(self, "reward", steps=0, batch=1, accumulate=1, shrink=0, uncertainty=0)
        known = (*LIKELIHOODS, "edit_span")
        for kind, weight in self.weights.items():
            if kind not in known or not (math.isfinite(weight) and weight >= 0):
                raise ValueError(f"reward.weights: a number from 0 up for {', '.join(known)}, not {kind!r}: {weight}")
        if self.model.head == "linear" and self.adapter is not None:
            raise ValueError("reward.model.head: linear leaves the trunk as it is: leave reward.adapter out")
        if self.model.trunk == "encoders" and self.adapter is not None:
            raise ValueError("reward.model.trunk: encoders begins from nothing: leave reward.adapter out")
        if self.linear.landmarks:
            raise ValueError("reward.linear.landmarks: lines on a trunk are straight; leave it out")


@dataclass(frozen=True)
class AlignConfig:
    """How the policy is moved towards what people prefer.

    Attributes:
        rollout: how much reinforcement, and the mix of rewards; for algorithms that sample.
        preferences: how much training on people's answers; for algorithms that learn from these directly.
        optimizer: how weights move.
        human_only: whether a second policy is trained without the environment's rewards, for the report.
        adapter: train a low-rank adapter: policy with it, reference without it, on one copy of the weights.
        stopping: early stopping on a part of the prompts that is not learnt from: by the mean reward there, or where
            people's answers are learnt from directly by their likelihood.
    """

    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    preferences: PreferencesConfig = field(default_factory=PreferencesConfig)
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(rate=5e-4, muon_rate=5e-4))
    human_only: bool = True
    adapter: AdapterConfig | None = None
    stopping: StoppingConfig = field(default_factory=StoppingConfig)

    def __post_init__(self) -> None:
        if self.optimizer.precision != "float32":
            raise ValueError(
                f"align.optimizer.precision is {self.optimizer.precision}: log-probabilities in training must be those "
                "of sampling and of the reference, which are computed in the weights' own type; leave it out, or say "
                "model.dtype: bfloat16 for all of them"
            )


@dataclass(frozen=True)
class EvaluationConfig:
    """The evaluation.

    Attributes:
        decoding: how held-out prompts are answered; as the policy is, if the temperature is 1.
        resamples: of the bootstrap.
        examples: answers shown side by side in the report.
        explain: answers that the report takes apart: which part of the prompt mattered, and where in it. Each takes as
            long as some hundred answers, forward and backward, so large models want few or none.
        language: for BLEU and ROUGE.
        curve: numbers of answers; for each the reward model is trained again on so many of those that are learnt from,
            and judged on the held-out ones. Takes as long as that often training it.
    """

    decoding: Decoding = field(default_factory=Decoding)
    resamples: int = 10_000
    examples: int = 10
    explain: int = 0
    language: str = "en"
    curve: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        at_least(self, "evaluation", resamples=1, examples=0, explain=0)
        if any(count < 1 for count in self.curve):
            raise ValueError(f"evaluation.curve: numbers of answers from 1 up, not {list(self.curve)}")


@dataclass(frozen=True)
class TuneConfig:
    """The search of settings: trials of one stage, each with other settings, by its measure on what is held out.

    Attributes:
        stage: whose measure it is; what that is says the stage's `stopping`.
        over: by key of the recipe, the space of its values: `1e-4..1e-2:log`, `16..64` (whole numbers), `32|64|128`,
            or a list; rates, batch and warm-up of the stage around the recipe's own if none is said.
        trials: how many in all, those that were ended early counted.
        startup: how many are drawn at random before the search learns from them, and run to their end before any is
            ended early; the first is the recipe as it is, as far as its values are among those searched.
        pruner: by what a trial is ended early: `median`, if its best measure is below the median of the others' at
            that step; `halving`, if it is not among the best quarter at steps that grow fourfold; `none`.
        seed: of the search; the trials all train with the recipe's own.
    """

    stage: Literal["sft", "reward", "align"] = "sft"
    over: Mapping[str, Any] = field(default_factory=dict)
    trials: int = 20
    startup: int = 6
    pruner: Literal["median", "halving", "none"] = "median"
    seed: int = 0

    def __post_init__(self) -> None:
        at_least(self, "tune", trials=1, startup=1)
        self.spaces()

    def spaces(self) -> dict[str, Space]:
        """What is searched, by key.

        Raises:
            SpaceError: naming the key, what is wrong with its space, and what one looks like.
        """
        return {key: parse_space(key, said) for key, said in self.over.items()}
