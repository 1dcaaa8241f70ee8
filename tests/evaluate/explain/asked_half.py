"""A task whose truth is known: two figures side by side, the words say which one to name, the answer names it.

Also a program: `PYTHONPATH=src python tests/evaluate/explain/asked_half.py` prints how often heat and attention fall on
the named figure, over 100 pictures that neither the training nor the tests see.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from harken.data.batch import collate
from harken.data.blobs import Blobs
from harken.data.media.image import encode_png
from harken.data.processor import Processor
from harken.evaluate.explain.explanation import Found, analyse
from harken.evaluate.explain.target import Budget, Likelihood
from harken.models.fusion.build import FamilyConfig, build
from harken.models.model import Model
from harken.types import Completion, Image, Message, Prompt, Text

SIDE, FIGURES = 8, 4
SIDES = ("left", "right")
FAMILY = FamilyConfig(
    encoders={"image": {"height": SIDE, "width": 2 * SIDE, "hidden": 32, "heads": 2}},
    heads={"answer": {"hidden": 32, "layers": 2, "heads": 2, "intermediate": 64, "vocabulary": 300}},
)


def figures() -> np.ndarray:
    """Four figures (4, 8, 8), strokes of the same length each."""
    out = np.zeros((FIGURES, SIDE, SIDE))
    out[0, 1:7, 3:5] = 1
    out[1, 3:5, 1:7] = 1
    for n in range(1, 7):
        out[2, n, n], out[2, n, n - 1] = 1, 1
        out[3, n, 7 - n], out[3, n, 6 - n] = 1, 1
    return out


def prompt(blobs: Blobs, number: int, left: int, right: int, side: int) -> Prompt:
    """One question; the same number gives the same noise."""
    rng = np.random.default_rng(number)
    drawn = np.concatenate([figures()[left], figures()[right]], 1)
    grey = np.clip(drawn * rng.uniform(0.7, 1.0) + rng.uniform(0, 0.25, drawn.shape), 0, 1)
    pixels = np.repeat(np.rint(grey * 255).astype(np.uint8)[..., None], 3, 2)
    parts = (Image(blobs.put(encode_png(pixels), "image")), Text(f"Name the {SIDES[side]} one."))
    return Prompt(f"q{number}", (Message("user", parts),), (str((left, right)[side]),))


def prompts(blobs: Blobs, count: int, seed: int) -> list[Prompt]:
    """Questions about pictures whose two figures differ."""
    rng = np.random.default_rng(seed)
    out = []
    for n in range(count):
        left, right = rng.choice(FIGURES, 2, replace=False)
        out.append(prompt(blobs, 1000 * seed + n, int(left), int(right), n % 2))
    return out


def answer(prompt: Prompt) -> Completion:
    """The true one."""
    return Completion("c", prompt.id, prompt.references[0], "truth")


def untrained(seed: int = 0) -> Model:
    corpus = [f"Name the {side} one. {n}" for side in SIDES for n in range(FIGURES)]
    trunk, processor = build(FAMILY, corpus, seed)
    return Model(trunk, Processor(processor)).eval()


def trained(blobs: Blobs, steps: int = 350) -> Model:
    """Taught in a few seconds, on pictures that are not asked about later."""
    model = untrained()
    asked = prompts(blobs, 512, 1)
    encoded = [model.processor.encode(p, blobs) for p in asked]
    ids = [model.processor.encode_completion(answer(p)) for p in asked]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    generator = torch.Generator().manual_seed(0)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * (1 - step / steps)
        rows = torch.randint(len(asked), (32,), generator=generator).tolist()
        batch = collate([encoded[r] for r in rows], [ids[r] for r in rows], range(32), model.processor.pad_id)
        loss = -model(batch, frozenset({"logprobs"})).logprobs.sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def heat_of(found: Found) -> np.ndarray:
    """The map of the picture, (8, 16)."""
    return found.heat["image"].heat["pixel_values"][0, 0].numpy()


def found_of(model: Model, asked: list[Prompt], blobs: Blobs) -> list[Found]:
    """Each true answer, taken apart."""
    return [analyse(Likelihood(model), p, answer(p), blobs, Budget(16, 16)) for p in asked]


def figures_of(folder: Path) -> None:
    """Print how often each kind of map is right."""
    blobs = Blobs(folder, flush=False)
    model = trained(blobs)
    right = {"heat": 0, "heat without its sign": 0, "attention": 0}
    for n, found in enumerate(found_of(model, prompts(blobs, 100, 3), blobs)):
        heat, named, other = heat_of(found), n % 2, 1 - n % 2
        image = found.reading.encoded.ids == model.processor.placeholders["image"]
        both = {
            "heat": [heat[:, :SIDE].sum(), heat[:, SIDE:].sum()],
            "heat without its sign": [np.abs(heat[:, :SIDE]).sum(), np.abs(heat[:, SIDE:]).sum()],
            "attention": found.attention[image].tolist(),
        }
        for kind, halves in both.items():
            right[kind] += int(halves[named] > halves[other])
    print(", ".join(f"{kind}: {count} of 100" for kind, count in right.items()))


if __name__ == "__main__":
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        figures_of(Path(folder))
