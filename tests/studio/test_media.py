"""Media: by content, in parts, never as something that a browser runs; what is no picture and no sound is refused."""

import io
import struct
import zlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from harken.data.media.audio import encode_wav, peaks
from harken.data.media.image import encode_png
from harken.studio import taking
from harken.studio.media import part

PNG = encode_png(np.zeros((3, 4, 3), np.uint8))
WAV = encode_wav(np.concatenate([np.zeros(800), np.full(800, 0.5)]).astype(np.float32), 16_000)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def huge_png() -> bytes:
    """A picture that claims 10^9 pixels in a few bytes."""
    head = struct.pack(">IIBBBBB", 40_000, 25_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


def lying_wav() -> bytes:
    """A header that promises an hour of sound that is not there."""
    data = bytearray(WAV)
    data[40:44] = struct.pack("<I", 16_000 * 2 * 3600)
    return bytes(data)


def moving_gif() -> bytes:
    out = io.BytesIO()
    frames = [Pillow.new("RGB", (4, 4), (n * 80, 0, 0)) for n in range(3)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    return out.getvalue()


def test_what_is_uploaded_comes_back_under_its_hash_once(people):
    ann = people.client("ann")
    first = ann.post("/api/v1/media?kind=image", content=PNG)
    again = ann.post("/api/v1/media?kind=image", content=PNG)
    assert (first.status_code, first.json()) == (201, again.json())
    assert (first.json()["width"], first.json()["height"]) == (4, 3)
    told = ann.get(first.json()["url"])
    assert (told.content, told.headers["content-type"]) == (PNG, "image/png")
    assert "sandbox" in told.headers["content-security-policy"]
    heard = ann.post("/api/v1/media?kind=audio", content=WAV).json()
    assert heard["seconds"] == 0.1
    drawn = ann.get(heard["peaks"]).json()["peaks"]
    assert (len(drawn), drawn[0], drawn[-1]) == (200, 0.0, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("image", b"", "not a picture"),
        ("image", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "SVG"),
        ("image", b"<html><script>alert(1)</script></html>", "not a picture"),
        ("image", b"GIF89a/*" + b"\0" * 20 + b"*/=1;alert(1)", ""),
        ("image", huge_png(), "pixels"),
        ("image", moving_gif(), "frames"),
        ("image", encode_png(np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8))[:900], ""),
        ("image", WAV, "not a picture"),
        ("audio", PNG, "not a sound"),
        ("audio", WAV[:60], "cut short"),
        ("audio", lying_wav(), "cut short"),
        ("audio", b"", "not a sound"),
    ],
    ids=["empty", "svg", "html", "polyglot", "huge", "moving", "cut", "wav", "png", "cut wav", "lying", "no sound"],
)
def test_what_is_no_medium_or_too_big_is_refused_with_a_reason(people, kind, data, words):
    told = people.client("ann").post(f"/api/v1/media?kind={kind}", content=data)
    assert told.status_code == 422
    assert words in told.json()["error"]
    assert told.json()["error"]
    assert "b'" not in told.json()["error"]


@given(st.integers(1, 500), st.integers(0, 600), st.integers(0, 600))
def test_parts_are_those_of_the_standard(size, first, last):
    def plain(asked):
        try:
            found = part(size, asked)
        except ValueError:
            return "beyond"
        return list(range(size)) if found is None else list(range(size))[found[0] : found[1] + 1]

    whole = list(range(size))
    assert plain(None) == plain("items=0-1") == plain("bytes=-") == whole
    if first <= last:
        assert plain(f"bytes={first}-{last}") == (whole[first : last + 1] if first < size else "beyond")
    assert plain(f"bytes={first}-") == (whole[first:] if first < size else "beyond")
    assert plain(f"bytes=-{last}") == (whole[-last:] if last else "beyond")


def test_a_browser_gets_the_part_that_it_asks_for(people):
    ann = people.client("ann")
    url = ann.post("/api/v1/media?kind=audio", content=WAV).json()["url"]
    told = ann.get(url, headers={"range": "bytes=10-19"})
    assert (told.status_code, told.content) == (206, WAV[10:20])
    assert told.headers["content-range"] == f"bytes 10-19/{len(WAV)}"
    assert ann.get(url, headers={"range": f"bytes={len(WAV)}-"}).status_code == 416
    assert ann.get(url, headers={"if-none-match": ann.get(url).headers["etag"]}).status_code == 304


@given(st.integers(1, 200_000), st.integers(1, 300), st.integers(0, 2**32 - 1))
def test_peaks_read_in_blocks_are_those_of_the_whole(size, count, seed):
    said = np.random.default_rng(seed).integers(-(2**15), 2**15, size) / 2**15
    edges = np.linspace(0, size, min(count, size) + 1).astype(int)
    plain = [round(float(np.abs(said[a:b]).max()), 3) for a, b in pairwise(edges)]
    assert peaks(encode_wav(said.astype(np.float32), 8000), count) == plain


@pytest.mark.slow
def test_a_large_picture_is_decoded_apart_and_what_takes_too_much_is_refused(people, monkeypatch):
    ann = people.client("ann")
    large = encode_png(np.zeros((2000, 1000, 3), np.uint8))
    told = ann.post("/api/v1/media?kind=image", content=large)
    assert (told.status_code, told.json()["width"]) == (201, 1000)
    assert ann.post("/api/v1/media?kind=image", content=large[:-500]).status_code == 422
    monkeypatch.setattr(taking, "SECONDS", 0.01)
    told = ann.post("/api/v1/media?kind=image", content=large)
    assert (told.status_code, "took more than" in told.json()["error"]) == (422, True)
