"""The demo's aligned policy under attack and asked otherwise, before and after adversarial prompts in reinforcement.

Attacks on media raise the loss of the policy's own clean answer (the likeliest, token by token): they know no gold
answer. Perturbed prompts mean the same. Answers are the likeliest; the reward model and the gold preference judge them
by the prompt as it was.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.family.robust_classifiers import EPS, NOISE
from harken.data.augment.prompt import PromptChange
from harken.data.augment.words.distractors import Distractors
from harken.data.augment.words.wording import Wording
from harken.data.encoded import EncodedPrompts, Given
from harken.data.seeds import derive
from harken.demo.recipe import recipe_file
from harken.demo.world import make_world
from harken.evaluate.metrics.bootstrap import bootstrap_interval
from harken.evaluate.metrics.exactness import exactness
from harken.models.generate import Decoding
from harken.models.load import load_model
from harken.models.model import Model
from harken.pipeline.recipe import Recipe, read_recipe
from harken.pipeline.run import Progress, Run
from harken.pipeline.stages import stages
from harken.pipeline.teach import workplace
from harken.pipeline.verbs import fine_tune_with_rl
from harken.reward.model import RewardModel, load_reward_model
from harken.reward.rules import right_answer
from harken.train.adversarial import Attack
from harken.train.adversary import Adversary
from harken.train.answering import Sampling, sample_completions
from harken.train.sampler import LocalSampler
from harken.types import Audio, Completion, Image, Prompt

PRACTISED = (
    Wording(
        ("What number is this?", "Read the number.", "Which number do you see?"),
        ("Tell me the number in the picture.", "Please read this number to me.", "What does the picture show?"),
    ),
    Wording(
        ("What number was said?", "Which number do you hear?", "Repeat the number."),
        ("Tell me the number in the recording.", "What does the voice say?", "Please say the number again."),
    ),
    Wording(
        ("Do they agree?", "Is it the same number?", "Same number?"),
        ("Are both the same?", "Does the voice say what the picture shows?"),
    ),
    Wording(("What is the sum?", "Add them."), ("How much is it together?", "Sum them up.")),
    Wording(("Add {n}.",), ("Please add {n} to it.", "How much is it with {n} more?")),
)
"""Other words that reinforcement practises."""
JUDGED = (
    Wording(
        PRACTISED[0].of, ("Could you name the number that is written here?", "I cannot read this number, can you?")
    ),
    Wording(PRACTISED[1].of, ("Could you name the number that is spoken here?", "I missed the number, which was it?")),
    Wording(PRACTISED[2].of, ("Is the written number the spoken one?", "Do picture and voice match?")),
    Wording(PRACTISED[3].of, ("Please compute the total.", "What do the two make?")),
    Wording(PRACTISED[4].of, ("What do you get with {n} on top?", "Put {n} on top, please.")),
)
"""Other words that only judge."""
ASIDES = ("My sister plays the piano.", "The shop is closed on Sundays.", "This coffee is cold.", "Spring came early.")
"""Sentences beside the point that only judge."""


@dataclass(frozen=True)
class Condition:
    """How held-out prompts are asked.

    Attributes:
        perturb: what is done to words.
        attack: how media are moved.
        having: the kind of part that a prompt must have to be asked.
    """

    perturb: PromptChange | None = None
    attack: Attack | None = None
    having: type | None = None


def conditions(steps: int) -> dict[str, Condition]:
    """What each policy is judged under."""

    def words(*kinds: Any, **more: Any) -> PromptChange:
        return PromptChange(1.0, kinds, distractors=Distractors(ASIDES), **more)

    everything = ("typos", "case", "wordings", "distractors")
    return {
        "clean": Condition(),
        "clean, with a picture": Condition(having=Image),
        "picture attacked": Condition(attack=Attack({"pixel_values": EPS}, steps), having=Image),
        "clean, with a sound": Condition(having=Audio),
        "sound attacked": Condition(attack=Attack({"samples": NOISE}, steps, norm="snr"), having=Audio),
        "typos": Condition(words("typos")),
        "case": Condition(words("case")),
        "other wordings": Condition(words("wordings", wordings=JUDGED)),
        "distractors": Condition(words("distractors")),
        "worst of 8": Condition(words(*everything, wordings=JUDGED, tries=8)),
    }


def hardened(recipe: Recipe) -> Recipe:
    """The recipe with adversarial prompts: half of them in other words, half of the media moved by one step."""
    kinds = ("typos", "case", "wordings", "distractors")
    rollout = replace(
        recipe.align.rollout,
        perturb=PromptChange(0.5, kinds, wordings=PRACTISED),
        attack=Attack({"pixel_values": EPS, "samples": NOISE}, norm={"samples": "snr"}, share=0.5),
    )
    return replace(recipe, align=replace(recipe.align, rollout=rollout))


class Told(Progress):
    """Says which stage runs."""

    def stage(self, name: str, state: str) -> None:
        print(f"demo: {name} {state}", flush=True)


def demo_run(folder: Path, overrides: Sequence[str], threads: int) -> Run:
    """The demo, run or gone on with in a folder, up to its aligned policy."""
    said = [f"threads={threads}", "align.human_only=false", "evaluation.explain=0", *overrides]
    recipe = read_recipe(recipe_file("demo"), said)
    run = Run(folder, recipe, make_world, Told())
    with run.locked():
        run.open(resume=True)
        run.execute([stage for stage in stages(recipe) if stage.verb in {"sft", "collect", "reward", "align"}])
    return run


def taught_otherwise(run: Run, work: Path) -> Model:
    """The policy of the same reinforcement with adversarial prompts; gone on with where it was stopped."""
    recipe = hardened(run.recipe)
    at = replace(workplace(run, "rounds/1/aligned", ""), folder=work, log=work / "metrics.jsonl")
    policy = fine_tune_with_rl(
        load_model(run.folder / "sft"),
        load_reward_model(run.folder / "rounds/1/reward"),
        run.world.prompts,
        algorithm=recipe.made_algorithm(),  # type: ignore[arg-type]
        config=recipe.align,
        reference=load_model(run.folder / "sft"),
        at=at,
    )
    policy.save(work / "aligned")
    return policy


def answers(model: Model, prompts: Sequence[Prompt], how: Condition, run: Run) -> list[Completion]:
    """What a policy answers to prompts that are asked so."""
    encoded = EncodedPrompts(model.processor, run.blobs)
    greedy = Decoding(run.recipe.evaluation.decoding.max_tokens, temperature=0.0)
    if how.perturb is None and how.attack is None:
        return sample_completions(model, prompts, encoded, Sampling("policy", 1, greedy, 0))
    adversary = Adversary(model, encoded, how.perturb, how.attack, greedy.max_tokens, derive(run.recipe.seed, "judge"))
    out: list[Completion] = []
    for start in range(0, len(prompts), 32):
        part = list(prompts[start : start + 32])
        done = adversary.against(part, start)
        read = Given(model.processor, adversary.encodings(part, done, start))
        sampled = LocalSampler(model, read).sample(part, torch.arange(len(part)), greedy, 0)
        out += [
            Completion(f"{start + n}", prompt.id, model.processor.decode(ids), "policy", bool(ended))
            for n, (prompt, ids, ended) in enumerate(zip(part, sampled.ids, sampled.finished, strict=True))
        ]
    return out


Judged = dict[str, np.ndarray]
"""Reward, gold reward and exactness of each prompt's answer."""


