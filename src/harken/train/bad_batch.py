"""The batch that a run stopped at, kept so that one can look at it: safetensors and JSON, no pickle."""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from harken.data.batch import Batch, Completions, Prompts
from harken.data.tensors import read_tensors

TENSORS, NOTES = "batch.safetensors", "batch.json"
MAPPINGS = ("per_token", "media", "placeholders", "media_rows")


def save(folder: Path, batch: Batch, reason: str) -> Path:
    """Write a batch, and why it was kept.

    Args:
        folder: of this batch; replaced if it is there.
        batch: what to keep.
        reason: what was wrong.

    Returns:
        the folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    prompts, completions = batch.prompts, batch.completions
    tensors = {"prompts/ids": prompts.ids, "prompts/mask": prompts.mask}
    for name in MAPPINGS:
        tensors |= {f"{name}/{key}": tensor for key, tensor in vars(prompts)[name].items()}
    tensors |= {f"completions/{key}": tensor for key, tensor in vars(completions).items()}
    tensors |= {f"labels/{key}": tensor for key, tensor in batch.labels.items()}
    save_file({key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}, folder / TENSORS)
    notes = {"reason": reason, "media_keys": list(prompts.media_keys)}
    (folder / NOTES).write_text(json.dumps(notes, indent=1) + "\n")
    return folder


def load(folder: Path) -> tuple[Batch, str]:
    """A batch that `save` wrote, and why it was kept.

    Raises:
        FileNotFoundError: if the folder holds none.
    """
    if not (folder / TENSORS).exists():
        raise FileNotFoundError(f"{folder} holds no batch ({TENSORS} is missing)")
    tensors, notes = read_tensors(folder / TENSORS), json.loads((folder / NOTES).read_text())

    def of(name: str) -> dict[str, Tensor]:
        return {key.split("/", 1)[1]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}/")}

    prompts = Prompts(
        ids=tensors["prompts/ids"],
        mask=tensors["prompts/mask"],
        per_token=of("per_token"),
        media=of("media"),
        placeholders=of("placeholders"),
        media_rows=of("media_rows"),
        media_keys=tuple(notes["media_keys"]),
    )
    return Batch(prompts, Completions(**of("completions")), of("labels")), notes["reason"]


def holds_bad_numbers(batch: Batch) -> list[str]:
    """Names of the batch's tensors that hold what is no number, to say where to look first."""
    named = {**{f"media {k}": t for k, t in batch.prompts.media.items()}, **batch.labels}
    return [name for name, t in named.items() if t.is_floating_point() and not bool(torch.isfinite(t).all())]
