"""CIFAR-10 as it lies in a folder: `NAME.npz` with `data` (encoded pictures), `offsets` and `labels`."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from harken.data.media import image

CLASSES = 10


@dataclass(frozen=True)
class Pictures:
    """Pictures with their classes.

    Attributes:
        pixels: (N, 3, 32, 32), 0 to 255.
        labels: (N,).
    """

    pixels: Tensor
    labels: Tensor

    def part(self, numbers: Tensor) -> "Pictures":
        """Some of them."""
        return Pictures(self.pixels[numbers], self.labels[numbers])


def read_pictures(folder: Path, name: str) -> Pictures:
    """The pictures of `folder/name.npz`.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    path = folder / f"{name}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}; give a folder that holds {name}.npz (data, offsets, labels)")
    with np.load(path) as held:
        data, offsets, labels = held["data"], held["offsets"], held["labels"]
    decoded = [
        image.decode(data[start:end].tobytes())
        for start, end in tqdm(pairwise(offsets), "reading", len(labels), disable=None)
    ]
    pixels = torch.from_numpy(np.stack(decoded)).permute(0, 3, 1, 2).contiguous()
    return Pictures(pixels, torch.from_numpy(labels.astype(np.int64)))
