"""harken's side of a row: its public pieces, put together as a recipe does.

fp32; `train.loop.fit` with AdamW (fused) for all weights (no Muon), clipped at 1, constant rate, and the loop's own
log; rollouts, demonstrations and comparisons through the sources of `train/`. `min_tokens` keeps the end of turn away
until all tokens are there. No checkpoint falls within the steps.

A step goes from the end of the step before it to `Fit.on_step`: encoding of the prompts, sampling, rewards and the log
are in it. DPO's reference is asked in the step, as no prompt comes twice. With LoRA the tower is frozen and its outputs
are computed once before the first step, as in every run of harken; `harken_features_s` says how long that took for the
prompts of one step.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.trl.prompts import Item, items
from benchmarks.trl.rows import SAMPLED, Row
from benchmarks.trl.settings import BETA2, DPO_BETA, LORA_ALPHA, LORA_RANK, RATE, RLOO_BETA
from benchmarks.trl.turns import Turns, fingerprint
from harken.algorithms.dpo import DPO
from harken.algorithms.grpo import GRPO
from harken.algorithms.kl import AdaptiveKL
from harken.algorithms.objective import Objective, RLAlgorithm
from harken.algorithms.ppo import PPO
from harken.algorithms.rloo import RLOO
from harken.algorithms.sft import SFT
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.media.image import encode_png
from harken.models.encoders import freeze_encoders
from harken.models.features import Features
from harken.models.generate import Decoding
from harken.models.load import load_model
from harken.models.lora import AdapterConfig, add_adapter, train_adapter
from harken.models.model import Model
from harken.reward.mix import Mix
from harken.reward.rules import Repetition, RuleSettings
from harken.train.loop import Fit, Source, fit
from harken.train.optimizers import OptimizerConfig
from harken.train.preferences import Preference, Preferences, PreferencesConfig
from harken.train.rollout import RolloutConfig, Rollouts
from harken.train.sampler import LocalSampler
from harken.train.scorer import Scorer
from harken.train.sources import Demonstrations, DemonstrationsConfig
from harken.types import Completion, Image, Message, Prompt, Text

REWARD = Mix(human_weight=0.0, environment={"repetition": 1.0}, rules=RuleSettings(repetition=Repetition(n=1)))
"""The share of different words in a completion, less 1. A word is a token here."""


@dataclass(frozen=True)
class Given:
    """A model and what it is asked."""

    model: Model
    encoded: EncodedPrompts
    prompts: list[Prompt]
    data: list[Item]
    steps: int


def as_prompt(one: Item, blobs: Blobs) -> Prompt:
    """An item as harken's record."""
    picture = Image(blobs.put(encode_png(one.picture), "image"))
    return Prompt(one.name, (Message("user", (picture, Text(one.text))),), references=(one.chosen,))


def token_rows(row: Row, given: Given) -> list[list[int]]:
    """The ids of each row as the model is fed them: prompts, with their completions where these are given."""
    out = []
    for prompt, one in zip(given.prompts, given.data, strict=True):
        asked = given.encoded.processor.encode(prompt, given.encoded.blobs).ids.tolist()
        answers = [] if row.method in SAMPLED else [one.chosen]
        answers += [one.rejected] if row.method.startswith("dpo") else []
        for text in answers:
            ids = given.encoded.processor.encode_completion(Completion("", "", text, "")).tolist()
            out.append(asked + ids)
        out += [] if answers else [asked]
    return out


def algorithm(row: Row) -> RLAlgorithm:
    """The method of a row, one update a rollout."""
    held = AdaptiveKL(initial=RLOO_BETA, adaptive=False)
    free = AdaptiveKL(initial=0.0, adaptive=False)
    match row.method:
        case "rloo":
            return RLOO(group=row.group, kl=held)
        case "ppo":
            return PPO(group=row.group, epochs=1, kl=held)
        case _:
            return GRPO(group=row.group, kl=free)


def decoding(row: Row) -> Decoding:
    """Plain sampling of exactly so many tokens."""
    return Decoding(max_tokens=row.new_tokens, min_tokens=row.new_tokens)


def rollouts(row: Row, given: Given) -> tuple[Source, Objective]:
    """A method whose completions the policy writes."""
    method = algorithm(row)
    model = given.model
    reference = copy.deepcopy(model).requires_grad_(False) if method.kl.initial > 0 else model
    if row.method == "ppo":
        model.add_heads("value", 1, 0)
    config = RolloutConfig(iterations=given.steps, prompts=row.prompts, minibatches=1, decoding=decoding(row))
    return Rollouts(
        model, reference, Scorer(REWARD, None, None), given.prompts, given.encoded, method, config, seed=0
    ), method


