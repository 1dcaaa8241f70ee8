import base64
import hashlib
import os
import struct
import time
import zlib
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_media import encoded, noise, picture, png, png_that_claims, sound, wav

from harken.data.blobs import Blobs
from harken.data.media.limits import Limits, MediaError


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    """A folder of a user's media, and a secret picture outside it."""
    folder = tmp_path / "given"
    (folder / "pics").mkdir(parents=True)
    (folder / "pics" / "a.png").write_bytes(png())
    (folder / "a.wav").write_bytes(wav())
    (tmp_path / "secret.png").write_bytes(png(9))
    return folder


def files(blobs: Blobs) -> list[Path]:
    return [path for path in blobs.folder.rglob("*") if path.is_file()]


def test_what_is_put_is_read(blobs):
    for data, modality in [(png(), "image"), (wav(), "audio")]:
        sha256 = blobs.put(data, modality)
        assert sha256 == hashlib.sha256(data).hexdigest()
        assert blobs.read(sha256) == data
        assert sha256 in blobs
        assert blobs.path(sha256) == blobs.folder / sha256[:2] / sha256[2:]
    assert len(files(blobs)) == 2


def test_a_medium_is_written_once(blobs):
    sha256 = blobs.put(png(), "image")
    before = blobs.path(sha256).stat()
    assert blobs.put(png(), "image") == sha256
    after = blobs.path(sha256).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_medium_altered_on_the_disk_is_refused_and_mended_by_putting_it_again(blobs):
    sha256 = blobs.put(png(), "image")
    blobs.path(sha256).write_bytes(png(1))
    with pytest.raises(MediaError, match="altered"):
        blobs.read(sha256)
    blobs.put(png(), "image")
    assert blobs.read(sha256) == png()


def test_many_writers_of_one_medium_leave_one_whole_file(blobs):
    with ThreadPool(8) as pool:
        names = set(pool.map(lambda _: blobs.put(png(5, 40, 40), "image"), range(32)))
    assert len(names) == 1
    assert [path.read_bytes() for path in files(blobs)] == [png(5, 40, 40)]


def test_a_write_that_fails_leaves_nothing(blobs):
    sha256 = hashlib.sha256(png()).hexdigest()
    blobs.path(sha256).mkdir(parents=True)  # a folder where the file would go: the last step fails
    with pytest.raises(OSError):
        blobs.put(png(), "image")
    assert files(blobs) == []


@settings(max_examples=60)
@given(
    name=st.text(max_size=70)
    | st.sampled_from(["../" * 21 + "x", "A" * 64, "a" * 63 + "\n", "a" * 64 + "\n", "/" * 64])
)
def test_only_a_sha256_names_a_medium(tmp_path_factory, name):
    blobs = Blobs(tmp_path_factory.getbasetemp() / "none")
    assert name not in blobs
    for ask in (blobs.path, blobs.read):
        with pytest.raises(MediaError, match="names no medium"):
            ask(name)


def test_a_medium_that_is_not_there(blobs):
    assert "0" * 64 not in blobs
    assert 7 not in blobs
    with pytest.raises(MediaError, match="load the prompts"):
        blobs.read("0" * 64)


def test_the_wrong_kind_is_refused_even_if_the_bytes_are_there(blobs):
    blobs.put(png(), "image")
    blobs.put(wav(), "audio")
    with pytest.raises(MediaError, match="not a sound"):
        blobs.put(png(), "audio")
    with pytest.raises(MediaError, match="not a picture"):
        blobs.put(wav(), "image")


