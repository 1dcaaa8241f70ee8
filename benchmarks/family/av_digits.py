"""Digits seen badly and heard badly: what each way of joining gains, and what is left of it with a modality missing.

python -m benchmarks.family.av_digits --train FOLDER [--test FOLDER] --json FILE [--seeds N] [--steps N] [--work FOLDER]

FOLDER holds mnist, fsdd and esc10. Pictures are MNIST on their first 4 principal components (a quarter of their
energy); sounds are the first second of FSDD's voices with ESC-10's noise at 0 and -5 dB. Each speaker in turn is the
one that nobody has learnt from; with --test (a folder of the same form) its speakers, pictures and noises judge, and
all of --train is learnt from. What was judged is kept in --work, and a second start goes on from there; with
--speakers several starts share the voices among them.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.signal import resample_poly
from torch import Tensor
from tqdm import tqdm

import harken.models.fusion.fuse
from benchmarks.family.command import begun, parser_of, write_figures
from benchmarks.family.sounds import Wave, log_mels, recordings_in
from benchmarks.family.tables import encoding_of, table_of
from benchmarks.family.training import up_and_down
from benchmarks.reward.intervals import over_draws
from harken.data.augment.media import Augmentation
from harken.data.augment.spectrogram import SpectrogramChange
from harken.data.blobs import Blobs
from harken.evaluate.metrics.exactness import exactness
from harken.models.fusion import parts
from harken.models.fusion.build import FamilyConfig
from harken.models.predictor import Predictor
from harken.pipeline.artefact import digest, write_text
from harken.pipeline.learn import learn, new_predictor
from harken.pipeline.settings import SftConfig
from harken.pipeline.verbs import Workplace
from harken.train.sources import DemonstrationsConfig

RATE, DIGITS, COMPONENTS = 8_000, 10, 4
SNRS = (0, -5)
LEARNT = 24_000
"""Pairs that are learnt from; each has a picture, a voice, a noise and a loudness by lot."""
RATES = {"fuse": 0.25}
"""Of what joins, whichever it is: at the encoders' own rate attention over few voices learns the voices."""
IMAGE, AUDIO = "image", "audio"
MISSING = {"both": (), "no picture": (IMAGE,), "no sound": (AUDIO,)}


@dataclass(frozen=True)
class World:
    """What pairs are made of.

    Attributes:
        pictures: MNIST, (N, 784) in 0..1.
        digits: of the pictures, (N,).
        voices: by speaker, the digit and the sound of each recording.
        noises: ESC-10's clips.
    """

    pictures: np.ndarray
    digits: np.ndarray
    voices: dict[str, list[tuple[int, Wave]]]
    noises: list[Wave]

    @cached_property
    def contents(self) -> str:
        """A hash of all of it."""
        out = hashlib.sha256()
        voices = [wave for _, each in sorted(self.voices.items()) for _, wave in each]
        digits = np.array([digit for _, each in sorted(self.voices.items()) for digit, _ in each])
        for array in (self.pictures, self.digits, digits, *voices, *self.noises):
            out.update(np.ascontiguousarray(array).tobytes())
        return out.hexdigest()

    def of(self, speakers: set[str]) -> "World":
        """The same with these speakers alone."""
        return World(self.pictures, self.digits, {s: self.voices[s] for s in speakers}, self.noises)


def read_world(folder: Path) -> World:
    """A folder's pictures, voices and noises.

    Raises:
        FileNotFoundError: naming what is not there.
    """
    found = sorted((folder / "mnist").glob("t*.npz"))
    voices, noises = sorted((folder / "fsdd").glob("*.zip")), sorted((folder / "esc10").glob("*.zip"))
    if not (found and voices and noises):
        raise FileNotFoundError(f"{folder} must hold mnist/train.npz (or test.npz), fsdd/*.zip and esc10/*.zip")
    with np.load(found[0], allow_pickle=False) as arrays:
        name = "images" if "images" in arrays.files else arrays.files[0]
        pictures, digits = arrays[name].reshape(len(arrays["labels"]), -1) / 255.0, arrays["labels"].astype(np.int64)
    said = {path.stem: [(int(name[0]), wave[:RATE]) for name, wave in recordings_in(path, RATE)] for path in voices}
    heard = [wave for path in noises for _, wave in recordings_in(path, RATE)]
    return World(pictures.astype(np.float32), digits, said, [wave for wave in heard if np.abs(wave).max() > 0])


@dataclass(frozen=True)
class Squeeze:
    """The first principal components of pictures: the mean, (784,), and the directions, (4, 784)."""

    mean: np.ndarray
    directions: np.ndarray

    @staticmethod
    def of(pictures: np.ndarray) -> "Squeeze":
        """Fitted on pictures that are learnt from."""
        mean = pictures.mean(0)
        _, vectors = np.linalg.eigh(np.cov((pictures - mean).T))
        return Squeeze(mean, vectors[:, ::-1][:, :COMPONENTS].T.astype(np.float32))

    def __call__(self, picture: np.ndarray) -> Tensor:
        """What is left of a picture, (1, 1, 28, 28)."""
        left = self.mean + (picture - self.mean) @ self.directions.T @ self.directions
        return torch.from_numpy(left.astype(np.float32)).clamp(0, 1).view(1, 1, 28, 28)


