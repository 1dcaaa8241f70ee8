"""CIFAR-10 from nothing on two cores: a residual network of the family.

python -m benchmarks.family.cifar10 --train FOLDER [--test FOLDER] --json FILE [--work FOLDER] [--epochs N] [--seed N]

Without --test, 5,000 pictures of the training folder that are not learnt from are the held-out part. The answer is the
mean of a picture's and its mirror image's. Stopped and started again with the same --work, it goes on where it was.
"""

import time

import torch
from torch import Tensor

from benchmarks.family.command import begun, parser_of, resumable, write_figures
from benchmarks.family.pictures import CLASSES, Pictures, read_pictures
from benchmarks.family.tables import encoding_of, table_of
from benchmarks.family.training import up_and_down
from benchmarks.family.work import in_work
from harken.data.augment.media import Augmentation
from harken.data.augment.picture import PictureChange
from harken.evaluate.metrics.exactness import exactness
from harken.models.fusion.build import FamilyConfig
from harken.models.predictor import Predictor
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.settings import SftConfig
from harken.train.sources import DemonstrationsConfig

HELD_OUT, SPLIT, BATCH = 5000, 1, 512
"""How many pictures are kept for choosing, the seed that chooses them, and pictures a step."""


def family(widths: tuple[int, ...] = (64, 256, 256), smoothing: float = 0.2) -> FamilyConfig:
    """A residual network, and ten classes on its last map's largest values."""
    seen = {"height": 32, "width": 32, "channels": 3, "pixel_mean": 0.473, "pixel_std": 0.25}
    network = {"name": "cnn", **seen, "widths": widths, "depth": 2, "norm": "batch", "pool": "max"}
    return FamilyConfig(
        encoders={"image": network},
        fuse={"name": "joined", "layers": 0, "width": widths[-1]},
        heads={"object": {"name": "classify", "classes": CLASSES, "label_smoothing": smoothing}},
    )


def training(steps: int) -> SftConfig:
    """How it learns: AdamW up and down once, pictures mirrored and moved."""
    return SftConfig(
        DemonstrationsConfig(steps, batch=BATCH),
        up_and_down(max(1, steps // 5), rate=3e-3, decay="linear"),
        augment=Augmentation(image=PictureChange(flip=True, shift=2)),
    )


def logits_of(model: Predictor, pixels: Tensor) -> Tensor:
    """What the model says of pictures, the mean with their mirror images, (N, C)."""
    found = torch.zeros(len(pixels), CLASSES)
    for view in (pixels, pixels.flip(3)):
        encoding = encoding_of(model, {"image": [{"pixel_values": picture[None]} for picture in view]})
        found += model.predict(encoding(range(len(view))), 500)["object.logits"]
    return found / 2


def split(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """What is learnt from, and what is kept for choosing."""
    order = torch.randperm(len(pictures.labels), generator=torch.Generator().manual_seed(SPLIT))
    return pictures.part(order[HELD_OUT:]), pictures.part(order[:HELD_OUT])


def main() -> None:
    """Train, judge, print and write."""
    parser = parser_of(__doc__, "folder with train.npz", "folder with test.npz of the same form")
    resumable(parser, 30.0)
    said = begun(parser)
    learnt, kept = split(read_pictures(said.train, "train"))
    judged = read_pictures(said.test, "test") if said.test else kept
    model = new_predictor(family(), [], said.seed)
    media = {"image": [{"pixel_values": picture[None]} for picture in learnt.pixels]}
    table = table_of(model, media, {"object": learnt.labels})
    config = training(round(said.epochs * table.count / BATCH))
    with in_work(said.work, "cifar10", said.seed) as (at, spent):
        start = time.monotonic()
        learn(model, table, config, at)
        minutes = spent() + (time.monotonic() - start) / 60
    right = logits_of(model, judged.pixels).argmax(1) == judged.labels
    share = exactness(right.numpy())
    figures = {
        "accuracy": round(share.rate, 4),
        "interval": [round(share.low, 4), round(share.high, 4)],
        "minutes": round(minutes, 2),
        "pictures": len(judged.labels),
        "held_out": "test folder" if said.test else f"{HELD_OUT} of train",
        "epochs": said.epochs,
        "seed": said.seed,
        "weights": sum(p.numel() for p in model.parameters()),
    }
    write_figures(said.json, figures)
    print(f"accuracy {share.rate:.4f} ({share.low:.4f} to {share.high:.4f}), {figures['minutes']} minutes")


if __name__ == "__main__":
    main()
