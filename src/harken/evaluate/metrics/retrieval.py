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


def ranks(queries: Float[np.ndarray, "N E"], items: Float[np.ndarray, "N E"]) -> Float[np.ndarray, " N"]:
    """How many items are nearer to each query than its own, by inner product; of equally near ones half count.

    Args:
        queries: points; query i belongs to item i.
        items: points.

    Raises:
        ValueError: if there are fewer than two, or not as many of the one as of the other, or points are no numbers.
    """
    if queries.shape != items.shape or len(queries) < 2:
        raise ValueError(f"as many queries as items are needed, two or more, not {queries.shape} and {items.shape}")
    for name, points in (("queries", queries), ("items", items)):
        if not np.isfinite(points).all():
            raise ValueError(f"{name}: some points are no finite numbers; nothing is near to them")
    near = queries.astype(np.float64) @ items.T.astype(np.float64)
    own = np.diag(near)[:, None]
    rank: Float[np.ndarray, " N"] = (near > own).sum(1) + ((near == own).sum(1) - 1) / 2
    return rank


def recall_at(k: int, queries: Float[np.ndarray, "N E"], items: Float[np.ndarray, "N E"]) -> Recall:
    """Recall at k by inner product: the share of queries whose own item has a rank below k (`ranks`).

    Args:
        k: how many nearest count.
        queries: points; query i belongs to item i.
        items: points.

    Raises:
        ValueError: if k is below 1, or `ranks` refuses the points.
    """
    if k < 1:
        raise ValueError(f"recall at {k}: k counts the nearest, from 1 up")
    found = ranks(queries, items)
    return Recall(k, exactness((found < k).astype(int)), min(1.0, k / len(queries)))
