"""A tiny model of the family, and prompts of every mixture of modalities."""

from collections.abc import Sequence

import numpy as np
import torch

from harken.data.batch import EncodedPrompt
from harken.data.blobs import Blobs
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.processor import Processor
from harken.models.fusion.build import FamilyConfig, build
from harken.models.model import Model
from harken.types import Audio, Image, Message, Prompt, Text

TINY = FamilyConfig(
    encoders={
        "image": {"hidden": 16, "heads": 2, "patch_width": 4},
        "audio": {"hidden": 16, "heads": 2, "max_seconds": 4.0},
    },
    heads={"answer": {"hidden": 32, "layers": 2, "heads": 2, "intermediate": 48, "vocabulary": 300}},
)
CORPUS = ["Which number is it? It is 42.", "The picture shows 7, and the voice says 8."]


def tiny_model(seed: int = 0, config: FamilyConfig = TINY, corpus: Sequence[str] = CORPUS) -> Model:
    trunk, processor = build(config, corpus, seed)
    # Random weights from a wide distribution: else every log-probability is nearly that of a uniform choice.
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in trunk.parameters():
            if parameter.dim() > 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return Model(trunk.eval(), Processor(processor)).eval()


def prompts(blobs: Blobs, seed: int = 0) -> list[Prompt]:
    """Text alone; a picture; two pictures; a sound; a picture and a sound, in different orders and lengths."""
    rng = np.random.default_rng(seed)

    def picture(width: int) -> Image:
        return Image(blobs.put(encode_png(rng.integers(0, 255, (8, width, 3), dtype=np.uint8)), "image"))

    def sound(seconds: float) -> Audio:
        wave = (rng.standard_normal(int(16_000 * seconds)) * 0.1).astype(np.float32)
        return Audio(blobs.put(encode_wav(wave, 16_000), "audio"))

    parts = [
        (Text("Just words."),),
        (picture(8), Text("Which number?")),
        (Text("Are they"), picture(16), picture(24), Text(" the same?")),
        (sound(0.43), Text("What was said?")),
        (Text("Agree?"), sound(0.9), picture(16)),
    ]
    return [Prompt(f"p{i}", (Message("user", p),)) for i, p in enumerate(parts)]


def doubled(encoded: list[EncodedPrompt]) -> list[EncodedPrompt]:
    """The same prompts with their media in double precision."""
    return [
        EncodedPrompt(
            e.ids,
            e.per_token,
            {name: t.double() if t.is_floating_point() else t for name, t in e.media.items()},
            e.placeholders,
        )
        for e in encoded
    ]
