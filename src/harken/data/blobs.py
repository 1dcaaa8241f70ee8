"""Media by content hash: the only place in harken that opens media paths, data: URIs and uploads.

What lies in the folder was decoded once and found whole, so no later room meets a broken picture. Nothing is fetched
from the network.
"""

import base64
import binascii
import hashlib
import os
import re
import stat
from pathlib import Path
from urllib.parse import unquote_to_bytes

from harken.data.media import audio, image, numbers
from harken.data.media.limits import DEFAULT, Limits, MediaError
from harken.data.whole import whole
from harken.types import Modality

NAME = re.compile(r"[0-9a-f]{64}")
KINDS: dict[Modality, tuple[str, ...]] = {
    "image": ("image/",),
    "audio": ("audio/",),
    "numbers": ("text/csv", "text/plain", "application/json"),
}
"""What a data URI's type begins with."""
SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)


class Blobs:
    """A folder of pictures, sounds and numbers, each named by the SHA-256 of its bytes (`ab/cdef...`).

    Several processes may write to one folder: a file appears whole or not at all.

    Args:
        folder: made with the first medium.
        limits: how big media may be.
        flush: have each file on the disk before `put` returns. Without, `settle` does so for all at once, which is
            much faster for thousands of media; call it before anything says that they are there.
    """

    def __init__(self, folder: Path | str, limits: Limits = DEFAULT, flush: bool = True):
        self.folder = Path(folder)
        self.limits = limits
        self._flush = flush

    def put(self, data: bytes, modality: Modality) -> str:
        """Check a medium and keep it.

        Args:
            data: the encoded medium (PNG, JPEG, WebP, GIF, BMP; WAV, FLAC, OGG, MP3; CSV, JSON).
            modality: what it must be.

        Returns:
            Its SHA-256, 64 hexadecimal digits; of numbers that of the one form in which they are kept.

        Raises:
            MediaError: if it is of another kind, too big, too small, or does not decode whole.
        """
        self._refuse_size(len(data), modality)
        match modality:
            case "image":
                _check_image(data, self.limits)
            case "audio":
                _check_audio(data, self.limits)
            case "numbers":
                data = _one_form(data, self.limits)
                self._refuse_size(len(data), modality)
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256)
        # A file that was damaged on the disk is mended here; a whole one is not written again.
        if not (path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256):
            _write(path, data, self._flush)
        return sha256

    def settle(self) -> None:
        """Have everything that was put on the disk."""
        if not self._flush:
            os.sync()

    def put_reference(self, reference: str, within: Path, modality: Modality) -> str:
        """Keep what a user's file names: a file beside it, or a `data:` URI.

        Args:
            reference: a relative path, or `data:image/png;base64,...`.
            within: the folder that paths start from and must not leave.
            modality: what it must be.

        Raises:
            MediaError: as `put`, `put_file` and `put_data_uri`.
        """
        if reference[:5].lower() == "data:":
            return self.put_data_uri(reference, modality)
        return self.put_file(reference, within, modality)

    def put_file(self, path: Path | str, within: Path, modality: Modality) -> str:
        """Keep a file that a user's file names. A name is no permission to read anything on this machine.

        Args:
            path: relative to `within`.
            within: the folder that the path must not leave, through symbolic links neither.
            modality: what it must be.

        Raises:
            MediaError: as `put`; and if the path is absolute, leaves the folder, is an address, or no regular file.
        """
        name = str(path)
        try:
            data = self._read_within(name, within, modality)
            return self.put(data, modality)
        except MediaError as error:
            raise MediaError(f"{_shown(name)}: {error}") from error

    def put_data_uri(self, uri: str, modality: Modality) -> str:
        """Keep a medium written out as `data:image/png;base64,...`.

        Raises:
            MediaError: as `put`; and if the URI is of another kind or not base64.
        """
        head, comma, text = uri.partition(",")
        kind, *settings = head[5:].lower().split(";")
        if head[:5].lower() != "data:" or not comma or "base64" not in settings:
            raise MediaError(f"{_shown(uri)}: not a data URI of base64; write data:{KINDS[modality][0]}...;base64,...")
        if not kind.startswith(KINDS[modality]):
            raise MediaError(f"the data URI says {_shown(kind)}, but the part is {modality}; correct one of the two")
        if "%" in text:
            text = unquote_to_bytes(text).decode("latin-1")
        return self.put_base64(text, modality)

    def put_base64(self, text: str, modality: Modality) -> str:
        """Keep a medium written out as base64 (white space in it is harmless).

        Raises:
            MediaError: as `put`; and if the text is not base64.
        """
        # Too long a text is refused before it is copied; `put` counts exactly.
        if len(text) > 2 * self.limits.bytes_of(modality):
            self._refuse_size(len(text) * 3 // 4, modality)
        try:
            data = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise MediaError(f"the {modality} is not base64 ({error}); encode its bytes again") from error
        return self.put(data, modality)

    def read(self, sha256: str) -> bytes:
        """The bytes of a medium, checked against their name.

        Raises:
            MediaError: if it is not there, or was altered on the disk.
        """
        path = self.path(sha256)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise MediaError(
                f"no medium {sha256} in {self.folder} ({error.strerror}); load the prompts that name it again"
            ) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise MediaError(f"{path} was altered on the disk; delete it and load the prompts that name it again")
        return data

    def size(self, sha256: str) -> int | None:
        """Bytes of a medium; None if it is not there."""
        try:
            return self.path(sha256).stat().st_size
        except OSError:
            return None

    def read_part(self, sha256: str, first: int, last: int) -> bytes:
        """Some bytes of a medium, both ends included, not checked against its name; who wants to know reads it whole.

        Raises:
            MediaError: if it is not there.
        """
        try:
            with self.path(sha256).open("rb") as file:
                file.seek(first)
                return file.read(last - first + 1)
        except OSError as error:
            raise MediaError(f"no medium {sha256} in {self.folder} ({error.strerror})") from error

    def path(self, sha256: str) -> Path:
        """Where a medium lies, or would lie.

        Raises:
            MediaError: if the name is not 64 hexadecimal digits.
        """
        if not NAME.fullmatch(sha256):
            raise MediaError(f"{_shown(sha256)} names no medium; a name is 64 digits 0-9a-f (SHA-256)")
        return self.folder / sha256[:2] / sha256[2:]

    def __contains__(self, sha256: object) -> bool:
        return isinstance(sha256, str) and bool(NAME.fullmatch(sha256)) and self.path(sha256).is_file()

    def export(self, sha256: str, modality: Modality, folder: Path) -> str:
        """Copy a medium out, under a name that a person's programs know.

        Returns:
            The file's name in `folder`: the hash and the format's suffix.

        Raises:
            MediaError: as `read`; and if it is of another kind.
        """
        data = self.read(sha256)
        target = folder / f"{sha256}.{_suffix(data, modality)}"
        if not (target.is_file() and target.read_bytes() == data):
            _write(target, data)
        return target.name

    def _read_within(self, name: str, within: Path, modality: Modality) -> bytes:
        scheme = SCHEME.match(name)
        if scheme and name[scheme.end() :].startswith("//"):
            raise MediaError(
                f"harken fetches nothing from the network unasked, and this is an address ({scheme[1]}); download the "
                "file, put it beside the prompts and write its name"
            )
        if not name or os.path.isabs(name):
            raise MediaError("not a relative path; put the file beside the prompts and write its name")
        try:
            root = os.path.realpath(within, strict=True)
            real = os.path.realpath(os.path.join(root, name), strict=True)
            if os.path.commonpath([root, real]) != root:
                raise MediaError(f"the path leaves the folder {root}; put the file inside it")
            return self._read_regular(real, modality)
        except FileNotFoundError as error:
            raise MediaError(f"no such file in {within}; put it there, or correct the name") from error
        except OSError as error:
            raise MediaError(f"cannot be read: {error.strerror}; check the file") from error
        # A NUL, or letters that no file name can have.
        except (ValueError, RuntimeError) as error:
            if isinstance(error, MediaError):
                raise
            raise MediaError(f"not a path ({error}); correct the name") from error

    def _read_regular(self, real: str, modality: Modality) -> bytes:
        # Looked at first, since opening a device can have effects; not waiting, since a pipe may never have a writer.
        if not stat.S_ISREG(os.stat(real).st_mode):
            raise MediaError("not a regular file; name a picture, a sound or numbers")
        descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            seen = os.fstat(descriptor)
            if not stat.S_ISREG(seen.st_mode):
                raise MediaError("not a regular file; name a picture, a sound or numbers")
            self._refuse_size(seen.st_size, modality)
            return file.read(self.limits.bytes_of(modality) + 1)

    def _refuse_size(self, size: int, modality: Modality) -> None:
        most = self.limits.bytes_of(modality)
        if size > most:
            raise MediaError(
                f"the {modality} has {size} bytes, more than the {most} allowed; make it smaller, or allow more with "
                f"Limits({modality}_bytes=...)"
            )


def _check_image(data: bytes, limits: Limits) -> None:
    seen = image.header(data)
    size = f"{seen.width} x {seen.height} pixels"
    if seen.width * seen.height > limits.pixels:
        raise MediaError(f"the picture has {size}, more than the {limits.pixels} allowed; make it smaller")
    if min(seen.width, seen.height) < limits.side:
        raise MediaError(f"the picture has {size}; each side needs at least {limits.side}")
    if seen.animated:
        raise MediaError(f"the {seen.format} has several frames, and only one would be seen; save the frame you mean")
    image.decode(data)


def _check_audio(data: bytes, limits: Limits) -> None:
    seen = audio.header(data)
    if not seen.frames:
        raise MediaError("the sound is empty (0 samples); record it again or leave it out")
    if seen.rate > limits.rate or seen.channels > limits.channels:
        raise MediaError(
            f"the sound has {seen.channels} channels at {seen.rate} samples a second, more than the {limits.channels} "
            f"at {limits.rate} allowed; save it again with fewer"
        )
    seconds = seen.frames / seen.rate
    if seconds > limits.seconds:
        raise MediaError(f"the sound takes {seconds:.1f} s, more than the {limits.seconds:g} allowed; cut it")
    if seen.frames < limits.samples:
        raise MediaError(f"the sound has {seen.frames} samples; it needs at least {limits.samples}")
    audio.decode(data, seen.rate)


def _one_form(data: bytes, limits: Limits) -> bytes:
    """Numbers as they are kept, so that the same numbers have the same name."""
    read = numbers.read(data)
    steps, columns = read.values.shape
    if steps > limits.steps:
        raise MediaError(f"the numbers have {steps} steps, more than the {limits.steps} allowed; cut or thin them")
    if columns > limits.columns:
        raise MediaError(
            f"the numbers have {columns} channels, more than the {limits.columns} allowed; leave some out, or put a "
            "vector's numbers into lines of a few"
        )
    return numbers.encode_csv(read.values, read.names)


def _suffix(data: bytes, modality: Modality) -> str:
    match modality:
        case "image":
            return image.SUFFIXES[image.header(data).format]
        case "audio":
            return audio.SUFFIXES[audio.header(data).format]
        case "numbers":
            return numbers.SUFFIX


def _write(path: Path, data: bytes, flush: bool = True) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path, flush) as file:
        file.write(data)


def _shown(text: str) -> str:
    """A stranger's text, short enough for a message and without control letters."""
    return repr(text if len(text) <= 200 else f"{text[:80]}... ({len(text)} letters)")
