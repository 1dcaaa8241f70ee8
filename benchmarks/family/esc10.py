"""ESC-10 from nothing: ten kinds of sound, each official fold in turn judged by a model of the others.

python -m benchmarks.family.esc10 --train FOLDER [--test FOLDER] --json FILE [--steps N] [--seed N]

With --test (a folder of the same form) one model learns from all folds of --train and judges that one. What is learnt
from are mixtures of two training clips with soft targets (1710.09412): a stretch of each, at a ratio by lot. A clip's
answer is the mean over stretches of it.
"""

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.family.command import begun, parser_of, write_figures
from benchmarks.family.sounds import Wave, log_mels, recordings_in
from benchmarks.family.training import trained, up_and_down
from harken.data.augment.media import Augmentation
from harken.data.augment.spectrogram import SpectrogramChange
from harken.data.batch import EncodedPrompt
from harken.evaluate.metrics.exactness import exactness
from harken.models.fusion.build import FamilyConfig
from harken.models.predictor import Predictor
from harken.pipeline.learn import new_predictor
from harken.pipeline.settings import SftConfig
from harken.train.examples import Table
from harken.train.sources import DemonstrationsConfig

RATE, CLASSES = 16_000, 10
FRAMES = 256
"""Log-mel frames of 10 ms that a model hears at a time."""
STRETCH = FRAMES * RATE // 100
BATCH, MIXED, LISTENS = 32, 0.5, 10
"""Mixtures a step, of shares by Beta(.5, .5); and stretches of each clip that is judged."""


@dataclass(frozen=True)
class Clips:
    """Clips with their folds and classes."""

    waves: list[Wave]
    folds: np.ndarray
    labels: np.ndarray

    def part(self, chosen: np.ndarray) -> "Clips":
        """Some of them, by a mask."""
        return Clips([self.waves[i] for i in np.flatnonzero(chosen)], self.folds[chosen], self.labels[chosen])


def read_clips(folder: Path) -> Clips:
    """The clips of a folder's zips, as its manifest names them.

    Raises:
        FileNotFoundError: if there is no manifest or no zip.
    """
    manifest, archives = folder / "manifest.csv", sorted(folder.glob("*.zip"))
    if not manifest.is_file() or not archives:
        raise FileNotFoundError(f"{folder} holds no manifest.csv (file, fold, label) or no zip of clips")
    sounds = {name: wave for archive in archives for name, wave in recordings_in(archive, RATE)}
    with manifest.open() as file:
        rows = [row for row in csv.DictReader(file) if row["file"] in sounds]
    return Clips(
        [sounds[row["file"]] for row in rows],
        np.array([int(row["fold"]) for row in rows]),
        np.array([int(row["label"]) for row in rows]),
    )


def family() -> FamilyConfig:
    """A convolutional encoder of log-mel frames, and ten classes on the mean of its states."""
    return FamilyConfig(
        encoders={
            "audio": {
                "name": "log_mel_cnn", "mels": 64, "max_seconds": 6, "widths": (16, 32, 64, 128), "strides": (2,) * 4,
                "norm": "batch", "pool": "mean_max",
            }
        },
        fuse={"name": "joined", "layers": 0, "width": 128},
        heads={"sound": {"name": "classify", "classes": CLASSES}},
    )  # fmt: skip


