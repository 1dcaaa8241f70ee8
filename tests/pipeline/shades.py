"""Prompts in files whose pictures are dark, grey or bright, and whose sounds are low or high; and recipes for them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.demo.world import make_world
from harken.pipeline.recipe import Recipe, read_recipe
from harken.pipeline.run import Progress, Run
from harken.pipeline.stages import stages

SHADES = ("dark", "grey", "bright")
IMAGE = {"name": "cnn", "height": 6, "width": 6, "stem": 4, "widths": [8], "depth": 0, "pool": "mean"}
AUDIO = {"name": "log_mel_transformer", "hidden": 8, "heads": 2, "rate": 8000, "mels": 4, "max_seconds": 1}
HEADS = {"shade": {"name": "classify", "classes": list(SHADES)}, "light": {"name": "regress", "mean": 1, "spread": 1}}
SPEAKING = {"name": "language", "hidden": 16, "layers": 1, "heads": 2, "intermediate": 24, "vocabulary": 280}


class Told(Progress):
    """Keeps what was said and done."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.states: list[tuple[str, str]] = []

    def stage(self, name: str, state: str) -> None:
        self.states.append((name, state))

    def say(self, text: str) -> None:
        self.lines.append(text)


def write_prompts(folder: Path, count: int = 24, name: str = "prompts", **how: Any) -> Path:
    """A JSONL of prompts, every third with a sound besides; `facts` and `parts` change a record."""
    facts, parts, seed = how.get("facts"), how.get("parts"), how.get("seed", 0)
    rng, lines = np.random.default_rng(seed), []
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        kind = n % 3
        pixels = np.clip(rng.normal(40 + 80 * kind, 10, (6, 6, 1)), 0, 255).astype(np.uint8).repeat(3, 2)
        (folder / f"{name}{n}.png").write_bytes(encode_png(pixels))
        pitch = np.sin(np.arange(1600) * (0.1 + 0.3 * kind)) * 0.5 + rng.normal(0, 0.01, 1600)
        (folder / f"{name}{n}.wav").write_bytes(encode_wav(pitch.astype(np.float32), 8000))
        content = [{"type": "image", "image": f"{name}{n}.png"}, {"type": "text", "text": "Which shade?"}]
        if n % 3 == 0:
            content.append({"type": "audio", "audio": f"{name}{n}.wav"})
        record = {
            "id": f"{name}{n}",
            "messages": [{"role": "user", "content": parts(n, content) if parts else content}],
            "references": [f"It is {SHADES[kind]}."],
            "facts": {"shade": SHADES[kind], "light": float(kind)} if facts is None else facts(n, kind),
        }
        lines.append(json.dumps(record))
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder / f"{name}.jsonl"


def written(folder: Path, **changes: Any) -> Path:
    """A recipe's file, for a model of heads alone that reads pictures and sounds; parts of it replaced by name."""
    plain = {
        "name": "shades",
        "threads": 1,
        "checkpoint_every": 4,
        "data": {"name": "prompts", "prompts": str(folder / "prompts.jsonl"), "test": str(folder / "test.jsonl")},
        "model": {"encoders": {"image": IMAGE, "audio": AUDIO}, "fuse": {"name": "gated", "width": 8}, "heads": HEADS},
        "sft": {"data": {"steps": 12, "batch": 8}, "optimizer": {"rate": 0.02, "muon_rate": 0, "warmup": 0}},
    }
    for key, value in changes.items():
        plain[key] = {**plain[key], **value} if isinstance(value, dict) and key in plain else value
    (folder / "recipe.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    return folder / "recipe.yaml"


def prepared(folder: Path, **changes: Any) -> Recipe:
    """Prompts, held-out prompts and a recipe for them, read."""
    if not (folder / "prompts.jsonl").exists():
        write_prompts(folder)
    if not (folder / "test.jsonl").exists():
        write_prompts(folder, 12, "test", seed=1)
    return read_recipe(written(folder, **changes))


def run(recipe: Recipe, folder: Path, resume: bool = False, **how: Any) -> tuple[Run, Told]:
    """All stages of a recipe, or those of the verbs in `only`."""
    told = Told()
    made = Run(folder, recipe, make_world, told, how.get("stop", lambda: False))
    with made.locked():
        made.open(resume)
        made.execute([stage for stage in stages(recipe) if stage.verb in how.get("only", (stage.verb,))])
        made.finish()
    return made, told
