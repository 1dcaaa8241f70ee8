"""NLVR as it lies in a folder: `NAME.jsonl` (image, sentence, label) with `NAME.zip`; what may change and stay true.

A picture is three grey boxes side by side with things in three colours. What a sentence says of them is true of the
boxes in any order (NLVR itself has its pictures in several, under one label: Suhr 2017), with two colours exchanged
in both, and in a mirror, if it does not tell left from right.
"""

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image as Pillow

from harken.data.media import image

BOXES, BOX, STEP = 3, 100, 150
"""How many boxes, the side of one in pixels, and how far each stands from the one before."""
INK = {"black": (0, 0, 0), "yellow": (255, 255, 0), "blue": (0, 153, 255)}
GROUND = (211, 211, 211)
COLOURINGS: tuple[tuple[str, ...], ...] = tuple(permutations(INK))
"""What each colour, in the order of `INK`, becomes; the first leaves all as it is."""
DIGITS = dict(zip("1234567", ("one", "two", "three", "four", "five", "six", "seven"), strict=True))
SIDED = re.compile("left|right")
ANY = re.compile("|".join(INK))


@dataclass(frozen=True)
class Statement:
    """A sentence of a picture.

    Attributes:
        sentence: as it was written.
        boxes: of the picture.
        true: whether it is.
    """

    sentence: str
    boxes: UInt8[np.ndarray, "3 100 100 3"]
    true: bool

    @property
    def words(self) -> str:
        """The sentence in small letters, without punctuation, numbers in words."""
        said = re.findall("[a-z0-9]+", self.sentence.lower())
        return " ".join(DIGITS.get(word, word) for word in said)


def read_statements(folder: Path) -> list[Statement]:
    """All statements of a folder, file by file.

    Raises:
        FileNotFoundError: if there is no file of statements with its pictures.
    """
    files = sorted(path for path in folder.glob("*.jsonl") if path.with_suffix(".zip").is_file())
    if not files:
        raise FileNotFoundError(f"{folder} must hold NAME.jsonl (image, sentence, label) and NAME.zip")
    found = []
    for path in files:
        with zipfile.ZipFile(path.with_suffix(".zip")) as opened:
            for row in (json.loads(line) for line in path.read_text().splitlines() if line.strip()):
                boxes = boxes_of(image.decode(opened.read(row["image"])))
                found.append(Statement(row["sentence"], boxes, bool(row["label"])))
    return found


def boxes_of(picture: UInt8[np.ndarray, "100 400 3"]) -> UInt8[np.ndarray, "3 100 100 3"]:
    """The three boxes of a picture, from the left.

    Raises:
        ValueError: if the picture has another size.
    """
    if picture.shape != (BOX, STEP * (BOXES - 1) + BOX, 3):
        raise ValueError(
            f"a picture of NLVR is 400 x 100 pixels in colour, not {picture.shape[1]} x {picture.shape[0]}"
        )
    return np.stack([picture[:, n * STEP : n * STEP + BOX] for n in range(BOXES)])


def groups_of(statements: Sequence[Statement]) -> Int[np.ndarray, " N"]:
    """Which statements must stay together, by the number of the first: those of one sentence, or of one picture."""
    parent = list(range(len(statements)))

    def root(n: int) -> int:
        while parent[n] != n:
            n = parent[n]
        return n

    seen: dict[tuple[str, str | bytes], int] = {}
    for n, statement in enumerate(statements):
        for key in (("sentence", statement.words), ("picture", statement.boxes.tobytes())):
            first, second = sorted((root(seen.setdefault(key, n)), root(n)))
            parent[second] = first
    return np.array([root(n) for n in range(len(statements))])


def folds_of(groups: Int[np.ndarray, " N"], folds: int, seed: int) -> Int[np.ndarray, " N"]:
    """The fold of each statement: groups whole, by lot, the largest first, each into the fold that has fewest yet."""
    names, sizes = np.unique(groups, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, fold_of = np.zeros(folds, dtype=int), {}
    for n in order:
        fold_of[int(names[n])] = int(filled.argmin())
        filled[filled.argmin()] += sizes[n]
    return np.array([fold_of[int(name)] for name in groups])


def recoloured(words: str, colouring: Sequence[str]) -> str:
    """A sentence, in small letters, with its colours exchanged: what each of `INK` becomes."""
    names = dict(zip(INK, colouring, strict=True))
    return ANY.sub(lambda found: names[found[0]], words)


def repainted(boxes: UInt8[np.ndarray, "3 h w 3"], colouring: Sequence[str]) -> UInt8[np.ndarray, "3 h w 3"]:
    """Boxes with their colours exchanged; the ground stays.

    Where colours mix, the new ones do: the map is the affine one through the three and the ground.

    Args:
        boxes: with the colours of `INK` on the ground.
        colouring: what each colour of `INK` becomes.
    """
    before = np.array([[*INK[name], 1] for name in INK] + [[*GROUND, 1]], dtype=np.float64)
    after = np.array([[*INK[name], 1] for name in colouring] + [[*GROUND, 1]], dtype=np.float64)
    moved = np.linalg.solve(before, after)
    pixels: np.ndarray = boxes.reshape(-1, 3) @ moved[:3, :3] + moved[3, :3]
    return pixels.round().clip(0, 255).astype(np.uint8).reshape(boxes.shape)


def mirrored(words: str, boxes: UInt8[np.ndarray, "3 h w 3"]) -> UInt8[np.ndarray, "3 h w 3"]:
    """Boxes in a mirror; as they are, if the sentence tells left from right."""
    return boxes if SIDED.search(words) else np.ascontiguousarray(boxes[:, :, ::-1])


def small(boxes: UInt8[np.ndarray, "3 100 100 3"], side: int) -> UInt8[np.ndarray, "3 s s 3"]:
    """Boxes of fewer pixels, each a mean of what was there."""
    size = (side, side)
    return np.stack([np.asarray(Pillow.fromarray(box).resize(size, Pillow.Resampling.BOX)) for box in boxes])