def training(steps: int) -> SftConfig:
    """How it learns."""
    return SftConfig(
        DemonstrationsConfig(steps, batch=BATCH),
        up_and_down(steps // 10),
        augment=Augmentation(audio=SpectrogramChange(bands=8, frames=30, masks=2, gain=0.1)),
    )


def heard(model: Predictor, clips: Clips) -> list[torch.Tensor]:
    """Log-mel frames of each clip, (F, T): equally loud, without the silence that was put at its ends.

    A clip that is shorter than a stretch goes round again.
    """
    waves = []
    for wave in clips.waves:
        sounding = np.flatnonzero(np.abs(wave) > 1e-4 * np.abs(wave).max())
        part = wave[sounding[0] : sounding[-1] + 1] if len(sounding) else wave
        whole = np.resize(part, max(len(part), STRETCH))
        waves.append((0.1 * whole / max(float(np.sqrt(np.mean(whole**2))), 1e-6)).astype(np.float32))
    return [made["input_features"][0] for made in log_mels(model, waves)]


def stretch(frames: torch.Tensor, chance: np.random.Generator) -> torch.Tensor:
    """A stretch of a clip by lot, (F, FRAMES)."""
    start = int(chance.integers(0, frames.shape[1] - FRAMES + 1))
    return frames[:, start : start + FRAMES]


def encoded(model: Predictor, features: torch.Tensor) -> EncodedPrompt:
    """A stretch as the model's only medium."""
    count = int(model.trunk.config.encoder_parts()["audio"].tokens(FRAMES))
    row = torch.full((count,), model.processor.placeholders["audio"])
    media = {"input_features": features[None], "feature_lengths": torch.tensor([FRAMES])}
    return EncodedPrompt(row, {}, media, {"audio": count})


def mixtures(model: Predictor, clips: Clips, count: int, seed: int) -> Table:
    """Mixtures of stretches of two clips each, with what share of each class is in them (mixup, 1710.09412).

    They are made when they are asked for, from lots of their own.
    """
    chance, frames = np.random.default_rng(seed), heard(model, clips)
    pairs, shares = chance.integers(len(frames), size=(count, 2)), chance.beta(MIXED, MIXED, count)
    targets = torch.zeros(count, CLASSES)
    for side, weights in ((0, shares), (1, 1 - shares)):
        classes = torch.from_numpy(clips.labels[pairs[:, side]])
        targets[torch.arange(count), classes] += torch.from_numpy(weights).float()

    def mixed(number: int) -> EncodedPrompt:
        lots = np.random.default_rng([seed, number])
        one, other = (stretch(frames[int(clip)], lots) for clip in pairs[number])
        return encoded(model, float(shares[number]) * one + float(1 - shares[number]) * other)

    return Table(lambda numbers: [mixed(number) for number in numbers], {"sound": targets}, count)


def taught(clips: Clips, steps: int, seed: int) -> Predictor:
    """A model that has learnt from mixtures of clips, each seen once."""
    model = new_predictor(family(), [], seed)
    return trained(model, mixtures(model, clips, steps * BATCH, seed), training(steps), seed)


def answers(model: Predictor, clips: Clips) -> torch.Tensor:
    """Each clip's class: the likeliest on average over stretches of it, (N,)."""
    chance, frames = np.random.default_rng(0), heard(model, clips)
    total = torch.zeros(len(frames), CLASSES)
    for _ in range(LISTENS):
        said = model.predict([encoded(model, stretch(each, chance)) for each in frames], 64)
        total += said["sound.logits"].log_softmax(1)
    return total.argmax(1)


def main() -> None:
    """Learn, judge, print and write."""
    parser = parser_of(__doc__, "folder with manifest.csv and foldN.zip", "folder of the same form")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    said = begun(parser)
    started, clips = time.monotonic(), read_clips(said.train)
    parts: dict[str, torch.Tensor] = {}
    if said.test:
        judged = read_clips(said.test)
        found = answers(taught(clips, said.steps, said.seed), judged)
        parts["test"] = found == torch.from_numpy(judged.labels)
    else:
        for fold in sorted(set(clips.folds.tolist())):
            judged = clips.part(clips.folds == fold)
            found = answers(taught(clips.part(clips.folds != fold), said.steps, said.seed), judged)
            parts[f"fold {fold}"] = found == torch.from_numpy(judged.labels)
            print(f"fold {fold}: {float(parts[f'fold {fold}'].float().mean()):.3f}", flush=True)
    share = exactness(torch.cat(list(parts.values())).numpy())
    figures = {
        "accuracy": round(share.rate, 4),
        "interval": [round(share.low, 4), round(share.high, 4)],
        "parts": {name: round(float(right.float().mean()), 4) for name, right in parts.items()},
        "clips": share.count,
        "minutes": round((time.monotonic() - started) / 60, 2),
        "seed": said.seed,
    }
    write_figures(said.json, figures)
    print(f"accuracy {share.rate:.4f} ({share.low:.4f} to {share.high:.4f})")


if __name__ == "__main__":
    main()
