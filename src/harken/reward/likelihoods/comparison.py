"""What a comparison says of two scores: one is better, a tie, or both bad."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid


def log_likelihood(
    scores: Float[Tensor, "N K"],
    a: Int[Tensor, " M"],
    b: Int[Tensor, " M"],
    choice: Int[Tensor, " M"],
    log_tie: Float[Tensor, ""],
    floor: Float[Tensor, ""],
) -> Float[Tensor, "M K"]:
    """Log-likelihood of M choices for each of K members.

    Each completion is found bad on its own with probability sigmoid(floor - score). "Both bad" is said when both
    are; otherwise the choice is Davidson's: a, b and tie are as e^s_a : e^s_b : nu e^((s_a + s_b) / 2) (Davidson
    1970, "On extending the Bradley-Terry model to accommodate ties"; nu = 0 is Bradley-Terry). So
    P(both bad) = sigmoid(floor - s_a) sigmoid(floor - s_b), the three others share the rest, and the four sum to 1.
    A floor of -inf is a question in which "both bad" cannot be said.

    Args:
        scores: of N completions, (N, K).
        a: row of the first completion, (M,).
        b: row of the second, (M,).
        choice: 0 for a, 1 for b, 2 for a tie, 3 for both bad, (M,).
        log_tie: log nu.
        floor: the score at which a completion is as likely bad as not.
    """
    first, second = scores[a], scores[b]
    half = (first - second) / 2
    tied = torch.zeros_like(half) + log_tie
    davidson = torch.stack([half, -half, tied]).log_softmax(0)
    bad_first, bad_second = logsigmoid(floor - first), logsigmoid(floor - second)
    # 1 - p q = (1 - p) + p (1 - q): a sum of what is positive, so that nothing cancels.
    not_both = torch.logaddexp(logsigmoid(first - floor), bad_first + logsigmoid(second - floor))
    every = torch.cat([davidson + not_both, (bad_first + bad_second)[None]])
    return every.gather(0, choice.long()[None, :, None].expand(1, -1, scores.shape[1]))[0]
