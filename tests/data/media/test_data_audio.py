import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_media import noise, sound, wav

from harken.data.media import audio
from harken.data.media.limits import MediaError


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), samples=st.integers(1, 300), rate=st.sampled_from([8_000, 16_000, 44_100]))
def test_wav_round_trip_is_exact_to_half_a_step(seed, samples, rate):
    wave = noise(seed, samples)
    data = audio.encode_wav(wave, rate)
    assert data == audio.encode_wav(wave.copy(), rate)
    back = audio.decode(data, rate)
    assert np.abs(back - wave).max() <= 0.5 / 32_768 + 1e-9
    assert audio.encode_wav(back, rate) == data
    assert audio.header(data) == audio.Header("WAV", rate, 1, samples)


def test_what_is_beyond_full_scale_is_clipped():
    back = audio.decode(audio.encode_wav(np.array([-3.0, 3.0]), 8_000), 8_000)
    assert back.tolist() == [-1.0, pytest.approx(1.0, abs=1 / 32_768)]


@pytest.mark.parametrize("samples", [np.zeros(0), np.array([0.0, np.nan]), np.array([np.inf])])
def test_no_wav_of_nothing_or_of_no_numbers(samples):
    with pytest.raises(ValueError, match="no numbers"):
        audio.encode_wav(samples, 8_000)


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_each_format_decodes_to_its_length(kind):
    data = sound(noise(0, 4_000), 16_000, kind)
    assert audio.header(data) == audio.Header(kind, 16_000, 1, 4_000)
    assert audio.decode(data, 16_000).shape == (4_000,)
    assert audio.decode(data, 8_000).shape == (2_000,)


def test_channels_are_averaged():
    both = np.stack([noise(1), noise(2)], axis=1)
    seen = audio.decode(sound(both, subtype="FLOAT"), 8_000)
    np.testing.assert_allclose(seen, both.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize(("own", "rate"), [(8_000, 16_000), (44_100, 16_000), (16_000, 11_025)])
def test_resampling_keeps_a_tone(own, rate):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(own) / own)
    seen = audio.decode(sound(tone, own, subtype="FLOAT"), rate)
    assert seen.dtype == np.float32
    assert seen.shape == (rate,)
    wanted = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    inside = slice(rate // 20, -rate // 20)  # the filter rings at the ends
    assert np.abs(seen[inside] - wanted[inside]).max() < 2e-3


def test_a_rate_must_be_above_zero():
    with pytest.raises(ValueError, match="above 0"):
        audio.decode(wav(), 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(bad):
    wave = noise(0, 20)
    wave[7] = bad
    with pytest.raises(MediaError, match="sample 7"):
        audio.decode(sound(wave, subtype="FLOAT"), 8_000)


def test_an_empty_sound_is_refused():
    with pytest.raises(MediaError, match="empty"):
        audio.decode(sound(np.zeros(0, np.float32)), 8_000)


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_a_cut_sound_is_refused(kind):
    data = sound(noise(3, 600), 8_000, kind)
    for length in range(0, len(data), 3):
        with pytest.raises(MediaError):
            audio.decode(data[:length], 8_000)


def test_a_wav_from_a_pipe_does_not_know_its_length_and_is_whole():
    data = bytearray(wav(0, 40))
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff\xff\xff\xff"
    assert audio.decode(bytes(data), 8_000).shape == (40,)


@settings(max_examples=150)
@given(at=st.integers(0, 10_000), value=st.integers(0, 255), kind=st.sampled_from(["WAV", "FLAC", "OGG"]))
def test_a_damaged_sound_raises_nothing_but_media_errors(at, value, kind):
    data = bytearray(sound(noise(5, 200), 8_000, kind))
    data[at % min(len(data), 200)] = value
    try:
        if audio.header(bytes(data)).frames < 10_000:
            assert np.isfinite(audio.decode(bytes(data), audio.header(bytes(data)).rate)).all()
    except MediaError as error:
        assert str(error)


@settings(max_examples=100)
@given(
    data=st.binary(max_size=200),
    head=st.sampled_from([b"", b"RIFF\xff\0\0\0WAVE", b"fLaC", b"OggS", b"FORM\0\0\0\1AIFF"]),
)
def test_noise_is_no_sound(data, head):
    with pytest.raises(MediaError):
        audio.decode(head + data, 8_000)


@pytest.mark.parametrize("kind", ["AIFF", "AU", "CAF", "W64"])
def test_rare_formats_are_refused_though_libsndfile_reads_them(kind):
    with pytest.raises(MediaError, match="not a sound"):
        audio.header(sound(noise(), kind=kind))


def test_a_rare_format_behind_an_id3_tag_is_refused():
    tag = b"ID3\x03\0\0\0\0\0\x0a" + bytes(10)
    with pytest.raises(MediaError):
        audio.header(tag + sound(noise(), kind="AIFF"))
