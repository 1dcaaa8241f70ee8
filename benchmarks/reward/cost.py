"""What an ensemble costs: fitting lines on cached features, and scoring by K heads on one trunk or by K models.

python -m benchmarks.reward.cost --json FILE

Made-up items, since time does not ask what they mean: 10,000 comparisons among 5,000 completions by ten annotators
who follow a hidden line with Bradley and Terry's noise; prompts with a picture, a sound and words. One thread. Each
figure is the median of five turns; seconds on the wall and of the processor (other work on the machine adds to the
first).
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.pipeline.roles import reward_trunk
from harken.reward.linear import LinearConfig, fit_lines
from harken.reward.model import RewardModel, RewardModelConfig
from harken.reward.wording import Wording
from harken.types import Audio, Completion, Image, Message, Prompt, Text

HEADS, WIDTHS, TURNS = 8, (64, 256), 5
ANNOTATORS, COMPARISONS, COMPLETIONS = 10, 10_000, 5_000
PROMPTS, EACH = 32, 4
Turn = Callable[[], object]


def timed(turn: Turn, turns: int) -> dict[str, object]:
    """Medians of some turns after one that warms up."""
    turn()
    wall, own = [], []
    for _ in range(turns):
        begun = time.perf_counter(), time.process_time()
        turn()
        wall.append(time.perf_counter() - begun[0])
        own.append(time.process_time() - begun[1])
    return {
        "seconds": round(statistics.median(wall), 3),
        "processor_seconds": round(statistics.median(own), 3),
        "seconds_all": [round(value, 3) for value in wall],
    }


def compared(width: int, comparisons: int, completions: int, seed: int = 0) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """Correlated features (N, D), what annotators said of them, and the scores that they judged by."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(width, width, generator=generator) / width**0.5
    features = torch.randn(completions, width, generator=generator) @ mixing
    score = features @ torch.randn(width, generator=generator) * (2 / width**0.5)
    a = torch.randint(completions, (comparisons,), generator=generator)
    b = (a + 1 + torch.randint(completions - 1, (comparisons,), generator=generator)) % completions
    won = torch.rand(comparisons, generator=generator) < torch.sigmoid(score[a] - score[b])
    said = {
        "comparison.a": a,
        "comparison.b": b,
        "comparison.choice": (~won).long(),
        "comparison.annotator": torch.randint(ANNOTATORS, (comparisons,), generator=generator),
        "comparison.weight": torch.poisson(torch.ones(comparisons, HEADS), generator=generator),
    }
    return features, said, score


def fitting(width: int, comparisons: int, completions: int, turns: int) -> dict[str, object]:
    """Fit K lines, their penalty chosen on folds, with the wording of all annotators."""
    features, said, score = compared(width, comparisons, completions)
    found: list[Tensor] = []

    def turn() -> None:
        wording = Wording([f"annotator{n}" for n in range(ANNOTATORS)])
        lines = fit_lines(features, said, wording, LinearConfig(), range(completions), {})
        found[:] = [lines(features).mean(1)]

    out = timed(turn, turns)
    right = float(torch.corrcoef(torch.stack([found[0], score.double()]))[0, 1])
    return out | {"correlation_with_hidden": round(right, 4)}


def asked(blobs: Blobs, prompts: int) -> list[Prompt]:
    """Prompts with a picture, a second of sound, and words."""
    rng, out = np.random.default_rng(0), []
    for n in range(prompts):
        picture = Image(blobs.put(encode_png(rng.integers(0, 255, (8, 24, 3), dtype=np.uint8)), "image"))
        wave = (rng.standard_normal(16_000) * 0.1).astype(np.float32)
        sound = Audio(blobs.put(encode_wav(wave, 16_000), "audio"))
        out.append(Prompt(f"p{n}", (Message("user", (picture, sound, Text("Do they say the same?"))),)))
    return out


def scoring(blobs: Blobs, prompts: int, turns: int) -> dict[str, object]:
    """Score the same completions by K heads on one trunk, and by K models of one head each; the media are encoded."""
    listed = asked(blobs, prompts)
    made = [
        Completion(f"{p.id} {n}", p.id, f"Yes, both say the number {n}.", "model") for p in listed for n in range(EACH)
    ]
    config = RewardModelConfig(HEADS, trunk="encoders")

    def model(heads: int, seed: int) -> RewardModel:
        trunk = reward_trunk(None, config, listed, made, seed)
        return RewardModel(trunk, Wording(["ada"]), RewardModelConfig(heads), seed).eval()

    one, several = model(HEADS, 0), [model(1, seed) for seed in range(HEADS)]
    processor = one.model.processor
    encoded = EncodedPrompts(processor, blobs)(listed)
    ids = [processor.encode_completion(completion) for completion in made]
    rows = [row for row in range(len(listed)) for _ in range(EACH)]
    together = timed(lambda: one.scores(encoded, ids, rows), turns)
    apart = timed(lambda: torch.cat([each.scores(encoded, ids, rows) for each in several], 1), turns)
    ratios = {
        name: round(float(str(apart[name])) / float(str(together[name])), 2)
        for name in ("seconds", "processor_seconds")
    }
    return {
        "heads_on_one_trunk": together,
        "models": apart,
        "ratio": ratios["seconds"],
        "processor_ratio": ratios["processor_seconds"],
    }


def run(
    widths: Sequence[int], comparisons: int, completions: int, prompts: int, turns: int, scratch: Path
) -> dict[str, object]:
    """All figures."""
    out: dict[str, object] = {"heads": HEADS, "comparisons": comparisons, "completions": completions}
    for width in widths:
        out[f"fit_{width}"] = fitting(width, comparisons, completions, turns)
        print(f"fit_{width}", json.dumps(out[f"fit_{width}"]), flush=True)
    out["scoring"] = scoring(Blobs(scratch), prompts, turns)
    print("scoring", json.dumps(out["scoring"]), flush=True)
    return out


def main(given: Sequence[str]) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, required=True, help="where the figures are written")
    asked_for = parser.parse_args(given)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        out = run(WIDTHS, COMPARISONS, COMPLETIONS, PROMPTS, TURNS, Path(scratch))
    asked_for.json.parent.mkdir(parents=True, exist_ok=True)
    asked_for.json.write_text(json.dumps(out, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
