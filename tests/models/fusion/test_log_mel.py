"""Log-mel frames of samples: those of the processor, those of a plain reading, and their gradients."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor, WhisperFeatureExtractor

from harken.data.batch import collate_prompts
from harken.data.blobs import Blobs
from harken.data.encoded import EncodedPrompts
from harken.data.media.audio import encode_wav
from harken.data.processor import SAMPLES
from harken.models.fusion.build import FamilyConfig, build
from harken.models.fusion.log_mel import LogMel
from harken.models.hearing import Hearing
from harken.types import Audio, Message, Prompt, Text

sys.path.insert(0, str(Path(__file__).parents[1]))

from tiny import tiny_model

FAMILY = FamilyConfig(
    encoders={"audio": {"hidden": 8, "heads": 2, "rate": 8000, "mels": 16, "max_seconds": 2}},
    heads={"answer": {"hidden": 16, "layers": 1, "heads": 2, "intermediate": 24, "vocabulary": 280}},
)


def extractor(rate: int = 1000, mels: int = 3, **more: float) -> WhisperFeatureExtractor:
    return WhisperFeatureExtractor(
        feature_size=mels, sampling_rate=rate, hop_length=rate // 100, n_fft=rate * 25 // 1000, chunk_length=1, **more
    )


def sounds(lengths: list[int], seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    made = [rng.standard_normal(n) * 0.2 * np.exp(-np.arange(n) / 400) for n in lengths]
    return [np.clip(sound, -0.99, 0.99).astype(np.float32) for sound in made]


def prompt(blobs: Blobs, name: str, waves: list[np.ndarray]) -> Prompt:
    parts = [Audio(blobs.put(encode_wav(wave, 8000), "audio")) for wave in waves]
    return Prompt(name, (Message("user", (*parts, Text("What?"))),))


def test_frames_are_the_processors(tmp_path):
    """Of sounds alone and two in one prompt, shorter than a window, silent, and silent for the most part."""
    blobs, model = Blobs(tmp_path), tiny_model(0, FAMILY, ["What?"])
    waves = sounds([1600, 811, 3999, 60, 800, 2400])
    quiet = np.zeros(900, np.float32)
    half = np.concatenate([waves[4], quiet])
    asked = [
        prompt(blobs, str(n), each)
        for n, each in enumerate([[waves[0]], waves[1:3], [waves[3]], [quiet], [half, waves[5]], [waves[2]]])
    ]
    encoded = EncodedPrompts(model.processor, blobs, samples=True)
    read = collate_prompts(encoded(asked), model.processor.pad_id)
    plain = collate_prompts(EncodedPrompts(model.processor, blobs)(asked), model.processor.pad_id)
    heard = Hearing(model, model.processor).heard(read)
    assert set(heard.media) == set(plain.media) == {"input_features", "feature_lengths"}
    assert set(heard.media_rows) == set(heard.media)
    assert not set(SAMPLES) & set(heard.media)
    assert torch.equal(heard.media["feature_lengths"], plain.media["feature_lengths"])
    torch.testing.assert_close(heard.media["input_features"], plain.media["input_features"], atol=2e-6, rtol=0)
    alone = Hearing(model, model.processor).heard(
        collate_prompts(EncodedPrompts(model.processor, blobs)(asked), model.processor.pad_id)
    )
    assert torch.equal(alone.media["input_features"], plain.media["input_features"]), "without samples: as it was"


def plainly(sound: np.ndarray, reads: WhisperFeatureExtractor) -> np.ndarray:
    """One frame after another, its spectrum by the sum that defines it."""
    size, hop = reads.n_fft, reads.hop_length
    window = [0.5 - 0.5 * math.cos(2 * math.pi * k / size) for k in range(size)]
    mirrored = np.pad(sound.astype(np.float64), size // 2, mode="reflect")
    out = []
    for start in range(0, len(sound) // hop * hop, hop):
        piece = mirrored[start : start + size] * window
        energy = [
            abs(sum(piece[k] * np.exp(-2j * math.pi * f * k / size) for k in range(size))) ** 2
            for f in range(size // 2 + 1)
        ]
        out.append([math.log10(max(1e-10, float(np.dot(energy, band)))) for band in reads.mel_filters.T])
    logs = np.array(out).T
    return (np.maximum(logs, logs.max() - 8) + 4) / 4


def test_a_plain_reading():
    reads = extractor()
    log_mel = LogMel(reads)
    waves = sounds([123, 50, 88])
    waves[1][20:] *= 1e-6
    samples = torch.zeros(3, 123, dtype=torch.double)
    for row, wave in zip(samples, waves, strict=True):
        row[: len(wave)] = torch.from_numpy(wave)
    made = log_mel(samples, torch.tensor([123, 50, 88]))
    assert made.shape == (3, 3, 12)
    for frames, wave in zip(made, waves, strict=True):
        expected = plainly(wave, reads)
        count = expected.shape[1]
        np.testing.assert_allclose(frames[:, :count].numpy(), expected, atol=1e-10)
        assert not frames[:, count:].any()


def test_gradients_are_those_of_small_differences():
    log_mel = LogMel(extractor())
    samples = torch.from_numpy(np.stack(sounds([60, 60]))).double()
    samples[1, 20:] *= 1e-6  # frames at the floor, which follows the loudest
    extents = torch.tensor([60, 47])
    assert torch.autograd.gradcheck(
        lambda given: log_mel(given, extents), samples.requires_grad_(), eps=1e-8, atol=1e-4, rtol=1e-3
    )


def test_what_the_processor_did_not_read_has_no_gradient_and_changes_nothing():
    log_mel, extents = LogMel(extractor()), torch.tensor([47])
    samples = torch.from_numpy(sounds([60])[0])[None].requires_grad_()
    made = log_mel(samples, extents)
    (gradient,) = torch.autograd.grad(made.square().sum(), samples)
    assert not gradient[0, 47:].any()
    assert gradient[0, :40].all()
    other = samples.detach().clone()
    other[0, 47:] = 1.0
    assert torch.equal(log_mel(other, extents), made.detach())


def test_frames_keep_their_type_where_a_training_multiplies_in_another():
    log_mel, samples = LogMel(extractor()), torch.from_numpy(np.stack(sounds([60])))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        made = log_mel(samples, torch.tensor([60]))
    assert torch.equal(made, log_mel(samples, torch.tensor([60])))


@pytest.mark.parametrize("reads", [Wav2Vec2FeatureExtractor(), extractor(dither=0.1), None])
def test_another_extractor_is_refused(reads):
    with pytest.raises(ValueError, match=r"makes no log-mel frames .* name input_features"):
        LogMel(reads)


def test_samples_of_another_processor_are_refused(tmp_path):
    class Foreign:
        def __call__(self, text, audio): ...

    blobs, model = Blobs(tmp_path), tiny_model(0, FAMILY, ["What?"])
    asked = prompt(blobs, "a", sounds([800]))
    model.processor.hf, own = Foreign(), model.processor.hf
    model.processor.hf.apply_chat_template = own.apply_chat_template
    with pytest.raises(ValueError, match="harken's own family alone, and this is a Foreign"):
        model.processor.encode(asked, blobs, samples=True)


def test_a_family_without_ears_has_no_frames_to_make():
    _, processor = build(FamilyConfig(encoders={"image": {}}), ["a"], 0)
    made = processor("a", samples=True)
    assert "samples" not in made
