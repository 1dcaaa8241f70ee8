"""What a comparison says of two scores: one is better, a tie, or both bad."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid


def log_likelihood(
    first: Float[Tensor, "M K"],
    second: Float[Tensor, "M K"],
    choice: Int[Tensor, " M"],
    log_tie: Float[Tensor, ""],
    floor: Float[Tensor, " M"],
    side: Float[Tensor, " M"],
) -> Float[Tensor, "M K"]:
    """Log-likelihood of M choices for each of K members.

    Each completion is found bad on its own with probability sigmoid(floor - score). "Both bad" is said when both
    are; otherwise the choice is Davidson's: a, b and tie are as e^s_a : e^s_b : nu e^((s_a + s_b) / 2) (Davidson
    1970, "On extending the Bradley-Terry model to accommodate ties"; nu = 0 is Bradley-Terry). So
    P(both bad) = sigmoid(floor - s_a) sigmoid(floor - s_b), the three others share the rest, and the four sum to 1.
    A floor of -inf is a question in which "both bad" cannot be said. Whoever leans to the completion that is shown
    first adds `side` to the odds of a against b (Davidson and Beaver 1977, "On extending the Bradley-Terry model to
    incorporate within-pair order effects").

    Args:
        first: scores of the completions that were shown first, by K members, (M, K).
        second: of the others, (M, K).
        choice: 0 for the first, 1 for the second, 2 for a tie, 3 for both bad, (M,).
        log_tie: log nu.
        floor: the score at which a completion is as likely bad as not, (M,).
        side: the log-odds that the place alone gives the first, (M,).
    """
    half = (first - second + side[:, None]) / 2
    floor = floor[:, None]
    tied = torch.zeros_like(half) + log_tie
    davidson = torch.stack([half, -half, tied]).log_softmax(0)
    bad_first, bad_second = logsigmoid(floor - first), logsigmoid(floor - second)
    # 1 - p q = (1 - p) + p (1 - q): a sum of what is positive, so that nothing cancels.
    not_both = torch.logaddexp(logsigmoid(first - floor), bad_first + logsigmoid(second - floor))
    every = torch.cat([davidson + not_both, (bad_first + bad_second)[None]])
    return every.gather(0, choice.long()[None, :, None].expand(1, -1, first.shape[1]))[0]
