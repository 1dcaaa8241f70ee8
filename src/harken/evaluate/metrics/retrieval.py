"""Retrieval: how often the right one is among the nearest k."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from harken.evaluate.metrics.exactness import Share, exactness


@dataclass(frozen=True, slots=True)
class Recall:
    """`share` of N queries whose own item is among the nearest `k` of N; by chance it is `chance`."""

    k: int
    share: Share
    chance: float


def recall_at(k: int, queries: Float[np.ndarray, "N E"], items: Float[np.ndarray, "N E"]) -> Recall:
    """Recall at k by inner product; of items that are equally near, half count as nearer.

    Args:
        k: how many nearest count.
        queries: points; query i belongs to item i.
        items: points.

    Raises:
        ValueError: if there are fewer than two, or not as many of the one as of the other.
    """
    if queries.shape != items.shape or len(queries) < 2:
        raise ValueError(f"as many queries as items are needed, two or more, not {queries.shape} and {items.shape}")
    near = queries.astype(np.float64) @ items.T.astype(np.float64)
    own = np.diag(near)[:, None]
    rank = (near > own).sum(1) + ((near == own).sum(1) - 1) / 2
    return Recall(k, exactness((rank < k).astype(int)), min(1.0, k / len(queries)))
