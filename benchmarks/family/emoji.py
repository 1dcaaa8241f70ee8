"""Which caption belongs to which picture: emoji that nobody has learnt from, found by contrast.

python -m benchmarks.family.emoji --train FOLDER [--test FOLDER] --json FILE [--steps N] [--seeds N]

FOLDER holds captions.jsonl and png64.zip. A convolutional encoder of pictures and word vectors learn from nothing with
InfoNCE (2103.00020) and, all else the same, with SigLIP (2303.15343). Variants of one emoji (tones of skin, who is
drawn, pictures that are nearly the same) are one group and lie on one side of the split; of each held-out group one
emoji is a candidate. With --test (a folder of the same form) its groups are the candidates, and what belongs to one
of them is not learnt from.
"""

import re
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from benchmarks.family.command import begun, parser_of, write_figures
from benchmarks.family.drawings import Drawing, candidates, groups_of, held_out, read_drawings
from benchmarks.family.tables import encoding_of, read, table_of
from benchmarks.family.training import trained, up_and_down
from harken.data.augment.media import Augmentation
from harken.data.augment.picture import PictureChange
from harken.evaluate.metrics.bootstrap import bootstrap_interval
from harken.evaluate.metrics.retrieval import ranks
from harken.models.fusion.build import FamilyConfig
from harken.models.predictor import Predictor
from harken.pipeline.learn import new_predictor
from harken.pipeline.settings import SftConfig
from harken.train.sources import DemonstrationsConfig

LOSSES = ("infonce", "siglip")
SHARE, SPLIT = 0.2, 0
"""Of the groups, what is held out, and the seed that chooses it."""
SIDE, BATCH, VERSIONS = 32, 128, 8
"""Pixels of a picture's side, pairs a step, and pairs of a picture and a text that are made of each group."""
NEAREST = (1, 10)
FLAG = "flag:"
"""What the captions of flags begin with. What land a flag is of, no one can say who has not learnt it."""
WORD = re.compile(r"\w+")


def family(loss: str) -> FamilyConfig:
    """Pictures by convolutions, captions by their words, each on its own as a point on a sphere."""
    seen = {"height": SIDE, "width": SIDE, "channels": 3, "pixel_mean": 0.8, "pixel_std": 0.3}
    network = {"name": "cnn", **seen, "stem": 16, "kernel": 3, "widths": (32, 64, 128), "norm": "batch", "pool": "mean"}
    return FamilyConfig(
        encoders={"image": network, "text": {"name": "words", "dimensions": 128}},
        fuse={"name": "joined", "layers": 0, "width": 128},
        heads={"pair": {"name": "contrast", "loss": loss}},
    )