REFUSED = {
    "too many bytes": (png(0, 40, 40), "image", Limits(image_bytes=100), "more than the 100 allowed"),
    "too many pixels": (png(0, 40, 40), "image", Limits(pixels=1_599), "40 x 40 pixels"),
    "too small": (png(0, 3, 40), "image", Limits(side=4), "at least 4"),
    "too long": (wav(0, 8_001), "audio", Limits(seconds=1.0), "1.0 s, more than the 1 allowed"),
    "too short": (wav(0, 10), "audio", Limits(samples=11), "at least 11"),
    "too fast": (sound(noise(), 16_000), "audio", Limits(rate=8_000), "16000 samples a second"),
    "too many channels": (sound(np.zeros((9, 3))), "audio", Limits(channels=2), "3 channels"),
    "sound of too many bytes": (wav(), "audio", Limits(audio_bytes=10), "more than the 10 allowed"),
    "nothing": (b"", "image", Limits(), "not a picture"),
    "silence of no length": (sound(np.zeros(0)), "audio", Limits(), "empty"),
    "moving": (
        encoded(Image.fromarray(picture()), "GIF", save_all=True, append_images=[Image.fromarray(picture(1))]),
        "image",
        Limits(),
        "several frames",
    ),
    "cut": (png(0, 20, 20)[:-200], "image", Limits(), "cut short"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_taken_leaves_nothing_behind(tmp_path, name):
    data, modality, limits, why = REFUSED[name]
    blobs = Blobs(tmp_path / "blobs", limits)
    with pytest.raises(MediaError, match=why):
        blobs.put(data, modality)
    assert not blobs.folder.exists()


def test_limits_must_be_above_zero():
    with pytest.raises(ValueError, match=r"Limits\.pixels"):
        Limits(pixels=0)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [8_000, 11_000, 60_000, 2**31 - 1])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(blobs, side):
    began = time.monotonic()
    with pytest.raises(MediaError, match=r"pixels|header"):
        blobs.put(png_that_claims(side, side), "image")
    assert time.monotonic() - began < 1


@pytest.mark.slow
def test_a_text_bomb_in_a_png_is_refused(blobs):
    bomb = png()
    at = bomb.index(b"IDAT") - 4
    body = b"Comment\0\0" + zlib.compress(bytes(200 << 20), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    with pytest.raises(MediaError):
        blobs.put(bomb[:at] + chunk + bomb[at:], "image")


@pytest.mark.parametrize("size", [2**31 - 1, 2**30])
def test_a_wav_that_claims_a_huge_length(blobs, size):
    data = bytearray(wav())
    at = data.index(b"data") + 4
    data[at : at + 4] = size.to_bytes(4, "little")
    if size >= 0x7FF0_0000:  # what programs write that do not know the length: the sound is what is there
        assert blobs.put(bytes(data), "audio") in blobs
    else:
        with pytest.raises(MediaError, match="cut short"):
            blobs.put(bytes(data), "audio")


def test_a_file_beside(blobs, beside):
    assert blobs.read(blobs.put_file("pics/a.png", beside, "image")) == png()
    assert blobs.read(blobs.put_file(Path("a.wav"), beside, "audio")) == wav()
    assert blobs.put_reference("pics/../pics/a.png", beside, "image") in blobs


def test_a_link_that_stays_inside_is_followed(blobs, beside):
    (beside / "link.png").symlink_to("pics/a.png")
    assert blobs.read(blobs.put_file("link.png", beside, "image")) == png()


def test_the_folder_itself_may_be_a_link(blobs, beside, tmp_path):
    (tmp_path / "elsewhere").symlink_to(beside)
    assert blobs.put_file("a.wav", tmp_path / "elsewhere", "audio") in blobs


def hostile(beside: Path) -> dict[str, tuple[str, str]]:
    """Name of the case -> the path that a stranger wrote, and what the error says."""
    outside = beside.parent
    (beside / "escape.png").symlink_to(outside / "secret.png")
    (beside / "up").symlink_to(outside)
    (beside / "loop").symlink_to("loop")
    (beside / "dangling").symlink_to("nowhere")
    os.mkfifo(beside / "pipe")
    (outside / "given-not").mkdir()
    (outside / "given-not" / "a.png").write_bytes(png())
    return {
        "up": ("../secret.png", "leaves the folder"),
        "up from below": ("pics/../../secret.png", "leaves the folder"),
        "same beginning": ("../given-not/a.png", "leaves the folder"),
        "absolute": (str(outside / "secret.png"), "not a relative path"),
        "absolute, inside": (str(beside / "a.wav"), "not a relative path"),
        "link out": ("escape.png", "leaves the folder"),
        "folder link out": ("up/secret.png", "leaves the folder"),
        "loop": ("loop", "cannot be read"),
        "dangling": ("dangling", "no such file"),
        "missing": ("pics/b.png", "no such file"),
        "folder": ("pics", "not a regular file"),
        "here": (".", "not a regular file"),
        "pipe": ("pipe", "not a regular file"),
        "empty": ("", "not a relative path"),
        "NUL": ("pics/a.png\0.txt", "not a path"),
        "surrogate": ("\ud800.png", "not a path"),
        "long": ("a" * 5_000, "cannot be read"),
        "file as folder": ("a.wav/x", "cannot be read"),
        "http": ("http://example.org/a.png", "fetches nothing"),
        "https": ("HTTPS://example.org/a.png", "fetches nothing"),
        "file address": ("file:///etc/passwd", "fetches nothing"),
        "no picture": ("a.wav", "not a picture"),
    }


CASES = (
    "up|up from below|same beginning|absolute|absolute, inside|link out|folder link out|loop|dangling|missing|folder"
)
CASES += "|here|pipe|empty|NUL|surrogate|long|file as folder|http|https|file address|no picture"


@pytest.mark.parametrize("case", CASES.split("|"))
def test_a_name_is_no_permission(blobs, beside, case):
    name, why = hostile(beside)[case]
    began = time.monotonic()
    with pytest.raises(MediaError, match=why) as raised:
        blobs.put_reference(name, beside, "image")
    assert time.monotonic() - began < 2  # a pipe without a writer would wait for ever
    str(raised.value).encode()  # fit to be printed
    assert not blobs.folder.exists()


def test_every_hostile_case_is_run(beside):
    assert sorted(hostile(beside)) == sorted(CASES.split("|"))


def test_a_device_is_not_opened(blobs):
    with pytest.raises(MediaError, match="not a regular file"):
        blobs.put_file("zero", Path("/dev"), "image")


def test_a_file_that_is_too_big_is_not_read(tmp_path):
    with (tmp_path / "big.png").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(MediaError, match="more than the"):
        Blobs(tmp_path / "blobs").put_file("big.png", tmp_path, "image")


def uri(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def test_data_uris(blobs):
    assert blobs.read(blobs.put_data_uri(uri(png()), "image")) == png()
    assert blobs.read(blobs.put_data_uri(uri(wav(), "audio/wav;codecs=1"), "audio")) == wav()
    assert blobs.put_data_uri(uri(png()).replace("data:image", "DATA:IMAGE").replace("=", "%3D"), "image") in blobs
    assert blobs.put_base64("\n".join(base64.b64encode(wav()).decode()), "audio") in blobs


@pytest.mark.parametrize(
    ("written", "why"),
    [
        (uri(wav(), "audio/wav"), "says 'audio/wav'"),
        (uri(png(), "text/html"), "says 'text/html'"),
        (uri(b"<svg/>", "image/svg+xml"), "SVG"),
        (uri(wav(), "image/png"), "not a picture"),
        ("data:image/png,raw", "of base64"),
        ("data:image/png;base64", "of base64"),
        ("data:", "of base64"),
        ("data:image/png;base64,", "not a picture"),
        ("data:image/png;base64,!!!!", "not base64"),
        ("data:image/png;base64,AAA", "not base64"),
        ("data:image/png;base64,é", "not base64"),
    ],
)
def test_data_uris_that_are_refused(blobs, tmp_path, written, why):
    with pytest.raises(MediaError, match=why):
        blobs.put_reference(written, tmp_path, "image")


def test_a_data_uri_that_is_too_long_is_refused_by_its_length(tmp_path):
    blobs = Blobs(tmp_path, Limits(image_bytes=50))
    for length in (80, 1_000_000):
        with pytest.raises(MediaError, match="more than the 50 allowed"):
            blobs.put_data_uri("data:image/png;base64," + "A" * length, "image")


def test_export_names_the_format(blobs, tmp_path):
    jpeg = encoded(Image.fromarray(picture(0, 8, 8)), "JPEG")
    for data, modality, suffix in [(jpeg, "image", "jpg"), (wav(), "audio", "wav"), (png(), "image", "png")]:
        sha256 = blobs.put(data, modality)
        name = blobs.export(sha256, modality, tmp_path / "out")
        assert name == f"{sha256}.{suffix}"
        assert (tmp_path / "out" / name).read_bytes() == data
    with pytest.raises(MediaError):
        blobs.export(sha256, "audio", tmp_path / "out")


def test_without_flushing_files_are_the_same_and_settle_has_them_on_the_disk(tmp_path):
    later, now = Blobs(tmp_path / "later", flush=False), Blobs(tmp_path / "now")
    names = [later.put(png(seed), "image") for seed in range(3)]
    assert names == [now.put(png(seed), "image") for seed in range(3)]
    later.settle()
    now.settle()
    assert [later.read(name) for name in names] == [now.read(name) for name in names]
    # What a power cut left half written is mended by putting it again.
    later.path(names[0]).write_bytes(png(0)[:10])
    assert later.put(png(0), "image") == names[0]
    assert later.read(names[0]) == png(0)
    assert [path.name for path in (tmp_path / "later").rglob(".*")] == []
