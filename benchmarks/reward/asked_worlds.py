"""What `benchmarks.reward.active` asks about: recordings that experts graded, and the demo's completions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.reward.asked import Task
from benchmarks.reward.recordings import read_recordings
from harken.data.batch import collate
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.demo.annotators import annotators
from harken.demo.gold import gold
from harken.demo.recipe import recipe_file
from harken.demo.world import make_world
from harken.feedback.annotators.replay import ReplayConfig, replay_annotators
from harken.models.load import load_model
from harken.models.model import Model, last_states
from harken.pipeline.recipe import read_recipe
from harken.reward.described import Describer
from harken.train.answering import Sampling, sample_completions
from harken.types import Completion, Prompt

CLEAR = 0.5
"""Pairs whose mean grades, or whose gold, differ by more are counted."""
POOL = 5_000
UNSEEN = 3
"""One in so many speakers, or prompts, is held out."""
Maker = Callable[[int], Task]


@dataclass(frozen=True)
class World:
    """A task for every seed.

    Attributes:
        make: the split, the pool and the annotators' noise of a seed.
        told: what a reader must know.
    """

    make: Maker
    told: dict[str, object]


def speech(folder: Path, scratch: Path, criterion: str = "fluency") -> World:
    """Pairs of recordings; experts answer with their own recorded grades, equal grades being ties."""
    blobs = Blobs(scratch)
    data = read_recordings(folder, blobs)
    prompts, completions = list(data.prompts.values()), list(data.completions.values())
    features = Describer(blobs, words=False)(prompts, completions).numpy()
    speakers, truth = np.array(data.speakers), data.grades[criterion].mean(1)
    experts = replay_annotators(
        [answer for answer in data.answers if answer.feedback.criterion == criterion], ReplayConfig(criterion)
    )

    def make(seed: int) -> Task:
        chance = np.random.default_rng(seed)
        unseen = np.isin(speakers, _third(np.unique(speakers), chance))
        learnt = np.flatnonzero(~unseen)
        drawn = learnt[chance.integers(0, len(learnt), (3 * POOL, 2))]
        pairs = np.unique(np.sort(drawn[drawn[:, 0] != drawn[:, 1]], axis=1), axis=0)
        pairs = chance.permutation(pairs)[:POOL]
        rows = np.flatnonzero(unseen)
        judged = np.array([(a, b) for i, a in enumerate(rows) for b in rows[:i]])
        accuracy = in_order(judged, truth)
        return Task(data.prompts, completions, features, data.speakers, pairs, experts, accuracy)

    told = {"recordings": len(prompts), "speakers": len(set(data.speakers)), "criterion": criterion}
    return World(make, told | {"answers": "recorded grades of five experts, replayed"})


def demo(run: Path) -> World:
    """Pairs of completions of one prompt by the demo's supervised model; its simulated annotators answer.

    Raises:
        SystemExit: if the model was not trained.
    """
    if not (run / "sft" / "model.safetensors").exists():
        raise SystemExit(f"{run} holds no supervised model; harken sft recipes/demo.yaml --out {run} trains it")
    recipe, blobs = read_recipe(recipe_file("demo")), Blobs(run / "blobs")
    world, model = make_world(recipe, blobs), load_model(run / "sft")
    how = Sampling("sft", recipe.completions.each, recipe.completions.decoding, recipe.seed)
    completions = sample_completions(model, world.prompts, EncodedPrompts(model.processor, blobs), how)
    prompts = {prompt.id: prompt for prompt in world.prompts}
    features = trunk_features(model, prompts, completions, blobs)
    truth = np.array([gold(prompts[c.prompt_id], c) for c in completions])
    of_prompt: dict[str, list[int]] = {}
    for row, completion in enumerate(completions):
        of_prompt.setdefault(completion.prompt_id, []).append(row)
    groups = [completion.prompt_id for completion in completions]
    within = {name: _apart(rows, completions) for name, rows in of_prompt.items()}

    def make(seed: int) -> Task:
        chance = np.random.default_rng(seed)
        unseen = set(_third(np.array(list(prompts)), chance).tolist())
        judged = np.array([pair for name, pairs in within.items() if name in unseen for pair in pairs])
        asked = np.array([pair for name, pairs in within.items() if name not in unseen for pair in pairs])
        pairs = chance.permutation(asked)[:POOL]
        return Task(prompts, completions, features, groups, pairs, annotators(seed), in_order(judged, truth))

    told = {"prompts": len(prompts), "completions": len(completions), "width": model.width}
    return World(make, told | {"answers": "simulated annotators, no people"})


def in_order(pairs: np.ndarray, truth: np.ndarray) -> Callable[[np.ndarray], float]:
    """Of scores: the share of these pairs that are in the right order, of those whose truth differs clearly."""
    gap = truth[pairs[:, 0]] - truth[pairs[:, 1]]
    clear = np.abs(gap) > CLEAR
    first, second, gap = pairs[clear, 0], pairs[clear, 1], gap[clear]
    return lambda scores: float(np.mean((scores[first] - scores[second]) * gap > 0))


@torch.no_grad()
def trunk_features(
    model: Model, prompts: dict[str, Prompt], completions: Sequence[Completion], blobs: Blobs, batch: int = 64
) -> np.ndarray:
    """The trunk's state after each completion, (N, D)."""
    encoded, out = EncodedPrompts(model.processor, blobs), []
    for start in range(0, len(completions), batch):
        part = completions[start : start + batch]
        names = list(dict.fromkeys(c.prompt_id for c in part))
        rows = [names.index(c.prompt_id) for c in part]
        ids = [model.processor.encode_completion(c) for c in part]
        made = collate(encoded([prompts[name] for name in names]), ids, rows, model.processor.pad_id)
        out.append(last_states(model.states(made), made).float())
    return torch.cat(out).double().numpy()


def _third(names: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return chance.permutation(names)[: len(names) // UNSEEN]


def _apart(rows: Sequence[int], completions: Sequence[Completion]) -> list[tuple[int, int]]:
    """Pairs of different texts."""
    first = {completions[row].text: row for row in reversed(rows)}
    kept = sorted(first.values())
    return [(a, b) for i, b in enumerate(kept) for a in kept[:i]]
