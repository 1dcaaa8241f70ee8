"""Everything that a bit-exact resume needs, written so that a kill at any instant leaves the old one or the new one.

A checkpoint is a folder `step-00000120`: safetensors files and one JSON. It is written under another name, flushed to
the disk and renamed; a folder without its final name is never read. No pickle.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from harken.types import JSON

State = dict[str, Any]


def flatten_optimizer(optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], JSON]:
    """An optimizer's state as named tensors and JSON."""
    state = optimizer.state_dict()
    tensors = {
        f"{index}.{name}": value.contiguous()
        for index, slots in state["state"].items()
        for name, value in slots.items()
        if isinstance(value, Tensor)
    }
    return tensors, [{k: v for k, v in group.items() if k != "params"} for group in state["param_groups"]]


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `flatten_optimizer` took; hyperparameters stay as configured."""
    state = optimizer.state_dict()
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        slots.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": slots, "param_groups": state["param_groups"]})


def flush(path: Path) -> None:
    """Have the disk hold what was written: a file, or a folder with the files in it."""
    for target in [*path.iterdir(), path] if path.is_dir() else [path]:
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write(folder: Path, step: int, tensors: dict[str, dict[str, Tensor]], state: State) -> Path:
    """Write the checkpoint of a step, then remove older ones.

    Args:
        folder: the stage's folder of checkpoints.
        step: steps done.
        tensors: safetensors files by name, each a dictionary of tensors.
        state: JSON.

    Returns:
        the checkpoint's folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final, temporary = folder / f"step-{step:08d}", folder / f"writing-{step:08d}"
    if final.exists():
        return final
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for name, named in tensors.items():
        save_file({k: v.detach().contiguous() for k, v in named.items()}, temporary / f"{name}.safetensors")
    (temporary / "state.json").write_text(json.dumps({"step": step, **state}))
    flush(temporary)
    temporary.rename(final)
    flush(folder)
    for old in folder.iterdir():
        if old != final:
            shutil.rmtree(old)
    return final


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint in a folder, or None."""
    found = sorted(folder.glob("step-*")) if folder.exists() else []
    return found[-1] if found else None


def read(checkpoint: Path) -> tuple[dict[str, dict[str, Tensor]], State]:
    """What `write` wrote."""
    tensors = {path.stem: load_file(path) for path in sorted(checkpoint.glob("*.safetensors"))}
    return tensors, json.loads((checkpoint / "state.json").read_text())
