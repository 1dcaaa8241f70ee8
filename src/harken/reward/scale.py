"""The centre and the unit of scores: fixed after training over the completions that were shown, and saved."""

from jaxtyping import Float
from torch import Tensor

SAME = 1e-6
"""A standard deviation below this is none: the scores are all the same."""


def scale_of(scores: Float[Tensor, "N K"]) -> tuple[Float[Tensor, " K"], float]:
    """What makes scores have mean 0 and spread 1.

    Args:
        scores: of N completions by K members, before any scale.

    Returns:
        the mean of each member; the standard deviation of the members' mean, which is 1 where there are not two
        completions that differ.
    """
    if len(scores) < 2:
        return scores.sum(0), 1.0
    spread = float(scores.mean(1).std())
    return scores.mean(0), spread if spread > SAME else 1.0
