"""Features of features: with them a line is a smooth curve of everything that was measured.

A line on these features, with a penalty on its squares, is the most likely function under a Gaussian process whose
kernel is part Gaussian, part linear (Rasmussen and Williams 2006, sections 2.1 and 6.2), seen through m landmarks
(Nystroem's approximation: Williams and Seeger 2001); with a landmark at every row it is exact.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from harken.data.seeds import derive

LINEAR_SHARE = 0.3
"""Weight of the linear part beside the Gaussian's 1."""
FURTHEST = 3.0
"""Standardised features are held within this: one odd recording is no reason to extrapolate."""


@dataclass(frozen=True)
class Lift:
    """From D features to m.

    Attributes:
        mean: of the features, (D,).
        scale: their standard deviations, 1 where a feature never changes, (D,).
        landmarks: standardised rows, (m, D).
        root: turns what a row has in common with each landmark into coordinates, (m, m').
    """

    mean: Float[Tensor, " D"]
    scale: Float[Tensor, " D"]
    landmarks: Float[Tensor, "m D"]
    root: Float[Tensor, "m E"]

    @classmethod
    def of(cls, features: Float[Tensor, "N D"], most: int) -> "Lift":
        """Landmarks from N rows, at most so many; which, is drawn."""
        mean, scale = features.double().mean(0), features.double().std(0, correction=0)
        scale = torch.where(scale > 1e-9, scale, 1.0)
        order = torch.randperm(len(features), generator=torch.Generator().manual_seed(derive(0, "landmarks")))
        landmarks = _standard(features[order[:most].sort().values], mean, scale)
        spreads, axes = torch.linalg.eigh(kernel(landmarks, landmarks))
        kept = spreads > 1e-9 * spreads.max()
        return cls(mean, scale, landmarks, axes[:, kept] * spreads[kept].rsqrt())

    def __call__(self, features: Float[Tensor, "N D"]) -> Float[Tensor, "N E"]:
        """Coordinates of N rows, whose inner products are the kernel's values."""
        return kernel(_standard(features, self.mean, self.scale), self.landmarks) @ self.root


def kernel(one: Float[Tensor, "N D"], other: Float[Tensor, "M D"]) -> Float[Tensor, "N M"]:
    """exp(-|x - y|^2 / (2 D)) + share x.y / D, of standardised rows: with distances per feature no width is tuned."""
    width = max(1, one.shape[1])
    return torch.exp(-torch.cdist(one, other).square() / (2 * width)) + LINEAR_SHARE * one @ other.T / width


def _standard(features: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    return ((features.to(mean) - mean) / scale).clamp(-FURTHEST, FURTHEST)
