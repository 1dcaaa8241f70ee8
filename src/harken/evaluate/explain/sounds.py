"""A sound's tensors as pictures: time from left to right, and of an answer's attention what falls on which stretch."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np
from jaxtyping import Float
from torch import Tensor

from harken.data.processor import FRAMES

LENGTHS = ("feature_lengths", "series_lengths")
"""How many frames of each are real, where they are counted."""
COLUMNS = 320
"""Columns of a picture, at most."""


def pieces(values: Tensor, media: Mapping[str, Tensor], steps_first: bool) -> list[Float[np.ndarray, "F T"]] | None:
    """One array for each sound (or piece of one), low pitches first, as long as it really is.

    Args:
        values: (n, F, T) frames, (n, S) samples, or (n, T, F) where steps come first.
        media: all tensors of the prompt; some say how much of each is real, and so which axis is time.
        steps_first: whether time is the middle axis, where no other tensor tells.

    Returns:
        the arrays; None if the tensor has another form.
    """
    if values.dim() not in (2, 3):
        return None
    whole = values.double().cpu()
    masks = [t for name, t in media.items() if name in FRAMES and t.dim() == 2 and len(t) == len(whole)]
    if whole.dim() == 2:
        whole = whole[:, None]
    elif any(mask.shape[1] == whole.shape[1] for mask in masks) or (steps_first and not masks):
        whole = whole.transpose(1, 2)
    counts = [mask.sum(-1) for mask in masks if mask.shape[1] == whole.shape[2]]
    counts += [t for name, t in media.items() if name in LENGTHS and len(t) == len(whole)]
    lengths = counts[0].tolist() if counts else [whole.shape[2]] * len(whole)
    return [one[:, : max(1, int(n))].numpy() for one, n in zip(whole, lengths, strict=True)]


def fewer(frames: Float[np.ndarray, "F T"], add: bool) -> Float[np.ndarray, "F C"]:
    """At most so many columns as can be seen: each the sum of its frames, or their mean."""
    if frames.shape[1] <= COLUMNS:
        return frames
    parts = np.array_split(frames, COLUMNS, axis=1)
    return np.stack([part.sum(1) if add else part.mean(1) for part in parts], 1)


def shared_out(tokens: Sequence[int], count: int, same: bool) -> list[list[int]] | None:
    """The places of placeholder tokens, divided among so many sounds.

    Args:
        tokens: places in the prompt, in order.
        count: of sounds.
        same: whether all sounds are of one length.

    Returns:
        the places of each; None where it cannot be told.
    """
    runs = [[place for _, place in run] for _, run in groupby(enumerate(tokens), lambda pair: pair[1] - pair[0])]
    if len(runs) == count:
        return runs
    if not tokens or len(tokens) % count or not (same or count == 1):
        return None
    each = len(tokens) // count
    return [list(tokens[n * each : (n + 1) * each]) for n in range(count)]