def noisy(wave: Wave, noise: Wave, snr: float, chance: np.random.Generator) -> Wave:
    """A voice with a stretch of noise at a ratio of energies in dB."""
    start = int(chance.integers(0, max(1, len(noise) - len(wave))))
    under = np.resize(noise[start : start + len(wave)], len(wave))
    if not np.abs(under).max() > 0:
        under = np.resize(noise, len(wave))
    scale = np.sqrt(np.mean(wave**2) / max(float(np.mean(under**2)), 1e-12) / 10 ** (snr / 10))
    mixed = wave + scale * under
    return (mixed / max(float(np.abs(mixed).max()), 1e-9)).astype(np.float32)


def other_voice(wave: Wave, chance: np.random.Generator) -> Wave:
    """As another throat would say it: higher and quicker, or lower and slower, by up to 18 %."""
    return np.asarray(resample_poly(wave, 100, int(chance.integers(85, 119))), np.float32)


@dataclass(frozen=True)
class Pairs:
    """Pictures and sounds of the same digits, as the model reads them."""

    media: dict[str, list[dict[str, Tensor]]]
    digits: Tensor

    def without(self, missing: tuple[str, ...]) -> dict[str, list[dict[str, Tensor]]]:
        """The media with some modalities absent."""
        return {m: [{} for _ in each] if m in missing else each for m, each in self.media.items()}


def pairs_of(
    world: World, model: Predictor, squeeze: Squeeze, seed: int, snr: float | None = None, count: int = 0
) -> Pairs:
    """Pairs by lot.

    Args:
        world: what they are made of.
        model: whose processor makes frames.
        squeeze: of the pictures.
        seed: of the lots.
        snr: of all; by lot from -6 to 6, in other voices too, if None (to learn from).
        count: how many; each recording once if 0.
    """
    chance = np.random.default_rng(seed)
    said = [one for each in world.voices.values() for one in each]
    chosen = chance.integers(len(said), size=count) if count else np.arange(len(said))
    by_digit = [np.flatnonzero(world.digits == digit) for digit in range(DIGITS)]
    waves, pictures, digits = [], [], []
    for number in chosen:
        digit, wave = said[int(number)]
        wave = other_voice(wave, chance) if snr is None else wave
        loudness = float(chance.uniform(-6, 6)) if snr is None else snr
        waves.append(noisy(wave, world.noises[int(chance.integers(len(world.noises)))], loudness, chance))
        pictures.append({"pixel_values": squeeze(world.pictures[int(chance.choice(by_digit[digit]))])})
        digits.append(digit)
    return Pairs({IMAGE: pictures, AUDIO: log_mels(model, waves)}, torch.tensor(digits))


def family(modalities: tuple[str, ...], fuse: Mapping[str, Any]) -> FamilyConfig:
    """Encoders of what is given, one way of joining them, ten classes."""
    encoders = {
        IMAGE: {
            "name": "cnn", "height": 28, "width": 28, "stem": 16, "widths": (32, 64), "depth": 1, "norm": "batch",
            "pool": "mean",
        },
        AUDIO: {
            "name": "log_mel_cnn", "rate": RATE, "mels": 32, "max_seconds": 1, "widths": (16, 32, 64),
            "strides": (3, 2, 2), "norm": "batch",
        },
    }  # fmt: skip
    return FamilyConfig(
        encoders={m: encoders[m] for m in modalities},
        fuse={"width": 96, **fuse},
        heads={"digit": {"name": "classify", "classes": DIGITS, "label_smoothing": 0.1}},
    )


