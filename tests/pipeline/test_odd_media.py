"""Pictures of any size and sounds of any samples, in a recipe: they work, or are refused in words."""

import io
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image as Pillow

from harken.data.media.audio import encode_wav
from harken.data.media.image import encode_png
from harken.data.prompts import PromptError

sys.path.insert(0, str(Path(__file__).parent))

from shades import prepared, run, write_prompts


def spoilt(folder: Path, name: str, data: bytes) -> Path:
    """Prompts of which one's medium is another."""
    write_prompts(folder)
    (folder / name).write_bytes(data)
    return folder


def wave(samples: np.ndarray) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, 8000, format="WAV", subtype="FLOAT")
    return out.getvalue()


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 3000, 3), (3000, 1, 3)])
def test_a_picture_of_one_pixel_or_one_line_is_a_picture(tmp_path, shape):
    spoilt(tmp_path, "prompts3.png", encode_png(np.full(shape, 90, np.uint8)))
    done, _ = run(prepared(tmp_path, sft={"data": {"steps": 2, "batch": 24}}), tmp_path / "run")
    assert (done.folder / "evaluation.json").exists()


@pytest.mark.slow
def test_a_picture_of_a_hundred_million_pixels_is_refused_by_its_line(tmp_path):
    """10,000 by 10,000, which is a third of a megabyte as a file: it is not even decoded."""
    out = io.BytesIO()
    Pillow.new("L", (10_000, 10_000), 90).save(out, "PNG")
    spoilt(tmp_path, "prompts3.png", out.getvalue())
    with warnings.catch_warnings(), pytest.raises(PromptError, match=r"prompts\.jsonl:4 .*pixels"):
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        run(prepared(tmp_path, sft={"data": {"steps": 2, "batch": 24}}), tmp_path / "run")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sound_with_samples_that_are_no_numbers_is_refused_by_its_line(tmp_path, bad):
    samples = np.zeros(800, np.float32)
    samples[7] = bad
    spoilt(tmp_path, "prompts3.wav", wave(samples))
    with pytest.raises(PromptError, match=r"prompts\.jsonl:4 .*prompts3\.wav.*sample 7 of the sound is not a finite"):
        run(prepared(tmp_path), tmp_path / "run")


def test_a_sound_of_one_sample_and_silence_work(tmp_path):
    spoilt(tmp_path, "prompts3.wav", encode_wav(np.zeros(1, np.float32), 8000))
    (tmp_path / "prompts6.wav").write_bytes(encode_wav(np.zeros(4000, np.float32), 8000))
    done, _ = run(prepared(tmp_path, sft={"data": {"steps": 2, "batch": 24}}), tmp_path / "run")
    assert (done.folder / "evaluation.json").exists()


def test_a_sound_longer_than_the_model_hears_is_refused(tmp_path):
    spoilt(tmp_path, "prompts3.wav", encode_wav(np.zeros(16_000, np.float32), 8000))
    with pytest.raises(ValueError, match=r"prompt 'prompts3': .*2\.0 s is longer than the 1 s .*max_seconds"):
        run(prepared(tmp_path), tmp_path / "run")


def test_a_held_out_sound_that_the_model_cannot_hear_is_refused_before_anything_is_learnt(tmp_path):
    recipe = prepared(tmp_path)
    (tmp_path / "test3.wav").write_bytes(encode_wav(np.zeros(16_000, np.float32), 8000))
    with pytest.raises(ValueError, match=r"prompt 'test3': .*2\.0 s is longer than the 1 s"):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "metrics.jsonl").exists()
