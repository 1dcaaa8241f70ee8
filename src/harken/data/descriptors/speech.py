"""How something was said: pauses, rate, rhythm, pitch and colour of a voice, as named numbers.

Samples in, numbers out; nothing is learnt. Frames are 25 ms every 10 ms. Rates are taken against a text's syllables,
so that a long sentence is not a slow one. Measures of fluency after Cucchiarini, Strik and Boves (2000, "Quantitative
assessment of second language learners' fluency by means of automatic speech recognition technology"), of rhythm after
Grabe and Low (2002: the normalised pairwise variability index), of syllables by peaks of intensity after de Jong and
Wempe (2009).
"""

import re
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float
from scipy.fft import dct
from scipy.signal import find_peaks

RATE = 16_000
"""Samples a second that `describe_speech` reads."""
FRAME, HOP, FFT, MELS, CEPSTRA = 400, 160, 512, 40, 14
SECONDS = HOP / RATE
"""Of a step from frame to frame."""
BELOW_PEAK = (15, 20, 25, 30)
"""A frame this many dB below the loudest is a pause; no single threshold suits every room."""
BANDS = ((0.3, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (4.0, 6.0), (6.0, 8.0), (8.0, 12.0), (12.0, 20.0))
"""Of the rhythm of loudness, in Hz: syllables come 3 to 6 times a second."""
WIDE_BANDS = ((0.3, 2.0), (2.0, 4.0), (4.0, 8.0), (8.0, 20.0))
HAN_KANA = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")
VOWELS = re.compile("[aeiouyà-öø-ÿ]+")
Numbers = dict[str, float]


def syllables(text: str) -> int:
    """About how many syllables a text has, at least 1: groups of vowels, and characters of Chinese and Japanese."""
    count = len(HAN_KANA.findall(text))
    for word in HAN_KANA.sub(" ", text.lower()).split():
        groups = len(VOWELS.findall(word))
        count += max(1, groups - (word.endswith("e") and groups > 1))
    return max(1, count)


def describe_speech(samples: Float[np.ndarray, " S"], text: str) -> Mapping[str, float]:
    """A reading of a text as named numbers; the same names for every sound.

    Args:
        samples: (S,) at `RATE` samples a second, full scale -1 to 1; one shorter than a frame is filled with silence.
        text: what was read, or about what was said; may be empty.
    """
    samples = np.pad(samples.astype(np.float64), (0, max(0, 4 * FRAME - len(samples))))
    power = _power(samples)
    loudness = 10 * np.log10(power.sum(1) + 1e-6)
    mels = np.log(power @ _mel_filters().T + 1e-6)
    spoken = {"syllables": float(syllables(text)), "words": float(max(1, len(text.split())))}
    letters = float(max(1, sum(letter.isalnum() for letter in text)))
    heard = loudness > np.percentile(loudness, 95) - 25
    first, last = _ends(heard)
    inner = slice(first, last + 1)
    pitch, clear = _pitch(samples)
    voiced = (clear[: len(heard)] > 0.5) & heard
    out = {
        "text/words": spoken["words"],
        "text/letters": letters,
        "text/syllables": spoken["syllables"],
        "text/letters a word": letters / spoken["words"],
        "text/syllables a word": spoken["syllables"] / spoken["words"],
        "sound/log seconds": float(np.log(len(samples) / RATE)),
        "sound/above floor": float(np.percentile(loudness, 95) - np.percentile(loudness, 5)),
        "sound/loudness spread": float(loudness[inner].std()),
    }
    for below in BELOW_PEAK:
        out |= _pauses(loudness, below, spoken, letters)
    out |= _rhythm(loudness, inner, spoken["syllables"]) | _melody(pitch, clear, voiced, inner, spoken["syllables"])
    out |= {f"rate/{name} a second": spoken[name] / (len(mels[inner]) * SECONDS) for name in spoken}
    return out | _colour(mels[inner], heard[inner]) | _bands(mels)


def _power(samples: Float[np.ndarray, " S"]) -> Float[np.ndarray, "T F"]:
    windowed = _frames(samples, FRAME) * np.hanning(FRAME)
    return np.abs(np.fft.rfft(windowed, FFT)) ** 2


def _frames(samples: Float[np.ndarray, " S"], size: int) -> Float[np.ndarray, "T size"]:
    """Frames of `size` samples around every `HOP`-th sample."""
    padded = np.pad(samples, (size // 2, size // 2))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::HOP]


def _mel_filters() -> Float[np.ndarray, "M F"]:
    """Triangles even on the mel scale (O'Shaughnessy 1987) from 50 to 7,600 Hz."""

    def mel(hertz: float) -> float:
        return float(2595 * np.log10(1 + hertz / 700))

    points = 700 * (10 ** (np.linspace(mel(50.0), mel(7600.0), MELS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(FFT, 1 / RATE)
    rise = (bins[None] - points[:-2, None]) / np.diff(points)[:-1, None]
    fall = (points[2:, None] - bins[None]) / np.diff(points)[1:, None]
    return np.maximum(0, np.minimum(rise, fall))


def _ends(heard: Bool[np.ndarray, " T"]) -> tuple[int, int]:
    """The first and the last frame that is heard."""
    found = np.flatnonzero(heard)
    return (int(found[0]), int(found[-1])) if len(found) else (0, len(heard) - 1)


def _runs(on: Bool[np.ndarray, " T"]) -> Float[np.ndarray, " R"]:
    """The lengths, in seconds, of runs of frames that are on."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    return (edges[1::2] - edges[::2]) * SECONDS


def _pauses(loudness: Float[np.ndarray, " T"], below: int, spoken: Mapping[str, float], letters: float) -> Numbers:
    heard = loudness > np.percentile(loudness, 95) - below
    first, last = _ends(heard)
    inner = heard[first : last + 1]
    runs = np.append(_runs(~inner), 0.0)
    long = runs[runs >= 0.1]
    span, voice = len(inner) * SECONDS, max(inner.sum(), 1) * SECONDS
    found = {
        "share": 1 - inner.mean(),
        "count": len(long),
        "a word": len(long) / spoken["words"],
        "longest": runs.max(),
        "log longest": np.log(runs.max() + 0.02),
        "long share": long.sum() / span,
        "over a quarter second": (runs >= 0.25).sum(),
        "spread": runs.std(),
        "before": first * SECONDS,
        "after": (len(heard) - last) * SECONDS,
        "log span": np.log(span),
        "log syllables a second": np.log(spoken["syllables"] / span),
        "log syllables a voiced second": np.log(spoken["syllables"] / voice),
        "log letters a second": np.log(letters / span),
        "log letters a voiced second": np.log(letters / voice),
        "log words a second": np.log(spoken["words"] / span),
        "log seconds a run": np.log(voice / (len(long) + 1)),
        "log syllables a run": np.log(spoken["syllables"] / (len(long) + 1)),
    }
    return {f"pauses {below} dB/{name}": float(value) for name, value in found.items()}


def _rhythm(loudness: Float[np.ndarray, " T"], inner: slice, count: float) -> Numbers:
    window = np.hanning(9)
    smooth = np.convolve(loudness, window / window.sum(), "same")[inner]
    out: Numbers = {}
    for height in (2, 4):
        peaks, told = find_peaks(smooth, prominence=height)
        gaps = np.diff(peaks) * SECONDS
        gaps = gaps if len(gaps) > 1 else np.array([0.3, 0.3])
        found = {
            "peaks a second": len(peaks) / (len(smooth) * SECONDS),
            "log peaks a syllable": np.log((len(peaks) + 1) / (count + 1)),
            "height": told["prominences"].mean() if len(peaks) else 0.0,
            "gap": gaps.mean(),
            "gap spread": gaps.std(),
            "gap variation": gaps.std() / gaps.mean(),
            "pairwise variability": np.mean(np.abs(np.diff(gaps)) / (gaps[1:] + gaps[:-1])),
            "longest gap": gaps.max(),
        }
        out |= {f"rhythm {height} dB/{name}": float(value) for name, value in found.items()}
    return out | {f"loudness moves/{name}": value for name, value in _modulation(smooth, BANDS).items()}


def _modulation(track: Float[np.ndarray, " T"], bands: tuple[tuple[float, float], ...]) -> Numbers:
    """The logarithm of the share of each band in a track's movement, by the band's lower end in Hz."""
    spectrum = np.abs(np.fft.rfft((track - track.mean()) * np.hanning(len(track)), 1024)) ** 2
    hertz = np.fft.rfftfreq(1024, SECONDS)
    total = spectrum[(hertz > bands[0][0]) & (hertz < bands[-1][1])].sum() + 1e-9
    shares = {low: spectrum[(hertz >= low) & (hertz < high)].sum() / total for low, high in bands}
    return {f"{low:g} Hz": float(np.log(share + 1e-3)) for low, share in shares.items()}


def _pitch(samples: Float[np.ndarray, " S"]) -> tuple[Float[np.ndarray, " T"], Float[np.ndarray, " T"]]:
    """Of each frame the frequency in Hz (70 to 400) at which it repeats itself best, and how well, 1 at most."""
    size = 2 * FRAME
    frames = _frames(samples, size)
    frames = frames - frames.mean(1, keepdims=True)
    repeats = np.fft.irfft(np.abs(np.fft.rfft(frames, 2048)) ** 2)[:, :size]
    repeats = repeats / (repeats[:, :1] + 1e-6)
    # A longer lag has fewer samples to sum over.
    repeats = repeats / np.maximum(1 - np.arange(size) / size, 0.2)
    low, high = RATE // 400, RATE // 70
    found = repeats[:, low:high]
    # What repeats itself after one period does so after two: the first lag that is nearly as good as the best.
    best = (found >= 0.9 * found.max(1, keepdims=True)).argmax(1)
    best = np.array([_top(row, int(at)) for row, at in zip(found, best, strict=True)], dtype=int) + low
    return RATE / best, repeats[np.arange(len(best)), best]


def _top(row: Float[np.ndarray, " L"], at: int) -> int:
    """Uphill from a place to the top that it lies under."""
    while at + 1 < len(row) and row[at + 1] > row[at]:
        at += 1
    return at


def _melody(
    pitch: Float[np.ndarray, " T"],
    clear: Float[np.ndarray, " T"],
    voiced: Bool[np.ndarray, " T"],
    inner: slice,
    count: float,
) -> Numbers:
    octaves = np.log2(pitch[: len(voiced)][voiced]) if voiced.sum() > 5 else np.array([7.0, 7.1])
    middle = np.median(octaves)
    near = octaves[np.abs(octaves - middle) < 0.8]  # further off is the wrong octave
    # Of a sound that is no voice the middle may lie between two heights, and nothing near it.
    octaves = near if len(near) else octaves
    steps = np.diff(octaves)
    steps = np.append(np.abs(steps[np.abs(steps) < 0.3]), 0.0)
    runs = np.append(_runs(voiced), 0.0)
    line = np.polyfit(np.linspace(0, 1, len(octaves)), octaves, 1)[0] if len(octaves) > 3 else 0.0
    found = {
        "middle": middle,
        "spread": octaves.std(),
        "range": np.percentile(octaves, 95) - np.percentile(octaves, 5),
        "step": steps.mean(),
        "slope": line,
        "voiced share": voiced[inner].mean(),
        "clearness": clear[: len(voiced)][voiced].mean() if voiced.any() else 0.5,
        "voiced run": runs[:-1].mean() if len(runs) > 1 else 0.0,
        "longest voiced run": runs.max(),
        "voiced runs a syllable": (len(runs) - 1) / count,
    }
    return {f"pitch/{name}": float(value) for name, value in found.items()}


def _colour(mels: Float[np.ndarray, "T M"], heard: Bool[np.ndarray, " T"]) -> Numbers:
    """The spectrum's mean, spread and movement."""
    flux = np.sqrt(((mels[2:] - mels[:-2]) ** 2).mean(1)) if len(mels) > 2 else np.zeros(1)
    out = {
        "moves/mean": float(flux.mean()),
        "moves/spread": float(flux.std()),
        "moves/median": float(np.median(flux)),
    }
    cepstra = dct(mels, norm="ortho", axis=1)[:, :CEPSTRA]
    moves = cepstra[4:] - cepstra[:-4] if len(cepstra) > 4 else np.zeros((1, CEPSTRA))
    voice = cepstra[heard] if heard.any() else cepstra
    for i in range(CEPSTRA):
        out[f"cepstrum {i}/mean"] = float(voice[:, i].mean())
        out[f"cepstrum {i}/log spread"] = float(np.log(voice[:, i].std() + 0.01))
        out[f"cepstrum {i}/log movement"] = float(np.log(moves[:, i].std() + 0.01))
    for i in range(1, 5):
        moved = _modulation(cepstra[:, i], WIDE_BANDS)
        out |= {f"cepstrum {i} moves/{name}": value for name, value in moved.items()}
    return out


def _bands(mels: Float[np.ndarray, "T M"]) -> Numbers:
    """Loudness of each band over the whole sound, pauses and room included: its mean and its spread."""
    both = zip(mels.mean(0), mels.std(0), strict=True)
    return {
        f"band {n}/{name}": float(v)
        for n, pair in enumerate(both)
        for name, v in zip(("mean", "spread"), pair, strict=True)
    }
