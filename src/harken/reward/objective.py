"""One loss for all feedback: minus the log-likelihood of what people said, given scores of what they saw."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from harken.algorithms.objective import Loss
from harken.data.batch import Batch, Outputs
from harken.reward.likelihoods import comparison, edit, ranking, rating
from harken.reward.wording import Wording

Likelihood = Callable[[Float[Tensor, "N K"], Mapping[str, Tensor], Wording], Float[Tensor, "M K"]]


def _comparison(scores: Tensor, said: Mapping[str, Tensor], wording: Wording) -> Tensor:
    annotator = said["comparison.annotator"]
    sure = wording.reliability(annotator)
    first, second = scores[said["comparison.a"]], scores[said["comparison.b"]]
    floor, side = sure[:, 0] * wording.floor, wording.side[annotator]
    return comparison.log_likelihood(
        sure * first, sure * second, said["comparison.choice"], wording.log_tie, floor, side
    )


def _ranking(scores: Tensor, said: Mapping[str, Tensor], wording: Wording) -> Tensor:
    sure = wording.reliability(said["ranking.annotator"])[:, None]
    return ranking.log_likelihood(sure * scores[said["ranking.items"]], said["ranking.tier"], said["ranking.tiers"])


def _rating(scores: Tensor, said: Mapping[str, Tensor], wording: Wording) -> Tensor:
    annotator, levels = said["rating.annotator"], said["rating.levels"]
    out = scores.new_zeros(len(annotator), scores.shape[1])
    for scale in wording.scales:
        mine = (levels == scale).nonzero()[:, 0]
        if len(mine):
            who = annotator[mine]
            found = rating.log_likelihood(
                scores[said["rating.item"][mine]],
                said["rating.grade"][mine],
                wording.thresholds(scale),
                wording.severity[who],
                wording.log_fineness(who),
            )
            out = out.index_put((mine,), found)
    return out


def _edit(scores: Tensor, said: Mapping[str, Tensor], wording: Wording) -> Tensor:
    sure = wording.reliability(said["edit.annotator"])
    return edit.log_likelihood(sure * scores[said["edit.revision"]], sure * scores[said["edit.original"]])


LIKELIHOODS: dict[str, Likelihood] = {
    "comparison": _comparison,
    "ranking": _ranking,
    "rating": _rating,
    "edit": _edit,
}


def spans(scores: Float[Tensor, "N T1 K"], said: Mapping[str, Tensor], wording: Wording) -> Float[Tensor, "M K"]:
    """Log-likelihood of where M edits changed their texts: of each the mean over its changed spans, by their tokens.

    Args:
        scores: after 0, 1, ... tokens of each completion, (N, T + 1, K).
        said: the labels.
        wording: the annotators.
    """
    sure, where = wording.reliability(said["edit.annotator"])[:, None], said["edit.span"]
    found = edit.span_log_likelihood(sure * scores[said["edit.revision"]], sure * scores[said["edit.original"]], where)
    tokens = (where[:, 2] - where[:, 1] + where[:, 4] - where[:, 3]).to(scores)[:, None]
    empty = scores.new_zeros(len(said["edit.annotator"]), scores.shape[2])
    total = empty[:, :1].index_add(0, where[:, 0], tokens).clamp(min=1.0)
    return empty.index_add(0, where[:, 0], tokens * found) / total


def weighed_log_likelihood(
    scores: Float[Tensor, "N K"], said: Mapping[str, Tensor], wording: Wording, weights: Mapping[str, float]
) -> tuple[Float[Tensor, " K"], int, dict[str, float]]:
    """For each member the sum over statements of weight x log-likelihood, the number of statements, and figures.

    Args:
        scores: of N completions, (N, K).
        said: the labels (`reward.statements`).
        wording: the likelihoods' own parameters.
        weights: how much each kind of feedback counts; 1 if not said.
    """
    total, count, metrics = scores.new_zeros(scores.shape[1]), 0, {}
    for kind, likelihood in LIKELIHOODS.items():
        weight = said.get(f"{kind}.weight")
        if weight is None:
            continue
        found = likelihood(scores, said, wording)
        total = total + weights.get(kind, 1.0) * (found * weight).sum(0)
        count += len(weight)
        metrics[f"nll/{kind}"] = float(-found.detach().mean())
    return total, count, metrics


@dataclass(frozen=True)
class FeedbackObjective:
    """Minus the mean weighted log-likelihood over statements and members of the ensemble.

    Attributes:
        wording: the likelihoods' own parameters; learnt with the scores.
        weights: how much each kind of feedback counts; `edit_span`: how much the places of edits count beside them,
            where the labels name them.
        statements: how many there are in all: the annotators' prior counts once beside them.
        shrink: weight of that prior: who said little is taken as the average annotator.
    """

    wording: Wording
    weights: Mapping[str, float] = field(default_factory=dict)
    statements: int = 1
    shrink: float = 1.0
    needs: ClassVar[frozenset[str]] = frozenset({"scores"})

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """The loss of one batch of statements.

        Each statement's weight (M, K) holds the bootstrap of each member, and for an edit how much was changed.
        """
        scores, said = outputs.scores, batch.labels
        assert scores is not None, "the loop gives what `needs` names"
        total, count, metrics = weighed_log_likelihood(scores, said, self.wording, self.weights)
        if outputs.token_scores is not None and "edit.span" in said:
            found = spans(outputs.token_scores, said, self.wording)
            total = total + self.weights.get("edit_span", 1.0) * (found * said["edit.weight"]).sum(0)
            metrics["nll/edit_span"] = float(-found.detach().mean())
        if "comparison.choice" in said:
            metrics["accuracy"] = _accuracy(scores.detach().mean(1), said)
        prior = self.shrink * self.wording.prior() / self.statements
        return Loss(prior - total.mean() / count, metrics, weight=float(count))


def _accuracy(scores: Tensor, said: Mapping[str, Tensor]) -> float:
    """Share of decided comparisons whose winner has the higher score, in this batch; half where they are equal."""
    choice = said["comparison.choice"]
    decided = choice < 2
    if not decided.any():
        return 0.5
    ahead = scores[said["comparison.a"]] - scores[said["comparison.b"]]
    right = torch.where(ahead == 0, 0.5, ((ahead > 0) == (choice == 0)).to(scores))
    return float(right[decided].mean())
