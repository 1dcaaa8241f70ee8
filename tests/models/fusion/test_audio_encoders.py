"""Audio encoders: as many states as they say of every length, padding that changes nothing, and refusals."""

import pytest
import torch

from harken.models.fusion import parts

ENCODERS = [
    {"name": "log_mel_transformer", "hidden": 16, "heads": 2},
    {"name": "log_mel_cnn", "widths": (6, 10)},
    {"name": "log_mel_cnn", "widths": (4, 6, 8), "strides": (1, 3, 2), "mels": 5},
    {"name": "log_mel_lstm", "hidden": 12, "stack": 4},
    {"name": "log_mel_lstm", "hidden": 8, "stack": 1, "layers": 2, "mels": 7},
]


def _said(said):
    strides = {"strides": (2, 2)} if said.get("widths") == (6, 10) else {}
    return {"mels": 11, **said, **strides}


@pytest.mark.parametrize("said", ENCODERS)
def test_padding_changes_nothing(said):
    settings = parts.encoder("audio", _said(said))
    torch.manual_seed(0)
    encoder = settings.build().double()
    lengths = torch.randint(1, 70, (9,))
    lengths[:3] = torch.tensor([1, 2, 70])
    clips = torch.randn(9, settings.mels, 83, dtype=torch.double, requires_grad=True)
    together = encoder(clips, lengths)
    assert together.real.sum(1).tolist() == [settings.tokens(int(n)) for n in lengths]
    weights = torch.randn(together.states.shape, dtype=torch.double)
    (gradient,) = torch.autograd.grad((together.states * weights)[together.real].sum(), clips)
    for n, length in enumerate(lengths.tolist()):
        own = clips.detach()[n : n + 1, :, :length].requires_grad_()
        alone = encoder(own, torch.tensor([length]))
        count = settings.tokens(length)
        assert alone.states.shape == (1, count, encoder.width)
        assert torch.equal(alone.states, encoder(own).states)
        assert (alone.states[0] - together.states[n, :count]).abs().max() < 1e-9
        (theirs,) = torch.autograd.grad((alone.states[0] * weights[n, :count]).sum(), own)
        assert (theirs[0] - gradient[n, :, :length]).abs().max() < 1e-6
        assert not gradient[n, :, length:].any()


@pytest.mark.parametrize("said", ENCODERS)
def test_all_weights_learn_and_places_differ(said):
    settings = parts.encoder("audio", _said(said))
    encoder = settings.build()
    stream = encoder(torch.randn(3, settings.mels, 40), torch.tensor([40, 17, 23]))
    (stream.states * torch.randn(stream.states.shape))[stream.real].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    assert (stream.states[0, 1:] - stream.states[0, :-1]).abs().amax(1).min() > 1e-4


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"name": "log_mel_cnn", "widths": ()}, "audio.widths"),
        ({"name": "log_mel_cnn", "widths": (4, 5), "strides": (2, 2)}, "must be even, not 5"),
        ({"name": "log_mel_cnn", "widths": (4, 6)}, "one for each of audio.widths"),
        ({"name": "log_mel_cnn", "strides": (2, 2, 4)}, "from 1 to 3"),
        ({"name": "log_mel_cnn", "mels": 0}, "audio.mels"),
        ({"name": "log_mel_lstm", "hidden": 7}, "audio.hidden must be even"),
        ({"name": "log_mel_lstm", "stack": 0}, "audio.stack"),
        ({"name": "log_mel_lstm", "layers": 0}, "audio.layers"),
    ],
)
def test_settings_that_cannot_be_are_refused(said, words):
    with pytest.raises(parts.PartError, match=words):
        parts.encoder("audio", said)
