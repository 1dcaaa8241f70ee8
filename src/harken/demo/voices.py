"""Speech from the package index: espeak-ng's library and data (`espeakng-loader`), driven through ctypes."""

import ctypes
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float32
from scipy.signal import resample_poly

RATE = 16_000
TRAIN_VOICES = ("en-us+m1", "en-us+m3", "en-us+m5", "en-us+m7", "en-us+f1", "en-us+f2", "en-us+f4")
TEST_VOICES = ("en-us+m2", "en-us+f3")
SPEEDS = (190, 220, 250)
PITCHES = (35, 50, 65)
SYNCHRONOUS, RATE_PARAMETER, PITCH_PARAMETER = 2, 1, 3
AUDIBLE = 0.01
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class VoiceUnavailable(RuntimeError):
    """Speech cannot be synthesised on this machine."""


class Synthesiser:
    """Says words. One a process: the library is global.

    Raises:
        VoiceUnavailable: if espeak-ng cannot be loaded.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader

            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path()
        except (ImportError, OSError) as error:
            raise VoiceUnavailable(
                f"no speech synthesiser: {error}; `pip install espeakng-loader` brings one (it is in requirements.lock)"
            ) from error
        self._rate = self._library.espeak_Initialize(SYNCHRONOUS, 1000, str(data).encode(), 0)
        if self._rate <= 0:
            raise VoiceUnavailable(f"espeak-ng did not start with its data in {data}; reinstall espeakng-loader")
        self._heard: list[np.ndarray] = []
        # Kept on the object: ctypes would free a callback that nobody holds.
        self._callback = CALLBACK(self._hear)
        self._library.espeak_SetSynthCallback(self._callback)

    def _hear(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int | None) -> int:
        if samples and count:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, voice: str, speed: int, pitch: int) -> Float32[np.ndarray, " S"]:
        """Samples of `text` at 16 kHz, silence at both ends cut off.

        Args:
            text: what to say.
            voice: espeak-ng's name, such as `en-us+f1`.
            speed: words a minute.
            pitch: 0 to 100.

        Raises:
            VoiceUnavailable: if there is no such voice, or nothing was said.
        """
        library = self._library
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise VoiceUnavailable(f"espeak-ng has no voice {voice!r}")
        library.espeak_SetParameter(RATE_PARAMETER, speed, 0)
        library.espeak_SetParameter(PITCH_PARAMETER, pitch, 0)
        self._heard.clear()
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        words = text.encode() + b"\0"
        library.espeak_Synth(words, len(words), 0, 1, 0, 1, None, None)
        library.espeak_Synchronize()
        if not self._heard:
            raise VoiceUnavailable(f"espeak-ng said nothing for {text!r}")
        wave = np.concatenate(self._heard).astype(np.float32) / 32_768
        wave = resample_poly(wave, RATE, self._rate).astype(np.float32)
        loud = np.flatnonzero(np.abs(wave) > AUDIBLE)
        return wave[loud[0] : loud[-1] + 1]


@lru_cache(maxsize=1)
def digits() -> Mapping[tuple[str, str, int, int], Float32[np.ndarray, " _"]]:
    """Every digit by (name, voice, speed, pitch).

    espeak-ng's samples depend a little on what it said before, in the same process. So all digits are said once, first
    of all and in one order: then each process has the same sounds.

    Raises:
        VoiceUnavailable: if espeak-ng cannot be loaded.
    """
    synthesiser = Synthesiser()
    return {
        (name, voice, speed, pitch): synthesiser.say(name, voice, speed, pitch)
        for voice in (*TRAIN_VOICES, *TEST_VOICES)
        for speed in SPEEDS
        for pitch in PITCHES
        for name in "0123456789"
    }


def spoken(number: str, voices: Sequence[str], rng: np.random.Generator) -> Float32[np.ndarray, " S"]:
    """A number said digit by digit ("four two") by one voice, with short gaps."""
    voice, speed, pitch = (options[int(rng.integers(len(options)))] for options in (voices, SPEEDS, PITCHES))
    pieces: list[np.ndarray] = []
    for name in number:
        pieces += [digits()[name, voice, speed, pitch], np.zeros(int(rng.integers(300, 900)), np.float32)]
    return np.concatenate(pieces[:-1])
