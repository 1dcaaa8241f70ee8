"""The synthesiser: what a digit sounds like hangs on nothing but what was asked."""

import hashlib
import sys

import numpy as np
import pytest

from harken.data.media import audio
from harken.demo import voices


@pytest.fixture(scope="module")
def synthesiser() -> voices.Synthesiser:
    return voices.Synthesiser()


def digest(waves) -> str:
    return hashlib.sha256(b"".join(wave.tobytes() for wave in waves)).hexdigest()


def test_the_first_call_gives_what_later_calls_give(synthesiser):
    first = synthesiser.say("four", "en-us+m1", 220, 50)
    synthesiser.say("nine hundred", "en-us+f3", 190, 65)
    with pytest.raises(voices.VoiceUnavailable, match="no voice"):
        synthesiser.say("one", "no-such-language", 220, 50)
    assert np.array_equal(first, synthesiser.say("four", "en-us+m1", 220, 50))
    assert np.array_equal(first, voices.Synthesiser().say("four", "en-us+m1", 220, 50))


@pytest.mark.slow
def test_the_digits_hang_on_nothing_said_before(synthesiser):
    before = digest(voices.digits().values())
    synthesiser.say("something else", "en-us+m1", 220, 50)
    voices.digits.cache_clear()
    assert digest(voices.digits().values()) == before


def test_what_is_asked_changes_what_is_heard(synthesiser):
    plain = synthesiser.say("five", "en-us+m1", 220, 50)
    slow = synthesiser.say("five", "en-us+m1", 120, 50)
    high = synthesiser.say("five", "en-us+m1", 220, 80)
    assert len(slow) > 1.3 * len(plain)
    assert not np.array_equal(high, plain)


def test_all_voices_differ_and_none_is_the_plain_one(synthesiser):
    # espeak-ng takes an unknown variant for the plain voice, and says nothing of it.
    names = (*voices.TRAIN_VOICES, *voices.TEST_VOICES, "en-us")
    waves = synthesiser.say_all([("seven", name, 220, 50) for name in names])
    assert len({wave.tobytes() for wave in waves}) == len(names)


@pytest.mark.slow
def test_every_digit_is_there_heard_and_trimmed():
    table = voices.digits()
    count = 10 * len(voices.SPEEDS) * len(voices.PITCHES)
    assert len(table) == count * (len(voices.TRAIN_VOICES) + len(voices.TEST_VOICES))
    for wave in table.values():
        assert wave.dtype == np.float32
        assert 0.1 < len(wave) / voices.RATE < 0.7
        assert 0.1 < np.abs(wave).max() <= 1
        assert np.sqrt(np.mean(wave**2)) > 0.03
        assert min(abs(wave[0]), abs(wave[-1])) > voices.AUDIBLE


@pytest.mark.parametrize(("number", "longest"), [("7", 0.7), ("42", 1.3), ("635", 1.9)])
def test_a_number_is_short_and_its_wav_holds_it(number, longest):
    rng = np.random.default_rng(0)
    for chosen in (voices.TRAIN_VOICES, voices.TEST_VOICES):
        for _ in range(20):
            wave = voices.spoken(number, chosen, rng)
            assert 0.1 * len(number) < len(wave) / voices.RATE < longest
            back = audio.decode(audio.encode_wav(wave, voices.RATE), voices.RATE)
            assert np.abs(back - wave).max() < 1e-4


def test_a_number_is_its_digits_in_one_voice_with_gaps():
    wave = voices.spoken("42", ("en-us+m2",), np.random.default_rng(3))
    fits = [
        (first, second)
        for speed in voices.SPEEDS
        for pitch in voices.PITCHES
        for first, second in [[voices.digits()[name, "en-us+m2", speed, pitch] for name in "42"]]
        if np.array_equal(wave[: len(first)], first) and np.array_equal(wave[-len(second) :], second)
    ]
    assert len(fits) == 1
    (first, second) = fits[0]
    gap = wave[len(first) : len(wave) - len(second)]
    assert 300 <= len(gap) < 900
    assert not gap.any()


@pytest.mark.parametrize("silent", ["", " ", "."])
def test_nothing_said_is_an_error(synthesiser, silent):
    with pytest.raises(voices.VoiceUnavailable, match="said nothing"):
        synthesiser.say(silent, "en-us+m1", 220, 50)


def test_without_the_package_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(voices.VoiceUnavailable, match="pip install espeakng-loader"):
        voices.Synthesiser()


def test_a_library_that_does_not_load_is_said_so(monkeypatch, tmp_path):
    broken = tmp_path / "libespeak-ng.so"
    broken.write_bytes(b"no library")
    synthesiser = voices.Synthesiser()
    monkeypatch.setattr(synthesiser, "_path", str(broken))
    with pytest.raises(voices.VoiceUnavailable, match="does not load"):
        synthesiser.say("one", "en-us+m1", 220, 50)
