"""The smallest reward: lines on frozen features, fitted to everything that was said by L-BFGS, in seconds."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor

from harken.data.seeds import derive
from harken.reward.lift import Lift
from harken.reward.objective import LIKELIHOODS, weighed_log_likelihood
from harken.reward.wording import Wording

ROWS = {
    "comparison": ("a", "b"),
    "ranking": ("items",),
    "rating": ("item",),
    "edit": ("revision", "original"),
}
"""The labels of each kind that name rows."""
STRAIGHT, CURVES = (10_000.0, 3000.0, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0), (30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03)
"""Penalties to choose from; on lifted features scores vary by about 1 / sqrt(penalty)."""


@dataclass(frozen=True)
class LinearConfig:
    """How lines are fitted.

    Attributes:
        penalties: weights of the squared coefficients to choose from, by what is said of rows that were left out; each
            counts against the sum over statements. None: a ladder that suits straight lines, or curves.
        folds: parts of the rows for that choice.
        iterations: of L-BFGS at most.
        tolerance: relative; smaller gains end it.
        shrink: weight of the annotators' prior.
        landmarks: rows that the others are measured by, where lines are curves (`reward/lift.py`); 0 for straight
            lines.
        prior: scale of a random line of each member, which the penalty pulls to instead of 0: 1 for draws from the
            prior that the penalty stands for. Members then differ where nothing was said, as they should where an
            ensemble decides what is asked next. Their mean is pulled to 0 as before.
    """

    penalties: tuple[float, ...] | None = None
    folds: int = 4
    iterations: int = 500
    tolerance: float = 1e-7
    shrink: float = 1.0
    landmarks: int = 0
    prior: float = 0.0

    def __post_init__(self) -> None:
        least = min(self.landmarks, self.prior)
        if min(self.ladder, default=0.0) <= 0 or self.folds < 2 or self.iterations < 1 or least < 0:
            raise ValueError(
                f"linear: penalties above 0, folds from 2, iterations from 1, landmarks and prior from 0 up: {self}"
            )

    @property
    def ladder(self) -> tuple[float, ...]:
        """The penalties, from the strongest down."""
        return tuple(sorted(self.penalties or (CURVES if self.landmarks else STRAIGHT), reverse=True))


@dataclass(frozen=True)
class Lines:
    """K lines on standardised features, or on what these are lifted to.

    Attributes:
        mean: of the (lifted) features that were fitted on, (E,).
        scale: their standard deviations, 1 where one never changes, (E,); all 1 where they are lifted.
        weight: of each in each member, (E, K).
        penalty: the one that was chosen.
        lift: what makes a line a curve of the features; None for straight lines.
    """

    mean: Float[Tensor, " E"]
    scale: Float[Tensor, " E"]
    weight: Float[Tensor, "E K"]
    penalty: float
    lift: Lift | None = None

    def __call__(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N K"]:
        """Scores of N rows."""
        rows = features.to(self.mean) if self.lift is None else self.lift(features)
        return ((rows - self.mean) / self.scale) @ self.weight


def fit_lines(
    features: Float[Tensor, "N D"],
    said: Mapping[str, Tensor],
    wording: Wording,
    config: LinearConfig,
    groups: Sequence[int],
    weights: Mapping[str, float],
) -> Lines:
    """Lines under which what was said is most likely, with a penalty on their squares; `wording` is fitted with them.

    The sum over statements of weight x log-likelihood less penalty / 2 x |w|^2, in each member, is concave in the
    scores; the annotators' parameters and thresholds are shared by the members.

    Args:
        features: of N completions.
        said: the labels over these rows (`reward.statements`); a statement's weight (M, K) holds each member's
            bootstrap.
        wording: the likelihoods' own parameters; where it begins from, and what it leaves.
        config: how.
        groups: of each row; the rows of one group (a prompt, a speaker) are left out together where the penalty is
            chosen.
        weights: how much each kind of feedback counts.

    Raises:
        ValueError: if a feature is no number, or nothing was said.
    """
    if not torch.isfinite(features).all():
        row, column = (~torch.isfinite(features)).nonzero()[0].tolist()
        raise ValueError(f"feature {column} of row {row} is {float(features[row, column])}; features must be numbers")
    given = [said[f"{kind}.weight"] for kind in LIKELIHOODS if f"{kind}.weight" in said]
    if not given:
        raise ValueError("there is no feedback to fit lines to; collect some first")
    lift = Lift.of(features, config.landmarks) if config.landmarks else None
    rows = features.double() if lift is None else lift(features)
    mean, scale = rows.mean(0), torch.ones_like(rows[0])
    if lift is None:
        scale = rows.std(0, correction=0)
        scale = torch.where(scale > 1e-9, scale, 1.0)
    standard = (rows - mean) / scale
    one = {k: v.double().mean(1, keepdim=True) if k.endswith(".weight") else v for k, v in said.items()}
    problem = _Problem(Design.of(standard), config, weights)
    penalty, begun, words = _best_penalty(problem, one, wording, _folds(groups, config.folds))
    members = given[0].shape[1]
    priors = config.prior / math.sqrt(penalty) * prior_lines(standard.shape[1], members)
    weight, words = problem.solve(_double(said), words, penalty, begun.expand(-1, members), priors)
    wording.load_state_dict(words.state_dict())
    return Lines(mean, scale, weight, penalty, lift)


def prior_lines(width: int, members: int) -> Float[Tensor, "D K"]:
    """A line for each member, normal with spread 1; the second half are the first half turned, so they sum to zero.

    The same whenever they are drawn: what members know less of stays where they differ, round after round.

    Source: Osband 2018, 1806.03335, section 3; Pearce 2018, 1810.05546 (each member's penalty pulls to its own draw).
    """
    generator = torch.Generator().manual_seed(derive(0, "prior lines", width))
    half = torch.randn(members // 2, width, generator=generator, dtype=torch.float64).T
    return torch.cat([half, -half, torch.zeros(width, members % 2, dtype=torch.float64)], dim=1)


def _double(said: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.double() if name.endswith(".weight") else tensor for name, tensor in said.items()}


def _folds(groups: Sequence[int], folds: int) -> Int[Tensor, " N"]:
    """The fold of each row; groups stay whole, and are spread by a hash of their number."""
    names = sorted(set(groups), key=lambda group: derive(0, "fold", group))
    place = {group: n % folds for n, group in enumerate(names)}
    return torch.tensor([place[group] for group in groups])


def _best_penalty(
    problem: "_Problem", said: Mapping[str, Tensor], wording: Wording, fold: Tensor
) -> tuple[float, Tensor, Wording]:
    """The penalty under which what is said of rows that were left out is most likely, and a place to begin from.

    From the strongest down, as long as it gets better.
    """
    ordered = problem.config.ladder
    parts = [_split(said, fold == left_out) for left_out in fold.unique().tolist()]
    if len(ordered) == 1 or len(parts) < 2:
        return ordered[0], torch.zeros(problem.design.rows.shape[1], 1, dtype=torch.float64), wording
    found: list[tuple[Tensor | None, Wording]] = [(None, wording)] * len(parts)
    best, begun, words = -math.inf, torch.empty(0), wording
    for penalty in ordered:
        total, moved = 0.0, []
        for (learnt, unseen), (weight, said_so) in zip(parts, found, strict=True):
            moved.append(problem.solve(learnt, said_so, penalty, weight))
            with torch.no_grad():
                scores = problem.design.rows @ moved[-1][0]
                total += float(weighed_log_likelihood(scores, unseen, moved[-1][1], problem.weights)[0].sum())
        if total <= best:
            break
        best, chosen, found = total, penalty, list(moved)
        begun, words = torch.stack([weight for weight, _ in moved]).mean(0), moved[0][1]
    return chosen, begun, words


def _spoken_of(said: Mapping[str, Tensor]) -> tuple[Int[Tensor, " S"], dict[str, Tensor]]:
    """The rows that something is said of, and the same labels over these alone."""
    named = [f"{kind}.{name}" for kind, names in ROWS.items() for name in names if f"{kind}.{name}" in said]
    spoken, places = torch.cat([said[name].reshape(-1) for name in named]).unique(return_inverse=True)
    parts = places.split([said[name].numel() for name in named])
    moved = {name: part.reshape(said[name].shape) for name, part in zip(named, parts, strict=True)}
    return spoken, {**said, **moved}


def _split(said: Mapping[str, Tensor], out: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The same labels twice, with the weights of statements on rows that are left out, and of all others, set to 0."""
    learnt, unseen = dict(said), dict(said)
    for kind, names in ROWS.items():
        if f"{kind}.weight" in said:
            touched = torch.zeros(len(said[f"{kind}.weight"]), dtype=torch.bool)
            for name in names:
                rows = out[said[f"{kind}.{name}"]]
                if kind == "ranking":
                    rows = (rows & (said["ranking.tier"] >= 0)).any(1)
                touched |= rows
            learnt[f"{kind}.weight"] = said[f"{kind}.weight"] * ~touched[:, None]
            unseen[f"{kind}.weight"] = said[f"{kind}.weight"] * touched[:, None]
    return learnt, unseen


@dataclass(frozen=True)
class Design:
    """Standardised features with the axes along which they vary.

    Attributes:
        rows: (N, D).
        axes: orthonormal columns, (D, D).
        spreads: the sum of squares along each, (D,).
    """

    rows: Float[Tensor, "N D"]
    axes: Float[Tensor, "D D"]
    spreads: Float[Tensor, " D"]

    @classmethod
    def of(cls, rows: Float[Tensor, "N D"]) -> "Design":
        """Of N rows."""
        spreads, axes = torch.linalg.eigh(rows.T @ rows)
        return cls(rows, axes, spreads.clamp(min=0.0))

    def basis(self, curvature: float, penalty: float) -> Float[Tensor, "D D"]:
        """Coordinates in which a sum of N losses of this curvature, with this penalty, is about as curved everywhere.

        Features are far from independent, and L-BFGS would take hundreds of steps along the narrow valleys.
        """
        return self.axes * (curvature * self.spreads + penalty).rsqrt()


CURVATURE = 0.1
"""Of minus a statement's log-likelihood in a score, about: at most 1/4 for a grade of two, less where it is sure."""


@dataclass(frozen=True)
class _Problem:
    """What L-BFGS makes small: minus the mean over members of what `fit_lines` maximises."""

    design: Design
    config: LinearConfig
    weights: Mapping[str, float]

    def solve(
        self,
        said: Mapping[str, Tensor],
        wording: Wording,
        penalty: float,
        weight: Tensor | None = None,
        priors: Tensor | None = None,
    ) -> tuple[Tensor, Wording]:
        """The best coefficients (D, K) and wording, from these on; the given wording is left as it is.

        The penalty is on how far members are from their `priors` (D, K), or from 0.
        """
        given = [said[f"{kind}.weight"] for kind in LIKELIHOODS if f"{kind}.weight" in said]
        members, words = given[0].shape[1], copy.deepcopy(wording).double()
        each = float(sum(w.sum() for w in given)) / members / len(self.design.rows)
        basis = self.design.basis(CURVATURE * each, penalty)
        spoken, said = _spoken_of(said)
        rows = self.design.rows[spoken] @ basis
        # What is sought is the way from the priors.
        priors = torch.zeros(len(basis), members, dtype=torch.float64) if priors is None else priors
        begun = torch.linalg.solve(basis, (priors if weight is None else weight) - priors)
        given_scores = self.design.rows[spoken] @ priors
        leaves = [begun.requires_grad_(), *words.parameters()]

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            _put(leaves, flat)
            total, _, _ = weighed_log_likelihood(given_scores + rows @ leaves[0], said, words, self.weights)
            loss = penalty / 2 * (basis @ leaves[0]).square().sum() / members - total.mean()
            loss = loss + self.config.shrink * words.prior()
            slopes = torch.autograd.grad(loss, leaves, materialize_grads=True)
            return float(loss.detach()), torch.cat([slope.reshape(-1) for slope in slopes]).numpy()

        flat = torch.cat([leaf.detach().reshape(-1) for leaf in leaves]).numpy()
        options = {"maxiter": self.config.iterations, "ftol": self.config.tolerance}
        _put(leaves, minimize(value, flat, jac=True, method="L-BFGS-B", options=options).x)
        return priors + basis @ leaves[0].detach(), words


@torch.no_grad()
def _put(leaves: Iterable[Tensor], flat: np.ndarray) -> None:
    values, place = torch.from_numpy(flat), 0
    for leaf in leaves:
        leaf.copy_(values[place : place + leaf.numel()].reshape(leaf.shape))
        place += leaf.numel()
