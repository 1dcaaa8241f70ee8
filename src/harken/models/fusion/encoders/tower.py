"""An encoder that was trained elsewhere: a Hugging Face model's configuration, its states and its weights."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoConfig, AutoModel, PreTrainedModel

from harken.models.fusion.encoders.encoder import Encoder

UNREAD = ("pooler", "head", "masked_spec_embed")
"""What the names of weights begin with that a tower may lack: none of them is between a medium and its states."""


def read_configuration(path: str, room: str, part: str = "") -> dict[str, Any]:
    """A tower's configuration from its folder, as plain data.

    Args:
        path: the folder.
        room: of the recipe, for errors.
        part: the name of the tower's part in the configuration of a model of several, such as `vision_config`.

    Raises:
        ValueError: if there is no such folder, or transformers does not know what it holds.
    """
    if not path or not (Path(path) / "config.json").is_file():
        where = f"{path} holds no config.json" if path else "it is empty"
        raise ValueError(f"{room}.path: {where}; give the folder of a Hugging Face model")
    try:
        whole = AutoConfig.from_pretrained(path)
    except OSError as error:
        raise ValueError(f"{room}.path: the config.json of {path} is broken ({error}); copy the model again") from error
    config = getattr(whole, part, whole) if part else whole  # transformers' object, not ours
    kept: dict[str, Any] = json.loads(config.to_json_string())
    return {"model_type": config.model_type, **{k: v for k, v in kept.items() if k not in ("architectures", "dtype")}}


def make_tower(config: Mapping[str, Any]) -> PreTrainedModel:
    """A tower with random weights; of a model that also decodes, its encoder."""
    said = dict(config)
    model = AutoModel.from_config(CONFIG_MAPPING[said.pop("model_type")](**said))
    tower = model.get_encoder() if model.config.is_encoder_decoder else model
    assert isinstance(tower, PreTrainedModel)
    return tower


def outline(config: Mapping[str, Any]) -> PreTrainedModel:
    """A tower without weights, from which the shapes of its states can be seen; made once for each configuration."""
    return _outline(json.dumps(config, sort_keys=True))


@cache
def _outline(config: str) -> PreTrainedModel:
    with torch.device("meta"):
        return make_tower(json.loads(config)).eval()


def blank(config: Mapping[str, Any], *shape: int) -> Tensor:
    """What a tower's outline could be given, without numbers, whatever torch's own precision is while a model loads."""
    return torch.zeros(shape, device="meta", dtype=outline(config).dtype)


def states_of(tower: PreTrainedModel, media: Tensor, layer: int) -> Float[Tensor, "B M D"]:
    """The states of a layer; a map of cells is read row by row.

    Args:
        tower: the model.
        media: what it takes first.
        layer: -1 for the last, as the tower ends it; else an index into all of its hidden states.

    Raises:
        ValueError: if there is no such layer.
    """
    if layer == -1:
        states = tower(media).last_hidden_state
    else:
        found = tower(media, output_hidden_states=True).hidden_states or ()
        if not -len(found) <= layer < len(found):
            raise ValueError(f"layer {layer} is none of the tower's {len(found)} hidden states")
        states = found[layer]
    return states.flatten(2).transpose(1, 2) if states.dim() == 4 else states


def counts_of(tower: Any, lengths: Int[Tensor, "*B"]) -> Int[Tensor, "*B"]:
    """How many states a tower makes of clips of so many frames or samples."""
    counts: Tensor = tower._get_feat_extract_output_lengths(lengths)
    return counts


class TowerEncoder(Encoder):
    """An encoder around a tower that was trained elsewhere.

    Attributes:
        tower: the Hugging Face model.
        path: the folder that its weights come from.
        freeze: whether they stay as they are.
    """

    def __init__(self, config: Mapping[str, Any], path: str, freeze: bool):
        super().__init__()
        self.tower, self.path, self.freeze = make_tower(config), path, freeze
        self.train(self.training)

    def train(self, mode: bool = True) -> "TowerEncoder":
        """As in torch, but a frozen tower stays frozen, and without dropout."""
        super().train(mode)
        if self.freeze:
            # Here, and not once for all: transformers puts new parameters in the place of these when it loads a model.
            self.tower.eval().requires_grad_(False)
        return self

    @abstractmethod
    def room(self) -> str:
        """Where the recipe names it, for errors."""

    def take_weights(self) -> None:
        """The weights of the folder, once, when the family's model is made.

        Raises:
            ValueError: if the folder lacks some of them, or has none in safetensors.
        """
        try:
            whole, told = AutoModel.from_pretrained(
                self.path, dtype=torch.float32, use_safetensors=True, output_loading_info=True
            )
        except OSError as error:
            raise ValueError(f"{self.room()}.path: no weights in safetensors in {self.path} ({error})") from error
        prefix, found = next((name, m) for name, m in whole.named_modules() if type(m) is type(self.tower))
        inside = f"{prefix}." if prefix else ""
        mine = (name.removeprefix(inside) for name in told["missing_keys"] if name.startswith(inside))
        missing = sorted(name for name in mine if not name.startswith(UNREAD))
        if missing:
            raise ValueError(f"{self.room()}.path: {self.path} lacks {', '.join(missing[:5])}; they would be random")
        self.tower.load_state_dict(found.state_dict())
