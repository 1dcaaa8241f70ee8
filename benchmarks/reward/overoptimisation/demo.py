"""The demo's world: a model that samples and is trained, simulated annotators, and their hidden preference as gold."""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.reward.overoptimisation.curve import MEMBERS, REWARDS, Curve, selecting
from harken.algorithms.kl import AdaptiveKL
from harken.algorithms.ppo import PPO
from harken.data.encoded import EncodedPrompts
from harken.data.seeds import derive
from harken.demo.recipe import recipe_file
from harken.demo.world import make_world
from harken.feedback.store import FeedbackStore
from harken.models.generate import Decoding
from harken.pipeline.recipe import read_recipe
from harken.pipeline.run import Run
from harken.pipeline.settings import AlignConfig, FeedbackConfig, RewardConfig
from harken.pipeline.stages import stages
from harken.pipeline.verbs import (
    Feedback,
    Workplace,
    ask,
    fine_tune_with_rl,
    load_pretrained_model,
    read_feedback,
    train_reward_model,
)
from harken.reward.model import RewardModel, RewardModelConfig
from harken.train.answering import Sampling, sample_completions
from harken.train.loop import SAMPLES
from harken.train.metrics_log import read_metrics
from harken.train.optimizers import OptimizerConfig
from harken.train.rollout import RolloutConfig
from harken.types import Completion, Prompt

UNFELT = 1e-9
"""A weight of the KL penalty that changes nothing."""


@dataclass(frozen=True)
class DemoSize:
    """How much is done. Chosen so that a single proxy is over-optimised.

    Attributes:
        comparisons: what proxies learn from.
        asked: prompts whose completions are compared.
        steps: of a reward model.
        prior: scale of the random functions that keep an ensemble's members apart (1806.03335); a single member has
            none.
        tested: held-out prompts for best of n.
        drawn: completions of each.
        practised: prompts that reinforcement practises on, a multiple of `rollout`.
        rollout: prompts of a rollout; each is answered twice.
        passes: how often reinforcement goes over its prompts; each pass is one point of its curve.
        rate: of PPO's optimizers.
        penalties: weights of the KL penalty.
        optimised: PPO's proxy learnt from so many comparisons.
    """

    comparisons: tuple[int, ...] = (60, 250)
    asked: int = 120
    steps: int = 60
    prior: float = 0.5
    tested: int = 32
    drawn: int = 256
    practised: int = 128
    rollout: int = 32
    passes: int = 8
    rate: float = 1e-3
    penalties: tuple[float, ...] = (0.0, 0.1)
    optimised: int = 60


TINY = DemoSize((20, 40), 12, 2, 0.5, 2, 4, 4, 2, 2, 1e-3, (0.0, 0.1), 20)


