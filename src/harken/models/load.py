"""Any Hugging Face multimodal model, from the hub or a folder, or harken's own. Safetensors only."""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    AutoProcessor,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING
from transformers.utils import logging as transformers_logging

import harken.models.fusion.processor  # noqa: F401  (registers the family with transformers)
from harken.data.processor import Processor
from harken.models.architectures.find import architecture_of
from harken.models.fusion.config import FusionConfig
from harken.models.fusion.model import FusionForPrediction
from harken.models.model import Model
from harken.models.novideo import stand_in_for_video
from harken.models.predictor import Predictor
from harken.models.speech_to_text import speech_to_text_beside

transformers_logging.disable_progress_bar()

ALIGNED = 64
"""Bytes that torch's own memory is aligned to."""
Dtype = Literal["auto", "float32", "bfloat16"]


def weights_dtype(name: Dtype) -> torch.dtype:
    """The type of weights: `auto` is bfloat16 where a GPU computes in it, and float32 elsewhere."""
    if name == "auto":
        fits = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
        return torch.bfloat16 if fits else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def load_model(path: str | Path, dtype: torch.dtype = torch.float32) -> Model:
    """Load a model with its processor and, where harken saved some, its heads.

    Args:
        path: a folder, or a name on the Hugging Face hub.
        dtype: of the weights.

    Raises:
        FileNotFoundError: if a path that looks like a folder is none, or holds no `config.json`.
        ValueError: if the weights are not in safetensors, or a file of them is broken, or weights of the architecture
            are not there or have another shape, or the architecture is not one that transformers loads.
    """
    folder = _found(path)
    stand_in_for_video()
    trunk = _trunk(path, dtype)
    if isinstance(trunk, FusionForPrediction):
        raise ValueError(
            f"{path} holds a model without a language head: it answers nothing in words; harken predict "
            "says what its heads say"
        )
    reader = architecture_of(trunk).reader
    processor = Processor(reader(AutoProcessor.from_pretrained(path)), speech_to_text_beside(folder))
    model = Model(trunk.eval(), processor)
    if folder.exists():
        model.load_heads(folder)
    return model.eval()


def speaks(path: str | Path) -> bool:
    """Whether a model has a language head: all have, but those of the family that were saved into a folder without."""
    config = Path(path) / "config.json"
    if not config.is_file():
        return True
    try:
        said = json.loads(config.read_text())
    except ValueError:
        return True  # whoever loads it says what is wrong
    return said.get("model_type") != FusionConfig.model_type or said.get("text_config") is not None


def load_predictor(path: str | Path, dtype: torch.dtype = torch.float32) -> Predictor:
    """Load a model of the family without a language head, with its processor.

    Args:
        path: a folder.
        dtype: of the weights.

    Raises:
        FileNotFoundError: as `load_model`.
        ValueError: as `load_model`, or if the model has a language head.
    """
    _found(path)
    trunk = _trunk(path, dtype)
    if not isinstance(trunk, FusionForPrediction):
        raise ValueError(f"{path} holds a {type(trunk).__name__}, which has a language head; load it with load_model")
    return Predictor(trunk, Processor(AutoProcessor.from_pretrained(path))).eval()


def _found(path: str | Path) -> Path:
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
    return folder


def _trunk(path: str | Path, dtype: torch.dtype) -> PreTrainedModel:
    config = AutoConfig.from_pretrained(path)
    try:
        trunk, told = _auto_class(config).from_pretrained(
            path, config=config, dtype=dtype, use_safetensors=True, output_loading_info=True
        )
    except SafetensorError as error:
        raise ValueError(f"a safetensors file of {path} is broken ({error}); copy or save it again") from error
    except RuntimeError as error:
        raise ValueError(f"the weights of {path} do not fit its config.json: {error}") from error
    assert isinstance(trunk, PreTrainedModel)
    _align(trunk)
    missing = sorted(told["missing_keys"])
    if missing:
        shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise ValueError(
            f"{path} lacks {len(missing)} weights of {type(trunk).__name__} ({shown}); they would be random. Copy "
            "or save the model again, with all its *.safetensors"
        )
    return trunk


def _align(trunk: PreTrainedModel) -> None:
    """Weights lie in memory as those of a new model do: where a mapped file puts them, products round another way."""
    for tensor in (*trunk.parameters(), *trunk.buffers()):
        if tensor.device.type == "cpu" and tensor.data_ptr() % ALIGNED:
            tensor.data = tensor.data.clone()


def _auto_class(config: PreTrainedConfig) -> Any:
    """The multimodal class of an architecture where there is one, else that of a language model."""
    if isinstance(config, FusionConfig) and config.text_config is None:
        return FusionForPrediction
    return AutoModelForMultimodalLM if type(config) in MODEL_FOR_MULTIMODAL_LM_MAPPING else AutoModelForCausalLM
