"""Every way of joining with random weights, and streams to join, in double precision."""

import torch
from torch import Tensor, nn

from harken.models.fusion import parts
from harken.models.fusion.fuse.fuse import Fuse
from harken.models.fusion.stream import Stream, from_rows

WIDTH = 8
WAYS = {
    "joined": {"name": "joined", "heads": 2},
    "concatenation": {"name": "concatenation"},
    "weighted_mean": {"name": "weighted_mean"},
    "gated": {"name": "gated"},
    "attention_pooling": {"name": "attention_pooling", "latents": 3, "layers": 2, "heads": 2},
    "cross_attention": {"name": "cross_attention", "heads": 2},
    "cross_attention_resampled": {"name": "cross_attention", "latents": 2, "heads": 2},
}
COUNTS = {"image": [3, 0, 2, 0, 1], "audio": [2, 4, 0, 0, 1], "text": [1, 2, 3, 0, 0]}
"""States of each modality in each of five rows: all there, each absent once, nothing at all."""


def stirred(module: nn.Module, seed: int = 0) -> nn.Module:
    """The same in double precision, no weight at a start where it would say little."""
    generator = torch.Generator().manual_seed(seed)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.3)
    return module


def way(name: str, modalities: tuple[str, ...] = ("image", "audio"), decoded: bool = False) -> Fuse:
    torch.manual_seed(0)
    made = parts.fuse(WAYS[name]).build(WIDTH, modalities, decoded)
    stirred(made)
    return made


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def streams(modalities: tuple[str, ...] = ("image", "audio"), seed: int = 0) -> dict[str, Stream]:
    made = {}
    for n, modality in enumerate(modalities):
        counts = torch.tensor(COUNTS[modality])
        made[modality] = from_rows(noise(int(counts.sum()), WIDTH, seed=seed * 10 + n), counts)
    return made


def row(given: dict[str, Stream], b: int) -> dict[str, Stream]:
    """One row of streams, with nothing filled up."""
    return {m: Stream(s.states[b : b + 1, s.real[b]], s.real[b : b + 1, s.real[b]]) for m, s in given.items()}


def spoilt(given: dict[str, Stream]) -> dict[str, Stream]:
    """The same, with large numbers where nothing is real, and more of it."""
    out = {}
    for n, (modality, stream) in enumerate(given.items()):
        more = torch.cat([stream.states, stream.states.new_zeros(len(stream.states), 2, WIDTH)], 1)
        real = torch.cat([stream.real, stream.real.new_zeros(len(stream.real), 2)], 1)
        out[modality] = Stream(torch.where(real[..., None], more, noise(*more.shape, seed=50 + n) * 40), real)
    return out
