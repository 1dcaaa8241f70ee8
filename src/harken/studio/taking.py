"""Takes uploads in: small media are decoded here, one at a time; others in a process that may use so much and no more.

`python -m harken.studio.taking FOLDER KIND`: the bytes on standard input, what came of it as JSON on standard output.
"""

import asyncio
import json
import resource
import sys
from dataclasses import asdict, replace
from pathlib import Path

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from harken.data.blobs import Blobs
from harken.data.media import audio, image
from harken.data.media.limits import DEFAULT, Limits, MediaError
from harken.types import MEDIA, Modality

UPLOADS = replace(DEFAULT, image_bytes=32 << 20, pixels=40_000_000, audio_bytes=32 << 20)
"""What a studio takes."""
SMALL = 1_000_000
"""Pixels, samples of all channels, or numbers, that are decoded in the studio's own process: some 25 MB at worst."""
MEMORY = 2 << 30
"""Bytes of address space of the other process."""
SECONDS = 60
AT_ONCE = 2
"""Uploads that are read and decoded at once; the others wait."""


class Taking:
    """Uploads on their way in.

    Args:
        blobs: where they are kept.
    """

    def __init__(self, blobs: Blobs):
        self._blobs = blobs
        self.turns = anyio.Semaphore(AT_ONCE)
        self.fetches = anyio.Semaphore(AT_ONCE)
        self._one = CapacityLimiter(1)

    async def take(self, data: bytes, kind: Modality) -> str:
        """Check a medium and keep it.

        Returns:
            its SHA-256.

        Raises:
            MediaError: if it is no such medium, too big, or took too much to decode.
        """
        size = await run_sync(_size, data, kind, limiter=self._one)
        if size <= SMALL:
            return str(await run_sync(self._blobs.put, data, kind, limiter=self._one))
        return await _apart(self._blobs, data, kind)


def _size(data: bytes, kind: Modality) -> int:
    match kind:
        case "image":
            seen = image.header(data)
            return seen.width * seen.height
        case "audio":
            heard = audio.header(data)
            return heard.frames * heard.channels
        case "numbers":
            # A number as text takes more time than a sample.
            return 10 * (data.count(b",") + data.count(b"\n"))


async def _apart(blobs: Blobs, data: bytes, kind: Modality) -> str:
    pipe = asyncio.subprocess.PIPE
    command = [sys.executable, "-m", "harken.studio.taking", str(blobs.folder), kind, json.dumps(asdict(blobs.limits))]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL)
    try:
        made, _ = await asyncio.wait_for(process.communicate(data), SECONDS)
    except BaseException as error:
        process.kill()
        await process.wait()
        if isinstance(error, TimeoutError):
            raise MediaError(f"the {kind} took more than {SECONDS} seconds to decode; make it smaller") from error
        raise
    if process.returncode != 0:
        raise MediaError(f"the {kind} could not be decoded within {MEMORY >> 30} GiB of memory; make it smaller")
    told = json.loads(made)
    if "full" in told:
        raise OSError(told["full"], "the disk is full")
    if "error" in told:
        raise MediaError(told["error"])
    return str(told["sha256"])


def main(folder: str, kind: Modality, limits: str) -> None:
    """Read, check, keep, say."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    blobs = Blobs(Path(folder), Limits(**json.loads(limits)))
    told: dict[str, object]
    try:
        told = {"sha256": blobs.put(sys.stdin.buffer.read(), kind)}
    except MediaError as refused:
        told = {"error": str(refused)}
    except OSError as full:
        told = {"full": full.errno}
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], next(name for name in MEDIA if name == sys.argv[2]), sys.argv[3])
