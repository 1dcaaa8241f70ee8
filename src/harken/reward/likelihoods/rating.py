"""What a grade says of a score: a cumulative link, with a severity and a scale for each annotator."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid


def log_likelihood(
    scores: Float[Tensor, "M K"],
    grade: Int[Tensor, " M"],
    thresholds: Float[Tensor, " L1"],
    severity: Float[Tensor, " M"],
    log_scale: Float[Tensor, " M"],
) -> Float[Tensor, "M K"]:
    """Log-likelihood of M grades for each of K members.

    P(grade <= j) = sigmoid(scale (threshold_j + severity - score)) (McCullagh 1980, "Regression models for ordinal
    data": proportional odds, and a scale). A severe annotator asks for a higher score for
    the same grade; a large scale is an annotator whose grades follow the score closely.

    Args:
        scores: of the completions that were graded, by K members, (M, K).
        grade: from 0 (worst) to L - 1 (best), (M,).
        thresholds: between the L grades, increasing, (L - 1,).
        severity: of the annotator of each grade, in units of the score, (M,).
        log_scale: of the annotator of each grade, (M,).

    Raises:
        ValueError: if the thresholds do not increase.
    """
    gaps = thresholds.diff()
    if not bool((gaps > 0).all()):
        raise ValueError(f"thresholds between grades must increase, but they are {thresholds.tolist()}")
    scale = log_scale.exp()
    shift = severity[:, None] - scores
    last = len(thresholds)
    upper = scale[:, None] * (thresholds[grade.clamp(max=last - 1)][:, None] + shift)
    lower = scale[:, None] * (thresholds[(grade - 1).clamp(min=0)][:, None] + shift)
    # sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - e^(l - u)): three logs that are finite for every score.
    below_upper = torch.where((grade < last)[:, None], logsigmoid(upper), 0.0)
    above_lower = torch.where((grade > 0)[:, None], logsigmoid(-lower), 0.0)
    # The outer grades have one threshold and no gap; 1 stands in and is not read.
    width = scale * torch.cat([gaps.new_ones(1), gaps, gaps.new_ones(1)])[grade]
    inner = torch.where((grade > 0) & (grade < last), (-torch.expm1(-width)).log(), 0.0)
    return below_upper + above_lower + inner[:, None]
