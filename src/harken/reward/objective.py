"""One loss for all feedback: minus the log-likelihood of what people said, given scores of what they saw."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from harken.algorithms.objective import Loss
from harken.data.batch import Batch, Outputs
from harken.reward.likelihoods import comparison, edit, ranking, rating
from harken.reward.model import Wording

Likelihood = Callable[[Float[Tensor, "N K"], Mapping[str, Tensor], Wording], Float[Tensor, "M K"]]


def _comparison(scores: Tensor, said: Mapping[str, Tensor], wording: Wording) -> Tensor:
    return comparison.log_likelihood(
        scores, said["comparison.a"], said["comparison.b"], said["comparison.choice"], wording.log_tie, wording.floor
    )


def _ranking(scores: Tensor, said: Mapping[str, Tensor], wording: Wording) -> Tensor:
    return ranking.log_likelihood(scores, said["ranking.items"], said["ranking.tier"], said["ranking.tiers"])


def _rating(scores: Tensor, said: Mapping[str, Tensor], wording: Wording) -> Tensor:
    return rating.log_likelihood(
        scores,
        said["rating.item"],
        said["rating.grade"],
        said["rating.annotator"],
        wording.thresholds,
        wording.severity,
        wording.log_scale,
    )


def _edit(scores: Tensor, said: Mapping[str, Tensor], wording: Wording) -> Tensor:
    return edit.log_likelihood(scores, said["edit.revision"], said["edit.original"])


LIKELIHOODS: dict[str, Likelihood] = {
    "comparison": _comparison,
    "ranking": _ranking,
    "rating": _rating,
    "edit": _edit,
}


@dataclass(frozen=True)
class FeedbackObjective:
    """Minus the mean weighted log-likelihood over statements and members of the ensemble.

    Attributes:
        wording: the likelihoods' own parameters; learnt with the scores.
        weights: how much each kind of feedback counts.
        shrink: weight of the squares of annotators' severities and scales: who said little is taken as average.
    """

    wording: Wording
    weights: Mapping[str, float] = field(default_factory=dict)
    shrink: float = 0.01
    needs: ClassVar[frozenset[str]] = frozenset({"scores"})

    def loss(self, outputs: Outputs, batch: Batch) -> Loss:
        """The loss of one batch of statements.

        Each statement's weight (M, K) holds the bootstrap of each member, and for an edit how much was changed.
        """
        scores, said = outputs.scores, batch.labels
        assert scores is not None, "the loop gives what `needs` names"
        total, count, metrics = scores.new_zeros(()), 0, {}
        for kind, likelihood in LIKELIHOODS.items():
            weight = said.get(f"{kind}.weight")
            if weight is None:
                continue
            statements = likelihood(scores, said, self.wording)
            total = total - self.weights.get(kind, 1.0) * (statements * weight).mean(1).sum()
            count += len(weight)
            metrics[f"nll/{kind}"] = float(-statements.detach().mean())
        if "comparison.choice" in said:
            metrics["accuracy"] = _accuracy(scores.detach().mean(1), said)
        parameters = (self.wording.severity, self.wording.log_scale)
        prior = sum((p.square().sum() for p in parameters), scores.new_zeros(()))
        return Loss(total / count + self.shrink * prior, metrics, weight=float(count))


def _accuracy(scores: Tensor, said: Mapping[str, Tensor]) -> float:
    """Share of decided comparisons whose winner has the higher score, in this batch."""
    choice = said["comparison.choice"]
    decided = choice < 2
    if not decided.any():
        return 0.5
    ahead = scores[said["comparison.a"]] > scores[said["comparison.b"]]
    return float((ahead == (choice == 0))[decided].float().mean())
