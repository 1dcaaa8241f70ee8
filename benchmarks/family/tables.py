"""Media in memory as examples of a model of the family."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harken.data.batch import EncodedPrompt
from harken.models.fusion.tokenizer import PLACEHOLDERS
from harken.models.predictor import Predictor
from harken.train.examples import Encoding, Table

Media = Mapping[str, Sequence[Mapping[str, Tensor]]]
"""By modality, for each example its media tensors; empty where the example lacks the modality."""


def encoding_of(model: Predictor, media: Media) -> Encoding:
    """Encoded prompts that hold these media and no words.

    Args:
        model: what reads them; its parts say how many placeholders each medium has.
        media: by modality; an example may have several of one.
    """
    fuse, encoders = model.trunk.config.fuse_part(), model.trunk.config.encoder_parts()

    lengths = {"audio": "feature_lengths", "numbers": "series_lengths", "text": "text_lengths"}

    def tokens(modality: str, tensors: Mapping[str, Tensor]) -> int:
        length = encoders[modality].tokens
        if callable(length):
            return sum(int(fuse.tokens(length(int(n)))) for n in tensors[lengths[modality]])
        return int(fuse.tokens(length)) * len(tensors["pixel_values"])

    ids = model.processor.placeholders

    def one(number: int) -> EncodedPrompt:
        given = {modality: each[number] for modality, each in media.items() if each[number]}
        counts = {modality: tokens(modality, tensors) for modality, tensors in given.items()}
        row = [ids[modality] for modality, count in counts.items() for _ in range(count)]
        tensors = {name: tensor for each in given.values() for name, tensor in each.items()}
        return EncodedPrompt(torch.tensor(row, dtype=torch.long), {}, tensors, counts)

    return lambda numbers: [one(number) for number in numbers]


def table_of(model: Predictor, media: Media, targets: Mapping[str, Tensor]) -> Table:
    """Media with their targets."""
    count = len(next(iter(media.values())))
    return Table(encoding_of(model, media), targets, count)


def read(model: Predictor, texts: Sequence[str]) -> list[dict[str, Tensor]]:
    """What a model's text encoder reads of texts, each on its own.

    Args:
        model: with a text encoder.
        texts: any number, each with words in it.
    """
    read_each = [model.processor.hf(PLACEHOLDERS["text"] + text) for text in texts]
    return [{name: made[name] for name in ("text_ids", "text_lengths")} for made in read_each]
