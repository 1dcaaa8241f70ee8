"""A contrastive projection: each modality on its own as a point on a sphere where what belongs together is near."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from harken.data.bounds import at_least
from harken.models.fusion.heads.head import Head, HeadSettings, View


@dataclass(frozen=True)
class Contrast(HeadSettings):
    """Points of two modalities.

    Attributes:
        between: the two modalities; needed where the model has more than two.
        dimensions: of the sphere's space.
        loss: `infonce` (2103.00020, section 2.3) or `siglip` (2303.15343, algorithm 1).
        temperature: where the learnt temperature begins.
    """

    between: tuple[str, str] | None = None
    dimensions: int = 64
    loss: Literal["infonce", "siglip"] = "infonce"
    temperature: float = 0.07

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(self, "heads", dimensions=1, temperature=1e-4)

    def pair(self, modalities: Sequence[str]) -> tuple[str, str]:
        """The two modalities.

        Raises:
            ValueError: if they are not two, or the model has no such stream.
        """
        chosen = self.between or tuple(modalities)
        if len(set(chosen)) != 2 or not set(chosen) <= set(modalities):
            raise ValueError(
                f"heads: contrast is between two of the model's modalities ({', '.join(modalities)}), not "
                f"{', '.join(chosen)}; say between: [image, text]"
            )
        return chosen[0], chosen[1]

    def build(self, width: int, modalities: Sequence[str]) -> "ContrastHead":
        """The head, with random weights."""
        return ContrastHead(width, self, self.pair(modalities))


class ContrastHead(Head):
    """`one` and `other` (B, E) of length 1, `there` (B,) where both modalities are, `scale` and `bias`."""

    reads_streams = True

    def __init__(self, width: int, settings: Contrast, pair: tuple[str, str]):
        super().__init__()
        self.pair = pair
        self.projections = nn.ModuleList(nn.Linear(width, settings.dimensions, bias=False) for _ in pair)
        siglip = settings.loss == "siglip"
        start = math.log(10.0) if siglip else -math.log(settings.temperature)
        self.log_scale = nn.Parameter(torch.tensor(start))
        self.bias = nn.Parameter(torch.tensor(-10.0 if siglip else 0.0), requires_grad=siglip)

    def forward(self, view: View) -> dict[str, Tensor]:
        """Each modality's mean state, projected onto the sphere."""
        streams = [view.streams[modality] for modality in self.pair]
        points = [
            nn.functional.normalize(projection(stream.mean()), dim=-1)
            for projection, stream in zip(self.projections, streams, strict=True)
        ]
        there = streams[0].present & streams[1].present
        # 2103.00020, section 2.5: the scale is held below 100.
        scale = self.log_scale.clamp(max=math.log(100.0)).exp()
        return {"one": points[0], "other": points[1], "there": there, "scale": scale, "bias": self.bias}