def judged(made: Sequence[Completion], prompts: Sequence[Prompt], reward: RewardModel, run: Run) -> Judged:
    """What answers are worth, by the prompts as they were."""
    encoded = EncodedPrompts(reward.model.processor, run.blobs)
    gold: Callable[[Prompt, Completion], float] | None = run.world.gold
    assert gold is not None, "the demo has a hidden preference"
    pairs = list(zip(prompts, made, strict=True))
    scores = reward.score_completions(made, {prompt.id: prompt for prompt in prompts}, encoded)
    return {
        "reward": reward.combine(scores).double().numpy(),
        "gold": np.array([gold(prompt, answer) for prompt, answer in pairs]),
        "exact": np.array([right_answer(prompt, answer) for prompt, answer in pairs]),
    }


def figures(found: Judged) -> dict[str, Any]:
    """Means with 95 % intervals over prompts."""
    share = exactness(found["exact"])
    out: dict[str, Any] = {"prompts": share.count}
    for name in ("reward", "gold"):
        out[name] = [round(x, 3) for x in (float(found[name].mean()), *bootstrap_interval(found[name]))]
    return out | {"exactness": [round(share.rate, 3), round(share.low, 3), round(share.high, 3)]}


def changes(before: Judged, after: Judged) -> dict[str, list[float]]:
    """What adversarial prompts changed, prompt by prompt, with 95 % intervals."""
    apart = {name: after[name] - before[name] for name in before}
    return {n: [round(x, 3) for x in (float(d.mean()), *bootstrap_interval(d))] for n, d in apart.items()}


def policy_table(run: Run, work: Path, steps: int) -> dict[str, Any]:
    """The whole part: by condition, the policies side by side."""
    models: Mapping[str, Callable[[], Model]] = {
        "supervised": lambda: load_model(run.folder / "sft"),
        "before": lambda: load_model(run.folder / "rounds/1/aligned"),
        "after": lambda: taught_otherwise(run, work / "hardened"),
    }
    reward = load_reward_model(run.folder / "rounds/1/reward").eval()
    found: dict[str, dict[str, Judged]] = {}
    for when, load in models.items():
        model = load().eval()
        model.temperature = 1.0
        for name, how in conditions(steps).items():
            prompts = [p for p in run.world.test if how.having is None or _has(p, how.having)]
            if prompts:
                found.setdefault(name, {})[when] = judged(answers(model, prompts, how, run), prompts, reward, run)
                print(f"{when:12s} {name:24s} {json.dumps(figures(found[name][when]))}", flush=True)
    return {
        name: {when: figures(each) for when, each in by.items()}
        | {"after - before": changes(by["before"], by["after"])}
        for name, by in found.items()
    }


def _has(prompt: Prompt, kind: type) -> bool:
    return any(isinstance(part, kind) for message in prompt.messages for part in message.parts)
