"""ESC-10 from nothing: ten kinds of sound, each official fold in turn judged by a model of the others.

python -m benchmarks.family.esc10 --train FOLDER [--test FOLDER] --json FILE [--steps N] [--seed N]

With --test (a folder of the same form) one model learns from all folds of --train and judges that one. What is learnt
from are mixtures of two training clips with soft targets (1711.10282): a stretch of each, at a ratio by lot. A clip's
answer is the mean over stretches of it.
"""

import csv
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.family.command import begun, parser_of, write_figures
from benchmarks.family.sounds import Wave, log_mels, recordings_in
from benchmarks.family.tables import encoding_of, table_of
from harken.data.augment.media import Augmentation
from harken.data.augment.spectrogram import SpectrogramChange
from harken.data.blobs import Blobs
from harken.evaluate.metrics.exactness import exactness
from harken.models.fusion.build import FamilyConfig
from harken.models.predictor import Predictor
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.settings import SftConfig
from harken.pipeline.verbs import Workplace
from harken.train.optimizers import OptimizerConfig
from harken.train.sources import DemonstrationsConfig

RATE, CLASSES = 16_000, 10
STRETCH = int(2.5 * RATE)
"""Samples that a model hears at a time."""
MIXTURES, LISTENS = 6000, 5
"""Mixtures that are learnt from, and stretches of each clip that is judged."""


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
                "norm": "batch",
            }
        },
        fuse={"name": "joined", "layers": 0, "width": 128},
        heads={"sound": {"name": "classify", "classes": CLASSES}},
    )  # fmt: skip


def training(steps: int) -> SftConfig:
    """How it learns."""
    return SftConfig(
        DemonstrationsConfig(steps, batch=32),
        OptimizerConfig(
            rate=2e-3, muon_rate=0.0, weight_decay=0.05, warmup=steps // 10, decay="cosine", floor=0.0,
            precision="bfloat16",
        ),
        augment=Augmentation(audio=SpectrogramChange(bands=8, frames=30, masks=2, gain=0.1)),
    )  # fmt: skip


def loud_stretch(wave: Wave, chance: np.random.Generator) -> Wave:
    """A stretch of a clip by lot, without the silence that was put at its ends; a short clip goes round again."""
    sounding = np.flatnonzero(np.abs(wave) > 1e-4 * np.abs(wave).max())
    first, last = (int(sounding[0]), int(sounding[-1])) if len(sounding) else (0, len(wave))
    start = int(chance.integers(first, max(first + 1, last + 2 - STRETCH)))
    return np.resize(wave[start : min(start + STRETCH, last + 1)], STRETCH).astype(np.float32)


def mixtures(clips: Clips, count: int, seed: int) -> tuple[list[Wave], torch.Tensor]:
    """Mixtures of two clips each, and what share of each class is in them (1711.10282, section 3.2, without weighting).

    A third of them is one clip alone.
    """
    chance = np.random.default_rng(seed)
    waves, targets = [], np.zeros((count, CLASSES), np.float32)
    for n in range(count):
        one, other = chance.integers(len(clips.waves), size=2)
        share = 1.0 if n % 3 == 0 else float(chance.uniform())
        parts = []
        for number in (one, other):
            part = loud_stretch(clips.waves[number], chance)
            parts.append(part / max(float(np.sqrt(np.mean(part**2))), 1e-6))
        mixed = share * parts[0] + (1 - share) * parts[1]
        waves.append((0.1 * mixed / np.sqrt(share**2 + (1 - share) ** 2)).astype(np.float32))
        targets[n, clips.labels[one]] += share
        targets[n, clips.labels[other]] += 1 - share
    return waves, torch.from_numpy(targets)


def taught(clips: Clips, steps: int, seed: int) -> Predictor:
    """A model that has learnt from mixtures of clips."""
    model = new_predictor(family(), [], seed)
    waves, targets = mixtures(clips, MIXTURES, seed)
    table = table_of(model, {"audio": log_mels(model, waves)}, {"sound": targets})
    bar = tqdm(total=steps, desc="learning", disable=None)
    at = Workplace(Blobs(Path("runs") / "blobs"), seed, options={"on_step": lambda *_: bar.update()})
    learn(model, table, training(steps), at)
    bar.close()
    return model


def answers(model: Predictor, clips: Clips) -> torch.Tensor:
    """Each clip's class: the likeliest on average over stretches of it, (N,)."""
    chance = np.random.default_rng(0)
    total = torch.zeros(len(clips.waves), CLASSES)
    for _ in range(LISTENS):
        heard = []
        for wave in clips.waves:
            part = loud_stretch(wave, chance)
            heard.append(0.1 * part / max(float(np.sqrt(np.mean(part**2))), 1e-6))
        encoding = encoding_of(model, {"audio": log_mels(model, heard)})
        total += model.predict(encoding(range(len(heard))), 64)["sound.logits"].log_softmax(1)
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
