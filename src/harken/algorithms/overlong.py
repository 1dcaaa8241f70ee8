"""A soft punishment of completions that are too long (2503.14476, eq. 13)."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Overlong:
    """0 up to `limit - cache` tokens, then falling in a straight line to -1 at `limit`, and -1 beyond.

    Attributes:
        limit: L_max, tokens.
        cache: L_cache: over how many tokens before the limit the punishment grows.
        weight: what it is multiplied by before it is added to the score; 1 in the paper, whose scores are -1 and 1.
    """

    limit: int
    cache: int
    weight: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.cache <= self.limit or self.weight < 0:
            raise ValueError(f"overlong: cache is from 1 to limit tokens, and weight not below 0: {self}")

    def punishment(self, lengths: Int[Tensor, " N"], like: Float[Tensor, " N"]) -> Float[Tensor, " N"]:
        """What to add to the scores of N completions.

        Args:
            lengths: tokens of each completion, (N,).
            like: a tensor of the wanted type, (N,).
        """
        over = lengths.to(like) - (self.limit - self.cache)
        return -self.weight * (over / self.cache).clamp(0.0, 1.0)
