from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tiny
from families import idefics3, llava, qwen2_vl

from harken.data.blobs import Blobs
from harken.data.media.image import encode_png
from harken.evaluate.explain.places import locate, token_of
from harken.models.load import load_model
from harken.types import Image, Message, Prompt, Text


@pytest.fixture
def blobs(tmp_path):
    return Blobs(tmp_path / "blobs")


def two_pictures(blobs, first, second):
    parts = [Image(blobs.put(encode_png(one), "image")) for one in (first, second)]
    return Prompt("p", (Message("user", (parts[0], Text("and"), parts[1], Text("?"))),))


def test_a_canvas_pixel_by_pixel(blobs):
    """What the processor puts top left on a black canvas is found in its place; the rest of it is nowhere."""
    rng = np.random.default_rng(0)
    first, second = (np.repeat(rng.integers(0, 255, (8, w, 1), dtype=np.uint8), 3, 2) for w in (16, 24))
    prompt = two_pictures(blobs, first, second)
    model = tiny.tiny_model()
    places = locate(model.processor, prompt, blobs)["pixel_values"]
    values = model.processor.encode(prompt, blobs).media["pixel_values"].numpy()
    for number, pixels in enumerate((first, second)):
        assert places.cells(number, pixels.shape[:2]) == pixels.shape[:2]
        np.testing.assert_allclose(places.sums(values, number, pixels.shape[:2]) * 255, pixels[..., 0], atol=1e-3)
    assert (places.picture[0, :, :, 16:] == -1).all()


@pytest.mark.parametrize("family", [llava, qwen2_vl, idefics3])
def test_packed_patches_and_tiles_are_unfolded(blobs, family):
    """The tensor's own brightness, laid over the picture by its places, is the picture; each in its own."""
    with TemporaryDirectory() as folder:
        family.save(Path(folder) / "model")
        model = load_model(Path(folder) / "model")
    up, across = np.mgrid[0:32, 0:32]
    first = np.repeat(((across < 16) * 200)[..., None], 3, 2).astype(np.uint8)
    second = np.repeat(((up < 16) * 200)[..., None], 3, 2).astype(np.uint8)
    prompt = two_pictures(blobs, first, second)
    places = locate(model.processor, prompt, blobs)["pixel_values"]
    values = model.processor.encode(prompt, blobs).media["pixel_values"].numpy()
    for number, pixels in enumerate((first, second)):
        grid = places.means(values, number, (4, 4))
        truth = pixels[4::8, 4::8, 0].ravel()
        assert np.corrcoef(grid.ravel(), truth)[0, 1] > 0.98


def test_which_token_a_pixel_belongs_to():
    tokens = token_of((1, 1, 8, 24), 3)
    assert tokens[0, 0].tolist() == [[0] * 8 + [1] * 8 + [2] * 8] * 8
    two = token_of((2, 3, 4, 4), 8)
    assert two[1, 0].tolist() == [[4, 4, 5, 5]] * 2 + [[6, 6, 7, 7]] * 2
    assert token_of((8, 10), 2)[:, 0].tolist() == [0] * 4 + [1] * 4
    assert token_of((1, 3, 8, 24), 6) is None  # one row of six or two of three: it cannot be told
    assert token_of((1, 3, 32, 32), 7) is None
    assert token_of((1, 280, 192), 16) is None
