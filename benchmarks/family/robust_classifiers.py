"""Classifiers of pictures and of sounds under attack, before and after adversarial training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.family.cifar10 import split
from benchmarks.family.pictures import read_pictures
from benchmarks.family.sounds import Wave, recordings_in, with_samples
from benchmarks.family.tables import table_of
from benchmarks.family.training import up_and_down
from benchmarks.family.work import in_work
from benchmarks.reward.intervals import over_draws
from harken.data.augment.media import Augmentation
from harken.data.augment.picture import PictureChange
from harken.data.batch import Batch
from harken.evaluate.metrics.bootstrap import bootstrap_interval
from harken.evaluate.metrics.exactness import exactness
from harken.models.fusion.build import FamilyConfig
from harken.models.hearing import Hearing
from harken.models.predictor import Predictor
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.settings import SftConfig
from harken.train.adversarial import Attack, attacked
from harken.train.examples import Table
from harken.train.sources import DemonstrationsConfig
from harken.train.tasks import tasks_of

EPS, NOISE = 4 / 255, 0.01
"""The balls: so far a pixel; so much of a sound's root mean square, which is an SNR of 40 dB."""
PICTURES = Attack({"pixel_values": EPS})
SOUNDS = Attack({"samples": NOISE}, norm="snr")
CLASSES, RATE, JUDGED = 10, 8_000, 1000


@dataclass(frozen=True)
class Job:
    """A classifier and what it reads.

    Attributes:
        name: for the table.
        family: its parts.
        learnt: media and classes that are learnt from.
        judged: the same of those that judge.
        attack: FGSM in its ball.
        training: how it learns, without an attack.
        practice: the steps of the attack that it is trained against.
    """

    name: str
    family: FamilyConfig
    learnt: tuple[list[dict[str, Tensor]], Tensor]
    judged: tuple[list[dict[str, Tensor]], Tensor]
    attack: Attack
    training: SftConfig
    practice: int

    @property
    def modality(self) -> str:
        """The one that it reads."""
        return next(iter(self.family.encoders))


def attacks(plain: Attack, steps: int) -> dict[str, Attack | None]:
    """What each model is judged under."""
    return {"clean": None, "FGSM": plain, f"PGD-{steps}": replace(plain, steps=steps)}


