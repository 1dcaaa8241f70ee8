"""Every way of training in the house on one tiny model: what the golden curves, the kills and other proofs train."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from harken.algorithms.sft import SFT
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.models.generate import Decoding
from harken.models.model import Model
from harken.pipeline.recipe import make_algorithm, preference_objectives, rl_algorithms
from harken.pipeline.settings import AlignConfig, RewardConfig
from harken.pipeline.verbs import (
    Feedback,
    Workplace,
    fine_tune_with_preferences,
    fine_tune_with_rl,
    train_reward_model,
)
from harken.reward.mix import Mix
from harken.reward.model import RewardModel, RewardModelConfig
from harken.reward.wording import Wording
from harken.train.loop import Fit, fit
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import PreferencesConfig
from harken.train.rollout import RolloutConfig
from harken.train.sources import Demonstrations, DemonstrationsConfig
from harken.train.stopping import StoppingConfig, held_out, held_out_likelihood
from harken.types import Answer, Comparison, Completion, Edit, Ranking, Rating

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))

from tiny import prompts, tiny_model

ALGORITHMS = ["sft", "reward", *sorted(rl_algorithms()), *sorted(preference_objectives())]
STEPS = 20
GENTLE = OptimizerConfig(rate=3e-3, muon_rate=3e-3, warmup=5, decay="cosine")
WATCHED = StoppingConfig(every=4, share=0.25)
SETTINGS = {"trpo": {"iterations": 3, "damping": 1.0, "max_kl": 1e-4}}
"""Of TRPO: small enough for a tiny model, whose curvature is rounding in most directions."""
SAID = ["It is 42.", "No", "A voice says eight, and more.", "It is 7."]


class Training:
    """One tiny world, and the ways to train in it; all of it is the same each time.

    Args:
        folder: for media, checkpoints and metrics.
        steps: optimizer steps.
        accumulate: parts of each step.
        optimizer: how weights move.
        stopping: when what is held out is looked at.
        checkpoint_every: steps between checkpoints.
    """

    def __init__(
        self,
        folder: Path,
        *,
        steps: int = STEPS,
        accumulate: int = 1,
        optimizer: OptimizerConfig = GENTLE,
        stopping: StoppingConfig = WATCHED,
        checkpoint_every: int = 3,
    ):
        self.folder, self.steps, self.accumulate = folder, steps, accumulate
        self.optimizer, self.stopping = optimizer, stopping
        self.blobs = Blobs(folder / "blobs")
        self.prompts = [
            replace(prompt, id=f"{prompt.id}.{seed}", references=("It is 42.",))
            for seed in (0, 1)
            for prompt in prompts(self.blobs, seed)
        ]
        self.at = Workplace(self.blobs, 0, folder, "training", "key", options={"checkpoint_every": checkpoint_every})

    def __call__(self, name: str) -> torch.nn.Module:
        """Train by an algorithm; goes on where it was interrupted."""
        if name in rl_algorithms():
            return self.reinforce(name)
        if name in preference_objectives():
            return self.prefer(name)
        return {"sft": self.supervise, "reward": self.learn_reward}[name]()

    @property
    def feedback(self) -> Feedback:
        """Answers of every kind."""
        made, said = [], []
        for n, prompt in enumerate(self.prompts):
            ids = [f"{prompt.id}/{side}" for side in "abc"]
            made += [Completion(i, prompt.id, SAID[(n + k) % 4], "model") for k, i in enumerate(ids)]
            spoken = [
                Comparison(prompt.id, ids[0], ids[1], "ab"[n % 2]),
                Rating(prompt.id, ids[2], 1 + n % 5),
                Ranking(prompt.id, ((ids[n % 3],), (ids[(n + 1) % 3],)), (ids[(n + 2) % 3],)),
                Edit(prompt.id, ids[1], "It is 42."),
            ]
            said += [
                Answer(f"{prompt.id}-{k}", ("ada", "ben")[(n + k) % 2], "simulated", feedback)
                for k, feedback in enumerate(spoken)
            ]
        return Feedback(tuple(self.prompts), tuple(made), tuple(said))

    def supervise(self) -> Model:
        model = tiny_model()
        encoded = EncodedPrompts(model.processor, self.blobs)
        pairs = [(prompt, SAID[n % 4]) for n, prompt in enumerate(self.prompts)]
        config = DemonstrationsConfig(self.steps, 8, self.accumulate)
        unseen, learnt = held_out(pairs, lambda pair: pair[0].id, self.stopping, 0)
        measure: Callable[[], float] | None = None
        if unseen:
            apart = Demonstrations(unseen, encoded, config, 0)
            measure = held_out_likelihood(model, SFT(), apart.batch_of, len(unseen), 8)
        at = self.at
        how = Fit(at.folder, at.stage, at.key, at.seed, self.optimizer, at.folder / "metrics.jsonl",
                  stopping=self.stopping, measure=measure, **at.options)  # fmt: skip
        fit(model, Demonstrations(learnt, encoded, config, 0), SFT(), how)
        return model

    def learn_reward(self) -> RewardModel:
        config = RewardConfig(
            RewardModelConfig(heads=2),
            steps=self.steps,
            batch=8,
            accumulate=self.accumulate,
            stopping=self.stopping,
            optimizer=self.optimizer,
        )
        return train_reward_model(tiny_model(), self.feedback, config=config, at=self.at)

    def reinforce(self, name: str) -> Model:
        torch.manual_seed(0)
        reward = RewardModel(tiny_model(), Wording(["ada"]), RewardModelConfig(heads=2)).eval()
        for parameter in reward.model.heads.parameters():
            parameter.data.normal_(generator=torch.Generator().manual_seed(1))
        algorithm = make_algorithm({"name": name, **SETTINGS.get(name, {})})
        minibatches = 1 if name == "trpo" else 2
        rollout = RolloutConfig(
            -(-self.steps // (algorithm.epochs * minibatches)),
            6,
            minibatches,
            Decoding(6, stop=("e", "t", "i")),
            Mix(1.0, 2.0, {"ended": 0.5, "fluency": 0.1}),
            self.accumulate,
        )
        config = AlignConfig(rollout, optimizer=self.optimizer, stopping=self.stopping)
        return fine_tune_with_rl(tiny_model(), reward, self.prompts, algorithm=algorithm, config=config, at=self.at)

    def prefer(self, name: str) -> Model:
        config = AlignConfig(
            preferences=PreferencesConfig(self.steps, 8, self.accumulate),
            optimizer=self.optimizer,
            stopping=self.stopping,
        )
        return fine_tune_with_preferences(tiny_model(), self.feedback, algorithm=name, config=config, at=self.at)


def fingerprint(module: torch.nn.Module) -> str:
    """A hash of all weights' bits."""
    total = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        total.update(name.encode())
        total.update(tensor.detach().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()
