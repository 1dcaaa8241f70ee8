"""Any Hugging Face multimodal model, from the hub or a folder, or harken's own. Safetensors only."""

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForMultimodalLM, AutoProcessor
from transformers.utils import logging as transformers_logging

import harken.models.fusion.model
import harken.models.fusion.processor  # noqa: F401  (registers the family with transformers)
from harken.data.processor import Processor
from harken.models.model import Model

transformers_logging.disable_progress_bar()


def load_model(path: str | Path, dtype: torch.dtype = torch.float32) -> Model:
    """Load a model with its processor and, where harken saved some, its heads.

    Args:
        path: a folder, or a name on the Hugging Face hub.
        dtype: of the weights.

    Raises:
        FileNotFoundError: if a path that looks like a folder is none, or holds no `config.json`.
        ValueError: if the weights are not in safetensors, or the architecture is not one that transformers loads.
    """
    folder = Path(path)
    if folder.exists():
        if not (folder / "config.json").exists():
            raise FileNotFoundError(f"{folder} holds no config.json; give a folder that a model was saved into")
        if not list(folder.glob("*.safetensors")):
            raise ValueError(
                f"{folder} holds no *.safetensors; harken reads no other format of weights (save it again)"
            )
    elif str(path).startswith((".", "/", "~", "runs/")) or str(path).count("/") != 1:
        raise FileNotFoundError(f"there is no folder {folder} (a name on the hub looks like owner/name)")
    config = AutoConfig.from_pretrained(path)
    trunk = AutoModelForMultimodalLM.from_pretrained(path, config=config, dtype=dtype, use_safetensors=True)
    model = Model(trunk.eval(), Processor(AutoProcessor.from_pretrained(path)))
    if folder.exists():
        model.load_heads(folder)
    return model.eval()
