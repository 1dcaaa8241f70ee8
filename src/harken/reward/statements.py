"""What people said, as tensors over rows of scores: the labels that `reward.objective` reads."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from harken.data.batch import pad_right
from harken.data.seeds import derive
from harken.feedback.kinds.edit import revision
from harken.reward.likelihoods.edit import changed_spans, edit_weight
from harken.reward.wording import Wording
from harken.types import Answer, Comparison, Completion, Edit, Ranking, Rating

F = TypeVar("F", Comparison, Ranking, Rating, Edit)
CHOICES = {"a": 0, "b": 1, "tie": 2, "both_bad": 3}


@dataclass(frozen=True)
class Statement:
    """An answer with the completions that it speaks of.

    Attributes:
        answer: what was said, by whom.
        completions: their ids, in the order that `labels_of` reads them.
        weight: how often it counts for each of K members of an ensemble, (K,).
    """

    answer: Answer
    completions: tuple[str, ...]
    weight: Float[Tensor, " K"]


def on_criterion(answers: Iterable[Answer], criterion: str) -> list[Answer]:
    """The answers that speak of one criterion; an edit speaks of all.

    Raises:
        ValueError: if there are answers, and all are on others.
    """
    listed = list(answers)
    found = spoken_on(listed, criterion)
    if listed and not found:
        others = sorted({a.feedback.criterion for a in listed if not isinstance(a.feedback, Edit)})
        raise ValueError(
            f"no answer is on the criterion {criterion!r}; there are {', '.join(others)}: name one of them"
        )
    return found


def spoken_on(answers: Iterable[Answer], criterion: str) -> list[Answer]:
    """As `on_criterion`, and it may be none."""
    return [a for a in answers if isinstance(a.feedback, Edit) or a.feedback.criterion == criterion]


def scales_of(answers: Iterable[Answer]) -> list[int]:
    """The numbers of levels of the scales that ratings are on."""
    return sorted({a.feedback.levels for a in answers if isinstance(a.feedback, Rating)})


def statements_of(
    answers: Sequence[Answer], completions: Mapping[str, Completion], members: int, seed: int
) -> tuple[list[Statement], dict[str, Completion]]:
    """Answers with their weights, and the completions with the revisions that edits brought.

    Each member of an ensemble sees its own bootstrap: an answer counts Poisson(n) times for it, n the people who
    said it (the online bootstrap), with a draw that depends on the answer's key alone, so that new answers leave the
    old ones' draws as they were. One member sees each answer n times.

    Args:
        answers: what was said.
        completions: by id.
        members: of the ensemble, K.
        seed: of the bootstrap.
    """
    every, out = dict(completions), []
    for answer in answers:
        match answer.feedback:
            case Comparison(a=a, b=b):
                names: tuple[str, ...] = (a, b)
            case Ranking(tiers=tiers, rest=rest):
                names = (*(name for tier in tiers for name in tier), *rest)
            case Rating(completion=completion):
                names = (completion,)
            case Edit(completion=completion) as edit:
                better = revision(edit, answer.annotator)
                every[better.id] = better
                names = (better.id, completion)
        generator = torch.Generator().manual_seed(derive(seed, "bootstrap", answer.key))
        weight = torch.full((members,), float(answer.count))
        if members > 1:
            weight = torch.poisson(weight, generator=generator)
        out.append(Statement(answer, names, weight))
    return out, every


def labels_of(
    statements: Sequence[Statement],
    row: Mapping[str, int],
    wording: Wording,
    completions: Mapping[str, Completion],
    ids: Mapping[str, Int[Tensor, " T"]] | None = None,
) -> dict[str, Tensor]:
    """What some statements say of rows of scores.

    Args:
        statements: M of them, of all kinds.
        row: of each completion that they speak of, by id.
        wording: knows the annotators.
        completions: by id.
        ids: token ids of the completions of edits, where scores of their parts are to be compared too.

    Returns:
        for each kind that is there `KIND.weight` (M_kind, K), `KIND.annotator` (M_kind,) and what its likelihood reads.
    """
    labels: dict[str, Tensor] = {}
    place = {name: n for n, name in enumerate(wording.annotators)}

    def of(kind: type[F]) -> list[tuple[F, Statement]]:
        found = [(s.answer.feedback, s) for s in statements if isinstance(s.answer.feedback, kind)]
        if found:
            name = kind.__name__.lower()
            labels[f"{name}.weight"] = torch.stack([statement.weight for _, statement in found])
            labels[f"{name}.annotator"] = torch.tensor([place[s.answer.annotator] for _, s in found])
        return found

    def rows(found: Sequence[tuple[object, Statement]], which: int) -> Tensor:
        return torch.tensor([row[statement.completions[which]] for _, statement in found])

    if compared := of(Comparison):
        labels["comparison.a"], labels["comparison.b"] = rows(compared, 0), rows(compared, 1)
        labels["comparison.choice"] = torch.tensor([CHOICES[said.choice] for said, _ in compared])
    if rated := of(Rating):
        labels["rating.item"] = rows(rated, 0)
        labels["rating.grade"] = torch.tensor([said.score - 1 for said, _ in rated])
        labels["rating.levels"] = torch.tensor([said.levels for said, _ in rated])
    if edited := of(Edit):
        labels["edit.revision"], labels["edit.original"] = rows(edited, 0), rows(edited, 1)
        changed = [edit_weight(completions[said.completion].text, said.revision) for said, _ in edited]
        labels["edit.weight"] = labels["edit.weight"] * torch.tensor(changed)[:, None]
        if ids is not None:
            found = [changed_spans(ids[s.completions[1]].tolist(), ids[s.completions[0]].tolist()) for _, s in edited]
            spans = [(m, *span) for m, each in enumerate(found) for span in each]
            labels["edit.span"] = torch.tensor(spans, dtype=torch.long).reshape(-1, 5)
    if ranked := of(Ranking):
        labels["ranking.items"] = pad_right([torch.tensor([row[n] for n in s.completions]) for _, s in ranked], 0)
        labels["ranking.tier"] = pad_right([torch.tensor(_tiers(said)) for said, _ in ranked], -1)
        labels["ranking.tiers"] = torch.tensor([len(said.tiers) for said, _ in ranked])
    return labels


def _tiers(said: Ranking) -> list[int]:
    """The tier of each completion of a ranking; those that were not ranked come below the last."""
    return [t for t, tier in enumerate(said.tiers) for _ in tier] + [len(said.tiers)] * len(said.rest)
