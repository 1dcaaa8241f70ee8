"""Numbers of sounds, pictures and texts whose numbers are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harken.data.descriptors.picture import describe_picture
from harken.data.descriptors.speech import RATE, describe_speech, syllables
from harken.data.descriptors.words import describe_words


def beeps(pattern: str, pitch: float = 150.0, unit: float = 0.1) -> np.ndarray:
    """A voice-like buzz where the pattern has x, near silence where it has a dot, each `unit` seconds long."""
    rng = np.random.default_rng(0)
    time = np.arange(int(unit * RATE) * len(pattern)) / RATE
    on = np.repeat([letter == "x" for letter in pattern], int(unit * RATE))
    buzz = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 8))
    return (0.2 * buzz * on + rng.normal(0, 1e-4, len(time))).astype(np.float32)


@pytest.mark.parametrize(
    ("text", "count"),
    [("time to buy a new home", 6), ("", 1), ("Queue", 1), ("你好吗", 3), ("two 二", 2), ("the there", 2), ("be", 1)],
)
def test_syllables(text, count):
    assert syllables(text) == count


def test_pauses_are_found_where_they_are():
    found = describe_speech(beeps("..xxxx..xxxx....xx..."), "one two three")
    assert found["pauses 25 dB/count"] == 2
    assert found["pauses 25 dB/longest"] == pytest.approx(0.4, abs=0.05)
    assert found["pauses 25 dB/share"] == pytest.approx(6 / 16, abs=0.05)
    assert found["pauses 25 dB/before"] == pytest.approx(0.2, abs=0.03)
    assert found["pauses 25 dB/after"] == pytest.approx(0.3, abs=0.04)
    assert found["pauses 25 dB/a word"] == pytest.approx(2 / 3)
    assert found["rate/words a second"] == pytest.approx(3 / 1.6, rel=0.05)


@pytest.mark.parametrize("pitch", [90.0, 150.0, 240.0])
def test_pitch_is_the_pitch(pitch):
    found = describe_speech(beeps("xxxxxxxx", pitch), "hum")
    assert 2 ** found["pitch/middle"] == pytest.approx(pitch, rel=0.02)
    assert found["pitch/spread"] < 0.05
    assert found["pitch/voiced share"] > 0.9


def test_a_louder_recording_is_spoken_in_the_same_way():
    soft, loud = (describe_speech(beeps("xx.xxx..xx") * gain, "a few words") for gain in (0.2, 0.9))
    for name in soft:
        if name.startswith(("pauses", "pitch", "rate", "text")):
            assert soft[name] == pytest.approx(loud[name], abs=0.06), name


@settings(max_examples=15)
@given(st.integers(0, 9000), st.sampled_from(["silence", "noise", "click", "full"]), st.text(max_size=12))
def test_any_sound_and_text_give_the_same_names_and_numbers(count, kind, text):
    rng = np.random.default_rng(count)
    wave = {"silence": np.zeros(count), "noise": rng.normal(0, 0.1, count), "full": np.ones(count)}.get(kind)
    if wave is None:
        wave = np.zeros(count)
        wave[: min(3, count)] = 1.0
    found = describe_speech(wave.astype(np.float32), text)
    assert list(found) == list(describe_speech(beeps("x.x"), "one"))
    assert np.isfinite(list(found.values())).all()


@pytest.mark.slow
def test_a_sound_of_two_heights_with_nothing_between_them_has_numbers():
    """A machine that hums low and beeps high, for about as long each: the middle height is none of the two."""
    for more in range(8):
        wave = np.concatenate([beeps("x", 75.0, 0.3), beeps("x", 380.0, 0.3 + more * 0.01)])
        assert np.isfinite(list(describe_speech(wave, "").values())).all()


def test_pictures_of_all_sizes_have_the_same_names_and_differ_where_they_differ():
    red, blue = (np.zeros((20, 30, 3), np.uint8) for _ in range(2))
    red[..., 0], blue[..., 2] = 200, 200
    one, other = describe_picture(red), describe_picture(blue)
    assert list(one) == list(other) == list(describe_picture(np.zeros((1, 7, 3), np.uint8)))
    assert one["red-green wave 0 0"] > 0 == other["red-green wave 0 0"]
    assert one["picture/log width over height"] == pytest.approx(np.log(1.5))
    bars = np.zeros((32, 32, 3), np.uint8)
    bars[:, ::8] = 255
    found, turned = describe_picture(bars), describe_picture(np.swapaxes(bars, 0, 1).copy())
    assert found["edges 0 cell 5"] > 3 * found["edges 4 cell 5"]
    assert turned["edges 4 cell 5"] > 3 * turned["edges 0 cell 5"]


def test_words_are_counted_and_their_order_is_not():
    one, other = describe_words("The cat sat. Is it 42?"), describe_words("Is it 42? sat The cat.")
    assert one == pytest.approx({**other, "words/ends": one["words/ends"]})
    assert one["words/log words"] == pytest.approx(np.log(7))
    assert one["words/asks"] == 1
    assert one["words/digits"] == pytest.approx(2 / 22)
    assert list(one) == list(describe_words(""))
    assert np.isfinite(list(describe_words("\ud800 \x00 " * 3).values())).all()
