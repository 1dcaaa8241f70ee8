"""Everything that a bit-exact resume needs, written so that a kill at any instant leaves the old one or the new one.

A checkpoint is a folder `step-00000120`: safetensors files and one JSON. It is written under another name, flushed to
the disk and renamed; a folder without its final name is never read. Its manifest holds the SHA-256 of each file: one
that was damaged since is passed over for the one before it. No pickle.
"""

import hashlib
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from harken.types import JSON

State = dict[str, Any]
MANIFEST = "manifest.json"


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


def write(folder: Path, step: int, tensors: dict[str, dict[str, Tensor]], state: State, keep: int = 2) -> Path:
    """Write the checkpoint of a step, then remove all but the newest ones.

    Args:
        folder: the stage's folder of checkpoints.
        step: steps done.
        tensors: safetensors files by name, each a dictionary of tensors.
        state: JSON.
        keep: how many checkpoints stay.

    Returns:
        the checkpoint's folder.

    Raises:
        OSError: if the disk refuses (it is full, say); the checkpoints before are whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    final, temporary = folder / f"step-{step:08d}", folder / f"writing-{step:08d}"
    if final.exists():
        if whole(final) is None:
            return final
        shutil.rmtree(final)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        for name, named in tensors.items():
            _save(named, temporary / f"{name}.safetensors")
        (temporary / "state.json").write_text(json.dumps({"step": step, **state}))
        sums = {path.name: _sha256(path) for path in sorted(temporary.iterdir())}
        (temporary / MANIFEST).write_text(json.dumps(sums, indent=1))
        flush(temporary)
        temporary.rename(final)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        need = sum(t.numel() * t.element_size() for named in tensors.values() for t in named.values()) >> 20
        before = latest(folder)
        kept = f"the checkpoint {before.name} is whole" if before else "there is no checkpoint before it"
        raise OSError(
            f"the checkpoint of step {step} could not be written to {folder} ({error}); it needs about {need + 1} MiB. "
            f"{kept}: make room and go on with --resume"
        ) from error
    flush(folder)
    names = sorted(path.name for path in folder.glob("step-*"))
    for old in folder.iterdir():
        if old.name not in names[-keep:]:
            shutil.rmtree(old)
    return final


def _save(named: dict[str, Tensor], path: Path) -> None:
    save_file({k: v.detach().contiguous() for k, v in named.items()}, path)


def _sha256(path: Path) -> str:
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def whole(checkpoint: Path) -> str | None:
    """None if a checkpoint is as it was written, else what is wrong with it."""
    try:
        sums = json.loads((checkpoint / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        return f"{MANIFEST} cannot be read ({type(error).__name__})"
    if not isinstance(sums, dict):
        return f"{MANIFEST} is no list of files"
    for name, expected in sums.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if _sha256(path) != expected:
            return f"{name} is not what was written"
    return None


def of_step(folder: Path, step: int) -> Path:
    """The checkpoint of one step.

    Raises:
        OSError: if it is broken or gone.
    """
    found = folder / f"step-{step:08d}"
    wrong = whole(found)
    if wrong is not None:
        raise OSError(f"{found} is broken ({wrong}); remove {folder.parent} to train this stage again")
    return found


def forget(folder: Path) -> None:
    """Remove all checkpoints of a folder: those of another training."""
    shutil.rmtree(folder, ignore_errors=True)


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint in a folder, or None; broken ones are named in a warning and passed over."""
    for found in sorted(folder.glob("step-*"), reverse=True) if folder.exists() else []:
        wrong = whole(found)
        if wrong is None:
            return found
        warnings.warn(f"the checkpoint {found} is broken ({wrong}); the one before it is used", stacklevel=2)
    return None


def read(checkpoint: Path) -> tuple[dict[str, dict[str, Tensor]], State]:
    """What `write` wrote."""
    tensors = {path.stem: load_file(path) for path in sorted(checkpoint.glob("*.safetensors"))}
    return tensors, state_of(checkpoint)


def state_of(checkpoint: Path) -> State:
    """The JSON of a checkpoint, without its tensors."""
    state: State = json.loads((checkpoint / "state.json").read_text())
    return state
