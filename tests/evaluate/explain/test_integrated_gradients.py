from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from harken.data.blobs import Blobs
from harken.evaluate.explain.integrated_gradients import integrated_gradients, media_heat, word_heat
from harken.evaluate.explain.reading import WORDS, read
from harken.evaluate.explain.target import Budget, Likelihood, batch_of
from harken.types import Completion

FINE = Budget(first=32, most=256)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    blobs = Blobs(tmp_path_factory.mktemp("blobs"))
    model = tiny.tiny_model()
    prompt = tiny.prompts(blobs)[-1]  # words, a sound and a picture
    ids = model.processor.encode_completion(Completion("c", "p", "It is 42.", "x"))
    return Likelihood(model), read(model, prompt, blobs), ids


def test_a_product_is_shared_as_the_integral_says():
    """f = a b^2 from 0 to (a, b): the integral of b^2 t^2 dt a is a b^2 / 3, and of 2 a b t^2 dt b is 2 a b^2 / 3."""
    a, b = torch.tensor([2.0], dtype=torch.float64), torch.tensor([3.0], dtype=torch.float64)
    ends = {"a": (torch.zeros_like(a), a), "b": (torch.zeros_like(b), b)}
    found = integrated_gradients(lambda x: (x["a"] * x["b"] ** 2).sum(1), ends)
    assert float(found.heat["a"]) == pytest.approx(6.0)
    assert float(found.heat["b"]) == pytest.approx(12.0)
    assert found.change == pytest.approx(18.0)
    assert found.points == 16


def test_points_are_doubled_until_the_sum_is_right():
    ends = {"x": (torch.zeros(1), torch.full((1,), 30.0))}
    found = integrated_gradients(lambda x: torch.sigmoid(x["x"] - 3)[:, 0], ends, Budget(first=2, most=64))
    assert found.points > 2
    assert found.gap < 0.01


def test_an_input_that_nobody_reads_gets_nothing():
    ends = {"x": (torch.zeros(3), torch.ones(3)), "y": (torch.zeros(2), torch.ones(2))}
    found = integrated_gradients(lambda x: x["x"].sum(1), ends)
    assert torch.equal(found.heat["y"], torch.zeros(2, dtype=torch.float64))
    assert float(integrated_gradients(lambda x: torch.ones(len(x["x"])), ends).total) == 0


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_heat_of_a_medium_adds_up_to_what_blanking_it_changes(asked, modality):
    target, reading, ids = asked
    found = media_heat(target, reading, ids, modality, FINE)
    with torch.no_grad():
        both = target(batch_of(target.model, [reading.encoded, reading.without({modality})], ids))
    assert found.change == pytest.approx(float(both[0] - both[1]), abs=1e-5)
    assert found.gap <= max(0.01 * abs(found.change), 1e-4)
    assert abs(found.change) > 1e-3


def test_heat_of_words_adds_up_to_what_blanking_them_changes(asked):
    target, reading, ids = asked
    found = word_heat(target, reading, ids, FINE)
    with torch.no_grad():
        both = target(batch_of(target.model, [reading.encoded, reading.without({WORDS})], ids))
    assert found.heat[WORDS].shape == (int(reading.words.sum()),)
    assert found.change == pytest.approx(float(both[0] - both[1]), abs=1e-5)
    assert found.gap <= max(0.01 * abs(found.change), 1e-4)


def test_the_layer_of_words_is_left_as_it_was(asked):
    target, reading, ids = asked
    word_heat(target, reading, ids, Budget(first=2, most=2))
    assert not target.model.trunk.get_input_embeddings()._forward_hooks


def test_what_captum_finds_of_a_picture(asked):
    """The peer, with an axis of its own put before the tensor, at the same points."""
    captum = pytest.importorskip("captum.attr")
    target, reading, ids = asked
    name = "pixel_values"
    real, blank = reading.encoded.media[name], reading.media["image"][name]

    def value(pixels):
        batch = batch_of(target.model, [reading.encoded] * len(pixels), ids)
        media = {**batch.prompts.media, name: pixels.flatten(0, 1)}
        return target(replace(batch, prompts=replace(batch.prompts, media=media)))

    theirs = captum.IntegratedGradients(value).attribute(real[None], blank[None], n_steps=32, method="gausslegendre")
    ours = media_heat(target, reading, ids, "image", Budget(first=32, most=32)).heat[name]
    np.testing.assert_allclose(ours.numpy(), theirs[0].detach().numpy(), atol=1e-6, rtol=1e-4)
