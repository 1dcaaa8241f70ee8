"""Audio encoders: as many states as they say of every length, padding that changes nothing, and refusals."""

import pytest
import torch

from harken.models.fusion import parts
from harken.models.fusion.build import FamilyConfig
from harken.models.fusion.encoders.audio import log_mel_cnn

ENCODERS = [
    {"name": "log_mel_transformer", "hidden": 16, "heads": 2},
    {"name": "log_mel_cnn", "widths": (6, 10)},
    {"name": "log_mel_cnn", "widths": (4, 6, 8), "strides": (1, 3, 2), "mels": 5},
    {"name": "log_mel_cnn", "widths": (6, 8), "strides": (3, 2), "mels": 5, "pool": "mean_max"},
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


BATCH = {"name": "log_mel_cnn", "widths": (6, 10), "strides": (2, 2), "mels": 11, "norm": "batch"}


def test_batch_norm_reads_sounds_and_no_filling():
    torch.manual_seed(0)
    norm, states = log_mel_cnn.RealBatchNorm(3).double(), torch.randn(4, 3, 5, 9, dtype=torch.double)
    lengths = torch.tensor([9, 2, 5, 1])
    real = torch.arange(9) < lengths[:, None]
    found = norm.over(states, real)
    places = torch.cat([states[n, :, :, :length].flatten(1) for n, length in enumerate(lengths.tolist())], 1)
    mean, variance = places.mean(1), places.var(1, unbiased=False)
    plain = (states - mean[:, None, None]) / (variance[:, None, None] + norm.eps).sqrt()
    assert (found - plain).abs().mul(real[:, None, None]).max() < 1e-12
    assert (norm.running_mean - 0.1 * mean).abs().max() < 1e-12
    whole = torch.ones_like(real)
    assert (norm.over(states, whole).mean((0, 2, 3))).abs().max() < 1e-12
    norm.eval()
    assert torch.equal(norm.over(states, real), norm.over(states, whole))


@pytest.mark.parametrize("training", [False, True])
def test_with_a_batch_norm_filling_changes_nothing_and_in_use_no_clip_another(training):
    torch.manual_seed(0)
    encoder = parts.encoder("audio", BATCH).build().double()
    lengths = torch.tensor([40, 17, 23, 1])
    clips = torch.randn(4, 11, 51, dtype=torch.double)
    encoder(clips, lengths)  # the running statistics are no longer what they begin as
    encoder.train(training)
    wide, tight = (encoder(clips[..., :n], lengths).states for n in (51, 40))
    assert (wide[:, : tight.shape[1]] - tight).abs().max() < 1e-9
    if not training:
        alone = [encoder(clip[None, :, :n]).states[0] for clip, n in zip(clips, lengths.tolist(), strict=True)]
        assert all((wide[n, : len(one)] - one).abs().max() < 1e-9 for n, one in enumerate(alone))


def test_a_batch_norm_and_a_language_head_are_refused():
    with pytest.raises(parts.PartError, match=r"encoders\.audio\.norm is batch, but the model has a language head"):
        FamilyConfig(encoders={"audio": BATCH})


@pytest.mark.parametrize("said", ENCODERS)
def test_all_weights_learn_and_places_differ(said):
    settings = parts.encoder("audio", _said(said))
    encoder = settings.build()
    stream = encoder(torch.randn(3, settings.mels, 40), torch.tensor([40, 17, 23]))
    (stream.states * torch.randn(stream.states.shape))[stream.real].sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in encoder.parameters())
    places = stream.states[0] if stream.states.shape[1] > 1 else stream.states[:, 0]
    assert (places[1:] - places[:-1]).abs().amax(1).min() > 1e-4


def test_mean_and_max_are_of_a_clip_s_own_moments():
    torch.manual_seed(0)
    said = {"name": "log_mel_cnn", "widths": (6, 8), "strides": (1, 2), "mels": 5}
    every, one = (parts.encoder("audio", {**said, "pool": pool}).build().double() for pool in ("grid", "mean_max"))
    one.load_state_dict(every.state_dict())
    clips, lengths = torch.randn(3, 5, 11, dtype=torch.double), torch.tensor([11, 4, 1])
    moments, whole = every(clips, lengths), one(clips, lengths)
    for n in range(3):
        own = moments.states[n][moments.real[n]]
        own = own - log_mel_cnn.sinusoids(len(own), 8).double()
        assert (whole.states[n, 0] - (own.mean(0) + own.amax(0))).abs().max() < 1e-9


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
