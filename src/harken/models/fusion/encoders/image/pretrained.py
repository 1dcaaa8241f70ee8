"""Pictures to tokens by a vision tower that was trained elsewhere: CLIP's (2103.00020), SigLIP's (2303.15343)."""

import json
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Num
from PIL import Image as Pillow
from torch import Tensor
from transformers import AutoImageProcessor

from harken.models.fusion.encoders.encoder import Picture
from harken.models.fusion.encoders.tower import TowerEncoder, blank, outline, read_configuration, states_of
from harken.models.fusion.stream import Stream

ROOM = "encoders.image"
CANVAS = ("height", "width", "pixel_mean", "pixel_std")
LONGEST = 50
"""How many times as long as wide a picture may be that a tower's own processor scales: by its shorter side, mostly."""


@dataclass(frozen=True)
class Pretrained(Picture):
    """Any vision tower of transformers; of a model of two towers, the vision tower.

    What is not said of the canvas is the tower's own.

    Attributes:
        path: the folder of the model. It is read when the family's model is made, and not needed any more then.
        freeze: whether the tower's weights stay as they are.
        layer: which of its hidden states; -1 the last with the tower's own norm, -2 the one before (2304.08485).
        preprocess: `own` has pictures prepared by the tower's image processor (it may cut off what is not in the
            middle); `family` puts them whole on a canvas of the tower's size.
        config: the tower's configuration, from the folder.
        processor: its image processor's settings, from the folder.
    """

    height: int = 0
    width: int = 0
    channels: int = 3
    pixel_mean: float | tuple[float, ...] = ()
    pixel_std: float | tuple[float, ...] = ()
    path: str = ""
    freeze: bool = True
    layer: int = -1
    preprocess: Literal["own", "family"] = "own"
    config: dict[str, Any] | None = None
    processor: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.config is None:
            for name, value in self._from_folder().items():
                object.__setattr__(self, name, value)
        super().__post_init__()
        try:
            self.shape  # noqa: B018
        except (ValueError, RuntimeError) as error:
            raise ValueError(
                f"{ROOM}: the tower of {self.path} does not take pictures of {self.height} x {self.width} with "
                f"{self.channels} channels ({error})"
            ) from error

    def _from_folder(self) -> dict[str, Any]:
        config = read_configuration(self.path, ROOM, "vision_config")
        try:
            own = AutoImageProcessor.from_pretrained(self.path)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"{ROOM}.path: {self.path} has no image processor ({error}); copy its preprocessor_config.json too"
            ) from error
        processor = json.loads(own.to_json_string())
        height, width = _prepare(own, np.zeros((64, 64, 3), np.uint8)).shape[1:]
        found = {"config": config, "processor": processor, "height": height, "width": width}
        said = {name: value for name in CANVAS if (value := getattr(self, name))}
        if self.preprocess == "family":
            normed = processor.get("do_normalize", True)
            mean, std = (processor["image_mean"], processor["image_std"]) if normed else (0.0, 1.0)
            return {**found, "pixel_mean": _numbers(mean), "pixel_std": _numbers(std), **said}
        if said:
            raise ValueError(
                f"{ROOM}: {' and '.join(said)} are the tower's own; leave them out, or say preprocess: family"
            )
        return {**found, "pixel_mean": 0.0, "pixel_std": 1.0}

    @cached_property
    def shape(self) -> tuple[int, int]:
        """How many states a picture has, and their width."""
        assert self.config is not None
        pixels = blank(self.config, 1, self.channels, self.height, self.width)
        with torch.no_grad():
            _, count, width = states_of(outline(self.config), pixels, self.layer).shape
        return count, width

    @property
    def tokens(self) -> int:
        """States of one picture, the tower's own first ones among them."""
        return self.shape[0]

    @cached_property
    def own(self) -> Any:
        """The tower's image processor."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "preprocessor_config.json").write_text(json.dumps(self.processor))
            return AutoImageProcessor.from_pretrained(folder)

    def prepared(self, picture: np.ndarray) -> Float[Tensor, "C H W"]:
        """A picture (h, w, 3) uint8 as the tower's image processor prepares it.

        Raises:
            ValueError: if it is so narrow that it would be scaled to a huge one, or comes out in another size.
        """
        height, width = picture.shape[:2]
        if max(height, width) > LONGEST * min(height, width):
            raise ValueError(
                f"a picture of {width} x {height} pixels is more than {LONGEST} times as long as wide: the image "
                "processor of the model's tower would cut nearly all of it off; leave it out, or say preprocess: family"
            )
        pixels = _prepare(self.own, picture)
        if pixels.shape != (self.channels, self.height, self.width):
            raise ValueError(
                f"the image processor of the model's tower made {tuple(pixels.shape)} of a picture, not "
                f"{(self.channels, self.height, self.width)}; say preprocess: family"
            )
        return pixels

    def build(self) -> "PretrainedImageEncoder":
        """The encoder, with random weights; `take_weights` fetches the tower's."""
        return PretrainedImageEncoder(self)


class PretrainedImageEncoder(TowerEncoder):
    """`pixel_values` (B, C, H, W) -> states (B, M, D)."""

    def __init__(self, settings: Pretrained):
        assert settings.config is not None
        super().__init__(settings.config, settings.path, settings.freeze)
        self.settings, self.width = settings, settings.shape[1]

    def room(self) -> str:
        """Where the recipe names it."""
        return ROOM

    def forward(self, media: Num[Tensor, "B C H W"], lengths: Tensor | None = None) -> Stream:
        """States of B pictures."""
        states = states_of(self.tower, self.as_weights(self.settings.normalised(media)), self.settings.layer)
        return Stream(states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device))


def _prepare(own: Any, picture: np.ndarray) -> Tensor:
    made: Tensor = own(images=[Pillow.fromarray(picture)], return_tensors="pt")["pixel_values"]
    return made[0]


def _numbers(said: Any) -> float | tuple[float, ...]:
    return tuple(float(value) for value in said) if isinstance(said, list | tuple) else float(said)
