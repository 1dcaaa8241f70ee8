"""A small model of the family without a language head, and examples in memory for it."""

import torch

from harken.data.batch import EncodedPrompt
from harken.models.fusion.build import FamilyConfig
from harken.models.predictor import Predictor
from harken.pipeline.learn import new_predictor
from harken.train.examples import Table

IMAGE = {"name": "cnn", "height": 6, "width": 6, "stem": 4, "widths": (8,), "depth": 0, "pool": "mean"}
AUDIO = {"name": "log_mel_transformer", "hidden": 8, "heads": 2, "mels": 4, "max_seconds": 1.0}
HEADS = {"kind": {"name": "classify", "classes": 3}, "age": {"name": "regress", "weight": "learnt"}}
COUNT = 30


def family(**image: object) -> FamilyConfig:
    return FamilyConfig(
        encoders={"image": {**IMAGE, **image}, "audio": AUDIO}, fuse={"name": "gated", "width": 8}, heads=HEADS
    )


def predictor(seed: int = 0, **image: object) -> Predictor:
    return new_predictor(family(**image), ["a"], seed)


def table(model: Predictor) -> Table:
    """Every example has a picture, two of three a sound; a class is how bright it is, every fourth one is missing."""
    generator, ids = torch.Generator().manual_seed(0), model.processor.placeholders
    kinds = torch.arange(COUNT) % 3
    each = []
    for n, kind in enumerate(kinds.tolist()):
        pixels = (torch.rand(1, 1, 6, 6, generator=generator) * 0.3 + 0.3 * kind).clamp(0, 1)
        media, counts = {"pixel_values": pixels}, {"image": 1}
        if n % 3:
            frames = 6 + n % 5
            media["input_features"] = torch.randn(1, 4, frames, generator=generator)
            media["feature_lengths"] = torch.tensor([frames])
            counts["audio"] = 1
        row = [ids[modality] for modality, count in counts.items() for _ in range(count)]
        each.append(EncodedPrompt(torch.tensor(row), {}, media, counts))
    known = torch.where(torch.arange(COUNT) % 4 == 3, -1, kinds)
    return Table(lambda numbers: [each[i] for i in numbers], {"kind": known, "age": kinds.float()[:, None]}, COUNT)
