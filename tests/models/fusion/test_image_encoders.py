"""Image encoders: as many states as they say, each picture by itself, and what does not fit is refused."""

import pytest
import torch

from harken.models.fusion import parts
from harken.models.fusion.build import FamilyConfig, build
from harken.models.fusion.encoders.image.cnn import Cnn

SMALL = {"name": "cnn", "stem": 6, "widths": (8, 20), "height": 13, "width": 22}
CNNS = [
    SMALL,
    {**SMALL, "kernel": 3, "depth": 0, "channels": 3},
    {**SMALL, "pool": "max", "depth": 1},
    {**SMALL, "pool": "mean", "depth": 3},
    {**SMALL, "norm": "batch", "depth": 4},
]


@pytest.mark.parametrize("said", CNNS)
def test_a_cnn_gives_the_states_that_it_says(said):
    settings = parts.encoder("image", said)
    encoder = settings.build()
    pixels = torch.rand(3, settings.channels, settings.height, settings.width, requires_grad=True)
    stream = encoder(pixels)
    assert stream.states.shape == (3, settings.tokens, encoder.width) == (*stream.real.shape, 20)
    assert stream.real.all()
    stream.states.square().sum().backward()
    assert pixels.grad.abs().sum() > 0
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())


def test_a_cnn_reads_each_picture_by_itself():
    encoder = parts.encoder("image", SMALL).build().double()
    pixels = torch.rand(4, 1, 13, 22, dtype=torch.double)
    together = encoder(pixels).states
    for n in range(4):
        assert (encoder(pixels[n : n + 1]).states[0] - together[n]).abs().max() < 1e-12
    assert (together[0] - together[1]).abs().max() > 1e-3


@pytest.mark.parametrize("said", [SMALL, {"name": "patches", "height": 8, "width": 16}])
def test_pictures_in_memory_may_be_bytes(said):
    encoder = parts.encoder("image", said).build()
    pixels = torch.randint(0, 256, (2, 1, encoder.settings.height, encoder.settings.width), dtype=torch.uint8)
    assert torch.equal(encoder(pixels).states, encoder(pixels / 255).states)


def test_shortcuts_go_around_every_two_convolutions():
    """Convolutions that give nothing leave what went around them."""
    encoder = Cnn(height=8, width=8, stem=4, widths=(16,), depth=5, pool="mean").build()
    (group,) = encoder.groups
    assert [len(block) for block in group.blocks] == [6, 6, 3]
    states = torch.rand(2, 4, 6, 6)
    with torch.no_grad():
        for block in group.blocks:
            block[-2].weight.zero_()
            block[-2].bias.zero_()
    plain = torch.nn.functional.gelu(group.norm(torch.nn.functional.max_pool2d(group.convolution(states), 2)))
    assert torch.equal(group(states), plain)


def test_cnns_that_do_not_fit_are_refused():
    with pytest.raises(parts.PartError, match=r"8 x 24 pixels, halved by each of 3 groups.*image.height/width.*widths"):
        parts.encoder("image", {"name": "cnn"})
    for wrong, words in (
        ({"widths": ()}, "image.widths"),
        ({"widths": (8, 0)}, "image.widths"),
        ({"kernel": 5}, "image.kernel is 2 or 3"),
        ({"depth": -1}, "image.depth"),
        ({"norm": "layer"}, "norm"),
        ({"pool": "first"}, "pool"),
    ):
        with pytest.raises(parts.PartError, match=words):
            parts.encoder("image", {**SMALL, **wrong})


def test_batch_norm_is_refused_where_a_language_model_reads():
    image = {**SMALL, "norm": "batch"}
    with pytest.raises(parts.PartError, match=r"encoders\.image\.norm is batch"):
        FamilyConfig(encoders={"image": image})
    model, _ = build(FamilyConfig(encoders={"image": image}, heads={"kind": {"name": "regress"}}), ["a"], 0)
    assert any("running_mean" in name for name in model.state_dict())


def test_the_gradient_of_a_gain_alone():
    """torch's own group norm ends the process here, where channels lie last in memory."""
    encoder = Cnn(height=16, width=16, channels=3, stem=4, widths=(8, 16)).build()
    norm = encoder.groups[0].norm
    (gradient,) = torch.autograd.grad(encoder(torch.rand(2, 3, 16, 16)).states.square().sum(), [norm.weight])
    assert gradient.abs().min() > 0
    plain = torch.nn.GroupNorm(norm.groups, 8)
    states = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(norm(states), plain(states))
