"""Speech from the package index: espeak-ng's library and data (`espeakng-loader`), driven through ctypes."""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
MEND = "`pip install espeakng-loader` brings one (it is in requirements.lock)"
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


Saying = tuple[str, str, int, int]
"""Text, voice, speed and pitch."""


class VoiceUnavailable(RuntimeError):
    """Speech cannot be synthesised on this machine."""


class Synthesiser:
    """Says words; the same arguments give the same samples, whatever was said before and in every process.

    espeak-ng carries a state from word to word that none of its calls resets, and draws its first seed from the clock.
    So each call here opens the library anew and closes it again.

    Raises:
        VoiceUnavailable: if espeak-ng cannot be loaded.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader

            self._path, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
        except (ImportError, OSError) as error:
            raise VoiceUnavailable(f"no speech synthesiser: {error}; {MEND}") from error
        self._data = str(data).encode()
        self._heard: list[np.ndarray] = []
        # Kept on the object: ctypes would free a callback that nobody holds.
        self._callback = CALLBACK(self._hear)

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
        return self.say_all([(text, voice, speed, pitch)])[0]

    def say_all(self, sayings: Sequence[Saying]) -> list[Float32[np.ndarray, " _"]]:
        """Several in a row: a third of the time of so many `say`. Their samples depend on what stands before them.

        Args:
            sayings: each the four arguments of `say`.

        Raises:
            VoiceUnavailable: if there is no such voice, or nothing was said.
        """
        with self._opened() as (library, rate):
            return [self._say(library, rate, saying) for saying in sayings]

    @contextmanager
    def _opened(self) -> Iterator[tuple[ctypes.CDLL, int]]:
        """The library in its first state, and its samples a second."""
        try:
            library = ctypes.CDLL(self._path)
            close, seed = ctypes.CDLL(None).dlclose, library.espeak_ng_SetRandSeed
        except (OSError, AttributeError, TypeError) as error:  # TypeError: Windows has no CDLL(None)
            raise VoiceUnavailable(f"espeak-ng does not load from {self._path}: {error}; {MEND}") from error
        close.argtypes, seed.argtypes = [ctypes.c_void_p], [ctypes.c_long]
        try:
            rate = library.espeak_Initialize(SYNCHRONOUS, 1000, self._data, 0)
            if rate <= 0:
                raise VoiceUnavailable(f"espeak-ng did not start with its data in {self._data.decode()}; {MEND}")
            library.espeak_SetSynthCallback(self._callback)
            try:
                yield library, rate
            finally:
                library.espeak_Terminate()
        finally:
            close(library._handle)

    def _say(self, library: ctypes.CDLL, rate: int, saying: Saying) -> Float32[np.ndarray, " S"]:
        text, voice, speed, pitch = saying
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise VoiceUnavailable(f"espeak-ng has no voice {voice!r}")
        library.espeak_SetParameter(RATE_PARAMETER, speed, 0)
        library.espeak_SetParameter(PITCH_PARAMETER, pitch, 0)
        self._heard.clear()
        library.espeak_ng_SetRandSeed(1)
        words = text.encode() + b"\0"
        library.espeak_Synth(words, len(words), 0, 1, 0, 1, None, None)
        library.espeak_Synchronize()
        wave = np.concatenate([np.zeros(0, np.int16), *self._heard]).astype(np.float32) / 32_768
        loud = np.flatnonzero(np.abs(wave) > AUDIBLE)
        if not loud.size:
            raise VoiceUnavailable(f"espeak-ng said nothing for {text!r} as {voice!r}")
        wave = resample_poly(wave, RATE, rate).astype(np.float32)
        loud = np.flatnonzero(np.abs(wave) > AUDIBLE)
        return wave[loud[0] : loud[-1] + 1]

    def _hear(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, events: int | None) -> int:
        if samples and count:
            self._heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0


@lru_cache(maxsize=1)
def digits() -> Mapping[Saying, Float32[np.ndarray, " _"]]:
    """Every digit by (name, voice, speed, pitch), all said in one order.

    Raises:
        VoiceUnavailable: if espeak-ng cannot be loaded.
    """
    sayings = [
        (name, voice, speed, pitch)
        for voice in (*TRAIN_VOICES, *TEST_VOICES)
        for speed in SPEEDS
        for pitch in PITCHES
        for name in "0123456789"
    ]
    return dict(zip(sayings, Synthesiser().say_all(sayings), strict=True))


def spoken(number: str, voices: Sequence[str], rng: np.random.Generator) -> Float32[np.ndarray, " S"]:
    """A number said digit by digit ("four two") by one voice, with short gaps."""
    # In this order: a seed's draws, and so its media, hang on it.
    voice = voices[int(rng.integers(len(voices)))]
    speed, pitch = SPEEDS[int(rng.integers(len(SPEEDS)))], PITCHES[int(rng.integers(len(PITCHES)))]
    pieces: list[np.ndarray] = []
    for name in number:
        pieces += [digits()[name, voice, speed, pitch], np.zeros(int(rng.integers(300, 900)), np.float32)]
    return np.concatenate(pieces[:-1])