def training(steps: int) -> SftConfig:
    """How it learns: AdamW up and down once, pictures mirrored, moved and covered in part."""
    return SftConfig(
        DemonstrationsConfig(steps, batch=BATCH),
        up_and_down(steps // 10, weight_decay=0.1),
        augment=Augmentation(image=PictureChange(flip=True, shift=3, cover=8)),
    )


def texts_of(drawing: Drawing) -> list[str]:
    """All that is said of an emoji, its caption first, in small letters and without punctuation."""
    said = (" ".join(WORD.findall(text.lower())) for text in (drawing.caption, *drawing.keywords))
    return list(dict.fromkeys(text for text in said if text))


def shared_words(drawings: Sequence[Drawing], groups: np.ndarray) -> list[str]:
    """The words that are said of two groups or more.

    A model that knows a word of one group alone learns that emoji by heart, and nothing from it for another.
    """
    said: dict[int, set[str]] = {}
    for drawing, group in zip(drawings, groups, strict=True):
        said.setdefault(int(group), set()).update(word for text in texts_of(drawing) for word in text.split())
    counts = Counter(word for words in said.values() for word in sorted(words))
    return sorted(word for word, count in counts.items() if count > 1)


def told(drawing: Drawing, chance: np.random.Generator) -> str:
    """A text of an emoji by lot: every second time its caption, otherwise some of what is said of it."""
    said = texts_of(drawing)
    if chance.uniform() < 0.5:
        return said[0]
    kept = chance.permutation(len(said))[: int(chance.integers(1, len(said) + 1))]
    return " ".join(said[n] for n in kept)


def pairs_of(groups: np.ndarray, drawings: Sequence[Drawing], seed: int) -> list[tuple[int, str]]:
    """So many pairs of each group: one of its emoji by lot, by number, and a text of that."""
    chance = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    chosen = [int(chance.choice(each)) for _ in range(VERSIONS) for each in members]
    return [(n, told(drawings[n], chance)) for n in chosen]


def pictures_of(model: Predictor, drawings: Sequence[Drawing]) -> list[dict[str, Tensor]]:
    """What the model's processor makes of pictures."""
    return [{"pixel_values": model.processor.hf.canvas(drawing.pixels)[None]} for drawing in drawings]


def taught(drawings: Sequence[Drawing], groups: np.ndarray, loss: str, steps: int, seed: int) -> Predictor:
    """A model that has learnt from these emoji."""
    model = new_predictor(family(loss), shared_words(drawings, groups), seed)
    pairs, pictures = pairs_of(groups, drawings, seed), pictures_of(model, drawings)
    media = {"image": [pictures[n] for n, _ in pairs], "text": read(model, [text for _, text in pairs])}
    return trained(model, table_of(model, media, {}), training(steps), seed, loss)


def judged(model: Predictor, drawings: Sequence[Drawing]) -> dict[str, np.ndarray]:
    """The rank of each emoji's own among all, from 0, by direction."""
    media = {"image": pictures_of(model, drawings), "text": read(model, [texts_of(drawing)[0] for drawing in drawings])}
    said = model.predict(encoding_of(model, media)(range(len(drawings))))
    pictures, captions = said["pair.one"].numpy(), said["pair.other"].numpy()
    return {"picture to caption": ranks(pictures, captions), "caption to picture": ranks(captions, pictures)}


def recalls(found: Sequence[np.ndarray], count: int) -> dict[str, Any]:
    """Recall at 1 and 10 over all seeds, with intervals of other emoji and how much each seed had.

    Args:
        found: for each seed the ranks of the same emoji.
        count: how many candidates they were among.
    """
    items = np.tile(np.arange(len(found[0])), len(found))
    out: dict[str, Any] = {}
    for k in NEAREST:
        right = np.concatenate(found) < k
        low, high = bootstrap_interval(right, groups=items)
        out[f"recall@{k}"] = {
            "share": round(float(right.mean()), 4),
            "interval": [round(low, 4), round(high, 4)],
            "seeds": [round(float((each < k).mean()), 4) for each in found],
            "chance": round(min(1.0, k / count), 4),
        }
    return out


def sides(said: Any) -> tuple[list[Drawing], np.ndarray, list[Drawing]]:
    """What is learnt from, with its groups, and the candidates."""
    drawings = read_drawings(said.train)
    given = read_drawings(said.test) if said.test else []
    both = [*drawings, *given]
    groups = groups_of(both)
    tested = np.arange(len(both)) >= len(drawings)
    kept = np.isin(groups, groups[tested]) if said.test else held_out(groups, SHARE, SPLIT)
    learnt = np.flatnonzero(~kept)
    shown = np.flatnonzero(tested if said.test else kept)
    asked = [both[n] for n in shown]
    return [both[n] for n in learnt], groups[learnt], [asked[n] for n in candidates(asked, groups[shown])]


def main() -> None:
    """Learn, judge, print and write."""
    parser = parser_of(__doc__, "folder with captions.jsonl and png64.zip", "folder of the same form")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=600)
    said = begun(parser)
    started = time.monotonic()
    drawings, groups, asked = sides(said)
    named = np.array([not drawing.caption.startswith(FLAG) for drawing in asked])
    table: dict[str, Any] = {}
    for loss in LOSSES:
        found = [judged(taught(drawings, groups, loss, said.steps, seed), asked) for seed in range(said.seeds)]
        table[loss] = {}
        for way in found[0]:
            table[loss][way] = recalls([each[way] for each in found], len(asked))
            if named.any():
                rest = recalls([each[way][named] for each in found], len(asked))
                table[loss][way]["of all but flags"] = {name: one["share"] for name, one in rest.items()}
            for name in (f"recall@{k}" for k in NEAREST):
                one = table[loss][way][name]
                low, high = one["interval"]
                print(f"{loss:8s} {way:20s} {name:10s} {one['share']:.3f} ({low:.3f} to {high:.3f})", flush=True)
    figures = {
        "losses": table,
        "candidates": {"all": len(asked), "all but flags": int(named.sum())},
        "learnt": {"emoji": len(drawings), "groups": len(np.unique(groups))},
        "steps": said.steps,
        "minutes": round((time.monotonic() - started) / 60, 2),
    }
    write_figures(said.json, figures)


if __name__ == "__main__":
    main()
