"""Data sets of people's choices, by harken's own mappings and without their media; and the plain ways to one label."""

import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from harken.feedback.exchange.load import STORE, import_data
from harken.feedback.exchange.mapping import find_mapping
from harken.feedback.store import FeedbackStore
from harken.reward.consensus import RIGHT, Choices
from harken.reward.objective import weighed_log_likelihood
from harken.reward.wording import Wording
from harken.types import Answer, Completion, Prompt

SAME = 1e-9
"""Chances this near are a tie."""


@dataclass(frozen=True)
class Imported:
    """What lies in a folder: prompts by id, completions by id, answers; and how many records were left out."""

    prompts: dict[str, Prompt]
    completions: dict[str, Completion]
    answers: list[Answer]
    skipped: int


def imported(name: str, folder: Path) -> Imported:
    """A folder read by the mapping of this name. Media are not read: nothing here looks at them."""
    mapping = find_mapping(name)
    words = tuple(part for part in mapping.prompt.parts if part.text is not None)
    mapping = replace(mapping, prompt=replace(mapping.prompt, parts=words))
    with tempfile.TemporaryDirectory() as scratch:
        done = import_data(mapping, folder, Path(scratch), skip_bad=True)
        with FeedbackStore(Path(scratch) / STORE) as store:
            prompts = {prompt.id: prompt for prompt in store.prompts()}
            completions = {completion.id: completion for completion in store.completions()}
            return Imported(prompts, completions, store.answers(), len(done.skipped))


def some(choices: Choices, kept: NDArray[np.bool_] | Tensor) -> Choices:
    """Some of the choices; items, annotators and labels keep their numbers."""
    mask = torch.as_tensor(kept)
    return replace(
        choices,
        item=choices.item[mask],
        annotator=choices.annotator[mask],
        label=choices.label[mask],
        count=choices.count[mask],
    )


def drawn(choices: Choices, each: int, seed: int) -> NDArray[np.bool_]:
    """Which choices are kept: `each` of every item, drawn; all where there are not so many."""
    order = np.random.default_rng(seed).permutation(len(choices.item))
    item = choices.item.numpy()[order]
    grouped = np.argsort(item, kind="stable")
    begins = np.searchsorted(item[grouped], item[grouped])
    kept = np.zeros(len(item), dtype=bool)
    kept[order[grouped]] = np.arange(len(item)) - begins < each
    return kept


def votes(choices: Choices) -> Float[Tensor, "I L"]:
    """How many chose each label of each item."""
    place = choices.item * len(choices.labels) + choices.label
    flat = torch.zeros(len(choices.items) * len(choices.labels), dtype=torch.float64)
    return flat.index_add(0, place, choices.count).reshape(len(choices.items), -1)


def right(chances: Float[Tensor, "I L"], truth: Sequence[int]) -> NDArray[np.float64]:
    """Whether the likeliest label of each item is the true one; of n equally likely ones each counts 1 / n."""
    top = chances >= chances.max(1, keepdim=True).values - SAME
    return (top[torch.arange(len(top)), torch.as_tensor(truth)] / top.sum(1)).numpy()


def truth_of(choices: Choices, found: Mapping[object, str]) -> list[int]:
    """The number of each item's true label."""
    return [choices.labels.index(found[item]) for item in choices.items]


def free_scores(choices: Choices) -> tuple[Float[Tensor, "I L"], Float[Tensor, " A"]]:
    """harken's likelihood of choices with a free score for every item and label, and reliabilities; both most likely.

    As a reward on one-hot features would be. A priori, two scores of an item differ by as much as the right label leads
    the others by in `consensus`.
    """
    items, labels = len(choices.items), len(choices.labels)
    lead = math.log(RIGHT / (1 - RIGHT) * (labels - 1))
    said = {
        "ranking.items": choices.item[:, None] * labels + torch.arange(labels),
        "ranking.tier": (torch.arange(labels) != choices.label[:, None]).long(),
        "ranking.tiers": torch.ones(len(choices.item), dtype=torch.long),
        "ranking.annotator": choices.annotator,
        "ranking.weight": choices.count[:, None],
    }
    words = Wording(choices.annotators, ()).double()
    leaves = [torch.zeros(items * labels, 1, dtype=torch.float64, requires_grad=True), words.log_reliability]

    def put(flat: np.ndarray) -> None:
        with torch.no_grad():
            leaves[0].copy_(torch.from_numpy(flat[: items * labels, None]))
            leaves[1].copy_(torch.from_numpy(flat[items * labels :]))

    def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
        put(flat)
        total, _, _ = weighed_log_likelihood(leaves[0], said, words, {})
        loss = words.prior() + (leaves[0] / lead).square().sum() - total.sum()
        slopes = torch.autograd.grad(loss, leaves)
        return float(loss.detach()), torch.cat([slope.reshape(-1) for slope in slopes]).numpy()

    begun = np.zeros(items * labels + len(choices.annotators))
    put(minimize(value, begun, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x)
    who = torch.arange(len(choices.annotators))
    return leaves[0].detach().reshape(items, labels), words.reliability(who)[:, 0].detach()
