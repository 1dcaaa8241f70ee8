"""Conjugate gradients (Hestenes and Stiefel 1952, J. Res. Natl. Bur. Stand. 49): A x = b from products with A alone."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor


def conjugate_gradient(
    product: Callable[[Tensor], Tensor], target: Float[Tensor, " D"], iterations: int, tolerance: float = 1e-8
) -> Float[Tensor, " D"]:
    """An x with A x near `target`, for a symmetric positive definite A.

    Args:
        product: A times a vector, (D,) -> (D,).
        target: b, (D,).
        iterations: at most so many; D of them are exact up to rounding.
        tolerance: stops when the residual's norm is this share of the target's.
    """
    found = torch.zeros_like(target)
    residual = target.clone()
    direction = residual.clone()
    square = residual @ residual
    enough = tolerance**2 * square
    for _ in range(iterations):
        if square <= enough:
            break
        image = product(direction)
        curvature = direction @ image
        # Not positive definite, by rounding: what was found so far is the best there is.
        if not curvature > 0:
            break
        step = square / curvature
        found = found + step * direction
        residual = residual - step * image
        after = residual @ residual
        direction = residual + after / square * direction
        square = after
    return found
