"""A tiny model through SFT, a reward model, DPO, PPO and GRPO: what each moved."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from harken.algorithms.sft import SFT
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.generate import Decoding
from harken.models.model import Model
from harken.pipeline.settings import AlignConfig, RewardConfig
from harken.pipeline.verbs import (
    Feedback,
    Workplace,
    fine_tune_with_preferences,
    fine_tune_with_rl,
    load_pretrained_model,
    train_reward_model,
)
from harken.reward.mix import Mix
from harken.reward.model import RewardModelConfig
from harken.train.loop import Fit, fit
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import PreferencesConfig
from harken.train.rollout import RolloutConfig
from harken.train.sources import Demonstrations, DemonstrationsConfig
from harken.types import Answer, Comparison, Completion, Prompt

FAST = OptimizerConfig(rate=1e-2, muon_rate=0.0, warmup=0)
STAGES = ("sft", "reward", "dpo", "ppo", "grpo")


@dataclass
class Walked:
    """What the stages did.

    Attributes:
        losses: of SFT, step by step.
        changed: the names of the weights that each stage changed.
        finite: whether all weights are numbers after each stage.
        differences: between log-probabilities in training and in sampling, at each method's first step.
    """

    losses: list[float] = field(default_factory=list)
    changed: dict[str, set[str]] = field(default_factory=dict)
    finite: dict[str, bool] = field(default_factory=dict)
    differences: dict[str, float] = field(default_factory=dict)

    def see(self, stage: str, before: Model, after: Model) -> None:
        """Compare a stage's weights with those it began from."""
        mine, theirs = dict(before.trunk.named_parameters()), dict(after.trunk.named_parameters())
        self.changed[stage] = {name for name in mine if not torch.equal(mine[name], theirs[name])}
        self.finite[stage] = all(bool(torch.isfinite(p).all()) for p in theirs.values())


def feedback(asked: list[Prompt]) -> Feedback:
    """Two completions of each prompt, and which is better."""
    made = [
        Completion(f"{p.id}{side}", p.id, text, "model")
        for p in asked
        for side, text in (("a", "Yes"), ("b", "It is 7."))
    ]
    said = [
        Answer(f"key-{p.id}", "anna", "simulated", Comparison(p.id, f"{p.id}a", f"{p.id}b", "b" if n else "a"))
        for n, p in enumerate(asked)
    ]
    return Feedback(tuple(asked), tuple(made), tuple(said))


def walk(folder: Path, asked: list[Prompt], blobs: Blobs, work: Path) -> Walked:
    """Every road from a model's folder.

    Args:
        folder: where it lies.
        asked: prompts, each with a reference.
        blobs: their media.
        work: where the stages work.
    """
    begun, model = (load_pretrained_model(folder, "float32") for _ in range(2))
    walked = Walked()

    def at(stage: str) -> Workplace:
        return Workplace(blobs, 0, work / stage, stage)

    pairs = [(prompt, prompt.references[0]) for prompt in asked]
    encoded = EncodedPrompts(model.processor, blobs)
    (work / "sft").mkdir()
    how = Fit(work / "sft", "sft", "key", 0, FAST, work / "sft" / "metrics.jsonl")
    fit(model, Demonstrations(pairs, encoded, DemonstrationsConfig(steps=4, batch=3), 0), SFT(), how)
    walked.losses = [line["loss"] for line in read_metrics(how.log, "sft")]
    walked.see("sft", begun, model)

    said = feedback(asked)
    config = RewardConfig(RewardModelConfig(heads=2), steps=2, batch=3, optimizer=FAST)
    reward = train_reward_model(begun, said, config=config, at=at("reward"))
    walked.see("reward", begun, reward.model)

    align = AlignConfig(
        rollout=RolloutConfig(1, 3, 1, Decoding(4), Mix()),
        optimizer=FAST,
        human_only=False,
        preferences=PreferencesConfig(2, 3),
    )
    walked.see("dpo", begun, fine_tune_with_preferences(begun, said, config=align, at=at("dpo")))
    for algorithm in ("ppo", "grpo"):
        after = fine_tune_with_rl(begun, reward, asked, algorithm=algorithm, config=align, at=at(algorithm))
        walked.see(algorithm, begun, after)
        first = read_metrics(work / algorithm / "metrics.jsonl", algorithm)[0]
        walked.differences[algorithm] = first["logprob_difference"]
    return walked