def demonstrations(row: Row, given: Given) -> tuple[Source, Objective]:
    """Supervised training."""
    pairs = [(prompt, one.chosen) for prompt, one in zip(given.prompts, given.data, strict=True)]
    return Demonstrations(pairs, given.encoded, DemonstrationsConfig(given.steps, row.prompts), seed=0), SFT()


def with_adapter(given: Given) -> tuple[Model, Model]:
    """The policy through an adapter on the decoder, its reference without, and the frozen tower's outputs kept."""
    trunk = given.model.trunk
    freeze_encoders(trunk)
    add_adapter(trunk, "policy", AdapterConfig(LORA_RANK, float(LORA_ALPHA)), seed=0)
    train_adapter(trunk, "policy")
    policy, reference = given.model.beside("policy"), given.model.beside(None)
    features = Features(trunk, given.encoded.blobs.folder.parent / "features")
    features.fill(trunk, given.encoded(given.prompts), given.encoded.processor.pad_id)
    policy.features = reference.features = features
    return policy, reference


def preferences(row: Row, given: Given) -> tuple[Model, Source, Objective]:
    """Pairs, and a reference."""
    if row.method == "dpo_lora":
        policy, reference = with_adapter(given)
    else:
        policy, reference = given.model, copy.deepcopy(given.model).requires_grad_(False)
    pairs = [
        Preference(
            Completion(f"{one.name} chosen", one.name, one.chosen, "given"),
            Completion(f"{one.name} rejected", one.name, one.rejected, "given"),
        )
        for one in given.data
    ]
    asked = {prompt.id: prompt for prompt in given.prompts}
    config = PreferencesConfig(given.steps, row.prompts)
    return policy, Preferences(pairs, asked, given.encoded, config, 0, reference), DPO(beta=DPO_BETA)


def source_of(row: Row, given: Given) -> tuple[Model, Source, Objective]:
    """What a row trains, on what, by which loss."""
    if row.method in SAMPLED:
        return given.model, *rollouts(row, given)
    if row.method == "sft":
        return given.model, *demonstrations(row, given)
    return preferences(row, given)


def roll_out(row: Row, given: Given, turns: Turns, tokens: str) -> None:
    """Sampling alone: prompts are encoded before."""
    sampler = LocalSampler(given.model, given.encoded)
    rows = torch.arange(row.prompts).repeat_interleave(row.group)
    given.encoded(given.prompts)
    turns.ready(given.steps, tokens)
    for step in range(given.steps):
        asked = given.prompts[step * row.prompts : (step + 1) * row.prompts]
        sampled = sampler.sample(asked, rows, decoding(row), step)
        check_lengths(row, {len(ids) for ids in sampled.ids})
        turns.step_done()


def check_lengths(row: Row, lengths: set[int] | set[float]) -> None:
    """No completion is short.

    Raises:
        ValueError: if one is.
    """
    if lengths != {row.new_tokens}:
        raise ValueError(f"completions should have {row.new_tokens} tokens, and have {sorted(lengths)}")


def train(row: Row, given: Given, place: Path, turns: Turns, tokens: str) -> None:
    """The steps of a method through the loop."""
    begun = time.perf_counter()
    model, source, objective = source_of(row, given)
    more = {"features_s": (time.perf_counter() - begun) / given.steps} if row.method == "dpo_lora" else {}

    def on_step(done: int, total: int, metrics: Mapping[str, float]) -> None:
        if row.method in SAMPLED:
            check_lengths(row, {metrics["length"]})
        turns.step_done()

    optimizer = OptimizerConfig(rate=RATE, muon_rate=0.0, beta2=BETA2, warmup=0, decay="none", max_norm=1.0)
    how = Fit(place, "benchmark", "", 0, optimizer, place / "metrics.jsonl", checkpoint_every=10**9, on_step=on_step)
    turns.ready(given.steps, tokens, **more)
    fit(model, source, objective, how)


def run(row: Row, folder: Path, steps: int, turns: Turns) -> None:
    """Do a row's steps, each when its turn has come."""
    model = load_model(folder)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        blobs = Blobs(place / "blobs")
        data = items(row, steps)
        prompts = [as_prompt(one, blobs) for one in data]
        given = Given(model, EncodedPrompts(model.processor, blobs), prompts, data, steps)
        tokens = fingerprint(token_rows(row, given))
        if row.method == "rollout":
            roll_out(row, given, turns, tokens)
        else:
            train(row, given, place, turns, tokens)


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    given = parser.parse_args()
    turns = Turns()
    torch.set_num_threads(given.threads)
    run(Row.from_json(given.row), given.model, given.steps, turns)


if __name__ == "__main__":
    main()
