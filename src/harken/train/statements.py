"""People's answers as batches: each step some statements of all kinds, their completions computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from harken.data.batch import Batch, collate, pad_right
from harken.data.encoded import EncodedPrompts
from harken.data.seeds import derive
from harken.feedback.kinds.edit import revision
from harken.reward.likelihoods.edit import edit_weight
from harken.reward.model import Wording
from harken.train.sources import Stateless, take
from harken.types import Answer, Comparison, Completion, Edit, Prompt, Ranking, Rating

CHOICES = {"a": 0, "b": 1, "tie": 2, "both_bad": 3}


class StatementsConfig(Protocol):
    """What the source reads of the reward model's settings."""

    @property
    def steps(self) -> int: ...  # noqa: D102

    @property
    def batch(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class _Statement:
    """An answer with the completions that it speaks of, and its weight for each member of the ensemble."""

    answer: Answer
    completions: tuple[str, ...]
    weight: Tensor


@dataclass
class Statements(Stateless):
    """Answers of every kind, `config.batch` a step, as labels that `reward.objective` reads.

    Each member of the ensemble sees its own bootstrap: an answer counts Poisson(1) times for it (the online bootstrap),
    with a draw that depends on the answer's key alone, so that new answers leave the old ones' draws as they were.

    Attributes:
        answers: what was said.
        prompts: by id.
        completions: by id.
        encoded: prompts as the reward model reads them.
        wording: knows the annotators.
        config: steps and batch.
        seed: of order and bootstrap.
        members: of the ensemble, K.
    """

    answers: Sequence[Answer]
    prompts: Mapping[str, Prompt]
    completions: dict[str, Completion]
    encoded: EncodedPrompts
    wording: Wording
    config: StatementsConfig
    seed: int
    members: int = 1

    def __post_init__(self) -> None:
        if not self.answers:
            raise ValueError("there is no feedback to learn a reward model from; collect some first")
        self.completions = dict(self.completions)
        self._annotator = {name: row for row, name in enumerate(self.wording.annotators)}
        self._statements = [self._statement(answer) for answer in self.answers]
        self._ids = {
            name: self.encoded.processor.encode_completion(self.completions[name])
            for statement in self._statements
            for name in statement.completions
        }

    @property
    def steps(self) -> int:
        """Optimizer steps."""
        return self.config.steps

    def _statement(self, answer: Answer) -> _Statement:
        match answer.feedback:
            case Comparison(a=a, b=b):
                names: tuple[str, ...] = (a, b)
            case Ranking(tiers=tiers, rest=rest):
                names = (*(name for tier in tiers for name in tier), *rest)
            case Rating(completion=completion):
                names = (completion,)
            case Edit(completion=completion) as edit:
                better = revision(edit, answer.annotator)
                self.completions[better.id] = better
                names = (better.id, completion)
        generator = torch.Generator().manual_seed(derive(self.seed, "bootstrap", answer.key))
        weight = torch.poisson(torch.ones(self.members), generator=generator)
        if self.members == 1:
            weight = torch.ones(1)
        return _Statement(answer, names, weight)

    def batches(self, step: int) -> list[Batch]:
        """One batch of statements of all kinds."""
        size = min(self.config.batch, len(self._statements))
        chosen = [self._statements[i] for i in take(len(self._statements), size, step, self.seed, "statements")]
        chosen.sort(key=lambda statement: statement.answer.feedback.prompt_id)
        names = list(dict.fromkeys(name for statement in chosen for name in statement.completions))
        asked = list(dict.fromkeys(self.completions[name].prompt_id for name in names))
        row = {name: n for n, name in enumerate(names)}
        place = {name: p for p, name in enumerate(asked)}
        return [
            collate(
                self.encoded([self.prompts[name] for name in asked]),
                [self._ids[name] for name in names],
                [place[self.completions[name].prompt_id] for name in names],
                self.encoded.processor.pad_id,
                self._labels(chosen, row),
            )
        ]

    def _labels(self, chosen: Sequence[_Statement], row: Mapping[str, int]) -> dict[str, Tensor]:
        labels: dict[str, Tensor] = {}

        def of(kind: type) -> list[_Statement]:
            found = [statement for statement in chosen if isinstance(statement.answer.feedback, kind)]
            if found:
                labels[f"{kind.__name__.lower()}.weight"] = torch.stack([statement.weight for statement in found])
            return found

        if found := of(Comparison):
            labels["comparison.a"] = torch.tensor([row[s.completions[0]] for s in found])
            labels["comparison.b"] = torch.tensor([row[s.completions[1]] for s in found])
            labels["comparison.choice"] = torch.tensor([CHOICES[s.answer.feedback.choice] for s in found])
        if found := of(Rating):
            labels["rating.item"] = torch.tensor([row[s.completions[0]] for s in found])
            labels["rating.grade"] = torch.tensor([s.answer.feedback.score - 1 for s in found])
            labels["rating.annotator"] = torch.tensor([self._annotator[s.answer.annotator] for s in found])
        if found := of(Edit):
            labels["edit.revision"] = torch.tensor([row[s.completions[0]] for s in found])
            labels["edit.original"] = torch.tensor([row[s.completions[1]] for s in found])
            texts = [[self.completions[name].text for name in s.completions] for s in found]
            changed = torch.tensor([edit_weight(original, better) for better, original in texts])
            labels["edit.weight"] = labels["edit.weight"] * changed[:, None]
        if found := of(Ranking):
            items = [torch.tensor([row[name] for name in s.completions]) for s in found]
            tiers = [
                torch.tensor(
                    [t for t, tier in enumerate(s.answer.feedback.tiers) for _ in tier]
                    + [len(s.answer.feedback.tiers)] * len(s.answer.feedback.rest)
                )
                for s in found
            ]
            labels["ranking.items"] = pad_right(items, -1)
            labels["ranking.tier"] = pad_right(tiers, -1)
            labels["ranking.tiers"] = torch.tensor([len(s.answer.feedback.tiers) for s in found])
        return labels
