"""The emoji and NLVR commands from a folder to their figures, on a handful of made-up examples."""

import json
import sys
import zipfile

import numpy as np
import pytest
from benchmarks.family import emoji, nlvr

from harken.data.media.image import encode_png

pytestmark = pytest.mark.slow
HUES = ("red", "green", "blue")
THINGS = ("ball", "cup", "kite", "boat", "leaf", "star")


def emoji_folder(folder, things=THINGS):
    """Noise with a hue, one for each pair of a hue and a thing, and of the first a variant in a tone of skin."""
    folder.mkdir()
    named = [(hue, thing) for thing in things for hue in range(3)]
    rows = [
        {"file": f"{n:x}.png", "caption": f"{HUES[hue]} {thing}", "keywords": [thing]}
        for n, (hue, thing) in enumerate(named, sum(map(ord, things[0])))
    ]
    first = rows[0]["file"].removesuffix(".png")
    rows.append({"file": f"{first}-1f3fb.png", "caption": f"{rows[0]['caption']}: light skin tone", "keywords": []})
    with zipfile.ZipFile(folder / "png64.zip", "w") as archive:
        for n, row in enumerate(rows):
            pixels = np.random.default_rng(n + 100 * len(things)).integers(0, 256, (64, 64, 3)).astype(np.uint8)
            archive.writestr(row["file"], encode_png(pixels))
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def nlvr_folder(folder, count=20, first=0):
    """Noise under sentences, four pictures to each."""
    folder.mkdir()
    rows = []
    with zipfile.ZipFile(folder / "dev.zip", "w") as archive:
        for n in range(count):
            pixels = np.random.default_rng(first + n).integers(0, 256, (100, 400, 3)).astype(np.uint8)
            archive.writestr(f"{n}.png", encode_png(pixels))
            rows.append({"image": f"{n}.png", "sentence": f"There is box {first + n // 4}.", "label": n % 3 > 0})
    (folder / "dev.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def figures(benchmark, monkeypatch, folder, *said):
    """What a command writes, without the minutes."""
    out = folder / "figures.json"
    given = ["--train", str(folder), "--json", str(out), "--threads", "1", "--steps", "2", *said]
    monkeypatch.setattr(sys, "argv", ["benchmark", *given])
    benchmark.main()
    found = json.loads(out.read_text())
    found.pop("minutes")
    return found


def test_emoji_from_a_folder_to_figures_twice_the_same(tmp_path, monkeypatch):
    folder = emoji_folder(tmp_path / "train")
    found = figures(emoji, monkeypatch, folder, "--seeds", "1")
    assert found == figures(emoji, monkeypatch, folder, "--seeds", "1")
    assert set(found["losses"]) == {"infonce", "siglip"}
    assert found["candidates"]["all"] == 4
    assert found["learnt"]["groups"] == 14
    recall = found["losses"]["siglip"]["picture to caption"]["recall@1"]
    assert recall["chance"] == 0.25
    assert recall["interval"][0] <= recall["share"] == recall["seeds"][0] <= recall["interval"][1]


def test_what_a_test_folder_has_is_not_learnt_from(tmp_path, monkeypatch):
    folder = emoji_folder(tmp_path / "train")
    test = emoji_folder(tmp_path / "test", ("kite", "lamp"))
    found = figures(emoji, monkeypatch, folder, "--seeds", "1", "--test", str(test))
    assert found["candidates"]["all"] == 6
    assert found["learnt"]["groups"] == 15, "the three kites are in the test folder"


def test_statements_from_a_folder_to_figures_twice_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(nlvr, "FOLDS", 2)
    folder = nlvr_folder(tmp_path / "train")
    found = figures(nlvr, monkeypatch, folder, "--seeds", "2")
    assert found == figures(nlvr, monkeypatch, folder, "--seeds", "2")
    assert (found["statements"], found["sentences"], len(found["folds"]), len(found["seeds"])) == (20, 5, 2, 2)
    assert found["majority"]["accuracy"] == 0.65
    low, high = found["model"]["interval"]
    assert low <= found["model"]["accuracy"] <= high


def test_a_test_folder_of_statements_is_judged_once(tmp_path, monkeypatch):
    folder, test = nlvr_folder(tmp_path / "train"), nlvr_folder(tmp_path / "test", 8, first=4)
    found = figures(nlvr, monkeypatch, folder, "--seeds", "1", "--test", str(test))
    assert (found["statements"], len(found["folds"])) == (8, 1)
    with pytest.raises(FileNotFoundError, match=r"must hold NAME\.jsonl"):
        figures(nlvr, monkeypatch, folder, "--test", str(tmp_path))
