"""Media and places: what is no picture or sound, lies outside of the folder, or unpacks to too much."""

import gzip
import io
import json
import zipfile

import numpy as np
import pytest
from folders import asked, bring, png, wav, write

from harken.feedback.exchange.folder import Folder
from harken.feedback.exchange.tables import DataError, read_arrays, read_table


def samples(seconds: float, rate: int = 8_000) -> np.ndarray:
    return np.sin(np.arange(int(seconds * rate)) / 5).astype(np.float32)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "its first bytes are b''"),
        (wav(np.zeros(0, dtype=np.float32)), "the sound is empty (0 samples)"),
        (wav(samples(601, 100), 100), "the sound takes 601.0 s, more than the 600 allowed; cut it"),
        (wav(samples(0.1))[:-50], "the WAV is cut short"),
        (b"This is no sound.", "not a sound that harken reads"),
        (png(), "not a sound that harken reads"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_sounds_that_are_none_are_refused(tmp_path, content, words, packed):
    medium = {"file": "{id}.wav", "zip": "s.zip"} if packed else "{id}.wav"
    good = wav(samples(0.1))
    media = {"s.zip": {"q0.wav": good, "q1.wav": content}} if packed else {"q0.wav": good, "q1.wav": content}
    files = {"a.jsonl": [asked(0), asked(1)], **media}
    prompt = {"id": "{id}", "parts": [{"audio": medium}]}
    with pytest.raises(DataError) as refused:
        bring(tmp_path, files, prompt=prompt)
    assert words in str(refused.value)
    assert "a.jsonl:2: audio: 'q1.wav'" in str(refused.value)
    assert bring(tmp_path, files, True, prompt=prompt).prompts == 1


def test_ten_minutes_clipped_and_stereo_come_in_as_they_are(tmp_path):
    """A sound that can be heard is data, however bad; what is measured of it tells later rooms."""
    stereo = np.stack([samples(0.2), -samples(0.2)], axis=1)
    kept = {
        "q0.wav": wav(np.clip(20 * samples(0.2), -1, 1)),
        "q1.wav": wav(stereo),
        "q2.wav": wav(samples(600, 100), 100),
    }
    files = {"a.jsonl": [asked(i) for i in range(3)], **kept}
    done = bring(tmp_path, files, prompt={"id": "{id}", "parts": [{"audio": "{id}.wav"}]})
    assert done.media == {"audio": 3}
    blobs = [path.read_bytes() for path in (tmp_path / "out" / "blobs").glob("??/*")]
    assert sorted(blobs) == sorted(kept.values())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("../secret.png", "leaves the data's folder"),
        ("/etc/passwd", "leaves the data's folder"),
        ("p/../../secret.png", "leaves the data's folder"),
        ("..\\secret.png", "leaves the data's folder"),
        ("link.png", "the path leaves the folder"),
        ("http://localhost/a.png", "fetches nothing from the network"),
        ("none.png", "no such file"),
        ("", "leaves the data's folder"),
        ("data:image/png;base64,AAAA", "not a picture that harken reads"),
    ],
)
def test_nothing_outside_of_the_folder_is_read(tmp_path, name, words):
    (tmp_path / "secret.png").write_bytes(png())
    data = write(tmp_path / "data", {})
    data.mkdir()
    (data / "link.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataError) as refused:
        bring(tmp_path, {"a.jsonl": [asked(0, pic=name)]}, prompt={"parts": [{"image": "{pic}"}]})
    assert words in str(refused.value)


def test_a_table_that_is_a_link_to_the_outside_is_refused(tmp_path):
    (tmp_path / "all.jsonl").write_text(json.dumps(asked(0)))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").symlink_to(tmp_path / "all.jsonl")
    with pytest.raises(DataError, match="a link that leaves"):
        bring(tmp_path, {})
    with pytest.raises(DataError, match="leaves the data's folder"):
        bring(tmp_path, {}, records={"files": "../*.jsonl"})


def test_members_with_ways_out_twice_or_in_two_archives_are_refused(tmp_path):
    prompt = {"id": "{id}", "parts": [{"image": {"file": "{pic}", "zip": "*.zip"}}]}
    files = {
        "a.jsonl": [asked(0, pic="../p.png"), asked(1, pic="p.png"), asked(2, pic="gone.png"), asked(3, pic="q.png")],
        "one.zip": {"../p.png": png(), "p.png": png()},
        "two.zip": {"p.png": png(1)},
    }
    write(tmp_path / "data", files)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(tmp_path / "data" / "c.zip", "w") as archive:
        archive.writestr("q.png", png())
        archive.writestr("q.png", png())
    with pytest.raises(DataError, match="all 4 records are bad"):
        bring(tmp_path, {}, True, prompt=prompt)
    done = bring(tmp_path, {"b.jsonl": [asked(4, pic="r.png")], "d.zip": {"r.png": png()}}, True, prompt=prompt)
    for words, why in zip(
        ["leaves", "is in one.zip and two.zip; name one archive", "is in none of the archives", "is in c.zip twice"],
        done.skipped,
        strict=True,
    ):
        assert words in why


def bomb(size: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jsonl", b" " * size)
    return out.getvalue()


def test_what_unpacks_to_too_much_is_refused_before_it_does(tmp_path):
    write(tmp_path, {"a.zip": bomb(5000), "a.csv": "x" * 5000})
    with Folder(tmp_path, most=4000) as folder:
        for pattern, archives in (("*.jsonl", "*.zip"), ("a.csv", None)):
            with pytest.raises(DataError, match="more than the 4000 allowed; split it"):
                list(folder.sources(pattern, archives))
    with pytest.raises(DataError, match="unpacks to more than the 4000 bytes"):
        list(read_table("a.jsonl.gz", gzip.compress(b" " * 5000, mtime=0), most=4000))
    packed = io.BytesIO()
    np.savez_compressed(packed, x=np.zeros(5000, dtype=np.uint8))
    with pytest.raises(DataError, match="more than the 4000 allowed"):
        read_arrays(packed.getvalue(), "a.npz", 4000)


def test_a_medium_that_unpacks_to_too_much_is_refused(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("p.png", bytes((32 << 20) + 1))
    prompt = {"parts": [{"image": {"file": "p.png", "zip": "b.zip"}}]}
    with pytest.raises(DataError, match="33554433 bytes, more than the 33554432 allowed"):
        bring(tmp_path, {"a.jsonl": [asked(0)], "b.zip": out.getvalue()}, prompt=prompt)
