"""A project's comparisons in the order in which a reward model learns most from their answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sqlalchemy import Connection

from harken.feedback.desk.desk import Item
from harken.feedback.desk.keeping import NewItem, Project
from harken.feedback.desk.planning import fresh_items
from harken.feedback.selection import MOST, Candidates, SelectionConfig, select_pairs

ByScores = Literal["random", "disagreement", "bald"]
"""Policies that need scores alone."""


@dataclass(frozen=True)
class Order:
    """How comparisons are put in order.

    Attributes:
        policy: `bald` and `disagreement` ask first where the heads of the reward model differ; `random` by chance.
        random_share: share of the scored comparisons that is left to chance, spread evenly.
        seed: of all choices.
    """

    policy: ByScores = "bald"
    random_share: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.random_share <= 1:
            raise ValueError(f"random_share is {self.random_share}: a share is from 0 to 1")


def places(among: Sequence[Item], scores: Mapping[str, Sequence[float]], how: Order) -> dict[int, float]:
    """New places of comparisons; the same for the same arguments, whatever their order.

    Comparisons with a completion that has no score stand spread evenly among the others, as the random ones do.

    Args:
        among: what still wants answers; only comparisons are put in order.
        scores: of completions by each head, in the unit in which sigmoid(a - b) is what the model believes.
        how: the policy.

    Raises:
        ValueError: if the scores are not as many for each completion, or not finite, or the policy needs more heads.
    """
    asked = sorted((one for one in among if one.form == "comparison" and one.gold is None), key=lambda one: one.id)
    chance = np.random.default_rng(how.seed)
    asked = [asked[n] for n in chance.permutation(len(asked))]
    scored = [item for item in asked if all(name in scores for name in item.completions)]
    left = round(how.random_share * len(scored))
    chosen = _by_policy(scored[left:], scores, how)
    rest = [*scored[:left], *(item for item in asked if not all(name in scores for name in item.completions))]
    rest = [rest[n] for n in chance.permutation(len(rest))]
    at = [((n + 0.5) / len(several), item.id) for several in (chosen, rest) for n, item in enumerate(several)]
    return {item: float(place) for place, (_, item) in enumerate(sorted(at))}


def more_items(
    connection: Connection, project: Project, scores: Mapping[str, Sequence[float]], how: Order, count: int
) -> list[NewItem]:
    """Comparisons that a project does not have yet, in the order of `places`.

    Args:
        connection: of the store.
        project: whose policies are asked about.
        scores: as for `places`.
        how: the policy.
        count: how many at most.

    Raises:
        ValueError: as `places`, or if there are no completions to ask about.
    """
    new = fresh_items(connection, project, "comparison", how.seed)
    asked = [Item(n, project.id, "comparison", one.prompt_id, one.completions, one.place) for n, one in enumerate(new)]
    found = places(asked, scores, how)
    return [new[n] for n in sorted(found, key=lambda n: found[n])[:count]]


def _by_policy(among: Sequence[Item], scores: Mapping[str, Sequence[float]], how: Order) -> list[Item]:
    names = sorted({name for item in among for name in item.completions})
    if len({len(scores[name]) for name in names}) > 1:
        raise ValueError("scores: each completion needs as many, one of each head of the reward model")
    if not names:
        return []
    row = {name: n for n, name in enumerate(names)}
    table = np.array([scores[name] for name in names], dtype=np.float64)
    pairs = np.array([[row[name] for name in item.completions] for item in among], dtype=np.int64)
    config, taken = SelectionConfig(how.policy, batch=MOST), list[int]()
    left = np.arange(len(among))
    while len(left):
        found = left[select_pairs(Candidates(pairs[left], table), config, how.seed + len(taken))]
        taken += found.tolist()
        left = np.setdiff1d(left, found)
    return [among[n] for n in taken]
