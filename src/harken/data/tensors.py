"""Tensors as bytes: in safetensors files, of which one that is cut short is an error in words, and to be hashed."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor


def bytes_of(tensor: Tensor) -> memoryview:
    """A tensor's numbers, row after row, as they lie in memory."""
    return tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().data


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file, by name.

    Raises:
        ValueError: if it is no whole safetensors file.
    """
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no whole safetensors file ({error}); copy or save it again") from error
