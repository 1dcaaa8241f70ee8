"""Pairs of completions of which people said that one is better, as batches for preference objectives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import torch
from torch import Tensor

from harken.data.batch import Batch
from harken.data.encoded import EncodedPrompts
from harken.feedback.kinds import comparison, edit, ranking
from harken.models.model import Model
from harken.reward.likelihoods.edit import edit_weight
from harken.train.reference import FixedRows, ReferenceLogprobs, Row
from harken.train.sources import Stateless, parts, shuffled, take
from harken.types import Answer, Comparison, Completion, Edit, Prompt, Ranking, Rating


@dataclass(frozen=True)
class Preference:
    """Of two completions of one prompt, one is better.

    Attributes:
        chosen: the better one.
        rejected: the worse one.
        weight: how much the pair counts in the loss.
    """

    chosen: Completion
    rejected: Completion
    weight: float = 1.0


@dataclass(frozen=True)
class PreferencesConfig:
    """How much training on preferences there is.

    Attributes:
        steps: optimizer steps.
        batch: pairs a step; judged completions a step, for objectives that learn from those.
        accumulate: parts in which a step goes through the model, to save memory.
    """

    steps: int = 200
    batch: int = 32
    accumulate: int = 1

    def __post_init__(self) -> None:
        if min(self.batch, self.accumulate) < 1 or self.steps < 0:
            raise ValueError(f"a step has at least 1 pair and 1 part: {self}")


def pairs_of(answers: Sequence[Answer], completions: Mapping[str, Completion]) -> list[Preference]:
    """What answers of every kind say of pairs.

    A comparison is one pair; a tie, or both bad, is none. A ranking of n completions is every two of different tiers;
    n in order are n - 1 choices, so each pair weighs 2 / n. Ratings by one annotator, of one prompt and criterion, on
    one scale are pairs where they differ, and weigh the difference as a share of the scale. An edit is the revision
    over the original, and weighs the share that was changed. What several people said weighs as often. Two completions
    that read the same, or answer different prompts, are no pair.

    Args:
        answers: what was said; replaced answers left out.
        completions: what it was said of, by id.
    """
    out: list[Preference] = []
    ratings: dict[tuple[object, ...], list[tuple[Rating, float]]] = {}
    for answer in answers:
        n = float(answer.count)
        match answer.feedback:
            case Comparison(other_prompt_id=None) as said:
                out += [Preference(completions[a], completions[b], n) for a, b in comparison.pairs(said)]
            case Ranking() as said:
                count = sum(len(tier) for tier in said.tiers) + len(said.rest)
                out += [Preference(completions[a], completions[b], 2 * n / count) for a, b in ranking.pairs(said)]
            case Edit() as said:
                old = completions[said.completion]
                changed = n * edit_weight(old.text, said.revision)
                out.append(Preference(edit.revision(said, answer.annotator), old, changed))
            case Rating() as said:
                alike = (answer.annotator, said.prompt_id, said.criterion, said.levels)
                ratings.setdefault(alike, []).append((said, n))
    for graded in ratings.values():
        for (one, n), (other, m) in combinations(graded, 2):
            better, worse = (one, other) if one.score > other.score else (other, one)
            weight = min(n, m) * (better.score - worse.score) / (one.levels - 1)
            out.append(Preference(completions[better.completion], completions[worse.completion], weight))
    return [p for p in out if p.weight > 0 and _reading(p.chosen) != _reading(p.rejected)]


def _reading(completion: Completion) -> tuple[str, bool]:
    return completion.text, completion.finished


def first_epoch(count: int, config: PreferencesConfig, seed: int, name: str) -> list[Sequence[int]]:
    """The parts of the steps of the first epoch: each item once, with those that it first goes through a model with."""
    order, size = shuffled(count, seed, name, 0), min(config.batch, count)
    steps = [order[start : start + size] for start in range(0, count, size)]
    return [part for step in steps for part in parts(step, config.accumulate)]


@dataclass
class Preferences(Stateless):
    """Pairs, `config.batch` a step; a prompt or a completion of several pairs is computed once a part.

    Labels: `chosen`, `rejected` and `pair_weight` (M,), and with a reference `reference_logprobs` (N, T).

    Attributes:
        pairs: what is preferred.
        prompts: by id.
        encoded: prompts as the policy reads them.
        config: steps and batch.
        seed: of the order.
        reference: what the policy is measured against; None for objectives that need none.
    """

    pairs: Sequence[Preference]
    prompts: Mapping[str, Prompt]
    encoded: EncodedPrompts
    config: PreferencesConfig
    seed: int
    reference: Model | None = None
    _logprobs: ReferenceLogprobs | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.pairs:
            raise ValueError(
                "there is no pair to learn from: comparisons, rankings, ratings of one prompt's completions, or edits "
                "say that one completion is better than another; collect some first"
            )
        self._rows = FixedRows(self.prompts, [c for p in self.pairs for c in (p.chosen, p.rejected)], self.encoded)
        if self.reference is not None:
            groups = first_epoch(len(self.pairs), self.config, self.seed, "preferences")
            self._logprobs = ReferenceLogprobs(self.reference, self._rows, [self._rows_of(part) for part in groups])

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.config.steps

    def batches(self, step: int) -> list[Batch]:
        """One step's pairs, in `config.accumulate` parts."""
        size = min(self.config.batch, len(self.pairs))
        chosen = take(len(self.pairs), size, step, self.seed, "preferences")
        return [self.batch_of(part) for part in parts(chosen, self.config.accumulate)]

    def __len__(self) -> int:
        """How many pairs there are."""
        return len(self.pairs)

    def _rows_of(self, part: Sequence[int]) -> list[Row]:
        """The part's completions, each once, those of one prompt side by side."""
        pairs = [self.pairs[i] for i in part]
        rows = dict.fromkeys((c.prompt_id, c.id) for pair in pairs for c in (pair.chosen, pair.rejected))
        return sorted(rows)

    def batch_of(self, part: Sequence[int]) -> Batch:
        """Some pairs, by number."""
        rows = self._rows_of(part)
        place = {completion: n for n, (_, completion) in enumerate(rows)}
        pairs = [self.pairs[i] for i in part]
        labels: dict[str, Tensor] = {
            "chosen": torch.tensor([place[pair.chosen.id] for pair in pairs]),
            "rejected": torch.tensor([place[pair.rejected.id] for pair in pairs]),
            "pair_weight": torch.tensor([pair.weight for pair in pairs]),
        }
        batch = self._rows.batch(rows, labels)
        if self._logprobs is not None:
            batch.labels["reference_logprobs"] = self._logprobs(rows, batch.completions.ids.shape[1])
        return batch