class DemoWorld:
    """The supervised model and its task.

    Args:
        folder: the run whose supervised stage is made here, or taken if it is there.
        overrides: of the demo's recipe.
        size: how much is done.
    """

    def __init__(self, folder: Path, overrides: Sequence[str] = (), size: DemoSize | None = None):
        self.size = size or DemoSize()
        self.run = Run(folder, read_recipe(recipe_file("demo"), overrides), make_world)
        # A finished one is taken as it is, so that several seeds may go side by side.
        if not (folder / "sft").is_dir():
            with self.run.locked():
                self.run.open(resume=True, whole=False)
                self.run.execute(stages(self.run.recipe)[:1])
        assert self.run.world.gold is not None, "the demo's world has one"
        self.judge: Callable[[Prompt, Completion], float] = self.run.world.gold
        self.decoding = Decoding(max_tokens=28)

    def gold(self, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> np.ndarray:
        """Of completions of these prompts, (N,)."""
        by_id = {prompt.id: prompt for prompt in prompts}
        return np.array([self.judge(by_id[c.prompt_id], c) for c in completions])

    def curves(self, seed: int, told: Callable[[str], None]) -> list[Curve]:
        """All arms of one seed: best of n by every proxy, and PPO against one of them."""
        return _DemoSeed(self, seed, told).curves()


class _DemoSeed:
    """One seed's annotators' answers, proxies, samples and reinforcement; the supervised model is the same for all."""

    def __init__(self, world: DemoWorld, seed: int, told: Callable[[str], None]):
        self.world, self.size, self.seed, self.told = world, world.size, derive(seed, "overoptimisation"), told
        self.model = load_pretrained_model(world.run.folder / "sft", "float32")
        self.blobs = world.run.blobs
        self.encoded = EncodedPrompts(self.model.processor, self.blobs)
        prompts, asked = world.run.world.prompts, self.size.asked
        self.asked, self.practised = prompts[:asked], prompts[asked : asked + self.size.practised]

    def sampled(self, prompts: Sequence[Prompt], each: int, what: str) -> list[Completion]:
        how = Sampling("sft", each, self.world.decoding, derive(self.seed, what), batch=8)
        return sample_completions(self.model, prompts, self.encoded, how)

    def curves(self) -> list[Curve]:
        said = self.feedback()
        tested, drawn = self.world.run.world.test[: self.size.tested], self.size.drawn
        made = self.sampled(tested, drawn, "best of n")
        gold = list(self.world.gold(tested, made).reshape(-1, drawn))
        before = self.world.gold(self.practised, self.sampled(self.practised, 2, "before")).reshape(-1, 2).mean(1)
        out = []
        for count in self.size.comparisons:
            proxies = {members: self.proxy(said, count, members) for members in (1, MEMBERS)}
            scores = {members: self.scores(proxy, tested, made) for members, proxy in proxies.items()}
            out += selecting(count, scores, gold, ("best_of_n",))
            self.told(f"best of n, {count} comparisons")
            if count == self.size.optimised:
                for penalty in self.size.penalties:
                    out += [self.reinforced(proxies, reward, penalty, before) for reward in REWARDS]
        return out

    def feedback(self) -> Feedback:
        """Answers of the simulated annotators, in an order in which the first n are a fair draw."""
        questions = FeedbackConfig(comparisons=max(self.size.comparisons), ratings=0, edits=0)
        made = self.sampled(self.asked, 4, "compared")
        with tempfile.TemporaryDirectory() as scratch, FeedbackStore(Path(scratch) / "feedback.db") as store:
            store.add_prompts(self.asked)
            store.add_completions(made)
            ask(store, made, self.world.run.world.annotators, questions, self.seed)
            return read_feedback(store)

    def proxy(self, said: Feedback, count: int, members: int) -> RewardModel:
        """A reward model of so many members, from the first comparisons."""
        prior = self.size.prior if members > 1 else 0.0
        config = RewardConfig(model=RewardModelConfig(members, prior), steps=self.size.steps)
        learnt = Feedback(said.prompts, said.completions, said.answers[:count])
        return train_reward_model(self.model, learnt, config=config, at=Workplace(self.blobs, self.seed))

    def scores(
        self, proxy: RewardModel, prompts: Sequence[Prompt], completions: Sequence[Completion]
    ) -> list[torch.Tensor]:
        """Of each prompt's completions, (N, K); a text is scored once."""
        place: dict[tuple[str, str, bool], int] = {}
        rows = [place.setdefault((c.prompt_id, c.text, c.finished), len(place)) for c in completions]
        different = [completions[rows.index(n)] for n in range(len(place))]
        found = proxy.score_completions(different, {prompt.id: prompt for prompt in prompts}, self.encoded)[rows]
        return list(found.reshape(len(prompts), -1, found.shape[1]))

    def reinforced(self, proxies: dict[int, RewardModel], reward: str, penalty: float, before: np.ndarray) -> Curve:
        """PPO's curve: each pass over the prompts is a point, from the completions of its own rollouts."""
        size = self.size
        proxy = proxies[1 if reward == "single" else MEMBERS]
        proxy.combining = REWARDS[reward]
        each = size.practised // size.rollout
        rollout = RolloutConfig(each * size.passes, size.rollout, 2, self.world.decoding)
        config = AlignConfig(rollout, optimizer=OptimizerConfig(rate=size.rate, muon_rate=size.rate))
        # With a weight of exactly 0 the reference is not asked, and there is no KL to draw.
        algorithm = PPO(group=2, epochs=2, kl=AdaptiveKL(max(penalty, UNFELT), adaptive=False))
        with tempfile.TemporaryDirectory() as scratch:
            at = Workplace(self.blobs, self.seed, Path(scratch), "ppo")
            fine_tune_with_rl(
                self.model, proxy, self.practised, algorithm=algorithm, config=config, reference=self.model, at=at
            )
            figures = [record for record in read_metrics(Path(scratch) / "metrics.jsonl", "ppo") if "kl" in record]
            samples = [json.loads(line) for line in (Path(scratch) / SAMPLES).read_text().splitlines()]
        self.told(f"ppo, {reward}, KL {penalty:g}")
        kl = np.array([record["kl"] for record in figures]).reshape(size.passes, each).mean(1)
        proxied = np.array([record["reward/human"] for record in figures]).reshape(size.passes, each).mean(1)
        gold = self.by_pass(samples, each)
        points = [float(each * (n + 1)) for n in range(size.passes)]
        distance = np.sqrt(np.maximum(kl, 0.0))
        rise = gold - before[:, None]
        return Curve(
            "ppo", size.optimised, reward, penalty, points, distance, rise, proxied - figures[0]["reward/human"]
        )

    def by_pass(self, samples: Sequence[dict], each: int) -> np.ndarray:
        """Mean gold of each prompt's completions in each pass, (P, S).

        Raises:
            KeyError: if a pass left a prompt out.
        """
        steps = {step: n for n, step in enumerate(sorted({sample["step"] for sample in samples}))}
        made = [Completion("", s["prompt_id"], s["text"], "ppo", s["finished"]) for s in samples]
        table: dict[tuple[str, int], list[float]] = {}
        for sample, gold in zip(samples, self.world.gold(self.practised, made).tolist(), strict=True):
            table.setdefault((sample["prompt_id"], steps[sample["step"]] // each), []).append(gold)
        return np.array([[np.mean(table[p.id, n]) for n in range(self.size.passes)] for p in self.practised])