def training(steps: int, joins: bool) -> SftConfig:
    """How all of them learn."""
    return SftConfig(
        DemonstrationsConfig(steps, batch=64),
        replace(up_and_down(steps // 10), parts=RATES if joins else {}),
        augment=Augmentation(audio=SpectrogramChange(bands=6, frames=10)),
    )


def models() -> dict[str, tuple[tuple[str, ...], dict[str, Any]]]:
    """What is compared: each modality alone, and each way of joining."""
    alone = {"name": "joined", "layers": 0}
    named = {"picture alone": ((IMAGE,), alone), "sound alone": ((AUDIO,), alone)}
    for name in parts.names_in(harken.models.fusion.fuse):
        named[name] = ((IMAGE, AUDIO), {"name": name, "drop": 0.6})
    return named


Shares = dict[str, dict[str, list[float]]]
"""By model and column, one share for each speaker and seed."""


def judge(model: Predictor, pairs: Pairs, missing: tuple[str, ...]) -> Tensor:
    """Which answers are right."""
    media = {m: each for m, each in pairs.without(missing).items() if m in model.trunk.config.encoders}
    said = model.predict(encoding_of(model, media)(range(len(pairs.digits))), 256)["digit.logits"]
    return said.argmax(1) == pairs.digits


Right = dict[str, Tensor]
"""By column, which answers are right."""


def kept(work: Path | None, name: str, how: object, judge_it: Callable[[], Right]) -> Right:
    """What was judged before, with the same settings, or what is judged now."""
    if work is None:
        return judge_it()
    path = work / f"{name}-{digest([name, repr(how)])[:16]}.json".replace(" ", "-")
    if not path.is_file():
        found = {column: right.int().tolist() for column, right in judge_it().items()}
        write_text(path, json.dumps(found) + "\n")
    return {column: torch.tensor(right).bool() for column, right in json.loads(path.read_text()).items()}


def one_speaker(
    learnt: World, judged: World, seed: int, steps: int, kept_at: tuple[Path | None, str]
) -> dict[str, Right]:
    """All models of one split and seed, judged."""

    @cache
    def data() -> tuple[Pairs, dict[int, Pairs]]:
        squeeze = Squeeze.of(learnt.pictures[:20_000])
        reader = new_predictor(family((IMAGE, AUDIO), {"name": "concatenation"}), [], seed)
        practised = pairs_of(learnt, reader, squeeze, seed, count=LEARNT)
        return practised, {snr: pairs_of(judged, reader, squeeze, seed + 1, snr) for snr in SNRS}

    def made(modalities: tuple[str, ...], fuse: Mapping[str, Any]) -> Right:
        practised, tested = data()
        model = new_predictor(family(modalities, fuse), [], seed)
        media = {m: practised.media[m] for m in modalities}
        at = Workplace(Blobs(Path("runs") / "blobs"), seed)
        learn(model, table_of(model, media, {"digit": practised.digits}), training(steps, len(modalities) > 1), at)
        columns = MISSING if len(modalities) > 1 else {"both": ()}
        return {
            f"{column}, {snr} dB": judge(model, tested[snr], missing)
            for snr in SNRS
            for column, missing in columns.items()
        }

    out: dict[str, Right] = {}
    for name, (modalities, fuse) in tqdm(models().items(), desc=kept_at[1], disable=None):
        how = (
            family(modalities, fuse),
            training(steps, len(modalities) > 1),
            LEARNT,
            SNRS,
            seed,
            learnt.contents,
            judged.contents,
        )
        out[name] = kept(kept_at[0], f"{kept_at[1]} {seed} {name}", how, partial(made, modalities, fuse))
    return out


def main() -> None:
    """Learn, judge, print and write."""
    parser = parser_of(
        __doc__, "folder with mnist, fsdd and esc10", "folder of the same form, with speakers nobody has learnt from"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--work", type=Path, help="folder for what was judged; a second start goes on from it")
    parser.add_argument("--speakers", nargs="*", help="who is held out in turn; everybody if not said")
    said = begun(parser)
    started, world = time.monotonic(), read_world(said.train)
    pictures = len(world.digits) - 5000
    seen = World(world.pictures[:pictures], world.digits[:pictures], world.voices, world.noises[::2])
    apart = World(world.pictures[pictures:], world.digits[pictures:], world.voices, world.noises[1::2])
    if said.test and said.speakers:
        parser.error("--speakers is for --train alone: with --test all speakers of the test folder judge")
    if said.test:
        splits = {"test": (seen, read_world(said.test))}
    else:
        names = set(world.voices)
        if strange := set(said.speakers or ()) - names:
            parser.error(f"--speakers: there is no {', '.join(sorted(strange))}; there are {', '.join(sorted(names))}")
        splits = {
            name: (seen.of(names - {name}), apart.of({name}))
            for name in sorted(names)
            if name in (said.speakers or names)
        }
    found: list[dict[str, Right]] = []
    for name, (learnt, judged) in splits.items():
        found += [one_speaker(learnt, judged, seed, said.steps, (said.work, name)) for seed in range(said.seeds)]
    table: dict[str, dict[str, Any]] = {}
    for name, columns in found[0].items():
        table[name] = {}
        for column in columns:
            each = [run[name][column] for run in found]
            share = exactness(torch.cat(each).numpy())
            spread = over_draws([float(right.float().mean()) for right in each])[1:] if len(each) > 1 else None
            table[name][column] = {"accuracy": round(share.rate, 4), "interval over runs": spread}
            print(f"{name:20s} {column:20s} {share.rate:.3f}  {spread or ''}", flush=True)
    figures = {"table": table, "splits": list(splits), "seeds": said.seeds, "steps": said.steps}
    figures["minutes"] = round((time.monotonic() - started) / 60, 2)
    write_figures(said.json, figures)


if __name__ == "__main__":
    main()
