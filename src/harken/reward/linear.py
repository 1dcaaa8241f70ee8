"""The smallest reward: lines on frozen features, fitted to everything that was said by L-BFGS, in seconds."""

import copy
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import minimize
from torch import Tensor

from harken.data.seeds import derive
from harken.reward.lift import Lift
from harken.reward.objective import LIKELIHOODS, weighed_log_likelihood
from harken.reward.wording import SPREADS, Wording

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
    """

    penalties: tuple[float, ...] | None = None
    folds: int = 4
    iterations: int = 500
    tolerance: float = 1e-7
    shrink: float = 1.0
    landmarks: int = 0

    def __post_init__(self) -> None:
        if min(self.ladder, default=0.0) <= 0 or self.folds < 2 or self.iterations < 1 or self.landmarks < 0:
            raise ValueError(f"linear: penalties above 0, folds from 2, iterations from 1, landmarks from 0 up: {self}")

    @property
    def ladder(self) -> tuple[float, ...]:
        """The penalties, from the strongest down."""
        return tuple(sorted(self.penalties or (CURVES if self.landmarks else STRAIGHT), reverse=True))


@dataclass(frozen=True)
class LinePrior:
    """A fixed random line for each member of an ensemble, to which what it learns is added (1806.03335).

    The penalty then holds each member to its own line and not to 0 (1810.05546): where data are silent, members stay as
    far apart as these lines are. The second half of them are the first half turned round, and an odd one is 0, so
    that their mean is held to 0 as before; whenever they are drawn they are the same.

    Attributes:
        scale: how large the lines are; 0 for none.
        unit: of the scale: `score`, the standard deviation of the lines' values at the rows that are fitted, in units
            of the raw score; `penalty`, where 1 stands for draws from the prior that the penalty stands for, with the
            standard deviation penalty^(-1/2) of each coefficient.
        seed: of the draw.
    """

    scale: float = 0.0
    unit: Literal["score", "penalty"] = "score"
    seed: int = 0

    def lines(self, rows: Float[Tensor, "N E"], members: int, penalty: float) -> Float[Tensor, "E K"]:
        """Coefficients, (E, K)."""
        generator = torch.Generator().manual_seed(derive(self.seed, "prior lines"))
        half = torch.randn(members // 2, rows.shape[1], generator=generator, dtype=torch.float64).T
        drawn = torch.cat([half, -half, half.new_zeros(rows.shape[1], members % 2)], dim=1)
        one = penalty**-0.5 if self.unit == "penalty" else 1 / rows.square().sum(1).mean().sqrt().clamp(min=1e-9)
        return self.scale * one * drawn


NO_PRIOR = LinePrior()


@dataclass(frozen=True)
class Lines:
    """K lines on standardised features, or on what these are lifted to.

    Attributes:
        mean: of the (lifted) features that were fitted on, (E,).
        scale: their standard deviations, 1 where one never changes, (E,); all 1 where they are lifted.
        weight: of each in each member, (E, K); a member's prior line is in it.
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
    prior: LinePrior = NO_PRIOR,
) -> Lines:
    """Lines under which what was said is most likely, with a penalty on their squares; `wording` is fitted with them.

    The sum over statements of weight x log-likelihood less penalty / 2 x |w - prior|^2, in each member, is concave in
    the scores; the annotators' parameters and thresholds are shared by the members.

    Args:
        features: of N completions.
        said: the labels over these rows (`reward.statements`); a statement's weight (M, K) holds each member's
            bootstrap.
        wording: the likelihoods' own parameters; where it begins from, and what it leaves.
        config: how.
        groups: of each row; the rows of one group (a prompt, a speaker) are left out together where the penalty is
            chosen.
        weights: how much each kind of feedback counts.
        prior: the lines that members are held to; the penalty is chosen without them.

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
    penalty, begun, words = _best_penalty(problem, one, _never_said(wording, said), _folds(groups, config.folds))
    held = prior.lines(standard, given[0].shape[1], penalty)
    weight, words = problem.solve(_double(said), words, penalty, begun.expand_as(held), held)
    wording.load_state_dict(words.state_dict())
    return Lines(mean, scale, weight, penalty, lift)


NEVER = {"log_tie": (2, -20.0), "floor": (3, -30.0)}
"""Choices by the parameter that makes them likely, and what that is where nobody makes them: as good as -inf."""


def _never_said(wording: Wording, said: Mapping[str, Tensor]) -> Wording:
    """The same wording with what nobody ever says ruled out; L-BFGS would follow it to -inf in hundreds of steps."""
    out = copy.deepcopy(wording)
    for name, (choice, value) in NEVER.items():
        if "comparison.choice" in said and not (said["comparison.choice"] == choice).any():
            parameter = getattr(out, name).requires_grad_(False)
            parameter.fill_(value)
    return out


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
    """The statements on rows that stay, and those that speak of rows that are left out."""
    learnt, unseen = dict(said), dict(said)
    for kind, names in ROWS.items():
        if f"{kind}.weight" in said:
            touched = torch.zeros(len(said[f"{kind}.weight"]), dtype=torch.bool)
            for name in names:
                rows = out[said[f"{kind}.{name}"]]
                if kind == "ranking":
                    rows = (rows & (said["ranking.tier"] >= 0)).any(1)
                touched |= rows
            _keep(learnt, kind, ~touched)
            _keep(unseen, kind, touched)
    return learnt, unseen


def _keep(said: dict[str, Tensor], kind: str, kept: Tensor) -> None:
    """Leave some statements of a kind; where none is left, all with the weight 0 (a likelihood wants something)."""
    if not kept.any():
        said[f"{kind}.weight"] = torch.zeros_like(said[f"{kind}.weight"])
        return
    for name in [name for name in said if name.startswith(f"{kind}.") and name != "edit.span"]:
        said[name] = said[name][kept]


@dataclass(frozen=True)
class Design:
    """Standardised features with the axes along which they vary.

    Attributes:
        rows: (N, D).
        along: the same along the axes, (N, D).
        axes: orthonormal columns, (D, D).
        spreads: the sum of squares along each, (D,).
    """

    rows: Float[Tensor, "N D"]
    along: Float[Tensor, "N D"]
    axes: Float[Tensor, "D D"]
    spreads: Float[Tensor, " D"]

    @classmethod
    def of(cls, rows: Float[Tensor, "N D"]) -> "Design":
        """Of N rows."""
        spreads, axes = torch.linalg.eigh(rows.T @ rows)
        return cls(rows, rows @ axes, axes, spreads.clamp(min=0.0))

    def units(self, curvature: float, penalty: float) -> Float[Tensor, " D"]:
        """What a coordinate along each axis is measured in, so that a sum of N losses of this curvature, with this
        penalty, is about as curved along all.

        Features are far from independent, and L-BFGS would take hundreds of steps along the narrow valleys.
        """
        return (curvature * self.spreads + penalty).rsqrt()


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
        held: Tensor | None = None,
    ) -> tuple[Tensor, Wording]:
        """The best coefficients (D, K) and wording, from these on; the given wording is left as it is.

        Args:
            said: labels.
            wording: where it begins.
            penalty: on the squared distance to `held`.
            weight: where coefficients begin; at 0 if not said.
            held: coefficients, (D, K); 0 if not said.
        """
        given = [said[f"{kind}.weight"] for kind in LIKELIHOODS if f"{kind}.weight" in said]
        members, words = given[0].shape[1], copy.deepcopy(wording).double()
        each = float(sum(w.sum() for w in given)) / members / len(self.design.rows)
        axes, units = self.design.axes, self.design.units(CURVATURE * each, penalty)[:, None]
        spoken, said = _spoken_of(said)
        rows = self.design.along[spoken] * units[:, 0]
        begun, middle = torch.zeros(2, len(axes), members, dtype=torch.float64)
        if weight is not None:
            begun = axes.T @ weight / units
        if held is not None:
            middle = axes.T @ held
        named = [(name, leaf) for name, leaf in words.named_parameters() if leaf.requires_grad]
        leaves = [begun.requires_grad_(), *(leaf for _, leaf in named)]
        lengths = [_length(name, leaf, said, self.config.shrink) for name, leaf in named]
        scale = torch.cat([torch.ones(begun.numel(), dtype=torch.float64), *lengths]).numpy()

        def value(flat: np.ndarray) -> tuple[float, np.ndarray]:
            _put(leaves, scale * flat)
            total, _, _ = weighed_log_likelihood(rows @ leaves[0], said, words, self.weights)
            loss = penalty / 2 * (units * leaves[0] - middle).square().sum() / members - total.mean()
            loss = loss + self.config.shrink * words.prior()
            slopes = torch.autograd.grad(loss, leaves, materialize_grads=True)
            return float(loss.detach()), scale * torch.cat([slope.reshape(-1) for slope in slopes]).numpy()

        flat = torch.cat([leaf.detach().reshape(-1) for leaf in leaves]).numpy() / scale
        options = {"maxiter": self.config.iterations, "ftol": self.config.tolerance}
        _put(leaves, scale * minimize(value, flat, jac=True, method="L-BFGS-B", options=options).x)
        return axes @ (units * leaves[0].detach()), words


def _length(name: str, parameter: Tensor, said: Mapping[str, Tensor], shrink: float) -> Float[Tensor, " n"]:
    """About how far a parameter of the wording moves to change a sum of losses by 1: L-BFGS's unit for it.

    An annotator's parameter is told of by what that annotator said, and by the prior; the others by everything.
    """
    of_annotator = name in SPREADS
    counts = torch.zeros(parameter.numel() if of_annotator else 1, dtype=torch.float64)
    for kind in LIKELIHOODS:
        if f"{kind}.weight" in said:
            who = said[f"{kind}.annotator"]
            counts.index_add_(0, who if of_annotator else torch.zeros_like(who), said[f"{kind}.weight"].mean(1))
    curvature = CURVATURE * counts + (shrink / SPREADS[name] ** 2 if of_annotator else 0.0)
    return curvature.clamp(min=CURVATURE).rsqrt().expand(parameter.numel())


@torch.no_grad()
def _put(leaves: Iterable[Tensor], flat: np.ndarray) -> None:
    values, place = torch.from_numpy(flat), 0
    for leaf in leaves:
        leaf.copy_(values[place : place + leaf.numel()].reshape(leaf.shape))
        place += leaf.numel()