def training(steps: int, batch: int, augment: Augmentation) -> SftConfig:
    """How both learn: AdamW up and down once."""
    return SftConfig(
        DemonstrationsConfig(steps, batch=batch),
        up_and_down(max(1, steps // 5), rate=3e-3, decay="linear"),
        augment=augment,
    )


def pictures(train: Path, test: Path | None, steps: int) -> Job:
    """CIFAR-10 by a small residual network."""
    learnt, kept = split(read_pictures(train / "cifar10", "train"))
    judged = read_pictures(test / "cifar10", "test") if test else kept

    def media(pixels: Tensor) -> list[dict[str, Tensor]]:
        return [{"pixel_values": picture[None]} for picture in pixels]

    seen = {"height": 32, "width": 32, "channels": 3, "pixel_mean": 0.473, "pixel_std": 0.25}
    network = {"name": "cnn", **seen, "widths": (32, 64, 128), "depth": 1, "norm": "batch", "pool": "max"}
    family = FamilyConfig(
        encoders={"image": network},
        fuse={"name": "joined", "layers": 0, "width": 128},
        heads={"class": {"name": "classify", "classes": CLASSES}},
    )
    held = (media(judged.pixels[:JUDGED]), judged.labels[:JUDGED])
    how = training(steps, 256, Augmentation(image=PictureChange(flip=True, shift=2)))
    return Job("pictures (CIFAR-10)", family, (media(learnt.pixels), learnt.labels), held, PICTURES, how, 2)


def digits_said(folder: Path) -> list[tuple[str, int, Wave]]:
    """All recordings of a folder of FSDD: which, the digit, the sound.

    Raises:
        FileNotFoundError: if there are none.
    """
    archives = sorted((folder / "fsdd").glob("*.zip"))
    if not archives:
        raise FileNotFoundError(f"{folder} must hold fsdd/*.zip")
    found = [(name, int(name[0]), wave) for archive in archives for name, wave in recordings_in(archive, RATE)]
    return [one for one in found if np.abs(one[2]).max() > 0]


def sounds(train: Path, test: Path | None, steps: int) -> Job:
    """Spoken digits by a small network on log-mel frames; without a test folder each fifth recording judges."""
    encoder = {"name": "log_mel_cnn", "rate": RATE, "mels": 40, "max_seconds": 4, "widths": (16, 32, 64)}
    family = FamilyConfig(
        encoders={"audio": encoder},
        fuse={"name": "joined", "layers": 0, "width": 64},
        heads={"class": {"name": "classify", "classes": CLASSES}},
    )
    reader, said = new_predictor(family, [], 0), digits_said(train)
    order = np.random.default_rng(0).permutation(len(said)).tolist()
    apart = [said[n] for n in order[: len(said) // 5]]
    learnt = said if test else [said[n] for n in order[len(said) // 5 :]]
    judged = digits_said(test) if test else apart
    if test:
        judged = [judged[n] for n in np.random.default_rng(0).permutation(len(judged)).tolist()]

    def heard(chosen: Sequence[tuple[str, int, Wave]]) -> tuple[list[dict[str, Tensor]], Tensor]:
        return with_samples(reader, [wave for _, _, wave in chosen]), torch.tensor([digit for _, digit, _ in chosen])

    how = training(steps, 64, Augmentation())
    return Job("sounds (FSDD)", family, heard(learnt), heard(judged[:JUDGED]), SOUNDS, how, 3)


def batches(model: Predictor, media: Sequence[dict[str, Tensor]], labels: Tensor, modality: str) -> Iterator[Batch]:
    """What judges, some at a time."""
    table: Table = table_of(model, {modality: media}, {"class": labels})
    for start in range(0, table.count, 125):
        yield table.batch_of(range(start, min(start + 125, table.count)), model.processor.pad_id)


def judge(model: Predictor, job: Job, attack: Attack | None, seed: int) -> tuple[Tensor, float]:
    """Which answers are right, and how far the farthest medium was moved, in radii."""
    module = Hearing(model, model.processor) if job.modality == "audio" else model
    objective = tasks_of(model.trunk.config.head_parts())
    generator, right, farthest = torch.Generator().manual_seed(seed), [], 0.0
    name = next(iter(job.attack.radius))
    for batch in batches(model, *job.judged, job.modality):
        asked = batch if attack is None else attacked(module, objective, batch, attack, generator)
        clean = batch.prompts.media[name]
        clean = clean.double() if clean.is_floating_point() else clean.double() / 255
        away = (asked.prompts.media[name].double() - clean).flatten(1) if attack else torch.zeros(1, 1)
        size = away.abs().amax(1) if job.modality == "image" else away.norm(dim=1) / clean.flatten(1).norm(dim=1)
        farthest = max(farthest, float((size / job.attack.radius[name]).max()))
        with torch.no_grad():
            said = module(asked, objective.needs).heads["class.logits"]
        right.append(said.argmax(1) == batch.labels["class"])
    return torch.cat(right), farthest


def classifier(job: Job, seeds: int, steps: int, work: Path | None) -> dict[str, Any]:
    """A job's table: by training and attack, the accuracy with its interval over media, and over seeds if several."""
    table: dict[str, Any] = {}
    trainings = {"before": job.training, "after": replace(job.training, attack=replace(job.attack, steps=job.practice))}
    for when, how in trainings.items():
        right: dict[str, list[Tensor]] = {}
        far = 0.0
        for seed in range(seeds):
            model = new_predictor(job.family, [], seed)
            folder = work / f"{job.modality}-{when}-{seed}" if work else None
            with in_work(folder, f"{job.modality} {when}", seed) as (at, _):
                learn(model, table_of(model, {job.modality: job.learnt[0]}, {"class": job.learnt[1]}), how, at)
            for name, attack in attacks(job.attack, steps).items():
                found, farthest = judge(model, job, attack, seed)
                right.setdefault(name, []).append(found)
                far = max(far, farthest)
        table[when] = {name: _told(each) for name, each in right.items()} | {"farthest, in radii": round(far, 6)}
        for name in right:
            told = table[when][name]
            print(f"{job.name:20s} {when:7s} {name:8s} {told['accuracy']} {told['interval']}", flush=True)
    return table


def _told(each: Sequence[Tensor]) -> dict[str, Any]:
    share = exactness(torch.cat(list(each)).numpy())
    told: dict[str, Any] = {"accuracy": round(share.rate, 4), "interval": [round(share.low, 4), round(share.high, 4)]}
    if len(each) > 1:
        # The same media were judged by each seed's model: a medium is drawn with all of its answers.
        low, high = bootstrap_interval(torch.stack(list(each)).double().mean(0).numpy())
        told["interval"] = [round(low, 4), round(high, 4)]
        told["interval over seeds"] = over_draws([float(right.float().mean()) for right in each])[1:]
    return told
