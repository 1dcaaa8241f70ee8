"""Sounds: bytes to samples and back. Takes bytes, never paths; `harken.data.blobs` opens files."""

import io
import math
from dataclasses import dataclass

import numpy as np
import soundfile
from jaxtyping import Float32, Shaped

from harken.data.media.limits import MediaError, UnknownFormatError

SUFFIXES = {"WAV": "wav", "FLAC": "flac", "OGG": "ogg", "MP3": "mp3"}
KNOWN = "WAV, FLAC, OGG or MP3"
BLOCK = 1 << 16

# Programs that write WAV into a pipe do not know the length beforehand and write about the largest number.
UNKNOWN_LENGTH = 0x7FF0_0000


@dataclass(frozen=True, slots=True)
class Header:
    """What a sound says of itself before it is decoded: `frames` samples a channel, `rate` of them a second."""

    format: str
    rate: int
    channels: int
    frames: int


def header(data: bytes) -> Header:
    """The header of an encoded sound; no samples are decoded.

    Raises:
        MediaError: if the bytes are no sound of a known format, or a WAV or FLAC that was cut short.
    """
    with _open(data) as opened:
        return Header(_format(opened), opened.samplerate, opened.channels, opened.frames)


def decode(data: bytes, rate: int) -> Float32[np.ndarray, " S"]:
    """The sound in one channel (the mean of all) at `rate` samples a second.

    A cut sound is refused where its header says how long it was: WAV and FLAC always, MP3 and Ogg not always.

    Returns:
        (S,), full scale is -1 to 1.

    Raises:
        MediaError: if the sound does not decode whole, is empty, or has samples that are no numbers.
        ValueError: if `rate` is not above 0.
    """
    if rate <= 0:
        raise ValueError(f"a rate of {rate} samples a second; it must be above 0")
    with _open(data) as opened:
        own, mono = opened.samplerate, _mono(opened)
    if own == rate:
        return mono
    # Loaded with the first sound that needs it: it takes more memory and time than all that a server of media does.
    from scipy.signal import resample_poly

    shared = math.gcd(own, rate)
    return np.asarray(resample_poly(mono, rate // shared, own // shared), dtype=np.float32)


def peaks(data: bytes, count: int) -> list[float]:
    """The largest of each of `count` stretches of a sound (fewer where it is shorter), the mean of all channels.

    A block is held at a time, so that an hour takes no more memory than a second.

    Raises:
        MediaError: if the sound does not decode.
    """
    with _open(data) as opened:
        frames, at = opened.frames, 0
        edges = np.linspace(0, frames, min(count, frames) + 1).astype(np.int64)
        out = np.zeros(max(0, len(edges) - 1))
        try:
            while len(block := opened.read(BLOCK, dtype="float32", always_2d=True)):
                loud = np.abs(block.mean(axis=1, dtype=np.float32))
                # What a header does not promise is not drawn.
                loud = loud[: max(0, frames - at)]
                place = np.searchsorted(edges, np.arange(at, at + len(loud)), side="right") - 1
                np.maximum.at(out, place, loud)
                at += len(loud)
        except soundfile.SoundFileError as error:
            raise MediaError(f"the sound does not decode ({error}); it may be cut short: fetch it again") from error
    return [round(float(peak), 3) for peak in out]


def encode_wav(samples: Shaped[np.ndarray, " S"], rate: int) -> bytes:
    """The sound as 16-bit WAV, one channel; what is beyond full scale is clipped. The same samples, the same bytes.

    Args:
        samples: (S,), full scale is -1 to 1.
        rate: samples a second.

    Raises:
        ValueError: if there are no samples, or some are no numbers.
    """
    if not samples.size or not np.isfinite(samples).all():
        raise ValueError(f"{samples.size} samples, of which {int((~np.isfinite(samples)).sum())} are no numbers")
    whole = np.clip(np.rint(samples.astype(np.float64) * 32_768), -32_768, 32_767).astype(np.int16)
    out = io.BytesIO()
    soundfile.write(out, whole, rate, format="WAV", subtype="PCM_16")
    return out.getvalue()


def _open(data: bytes) -> soundfile.SoundFile:
    container = _container(data)
    if container == "WAV":
        _refuse_cut_wav(data)
    try:
        opened = soundfile.SoundFile(io.BytesIO(data))
    except Exception as error:
        raise MediaError(f"the sound does not open as {container} ({error}); save it again as WAV") from error
    # Behind an ID3 tag libsndfile finds any format.
    if _format(opened) not in SUFFIXES or opened.samplerate <= 0 or opened.channels <= 0:
        seen = f"{opened.format}, {opened.channels} channels, {opened.samplerate} samples a second"
        opened.close()
        raise MediaError(f"not a sound that harken reads: {seen}; save it as {KNOWN}")
    return opened


def _format(opened: soundfile.SoundFile) -> str:
    return "WAV" if opened.format == "WAVEX" else str(opened.format)


def _container(data: bytes) -> str:
    """The format by its first bytes, so that libsndfile's rarer parsers never see a stranger's file."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        return "WAV"
    if data[:4] == b"fLaC":
        return "FLAC"
    if data[:4] == b"OggS":
        return "OGG"
    if data[:3] == b"ID3" or (len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0):
        return "MP3"
    raise UnknownFormatError("sound", data, KNOWN)


def _refuse_cut_wav(data: bytes) -> None:
    """libsndfile plays a cut WAV as a shorter one; here that is an error."""
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        missing = at + 8 + size - len(data)
        if data[at : at + 4] == b"data":
            if missing > 0 and size < UNKNOWN_LENGTH:
                raise MediaError(
                    f"the WAV is cut short: {missing} of {size} bytes of sound are missing; fetch it again"
                )
            return
        at += 8 + size + size % 2
    raise MediaError("the WAV is cut short: it has no sound in it (no data chunk); fetch it again")


def _mono(opened: soundfile.SoundFile) -> Float32[np.ndarray, " S"]:
    blocks: list[np.ndarray] = []
    read = 0
    try:
        # A block at a time: of many channels only one is ever held whole.
        while len(block := opened.read(BLOCK, dtype="float32", always_2d=True)):
            read += len(block)
            blocks.append(block.mean(axis=1, dtype=np.float32))
    except soundfile.SoundFileError as error:
        raise MediaError(f"the sound does not decode ({error}); it may be cut short: fetch it again") from error
    if not read:
        raise MediaError("the sound is empty (0 samples); record it again or leave it out")
    if read != opened.frames:
        raise MediaError(f"the sound is cut short: {read} of {opened.frames} samples; fetch it again")
    mono = np.concatenate(blocks)
    if not np.isfinite(mono).all():
        first = int(np.flatnonzero(~np.isfinite(mono))[0])
        raise MediaError(f"sample {first} of the sound is not a finite number; save it again as 16-bit WAV")
    return mono
