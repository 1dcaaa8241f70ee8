"""Emoji as they lie in a folder: `captions.jsonl` (file, caption, keywords) and `png64.zip`; and which are one."""

import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from harken.data.media import image

SKIN = re.compile(r"1f3f[b-f]")
"""The code points of skin tones (Unicode TR51, section 2.4)."""
TONE = re.compile(r"(medium-)?(light|dark|medium) skin tone")
GENDERS = {
    "person": "man woman men women male female boy girl person people",
    "claus": "santa mrs. claus",
    "monarch": "prince princess king queen",
}
NEUTRAL = {word: one for one, words in GENDERS.items() for word in words.split()}
"""Words that tell apart who is drawn, and what stands for all of them."""
ALIKE = 3.0
"""Two pictures are one if they differ by less in the mean over 32 x 32 pixels, of 255."""
SMALL = 32


@dataclass(frozen=True)
class Drawing:
    """One emoji.

    Attributes:
        file: its code points in hexadecimal, with a suffix.
        caption: its name.
        keywords: what else is said of it.
        pixels: (64, 64, 3).
    """

    file: str
    caption: str
    keywords: tuple[str, ...]
    pixels: UInt8[np.ndarray, "64 64 3"]

    @property
    def points(self) -> str:
        """Its code points without skin tones."""
        kept = [point for point in Path(self.file).stem.lower().split("-") if not SKIN.fullmatch(point)]
        return "-".join(kept)

    @property
    def toned(self) -> bool:
        """Whether it is a variant of another in a tone of skin."""
        return self.points != Path(self.file).stem.lower()

    @property
    def subject(self) -> str:
        """Its caption without skin tones and without who is drawn."""
        words = re.findall(r"[^\s:,’]+", TONE.sub("", self.caption.lower()))
        return " ".join(dict.fromkeys(NEUTRAL.get(word, word) for word in words))


def read_drawings(folder: Path) -> list[Drawing]:
    """The emoji of a folder, in the order of their captions' file.

    Raises:
        FileNotFoundError: if the captions or the pictures are not there.
        KeyError: if a caption's picture is not in the zip.
    """
    captions, archive = folder / "captions.jsonl", folder / "png64.zip"
    if not captions.is_file() or not archive.is_file():
        raise FileNotFoundError(f"{folder} must hold captions.jsonl (file, caption, keywords) and png64.zip")
    rows = [json.loads(line) for line in captions.read_text().splitlines() if line.strip()]
    with zipfile.ZipFile(archive) as opened:
        return [
            Drawing(row["file"], row["caption"], tuple(row["keywords"]), image.decode(opened.read(row["file"])))
            for row in rows
        ]


def shrunk(drawings: Sequence[Drawing], side: int = SMALL) -> Float[np.ndarray, "N D"]:
    """Pictures as rows of numbers, the means of squares of pixels: `side` x `side` of them, in three colours."""
    each = np.stack([drawing.pixels for drawing in drawings]).astype(np.float32)
    cells = each.reshape(len(each), side, each.shape[1] // side, side, -1, 3)
    return cells.mean((2, 4)).reshape(len(each), -1)


def groups_of(drawings: Sequence[Drawing]) -> Int[np.ndarray, " N"]:
    """Which emoji are one, by the number of the first of them.

    Two are one if their code points without skin tones are the same, or their captions without skin tones and without
    who is drawn, or (nearly) their pictures; and whatever hangs together by such pairs is one.
    """
    parent = list(range(len(drawings)))

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    def joined(one: int, other: int) -> None:
        first, second = sorted((root(one), root(other)))
        parent[second] = first

    seen: dict[tuple[str, str], int] = {}
    pixels, coarse = shrunk(drawings), shrunk(drawings, 8)
    for n, drawing in enumerate(drawings):
        for key in (("points", drawing.points), ("subject", drawing.subject)):
            joined(seen.setdefault(key, n), n)
        # Means of larger squares differ by no more than those of the smaller ones in them, and are sooner compared.
        some = np.flatnonzero(np.abs(coarse[:n] - coarse[n]).mean(1) < ALIKE)
        for near in some[np.abs(pixels[some] - pixels[n]).mean(1) < ALIKE]:
            joined(int(near), n)
    return np.array([root(n) for n in range(len(drawings))])


def held_out(groups: Int[np.ndarray, " N"], share: float, seed: int) -> np.ndarray:
    """Which emoji are not learnt from, (N,): all of a share of the groups, by lot."""
    names = np.unique(groups)
    chosen = np.random.default_rng(seed).permutation(names)[: round(share * len(names))]
    return np.isin(groups, chosen)


def candidates(drawings: Sequence[Drawing], groups: Int[np.ndarray, " N"]) -> list[int]:
    """One emoji a group, by number: the first without a tone of skin, where there is one.

    So no two candidates have one picture or one caption, and recall knows one right answer.
    """
    found: dict[int, int] = {}
    for n in sorted(range(len(drawings)), key=lambda n: (drawings[n].toned, n)):
        found.setdefault(int(groups[n]), n)
    return sorted(found.values())
