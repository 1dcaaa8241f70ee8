"""People's answers as batches: each step some statements of all kinds, their completions computed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from harken.data.batch import Batch, collate, pad_right
from harken.data.encoded import EncodedPrompts
from harken.data.seeds import derive
from harken.feedback.kinds.edit import revision
from harken.reward.likelihoods.edit import edit_weight
from harken.reward.model import Wording
from harken.train.sources import Stateless, parts, take
from harken.types import Answer, Comparison, Completion, Edit, Prompt, Ranking, Rating

F = TypeVar("F", Comparison, Ranking, Rating, Edit)
CHOICES = {"a": 0, "b": 1, "tie": 2, "both_bad": 3}


@runtime_checkable
class StatementsConfig(Protocol):
    """What the source reads of the reward model's settings."""

    @property
    def steps(self) -> int: ...  # noqa: D102

    @property
    def batch(self) -> int: ...  # noqa: D102

    @property
    def accumulate(self) -> int: ...  # noqa: D102


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
        """One step's statements of all kinds."""
        size = min(self.config.batch, len(self._statements))
        chosen = take(len(self._statements), size, step, self.seed, "statements")
        return [self.batch_of(part) for part in parts(chosen, self.config.accumulate)]

    def batch_of(self, numbers: Sequence[int]) -> Batch:
        """Some statements, by number; the completions that they speak of are computed once."""
        chosen = [self._statements[i] for i in numbers]
        chosen.sort(key=lambda statement: statement.answer.feedback.prompt_id)
        names = list(dict.fromkeys(name for statement in chosen for name in statement.completions))
        asked = list(dict.fromkeys(self.completions[name].prompt_id for name in names))
        row = {name: n for n, name in enumerate(names)}
        place = {name: p for p, name in enumerate(asked)}
        return collate(
            self.encoded([self.prompts[name] for name in asked]),
            [self._ids[name] for name in names],
            [place[self.completions[name].prompt_id] for name in names],
            self.encoded.processor.pad_id,
            self._labels(chosen, row),
        )

    def _labels(self, chosen: Sequence[_Statement], row: Mapping[str, int]) -> dict[str, Tensor]:
        labels: dict[str, Tensor] = {}

        def of(kind: type[F]) -> list[tuple[F, _Statement]]:
            found = [(s.answer.feedback, s) for s in chosen if isinstance(s.answer.feedback, kind)]
            if found:
                labels[f"{kind.__name__.lower()}.weight"] = torch.stack([statement.weight for _, statement in found])
            return found

        def rows(found: Sequence[tuple[object, _Statement]], place: int) -> Tensor:
            return torch.tensor([row[statement.completions[place]] for _, statement in found])

        if compared := of(Comparison):
            labels["comparison.a"], labels["comparison.b"] = rows(compared, 0), rows(compared, 1)
            labels["comparison.choice"] = torch.tensor([CHOICES[said.choice] for said, _ in compared])
        if rated := of(Rating):
            labels["rating.item"] = rows(rated, 0)
            labels["rating.grade"] = torch.tensor([said.score - 1 for said, _ in rated])
            labels["rating.annotator"] = torch.tensor([self._annotator[s.answer.annotator] for _, s in rated])
        if edited := of(Edit):
            labels["edit.revision"], labels["edit.original"] = rows(edited, 0), rows(edited, 1)
            changed = [edit_weight(self.completions[said.completion].text, said.revision) for said, _ in edited]
            labels["edit.weight"] = labels["edit.weight"] * torch.tensor(changed)[:, None]
        if ranked := of(Ranking):
            labels["ranking.items"] = pad_right([torch.tensor([row[n] for n in s.completions]) for _, s in ranked], -1)
            labels["ranking.tier"] = pad_right([torch.tensor(_tiers(said)) for said, _ in ranked], -1)
            labels["ranking.tiers"] = torch.tensor([len(said.tiers) for said, _ in ranked])
        return labels


def _tiers(said: Ranking) -> list[int]:
    """The tier of each completion of a ranking; those that were not ranked come below the last."""
    return [t for t, tier in enumerate(said.tiers) for _ in tier] + [len(said.tiers)] * len(said.rest)
